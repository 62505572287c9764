#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

enum { FAMILY_VSOCK = 40, CID_HOST = 2, QUICK = 100 };

/* As the kernel has it; a small C library has no header for it. */
struct vsock_address {
	sa_family_t family;
	uint16_t zero;
	uint32_t port, cid;
	uint8_t pad[4];
};

static int open_vsock(long number)
{
	struct vsock_address to = {
		.family = FAMILY_VSOCK, .port = (uint32_t)number, .cid = CID_HOST,
	};
	int fd = socket(FAMILY_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		close_fd(&fd);
	if (fd >= 0)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static bool has_name(const char *port, const char *name)
{
	char path[320], text[128];
	ssize_t n = -1;

	snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", port);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, text, sizeof(text) - 1);
	close_fd(&fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	return !strcmp(text, name);
}

static int open_named(const char *name)
{
	DIR *dir = opendir("/sys/class/virtio-ports");
	char path[280];
	int fd = -1;

	for (struct dirent *d; dir && fd < 0 && (d = readdir(dir)) != NULL;) {
		if (d->d_name[0] == '.' || !has_name(d->d_name, name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", d->d_name);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	if (dir)
		closedir(dir);
	return fd;
}

/* A virtio port without a host at its other end can be opened, too. */
static bool is_connected(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) >= 0 && !(p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static int try_open(struct port *port)
{
	int fd = port->vsock >= 0 ? open_vsock(port->vsock) : open_named(port->name);

	if (fd >= 0 && !is_connected(fd))
		close_fd(&fd);
	return fd;
}

int port_open(struct port *port, void (*idle)(void))
{
	struct timespec quick = { .tv_nsec = 1000000 }, slow = { .tv_nsec = 100000000 };

	if (port->fd >= 0) {
		int fd = port->fd;
		port->fd = -1;
		/* What runs here must not get it. */
		if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
			say("descriptor %d: %s", fd, strerror(errno));
			return -1;
		}
		return fd;
	}
	if (port->vsock < 0 && !port->name)
		return -1;
	/* Drivers may be still on their way; after a moment, whoever comes will not mind 100 ms. */
	for (unsigned i = 0;; i++) {
		int fd = try_open(port);
		if (fd >= 0)
			return fd;
		if (i == QUICK && !port->told) {
			port->told = true;
			if (port->vsock >= 0)
				say("waits for port %ld of the host (vsock)", port->vsock);
			else
				say("waits for the port '%s' (virtio-console)", port->name);
		}
		idle();
		nanosleep(i < QUICK ? &quick : &slow, NULL);
	}
}
