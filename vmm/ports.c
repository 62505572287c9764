#include "vmm/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/status_port.h"
#include "devices/unix_listener.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/target_file.h"

/* The host's end of one port. */
struct port_end {
	const struct port_settings *settings;	/* borrowed */
	unsigned index;				/* of the device's ports */
	struct chardev *chardev;
	struct status_port status;
	struct virtio_device *console;		/* it belongs to; the loop runs only then */
	int file;				/* of 'to: file=' */
	struct unix_listener listener;
	struct event_source client;		/* comes to it; watched while nobody is there */
	struct event_post closed;		/* on the main loop: who was there is forgotten */
	struct event_loop *main_loop;
	bool open;				/* somebody is there */
};

/* --- Descriptors ----------------------------------------------------------------------------- */

/* Its other end is gone, and the guest has all that came from there. */
static void hung_up(void *arg)
{
	struct port_end *end = arg;

	end->open = false;
	virtio_console_port_open(end->console, end->index, false);
}

/* Ours have FD_CLOEXEC; what was inherited has not. */
static bool was_given(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	return flags >= 0 && !(flags & FD_CLOEXEC);
}

static bool is_wrong_socket(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type != SOCK_STREAM;
}

static int open_fd(struct port_end *end, struct chardev_config *config)
{
	int fd = (int)end->settings->fd;

	if (!was_given(fd))
		return error_set(EBADF, "nobody has opened descriptor %d for Vireo", fd);
	if (is_wrong_socket(fd))
		return error_set(EPROTOTYPE, "descriptor %d is a socket of messages, and a port "
						"is a stream", fd);
	int access = fcntl(fd, F_GETFL) & O_ACCMODE;

	config->in_fd = access == O_WRONLY ? FD_NONE : fd;
	config->out_fd = access == O_RDONLY ? FD_NONE : fd;
	config->hung_up = hung_up;
	config->hung_up_arg = end;
	end->open = true;
	int r = chardev_create(&end->chardev, config);
	/* The chardev has its own; with this one open nobody else could be the last to close it. */
	fd_close(&fd);
	return r;
}

/* --- Sockets --------------------------------------------------------------------------------- */

static void wait_for_client(struct port_end *end)
{
	if (event_loop_add(end->main_loop, &end->client, EPOLLIN) < 0) {
		log_error("port '%s': nobody can connect any more: %s", end->settings->name,
			  error_text());
		error_clear();
	}
}

static void on_client(struct event_source *source, uint32_t events)
{
	struct port_end *end = container_of(source, struct port_end, client);
	int fd = unix_listener_accept(&end->listener);

	(void)events;
	if (fd == -EAGAIN)
		return;
	event_loop_remove(&end->client);
	if (fd < 0) {
		log_error("port '%s': nobody can connect any more: %s", end->settings->name,
			  error_name(-fd));
		return;
	}
	if (chardev_connect(end->chardev, fd) < 0) {
		log_warning("port '%s': %s", end->settings->name, error_text());
		error_clear();
		wait_for_client(end);
		return;
	}
	end->open = true;
	virtio_console_port_open(end->console, end->index, true);
}

/* One at a time: the next one comes when the guest knows that the last one has gone. */
static void on_closed(struct event_post *post)
{
	wait_for_client(container_of(post, struct port_end, closed));
}

static void tell_closed(void *arg)
{
	struct port_end *end = arg;

	event_loop_post(end->main_loop, &end->closed);
}

static int open_socket(struct port_end *end, struct chardev_config *config)
{
	int r = unix_listener_open(&end->listener, end->settings->socket, SOCK_STREAM,
				   "ports.NAME.socket");

	if (r < 0)
		return r;
	end->client = (struct event_source){ .fd = end->listener.fd, .fn = on_client };
	end->closed.fn = on_closed;
	config->hung_up = hung_up;
	config->hung_up_arg = end;
	return chardev_create(&end->chardev, config);
}

/* --- Targets --------------------------------------------------------------------------------- */

