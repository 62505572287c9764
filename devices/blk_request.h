/*
 * What a chain on a block device's queue asks for.  Pure: no I/O, no queue, no device.  Framing is
 * arbitrary (virtio-v1.4 2.7.4 "Message Framing"), so that everything is taken from byte streams:
 * the header is the first 16 readable bytes, the status the last writable one, the data what
 * remains.
 *
 * virtio-v1.4 5.2.6 "Block Device", Device Operation
 */
#ifndef DEVICES_BLK_REQUEST_H
#define DEVICES_BLK_REQUEST_H

#include <sys/uio.h>

#include "virtio/chain.h"
#include "vmm/base/util.h"

enum blk_type {
	BLK_T_IN = 0,
	BLK_T_OUT = 1,
	BLK_T_FLUSH = 4,
	BLK_T_FLUSH_OUT = 5,		/* only of legacy drivers: the same */
	BLK_T_GET_ID = 8,
	BLK_T_DISCARD = 11,
	BLK_T_WRITE_ZEROES = 13,
};

enum blk_status { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };

enum {
	BLK_SECTOR = 512,
	BLK_HEADER_LEN = 16,
	BLK_SEGMENT_LEN = 16,
	BLK_ID_LEN = 20,
	BLK_MAX_SEGMENTS = 16,			/* of one discard or write zeroes */
	BLK_MAX_SEGMENT_SECTORS = 1 << 21,	/* of one of their segments: 1 GiB */
};

/* What the device allows at the moment. */
struct blk_limits {
	uint64_t capacity;		/* sectors of 512 bytes */
	uint32_t align;			/* bytes; ranges must be multiples, at least 512 */
	bool readonly;
	bool discard, write_zeroes;	/* accepted by the driver */
	bool legacy;			/* the driver did not accept VERSION_1 */
};

/* One range of a discard or write zeroes, in bytes. */
struct blk_segment {
	uint64_t offset, len;
	bool unmap;
};

struct blk_request {
	enum blk_type type;
	uint8_t *status;		/* where the answer goes; NULL: there is no room for one */
	uint64_t offset, len;		/* IN, OUT: bytes of the disk */
	struct iovec *iov;		/* IN, OUT, GET_ID: the data's memory */
	unsigned n_iov;
	uint64_t iov_len;
	unsigned n_segments;		/* DISCARD, WRITE_ZEROES */
};

enum blk_verdict {
	BLK_GO,				/* carry it out */
	BLK_ANSWER,			/* refused: '*status_out' is the answer */
	BLK_VOID,			/* no status byte: give the chain back with length 0 */
};

/*
 * Judge chain 'c', whose header and segments are copied out of guest memory once.  Trims the
 * chain's iovecs in place until they are the data alone.  'segment' has room for BLK_MAX_SEGMENTS
 * and is only touched by the types that have segments.
 */
enum blk_verdict blk_request_parse(struct blk_request *req, struct chain *c,
				   const struct blk_limits *limits, struct blk_segment *segment,
				   enum blk_status *status_out);

#endif
