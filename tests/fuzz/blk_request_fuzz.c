/*
 * Any chain, framed in any way, as a block request.  Each piece of the chain is memory of its
 * own, so that the sanitizer sees a byte too far; the oracle reads the chain as two byte streams,
 * as virtio-v1.4 5.2.6 does, and knows nothing of pieces.
 */
#include <string.h>

#include "devices/blk_request.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/base/iov.h"

enum { MAX_PIECES = 24, MAX_PIECE = 4096, MAX_STREAM = MAX_PIECES * MAX_PIECE };

struct world {
	struct iovec iov[MAX_PIECES];	/* readable ones, then writable ones */
	struct iovec kept[MAX_PIECES];	/* the same, before the parse trims */
	struct chain c;
	struct blk_limits limits;
	uint8_t out[MAX_STREAM];	/* the readable stream */
	size_t out_len, in_len;
};

static struct iovec make_piece(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	/* Small ones, those around a header, whole sectors, and anything. */
	size_t len = how < 0x40 ? how + 1u : how < 0x60 ? (how & 31) + 1 :
		     how < 0xc0 ? 512u * ((how & 7) + 1) : fuzz_u16(in) % MAX_PIECE + 1;
	uint8_t *p = malloc(len);

	CHECK(p);
	memset(p, 0, len);
	return (struct iovec){ p, len };
}

static void fill(struct world *w, struct fuzz_input *in)
{
	static const uint8_t types[] = {
		BLK_T_IN, BLK_T_OUT, BLK_T_FLUSH, BLK_T_GET_ID, BLK_T_DISCARD, BLK_T_WRITE_ZEROES,
		2, 14,
	};
	uint8_t how = fuzz_u8(in);
	uint8_t *p = w->out;

	/* A header that means something, mostly, then segments or whatever follows. */
	store_le32(p, how & 0x80 ? fuzz_u32(in) : types[how & 7]);
	store_le64(p + 8, how & 0x40 ? fuzz_u64(in) : fuzz_u16(in));
	for (size_t i = BLK_HEADER_LEN; i + BLK_SEGMENT_LEN <= w->out_len && in->len > 0;
	     i += BLK_SEGMENT_LEN) {
		uint8_t s = fuzz_u8(in);
		store_le64(p + i, s & 0x80 ? fuzz_u64(in) : fuzz_u16(in));
		store_le32(p + i + 8, s & 0x40 ? fuzz_u32(in) : s & 15);
		store_le32(p + i + 12, s & 0x20 ? fuzz_u32(in) : s >> 4 & 1);
	}
	for (size_t i = 0, at = 0; i < w->c.n_out; i++) {
		memcpy(w->iov[i].iov_base, p + at, w->iov[i].iov_len);
		at += w->iov[i].iov_len;
	}
}

static void create(struct world *w, struct fuzz_input *in)
{
	static const uint32_t aligns[] = { 512, 512, 1024, 4096 };
	uint8_t flags = fuzz_u8(in);

	memset(w, 0, sizeof(*w));
	w->limits = (struct blk_limits){
		.capacity = flags & 0x40 ? fuzz_u64(in) >> 9 : 1u << (flags & 0x0f),
		.align = aligns[flags >> 4 & 3],
		.readonly = flags & 0x80,
	};
	flags = fuzz_u8(in);
	w->limits.discard = flags & 1;
	w->limits.write_zeroes = flags & 2;
	unsigned n_out = (flags >> 2) % (MAX_PIECES / 2), n_in = fuzz_u8(in) % (MAX_PIECES / 2);
	for (unsigned i = 0; i < n_out + n_in; i++) {
		w->iov[i] = make_piece(in);
		*(i < n_out ? &w->out_len : &w->in_len) += w->iov[i].iov_len;
	}
	w->c = (struct chain){
		.out = w->iov, .n_out = (uint16_t)n_out, .out_len = w->out_len,
		.in = w->iov + n_out, .n_in = (uint16_t)n_in, .in_len = w->in_len,
	};
	fill(w, in);
	memcpy(w->kept, w->iov, sizeof(w->kept));
}

/* Byte 'at' of a list as it was before the parse. */
static uint8_t *byte_at(const struct iovec *iov, size_t at)
{
	while (at >= iov->iov_len)
		at -= (iov++)->iov_len;
	return (uint8_t *)iov->iov_base + at;
}

/* The list that is left is bytes [first, first + len) of the list that there was. */
static void check_rest(const struct iovec *left, unsigned n, size_t left_len,
		       const struct iovec *was, size_t first, size_t len)
{
	size_t at = 0;

	CHECK(left_len == len);
	for (unsigned i = 0; i < n; i++) {
		if (left[i].iov_len == 0)
			continue;
		CHECK(left[i].iov_len <= len - at);
		CHECK(left[i].iov_base == byte_at(was, first + at));
		CHECK((uint8_t *)left[i].iov_base + left[i].iov_len - 1 ==
		      byte_at(was, first + at + left[i].iov_len - 1));
		at += left[i].iov_len;
	}
	CHECK(at == len);
}

