/*
 * A guest whose disk goes where its IOMMU does not let it.  Disk and entropy source are behind the
 * IOMMU, each in a domain of its own.
 *
 * An access that no mapping allows is told by one fault event that has its endpoint, its reason,
 * its direction and the first address that is not allowed.  Nothing is read or written, the disk
 * asks for a reset and works again after it, and the entropy source goes on as if nothing had been.
 *
 * Options: ring=packed for that ring; class=X for one of B buffers, T tables, R rings.
 */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/iommu_bed.h"
#include "images/payload/lib/load.h"
#include "images/payload/lib/print.h"
#include "virtio/features.h"

enum { N_IN_FLIGHT = 8, DATA = 1 /* of the pieces of a request: header, data, status */ };

#define AT (BED_DISK_IOVA + FIELD_PHYS)	/* where the field is for the disk */

static struct ring *ring = &bed.disk.driver.ring[0];

/* --- B: buffers ------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	struct {
		uint8_t first, n, flags;	/* pages of the field */
	} map[2];
	uint8_t piece;
	uint32_t type;
	uint64_t at;
	uint32_t len;
	uint64_t fault;
	uint32_t access;		/* 0: it is no address at all, and no fault */
} buffers[] = {
	{ "into nothing", { { 0 } }, DATA, BLK_IN, AT, 512, AT, IOMMU_WRITE },
	{ "from nothing", { { 0 } }, DATA, BLK_OUT, AT, 512, AT, IOMMU_READ },
	{ "past the end of a mapping", { { 0, 2, IOMMU_READ_WRITE } }, DATA, BLK_IN,
	  AT + 2 * PAGE - 512, 1024, AT + 2 * PAGE, IOMMU_WRITE },
	{ "from past the end", { { 0, 2, IOMMU_READ_WRITE } }, DATA, BLK_OUT,
	  AT + 2 * PAGE - 512, 1024, AT + 2 * PAGE, IOMMU_READ },
	{ "one byte past the end", { { 0, 1, IOMMU_READ_WRITE } }, DATA, BLK_IN,
	  AT + PAGE - 511, 512, AT + PAGE, IOMMU_WRITE },
	{ "before the beginning", { { 1, 2, IOMMU_READ_WRITE } }, DATA, BLK_IN, AT + PAGE - 512,
	  1024, AT + PAGE - 512, IOMMU_WRITE },
	{ "over a hole", { { 0, 1, IOMMU_READ_WRITE }, { 2, 1, IOMMU_READ_WRITE } }, DATA, BLK_IN,
	  AT, 3 * PAGE, AT + PAGE, IOMMU_WRITE },
	{ "into what can be read", { { 0, 4, IOMMU_READ } }, DATA, BLK_IN, AT + 512, 512, AT + 512,
	  IOMMU_WRITE },
	{ "on into what can be read", { { 0, 1, IOMMU_READ_WRITE }, { 1, 1, IOMMU_READ } }, DATA,
	  BLK_IN, AT, 2 * PAGE, AT + PAGE, IOMMU_WRITE },
	{ "from what can be written", { { 0, 4, IOMMU_WRITE } }, DATA, BLK_OUT, AT, 512, AT,
	  IOMMU_READ },
	{ "into what nobody may use", { { 0, 4, 0 } }, DATA, BLK_IN, AT, 512, AT, IOMMU_WRITE },
	{ "from what nobody may use", { { 0, 4, 0 } }, DATA, BLK_OUT, AT, 512, AT, IOMMU_READ },
	{ "4 GiB from the beginning of a mapping", { { 0, BED_FIELD, IOMMU_READ_WRITE } }, DATA,
	  BLK_IN, AT, 0xfffffe00, AT + BED_FIELD * PAGE, IOMMU_WRITE },
	{ "at the address of memory", { { 0, 4, IOMMU_READ_WRITE } }, DATA, BLK_IN, FIELD_PHYS,
	  512, FIELD_PHYS, IOMMU_WRITE },
	{ "at 0", { { 0 } }, DATA, BLK_IN, 0, 512, 0, IOMMU_WRITE },
	{ "at the interrupt controllers'", { { 0 } }, DATA, BLK_IN, 0xfee00000, 512, 0xfee00000,
	  IOMMU_WRITE },
	{ "past all that can be mapped", { { 0 } }, DATA, BLK_IN, 1ull << 56, 512, 1ull << 56,
	  IOMMU_WRITE },
	{ "at the end of all addresses", { { 0 } }, DATA, BLK_IN, ~0ull - 511, 512, ~0ull - 511,
	  IOMMU_WRITE },
	{ "round the end of all addresses", { { 0 } }, DATA, BLK_IN, ~0ull - 510, 512, 0, 0 },
	{ "a bed.header in nothing", { { 0 } }, 0, BLK_IN, AT + 8, 16, AT + 8, IOMMU_READ },
	{ "a bed.header that ends in nothing", { { 0, 1, IOMMU_READ_WRITE } }, 0, BLK_IN,
	  AT + PAGE - 8, 16, AT + PAGE, IOMMU_READ },
	{ "a status in nothing", { { 0 } }, 2, BLK_IN, AT + 77, 1, AT + 77, IOMMU_WRITE },
	{ "a status in what can be read", { { 0, 1, IOMMU_READ } }, 2, BLK_OUT, AT + 78, 1, AT + 78,
	  IOMMU_WRITE },
};

