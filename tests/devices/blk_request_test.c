/* How a block request is read, whatever way the driver cuts it into buffers. */
#include "devices/blk_request.h"

#include <criterion/criterion.h>
#include <string.h>

#include "vmm/base/iov.h"
#include "vmm/base/le.h"

enum { CAPACITY = 100, MAX_IOV = 64 };

/* A request as a driver would write it: one readable and one writable stream, cut where we like. */
struct bench {
	uint8_t out[2048], in[2048];
	struct iovec iov[2 * MAX_IOV];
	struct chain chain;
	struct blk_limits limits;
	struct blk_segment segment[BLK_MAX_SEGMENTS];
	struct blk_request req;
	enum blk_status status;
};

static struct bench b;

static void setup(void)
{
	memset(&b, 0, sizeof(b));
	b.limits = (struct blk_limits){
		.capacity = CAPACITY, .align = 512, .discard = true, .write_zeroes = true
	};
}

TestSuite(blk_request, .init = setup);

static uint16_t cut(struct iovec *iov, uint8_t *bytes, size_t len, size_t piece)
{
	uint16_t n = 0;

	for (size_t at = 0; at < len; at += piece)
		iov[n++] = (struct iovec){ bytes + at, min_u64(piece, len - at) };
	return n;
}

static void header(uint32_t type, uint64_t sector)
{
	store_le32(b.out, type);
	store_le32(b.out + 4, 0xa5a5a5a5);	/* means nothing */
	store_le64(b.out + 8, sector);
}

static enum blk_verdict parse_cut(size_t out_len, size_t out_piece, size_t in_len, size_t in_piece)
{
	b.chain = (struct chain){ .out = b.iov, .out_len = out_len, .in_len = in_len };
	b.chain.n_out = cut(b.chain.out, b.out, out_len, out_piece);
	b.chain.in = b.iov + b.chain.n_out;
	b.chain.n_in = cut(b.chain.in, b.in, in_len, in_piece);
	return blk_request_parse(&b.req, &b.chain, &b.limits, b.segment, &b.status);
}

static enum blk_verdict parse(size_t out_len, size_t in_len)
{
	return parse_cut(out_len, 4096, in_len, 4096);
}

static void segment(unsigned i, uint64_t sector, uint32_t n_sectors, uint32_t flags)
{
	uint8_t *p = b.out + BLK_HEADER_LEN + i * BLK_SEGMENT_LEN;

	store_le64(p, sector);
	store_le32(p + 8, n_sectors);
	store_le32(p + 12, flags);
}

/*
 * Guests are little-endian, legacy ones too; the layout of those that lack ANY_LAYOUT is one of the
 * framings.  covers: BLK-REQ-01 BLK-REQ-17 BLK-LEGACY-06 RING-SPLIT-LEGACY-03
 */
Test(blk_request, any_framing_of_a_read_means_the_same)
{
	static const size_t piece[] = { 33, 40, 100, 512, 513, 1025 };

	for (unsigned i = 0; i < ARRAY_SIZE(piece); i++) {
		for (size_t out_piece = 1; out_piece <= 16; out_piece++) {
			header(BLK_T_IN, 3);
			cr_assert_eq(parse_cut(16, out_piece, 1025, piece[i]), BLK_GO);
			cr_assert_eq(b.req.type, BLK_T_IN);
			cr_assert_eq(b.req.offset, 3 * 512);
			cr_assert_eq(b.req.len, 1024);
			cr_assert_eq(b.req.status, b.in + 1024);
			cr_assert_eq(iov_len(b.req.iov, b.req.n_iov), 1024);
			cr_assert_eq(b.req.iov[0].iov_base, b.in);
		}
	}
}

/* covers: BLK-REQ-01 */
Test(blk_request, any_framing_of_a_write_means_the_same)
{
	for (size_t piece = 40; piece < 600; piece += 7) {
		uint8_t first;

		header(BLK_T_OUT, 0);
		b.out[16] = 0x5a;
		cr_assert_eq(parse_cut(16 + 512, piece, 1, 1), BLK_GO);
		cr_assert_eq(iov_len(b.req.iov, b.req.n_iov), 512);
		cr_assert_eq(iov_read(b.req.iov, b.req.n_iov, 0, &first, 1), 1);
		cr_assert_eq(first, 0x5a);
		cr_assert_eq(b.req.status, b.in);
	}
}

/* covers: BLK-REQ-01 */
Test(blk_request, status_is_the_last_writable_byte_also_of_a_write)
{
	header(BLK_T_OUT, 0);
	cr_assert_eq(parse(16 + 512, 9), BLK_GO);
	cr_assert_eq(b.req.status, b.in + 8);
}

/* covers: BLK-REQ-12 */
Test(blk_request, without_a_writable_byte_there_is_no_answer)
{
	header(BLK_T_OUT, 0);
	cr_assert_eq(parse(16 + 512, 0), BLK_VOID);
	cr_assert_eq(parse(0, 0), BLK_VOID);
}