static int open_target(struct port_end *end, struct chardev_config *config)
{
	const struct target *to = &end->settings->to;
	int r = 0;

	switch (to->kind) {
	case TARGET_STDIO:
		config->in_fd = STDIN_FILENO;
		config->out_fd = STDOUT_FILENO;
		break;
	case TARGET_FILE:
		r = target_file_open(&end->file, to->path);
		config->out_fd = end->file;
		break;
	case TARGET_STATUS:
		config->copy = status_port_write;
		config->copy_arg = &end->status;
		break;
	case TARGET_NULL:
	case TARGET_OFF:
		break;
	}
	end->open = true;
	return r < 0 ? r : chardev_create(&end->chardev, config);
}

/* --- All of them ----------------------------------------------------------------------------- */

static int begin(struct ports *p, const struct vm_config *config, struct event_loop *main_loop)
{
	p->end = calloc(config->n_ports + 1, sizeof(*p->end));
	if (!p->end)
		return error_set(ENOMEM, "open %u ports", config->n_ports);
	for (unsigned i = 0; i < config->n_ports; i++)
		p->end[i] = (struct port_end){
			.settings = &config->port[i], .index = i + 1, .file = FD_NONE,
			.listener = UNIX_LISTENER_INIT, .main_loop = main_loop,
		};
	p->n = config->n_ports;
	return 0;
}

static struct chardev_config nowhere(struct event_loop *main_loop)
{
	return (struct chardev_config){
		.in_fd = FD_NONE, .out_fd = FD_NONE, .main_loop = main_loop,
	};
}

int ports_open(struct ports *p, const struct vm_config *config, struct event_loop *main_loop)
{
	int r = begin(p, config, main_loop);

	for (unsigned i = 0; r == 0 && i < p->n; i++) {
		struct port_end *end = &p->end[i];
		struct chardev_config chardev = nowhere(main_loop);

		r = end->settings->fd ? open_fd(end, &chardev) :
		    end->settings->socket ? open_socket(end, &chardev) :
					    open_target(end, &chardev);
		if (r < 0)
			error_add(r, "open port '%s'", end->settings->name);
	}
	return r;
}

int ports_pretend(struct ports *p, const struct vm_config *config, struct event_loop *main_loop)
{
	const struct chardev_config chardev = nowhere(main_loop);
	int r = begin(p, config, main_loop);

	for (unsigned i = 0; r == 0 && i < p->n; i++)
		r = chardev_create(&p->end[i].chardev, &chardev);
	return r;
}

void ports_describe(const struct ports *p, struct virtio_port_config *out)
{
	for (unsigned i = 0; i < p->n; i++)
		out[i] = (struct virtio_port_config){
			.name = p->end[i].settings->name,
			.chardev = p->end[i].chardev,
			.open = p->end[i].open,
			.closed = p->end[i].settings->socket ? tell_closed : NULL,
			.closed_arg = &p->end[i],
		};
}

void ports_connect(struct ports *p, struct virtio_device *console)
{
	for (unsigned i = 0; i < p->n; i++) {
		p->end[i].console = console;
		if (p->end[i].listener.fd != FD_NONE)
			wait_for_client(&p->end[i]);
	}
}

bool ports_listen(const struct ports *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->end[i].listener.fd != FD_NONE)
			return true;
	return false;
}

void ports_set_machine(struct ports *p, struct machine *m)
{
	for (unsigned i = 0; i < p->n; i++)
		p->end[i].status.machine = m;
}

void ports_drain(struct ports *p, uint64_t deadline_ms)
{
	for (unsigned i = 0; i < p->n; i++) {
		uint64_t now = clock_now_ms();

		chardev_drain(p->end[i].chardev,
			      now < deadline_ms ? (unsigned)(deadline_ms - now) : 0);
	}
}

void ports_close(struct ports *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		event_loop_remove(&p->end[i].client);
		event_loop_unpost(p->end[i].main_loop, &p->end[i].closed);
		unix_listener_close(&p->end[i].listener);
		chardev_destroy(p->end[i].chardev);
		fd_close(&p->end[i].file);
	}
	free(p->end);
	*p = (struct ports){ 0 };
}
