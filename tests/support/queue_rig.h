/*
 * One virtqueue, split or packed, with a driver's ring in front of it and nothing around it: the
 * test is device and driver.  Each check that fails ends the test.
 */
#ifndef TESTS_QUEUE_RIG_H
#define TESTS_QUEUE_RIG_H

#include "tests/support/fake_ring.h"

struct queue_rig {
	struct fake_machine *machine;
	struct fake_ring ring;
	struct virtqueue *q;		/* NULL until queue_rig_make */
	int call_fd;
};

void queue_rig_init(struct queue_rig *rig);
void queue_rig_fini(struct queue_rig *rig);

/*
 * A fresh queue in place of the one that is there, its areas from 'addr' on.  VERSION_1, and
 * RING_PACKED as the layout says, are added to 'features'; with EVENT_IDX the driver follows it.
 */
void queue_rig_make(struct queue_rig *rig, enum fake_layout layout, uint16_t size,
		    struct features features, uint64_t addr);

/* Does virtqueue_create take 'config'?  Its result; the queue is gone again. */
int queue_rig_try(const struct virtqueue_config *config);

/* The device takes a chain / finds none / answers one, visibly. */
struct chain queue_rig_pop(struct queue_rig *rig);
void queue_rig_expect_empty(struct queue_rig *rig);
void queue_rig_use(struct queue_rig *rig, const struct chain *c, uint32_t written);

/* The driver finds the next used entry, which names 'name'. */
void queue_rig_expect_used(struct queue_rig *rig, uint16_t name, uint32_t written);

#endif