/* covers: IOMMU-MAP-06 IOMMU-FAULT-01 IOMMU-FAULT-02 IOMMU-FAULT-03 */
static void attack(unsigned n, bool indirect)
{
	struct piece p[] = { { bed.header, sizeof(*bed.header) }, { bed.buffer, 512 },
			     { (void *)bed.status, 1 } };
	unsigned n_out = buffers[n].type == BLK_IN ? 1 : 2;
	const char *what = buffers[n].name;

	if (!bed_start_disk(BED_INDIRECT))
		return;
	bed_fill_field();
	for (unsigned i = 0; i < 2 && buffers[n].map[i].n > 0; i++)
		check_equal(fenced_map(&bed.disk, &bed.iommu, field_page(buffers[n].map[i].first),
				       buffers[n].map[i].n, buffers[n].map[i].flags), IOMMU_OK,
			    "MAP of the field");
	*bed.header = (struct blk_header){ .type = buffers[n].type, .sector = BED_SECTOR };
	*bed.status = BLK_PENDING;
	memset(bed.buffer, LOAD_CANARY, PAGE);
	p[buffers[n].piece] = fenced_piece(&bed.disk, buffers[n].at, buffers[n].len);
	if (indirect)
		ring_add_indirect(ring, p, n_out, 3 - n_out, 0);
	else
		ring_add(ring, p, n_out, 3 - n_out);
	ring_publish(ring);
	bed_needs_reset(what);
	check(load_is_canary(bed.buffer, PAGE), "something was read: %s", what);
	if (buffers[n].access != 0)
		bed_expect_fault(IOMMU_NO_MAPPING, buffers[n].access, buffers[n].fault, what);
	bed_works_after(what);
}

static void class_b(void)
{
	for (unsigned i = 0; i < 2 * sizeof(buffers) / sizeof(buffers[0]); i++)
		attack(i / 2, i % 2);
}

/* --- T: indirect tables ---------------------------------------------------------------------- */

/* A table of three entries, 'before' bytes of which are in front of the end of its page. */
static void table_at_end(unsigned before, const char *what)
{
	uint8_t *table = field_page(1) - before;
	struct ring_desc *all = ring->indirect;
	uint64_t at = fenced_address(&bed.disk, table);

	/* What a device behind it would read is a good table. */
	ring->indirect = (struct ring_desc *)(table - ring->free_head * RING_MAX_INDIRECT *
					      sizeof(struct ring_desc));
	bed_submit(BLK_IN, BED_SECTOR, (struct piece){ bed.buffer, 512 }, true);
	ring->indirect = all;
	bed_needs_reset(what);
	bed_expect_fault(IOMMU_NO_MAPPING, IOMMU_READ, before > 0 ? AT + PAGE : at, what);
	bed_fill_field();
	bed_works_after(what);
}

