/* An IOMMU: who reaches what, and when what was taken away is nobody's any more. */
#include "vmm/machine/iommu.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "vmm/base/fd.h"

enum { PAGE = 4096, RAM = 1 << 20, FIRST = 8, SECOND = 16, N_MAPPINGS = 16 };

static uint8_t ram[RAM];
static const struct guest_memory memory = {
	.region = { { .base = 0, .size = RAM, .host = ram } }, .n_regions = 1, .fd = FD_NONE,
};

static struct iommu *iommu;
static const struct dma *first, *second;
static unsigned n_lost;
static struct iommu_ticket ticket;

static void lost(void *arg, const char *reason)
{
	cr_expect_not_null(reason);
	(void)arg;
	n_lost++;
}

static void set_up(bool bypass)
{
	const struct iommu_config config = {
		.n_endpoints = 2, .n_mappings = N_MAPPINGS, .bypass = bypass,
	};

	cr_assert_eq(iommu_create(&iommu, &config), 0);
	iommu_set_memory(iommu, &memory);
	first = iommu_add_endpoint(iommu, FIRST, lost, NULL);
	second = iommu_add_endpoint(iommu, SECOND, lost, NULL);
	cr_assert(first && second);
	n_lost = 0;
}

static void begin(void)
{
	set_up(false);
}

static void end(void)
{
	iommu_destroy(iommu);
}

static int attach(uint32_t endpoint, uint32_t domain)
{
	return iommu_attach(iommu, endpoint, domain, false, &ticket);
}

/* What the device reaches at 'addr', or NULL. */
static void *at(const struct dma *dma, uint64_t addr, enum dma_dir dir)
{
	struct dma_cache cache = { 0 };
	struct iommu_mapping *pin;
	uint64_t len = 1;
	unsigned era = dma_enter(dma);
	void *host = dma_pin(dma, &cache, addr, &len, dir, &pin);

	if (host && pin)
		dma_unpin(pin);
	dma_leave(dma, era);
	return host;
}

static unsigned take_faults(struct iommu_fault *last)
{
	unsigned n = 0;

	while (iommu_take_fault(iommu, last))
		n++;
	return n;
}

Test(iommu, an_endpoint_that_is_not_attached_reaches_nothing_or_all, .init = begin, .fini = end)
{
	struct iommu_fault fault;

	cr_expect_null(at(first, 0x5000, DMA_FROM_DEVICE));
	cr_assert_eq(take_faults(&fault), 1);
	cr_expect_eq(fault.endpoint, FIRST);
	cr_expect_eq(fault.reason, IOMMU_NO_DOMAIN);
	cr_expect_eq(fault.access, IOMMU_WRITE);
	cr_expect_eq(fault.addr, 0x5000);
	iommu_set_bypass(iommu, true);
	cr_expect_eq(at(first, 0x5000, DMA_BOTH), ram + 0x5000);
	/* What is no memory is no fault of the IOMMU. */
	cr_expect_null(at(first, RAM, DMA_BOTH));
	cr_expect_eq(take_faults(&fault), 0);
	/* Behind an IOMMU nothing gets past it. */
	cr_expect_null(dma_map(first, 0x5000, 1, DMA_BOTH));
}

