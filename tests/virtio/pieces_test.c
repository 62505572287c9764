/*
 * Chains of a device behind an IOMMU: device addresses that are pieces of memory, and what keeps
 * them from being unmapped under the device.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/fake_ring.h"
#include "virtio/virtqueue.h"
#include "vmm/base/fd.h"
#include "vmm/machine/iommu.h"

enum { ENDPOINT = 8, DOMAIN = 1, SIZE = 16, PAGE = 4096 };
/* Device addresses are far away from those of memory. */
#define IOVA (UINT64_C(7) << 40)
#define FAR (UINT64_C(8) << 40)
#define RING_AT 0x100000
#define DATA_AT 0x200000

static struct fake_machine *machine;
static struct iommu *iommu;
static const struct dma *dma;
static struct fake_ring ring;
static struct virtqueue *q;
static struct iommu_ticket ticket;
static int call_fd;
static unsigned n_lost;

static void lost(void *arg, const char *reason)
{
	(void)arg;
	(void)reason;
	n_lost++;
}

static void map_to(uint64_t iova, uint64_t gpa, uint64_t len, uint32_t access)
{
	cr_assert_eq(iommu_map(iommu, DOMAIN, iova, iova + len - 1, gpa, access), 0);
}

static void unmap(uint64_t iova, uint64_t len)
{
	cr_assert_eq(iommu_unmap(iommu, DOMAIN, iova, iova + len - 1, &ticket), 0);
}

static void start(enum fake_layout layout)
{
	const struct iommu_config config = { .n_endpoints = 1, .n_mappings = 4096 };
	struct features features = FEATURES_EMPTY;

	machine = fake_machine_create();
	cr_assert_eq(iommu_create(&iommu, &config), 0);
	iommu_set_memory(iommu, &machine->m.memory);
	dma = iommu_add_endpoint(iommu, ENDPOINT, lost, NULL);
	cr_assert_eq(iommu_attach(iommu, ENDPOINT, DOMAIN, false, &ticket), 0);
	cr_assert_eq(fd_create_event(&call_fd), 0);
	features_add(&features, VIRTIO_F_INDIRECT_DESC);
	if (layout == FAKE_PACKED)
		features_add(&features, VIRTIO_F_RING_PACKED);
	fake_ring_init_as(&ring, layout, machine, SIZE, RING_AT);
	map_to(IOVA + RING_AT, RING_AT, align_up(fake_ring_bytes(SIZE), PAGE), 3);
	struct virtqueue_config queue = fake_ring_config(&ring, features, call_fd);

	queue.dma = dma;
	queue.desc += IOVA;
	queue.driver += IOVA;
	queue.device += IOVA;
	cr_assert_eq(virtqueue_create(&q, &queue), 0);
}

static void split(void)
{
	start(FAKE_SPLIT);
}

static void stop(void)
{
	virtqueue_destroy(q);
	iommu_destroy(iommu);
	fake_machine_destroy(machine);
	fd_close(&call_fd);
}

static uint8_t *host(uint64_t gpa)
{
	return guest_memory_at(&machine->m.memory, gpa, 1);
}

static void add(uint64_t iova, uint32_t len, bool write)
{
	struct fake_buf buf = { IOVA + iova, len, write };

	fake_ring_add(&ring, &buf, 1);
}

static void in_pieces(enum fake_layout layout)
{
	struct chain c;

	start(layout);
	/* Two pages next to each other, and one before them. */
	map_to(IOVA, DATA_AT + PAGE, PAGE, 3);
	map_to(IOVA + PAGE, DATA_AT + 2 * PAGE, PAGE, 3);
	map_to(IOVA + 2 * PAGE, DATA_AT, PAGE, 3);
	add(100, 3 * PAGE - 200, true);
	cr_assert_eq(virtqueue_pop(q, &c), VQ_CHAIN);
	cr_assert_eq(c.n_in, 2);
	cr_expect_eq(c.in[0].iov_base, host(DATA_AT + PAGE + 100));
	cr_expect_eq(c.in[0].iov_len, 2 * PAGE - 100);
	cr_expect_eq(c.in[1].iov_base, host(DATA_AT));
	cr_expect_eq(c.in[1].iov_len, PAGE - 100);
	cr_expect_eq(c.in_len, 3 * PAGE - 200);
	virtqueue_push(q, c.head, 1);
	virtqueue_flush(q);
	cr_expect(fake_ring_has_used(&ring));
	stop();
}

Test(pieces, a_buffer_may_be_several_pieces_of_memory)
{
	in_pieces(FAKE_SPLIT);
	in_pieces(FAKE_PACKED);
}

