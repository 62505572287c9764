/*
 * A second description of what a device's registers do: facts since the last reset and the rules
 * that lead from one to the next, without transports, eventfds or datapaths.  It is kept apart
 * from virtio/ on purpose and knows none of its types.
 *
 * The device has two queues of MODEL_QUEUE_SIZE and offers CSUM (bit 0), VERSION_1, RING_RESET and
 * SUSPEND at its modern window, CSUM at its legacy one.
 */
#ifndef TESTS_REGISTER_MODEL_H
#define TESTS_REGISTER_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum { MODEL_QUEUES = 2, MODEL_QUEUE_SIZE = 16 };

enum {
	MODEL_CSUM = 1u << 0,
	MODEL_MAC = 1u << 5,		/* low word; is not offered */
	MODEL_VERSION_1 = 1u << 0,	/* these are in the second word */
	MODEL_RING_RESET = 1u << 8,
	MODEL_SUSPEND = 1u << 11,
};

enum model_owner { MODEL_NOBODY, MODEL_MODERN, MODEL_LEGACY };

struct model_queue {
	uint32_t size;			/* 0: refused */
	uint32_t pfn;
	bool live, was_reset;
	bool waits;			/* made live while the device ran without access to memory */
	bool nowhere;			/* its address is not in memory */
};

struct register_model {
	uint32_t word[2];		/* as the driver wrote them */
	uint32_t taken[2];		/* as they were sealed */
	bool beyond;			/* a bit was written that no word has */
	enum model_owner owner;		/* who sealed */
	bool ack, driver, features_ok, driver_ok, failed, broken, suspended;
	bool runs;
	bool master;			/* may reach memory; not reset */
	bool kicked_early;		/* while it might not */
	struct model_queue queue[MODEL_QUEUES];
};

enum model_op_kind {
	OP_STATUS,			/* value */
	OP_FEATURES,			/* index: which word; value */
	OP_SIZE,			/* index: which queue; value */
	OP_NOWHERE,			/* index, value: 1 to point it out of memory, 0 into it */
	OP_ENABLE,			/* index */
	OP_READY_0,			/* index; virtio-mmio */
	OP_QUEUE_RESET,			/* index */
	OP_KICK,			/* index */
	OP_LEGACY_STATUS,
	OP_LEGACY_FEATURES,		/* value */
	OP_LEGACY_PFN,			/* index, value */
	OP_LEGACY_SIZE,			/* index, value; virtio-mmio */
	OP_LEGACY_KICK,			/* index */
	OP_MASTER,			/* value: Bus Master Enable; virtio-pci */
	OP_FAIL,			/* the device breaks */
};

struct model_op {
	enum model_op_kind kind;
	uint32_t index, value;
};

/* A page number that is not in memory. */
enum { MODEL_PFN_NOWHERE = 0xfffff };

void register_model_init(struct register_model *m);
void register_model_step(struct register_model *m, const struct model_op *op);

uint8_t register_model_status(const struct register_model *m);

#endif
