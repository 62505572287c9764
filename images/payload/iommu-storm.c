/*
 * A guest with two processors: one has requests of its disk in flight all the time, the other maps
 * and unmaps as fast as it can.  Options: ring=packed for that ring; requests=N; what=
 *
 *   beside  addresses next to those that the disk uses, in its domain, and the same in another one:
 *           every byte of the disk is where it belongs, and every answer is that of a small model
 *   under   what the disk reads into: nobody writes there once the UNMAP is answered.  The disk
 *           breaks again and again and is started again.  Wants a disk of 16 MiB that is not served
 *           by the thread that serves the IOMMU's requests.
 */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/iommu_bed.h"
#include "images/payload/lib/load.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/random.h"
#include "images/payload/lib/second_cpu.h"
#include "virtio/features.h"

enum { DEPTH = 16, N_PLACES = 2 * DEPTH + 1, SLOT_SECTORS = PAGE / BLK_SECTOR };

static struct ring *ring = &bed.disk.driver.ring[0];

/* What the second processor found; it makes no claims itself. */
static volatile struct {
	uint64_t seed;
	uint64_t n_mapped, n_unmapped, n_refused;
	uint64_t n_wrong;		/* answers */
	uint8_t wrong_request, wrong_answer;
	uint64_t n_taken;		/* pieces of memory that were unmapped under the disk */
	uint64_t n_written;		/* pages that were written to after that */
} storm = { .seed = 0x9e3779b97f4a7c15ull };

static uint64_t draw(uint64_t limit)
{
	uint64_t seed = storm.seed, v = random_below(&seed, limit);

	storm.seed = seed;
	return v;
}

static void expect(uint8_t request, uint8_t answer, uint8_t expected)
{
	if (answer == expected)
		return;
	storm.n_wrong++;
	storm.wrong_request = request;
	storm.wrong_answer = answer;
}

/* --- Beside ---------------------------------------------------------------------------------- */

/*
 * The disk's buffers are the odd pages of the field, each with a mapping of its own; the even ones,
 * on either side of each, come and go.
 */
static bool is_mapped[2][N_PLACES];

static struct fenced *domain(unsigned n)
{
	return n == 0 ? &bed.disk : &bed.rng;
}

static void change_beside(void)
{
	unsigned n = (unsigned)draw(2), place = (unsigned)draw(DEPTH + 1) * 2;
	bool *mapped = &is_mapped[n][place];

	if (draw(2) == 0) {
		expect(IOMMU_MAP, fenced_map(domain(n), &bed.iommu, field_page(place), 1,
					     (uint32_t)draw(4)),
		       *mapped ? IOMMU_INVAL : IOMMU_OK);
		if (*mapped)
			storm.n_refused++;
		else
			storm.n_mapped++;
		*mapped = true;
	} else {
		expect(IOMMU_UNMAP, fenced_unmap(domain(n), &bed.iommu, field_page(place), 1),
		       IOMMU_OK);
		storm.n_unmapped += *mapped;
		*mapped = false;
	}
}

static struct slot {
	struct blk_header header;
	uint8_t status, fill;
	bool is_out, is_read;
} slot[DEPTH];

static unsigned slot_of_id[BED_RING];

static uint8_t *slot_page(unsigned i)
{
	return field_page(2 * i + 1);
}

static void start_slot(unsigned i)
{
	struct slot *s = &slot[i];
	struct piece p[] = { { &s->header, sizeof(s->header) }, { slot_page(i), PAGE },
			     { &s->status, 1 } };
	unsigned n_out = s->is_read ? 1 : 2;

	s->header = (struct blk_header){ .type = s->is_read ? BLK_IN : BLK_OUT,
					 .sector = 1024 + i * SLOT_SECTORS };
	s->status = BLK_PENDING;
	s->fill += !s->is_read;
	memset(slot_page(i), s->is_read ? LOAD_CANARY : (uint8_t)(s->fill * 16 + i), PAGE);
	s->is_out = true;
	slot_of_id[ring_add(ring, p, n_out, 3 - n_out)] = i;
	ring_publish(ring);
}

static bool is_filled(const uint8_t *at, uint8_t with)
{
	const uint64_t word = with * 0x0101010101010101ull;

	for (unsigned i = 0; i < PAGE; i += 8)
		if (*(const volatile uint64_t *)(at + i) != word)
			return false;
	return true;
}

static bool end_slot(unsigned i)
{
	struct slot *s = &slot[i];

	s->is_out = false;
	if (!check_equal(s->status, BLK_OK, "status beside a storm") ||
	    !check(is_filled(slot_page(i), (uint8_t)(s->fill * 16 + i)),
		   "the page of slot %u does not hold what was written", i))
		return false;
	s->is_read = !s->is_read;
	return true;
}

