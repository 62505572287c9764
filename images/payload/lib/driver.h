/*
 * A device with its queues as a driver has them, driven by polling or by interrupts.  Interrupts
 * are MSI-X where there is one, else the line.
 */
#ifndef PAYLOAD_DRIVER_H
#define PAYLOAD_DRIVER_H

#include "images/payload/lib/ring.h"

enum { DRIVER_MAX_QUEUES = 2 };

struct driver {
	struct virtio v;
	struct ring ring[DRIVER_MAX_QUEUES];
	unsigned n_queues;
	uint16_t size;			/* of queues that driver_open makes; 0: what is offered */
	uint64_t features;		/* accepted */
	bool by_interrupt;
	bool armed[DRIVER_MAX_QUEUES];	/* the next completion must bring an interrupt */
	uint64_t n_interrupts;		/* waited for since driver_open */
	struct msix msix;		/* vector 0 for the configuration, 1 for every queue */
	bool has_msix;
};

/* Find the first device of type 'id'.  False when there is none. */
bool driver_find(struct driver *d, uint32_t id);

/*
 * Reset, negotiate all of 'wanted' and what is offered of 'optional' (and, legacy, ANY_LAYOUT),
 * make the queues, DRIVER_OK.  False when the device will not.
 */
bool driver_open(struct driver *d, uint64_t wanted, uint64_t optional, unsigned n_queues,
		 bool by_interrupt);
/* Make queue 'index' with 'size' entries (0: what is offered; less if the device has less). */
bool driver_make_queue(struct driver *d, unsigned index, uint16_t size);
/* Reset the device; the queues' memory may be given back. */
void driver_close(struct driver *d);

static inline bool driver_has(const struct driver *d, unsigned bit)
{
	return d->features >> bit & 1;
}

/* Before the first buffers become available: have their completion bring an interrupt. */
void driver_arm(struct driver *d, unsigned index);
/*
 * Wait for a completion of queue 'index': its id, or -1 when it does not come, or when it is there
 * and the interrupt that was asked for does not come.  Interrupts are asked for when the ring is
 * empty, and suppressed while it is not.
 */
int driver_wait(struct driver *d, unsigned index);

/* Status 0x40 within 'wait' cycles? */
bool driver_needs_reset(struct driver *d, uint64_t wait);

#endif