static bool is_range(const struct blk_limits *l, uint64_t sector, uint64_t n)
{
	uint64_t align = l->align / 512;

	return sector <= l->capacity && n <= l->capacity - sector && sector % align == 0 &&
	       n % align == 0;
}

static enum blk_status expect_segments(const struct world *w, uint32_t type)
{
	size_t len = w->out_len - BLK_HEADER_LEN;
	const uint8_t *p = w->out + BLK_HEADER_LEN;
	enum blk_status status = BLK_S_OK;

	if (len == 0 || len % BLK_SEGMENT_LEN || len / BLK_SEGMENT_LEN > BLK_MAX_SEGMENTS)
		return BLK_S_IOERR;
	for (size_t i = 0; i < len; i += BLK_SEGMENT_LEN) {
		uint32_t flags = load_le32(p + i + 12), n = load_le32(p + i + 8);
		if (flags & ~(type == BLK_T_WRITE_ZEROES ? 1u : 0u))
			return BLK_S_UNSUPP;
		if (n > BLK_MAX_SEGMENT_SECTORS || !is_range(&w->limits, load_le64(p + i), n))
			status = BLK_S_IOERR;
	}
	return status;
}

/* The answer, by the words of the specification and of blk_request.h. */
static enum blk_status expect(const struct world *w, uint32_t type)
{
	size_t data = type == BLK_T_OUT ? w->out_len - BLK_HEADER_LEN : w->in_len - 1;
	bool changes = type == BLK_T_OUT || type == BLK_T_DISCARD || type == BLK_T_WRITE_ZEROES;

	if (changes && w->limits.readonly)
		return BLK_S_IOERR;
	switch (type) {
	case BLK_T_IN: case BLK_T_OUT:
		return data > 0 && data % 512 == 0 &&
				       is_range(&w->limits, load_le64(w->out + 8), data / 512) ?
			       BLK_S_OK : BLK_S_IOERR;
	case BLK_T_FLUSH: case BLK_T_GET_ID:
		return BLK_S_OK;
	case BLK_T_DISCARD:
		return w->limits.discard ? expect_segments(w, type) : BLK_S_UNSUPP;
	case BLK_T_WRITE_ZEROES:
		return w->limits.write_zeroes ? expect_segments(w, type) : BLK_S_UNSUPP;
	default:
		return BLK_S_UNSUPP;
	}
}

static void check_go(const struct world *w, const struct blk_request *req,
		     const struct blk_segment *segment)
{
	const uint8_t *p = w->out + BLK_HEADER_LEN;

	CHECK(req->type == load_le32(w->out));
	if (req->type == BLK_T_IN || req->type == BLK_T_OUT) {
		CHECK(req->offset == load_le64(w->out + 8) * 512 && req->len == req->iov_len);
		CHECK(req->offset / 512 + req->len / 512 <= w->limits.capacity);
	}
	if (req->type == BLK_T_OUT)
		check_rest(req->iov, req->n_iov, req->iov_len, w->kept, BLK_HEADER_LEN,
			   w->out_len - BLK_HEADER_LEN);
	if (req->type == BLK_T_IN || req->type == BLK_T_GET_ID)
		check_rest(req->iov, req->n_iov, req->iov_len, w->kept + (w->c.in - w->iov), 0,
			   w->in_len - 1);
	if (req->type != BLK_T_DISCARD && req->type != BLK_T_WRITE_ZEROES)
		return;
	CHECK(req->n_segments == (w->out_len - BLK_HEADER_LEN) / BLK_SEGMENT_LEN);
	for (unsigned i = 0; i < req->n_segments; i++, p += BLK_SEGMENT_LEN)
		CHECK(segment[i].offset == load_le64(p) * 512 &&
		      segment[i].len == (uint64_t)load_le32(p + 8) * 512 &&
		      segment[i].unmap == (load_le32(p + 12) & 1));
}

static void check(struct world *w)
{
	/* Memory of its own, for a segment too many to show. */
	struct blk_segment *segment = calloc(BLK_MAX_SEGMENTS, sizeof(*segment));
	struct blk_request req;
	enum blk_status status;
	unsigned n_out = w->c.n_out;
	enum blk_verdict verdict = blk_request_parse(&req, &w->c, &w->limits, segment, &status);

	if (w->in_len == 0) {
		CHECK(verdict == BLK_VOID);
	} else {
		CHECK(req.status == byte_at(w->kept + n_out, w->in_len - 1));
		if (w->out_len < BLK_HEADER_LEN)
			CHECK(verdict == BLK_ANSWER && status == BLK_S_IOERR);
		else
			CHECK(status == expect(w, load_le32(w->out)));
		CHECK(verdict == (status == BLK_S_OK ? BLK_GO : BLK_ANSWER));
	}
	if (verdict == BLK_GO)
		check_go(w, &req, segment);
	free(segment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct world w;
	struct fuzz_input in = { data, len };

	create(&w, &in);
	check(&w);
	for (unsigned i = 0; i < MAX_PIECES; i++)
		free(w.kept[i].iov_base);
	return 0;
}