static void table_in_pieces(enum fake_layout layout)
{
	const struct fake_buf buf[] = { { IOVA, 16, false }, { IOVA + 64, 32, true } };
	uint64_t table = DATA_AT + 2 * PAGE - 16;
	struct chain c;

	start(layout);
	map_to(IOVA, DATA_AT, PAGE, 3);
	/* The second entry of the table is in another place. */
	map_to(IOVA + DATA_AT + PAGE, DATA_AT + PAGE, PAGE, IOMMU_READ);
	map_to(IOVA + DATA_AT + 2 * PAGE, DATA_AT + 8 * PAGE, PAGE, IOMMU_READ);
	fake_ring_add_indirect(&ring, table, buf, 2);
	memcpy(host(DATA_AT + 8 * PAGE), host(DATA_AT + 2 * PAGE), 16);
	memset(host(DATA_AT + 2 * PAGE), 0xee, 16);
	uint64_t addr = IOVA + table;

	memcpy(host(ring.desc), &addr, sizeof(addr));
	cr_assert_eq(virtqueue_pop(q, &c), VQ_CHAIN);
	cr_assert(c.n_out == 1 && c.n_in == 1);
	cr_expect_eq(c.out[0].iov_base, host(DATA_AT));
	cr_expect_eq(c.in[0].iov_base, host(DATA_AT + 64));
	/* The table is not in use any more, the buffer is. */
	unmap(IOVA + DATA_AT + PAGE, 2 * PAGE);
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
	unmap(IOVA, PAGE);
	cr_expect_not(iommu_ticket_is_over(iommu, &ticket));
	virtqueue_push(q, c.head, 0);
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
	stop();
}

Test(pieces, a_table_may_be_several_pieces_of_memory)
{
	table_in_pieces(FAKE_SPLIT);
	table_in_pieces(FAKE_PACKED);
}

Test(pieces, too_many_of_them_break_the_queue_and_leave_no_pin, .init = split, .fini = stop)
{
	struct chain c;

	for (unsigned i = 0; i < 1100; i++)
		map_to(FAR + (uint64_t)i * PAGE, DATA_AT + (uint64_t)(i % 2 * 2) * PAGE, PAGE, 3);
	add(FAR - IOVA, 1024 * PAGE, true);
	cr_assert_eq(virtqueue_pop(q, &c), VQ_CHAIN);
	cr_expect_eq(c.n_in, 1024);
	virtqueue_push(q, c.head, 0);
	add(FAR - IOVA, 1025 * PAGE, true);
	cr_expect_eq(virtqueue_pop(q, &c), VQ_BROKEN);
	cr_expect_eq(virtqueue_fault(q), VQ_FAULT_PIECES);
	unmap(FAR, 1100 * PAGE);
	while (!iommu_ticket_is_over(iommu, &ticket))
		continue;
	cr_expect_eq(n_lost, 0);
}

/* covers: IOMMU-MAP-06 */
Test(pieces, what_is_not_mapped_or_not_so_is_refused_and_reported, .init = split, .fini = stop)
{
	struct iommu_fault fault;
	struct chain c;

	map_to(IOVA, DATA_AT, PAGE, IOMMU_READ);
	const struct fake_buf buf[] = { { IOVA, 16, false }, { IOVA + 16, 16, true } };

	fake_ring_add(&ring, buf, 2);
	cr_expect_eq(virtqueue_pop(q, &c), VQ_BROKEN);
	cr_expect_eq(virtqueue_fault(q), VQ_FAULT_ADDRESS);
	cr_assert(iommu_take_fault(iommu, &fault));
	cr_expect_eq(fault.addr, IOVA + 16);
	cr_expect_eq(fault.access, IOMMU_WRITE);
	cr_expect_eq(fault.endpoint, ENDPOINT);
	cr_expect_not(iommu_take_fault(iommu, &fault));
	/* The half that was right is not kept. */
	unmap(IOVA, PAGE);
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
}

Test(pieces, a_buffer_that_ends_outside_or_wraps_is_refused, .init = split, .fini = stop)
{
	struct iommu_fault fault;
	struct chain c;

	map_to(IOVA, DATA_AT, PAGE, 3);
	add(PAGE - 8, 16, true);
	cr_expect_eq(virtqueue_pop(q, &c), VQ_BROKEN);
	cr_assert(iommu_take_fault(iommu, &fault));
	cr_expect_eq(fault.addr, IOVA + PAGE);
	unmap(IOVA, PAGE);
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
}

/* Every way in which a chain ends lets go of what it used. */
Test(pieces, an_unpop_and_the_end_of_the_queue_let_go, .init = split, .fini = stop)
{
	struct chain c;

	map_to(IOVA, DATA_AT, PAGE, 3);
	add(0, 16, true);
	cr_assert_eq(virtqueue_pop(q, &c), VQ_CHAIN);
	virtqueue_unpop(q, &c);
	cr_assert_eq(virtqueue_pop(q, &c), VQ_CHAIN);
	unmap(IOVA, PAGE);
	cr_expect_not(iommu_ticket_is_over(iommu, &ticket));
	virtqueue_destroy(q);
	q = NULL;
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
}

Test(pieces, a_queue_whose_ring_is_unmapped_tells_its_owner, .init = split, .fini = stop)
{
	unmap(IOVA + RING_AT, align_up(fake_ring_bytes(SIZE), PAGE));
	cr_expect_eq(n_lost, 1);
	cr_expect_not(iommu_ticket_is_over(iommu, &ticket));
	virtqueue_destroy(q);
	q = NULL;
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
}
