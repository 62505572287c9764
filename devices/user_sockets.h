/*
 * The sockets that libslirp wants watched.  It says so anew at each turn; from one turn to the next
 * most are the same, so that only what changed is told to the kernel.
 */
#ifndef DEVICES_USER_SOCKETS_H
#define DEVICES_USER_SOCKETS_H

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"

enum { USER_SOCKETS_MAX = 1024, USER_SOCKETS_CHAINS = 256 };

struct user_sockets;

/* One socket.  'next' is a slot, + 1: the next of its hash chain, or of those that are free. */
struct user_socket {
	struct event_source source;	/* fd is FD_NONE while the slot is free */
	struct user_sockets *owner;
	uint32_t wanted, ready;		/* EPOLLIN, ... */
	unsigned turn;			/* in which it was last asked for */
	unsigned next;
};

struct user_sockets {
	struct event_loop *loop;
	struct event_post *on_ready;	/* posted when any is ready; keeps */
	unsigned turn, n;
	unsigned free;			/* slot + 1 */
	unsigned chain[USER_SOCKETS_CHAINS];
	struct user_socket slot[USER_SOCKETS_MAX];
};

void user_sockets_init(struct user_sockets *s, struct event_post *on_ready);

/* A turn begins: each socket that is still wanted is asked for / the others are let go. */
void user_sockets_begin(struct user_sockets *s, struct event_loop *loop);
void user_sockets_end(struct user_sockets *s);

/* Returns a slot, or -1: there are too many, it is not watched. */
int user_sockets_want(struct user_sockets *s, int fd, uint32_t events);

/* What was seen of a slot since this was last asked. */
uint32_t user_sockets_ready(struct user_sockets *s, int slot);

/* The socket will be closed. */
void user_sockets_forget(struct user_sockets *s, int fd);

/* Watch none any more. */
void user_sockets_clear(struct user_sockets *s);

#endif
