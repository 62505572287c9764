/*
 * The host end of a console: bytes from and to a terminal, a file, a pipe, or nowhere.  Output
 * never blocks: what the reader of our output does not take yet waits in a bounded buffer that
 * the main loop flushes, and the writer is told how much was taken.  A reader that is gone
 * swallows everything.  One chardev can serve several guest consoles; input goes to the one
 * attached last.
 */
#ifndef DEVICES_CHARDEV_H
#define DEVICES_CHARDEV_H

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"

struct chardev;

/* A guest console.  Embedded in its owner. */
struct chardev_reader {
	/*
	 * Input, on the main loop, no lock of the chardev held and the machine lock not held.
	 * Returns how many bytes were taken; the rest is offered again after
	 * chardev_reader_ready().
	 */
	size_t (*input)(struct chardev_reader *reader, const uint8_t *buf, size_t len);
	struct chardev_reader *next;
};

struct chardev_config {
	int in_fd, out_fd;		/* borrowed; FD_NONE for none */
	struct event_loop *main_loop;	/* keeps */
	/*
	 * Optional: sees input first (the escape key), also while the guest takes none; returns
	 * how many bytes are left in 'buf'.  On the main loop, no lock held.
	 */
	size_t (*filter)(void *arg, uint8_t *buf, size_t len);
	void *filter_arg;
	const char *name;		/* for the event log; keeps; NULL: not in it */
	/*
	 * Optional: gets a copy of all output that was taken, in order, also where nobody reads it.
	 * Any thread, a lock of the chardev held: it must not wait.
	 */
	void (*copy)(void *arg, const uint8_t *buf, size_t len);
	void *copy_arg;
	/*
	 * Optional, where 'in_fd' and 'out_fd' are one: nobody is at the other end any more, and a
	 * reader has taken all that came from there.  Both descriptors are closed.  Once, on the
	 * main loop, no lock held.
	 */
	void (*hung_up)(void *arg);
	void *hung_up_arg;
};

/*
 * Serve a pair of descriptors.  They may be blocking and shared with other processes; their
 * flags are left alone.  End of input is not an error.  SIGPIPE must be ignored.
 *
 * Returns 0 and an owned chardev, or -errno with an error chain.  Main thread, or before the
 * loop runs.
 */
MUST_USE int chardev_create(struct chardev **out, const struct chardev_config *config);

/*
 * Somebody new is at the other end, of one that hung up or never had anybody: read from and write
 * to 'fd', a non-blocking socket (consumed, also on failure).  Main loop.  Returns 0 or -errno with
 * an error chain: nobody is there still.
 */
MUST_USE int chardev_connect(struct chardev *chardev, int fd);

/* What is still buffered is lost (chardev_drain).  NULL is fine.  Main thread. */
void chardev_destroy(struct chardev *chardev);

/*
 * Write.  Returns how many bytes were taken; fewer than 'len' only when the reader of our
 * output is slow and the buffer is full.  Any thread.
 */
size_t chardev_write(struct chardev *chardev, const void *buf, size_t len);

/*
 * After a short write: post 'post' to 'loop' once, when there is room again (at once if there is).
 * chardev_cancel_room forgets 'post' unless it has been posted already.  Any thread.
 */
void chardev_notify_room(struct chardev *chardev, struct event_loop *loop, struct event_post *post);
void chardev_cancel_room(struct chardev *chardev, struct event_post *post);

/*
 * Make 'reader' (kept) the receiver of input / give that back to the one before.  Detaching
 * waits for an input() of this reader that is under way on the main loop: who detaches on
 * another thread holds no lock that this reader's input() takes.  Any thread.
 */
void chardev_attach(struct chardev *chardev, struct chardev_reader *reader);
void chardev_detach(struct chardev *chardev, struct chardev_reader *reader);

/* The reader can take input again.  Any thread. */
void chardev_reader_ready(struct chardev *chardev);

/*
 * The last 'size' bytes that were written, or as many as are kept (console_tail.h); returns how
 * many.  The second has the moments that are noted of a boot noted again.  Any thread.
 */
size_t chardev_tail(struct chardev *chardev, void *buf, size_t size);
void chardev_forget_moments(struct chardev *chardev);

/*
 * Wait until everything written has left, at most 'timeout_ms'; returns whether it has.  Main
 * thread, loop not running.
 */
bool chardev_drain(struct chardev *chardev, unsigned timeout_ms);

#endif
