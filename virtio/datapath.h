/*
 * Who moves the buffers of a device: this process (datapath_local.h), kernel vhost (vhost/), later
 * vhost-user or vDPA.  All receive the same struct at start, so that switching is one option.
 */
#ifndef VIRTIO_DATAPATH_H
#define VIRTIO_DATAPATH_H

#include "virtio/features.h"
#include "virtio/virtqueue.h"
#include "vmm/base/util.h"
#include "vmm/machine/dma.h"

struct datapath;

/* One queue as it was configured by the driver, handed over at start. */
struct datapath_queue {
	unsigned index;			/* the device's number for it; for messages */
	bool enabled;			/* the driver enabled it; others have no ring */
	uint16_t size;
	uint64_t desc, driver, device;
	int kick_fd;			/* borrowed */
	struct virtqueue_call call;
	/* Go on where another datapath stopped; else the ring is fresh. */
	bool resume;
	struct virtqueue_position position;	/* of 'resume' */
};

struct datapath_start {
	struct features features;	/* accepted */
	const struct dma *dma;
	const struct datapath_queue *queue;	/* borrowed during start */
	unsigned n_queues;
};

/* What a datapath tells of itself for reports. */
enum { DATAPATH_MAX_WORKERS = 64 };

struct datapath_account {
	bool says;			/* another moves the buffers, and said what he serves: */
	struct features said;		/* VHOST_GET_FEATURES */
	int worker[DATAPATH_MAX_WORKERS];	/* thread ids of the host */
	unsigned n_workers;
};

struct datapath_ops {
	/* Which ring and header bits it can serve; the device offers no others (N13). */
	struct features (*features)(struct datapath *dp);
	/*
	 * Optional: what of the accepted set whoever moves the buffers is told (N12), and beside
	 * it what only the two of them know; pure.  Without it: all that was accepted.  'dma' says
	 * whether the device is behind an IOMMU (N15).
	 */
	struct features (*tell)(struct datapath *dp, struct features accepted,
				const struct dma *dma);
	/*
	 * Optional: why 'bit', which the driver took, was not told at the last start: a constant
	 * of 63 characters at most.  NULL: it was, or nothing was started yet.
	 */
	const char *(*untold)(struct datapath *dp, unsigned bit);
	/*
	 * Optional, both: the driver took this set, and whoever moves the buffers may refuse it
	 * (N25): 0, or -errno with an error chain; it waits for 100 ms at most, and who has not
	 * answered by then can still refuse the start / the session is over, whether it was started
	 * (and is stopped) or not.  Machine lock held.
	 */
	int (*agree)(struct datapath *dp, struct features accepted, const struct dma *dma);
	void (*forget)(struct datapath *dp);
	/*
	 * Take the rings over.  Returns 0, or -errno with an error chain: nothing has started
	 * then.  Machine lock held.
	 */
	int (*start)(struct datapath *dp, const struct datapath_start *start);
	/*
	 * Give the rings back: on return nothing is in flight and no memory of the guest is
	 * touched any more.  Fine when not started.  Machine lock held.  It waits for what the
	 * host has in progress, unless that was seen to end before:
	 */
	void (*stop)(struct datapath *dp);
	/*
	 * Optional, both, for one queue of a datapath that was started: a stop is wanted: take no
	 * more buffers, ask the host to give up what is in progress / would a stop not have to
	 * wait now?
	 */
	void (*prepare_stop)(struct datapath *dp, unsigned queue);
	bool (*can_stop)(struct datapath *dp, unsigned queue);
	/*
	 * The same for one queue ('queue' counts from the datapath's first), while the others go
	 * on.  start_queue is for one that does not run, in a datapath that does; 'start' is as
	 * for start.  stop_queue is fine for one that does not run.
	 */
	int (*start_queue)(struct datapath *dp, const struct datapath_start *start,
			   unsigned queue);
	void (*stop_queue)(struct datapath *dp, unsigned queue);
	/*
	 * Optional: where the ring of 'queue' stood when it was stopped last, for another datapath
	 * to go on.  Returns false if that is not known (it broke, or never ran).  Stopped.
	 */
	bool (*position)(struct datapath *dp, unsigned queue, struct virtqueue_position *out);
	/*
	 * Take no more buffers, let those that are in progress be used / is nothing in progress
	 * any more? / go on where it was; a failure of that is reported by 'fail'.  Between start
	 * and stop.  A suspended datapath that is quiet touches no ring and no memory, and sends
	 * nothing; it may be stopped, and a start begins unsuspended.  None of the three waits for
	 * the host.
	 */
	void (*suspend)(struct datapath *dp);
	bool (*is_quiet)(struct datapath *dp);
	void (*resume)(struct datapath *dp);
	/*
	 * If it is this process that moves the buffers: add what was counted at 'queue' ('queue'
	 * counts from the datapath's first) since the datapath was made.  Control path, machine
	 * lock held, also while it runs.
	 */
	void (*stats)(struct datapath *dp, unsigned queue, struct queue_stats *sum);
	/*
	 * Optional: where the ring of 'queue' is.  Returns false if it does not run.  Machine lock
	 * held.
	 */
	bool (*look)(struct datapath *dp, unsigned queue, struct virtqueue_look *out);
	/* Optional: fill in 'out', which is zeroed. */
	void (*account)(struct datapath *dp, struct datapath_account *out);
	void (*destroy)(struct datapath *dp);
};

struct datapath {
	const struct datapath_ops *ops;
	const char *name;		/* for reports: "in process", "/dev/vhost-net" */
	/*
	 * Set by the device before start: a ring broke ('fault') or a back end died
	 * (VQ_FAULT_NONE). 'queue' is the device's number.  Any thread, between start and the
	 * return of stop; the reason is a string constant.
	 */
	void (*fail)(void *arg, unsigned queue, enum vq_fault fault, const char *reason);
	void *fail_arg;
	bool is_started;		/* by those below */
};

/*
 * For who implements one: how 'start' ends, with what it returns.  With 'r' of 0 the datapath is
 * started; else 'undo' ends what has begun, and the error chain stays that of 'r'.
 */
MUST_USE int datapath_end_start(struct datapath *dp, int r, void (*undo)(struct datapath *dp));

/* How 'stop' begins.  Returns whether there is anything to stop. */
bool datapath_begin_stop(struct datapath *dp);

#endif
