/*
 * One vhost node and its rings: the ladder up and the ladder down.
 *
 *   open   GET_FEATURES, SET_OWNER, GET and SET_BACKEND_FEATURES: once, when the device is made
 *   up     SET_FEATURES, SET_MEM_TABLE, what the type has to add; per ring NUM, BASE, ADDR, ERR,
 *          CALL, KICK; run; a kick each
 *   down   halt; per ring GET_VRING_BASE, then KICK, CALL and ERR are taken away
 *
 * It is always in that order, whatever the device is.  What differs from one device to another
 * (how it is run and halted, which bits it is told) is struct vhost_type.  A datapath of one or
 * more nodes is vhost_datapath.h.
 *
 * The kernel moves the buffers; nothing of ours is on the way, but for one thing: a call that has
 * to set an interrupt status bit, too (virtio-mmio), goes through an eventfd that the device's
 * I/O loop relays.  The same loop hears when the kernel finds a ring broken.
 *
 * Control path, machine lock held, unless it says otherwise.
 */
#ifndef VHOST_VHOST_H
#define VHOST_VHOST_H

#include "vhost/iotlb.h"
#include "vhost/vhost_features.h"
#include "vhost/vhost_ops.h"
#include "virtio/datapath.h"
#include "vmm/base/event_loop.h"

enum { VHOST_MAX_RINGS = 66, VHOST_MAX_WORKERS = 4 };

struct vhost;
struct vhost_ring;

/*
 * How rings are connected.  A device runs each ring on its own (attach and detach: vhost-net), or
 * all of them at once (run and halt).  attach and run return 0 or -errno with an error chain;
 * detach and halt return only when the kernel touches no memory for the ring(s) any more, or
 * -errno without a chain if it cannot promise that.  Where that can take long, halt can be begun,
 * without a wait, and looked at; nothing else is asked of the node before halt has ended it.
 */
struct vhost_type {
	enum vhost_kind kind;
	/* Optional: what is to be said before the first ring.  Returns 0 or -errno with a chain. */
	int (*prepare)(struct vhost *v, const struct datapath_start *start);
	int (*attach)(struct vhost *v, unsigned ring);
	int (*detach)(struct vhost *v, unsigned ring);
	int (*run)(struct vhost *v);
	void (*begin_halt)(struct vhost *v);		/* optional, both */
	bool (*is_halted)(const struct vhost *v);
	int (*halt)(struct vhost *v);
	bool runs_in_part;		/* 'run' does not wait for rings that are down */
	bool comes_back;		/* there can be another node when this one failed */
	/*
	 * Optional, for a kernel that says "ring error" of single requests, too: it does so of this
	 * ring, which need not be broken.  I/O loop, for each time.
	 */
	void (*doubt)(struct vhost_ring *ring);
};

struct vhost_ring {
	struct vhost *vhost;
	unsigned index;			/* of the node */
	unsigned device_index;
	bool up, attached;
	bool ends;			/* it is about to go down: nobody has it run again */
	struct virtqueue_call call;
	int kick_fd;			/* borrowed, while up */
	int err_fd, relay_fd;		/* for life */
	struct event_source err, relay;
	bool doubted;			/* and that was said; the loop's */
	struct vhost_ring_addr addr;	/* as it was set last */
	struct dma_hold hold[3];	/* of its areas, the used ring's last */
	bool has_position;
	struct virtqueue_position position;
};

struct vhost {
	struct vhost_node *node;	/* owned; NULL: it failed for good, or is to come back */
	const struct vhost_type *type;
	void *arg;			/* of the type */
	char name[40];			/* "/dev/vhost-net": for messages */
	struct event_loop *loop;
	struct features kernel;		/* VHOST_GET_FEATURES */
	uint64_t backend;		/* VHOST_SET_BACKEND_FEATURES */
	unsigned poll_us;
	bool cannot_poll;		/* the kernel does not know how; it was said */
	pid_t worker[VHOST_MAX_WORKERS];
	unsigned n_workers;

	bool started, running;
	bool halting;			/* begun, and not ended */
	bool paused, suspended;		/* each keeps it from running */
	bool packed;			/* this session's rings */
	struct features told;		/* without VHOST_F_LOG_ALL */
	struct vhost_terms terms;
	const struct dma *dma;		/* while started */
	struct vhost_iotlb iotlb;	/* of 'dma', where that is translated */
	void *log;			/* the dirty bitmap, or NULL */
	uint64_t log_bytes;
	/* A ring broke, or the host did something: any thread; set by the owner. */
	void (*fail)(void *arg, unsigned device_index, const char *reason);
	void *fail_arg;
	unsigned n_rings;
	struct vhost_ring ring[VHOST_MAX_RINGS];
};

