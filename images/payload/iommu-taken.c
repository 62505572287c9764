/*
 * A guest that takes memory away from its disk while requests are in flight: by UNMAP, DETACH,
 * ATTACH elsewhere, bypass, resets of the disk and of the IOMMU.  Once that is answered nobody
 * writes there any more.  Wants a disk of 16 MiB that is not served by the thread that serves the
 * IOMMU's requests.  Options: ring=packed for that ring.
 */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/iommu_bed.h"
#include "images/payload/lib/load.h"
#include "images/payload/lib/print.h"
#include "virtio/features.h"

enum {
	N_IN_FLIGHT = 6,
	LARGE_FIELD = 4096,		/* pages of all that is in flight: it takes a while */
};

static struct ring *ring = &bed.disk.driver.ring[0];

/* Reads are on their way to the field. */
static void read_into_field(unsigned round)
{
	uint8_t *status = heap_alloc(N_IN_FLIGHT, 1);

	bed_fill_field();
	for (unsigned i = 0; i < N_IN_FLIGHT; i++) {
		struct piece p[] = { { bed.header, sizeof(*bed.header) },
				     { field_page(0), LARGE_FIELD * PAGE },
				     { status + i, 1 } };

		ring_add(ring, p, 1, 2);
	}
	*bed.header = (struct blk_header){ .type = BLK_IN };
	ring_publish(ring);
	/* Some of the rounds begin while nothing was taken yet, others in the middle. */
	for (uint64_t until = cycles() + round * 12000000ull; cycles() < until;)
		pause();
}

/*
 * What was taken away was answered: from now on nobody writes to the field.  A mark on each page,
 * because filling all of it would take longer than most of what is in flight.
 */
static void field_is_ours(const char *what)
{
	const uint64_t stamp = 0x6b6b6b6b6b6b6b6b;
	unsigned n_written = 0;

	for (unsigned i = LARGE_FIELD; i-- > 0;)
		*(volatile uint64_t *)field_page(i) = stamp;
	WAIT_UNTIL(false, WAIT_SHORT);
	for (unsigned i = 0; i < LARGE_FIELD; i++)
		n_written += *(volatile uint64_t *)field_page(i) != stamp;
	check(n_written == 0, "%u pages were written after: %s", n_written, what);
	bed_fill_field();
}

static void is_over(const char *what)
{
	field_is_ours(what);
	bed_take_faults(what);
	bed_works_after(what);
}

static bool map_field(void)
{
	return check_equal(fenced_map(&bed.disk, &bed.iommu, field_page(0), LARGE_FIELD,
				      IOMMU_READ_WRITE), IOMMU_OK, "MAP of the field");
}

static void unmap_field(void)
{
	check_equal(fenced_unmap(&bed.disk, &bed.iommu, field_page(0), LARGE_FIELD), IOMMU_OK,
		    "UNMAP in flight");
}

static void unmap_all(void)
{
	check_equal(iommu_unmap(&bed.iommu, bed.disk.domain, 0, (1ull << 56) - 1), IOMMU_OK,
		    "UNMAP of all in flight");
}

static void detach(void)
{
	check_equal(iommu_detach(&bed.iommu, bed.disk.endpoint, bed.disk.domain), IOMMU_OK,
		    "DETACH in flight");
}

/* A domain, made for the entropy source, that has the heap where the disk has it, too. */
static void move_elsewhere(void)
{
	check_equal(iommu_attach(&bed.iommu, bed.disk.endpoint, BED_FREE_DOMAIN, 0), IOMMU_OK,
		    "ATTACH elsewhere in flight");
}

static void move_into_nothing(void)
{
	check_equal(iommu_attach(&bed.iommu, bed.disk.endpoint, BED_FREE_DOMAIN + 1, 0), IOMMU_OK,
		    "ATTACH to a new domain in flight");
}

static void stop_disk(void)
{
	check(virtio_reset(&bed.disk.driver.v), "reset in flight");
}

static const struct {
	const char *name;
	void (*take)(void);
} takers[] = {
	{ "UNMAP of what is read into", unmap_field },
	{ "UNMAP of everything", unmap_all },
	{ "DETACH", detach },
	{ "ATTACH to another domain", move_elsewhere },
	{ "ATTACH to a domain without mappings", move_into_nothing },
	{ "a reset of the disk", stop_disk },
};

enum { N_TAKERS = sizeof(takers) / sizeof(takers[0]), N_ROUNDS = 3 };