/*
 * A header that lies where the device may write is none, whatever ring it came by: it is not looked
 * at.  covers: RING-SPLIT-DESC-02 RING-PACKED-05
 */
Test(blk_request, header_in_writable_memory_is_not_read)
{
	for (size_t out = 0; out < BLK_HEADER_LEN; out += 15) {
		for (unsigned type = BLK_T_IN; type <= BLK_T_OUT; type++) {
			header(type, 3);
			memcpy(b.in, b.out + out, BLK_HEADER_LEN - out);
			cr_assert_eq(parse(out, BLK_HEADER_LEN - out + 512 + 1), BLK_ANSWER);
			cr_assert_eq(b.status, BLK_S_IOERR);
		}
	}
}

/* covers: BLK-REQ-11 */
Test(blk_request, short_header_is_an_error)
{
	for (size_t len = 0; len < BLK_HEADER_LEN; len++) {
		cr_assert_eq(parse_cut(len, 3, 1, 1), BLK_ANSWER);
		cr_assert_eq(b.status, BLK_S_IOERR);
		cr_assert_eq(b.req.status, b.in);
	}
}

/* covers: BLK-REQ-07 BLK-OP-20 BLK-LEGACY-10 */
Test(blk_request, unknown_types_are_unsupported)
{
	static const uint32_t type[] = {
		2,  3,	5,  6,	7,  9,	10, 12,	    14,		15,	    16,
		18, 20, 22, 24, 26, 27, 31, 0x1234, 0x80000000, 0x80000001, 0xffffffff,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(type); i++) {
		header(type[i], 0);
		cr_assert_eq(parse(16, 513), BLK_ANSWER);
		cr_assert_eq(b.status, BLK_S_UNSUPP, "type %u", type[i]);
	}
}

/* covers: BLK-REQ-07 */
Test(blk_request, types_that_were_not_negotiated_are_unsupported)
{
	b.limits.discard = b.limits.write_zeroes = false;
	segment(0, 0, 1, 0);
	header(BLK_T_DISCARD, 0);
	cr_assert_eq(parse(32, 1), BLK_ANSWER);
	cr_assert_eq(b.status, BLK_S_UNSUPP);
	header(BLK_T_WRITE_ZEROES, 0);
	cr_assert_eq(parse(32, 1), BLK_ANSWER);
	cr_assert_eq(b.status, BLK_S_UNSUPP);
}

/* covers: BLK-REQ-08 */
Test(blk_request, range_beyond_the_disk_is_an_error)
{
	static const struct {
		uint64_t sector;
		size_t len;
		enum blk_verdict verdict;
	} row[] = {
		{ 0, 1024, BLK_GO },
		{ CAPACITY - 2, 1024, BLK_GO },
		{ CAPACITY - 1, 1024, BLK_ANSWER },
		{ CAPACITY, 512, BLK_ANSWER },
		{ UINT64_C(1) << 55, 512, BLK_ANSWER },
		{ (UINT64_C(1) << 55) + 1, 512, BLK_ANSWER },
		{ UINT64_MAX, 512, BLK_ANSWER },
		{ UINT64_MAX - 1, 1024, BLK_ANSWER },
		{ UINT64_MAX / 512 + 1, 512, BLK_ANSWER },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
		header(BLK_T_IN, row[i].sector);
		cr_assert_eq(parse(16, row[i].len + 1), row[i].verdict, "row %u", i);
		header(BLK_T_OUT, row[i].sector);
		cr_assert_eq(parse(16 + row[i].len, 1), row[i].verdict, "row %u", i);
		if (row[i].verdict == BLK_ANSWER)
			cr_assert_eq(b.status, BLK_S_IOERR);
	}
}

/* covers: BLK-REQ-09 BLK-REQ-10 BLK-REQ-13 */
Test(blk_request, data_is_some_whole_sectors_in_the_right_direction)
{
	header(BLK_T_IN, 0);
	cr_assert_eq(parse(16, 513 + 1), BLK_ANSWER);
	cr_assert_eq(b.status, BLK_S_IOERR);
	cr_assert_eq(parse(16, 1), BLK_ANSWER);
	cr_assert_eq(b.status, BLK_S_IOERR);
	header(BLK_T_OUT, 0);
	cr_assert_eq(parse(16 + 511, 1), BLK_ANSWER);
	cr_assert_eq(b.status, BLK_S_IOERR);
	cr_assert_eq(parse(16, 513), BLK_ANSWER);
	cr_assert_eq(b.status, BLK_S_IOERR);
}

Test(blk_request, direct_disks_want_their_alignment)
{
	b.limits.align = 1024;
	header(BLK_T_IN, 1);
	cr_assert_eq(parse(16, 1025), BLK_ANSWER);
	cr_assert_eq(b.status, BLK_S_IOERR);
	header(BLK_T_IN, 2);
	cr_assert_eq(parse(16, 513), BLK_ANSWER);
	cr_assert_eq(parse(16, 1025), BLK_GO);
}