Test(iommu, a_domain_leads_where_it_was_told_to_in_the_allowed_direction, .init = begin,
     .fini = end)
{
	struct iommu_fault fault;

	cr_expect_eq(iommu_map(iommu, 1, 0, PAGE - 1, 0, 3), -ENOENT);
	cr_assert_eq(attach(FIRST, 1), 0);
	cr_assert_eq(iommu_map(iommu, 1, 0x10000, 0x10fff, 0x3000, IOMMU_READ), 0);
	cr_assert_eq(iommu_map(iommu, 1, 0x11000, 0x11fff, 0x8000, IOMMU_WRITE), 0);
	cr_expect_eq(at(first, 0x10010, DMA_TO_DEVICE), ram + 0x3010);
	cr_expect_eq(at(first, 0x11010, DMA_FROM_DEVICE), ram + 0x8010);
	cr_expect_null(at(first, 0x10010, DMA_FROM_DEVICE));
	cr_expect_null(at(first, 0x11010, DMA_BOTH));
	cr_expect_null(at(first, 0x3000, DMA_TO_DEVICE));
	cr_assert_eq(take_faults(&fault), 3);
	cr_expect_eq(fault.reason, IOMMU_NO_MAPPING);
	/* The other one is not in it until it is attached. */
	cr_expect_null(at(second, 0x10010, DMA_TO_DEVICE));
	cr_assert_eq(attach(SECOND, 1), 0);
	cr_expect_eq(at(second, 0x10010, DMA_TO_DEVICE), ram + 0x3010);
}

Test(iommu, a_domain_lives_as_long_as_somebody_is_attached, .init = begin, .fini = end)
{
	unsigned domains, mappings;

	cr_assert_eq(attach(FIRST, 1), 0);
	cr_assert_eq(attach(SECOND, 1), 0);
	cr_assert_eq(iommu_map(iommu, 1, 0, PAGE - 1, 0x3000, 3), 0);
	cr_expect_eq(attach(FIRST, 2), 0);
	cr_expect_null(at(first, 0, DMA_BOTH), "it took the mappings along");
	cr_expect_eq(at(second, 0, DMA_BOTH), ram + 0x3000);
	cr_expect_eq(iommu_detach(iommu, SECOND, 2, &ticket), -EINVAL);
	cr_expect_eq(iommu_detach(iommu, SECOND, 1, &ticket), 0);
	cr_expect_eq(iommu_map(iommu, 1, 0, PAGE - 1, 0x3000, 3), -ENOENT);
	/* Under its old name a new one is empty. */
	cr_expect_eq(attach(SECOND, 1), 0);
	cr_expect_null(at(second, 0, DMA_BOTH));
	iommu_reset(iommu);
	iommu_count(iommu, &domains, &mappings);
	cr_expect_eq(domains, 0);
	cr_expect_eq(mappings, 0);
	cr_expect_eq(iommu_attach(iommu, 99, 1, false, &ticket), -ENOENT);
	cr_expect_eq(iommu_detach(iommu, 99, 1, &ticket), -ENOENT);
}

Test(iommu, a_domain_that_bypasses_does_so_for_good, .init = begin, .fini = end)
{
	cr_assert_eq(iommu_attach(iommu, FIRST, 1, true, &ticket), 0);
	cr_expect_eq(at(first, 0x7000, DMA_BOTH), ram + 0x7000);
	cr_expect_eq(iommu_map(iommu, 1, 0, PAGE - 1, 0x3000, 3), -EINVAL);
	cr_expect_eq(iommu_unmap(iommu, 1, 0, PAGE - 1, &ticket), -EINVAL);
	cr_expect_eq(attach(SECOND, 1), -EINVAL);
	cr_expect_eq(attach(SECOND, 2), 0);
	cr_expect_eq(iommu_attach(iommu, FIRST, 2, true, &ticket), -EINVAL);
	cr_expect_eq(at(first, 0x7000, DMA_BOTH), ram + 0x7000);
}

Test(iommu, maps_only_memory_and_only_so_much, .init = begin, .fini = end)
{
	cr_assert_eq(attach(FIRST, 1), 0);
	cr_expect_eq(iommu_map(iommu, 1, 0, 2 * PAGE - 1, RAM - PAGE, 3), -ERANGE);
	cr_expect_eq(iommu_map(iommu, 1, 0, PAGE - 1, UINT64_MAX - PAGE + 1, 3), -ERANGE);
	cr_expect_eq(iommu_map(iommu, 1, 0, UINT64_MAX, 0, 3), -ERANGE);
	cr_expect_eq(iommu_map(iommu, 1, PAGE, PAGE - 1, 0, 3), -ERANGE);
	for (uint64_t i = 0; i < N_MAPPINGS; i++)
		cr_assert_eq(iommu_map(iommu, 1, i * PAGE, i * PAGE + PAGE - 1, 0, 3), 0);
	cr_expect_eq(iommu_map(iommu, 1, RAM, RAM + PAGE - 1, 0, 3), -ENOMEM);
	cr_expect_eq(iommu_unmap(iommu, 1, 0, PAGE - 1, &ticket), 0);
	cr_expect_eq(iommu_map(iommu, 1, RAM, RAM + PAGE - 1, 0, 3), 0);
}