static void class_t(void)
{
	bed_start_disk(BED_INDIRECT);
	bed_fill_field();
	table_at_end(0, "a table in nothing");
	bed_start_disk(BED_INDIRECT);
	fenced_map(&bed.disk, &bed.iommu, field_page(0), 1, IOMMU_READ_WRITE);
	table_at_end(16, "a table that ends in nothing");
	bed_start_disk(BED_INDIRECT);
	fenced_map(&bed.disk, &bed.iommu, field_page(0), 1, IOMMU_READ_WRITE);
	table_at_end(24, "a table with an entry across the end");
	bed_start_disk(BED_INDIRECT);
	fenced_map(&bed.disk, &bed.iommu, field_page(1), 1, IOMMU_WRITE);
	table_at_end(0, "a table that can only be written");
}

/* --- R: rings -------------------------------------------------------------------------------- */

enum { N_AREAS = 3, AREA_PAGES = 4 };	/* and three behind each that are not mapped */

static uint32_t area_access(unsigned area)
{
	if (area == 0)
		return ring->packed ? IOMMU_READ_WRITE : IOMMU_READ;
	return area == 1 ? IOMMU_READ : IOMMU_WRITE;
}

static uint8_t *area_page(unsigned area)
{
	return field_page(area * AREA_PAGES);
}

/* A ring whose areas begin at 'offset' of three pages of the field; nothing is mapped there. */
static void make_ring(unsigned offset)
{
	struct virtio *v = &bed.disk.driver.v;

	heap_release(bed.mark);
	bed_fill_field();
	check(virtio_negotiate(v, bed.ring_feature | 1ull << VIRTIO_F_ACCESS_PLATFORM,
			       &bed.disk.driver.features), "FEATURES_OK");
	v->ops->select_queue(v, 0);
	ring_alloc(ring, v, 0, BED_RING, bed.disk.driver.features);
	for (unsigned i = 0; i < N_AREAS; i++)
		memset(area_page(i), 0, PAGE);
	if (ring->packed) {
		ring->slot = (void *)(area_page(0) + offset);
		ring->driver_event = (void *)area_page(1);
		ring->device_event = (void *)area_page(2);
	} else {
		ring->desc = (void *)(area_page(0) + offset);
		ring->avail = (void *)area_page(1);
		ring->used = (void *)area_page(2);
		for (uint16_t i = 0; i < BED_RING; i++)
			ring->desc[i].next = (uint16_t)(i + 1);
	}
	check(ring_enable(ring, bed.disk.driver.features), "the queue is not enabled");
	*bed.status = BLK_PENDING;
}

static void map_area(unsigned area, uint32_t access)
{
	check_equal(fenced_map(&bed.disk, &bed.iommu, area_page(area), 1, access), IOMMU_OK,
		    "MAP of an area");
}

/* With all that an area needs, and area 'bad' (N_AREAS: none) with 'access' (0: not at all). */
static void map_areas(unsigned bad, uint32_t access)
{
	for (unsigned i = 0; i < N_AREAS; i++)
		if (i != bad)
			map_area(i, area_access(i));
		else if (access != 0)
			map_area(i, access);
}

static void ring_is_refused(const char *what)
{
	virtio_driver_ok(&bed.disk.driver.v);
	bed_needs_reset(what);
	ring_kick(ring);
}

static void ring_is_gone(const char *what)
{
	bed_fill_field();
	bed_works_after(what);
}

