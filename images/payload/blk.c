/*
 * The disk: data arrives, however it is cut into descriptors; every request that cannot be is
 * answered; nothing is answered twice.  The disk is 1 MiB or more and may be written from sector
 * 8 on; with the option "marker" its first bytes are "VIREO DISK" and "GUEST WAS HERE" is left
 * in sector 8.  "readonly" says that it is; "served", that it is another process's; "rounds=N"
 * are N writes and reads, and nothing else.  virtio-v1.4 5.2.6 "Device Operation".
 */
#include "images/payload/lib/blk.h"
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/print.h"
#include "virtio/features.h"

enum { BLOCK = 4096 };

static struct blk disk;
static uint8_t *a, *b;		/* 16 blocks each */

static void fill(uint8_t *p, uint32_t len, uint8_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

static bool has(unsigned bit)
{
	return disk.features >> bit & 1;
}

/* Add pieces, kick, wait; returns the used length. */
static uint32_t submit(const struct piece *p, unsigned n_out, unsigned n_in, unsigned n_direct)
{
	int head = ring_add_indirect(&disk.ring, p, n_out, n_in, n_direct);

	ring_publish(&disk.ring);
	check_equal((uint64_t)ring_wait(&disk.ring), (uint64_t)head, "head of the completion");
	return disk.ring.taken_len;
}

static struct piece header(uint32_t type, uint64_t sector)
{
	*disk.header = (struct blk_header){ .type = type, .sector = sector };
	*disk.status = BLK_PENDING;
	return (struct piece){ disk.header, sizeof(*disk.header) };
}

/* covers: BLK-REQ-01 BLK-REQ-02 BLK-REQ-06 BLK-REQ-17 CORE-VQ-02 */
static void plain_requests(void)
{
	struct piece w[] = { header(BLK_OUT, 64), { a, BLOCK }, { (void *)disk.status, 1 } };
	struct piece r[] = { w[0], { b, BLOCK }, { (void *)disk.status, 1 } };

	fill(a, BLOCK, 1);
	check_equal(submit(w, 2, 1, 3), 1, "used length of a write");
	check_equal(*disk.status, BLK_OK, "status of a write");
	header(BLK_IN, 64);
	disk.header->reserved = 0xdeadbeef;
	check_equal(submit(r, 1, 2, 3), BLOCK + 1, "used length of a read");
	check_equal(*disk.status, BLK_OK, "status of a read");
	check(memcmp(a, b, BLOCK) == 0, "what was read is not what was written");
	check_equal(blk_request(&disk, BLK_FLUSH, 12345, NULL, 0), BLK_OK, "status of a flush");
}

/*
 * The header in three pieces, the data in uneven ones, the status behind data in one piece.
 * covers: RING-SPLIT-FRAME-01
 */
static void odd_framing(unsigned n_direct)
{
	uint8_t *h = (uint8_t *)disk.header;
	struct piece w[] = {
		{ h, 1 }, { h + 1, 7 }, { h + 8, 8 }, { a, 1 }, { a + 1, 1022 }, { a + 1023, 1 },
		{ a + 1024, 2048 }, { (void *)disk.status, 1 },
	};
	struct piece r[] = {
		{ h, 15 }, { h + 15, 1 }, { b, 511 }, { b + 511, 2 }, { b + 513, 2560 }
	};

	fill(a, 3072, (uint8_t)(n_direct + 3));
	header(BLK_OUT, 80);
	check_equal(submit(w, 7, 1, n_direct), 1, "used length of a cut write");
	check_equal(*disk.status, BLK_OK, "status of a cut write");
	header(BLK_IN, 80);
	memset(b, BLK_PENDING, 3073);
	/* 3072 bytes of data and the status share the last piece. */
	check_equal(submit(r, 2, 3, n_direct < 5 ? n_direct : 5), 3073,
		    "used length of a cut read");
	check_equal(b[3072], BLK_OK, "status behind the data");
	check(memcmp(a, b, 3072) == 0, "data of a cut read");

	/* Header and data of a write in one piece. */
	memcpy(b, &(struct blk_header){ .type = BLK_OUT, .sector = 88 }, 16);
	fill(b + 16, 1024, 9);
	*disk.status = BLK_PENDING;
	submit((struct piece[]){ { b, 1040 }, { (void *)disk.status, 1 } }, 1, 1, 2);
	check_equal(*disk.status, BLK_OK, "status of a write in one piece");
	check_equal(blk_request(&disk, BLK_IN, 88, a, 1024), BLK_OK, "status of a read");
	check(memcmp(a, b + 16, 1024) == 0, "data of a write in one piece");
}

/*
 * The first pieces in the ring itself, the others in a table; QEMU takes only tables that are
 * alone. covers: RING-SPLIT-IND-02 RING-SPLIT-IND-03
 */
static void indirect_framing(void)
{
	unsigned end = option_given("qemu") ? 1 : 5;

	if (!has(VIRTIO_F_INDIRECT_DESC))
		return;
	for (unsigned n_direct = 0; n_direct < end; n_direct++)
		odd_framing(n_direct);
}

/* covers: BLK-REQ-05 BLK-REQ-16 */
static void get_id(void)
{
	memset(a, 0xee, 64);
	check_equal(blk_request(&disk, BLK_GET_ID, 0, a, 20), BLK_OK, "status of get-id");
	check(a[20] == 0xee, "get-id wrote past its 20 bytes");
	a[20] = '\0';
	print("id '%s'\n", (const char *)a);
}

struct segment {
	uint64_t sector;
	uint32_t n_sectors, flags;
};

/* covers: BLK-REQ-04 BLK-OP-05 BLK-OP-06 BLK-OP-09 BLK-REQ-14 */
static void discard_and_zeroes(void)
{
	struct segment *s = (struct segment *)a;

	if (has(VIRTIO_BLK_F_WRITE_ZEROES)) {
		fill(b, BLOCK, 5);
		blk_request(&disk, BLK_OUT, 128, b, BLOCK);
		*s = (struct segment){ 129, 2, 0 };
		check_equal(blk_request(&disk, BLK_WRITE_ZEROES, 0, s, 16), BLK_OK,
			    "status of write-zeroes");
		blk_request(&disk, BLK_IN, 128, b, BLOCK);
		check(b[0] == 5 && b[511] != 0, "write-zeroes reached before its range");
		for (unsigned i = 512; i < 1536; i++)
			check(b[i] == 0, "byte %u is not zero", i);
		check(b[1536 + 1] != 0, "write-zeroes reached past its range");
		*s = (struct segment){ 128, 1, 2 };
		check_equal(blk_request(&disk, BLK_WRITE_ZEROES, 0, s, 16), BLK_UNSUPP,
			    "write-zeroes with an unknown flag");
		*s = (struct segment){ disk.capacity, 1, 0 };
		check_equal(blk_request(&disk, BLK_WRITE_ZEROES, 0, s, 16), BLK_IOERR,
			    "write-zeroes past the end");
	}
	if (has(VIRTIO_BLK_F_DISCARD)) {
		*s = (struct segment){ 256, 64, 0 };
		check_equal(blk_request(&disk, BLK_DISCARD, 0, s, 16), BLK_OK, "status of discard");
		*s = (struct segment){ 256, 64, 1 };
		check_equal(blk_request(&disk, BLK_DISCARD, 0, s, 16), BLK_UNSUPP,
			    "discard with the unmap flag");
		*s = (struct segment){ ~0ull - 1, 64, 0 };
		check_equal(blk_request(&disk, BLK_DISCARD, 0, s, 16), BLK_IOERR,
			    "discard of a range that wraps");
	}
}

/* covers: BLK-REQ-07 BLK-REQ-08 BLK-REQ-09 BLK-REQ-13 */
static void refused_requests(void)
{
	struct piece wrong_way[] = { { disk.header, 16 }, { a, 512 }, { (void *)disk.status, 1 } };

	check_equal(blk_request(&disk, 99, 0, a, 512), BLK_UNSUPP, "status of an unknown type");
	check_equal(blk_request(&disk, BLK_IN, disk.capacity, a, 512), BLK_IOERR,
		    "read past the end");
	check_equal(blk_request(&disk, BLK_IN, disk.capacity - 1, a, 1024), BLK_IOERR,
		    "read across the end");
	check_equal(blk_request(&disk, BLK_IN, ~0ull, a, 512), BLK_IOERR,
		    "read at the last sector number");
	check_equal(blk_request(&disk, BLK_IN, 1ull << 55, a, 512), BLK_IOERR,
		    "sector times 512 wraps");
	check_equal(blk_request(&disk, BLK_OUT, disk.capacity, a, 512), BLK_IOERR,
		    "write past the end");
	check_equal(blk_request(&disk, BLK_IN, 0, a, 511), BLK_IOERR, "read of 511 bytes");
	header(BLK_OUT, 0);
	check(submit(wrong_way, 1, 2, 3) <= 513, "used length of a write into the guest");
	check_equal(*disk.status, BLK_IOERR, "a write whose data the device may only write");
}

/*
 * A buffer that cannot be answered comes back; the device may also ask for a reset.
 * covers: BLK-REQ-11 BLK-REQ-12 RING-SPLIT-FRAME-04
 */
static void hopeless_requests(void)
{
	struct piece no_status[] = { header(BLK_IN, 0) };
	struct piece short_header[] = { { disk.header, 8 }, { (void *)disk.status, 1 } };

	ring_add(&disk.ring, no_status, 1, 0);
	ring_publish(&disk.ring);
	check(WAIT_UNTIL(ring_take(&disk.ring) >= 0 ||
			 (virtio_status(&disk.v) & VIRTIO_STATUS_NEEDS_RESET), WAIT_LONG),
	      "a request without a status byte is ignored");
	blk_open(&disk, disk.features, 0);
	ring_add(&disk.ring, short_header, 1, 1);
	ring_publish(&disk.ring);
	check(WAIT_UNTIL(ring_take(&disk.ring) >= 0 ||
			 (virtio_status(&disk.v) & VIRTIO_STATUS_NEEDS_RESET), WAIT_LONG),
	      "a request with half a header is ignored");
	blk_open(&disk, disk.features, 0);
}

/* Many at once, each with a pattern of its own.  covers: RING-SPLIT-USED-07 */
static void many_in_flight(void)
{
	enum { N = 16 };
	struct blk_header *h = heap_alloc(N * sizeof(*h), 16);
	uint8_t *status = heap_alloc(N, 1);
	unsigned n_done = 0;

	for (unsigned i = 0; i < N; i++)
		fill(a + i * BLOCK, BLOCK, (uint8_t)(i * 13));
	blk_request(&disk, BLK_OUT, 512, a, N * BLOCK);
	for (unsigned i = 0; i < N; i++) {
		h[i] = (struct blk_header){ .type = BLK_IN, .sector = 512 + i * 8 };
		status[i] = BLK_PENDING;
		ring_add(&disk.ring,
			 (struct piece[]){
				 { &h[i], 16 }, { b + i * BLOCK, BLOCK }, { &status[i], 1 } },
			 1, 2);
	}
	ring_publish(&disk.ring);
	while (n_done < N && ring_wait(&disk.ring) >= 0)
		n_done++;
	check_equal(n_done, N, "completions");
	check(memcmp(a, b, N * BLOCK) == 0, "data of reads in flight together");
	for (unsigned i = 0; i < N; i++)
		check_equal(status[i], BLK_OK, "status of a read in flight");
	check(ring_take(&disk.ring) < 0, "one completion too many");
}

/* A short ring goes round often.  covers: RING-SPLIT-USED-05 */
static void small_ring(void)
{
	blk_open(&disk, disk.features, 4);
	for (unsigned i = 0; i < 200; i++) {
		a[0] = (uint8_t)i;
		check_equal(blk_request(&disk, BLK_OUT, 96, a, 512), BLK_OK,
			    "write in a small ring");
		check_equal(blk_request(&disk, BLK_IN, 96, b, 512), BLK_OK, "read in a small ring");
		check_equal(b[0], a[0], "data in a small ring");
	}
	blk_open(&disk, disk.features, 0);
}

/* covers: BLK-OP-03 BLK-OP-04 BLK-REQ-18 */
static void readonly_disk(void)
{
	blk_open(&disk, 0, 0);		/* RO is not accepted and holds all the same */
	check(virtio_offered(&disk.v) >> VIRTIO_BLK_F_RO & 1, "RO is not offered");
	blk_request(&disk, BLK_IN, 64, b, 512);
	fill(a, 512, (uint8_t)(b[0] + 1));
	check_equal(blk_request(&disk, BLK_OUT, 64, a, 512), BLK_IOERR,
		    "write to a read-only disk");
	blk_request(&disk, BLK_IN, 64, a, 512);
	check(memcmp(a, b, 512) == 0, "a read-only disk has changed");
}

static void markers(void)
{
	blk_request(&disk, BLK_IN, 0, a, 512);
	check(memcmp(a, "VIREO DISK", 10) == 0, "the host's bytes are not in sector 0");
	memset(a, 0, 512);
	memcpy(a, "GUEST WAS HERE", 14);
	check_equal(blk_request(&disk, BLK_OUT, 8, a, 512), BLK_OK, "write of the marker");
	check_equal(blk_request(&disk, BLK_FLUSH, 0, NULL, 0), BLK_OK, "flush of the marker");
}

/* What the disk of another process must do as well; what it refuses is its own affair. */
static void served(void)
{
	plain_requests();
	many_in_flight();
	small_ring();
}

static void all_of_ours(void)
{
	plain_requests();
	odd_framing(8);
	indirect_framing();
	get_id();
	discard_and_zeroes();
	refused_requests();
	many_in_flight();
	small_ring();
	hopeless_requests();
}

/*
 * One request at a time, whatever happens to whoever serves them: each is answered once, and what
 * was written is there.  The first line tells a test on the host that it has begun.
 */
static void rounds(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t sector = 64 + i % 256 * 8;
		if (i == 16)
			print("rounds: begun\n");
		fill(a, BLOCK, (uint8_t)(i * 13));
		check_equal(blk_request(&disk, BLK_OUT, sector, a, BLOCK), BLK_OK, "write");
		memset(b, 0, BLOCK);
		check_equal(blk_request(&disk, BLK_IN, sector, b, BLOCK), BLK_OK, "read");
		check(memcmp(a, b, BLOCK) == 0, "what was read is not what was written");
	}
}

int main(void)
{
	blk_find(&disk, 0);
	a = heap_alloc(16 * BLOCK, BLOCK);
	b = heap_alloc(16 * BLOCK, BLOCK);
	if (option_given("readonly")) {
		readonly_disk();
		return check_result("read-only disk");
	}
	blk_open(&disk, ~0ull, 0);
	print("disk of %lu sectors, ring of %u\n", disk.capacity, disk.ring.size);
	if (option_given("rounds"))
		rounds(option_number("rounds", 1));
	else if (option_given("served"))
		served();
	else
		all_of_ours();
	if (option_given("marker"))
		markers();
	return check_result("disk");
}
