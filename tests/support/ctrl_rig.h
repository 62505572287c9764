/*
 * A network device (net_rig.h) with a driver in front that keeps buffers in its receive rings and
 * sends commands.  Everything that fails here ends the test.
 */
#ifndef TESTS_CTRL_RIG_H
#define TESTS_CTRL_RIG_H

#include "tests/support/net_rig.h"

enum {
	CTRL_RIG_PAIRS = 2,		/* at most: the rig has five queues */
	CTRL_RIG_BUFFERS = 8,		/* in each receive ring */
	CTRL_RIG_BUFFER = 2048,
	CTRL_RIG_LOST = -1,		/* no queue got the frame */
};

struct ctrl_rig {
	struct net_rig net;
	unsigned n_pairs;		/* of the device */
	unsigned n_open;		/* of this session */
	unsigned ctrl;			/* index of the control queue */
	uint64_t buffer[CTRL_RIG_PAIRS][RIG_QUEUE_SIZE];	/* of the chain with that head */
	uint64_t command, ack;		/* guest memory */
	uint8_t received[CTRL_RIG_BUFFER];	/* the last frame, header first */
	uint32_t received_len;
};

void ctrl_rig_create(struct ctrl_rig *rig, unsigned n_pairs, enum fake_transport how);
void ctrl_rig_destroy(struct ctrl_rig *rig);

/* Negotiate, all queues of the layout that follows, DRIVER_OK, buffers. */
void ctrl_rig_start(struct ctrl_rig *rig, struct features features);
/* The offered features, without bit 'without' (FEATURE_NONE: all). */
struct features ctrl_rig_features(struct ctrl_rig *rig, unsigned without);
void ctrl_rig_start_without(struct ctrl_rig *rig, unsigned without);

/* Send a command of 'len' bytes of data; its ack: 0 OK, 1 ERR. */
uint8_t ctrl_rig_command(struct ctrl_rig *rig, uint8_t class, uint8_t command, const void *data,
			size_t len);
/* A chain of the driver's own making; returns the used length. */
uint32_t ctrl_rig_chain(struct ctrl_rig *rig, const struct fake_buf *buf, unsigned n);

/*
 * A frame arrives at the peer's pair 'at'.  Returns the pair whose driver got it, in 'received', or
 * CTRL_RIG_LOST.
 */
int ctrl_rig_receive(struct ctrl_rig *rig, unsigned at, const void *frame, size_t len);
/* The same for a frame of 64 bytes to 'mac', without a tag, at pair 0: did it arrive? */
bool ctrl_rig_gets(struct ctrl_rig *rig, const uint8_t mac[6]);

#endif
