/*
 * The channel on which a vhost-user back end asks: that its configuration space changed.  It may
 * say what it likes there, as often as it likes; a turn of the main loop looks at one message, and
 * what is none is the end of the channel.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "vhost/vhost_user_impl.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"
#include "vmm/base/log.h"

/* Whether it reads the answer is its own affair: nobody waits. */
static void answer(struct vhost_user *u, const struct vhost_user_message *m, bool done)
{
	struct vhost_user_message reply = {
		.request = m->request,
		.flags = VHOST_USER_VERSION | VHOST_USER_IS_REPLY,
		.len = 8,
	};

	store_le64(reply.payload, !done);
	if (vhost_user_send(u->back, &reply, 0) < 0)
		vhost_user_back_close(u);
}

static void on_message(struct event_source *source, uint32_t events)
{
	struct vhost_user *u = container_of(source, struct vhost_user, back_source);
	struct vhost_user_message m;
	int r = vhost_user_read(&u->back_reader, u->back, &m);
	bool is_known;

	(void)events;
	if (r == -EAGAIN)
		return;
	if (r < 0) {
		if (r == -EPROTO)
			log_warning("%s: what its back end asks makes no sense", u->name);
		vhost_user_back_close(u);
		return;
	}
	vhost_user_close_fds(&m);
	is_known = m.request == VHOST_USER_BACKEND_CONFIG_CHANGE_MSG;
	if (is_known)
		vhost_user_link_refresh(u);
	if (m.flags & VHOST_USER_NEEDS_REPLY)
		answer(u, &m, is_known);
}

int vhost_user_back_open(struct vhost_user *u, int *theirs)
{
	int pair[2];

	*theirs = FD_NONE;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return error_set(errno, "create the back end's channel");
	u->back = pair[0];
	*theirs = pair[1];
	return 0;
}

int vhost_user_back_watch(struct vhost_user *u)
{
	u->back_source.fd = u->back;
	u->back_source.fn = on_message;
	return event_loop_add(u->main, &u->back_source, EPOLLIN);
}

void vhost_user_back_close(struct vhost_user *u)
{
	event_loop_remove(&u->back_source);
	vhost_user_reader_clear(&u->back_reader);
	fd_close(&u->back);
}
