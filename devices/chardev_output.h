/*
 * The output half of a chardev: a bounded ring in front of a host descriptor.  Whoever writes
 * tries the descriptor first when nothing waits; the rest leaves from the main loop.
 */
#ifndef DEVICES_CHARDEV_OUTPUT_H
#define DEVICES_CHARDEV_OUTPUT_H

#include <pthread.h>

#include "devices/console_tail.h"
#include "devices/host_fd.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"

enum { CHARDEV_OUTPUT_SIZE = 65536, CHARDEV_MAX_WAITERS = 64 };

struct chardev_output {
	struct host_fd host;
	struct event_loop *main_loop;	/* keeps */
	int wake_fd;			/* borrowed: chardev_output_follow shall run */
	struct event_source watch;	/* on the main loop while something waits */

	void (*copy)(void *arg, const uint8_t *buf, size_t len);	/* as in chardev.h */
	void *copy_arg;

	pthread_mutex_t lock;		/* what follows */
	struct console_tail tail;
	bool dead;			/* nobody reads it any more: discard */
	uint8_t ring[CHARDEV_OUTPUT_SIZE];
	size_t head, len;
	struct {
		struct event_loop *loop;
		struct event_post *post;
	} waiter[CHARDEV_MAX_WAITERS];
	unsigned n_waiters;
};

/*
 * Write to 'fd' (borrowed; FD_NONE discards).  'out' comes zeroed: its ring is not touched
 * before it is needed.  Returns 0 or -errno with an error chain; fini is then still to be
 * called.
 */
MUST_USE int chardev_output_init(struct chardev_output *out, int fd, struct event_loop *main_loop,
				 int wake_fd);
void chardev_output_fini(struct chardev_output *out);

/* As chardev_write, chardev_notify_room, chardev_cancel_room and chardev_drain (chardev.h). */
size_t chardev_output_write(struct chardev_output *out, const uint8_t *buf, size_t len);
void chardev_output_notify_room(struct chardev_output *out, struct event_loop *loop,
				struct event_post *post);
void chardev_output_cancel_room(struct chardev_output *out, struct event_post *post);
bool chardev_output_drain(struct chardev_output *out, unsigned timeout_ms);

/* As chardev_tail and chardev_forget_moments. */
size_t chardev_output_tail(struct chardev_output *out, void *buf, size_t size);
void chardev_output_forget_moments(struct chardev_output *out);

/* Is nobody there who reads? / Nobody is from now on: what waits is lost.  Main loop. */
bool chardev_output_is_dead(struct chardev_output *out);
void chardev_output_disconnect(struct chardev_output *out);
/* Somebody is, at 'fd' (borrowed, non-blocking).  Main loop.  Returns 0 or -errno with a chain. */
MUST_USE int chardev_output_connect(struct chardev_output *out, int fd);

/* Flush, and watch the descriptor while something is left.  Main loop. */
void chardev_output_follow(struct chardev_output *out);

#endif