/* The entropy source moves to where its mappings are the disk's, and back. */
static bool make_other_domain(bool make)
{
	bed.rng.domain = make ? BED_FREE_DOMAIN : BED_RNG_DOMAIN;
	bed.rng.iova = bed.rng.driver.v.iova = make ? BED_DISK_IOVA : BED_RNG_IOVA;
	return check(fenced_attach(&bed.rng, &bed.iommu) && fenced_open(&bed.rng, 0, 1),
		     "the entropy source cannot be moved");
}

/* covers: IOMMU-OP-12 IOMMU-DETACH-04 IOMMU-ATTACH-07 IOMMU-ATTACH-08 */
static void take_in_flight(void)
{
	uintptr_t before = bed.mark;

	if (!make_other_domain(true))
		return;
	bed.mark = heap_mark();
	for (unsigned i = 0; i < N_TAKERS * N_ROUNDS; i++) {
		const char *what = takers[i % N_TAKERS].name;

		if (!bed_attach_disk() || !bed_start_disk(0) || !map_field())
			break;
		read_into_field(i / N_TAKERS);
		takers[i % N_TAKERS].take();
		is_over(what);
	}
	virtio_reset(&bed.disk.driver.v);
	heap_release(before);
	make_other_domain(false);
	bed.mark = heap_mark();
}

/*
 * Who is attached to no domain reaches memory where it is, until bypass is taken away; it is over
 * at the next ATTACH.
 */
static void take_bypass(void)
{
	struct virtio *v = &bed.iommu.driver.v;

	for (unsigned round = 0; round < N_ROUNDS; round++) {
		virtio_reset(&bed.disk.driver.v);
		iommu_detach(&bed.iommu, bed.disk.endpoint, bed.disk.domain);
		v->ops->write_config(v, IOMMU_CONFIG_BYPASS, 1, 1);
		check_equal(v->ops->read_config(v, IOMMU_CONFIG_BYPASS, 1), 1, "bypass");
		bed.disk.driver.v.iova = 0;
		bed_start_disk(0);
		check(bed_moves(BLK_IN, BED_SECTOR, bed.buffer),
		      "no I/O by a device that bypasses");
		read_into_field(round);
		v->ops->write_config(v, IOMMU_CONFIG_BYPASS, 1, 0);
		check_equal(iommu_attach(&bed.iommu, bed.disk.endpoint, bed.disk.domain, 0),
			    IOMMU_OK, "ATTACH of who bypassed");
		field_is_ours("bypass taken away in flight");
		check(driver_needs_reset(&bed.disk.driver, WAIT_LONG),
		      "no NEEDS_RESET of who bypassed");
		bed.disk.driver.v.iova = BED_DISK_IOVA;
		for (struct iommu_fault f; iommu_next_fault(&bed.iommu, &f, WAIT_SHORT / 16);)
			check_equal(f.endpoint, bed.disk.endpoint, "endpoint of a fault");
		bed_works_after("bypass taken away in flight");
	}
}

/* The IOMMU's own reset takes everything away, and is over when nobody writes any more. */
static void reset_iommu(void)
{
	struct virtio *v = &bed.iommu.driver.v;

	for (unsigned round = 0; round < N_ROUNDS; round++) {
		if (!bed_attach_disk() || !bed_start_disk(0) || !map_field())
			return;
		read_into_field(round);
		check(virtio_reset(v), "reset of the IOMMU in flight");
		field_is_ours("reset of the IOMMU in flight");
		check(driver_needs_reset(&bed.disk.driver, WAIT_LONG),
		      "no NEEDS_RESET when the IOMMU was reset");
		bed.mark = heap_mark();
		check(iommu_open(&bed.iommu, bed.ring_feature, 16) &&
			      fenced_attach(&bed.rng, &bed.iommu) &&
			      fenced_open(&bed.rng, 0, 1), "the IOMMU does not start again");
		bed.mark = heap_mark();
		bed_attach_disk();
		bed_take_faults("reset of the IOMMU in flight");
		bed_works_after("reset of the IOMMU in flight");
	}
}

static void run(void)
{
	bed.field = LARGE_FIELD;
	take_in_flight();
	take_bypass();
	reset_iommu();
	bed.field = BED_FIELD;
}

int main(void)
{
	bed_find();
	if (bed_open())
		run();
	print("%u cases\n", bed.n_cases);
	return check_result("iommu-taken");
}
