/*
 * A vhost node that stands in for the kernel's: it writes each request down as a line, answers as
 * told, and can fail any one of them.  It moves no buffers; the test plays that part on the rings
 * that it was given.
 */
#ifndef TESTS_FAKE_VHOST_H
#define TESTS_FAKE_VHOST_H

#include <pthread.h>
#include <stdatomic.h>

#include "vhost/vhost_ops.h"

enum { FAKE_VHOST_RINGS = 4, FAKE_VHOST_LINES = 256, FAKE_VHOST_NODES = 8 };

struct fake_vhost_ring {
	unsigned size;
	uint32_t base;
	struct vhost_ring_addr addr;
	int kick, call, err;		/* FD_NONE: none */
	int backend;			/* net */
};

/* What the test wants, and what it got; shared by all nodes that it opens. */
struct fake_vhost {
	struct features features;	/* VHOST_GET_FEATURES */
	uint64_t backend_features;
	bool has_backend_features;	/* else -ENOTTY */
	uint64_t cids_taken;		/* vsock: bit i: CID i is in use */
	unsigned fail_at;		/* this request fails (from 1); 0: none */
	int fail_with;			/* -errno; 0: -EIO */
	int open_fails;			/* -errno; 0: opens */
	bool cannot_poll;		/* -ENOTTY */
	int scsi_abi;			/* 1 */
	atomic_bool commands_hang;	/* SCSI_CLEAR_ENDPOINT does not return before it is false */
	struct vhost_memory_table memory;	/* as it was set last */

	int miss_fd;			/* of its nodes; FD_NONE */
	struct vhost_iotlb_message miss;	/* what read_iotlb gives next; size 0: nothing */
	unsigned miss_again;		/* so many times more */

	pthread_mutex_t lock;		/* of what was asked: not all is asked by one thread */
	bool is_clearing;		/* nothing else may be asked */
	unsigned n_requests;
	char line[FAKE_VHOST_LINES][96];
	unsigned n_lines;
	unsigned n_open;		/* nodes that are open now */
	unsigned n_opened;
	struct features told;		/* VHOST_SET_FEATURES */
	const void *log;
	bool running;			/* vsock, scsi */
	struct fake_vhost_ring ring[FAKE_VHOST_NODES][FAKE_VHOST_RINGS];
};

/* What a usual kernel's vhost-net, vhost-vsock, vhost-scsi says. */
struct features fake_vhost_net_features(void);
struct features fake_vhost_vsock_features(void);
struct features fake_vhost_scsi_features(void);

/* What is opened from now on belongs to 'fake', which is made ready and kept. */
void fake_vhost_init(struct fake_vhost *fake, struct features features);

/* For the configurations' 'open'. */
int fake_vhost_open(struct vhost_node **out, const char *path);

/*
 * Did exactly these requests come since the last call?  One per line in 'expected', which ends with
 * a line's end; else the test ends with both.
 */
void fake_vhost_expect(struct fake_vhost *fake, const char *expected);
/* Forget what came. */
void fake_vhost_clear(struct fake_vhost *fake);
/* Was there a line that contains 'text'? */
bool fake_vhost_saw(const struct fake_vhost *fake, const char *text);

#endif