/* covers: IOMMU-MAP-02 IOMMU-UNMAP-07 */
static void beside(void)
{
	uint64_t n = option_number("requests", 3000), n_done = 0;

	memset(field_page(0), 0, (size_t)N_PLACES * PAGE);
	for (unsigned i = 0; i < DEPTH; i++)
		check_equal(fenced_map(&bed.disk, &bed.iommu, slot_page(i), 1, IOMMU_READ_WRITE),
			    IOMMU_OK, "MAP of a buffer");
	second_cpu_do(change_beside);
	for (unsigned i = 0; i < DEPTH; i++)
		start_slot(i);
	/* However the host shares its CPUs out: until there was a storm. */
	while (n_done < n || *(volatile uint64_t *)&storm.n_mapped <= n / 16 + 2 * N_PLACES) {
		int id = ring_wait(ring);

		if (!check(id >= 0, "no completion beside a storm") || !end_slot(slot_of_id[id]))
			break;
		n_done++;
		start_slot(slot_of_id[id]);
	}
	check(second_cpu_stop(), "the second processor does not stop");
	bed_expect_no_fault("a storm beside what is used");
	for (unsigned i = 0; i < 2 * N_PLACES; i++)
		storm.n_mapped -= is_mapped[i / N_PLACES][i % N_PLACES];
	check_equal(storm.n_mapped, storm.n_unmapped,
		    "mappings that came, without those that are there");
	check(storm.n_mapped > n / 16, "%lu mappings beside %lu requests are no storm",
	      storm.n_mapped, n);
	print("%lu requests beside %lu mappings that came and went, %lu refused\n", n_done,
	      storm.n_mapped, storm.n_refused);
	/* All that there is: not one page can be mapped before, and each one after. */
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < N_PLACES; i += 2)
			check_equal(fenced_map(&bed.rng, &bed.iommu, field_page(i), 1, IOMMU_READ),
				    pass == 0 && is_mapped[1][i] ? IOMMU_INVAL : IOMMU_OK,
				    "MAP after the storm");
		check_equal(fenced_unmap(&bed.rng, &bed.iommu, field_page(0), N_PLACES), IOMMU_OK,
			    "UNMAP after the storm");
	}
}

/* --- Under ----------------------------------------------------------------------------------- */

enum { PIECE_PAGES = 2048, N_PIECES = 2 };	/* 8 MiB each: it takes a while */

static volatile bool is_busy;			/* many reads are in flight */

static uint8_t *piece_at(unsigned i)
{
	return field_page(i * PIECE_PAGES);
}

/* Takes a piece away and looks whether it is ours. */
static void take_piece(void)
{
	const uint64_t stamp = 0x6b6b6b6b6b6b6b6b;
	unsigned i = (unsigned)draw(N_PIECES);
	uint8_t *at = piece_at(i);

	WAIT_UNTIL(is_busy, WAIT_SHORT * 16);
	for (uint64_t until = cycles() + draw(WAIT_SHORT / 2); cycles() < until;)
		pause();
	expect(IOMMU_UNMAP, fenced_unmap(&bed.disk, &bed.iommu, at, PIECE_PAGES), IOMMU_OK);
	for (unsigned n = PIECE_PAGES; n-- > 0;)
		*(volatile uint64_t *)(at + n * PAGE) = stamp;
	WAIT_UNTIL(false, WAIT_SHORT / 4);
	for (unsigned n = 0; n < PIECE_PAGES; n++)
		storm.n_written += *(volatile uint64_t *)(at + n * PAGE) != stamp;
	expect(IOMMU_MAP, fenced_map(&bed.disk, &bed.iommu, at, PIECE_PAGES, IOMMU_READ_WRITE),
	       IOMMU_OK);
	storm.n_taken++;
}

/* Reads into every piece, again and again, until one breaks the disk. */
static uint64_t read_until_broken(void)
{
	uint64_t n_done = 0;
	struct piece p[] = { { bed.header, sizeof(*bed.header) }, { NULL, PIECE_PAGES * PAGE },
			     { (void *)bed.status, 1 } };

	*bed.header = (struct blk_header){ .type = BLK_IN };
	for (unsigned i = 0; !driver_needs_reset(&bed.disk.driver, 1); i++) {
		if (ring->n_in_flight < DEPTH) {
			p[1].at = piece_at(i % N_PIECES);
			ring_add(ring, p, 1, 2);
			ring_publish(ring);
		}
		is_busy = ring->n_in_flight >= DEPTH / 2;
		while (ring_take(ring) >= 0)
			n_done++;
	}
	is_busy = false;
	return n_done;
}

/* covers: IOMMU-OP-12 */
static void under(void)
{
	uint64_t n = option_number("requests", 60), n_done = 0;
	unsigned n_broken = 0;
	struct iommu_fault f;

	for (unsigned i = 0; i < N_PIECES; i++)
		check_equal(fenced_map(&bed.disk, &bed.iommu, piece_at(i), PIECE_PAGES,
				       IOMMU_READ_WRITE), IOMMU_OK, "MAP of a piece");
	second_cpu_do(take_piece);
	for (; storm.n_taken < n; n_broken++) {
		n_done += read_until_broken();
		if (!check(virtio_reset(&bed.disk.driver.v), "no reset under a storm") ||
		    !bed_start_disk(0))
			break;
	}
	check(second_cpu_stop(), "the second processor does not stop");
	while (iommu_next_fault(&bed.iommu, &f, WAIT_SHORT / 16))
		check(f.endpoint == bed.disk.endpoint && f.reason == IOMMU_NO_MAPPING &&
			      f.flags == (IOMMU_HAS_ADDRESS | IOMMU_WRITE),
		      "a fault of endpoint %x, reason %u, flags %x", f.endpoint, f.reason, f.flags);
	check(storm.n_written == 0, "%lu pages were written after UNMAP was answered",
	      storm.n_written);
	print("%lu reads, %lu pieces taken away, the disk started %u times\n", n_done,
	      storm.n_taken, n_broken);
}

int main(void)
{
	bed_find();
	if (!check(second_cpu_start(), "there is one processor only") || !bed_open())
		return check_result("iommu-storm");
	if (option_is("what", "under"))
		under();
	else
		beside();
	check(storm.n_wrong == 0, "%lu wrong answers, of which %u to request %u", storm.n_wrong,
	      storm.wrong_answer, storm.wrong_request);
	bed_fill_field();
	bed_works_after("a storm");
	return check_result("iommu-storm");
}
