/* Judging a block request.  Mistakes are answered in band: none ever breaks the device. */
#include "devices/blk_request.h"

#include <stdatomic.h>
#include <string.h>

#include "vmm/base/iov.h"
#include "vmm/base/le.h"

enum { FLAG_UNMAP = 1 };

/* Take the first 'len' bytes off a list that has them. */
static void trim_front(struct iovec **iov, uint16_t *n, size_t len)
{
	while (*n > 0 && len >= (*iov)->iov_len) {
		len -= (*iov)->iov_len;
		(*iov)++;
		(*n)--;
	}
	if (len > 0) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + len;
		(*iov)->iov_len -= len;
	}
}

/* Take the last byte off a list that has one, and tell where it is. */
static uint8_t *trim_last_byte(struct iovec *iov, uint16_t *n)
{
	struct iovec *last;
	uint8_t *byte;

	while (iov[*n - 1].iov_len == 0)
		(*n)--;
	last = &iov[*n - 1];
	byte = (uint8_t *)last->iov_base + --last->iov_len;
	if (last->iov_len == 0)
		(*n)--;
	return byte;
}

static enum blk_status judge_range(uint64_t sector, uint64_t n_sectors,
				   const struct blk_limits *limits)
{
	uint64_t align = limits->align / BLK_SECTOR;

	/* Capacity in bytes fits 64 bits, so nothing that passes here overflows later. */
	if (!range_inside(sector, n_sectors, limits->capacity))
		return BLK_S_IOERR;
	return (sector | n_sectors) & (align - 1) ? BLK_S_IOERR : BLK_S_OK;
}

/* IN and OUT: some data, whole sectors, inside the disk. */
static enum blk_status judge_transfer(struct blk_request *req, uint64_t sector,
				      const struct blk_limits *limits)
{
	if (req->iov_len == 0 || req->iov_len % BLK_SECTOR)
		return BLK_S_IOERR;
	req->offset = sector * BLK_SECTOR;
	req->len = req->iov_len;
	return judge_range(sector, req->len / BLK_SECTOR, limits);
}

/* The flags of all segments come first: an unknown flag may change what the rest means. */
static enum blk_status judge_flags(const struct blk_request *req, const uint8_t *wire)
{
	uint32_t known = req->type == BLK_T_WRITE_ZEROES ? FLAG_UNMAP : 0;

	for (unsigned i = 0; i < req->n_segments; i++)
		if (load_le32(wire + i * BLK_SEGMENT_LEN + 12) & ~known)
			return BLK_S_UNSUPP;
	return BLK_S_OK;
}

static enum blk_status judge_segments(struct blk_request *req, const struct chain *c,
				      const struct blk_limits *limits, struct blk_segment *segment)
{
	uint8_t wire[BLK_MAX_SEGMENTS * BLK_SEGMENT_LEN];
	enum blk_status status;

	if (c->out_len == 0 || c->out_len % BLK_SEGMENT_LEN || c->out_len > sizeof(wire))
		return BLK_S_IOERR;
	req->n_segments = (unsigned)(iov_read(c->out, c->n_out, 0, wire, c->out_len) /
				     BLK_SEGMENT_LEN);
	status = judge_flags(req, wire);
	for (unsigned i = 0; i < req->n_segments && status == BLK_S_OK; i++) {
		const uint8_t *p = wire + i * BLK_SEGMENT_LEN;
		uint64_t sector = load_le64(p);
		uint32_t n_sectors = load_le32(p + 8);

		if (n_sectors > BLK_MAX_SEGMENT_SECTORS)
			return BLK_S_IOERR;
		status = judge_range(sector, n_sectors, limits);
		segment[i] = (struct blk_segment){
			.offset = sector * BLK_SECTOR,
			.len = (uint64_t)n_sectors * BLK_SECTOR,
			.unmap = load_le32(p + 12) & FLAG_UNMAP,
		};
	}
	return status;
}

static bool changes_disk(uint32_t type)
{
	return type == BLK_T_OUT || type == BLK_T_DISCARD || type == BLK_T_WRITE_ZEROES;
}

static enum blk_status judge(struct blk_request *req, const struct chain *c, uint32_t type,
			     uint64_t sector, const struct blk_limits *limits,
			     struct blk_segment *segment)
{
	bool is_out = type == BLK_T_OUT;

	/* virtio-v1.4 5.2.6.5 "Legacy Interface: Device Operation" */
	if (limits->legacy && type == BLK_T_FLUSH_OUT)
		type = BLK_T_FLUSH;
	/* virtio-v1.4 5.2.6.2: also when the driver did not accept RO. */
	if (limits->readonly && changes_disk(type))
		return BLK_S_IOERR;
	req->type = (enum blk_type)type;
	req->iov = is_out ? c->out : c->in;
	req->n_iov = is_out ? c->n_out : c->n_in;
	req->iov_len = is_out ? c->out_len : c->in_len;

	switch (type) {
	case BLK_T_IN:
	case BLK_T_OUT:
		return judge_transfer(req, sector, limits);
	case BLK_T_FLUSH:
	case BLK_T_GET_ID:
		return BLK_S_OK;
	case BLK_T_DISCARD:
		if (!limits->discard)
			return BLK_S_UNSUPP;
		return judge_segments(req, c, limits, segment);
	case BLK_T_WRITE_ZEROES:
		if (!limits->write_zeroes)
			return BLK_S_UNSUPP;
		return judge_segments(req, c, limits, segment);
	default:
		return BLK_S_UNSUPP;
	}
}

/* In one piece, as drivers give it, or however it is cut. */
static bool read_header(uint8_t header[BLK_HEADER_LEN], const struct chain *c)
{
	if (c->n_out > 0 && c->out->iov_len >= BLK_HEADER_LEN) {
		memcpy(header, c->out->iov_base, BLK_HEADER_LEN);
		/* As in chain.c: one load, then only the copy. */
		atomic_signal_fence(memory_order_seq_cst);
		return true;
	}
	return iov_read(c->out, c->n_out, 0, header, BLK_HEADER_LEN) == BLK_HEADER_LEN;
}

enum blk_verdict blk_request_parse(struct blk_request *req, struct chain *c,
				   const struct blk_limits *limits, struct blk_segment *segment,
				   enum blk_status *status_out)
{
	uint8_t header[BLK_HEADER_LEN];

	*req = (struct blk_request){ 0 };
	*status_out = BLK_S_IOERR;
	if (c->in_len == 0)
		return BLK_VOID;
	req->status = trim_last_byte(c->in, &c->n_in);
	c->in_len--;
	if (!read_header(header, c))
		return BLK_ANSWER;
	trim_front(&c->out, &c->n_out, sizeof(header));
	c->out_len -= sizeof(header);

	/* 'reserved' at 4 has no meaning. */
	*status_out = judge(req, c, load_le32(header), load_le64(header + 8), limits, segment);
	return *status_out == BLK_S_OK ? BLK_GO : BLK_ANSWER;
}
