/*
 * A driver of the virtio IOMMU: requests one by one or several at once, faults, and which device is
 * which endpoint.  virtio-v1.4 5.13 "IOMMU Device"; ACPI 6.5, 5.2.34 "Virtual I/O Translation
 * Table".
 */
#ifndef PAYLOAD_IOMMU_H
#define PAYLOAD_IOMMU_H

#include <stddef.h>

#include "images/payload/lib/driver.h"

enum {
	IOMMU_ATTACH = 1,
	IOMMU_DETACH = 2,
	IOMMU_MAP = 3,
	IOMMU_UNMAP = 4,
	IOMMU_PROBE = 5,

	IOMMU_OK = 0,
	IOMMU_UNSUPP = 2,
	IOMMU_INVAL = 4,
	IOMMU_RANGE = 5,
	IOMMU_NOENT = 6,
	IOMMU_NOMEM = 8,
	IOMMU_UNTOUCHED = 0xee,		/* our own: the device has written nothing */
	IOMMU_LOST = 0xef,		/* our own: no answer came */

	IOMMU_BYPASS = 1,		/* flag of ATTACH */
	IOMMU_READ = 1,			/* flags of MAP and of faults */
	IOMMU_WRITE = 2,
	IOMMU_READ_WRITE = 3,
	IOMMU_HAS_ADDRESS = 0x100,	/* of faults */

	IOMMU_NO_DOMAIN = 1,		/* reasons */
	IOMMU_NO_MAPPING = 2,

	/* Offsets in the configuration. */
	IOMMU_CONFIG_PAGE_SIZES = 0,
	IOMMU_CONFIG_PROBE_SIZE = 32,
	IOMMU_CONFIG_BYPASS = 36,

	IOMMU_SLOTS = 64, IOMMU_SLOT_SIZE = 256, IOMMU_TAIL = 4,
	IOMMU_FAULT_SIZE = 24,
	IOMMU_NO_ENDPOINT = -1,
};

struct iommu_fault {
	uint8_t reason, reserved[3];
	uint32_t flags, endpoint, reserved1;
	uint64_t addr;
};

struct iommu {
	struct driver driver;		/* queue 0: requests, 1: events */
	uint8_t *request, *answer;	/* a slot for each id of the ring */
	struct iommu_fault *event;	/* likewise of the other ring */
};

/* Find it.  False when there is none. */
bool iommu_find(struct iommu *m);

/*
 * The endpoint that the VIOT says the device is; IOMMU_NO_ENDPOINT: not behind the IOMMU.
 * iommu_is_described: does it say that the IOMMU is where it was found?
 */
int64_t iommu_endpoint(const struct virtio *v);
bool iommu_is_described(const struct iommu *m);

/*
 * Reset, negotiate 'wanted' and all that is its own, make the queues, DRIVER_OK, give it 'n_events'
 * buffers (at most IOMMU_SLOTS).  The first time takes memory, later ones a little more.
 */
bool iommu_open(struct iommu *m, uint64_t wanted, unsigned n_events);
void iommu_add_event_buffers(struct iommu *m, unsigned n);

/* The next fault, waiting 'wait' cycles; its buffer is given back.  False when there is none. */
bool iommu_next_fault(struct iommu *m, struct iommu_fault *out, uint64_t wait);

/*
 * Send the 'len' bytes of a request with 'in_len' bytes (at most IOMMU_SLOT_SIZE, filled with
 * IOMMU_UNTOUCHED) for the answer.  Does not kick; there must be room.  Returns its id.
 */
unsigned iommu_submit(struct iommu *m, const void *request, uint32_t len, uint32_t in_len);
/* Kick. */
void iommu_publish(struct iommu *m);
/* Take an answer: its id, or -1.  The used length is in driver.ring[0].taken_len. */
int iommu_take(struct iommu *m);
static inline const uint8_t *iommu_answer(const struct iommu *m, unsigned id)
{
	return m->answer + (size_t)id * IOMMU_SLOT_SIZE;
}

/* One request, waiting for its status; IOMMU_LOST when that does not come. */
uint8_t iommu_request(struct iommu *m, const void *request, uint32_t len);
uint8_t iommu_attach(struct iommu *m, uint32_t endpoint, uint32_t domain, uint32_t flags);
uint8_t iommu_detach(struct iommu *m, uint32_t endpoint, uint32_t domain);
uint8_t iommu_map(struct iommu *m, uint32_t domain, uint64_t first, uint64_t last, uint64_t phys,
		  uint32_t flags);
uint8_t iommu_unmap(struct iommu *m, uint32_t domain, uint64_t first, uint64_t last);

/* The bytes of requests, for those who send several or bad ones. */
struct iommu_attach_request {
	uint8_t type, reserved[3];
	uint32_t domain, endpoint, flags;	/* DETACH: flags are reserved */
	uint32_t reserved1;
} __attribute__((packed));

struct iommu_map_request {
	uint8_t type, reserved[3];
	uint32_t domain;
	uint64_t first, last, phys;
	uint32_t flags;
} __attribute__((packed));

struct iommu_unmap_request {
	uint8_t type, reserved[3];
	uint32_t domain;
	uint64_t first, last;
	uint32_t reserved1;
} __attribute__((packed));

#endif
