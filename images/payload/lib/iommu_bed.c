#include "images/payload/lib/iommu_bed.h"

#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/load.h"
#include "virtio/features.h"

struct iommu_bed bed;
static struct ring *ring = &bed.disk.driver.ring[0];

void bed_fill_field(void)
{
	memset(field_page(0), LOAD_CANARY, (size_t)bed.field * PAGE);
}

void bed_field_is_untouched(const char *what)
{
	check(load_is_canary(field_page(0), (size_t)bed.field * PAGE), "memory was written: %s",
	      what);
}

/* --- Faults ---------------------------------------------------------------------------------- */

void bed_expect_no_fault(const char *what)
{
	struct iommu_fault f;

	while (iommu_next_fault(&bed.iommu, &f, WAIT_SHORT / 16))
		check(false,
		      "one fault too many (reason %u, flags %x, endpoint %x, address %lx): %s",
		      f.reason, f.flags, f.endpoint, f.addr, what);
}

void bed_expect_fault(uint8_t reason, uint32_t access, uint64_t addr, const char *what)
{
	struct iommu_fault f;

	if (!check(iommu_next_fault(&bed.iommu, &f, WAIT_LONG), "no fault: %s", what))
		return;
	check(f.reason == reason && f.flags == (access | IOMMU_HAS_ADDRESS) &&
		      f.endpoint == bed.disk.endpoint && f.addr == addr,
	      "fault with reason %u, flags %x, endpoint %x, address %lx, not %u %x %x %lx: %s",
	      f.reason, f.flags, f.endpoint, f.addr, reason, access | IOMMU_HAS_ADDRESS,
	      bed.disk.endpoint, addr, what);
	check((f.reserved[0] | f.reserved[1] | f.reserved[2] | f.reserved1) == 0,
	      "a fault's reserved fields are not 0: %s", what);
	bed_expect_no_fault(what);
}

/* Those of an attack that is cut off anywhere: only who and where is known. */
void bed_take_faults(const char *what)
{
	struct iommu_fault f;

	while (iommu_next_fault(&bed.iommu, &f, WAIT_SHORT / 16))
		check(f.endpoint == bed.disk.endpoint && f.addr - BED_DISK_IOVA < 2 * FIELD_PHYS,
		      "a fault of endpoint %x at %lx: %s", f.endpoint, f.addr, what);
}

/* --- The disk -------------------------------------------------------------------------------- */

/* In its domain, which has the heap alone.  Wherever it was, that domain is a new one. */
bool bed_attach_disk(void)
{
	virtio_reset(&bed.disk.driver.v);
	iommu_detach(&bed.iommu, bed.disk.endpoint, bed.disk.domain);
	return check(fenced_attach(&bed.disk, &bed.iommu), "the disk cannot be attached");
}

bool bed_start_disk(unsigned bits)
{
	heap_release(bed.mark);
	bed.disk.driver.size = BED_RING;
	return check(fenced_open(&bed.disk, bed.ring_feature |
				 (bits & BED_INDIRECT ? 1ull << VIRTIO_F_INDIRECT_DESC : 0), 1),
		     "the disk cannot be opened");
}

/* Header, data and status; which of them the device may write depends on 'type'. */
void bed_submit(uint32_t type, uint64_t sector, struct piece data, bool indirect)
{
	struct piece p[] = { { bed.header, sizeof(*bed.header) }, data, { (void *)bed.status, 1 } };
	unsigned n_out = type == BLK_IN ? 1 : 2;

	*bed.header = (struct blk_header){ .type = type, .sector = sector };
	*bed.status = BLK_PENDING;
	if (indirect)
		ring_add_indirect(ring, p, n_out, 3 - n_out, 0);
	else
		ring_add(ring, p, n_out, 3 - n_out);
	ring_publish(ring);
}

bool bed_moves(uint32_t type, uint64_t sector, void *at)
{
	bed_submit(type, sector, (struct piece){ at, PAGE }, false);
	return ring_wait(ring) >= 0 && *bed.status == BLK_OK;
}

void bed_rng_works(const char *what)
{
	struct ring *r = &bed.rng.driver.ring[0];

	memset(bed.noise, LOAD_CANARY, 64);
	ring_add(r, &(struct piece){ bed.noise, 64 }, 0, 1);
	ring_publish(r);
	check(ring_wait(r) >= 0 && r->taken_len > 0, "no random numbers after: %s", what);
}

/* From nothing: the disk is attached anew, all that it had mapped is gone. */
void bed_works_after(const char *what)
{
	bed.n_cases++;
	bed_rng_works(what);
	if (!bed_attach_disk() || !bed_start_disk(0))
		return;
	memset(bed.buffer, 0, PAGE);
	check(bed_moves(BLK_IN, BED_SECTOR, bed.buffer) &&
		      memcmp(bed.buffer, bed.expected, PAGE) == 0,
	      "the disk does not hold what it did, after: %s", what);
	bed_field_is_untouched(what);
	bed_expect_no_fault(what);
}

void bed_needs_reset(const char *what)
{
	check(driver_needs_reset(&bed.disk.driver, WAIT_LONG), "no NEEDS_RESET: %s", what);
	check(*bed.status == BLK_PENDING, "the request is answered: %s", what);
}

bool bed_open(void)
{
	struct virtio *v = &bed.iommu.driver.v;

	if (!check(iommu_open(&bed.iommu, bed.ring_feature, 16), "the IOMMU does not start"))
		return false;
	v->ops->write_config(v, IOMMU_CONFIG_BYPASS, 1, 0);
	if (!bed_attach_disk() ||
	    !check(fenced_attach(&bed.rng, &bed.iommu) && fenced_open(&bed.rng, 0, 1),
		   "the entropy source does not start"))
		return false;
	bed.mark = heap_mark();
	for (unsigned i = 0; i < PAGE; i++)
		bed.expected[i] = (uint8_t)(i * 7 + i / 256);
	return bed_start_disk(0) && check(bed_moves(BLK_OUT, BED_SECTOR, bed.expected),
					  "the disk cannot be written");
}

void bed_find(void)
{
	if (!iommu_find(&bed.iommu))
		check_skip("no IOMMU");
	if (!fenced_find(&bed.disk, VIRTIO_ID_BLOCK, BED_DISK_DOMAIN, BED_DISK_IOVA) ||
	    !fenced_find(&bed.rng, VIRTIO_ID_RNG, BED_RNG_DOMAIN, BED_RNG_IOVA))
		check_skip("no disk or no entropy source behind an IOMMU");
	if (option_is("ring", "packed"))
		bed.ring_feature = 1ull << VIRTIO_F_RING_PACKED;
	bed.buffer = heap_alloc(PAGE, PAGE);
	bed.expected = heap_alloc(PAGE, PAGE);
	bed.noise = heap_alloc(PAGE, PAGE);
	bed.header = heap_alloc(sizeof(*bed.header), 16);
	bed.status = heap_alloc(1, 1);
	bed.field = BED_FIELD;
}