/* covers: IOMMU-OP-12 */
Test(iommu, an_unmap_is_over_when_the_last_chain_that_used_it_is, .init = begin, .fini = end)
{
	struct dma_cache cache = { 0 };
	struct iommu_mapping *pin;
	uint64_t len = 2 * PAGE;

	cr_assert_eq(attach(FIRST, 1), 0);
	cr_assert_eq(iommu_map(iommu, 1, 0, PAGE - 1, 0x3000, 3), 0);
	unsigned era = dma_enter(first);

	cr_assert_eq(dma_pin(first, &cache, 16, &len, DMA_BOTH, &pin), ram + 0x3010);
	cr_expect_eq(len, PAGE - 16);
	cr_assert_eq(iommu_unmap(iommu, 1, 0, PAGE - 1, &ticket), 0);
	cr_expect_not(iommu_ticket_is_over(iommu, &ticket));
	/* For others it is gone at once, also for those that remember it. */
	cr_expect_null(at(first, 16, DMA_BOTH));
	cr_expect_null(dma_pin(first, &cache, 16, &len, DMA_BOTH, &(struct iommu_mapping *){ 0 }));
	dma_unpin(pin);
	dma_leave(first, era);
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
	cr_expect_eq(n_lost, 0);
}

/* covers: IOMMU-OP-12 */
Test(iommu, a_move_is_over_when_every_chain_that_began_before_is, .init = begin, .fini = end)
{
	struct iommu_ticket later;

	iommu_set_bypass(iommu, true);
	unsigned era = dma_enter(first);

	cr_assert_eq(attach(FIRST, 1), 0);
	cr_expect_not(iommu_ticket_is_over(iommu, &ticket));
	/* Neither is one that comes after it, nor do new chains keep either from it. */
	unsigned next = dma_enter(first);

	cr_assert_eq(iommu_detach(iommu, FIRST, 1, &later), 0);
	cr_expect_not(iommu_ticket_is_over(iommu, &later));
	dma_leave(first, era);
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
	cr_expect_not(iommu_ticket_is_over(iommu, &later));
	dma_leave(first, next);
	cr_expect(iommu_ticket_is_over(iommu, &later));
}

/* As often as it likes: with a chain out from before each change, more than can be told apart. */
Test(iommu, bypass_that_comes_and_goes_is_over_when_the_last_chain_is, .init = begin, .fini = end)
{
	unsigned era[20], n = 0;

	for (; n < ARRAY_SIZE(era); n++) {
		iommu_set_bypass(iommu, n % 2 == 0);
		era[n] = dma_enter(first);
		cr_expect_eq(at(first, 0, DMA_BOTH) != NULL, n % 2 == 0);
	}
	iommu_set_bypass(iommu, true);
	while (n > 0) {
		cr_expect_not(iommu_is_quiet(iommu), "%u chains are out", n);
		dma_leave(first, era[--n]);
	}
	cr_expect(iommu_is_quiet(iommu));
	/* And a chain of now keeps nobody waiting. */
	era[0] = dma_enter(first);
	cr_expect(iommu_is_quiet(iommu));
	dma_leave(first, era[0]);
}

