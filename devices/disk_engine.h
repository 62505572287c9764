/*
 * Who carries out disk operations without blocking the loop that asks: the kernel's io_uring
 * (disk_uring.c) or a few threads (disk_threads.c).  One engine serves one queue; all its calls and
 * callbacks happen on the loop that it was started on.
 */
#ifndef DEVICES_DISK_ENGINE_H
#define DEVICES_DISK_ENGINE_H

#include "devices/disk.h"
#include "vmm/base/event_loop.h"

struct disk_engine;
struct disk_pool;

struct disk_engine_ops {
	const char *name;
	/* Does one system call begin all that was submitted, and finish what is in the cache? */
	bool batches;
	/* Watch for completions on 'loop'.  Returns 0 or -errno with an error chain. */
	int (*start)(struct disk_engine *engine, struct event_loop *loop);
	/* Queue 'io' (keeps until complete); nothing needs to happen before kick. */
	void (*submit)(struct disk_engine *engine, struct disk_io *io);
	/* Begin all that was submitted.  Operations may complete during the call. */
	void (*kick)(struct disk_engine *engine);
	/*
	 * Begin to stop: drop what has not begun, cancel what can be.  Does not wait, and nothing
	 * but is_busy and stop may follow.  For who stops several engines: all are told before
	 * the first is waited for, so that they end side by side.
	 */
	void (*cancel)(struct disk_engine *engine);
	/* Cancelled, is something still under way that a stop would wait for? */
	bool (*is_busy)(struct disk_engine *engine);
	/*
	 * Cancel, and wait for what is under way.  On return no memory of any operation is touched
	 * any more; 'complete' is not called for what was dropped.  The wait is for single system
	 * calls that move data, of which none moves more than DISK_PIECE; a flush has no memory
	 * and ends behind our back.
	 */
	void (*stop)(struct disk_engine *engine);
	/* Must be stopped. */
	void (*destroy)(struct disk_engine *engine);
};

/* Whom an engine reports to. */
struct disk_client {
	/* 'io' is complete, see io->result.  May submit again; a kick is not needed then. */
	void (*complete)(void *owner, struct disk_io *io);
	/* All completions that there were outside of kick() have been reported: publish them. */
	void (*completed)(void *owner);
	void *owner;
};

struct disk_engine {
	const struct disk_engine_ops *ops;
	struct disk_client client;
};

/*
 * The threads that work for a disk:  DISK_POOL_THREADS for a disk without io_uring, one beside
 * io_uring for what a ring cannot do.  Made before the sandbox forbids new threads.
 */
enum { DISK_POOL_THREADS = 4 };

/* Returns 0 and an owned pool with one thread, or -errno with an error chain.  'disk' is kept. */
MUST_USE int disk_pool_create(struct disk_pool **out, struct disk *disk);
/* Have 'n' threads, at most DISK_POOL_THREADS.  Returns 0 or -errno with an error chain. */
MUST_USE int disk_pool_grow(struct disk_pool *pool, unsigned n);
/* All engines must be stopped.  NULL is fine. */
void disk_pool_destroy(struct disk_pool *pool);

/* Returns 0 and an owned engine that uses 'pool' (kept), or -errno with an error chain. */
MUST_USE int disk_threads_create(struct disk_engine **out, const struct disk_client *client,
				 struct disk_pool *pool);

/*
 * An engine with its own ring for 'n_slots' operations at once; what a ring cannot do goes to
 * 'pool' (kept).  'disk' (kept) must be one with a descriptor.
 *
 * Returns 0 and an owned engine; -ENOTSUP (built without io_uring, or the disk has an overlay),
 * -EPERM, -ENOSYS, -ENOMEM and others when the kernel refuses a ring, with an error chain.
 */
MUST_USE int disk_uring_create(struct disk_engine **out, const struct disk_client *client,
			       struct disk *disk, struct disk_pool *pool, unsigned n_slots);

#endif
