#include "vmm/notify.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"

enum { PATIENCE_MS = 1000 };

int notify_open(struct notify *n, const char *address)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = address ? strlen(address) : 0;
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);

	if (len == 0)
		return 0;
	if (*address != '/' && *address != '@')
		return error_set(EAFNOSUPPORT, "tell a service manager at '%s'", address);
	/* The end of a path is a zero; of an abstract name, the end of the address. */
	if (len >= sizeof(to.sun_path) || len < 2)
		return error_set(len < 2 ? EINVAL : ENAMETOOLONG,
				 "tell a service manager at '%s'", address);
	memcpy(to.sun_path, address, len);
	if (*address == '@')
		to.sun_path[0] = '\0';
	else
		size++;
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n->fd >= 0 && connect(n->fd, (const struct sockaddr *)&to, size) == 0)
		return 0;
	int r = error_set(errno, "tell a service manager at '%s'", address);
	notify_close(n);
	return r;
}

void notify_find(struct notify *n)
{
	if (notify_open(n, getenv("NOTIFY_SOCKET")) == 0)
		return;
	log_warning("%s: %s", error_text(), error_name(error_errno()));
	error_clear();
}

static bool send_text(int fd, const char *text, size_t len)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };

	if (write(fd, text, len) >= 0)
		return true;
	if (errno != EAGAIN)
		return false;
	return poll(&ready, 1, PATIENCE_MS) == 1 && write(fd, text, len) >= 0;
}

/* What a guest said may be in it: one line of it, whatever it holds. */
static void make_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

void notify_say(struct notify *n, const char *state, const char *fmt, ...)
{
	char status[NOTIFY_TEXT_MAX + 1], text[NOTIFY_TEXT_MAX + 128];
	va_list args;
	int len;

	if (n->fd < 0)
		return;
	va_start(args, fmt);
	vsnprintf(status, sizeof(status), fmt, args);
	va_end(args);
	make_line(status);
	len = snprintf(text, sizeof(text), "%s%sSTATUS=%s\n", state ? state : "", state ? "\n" : "",
		       status);
	if (len < 0 || (size_t)len >= sizeof(text))
		return;
	if (!send_text(n->fd, text, (size_t)len))
		log_info("the service manager was not told: %s", status);
}

void notify_close(struct notify *n)
{
	fd_close(&n->fd);
}