Test(iommu, too_many_moves_while_chains_are_out_are_refused_and_a_reset_is_not, .init = begin,
     .fini = end)
{
	unsigned era[16], n = 0;
	int r = 0;

	while (r == 0 && n < ARRAY_SIZE(era)) {
		era[n] = dma_enter(first);
		r = attach(FIRST, 1 + n++);
	}
	/* It stays where it was. */
	cr_expect_eq(r, -EOPNOTSUPP);
	cr_expect_eq(iommu_detach(iommu, FIRST, n - 1, &ticket), -ENOMEM);
	iommu_reset(iommu);
	cr_expect_null(at(first, 0, DMA_BOTH));
	cr_expect_eq(attach(FIRST, 1), -ENOMEM);
	while (n > 0)
		dma_leave(first, era[--n]);
	cr_expect_eq(attach(FIRST, 1), 0);
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
}

/* What could be remembered of one more move is taken by one that had to wait for that. */
Test(iommu, an_attach_that_is_refused_leaves_no_domain, .init = begin, .fini = end)
{
	unsigned era[16], n = 0;
	int r = 0;

	while (r == 0 && n < ARRAY_SIZE(era)) {
		era[n] = dma_enter(first);
		r = attach(FIRST, 1 + n++);
	}
	iommu_reset(iommu);
	dma_leave(first, era[0]);
	cr_expect_eq(attach(FIRST, 77), -ENOMEM);
	cr_expect_eq(iommu_map(iommu, 77, 0, PAGE - 1, 0, 3), -ENOENT);
	while (n > 1)
		dma_leave(first, era[--n]);
	cr_expect_eq(attach(FIRST, 77), 0);
}

/* covers: IOMMU-OP-12 */
Test(iommu, who_loses_a_ring_hears_of_it_and_the_unmap_waits_for_the_release, .init = begin,
     .fini = end)
{
	struct dma_hold hold;

	cr_assert_eq(attach(FIRST, 1), 0);
	cr_assert_eq(iommu_map(iommu, 1, 0, PAGE - 1, 0x3000, 3), 0);
	cr_assert_eq(iommu_map(iommu, 1, PAGE, 2 * PAGE - 1, 0x4000, 3), 0);
	cr_assert_eq(iommu_map(iommu, 1, 2 * PAGE, 3 * PAGE - 1, 0x9000, 3), 0);
	cr_assert_eq(dma_hold(first, 16, PAGE, DMA_BOTH, &hold), ram + 0x3010);
	cr_assert_eq(iommu_unmap(iommu, 1, 2 * PAGE, 3 * PAGE - 1, &ticket), 0);
	cr_expect_eq(n_lost, 0);
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
	cr_assert_eq(iommu_unmap(iommu, 1, PAGE, 2 * PAGE - 1, &ticket), 0);
	cr_expect_eq(n_lost, 1);
	cr_expect_not(iommu_ticket_is_over(iommu, &ticket));
	/* The rest of it is not free either. */
	cr_assert_eq(iommu_unmap(iommu, 1, 0, PAGE - 1, &ticket), 0);
	cr_expect_not(iommu_ticket_is_over(iommu, &ticket));
	iommu_ticket_enforce(iommu, &ticket);
	cr_expect_eq(n_lost, 2);
	dma_release(&hold);
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
}

Test(iommu, a_ring_is_one_piece_of_memory, .init = begin, .fini = end)
{
	struct dma_hold hold;
	struct iommu_fault fault;

	cr_assert_eq(attach(FIRST, 1), 0);
	cr_assert_eq(iommu_map(iommu, 1, 0, PAGE - 1, 0x3000, 3), 0);
	cr_assert_eq(iommu_map(iommu, 1, PAGE, 2 * PAGE - 1, 0x5000, 3), 0);
	cr_expect_null(dma_hold(first, 0, 2 * PAGE, DMA_BOTH, &hold));
	cr_expect_eq(take_faults(&fault), 0);
	dma_release(&hold);
	cr_expect_null(dma_hold(first, PAGE, 2 * PAGE, DMA_BOTH, &hold));
	cr_expect_eq(take_faults(&fault), 1);
	cr_expect_eq(fault.addr, 2 * PAGE);
	cr_expect_null(dma_hold(first, 0, 0, DMA_BOTH, &hold));
	cr_expect_null(dma_hold(first, UINT64_MAX, 2, DMA_BOTH, &hold));
	dma_release(&hold);
}