struct vhost_config {
	const char *name;		/* "/dev/vhost-net": for messages */
	struct vhost_node *node;	/* consumed, also on failure */
	const struct vhost_type *type;
	void *arg;
	unsigned n_rings;
	struct event_loop *loop;	/* I/O loop; keeps */
	unsigned poll_us;		/* it looks for more so long before it sleeps; 0: not */
	bool only_look;			/* never started: the node gets no owner and no thread */
	void (*fail)(void *arg, unsigned device_index, const char *reason);
	void *fail_arg;
};

/*
 * Ask the node what it offers, and make it ours.  Returns 0 and an owned vhost, or -errno with an
 * error chain.
 */
MUST_USE int vhost_create(struct vhost **out, const struct vhost_config *config);
/* Stop and close.  NULL is fine. */
void vhost_destroy(struct vhost *v);

/*
 * The node is gone: what is left of it is put away, without a word to it.  It can have another one
 * (consumed, also on failure), which is made ours.  Returns 0 or -errno with an error chain.
 */
void vhost_lose(struct vhost *v);
MUST_USE int vhost_renew(struct vhost *v, struct vhost_node *node);

/* Which ring and header bits the device may offer (N13); of another process those of its type. */
struct features vhost_served(const struct vhost *v);

/*
 * N14: does the node serve all of 'accepted' that it must?  Returns 0 or -EOPNOTSUPP with an error
 * chain.
 */
MUST_USE int vhost_judge_features(const struct vhost *v, struct features accepted);

/* What the node is told of 'accepted' by a start with 'dma' / why it is not told of 'bit'. */
struct features vhost_tell(const struct vhost *v, struct features accepted, const struct dma *dma);
const char *vhost_untold(const struct vhost *v, unsigned bit, const struct dma *dma);

/*
 * Up the ladder.  'start->queue' are the node's rings, n_rings at most; those that are not enabled
 * stay down.  A type that runs all rings at once runs when all are up.  Returns 0 or -errno with an
 * error chain: -EINVAL if the driver's configuration cannot be.  Nothing is left of it then.
 */
MUST_USE int vhost_start(struct vhost *v, const struct datapath_start *start);
/* Down.  Fine when not started. */
void vhost_stop(struct vhost *v);

/* The same for one ring of a node that was started. */
MUST_USE int vhost_start_ring(struct vhost *v, const struct datapath_start *start, unsigned ring);
void vhost_stop_ring(struct vhost *v, unsigned ring);

/*
 * Have the ring take no more buffers: it is still up, and does not run again, whatever else
 * happens: a stop follows.  That does not have to wait once the node is quiet: nothing of a ring
 * that shall not run is in flight then.  Where all rings run at once, none does before that stop.
 */
void vhost_end_ring(struct vhost *v, unsigned ring);
bool vhost_is_quiet(struct vhost *v);

/*
 * Have no ring take buffers / go on, with a kick each.  It stays so over starts and stops.  Returns
 * 0 or -errno with an error chain.
 */
MUST_USE int vhost_pause(struct vhost *v, bool paused);

/*
 * The same for the time between this start and its stop (datapath.h).  The first does not wait; the
 * second is for a node that is quiet, -EBUSY else.
 */
void vhost_suspend(struct vhost *v);
MUST_USE int vhost_resume(struct vhost *v);

/* Where the ring stood when it went down.  False if that is not known. */
bool vhost_position(const struct vhost *v, unsigned ring, struct virtqueue_position *out);

/*
 * Keep a dirty bitmap: a bit per 4096 bytes of guest memory from address 0 on, set by whatever
 * vhost writes, used rings included.  For a node that was started; what was noted can be read
 * after a stop, too.  'bitmap' is zeroed, and owned by the node, until vhost_log_stop or the next
 * start; whoever reads it takes bits by atomic exchange.  'fd' is an eventfd that is signalled
 * with writes, or FD_NONE.
 *
 * Returns 0 or -errno with an error chain; it goes on without a bitmap then.
 */
MUST_USE int vhost_log_start(struct vhost *v, int fd, uint64_t **bitmap, uint64_t *n_words);
void vhost_log_stop(struct vhost *v);

#endif