/* covers: BLK-OP-03 BLK-OP-04 BLK-REQ-18 */
Test(blk_request, readonly_disk_refuses_whatever_changes_it)
{
	static const uint32_t type[] = { BLK_T_OUT, BLK_T_DISCARD, BLK_T_WRITE_ZEROES };

	b.limits.readonly = true;
	b.limits.discard = b.limits.write_zeroes = false;
	for (unsigned i = 0; i < ARRAY_SIZE(type); i++) {
		header(type[i], 0);
		cr_assert_eq(parse(16 + 512, 1), BLK_ANSWER);
		cr_assert_eq(b.status, BLK_S_IOERR);
	}
	header(BLK_T_IN, 0);
	cr_assert_eq(parse(16, 513), BLK_GO);
	header(BLK_T_FLUSH, 0);
	cr_assert_eq(parse(16, 1), BLK_GO);
}

/* covers: BLK-REQ-17 */
Test(blk_request, flush_ignores_its_sector)
{
	header(BLK_T_FLUSH, UINT64_MAX);
	cr_assert_eq(parse(16, 1), BLK_GO);
	cr_assert_eq(b.req.type, BLK_T_FLUSH);
}

/* covers: BLK-LEGACY-07 */
Test(blk_request, flush_of_old_is_a_flush_for_legacy_drivers_alone)
{
	header(BLK_T_FLUSH_OUT, 7);
	cr_assert_eq(parse(16, 1), BLK_ANSWER);
	cr_assert_eq(b.status, BLK_S_UNSUPP);
	b.limits.legacy = true;
	cr_assert_eq(parse(16, 1), BLK_GO);
	cr_assert_eq(b.req.type, BLK_T_FLUSH);
	cr_assert_eq(b.req.n_segments, 0);
	b.limits.readonly = true;
	cr_assert_eq(parse(16, 1), BLK_GO);
}

/* covers: BLK-REQ-04 BLK-REQ-15 */
Test(blk_request, segments_are_read_from_any_framing)
{
	for (size_t piece = 5; piece < 70; piece++) {
		header(BLK_T_WRITE_ZEROES, 0);
		segment(0, 1, 2, 1);
		segment(1, 2, 0, 0);
		segment(2, CAPACITY - 1, 1, 0);
		cr_assert_eq(parse_cut(16 + 48, piece, 1, 1), BLK_GO);
		cr_assert_eq(b.req.n_segments, 3);
		cr_assert_eq(b.segment[0].offset, 512);
		cr_assert_eq(b.segment[0].len, 1024);
		cr_assert(b.segment[0].unmap);
		cr_assert_eq(b.segment[1].len, 0);
		cr_assert_eq(b.segment[2].offset, (CAPACITY - 1) * 512);
		cr_assert_not(b.segment[2].unmap);
	}
}

/* covers: BLK-REQ-14 */
Test(blk_request, bad_segment_lists_are_errors)
{
	static const size_t len[] = { 0, 1, 15, 17, 31, (BLK_MAX_SEGMENTS + 1) * BLK_SEGMENT_LEN };
	static const struct {
		uint64_t sector;
		uint32_t n;
	} range[] = {
		{ 0, CAPACITY + 1 },   { CAPACITY, 1 },	     { UINT64_MAX, 1 },
		{ UINT64_C(1) << 55, 1 }, { 0, UINT32_MAX }, { 1, UINT32_MAX },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		header(BLK_T_DISCARD, 0);
		cr_assert_eq(parse(16 + len[i], 1), BLK_ANSWER);
		cr_assert_eq(b.status, BLK_S_IOERR, "length %zu", len[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(range); i++) {
		header(BLK_T_DISCARD, 0);
		segment(0, 0, 1, 0);
		segment(1, range[i].sector, range[i].n, 0);
		cr_assert_eq(parse(16 + 32, 1), BLK_ANSWER);
		cr_assert_eq(b.status, BLK_S_IOERR, "range %u", i);
	}
}

/* covers: BLK-OP-05 BLK-OP-06 */
Test(blk_request, unknown_flags_are_unsupported)
{
	static const struct {
		uint32_t type, flags;
	} row[] = {
		{ BLK_T_DISCARD, 1 },
		{ BLK_T_DISCARD, 2 },
		{ BLK_T_DISCARD, 0x80000000 },
		{ BLK_T_WRITE_ZEROES, 2 },
		{ BLK_T_WRITE_ZEROES, 3 },
		{ BLK_T_WRITE_ZEROES, 0x80000001 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
		header(row[i].type, 0);
		segment(0, UINT64_MAX, 1, 0);
		segment(1, 0, 1, row[i].flags);
		cr_assert_eq(parse(16 + 32, 1), BLK_ANSWER);
		cr_assert_eq(b.status, BLK_S_UNSUPP, "row %u", i);
	}
}
