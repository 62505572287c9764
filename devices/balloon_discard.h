/*
 * Giving a guest's pages back to the host: page frames by the list, and buffers.  What is not RAM,
 * named twice, smaller than a page of the host, or held (guest_memory_hold) is skipped; a host that
 * refuses is told of once, and the guest does not notice.
 */
#ifndef DEVICES_BALLOON_DISCARD_H
#define DEVICES_BALLOON_DISCARD_H

#include <stdatomic.h>

#include "vmm/base/util.h"
#include "vmm/machine/guest_memory.h"

enum { BALLOON_PAGE_SHIFT = 12, BALLOON_PAGE = 1 << BALLOON_PAGE_SHIFT };

struct balloon_discard {
	const char *name;			/* of the device, for messages */
	const struct guest_memory *memory;	/* set before use; keeps */
	atomic_bool told;			/* that the host refuses */
	atomic_bool useless;			/* it always will */
	_Atomic uint64_t bytes;			/* given back so far */
};

/*
 * Discard the pages with these frame numbers (guest address / 4096).  The array is sorted, so that
 * neighbours go back in one piece.  Frames of one call only are taken together: a page that an
 * earlier request named may be in use again.  Owner loop.
 */
void balloon_discard_frames(struct balloon_discard *d, uint32_t *frame, unsigned n);

/* Discard what lies in [host, host + len), mapped guest memory of one region.  Owner loop. */
void balloon_discard_buffer(struct balloon_discard *d, const void *host, uint64_t len);

#endif
