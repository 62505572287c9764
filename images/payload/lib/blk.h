/*
 * Just enough of a disk driver for programs that want some traffic.  virtio-v1.4 5.2 "Block
 * Device".
 */
#ifndef PAYLOAD_BLK_H
#define PAYLOAD_BLK_H

#include "images/payload/lib/ring.h"

enum {
	BLK_IN = 0,
	BLK_OUT = 1,
	BLK_FLUSH = 4,
	BLK_GET_ID = 8,
	BLK_DISCARD = 11,
	BLK_WRITE_ZEROES = 13,

	BLK_OK = 0,
	BLK_IOERR = 1,
	BLK_UNSUPP = 2,
	BLK_PENDING = 0xee,	/* our own: the device has not written the status */

	BLK_SECTOR = 512,
};

/* Offsets in the configuration space. */
enum {
	BLK_CONFIG_CAPACITY = 0,
	BLK_CONFIG_SEG_MAX = 12,
	BLK_CONFIG_BLK_SIZE = 20,
	BLK_CONFIG_WRITEBACK = 32,
	BLK_CONFIG_N_QUEUES = 34,
	BLK_CONFIG_MAX_DISCARD = 36,
	BLK_CONFIG_MAX_ZEROES = 48,
};

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

struct blk {
	struct virtio v;
	struct ring ring;
	uint64_t features;
	uint64_t capacity;	/* sectors */
	bool uses_vectors;	/* MSI-X: 0 for the configuration, 1 for the queue */
	struct blk_header *header;	/* for blk_request */
	volatile uint8_t *status;
};

/* Find the 'nth' disk and remember it; ends the program as skipped when there is none. */
void blk_find(struct blk *b, unsigned nth);

/*
 * Reset, negotiate 'wanted', make queue 0 ('size' 0: what is offered), DRIVER_OK.  May be called
 * again. Ends the program when the device will not.
 */
void blk_open(struct blk *b, uint64_t wanted, uint16_t size);

/* Do one request with a buffer of 'len' bytes (0: none) and wait; returns the status byte. */
uint8_t blk_request(struct blk *b, uint32_t type, uint64_t sector, void *data, uint32_t len);

#endif