static void rings_that_cannot_be_used(void)
{
	for (unsigned i = 0; i < N_AREAS; i++) {
		make_ring(0);
		map_areas(i, 0);
		ring_is_refused("an area that is not mapped");
		bed_expect_fault(IOMMU_NO_MAPPING, area_access(i),
				 fenced_address(&bed.disk, area_page(i)),
				 "an area that is not mapped");
		ring_is_gone("an area that is not mapped");

		make_ring(0);
		map_areas(i, area_access(i) == IOMMU_WRITE ? IOMMU_READ : IOMMU_WRITE);
		ring_is_refused("an area that is mapped otherwise");
		bed_expect_fault(IOMMU_NO_MAPPING, area_access(i),
				 fenced_address(&bed.disk, area_page(i)),
				 "an area that is mapped otherwise");
		ring_is_gone("an area that is mapped otherwise");
	}
	make_ring(PAGE - 512);
	map_areas(N_AREAS, 0);
	ring_is_refused("an area that ends in nothing");
	bed_expect_fault(IOMMU_NO_MAPPING, area_access(0), AT + PAGE,
			 "an area that ends in nothing");
	ring_is_gone("an area that ends in nothing");

	/* Mapped, and not where it seems to be: that is no fault, and no ring. */
	make_ring(PAGE - 512);
	map_areas(N_AREAS, 0);
	iommu_map(&bed.iommu, bed.disk.domain, AT + PAGE, AT + 2 * PAGE - 1, FIELD_PHYS + 20 * PAGE,
		  IOMMU_READ_WRITE);
	ring_is_refused("an area in two pieces");
	bed_expect_no_fault("an area in two pieces");
	ring_is_gone("an area in two pieces");
}

/* An area is unmapped while the ring is used: nobody writes there once that is answered. */
static void rings_that_go_away(void)
{
	for (unsigned i = 0; i < N_AREAS; i++) {
		make_ring(0);
		map_areas(N_AREAS, 0);
		virtio_driver_ok(&bed.disk.driver.v);
		check(bed_moves(BLK_IN, BED_SECTOR, bed.buffer), "no I/O on a ring in the field");
		for (unsigned j = 0; j < N_IN_FLIGHT; j++)
			bed_submit(BLK_IN, BED_SECTOR, (struct piece){ bed.buffer, PAGE }, false);
		check_equal(fenced_unmap(&bed.disk, &bed.iommu, area_page(i), 1), IOMMU_OK,
			    "UNMAP of an area");
		memset(area_page(i), LOAD_CANARY, PAGE);
		check(driver_needs_reset(&bed.disk.driver, WAIT_LONG),
		      "no NEEDS_RESET after UNMAP of area %u", i);
		ring_kick(ring);
		WAIT_UNTIL(false, WAIT_SHORT / 8);
		check(load_is_canary(area_page(i), PAGE), "area %u was written after UNMAP", i);
		bed_expect_no_fault("an area that was unmapped");
		ring_is_gone("an area that was unmapped");
	}
}

/* Without a domain, and without bypass, there is nothing.  covers: IOMMU-OP-06 */
static void ring_of_nobody(void)
{
	bed_fill_field();
	virtio_reset(&bed.disk.driver.v);
	iommu_detach(&bed.iommu, bed.disk.endpoint, bed.disk.domain);
	*bed.status = BLK_PENDING;
	bed_start_disk(0);
	bed_needs_reset("a disk that is not attached");
	bed_expect_fault(IOMMU_NO_DOMAIN, area_access(0),
			 ring->packed ? fenced_address(&bed.disk, ring->slot) :
					fenced_address(&bed.disk, ring->desc),
			 "a disk that is not attached");
	bed_attach_disk();
	bed_works_after("a disk that is not attached");
}

static void class_r(void)
{
	ring_of_nobody();
	rings_that_cannot_be_used();
	rings_that_go_away();
}

static const struct {
	char name[2];
	void (*run)(void);
} classes[] = { { "B", class_b }, { "T", class_t }, { "R", class_r } };

int main(void)
{
	bed_find();
	for (unsigned i = 0; bed_open() && i < sizeof(classes) / sizeof(classes[0]); i++) {
		unsigned before = bed.n_cases;

		if (option_given("class") && !option_is("class", classes[i].name))
			continue;
		classes[i].run();
		print("class %s: %u cases\n", classes[i].name, bed.n_cases - before);
	}
	check(bed.n_cases > 0, "no such class");
	return check_result("iommu-abuse");
}
