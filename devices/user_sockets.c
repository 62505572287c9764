#include "devices/user_sockets.h"

#include <string.h>
#include <sys/epoll.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

static void on_event(struct event_source *source, uint32_t events)
{
	struct user_socket *socket = container_of(source, struct user_socket, source);

	socket->ready |= events;
	event_loop_post(source->loop, socket->owner->on_ready);
}

void user_sockets_init(struct user_sockets *s, struct event_post *on_ready)
{
	memset(s, 0, sizeof(*s));
	s->on_ready = on_ready;
	for (unsigned i = USER_SOCKETS_MAX; i > 0; i--) {
		struct user_socket *socket = &s->slot[i - 1];

		socket->source = (struct event_source){ .fd = FD_NONE, .fn = on_event };
		socket->owner = s;
		socket->next = s->free;
		s->free = i;
	}
}

static unsigned *chain_of(struct user_sockets *s, int fd)
{
	return &s->chain[(unsigned)fd % USER_SOCKETS_CHAINS];
}

/* Where the slot + 1 of 'fd' stands, or the 0 at the end of its chain. */
static unsigned *find(struct user_sockets *s, int fd)
{
	unsigned *link = chain_of(s, fd);

	while (*link && s->slot[*link - 1].source.fd != fd)
		link = &s->slot[*link - 1].next;
	return link;
}

static void release(struct user_sockets *s, unsigned *link)
{
	unsigned number = *link;
	struct user_socket *socket = &s->slot[number - 1];

	event_loop_remove(&socket->source);
	*link = socket->next;
	socket->source.fd = FD_NONE;
	socket->ready = 0;
	socket->next = s->free;
	s->free = number;
	s->n--;
}

void user_sockets_begin(struct user_sockets *s, struct event_loop *loop)
{
	s->loop = loop;
	s->turn++;
}

void user_sockets_end(struct user_sockets *s)
{
	unsigned left = s->n;

	for (unsigned i = 0; left > 0; i++) {
		if (s->slot[i].source.fd == FD_NONE)
			continue;
		left--;
		if (s->slot[i].turn != s->turn)
			release(s, find(s, s->slot[i].source.fd));
	}
}

static unsigned take_slot(struct user_sockets *s, int fd, uint32_t events)
{
	unsigned number = s->free, *chain = chain_of(s, fd);
	struct user_socket *socket = number ? &s->slot[number - 1] : NULL;

	if (!socket)
		return 0;
	socket->source.fd = fd;
	if (event_loop_add(s->loop, &socket->source, events) < 0) {
		error_clear();
		socket->source.fd = FD_NONE;
		return 0;
	}
	s->free = socket->next;
	socket->next = *chain;
	*chain = number;
	s->n++;
	return number;
}

int user_sockets_want(struct user_sockets *s, int fd, uint32_t events)
{
	unsigned number = *find(s, fd);

	if (!number)
		number = take_slot(s, fd, events);
	else if (s->slot[number - 1].wanted != events)
		event_loop_modify(&s->slot[number - 1].source, events);
	if (!number)
		return -1;
	s->slot[number - 1].wanted = events;
	s->slot[number - 1].turn = s->turn;
	return (int)number - 1;
}

uint32_t user_sockets_ready(struct user_sockets *s, int slot)
{
	uint32_t ready = s->slot[slot].ready;

	s->slot[slot].ready = 0;
	return ready;
}

void user_sockets_forget(struct user_sockets *s, int fd)
{
	unsigned *link = find(s, fd);

	if (*link)
		release(s, link);
}

void user_sockets_clear(struct user_sockets *s)
{
	for (unsigned i = 0; s->n > 0; i++)
		if (s->slot[i].source.fd != FD_NONE)
			release(s, find(s, s->slot[i].source.fd));
}