/* A ring whose address means the same afterwards goes on. */
Test(iommu, a_move_that_changes_nothing_for_a_ring_does_not_end_it, .init = begin, .fini = end)
{
	struct dma_hold hold;

	iommu_set_bypass(iommu, true);
	cr_assert_eq(dma_hold(first, 0x3000, PAGE, DMA_BOTH, &hold), ram + 0x3000);
	cr_assert_eq(iommu_attach(iommu, FIRST, 1, true, &ticket), 0);
	cr_expect_eq(n_lost, 0);
	cr_assert_eq(attach(FIRST, 2), 0);
	cr_expect_eq(n_lost, 1);
	cr_expect_not(iommu_ticket_is_over(iommu, &ticket));
	dma_release(&hold);
	cr_expect(iommu_ticket_is_over(iommu, &ticket));
}

struct ear {
	struct iommu_listener listener;
	uint64_t first, last;
	unsigned n;
};

static void hear(struct iommu_listener *listener, uint64_t from, uint64_t to)
{
	struct ear *ear = container_of(listener, struct ear, listener);

	ear->first = from;
	ear->last = to;
	ear->n++;
}

/* covers: IOMMU-OP-12 */
Test(iommu, who_keeps_translations_is_told_before_the_request_is_answered, .init = begin,
     .fini = end)
{
	struct ear ear = { .listener.invalidate = hear };
	enum iommu_fault_reason reason;
	struct iommu_range range;

	iommu_listen(first, &ear.listener);
	cr_assert_eq(attach(FIRST, 1), 0);
	cr_expect_eq(ear.n, 1);
	cr_assert_eq(attach(SECOND, 2), 0);
	cr_assert_eq(iommu_map(iommu, 1, PAGE, 2 * PAGE - 1, 0x3000, IOMMU_READ), 0);
	cr_expect_eq(ear.n, 1);
	cr_assert(iommu_lookup(first, PAGE + 5, &range, &reason));
	cr_expect(range.first == PAGE && range.last == 2 * PAGE - 1);
	cr_expect_eq(range.host, ram + 0x3000);
	cr_expect_eq(range.access, IOMMU_READ);
	cr_assert_eq(iommu_unmap(iommu, 1, PAGE, 2 * PAGE - 1, &ticket), 0);
	cr_expect_eq(ear.n, 2);
	cr_expect(ear.first == PAGE && ear.last == 2 * PAGE - 1);
	cr_expect_not(iommu_lookup(first, PAGE + 5, &range, &reason));
	cr_expect_eq(reason, IOMMU_NO_MAPPING);
	iommu_unlisten(first, &ear.listener);
	cr_assert_eq(iommu_detach(iommu, FIRST, 1, &ticket), 0);
	cr_expect_eq(ear.n, 2);
	cr_expect_not(iommu_lookup(first, PAGE + 5, &range, &reason));
	cr_expect_eq(reason, IOMMU_NO_DOMAIN);
}

/* covers: IOMMU-FAULT-08 */
Test(iommu, a_storm_of_faults_is_cut_off, .init = begin, .fini = end)
{
	struct iommu_fault fault;

	for (unsigned i = 0; i < 1000; i++)
		cr_expect_null(at(first, i, DMA_TO_DEVICE));
	unsigned n = take_faults(&fault);

	cr_expect(n > 0 && n <= 64);
	cr_expect_null(at(first, 7, DMA_TO_DEVICE));
	cr_expect_eq(take_faults(&fault), 1);
	cr_expect_eq(fault.addr, 7);
}
