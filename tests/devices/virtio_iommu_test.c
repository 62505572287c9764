/* The virtio IOMMU as a driver and a device behind it see it. */
#include "devices/virtio_iommu.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/iommu_request.h"
#include "devices/virtio_models.h"
#include "tests/support/device_rig.h"
#include "tests/support/echo_device.h"
#include "vmm/base/le.h"

enum { REQUESTS, EVENTS, QUEUES };
enum { PAGE = 4096, ENDPOINT = 0x18, OTHER = 0x20, NOBODY = 0xffff, N_MAPPINGS = 64 };
enum { CONFIG_BYPASS = 36, UNANSWERED = 0x100 };

static struct device_rig rig;
static struct iommu *iommu;
static const struct dma *dma, *other;
static uint64_t out_at, in_at, data_at;
static unsigned n_lost;
static uint32_t used_len;

static void lost(void *arg, const char *reason)
{
	(void)arg;
	(void)reason;
	n_lost++;
}

static void plug(bool bypass)
{
	const struct iommu_config config = {
		.n_endpoints = 4, .n_mappings = N_MAPPINGS, .bypass = bypass,
	};
	struct virtio_iommu_config model = { .name = "iommu" };
	struct virtio_device *dev;

	device_rig_create(&rig);
	cr_assert_eq(iommu_create(&iommu, &config), 0);
	iommu_set_memory(iommu, &rig.machine->m.memory);
	dma = iommu_add_endpoint(iommu, ENDPOINT, lost, NULL);
	other = iommu_add_endpoint(iommu, OTHER, lost, NULL);
	model.iommu = iommu;
	model.loop = rig.io;
	cr_assert_eq(virtio_iommu_create(&dev, &model), 0);
	device_rig_plug(&rig, dev, FAKE_MMIO);
	n_lost = 0;
}

static void start_with(struct features features)
{
	device_rig_start(&rig, features, QUEUES);
	out_at = device_rig_alloc(&rig, PAGE);
	in_at = device_rig_alloc(&rig, PAGE);
	data_at = device_rig_alloc(&rig, 16 * PAGE);
}

static void start(void)
{
	plug(false);
	start_with(fake_driver_offered(&rig.driver));
}

static void stop(void)
{
	device_rig_destroy(&rig);
	iommu_destroy(iommu);
}

/* --- Requests as bytes ----------------------------------------------------------------------- */

static uint8_t bytes[256];

static uint16_t send(size_t len, uint32_t in_len)
{
	const struct fake_buf buf[] = { { out_at, (uint32_t)len, false }, { in_at, in_len, true } };

	memcpy(device_rig_at(&rig, out_at, PAGE), bytes, len);
	memset(device_rig_at(&rig, in_at, PAGE), 0xcc, PAGE);
	return device_rig_add(&rig, REQUESTS, buf, 2);
}

static const uint8_t *in(void)
{
	return device_rig_at(&rig, in_at, PAGE);
}

/* The status of a request that has only a tail for its answer; UNANSWERED if nothing was written. */
static unsigned ask(size_t len)
{
	send(len, 4);
	used_len = device_rig_wait(&rig, REQUESTS, NULL);
	if (used_len == 0) {
		cr_expect_eq(in()[0], 0xcc);
		return UNANSWERED;
	}
	cr_expect_eq(used_len, 4);
	cr_expect(in()[1] == 0 && in()[2] == 0 && in()[3] == 0 && in()[4] == 0xcc);
	return in()[0];
}

static size_t write_attach(uint32_t endpoint, uint32_t domain, uint32_t flags)
{
	memset(bytes, 0, sizeof(bytes));
	bytes[0] = IOMMU_T_ATTACH;
	store_le32(bytes + 4, domain);
	store_le32(bytes + 8, endpoint);
	store_le32(bytes + 12, flags);
	return 20;
}

static size_t write_detach(uint32_t endpoint, uint32_t domain)
{
	memset(bytes, 0, sizeof(bytes));
	bytes[0] = IOMMU_T_DETACH;
	store_le32(bytes + 4, domain);
	store_le32(bytes + 8, endpoint);
	return 20;
}

static size_t write_map(uint32_t domain, uint64_t first, uint64_t last, uint64_t phys,
			uint32_t flags)
{
	memset(bytes, 0, sizeof(bytes));
	bytes[0] = IOMMU_T_MAP;
	store_le32(bytes + 4, domain);
	store_le64(bytes + 8, first);
	store_le64(bytes + 16, last);
	store_le64(bytes + 24, phys);
	store_le32(bytes + 32, flags);
	return 36;
}

static size_t write_unmap(uint32_t domain, uint64_t first, uint64_t last)
{
	memset(bytes, 0, sizeof(bytes));
	bytes[0] = IOMMU_T_UNMAP;
	store_le32(bytes + 4, domain);
	store_le64(bytes + 8, first);
	store_le64(bytes + 16, last);
	return 28;
}

static size_t write_probe(uint32_t endpoint)
{
	memset(bytes, 0, sizeof(bytes));
	bytes[0] = IOMMU_T_PROBE;
	store_le32(bytes + 4, endpoint);
	return 72;
}

static unsigned attach(uint32_t endpoint, uint32_t domain)
{
	return ask(write_attach(endpoint, domain, 0));
}

/* Page 'iova' of the domain is page 'data' of the data. */
static unsigned map(uint32_t domain, uint64_t iova, uint64_t data)
{
	return ask(write_map(domain, iova * PAGE, iova * PAGE + PAGE - 1, data_at + data * PAGE, 3));
}

static unsigned unmap(uint32_t domain, uint64_t first, uint64_t last)
{
	return ask(write_unmap(domain, first * PAGE, last * PAGE + PAGE - 1));
}

/* What the device reaches there: the offset into guest memory, or -1. */
static int64_t reach(const struct dma *who, uint64_t addr, enum dma_dir dir)
{
	struct dma_cache cache = { 0 };
	struct iommu_mapping *pin;
	uint64_t len = 1;
	unsigned era = dma_enter(who);
	void *host = dma_pin(who, &cache, addr, &len, dir, &pin);
	gpa_t gpa = 0;

	if (host && pin)
		dma_unpin(pin);
	dma_leave(who, era);
	return host && guest_memory_locate(&rig.machine->m.memory, host, &gpa) ? (int64_t)gpa : -1;
}

static bool reaches_page(uint64_t iova, uint64_t data)
{
	return reach(dma, iova * PAGE + 5, DMA_BOTH) == (int64_t)(data_at + data * PAGE + 5);
}

/* --- Features and configuration -------------------------------------------------------------- */

/* covers: IOMMU-FEAT-01 IOMMU-FEAT-02 IOMMU-FEAT-03 */
Test(virtio_iommu, offers_what_new_devices_should, .init = start, .fini = stop)
{
	struct features f = fake_driver_offered(&rig.driver);

	cr_expect(features_has(&f, VIRTIO_IOMMU_F_MAP_UNMAP));
	cr_expect(features_has(&f, VIRTIO_IOMMU_F_PROBE));
	cr_expect(features_has(&f, VIRTIO_IOMMU_F_INPUT_RANGE));
	cr_expect(features_has(&f, VIRTIO_IOMMU_F_DOMAIN_RANGE));
	cr_expect(features_has(&f, VIRTIO_IOMMU_F_BYPASS_CONFIG));
	cr_expect_not(features_has(&f, VIRTIO_IOMMU_F_BYPASS));
	cr_expect_not(features_has(&f, VIRTIO_IOMMU_F_MMIO));
}

/* covers: IOMMU-CFG-01 IOMMU-CFG-07 */
Test(virtio_iommu, configuration_is_laid_out_as_specified, .init = start, .fini = stop)
{
	struct fake_driver *d = &rig.driver;

	cr_expect_eq(fake_driver_config(d, 0, 4), 0xfffff000);
	cr_expect_eq(fake_driver_config(d, 4, 4), 0xffffffff);
	cr_expect_eq(fake_driver_config(d, 8, 4), 0);
	cr_expect_eq(fake_driver_config(d, 12, 4), 0);
	cr_expect_eq(fake_driver_config(d, 16, 4), 0xffffffff);
	cr_expect_eq(fake_driver_config(d, 20, 4), 0x00ffffff);
	cr_expect_eq(fake_driver_config(d, 24, 4), 0);
	cr_expect_eq(fake_driver_config(d, 28, 4), IOMMU_DOMAIN_LAST);
	cr_expect_eq(fake_driver_config(d, 32, 4), IOMMU_PROBE_SIZE);
	for (unsigned i = CONFIG_BYPASS; i < 40; i++)
		cr_expect_eq(fake_driver_config(d, i, 1), 0);
}

/* covers: IOMMU-CFG-04 IOMMU-CFG-05 */
Test(virtio_iommu, bypass_survives_the_device_and_not_the_machine)
{
	plug(true);
	start_with(fake_driver_offered(&rig.driver));
	cr_assert_eq(fake_driver_config(&rig.driver, CONFIG_BYPASS, 1), 1);
	fake_driver_set_config(&rig.driver, CONFIG_BYPASS, 1, 0);
	fake_driver_reset(&rig.driver);
	cr_expect_eq(fake_driver_config(&rig.driver, CONFIG_BYPASS, 1), 0);
	cr_expect_eq(reach(dma, data_at, DMA_BOTH), -1);
	machine_lock(&rig.machine->m);
	virtio_transport_reset(rig.transport);
	machine_unlock(&rig.machine->m);
	cr_expect_eq(fake_driver_config(&rig.driver, CONFIG_BYPASS, 1), 1);
	cr_expect_eq(reach(dma, data_at, DMA_BOTH), (int64_t)data_at);
	stop();
}

/* covers: IOMMU-CFG-06 IOMMU-CFG-08 */
Test(virtio_iommu, only_bypass_can_be_written_and_only_0_or_1, .init = start, .fini = stop)
{
	uint64_t before[CONFIG_BYPASS];

	for (unsigned i = 0; i < CONFIG_BYPASS; i++)
		before[i] = fake_driver_config(&rig.driver, i, 1);
	for (unsigned i = 0; i < 40; i++)
		fake_driver_set_config(&rig.driver, i, 1, 0xff);
	for (unsigned i = 0; i < CONFIG_BYPASS; i++)
		cr_expect_eq(fake_driver_config(&rig.driver, i, 1), before[i]);
	for (unsigned i = CONFIG_BYPASS; i < 40; i++)
		cr_expect_eq(fake_driver_config(&rig.driver, i, 1), 0);
	fake_driver_set_config(&rig.driver, CONFIG_BYPASS, 1, 1);
	cr_expect_eq(fake_driver_config(&rig.driver, CONFIG_BYPASS, 1), 1);
	fake_driver_set_config(&rig.driver, CONFIG_BYPASS, 1, 2);
	cr_expect_eq(fake_driver_config(&rig.driver, CONFIG_BYPASS, 1), 1);
	cr_expect_eq(reach(dma, data_at, DMA_BOTH), (int64_t)data_at);
}

/* covers: IOMMU-CFG-08 IOMMU-ATTACH-02 */
Test(virtio_iommu, without_bypass_config_bypass_cannot_be_changed, .fini = stop)
{
	plug(true);
	struct features f = fake_driver_offered(&rig.driver);

	features_remove(&f, VIRTIO_IOMMU_F_BYPASS_CONFIG);
	start_with(f);
	fake_driver_set_config(&rig.driver, CONFIG_BYPASS, 1, 0);
	cr_expect_eq(fake_driver_config(&rig.driver, CONFIG_BYPASS, 1), 1);
	cr_expect_eq(reach(dma, data_at, DMA_BOTH), (int64_t)data_at);
	cr_expect_eq(ask(write_attach(ENDPOINT, 1, IOMMU_ATTACH_F_BYPASS)), IOMMU_S_INVAL);
}

/* --- Requests in general --------------------------------------------------------------------- */

/* covers: IOMMU-FAULT-07 IOMMU-OP-01 IOMMU-OP-04 IOMMU-OP-05 */
Test(virtio_iommu, a_request_is_carried_out_and_answered, .init = start, .fini = stop)
{
	cr_expect_eq(fake_driver_queue_max(&rig.driver, QUEUES), 0);
	size_t len = write_attach(ENDPOINT, 1, 0);

	memset(bytes + 1, 0xa5, 3);
	cr_assert_eq(ask(len), IOMMU_S_OK);
	len = write_map(1, PAGE, 2 * PAGE - 1, data_at, 3);
	memset(bytes + 1, 0xa5, 3);
	cr_assert_eq(ask(len), IOMMU_S_OK);
	cr_expect(reaches_page(1, 0));
	cr_assert_eq(unmap(1, 1, 1), IOMMU_S_OK);
	cr_expect_eq(reach(dma, PAGE, DMA_BOTH), -1);
}

/* covers: IOMMU-OP-02 IOMMU-OP-03 */
Test(virtio_iommu, an_unknown_request_is_given_back_untouched, .init = start, .fini = stop)
{
	static const uint8_t types[] = { 0, 6, 99, 255 };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		memset(bytes, 0, sizeof(bytes));
		bytes[0] = types[i];
		cr_expect_eq(ask(72), UNANSWERED);
	}
	cr_expect_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
}

/* covers: IOMMU-OP-07 */
Test(virtio_iommu, a_request_without_room_for_the_tail_is_not_carried_out, .init = start,
     .fini = stop)
{
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	for (uint32_t room = 1; room < 4; room++) {
		send(write_map(1, 0, PAGE - 1, data_at, 3), room);
		cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), 0);
		cr_expect_eq(in()[0], 0xcc);
	}
	const struct fake_buf only_out = { out_at, 36, false }, only_in = { in_at, 4, true };

	device_rig_add(&rig, REQUESTS, &only_out, 1);
	cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), 0);
	device_rig_add(&rig, REQUESTS, &only_in, 1);
	cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), 0);
	for (size_t len = 0; len < 4; len++)
		cr_expect_eq(ask(len ? len : 1), UNANSWERED);
	write_map(1, 0, PAGE - 1, data_at, 3);
	cr_expect_eq(ask(35), IOMMU_S_INVAL);
	cr_expect_eq(reach(dma, 0, DMA_BOTH), -1);
	/* In any framing. */
	const struct fake_buf odd[] = {
		{ out_at, 3, false }, { out_at + 3, 30, false }, { out_at + 33, 3, false },
		{ in_at, 1, true }, { in_at + 1, 3, true },
	};

	send(write_map(1, 0, PAGE - 1, data_at, 3), 3);
	cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), 0);
	device_rig_add(&rig, REQUESTS, odd, ARRAY_SIZE(odd));
	cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), 4);
	cr_expect_eq(in()[0], IOMMU_S_OK);
	cr_expect(reaches_page(0, 0));
}

/* covers: IOMMU-OP-06 IOMMU-OP-08 */
Test(virtio_iommu, who_is_not_attached_bypasses_only_if_told_so, .init = start, .fini = stop)
{
	cr_expect_eq(reach(dma, data_at, DMA_TO_DEVICE), -1);
	fake_driver_set_config(&rig.driver, CONFIG_BYPASS, 1, 1);
	cr_expect_eq(reach(dma, data_at, DMA_TO_DEVICE), (int64_t)data_at);
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_expect_eq(reach(dma, data_at, DMA_TO_DEVICE), -1);
	cr_assert_eq(ask(write_attach(OTHER, 2, IOMMU_ATTACH_F_BYPASS)), IOMMU_S_OK);
	fake_driver_set_config(&rig.driver, CONFIG_BYPASS, 1, 0);
	cr_expect_eq(reach(other, data_at, DMA_BOTH), (int64_t)data_at);
	cr_assert_eq(ask(write_detach(OTHER, 2)), IOMMU_S_OK);
	cr_expect_eq(reach(other, data_at, DMA_BOTH), -1);
}

/* covers: IOMMU-OP-09 */
Test(virtio_iommu, a_reset_detaches_all, .init = start, .fini = stop)
{
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_assert_eq(map(1, 0, 0), IOMMU_S_OK);
	start_with(fake_driver_offered(&rig.driver));
	cr_expect_eq(reach(dma, 0, DMA_BOTH), -1);
	cr_expect_eq(map(1, 0, 0), IOMMU_S_NOENT);
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_expect_eq(reach(dma, 0, DMA_BOTH), -1);
}

/* covers: IOMMU-OP-10 IOMMU-MAP-08 */
Test(virtio_iommu, domains_and_addresses_out_of_range_are_refused, .init = start, .fini = stop)
{
	uint64_t end = IOMMU_INPUT_LAST;

	cr_expect_eq(attach(ENDPOINT, IOMMU_DOMAIN_LAST + 1), IOMMU_S_RANGE);
	cr_assert_eq(attach(ENDPOINT, IOMMU_DOMAIN_LAST), IOMMU_S_OK);
	uint32_t domain = IOMMU_DOMAIN_LAST;

	cr_expect_eq(ask(write_map(domain, end - PAGE + 1, end + PAGE, data_at, 3)), IOMMU_S_RANGE);
	cr_expect_eq(ask(write_map(domain, 0, UINT64_MAX, 0, 3)), IOMMU_S_RANGE);
	cr_expect_eq(ask(write_map(domain, 2 * PAGE, PAGE - 1, data_at, 3)), IOMMU_S_RANGE);
	cr_expect_eq(ask(write_map(domain, 0, PAGE - 1, UINT64_MAX - PAGE + 1, 3)), IOMMU_S_RANGE);
	cr_expect_eq(ask(write_map(domain, 0, PAGE - 1, FAKE_LOW_RAM_SIZE, 3)), IOMMU_S_RANGE);
	cr_expect_eq(ask(write_map(domain, 0, 2 * PAGE - 1, FAKE_LOW_RAM_SIZE - PAGE, 3)),
		     IOMMU_S_RANGE);
	cr_expect_eq(ask(write_unmap(domain, 0, UINT64_MAX)), IOMMU_S_RANGE);
	cr_expect_eq(ask(write_unmap(domain, PAGE, 0)), IOMMU_S_RANGE);
	cr_assert_eq(ask(write_map(domain, end - PAGE + 1, end, data_at, 3)), IOMMU_S_OK);
	cr_expect_eq(reach(dma, end, DMA_BOTH), (int64_t)data_at + PAGE - 1);
}

/* covers: IOMMU-OP-11 */
Test(virtio_iommu, there_is_an_end_to_mappings_and_domains, .init = start, .fini = stop)
{
	unsigned status = IOMMU_S_OK;

	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	for (unsigned i = 0; i < N_MAPPINGS; i++)
		cr_assert_eq(map(1, i, 0), IOMMU_S_OK);
	cr_expect_eq(map(1, N_MAPPINGS, 0), IOMMU_S_NOMEM);
	cr_expect_eq(unmap(1, 3, 3), IOMMU_S_OK);
	cr_expect_eq(map(1, N_MAPPINGS, 0), IOMMU_S_OK);
	/* A domain that nobody is attached to is none. */
	for (unsigned i = 2; i < 500 && status == IOMMU_S_OK; i++)
		status = attach(ENDPOINT, i);
	cr_expect_eq(status, IOMMU_S_OK);
}

/* covers: IOMMU-OP-12 IOMMU-DETACH-04 */
Test(virtio_iommu, an_unmap_waits_for_who_uses_the_memory_and_no_longer_than_it_must,
     .init = start, .fini = stop)
{
	struct dma_cache cache = { 0 };
	struct iommu_mapping *pin;
	uint64_t len = 1;

	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_assert_eq(map(1, 0, 0), IOMMU_S_OK);
	cr_assert_eq(map(1, 1, 1), IOMMU_S_OK);
	unsigned era = dma_enter(dma);

	cr_assert_not_null(dma_pin(dma, &cache, 0, &len, DMA_BOTH, &pin));
	uint16_t head = send(write_unmap(1, 0, PAGE - 1), 4);

	cr_expect(device_rig_is_quiet(&rig, REQUESTS));
	cr_expect_eq(reach(dma, 0, DMA_BOTH), -1);
	/* Others are answered meanwhile. */
	uint64_t first_in = in_at;

	in_at = device_rig_alloc(&rig, PAGE);
	cr_expect_eq(unmap(1, 1, 1), IOMMU_S_OK);
	in_at = first_in;
	dma_unpin(pin);
	uint32_t id;

	cr_expect_eq(device_rig_wait(&rig, REQUESTS, &id), 4);
	cr_expect_eq(id, head);
	cr_expect_eq(in()[0], IOMMU_S_OK);
	/* So does a detach, for all that the endpoint has in progress. */
	send(write_detach(ENDPOINT, 1), 4);
	cr_expect(device_rig_is_quiet(&rig, REQUESTS));
	dma_leave(dma, era);
	cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), 4);
	cr_expect_eq(in()[0], IOMMU_S_OK);
}

Test(virtio_iommu, a_device_that_does_not_let_go_is_told_to_stop, .init = start, .fini = stop)
{
	struct dma_cache cache = { 0 };
	struct iommu_mapping *pin;
	struct dma_hold ring;
	uint64_t len = 1;

	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_assert_eq(map(1, 0, 0), IOMMU_S_OK);
	cr_assert_eq(map(1, 1, 1), IOMMU_S_OK);
	cr_assert_not_null(dma_hold(dma, PAGE, 16, DMA_BOTH, &ring));
	unsigned era = dma_enter(dma);

	cr_assert_not_null(dma_pin(dma, &cache, 0, &len, DMA_BOTH, &pin));
	send(write_unmap(1, 0, PAGE - 1), 4);
	for (unsigned i = 0; i < 1000 && n_lost == 0; i++)
		usleep(10000);
	cr_expect_gt(n_lost, 0);
	dma_unpin(pin);
	dma_leave(dma, era);
	dma_release(&ring);
	cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), 4);
}

/* covers: IOMMU-OP-09 IOMMU-OP-12 CORE-RESET-02 */
Test(virtio_iommu, a_reset_waits_for_who_uses_the_memory_and_answers_nothing, .init = start,
     .fini = stop)
{
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	unsigned era = dma_enter(dma);

	send(write_detach(ENDPOINT, 1), 4);
	cr_expect(device_rig_is_quiet(&rig, REQUESTS));
	fake_driver_set_status(&rig.driver, 0);
	for (unsigned i = 0; i < 50; i++)
		cr_expect_neq(fake_driver_status(&rig.driver), 0);
	cr_expect_eq(in()[0], 0xcc);
	dma_leave(dma, era);
	cr_expect_eq(fake_driver_status(&rig.driver), 0);
	start_with(fake_driver_offered(&rig.driver));
	cr_expect_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
}

Test(virtio_iommu, a_device_that_does_not_let_go_for_a_reset_is_told_to_stop)
{
	struct dma_hold ring;

	plug(true);
	start_with(fake_driver_offered(&rig.driver));
	/* Before and after the reset the ring is the same memory: only the chain is in the way. */
	cr_assert_eq(ask(write_attach(ENDPOINT, 1, IOMMU_ATTACH_F_BYPASS)), IOMMU_S_OK);
	cr_assert_not_null(dma_hold(dma, data_at, 16, DMA_BOTH, &ring));
	unsigned era = dma_enter(dma);

	fake_driver_set_status(&rig.driver, 0);
	cr_expect_eq(n_lost, 0);
	for (unsigned i = 0; i < 1000 && n_lost == 0; i++) {
		cr_expect_neq(fake_driver_status(&rig.driver), 0);
		usleep(10000);
	}
	cr_expect_gt(n_lost, 0);
	dma_leave(dma, era);
	cr_expect_eq(fake_driver_status(&rig.driver), 0);
	dma_release(&ring);
	stop();
}

/* Nobody answers a write to the configuration; the next ATTACH says when it is over. */
Test(virtio_iommu, who_bypassed_is_waited_for_by_the_next_attach)
{
	plug(true);
	start_with(fake_driver_offered(&rig.driver));
	unsigned era = dma_enter(dma);

	fake_driver_set_config(&rig.driver, CONFIG_BYPASS, 1, 0);
	cr_expect_eq(reach(dma, data_at, DMA_BOTH), -1);
	send(write_attach(ENDPOINT, 1, 0), 4);
	cr_expect(device_rig_is_quiet(&rig, REQUESTS));
	dma_leave(dma, era);
	cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), 4);
	cr_expect_eq(in()[0], IOMMU_S_OK);
	stop();
}

/* --- ATTACH and DETACH ----------------------------------------------------------------------- */

/* covers: IOMMU-ATTACH-01 IOMMU-ATTACH-02 IOMMU-ATTACH-03 IOMMU-ATTACH-12 */
Test(virtio_iommu, attach_judges_every_field, .init = start, .fini = stop)
{
	size_t len = write_attach(ENDPOINT, 1, 0);

	for (unsigned i = 16; i < 20; i++) {
		write_attach(ENDPOINT, 1, 0);
		bytes[i] = 1;
		cr_expect_eq(ask(len), IOMMU_S_INVAL);
	}
	for (unsigned bit = 1; bit < 32; bit++)
		cr_expect_eq(ask(write_attach(ENDPOINT, 1, 1u << bit)), IOMMU_S_INVAL);
	cr_expect_eq(attach(NOBODY, 1), IOMMU_S_NOENT);
	cr_expect_eq(map(1, 0, 0), IOMMU_S_NOENT, "a refused ATTACH made a domain");
	cr_expect_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_expect_eq(map(1, 0, 0), IOMMU_S_OK);
	cr_expect(reaches_page(0, 0));
	/* Again is fine and changes nothing. */
	cr_expect_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_expect(reaches_page(0, 0));
}

/* covers: IOMMU-ATTACH-06 */
Test(virtio_iommu, a_domain_bypasses_for_all_or_for_none, .init = start, .fini = stop)
{
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_expect_eq(ask(write_attach(OTHER, 1, IOMMU_ATTACH_F_BYPASS)), IOMMU_S_INVAL);
	cr_assert_eq(ask(write_attach(OTHER, 2, IOMMU_ATTACH_F_BYPASS)), IOMMU_S_OK);
	cr_expect_eq(attach(ENDPOINT, 2), IOMMU_S_INVAL);
	cr_expect_eq(map(1, 0, 0), IOMMU_S_OK);
	cr_expect(reaches_page(0, 0));
}

/* covers: IOMMU-ATTACH-04 IOMMU-ATTACH-07 IOMMU-ATTACH-08 IOMMU-ATTACH-10 */
Test(virtio_iommu, an_endpoint_moves_and_leaves_everything_behind, .init = start, .fini = stop)
{
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_assert_eq(attach(OTHER, 1), IOMMU_S_OK);
	cr_assert_eq(map(1, 0, 0), IOMMU_S_OK);
	cr_assert_eq(attach(ENDPOINT, 2), IOMMU_S_OK);
	cr_expect_eq(reach(dma, 0, DMA_BOTH), -1);
	cr_expect_eq(reach(other, 0, DMA_BOTH), (int64_t)data_at);
	cr_assert_eq(attach(OTHER, 2), IOMMU_S_OK);
	cr_expect_eq(map(1, 0, 0), IOMMU_S_NOENT, "the domain lives without endpoints");
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_expect_eq(reach(dma, 0, DMA_BOTH), -1);
}

/* covers: IOMMU-ATTACH-09 */
Test(virtio_iommu, an_endpoint_that_cannot_move_stays, .init = start, .fini = stop)
{
	unsigned era[8], n = 0;
	bool answered = false;

	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	/* Each move leaves a chain behind that does not end, and is not answered therefore. */
	while (!answered) {
		cr_assert_lt(n, ARRAY_SIZE(era));
		era[n++] = dma_enter(dma);
		in_at = device_rig_alloc(&rig, PAGE);
		out_at = device_rig_alloc(&rig, PAGE);
		send(write_attach(ENDPOINT, 1 + n, 0), 4);
		answered = !device_rig_is_quiet(&rig, REQUESTS);
	}
	cr_expect_eq(in()[0], IOMMU_S_UNSUPP);
	for (unsigned i = 0; i < n; i++)
		dma_leave(dma, era[i]);
	for (unsigned i = 0; i + 1 < n; i++)
		cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), 4);
}

/* covers: IOMMU-DETACH-01 IOMMU-DETACH-02 IOMMU-DETACH-03 IOMMU-DETACH-04 */
Test(virtio_iommu, detach_takes_every_mapping_away, .init = start, .fini = stop)
{
	cr_expect_eq(ask(write_detach(NOBODY, 1)), IOMMU_S_NOENT);
	cr_expect_eq(ask(write_detach(ENDPOINT, 1)), IOMMU_S_INVAL);
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_assert_eq(attach(OTHER, 2), IOMMU_S_OK);
	cr_assert_eq(map(1, 0, 0), IOMMU_S_OK);
	cr_expect_eq(ask(write_detach(ENDPOINT, 2)), IOMMU_S_INVAL);
	cr_expect(reaches_page(0, 0));
	size_t len = write_detach(ENDPOINT, 1);

	memset(bytes + 12, 0xa5, 8);
	cr_expect_eq(ask(len), IOMMU_S_OK);
	cr_expect_eq(reach(dma, 0, DMA_BOTH), -1);
}

/* --- MAP and UNMAP --------------------------------------------------------------------------- */

/* covers: IOMMU-MAP-01 IOMMU-MAP-02 IOMMU-MAP-03 IOMMU-MAP-04 IOMMU-MAP-05 */
Test(virtio_iommu, map_judges_every_field, .init = start, .fini = stop)
{
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_assert_eq(ask(write_attach(OTHER, 2, IOMMU_ATTACH_F_BYPASS)), IOMMU_S_OK);
	cr_expect_eq(ask(write_map(1, 1, PAGE - 1, data_at, 3)), IOMMU_S_RANGE);
	cr_expect_eq(ask(write_map(1, 0, PAGE, data_at, 3)), IOMMU_S_RANGE);
	cr_expect_eq(ask(write_map(1, 0, PAGE - 1, data_at + 1, 3)), IOMMU_S_RANGE);
	for (unsigned bit = 2; bit < 32; bit++)
		cr_expect_eq(ask(write_map(1, 0, PAGE - 1, data_at, 1u << bit)), IOMMU_S_INVAL);
	cr_expect_eq(map(77, 0, 0), IOMMU_S_NOENT);
	cr_expect_eq(map(2, 0, 0), IOMMU_S_INVAL);
	cr_expect_eq(reach(dma, 0, DMA_BOTH), -1);
	cr_assert_eq(ask(write_map(1, PAGE, 3 * PAGE - 1, data_at, 3)), IOMMU_S_OK);
	cr_expect_eq(map(1, 1, 5), IOMMU_S_INVAL);
	cr_expect_eq(map(1, 2, 5), IOMMU_S_INVAL);
	cr_expect_eq(ask(write_map(1, 0, 4 * PAGE - 1, data_at, 3)), IOMMU_S_INVAL);
	cr_expect(reaches_page(1, 0) && reaches_page(2, 1));
	cr_expect_eq(map(1, 0, 5), IOMMU_S_OK);
	cr_expect_eq(map(1, 3, 5), IOMMU_S_OK);
}

/* covers: IOMMU-MAP-06 */
Test(virtio_iommu, a_mapping_allows_what_its_flags_say, .init = start, .fini = stop)
{
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_assert_eq(ask(write_map(1, 0, PAGE - 1, data_at, IOMMU_MAP_F_READ)), IOMMU_S_OK);
	cr_assert_eq(ask(write_map(1, PAGE, 2 * PAGE - 1, data_at, IOMMU_MAP_F_WRITE)), IOMMU_S_OK);
	cr_assert_eq(ask(write_map(1, 2 * PAGE, 3 * PAGE - 1, data_at, 0)), IOMMU_S_OK);
	cr_expect_eq(reach(dma, 0, DMA_TO_DEVICE), (int64_t)data_at);
	cr_expect_eq(reach(dma, 0, DMA_FROM_DEVICE), -1);
	cr_expect_eq(reach(dma, PAGE, DMA_FROM_DEVICE), (int64_t)data_at);
	cr_expect_eq(reach(dma, 2 * PAGE, DMA_TO_DEVICE), -1);
}

/* covers: IOMMU-MAP-09 */
Test(virtio_iommu, without_map_unmap_both_are_unknown, .fini = stop)
{
	plug(false);
	struct features f = fake_driver_offered(&rig.driver);

	features_remove(&f, VIRTIO_IOMMU_F_MAP_UNMAP);
	start_with(f);
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_expect_eq(map(1, 0, 0), UNANSWERED);
	cr_expect_eq(unmap(1, 0, 0), UNANSWERED);
	cr_expect_eq(reach(dma, 0, DMA_BOTH), -1);
}

/* covers: IOMMU-UNMAP-01 IOMMU-UNMAP-03 IOMMU-UNMAP-04 */
Test(virtio_iommu, unmap_judges_every_field, .init = start, .fini = stop)
{
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_assert_eq(ask(write_attach(OTHER, 2, IOMMU_ATTACH_F_BYPASS)), IOMMU_S_OK);
	cr_assert_eq(map(1, 0, 0), IOMMU_S_OK);
	size_t len = write_unmap(1, 0, PAGE - 1);

	bytes[24] = 1;
	cr_expect_eq(ask(len), IOMMU_S_INVAL);
	cr_expect_eq(unmap(77, 0, 0), IOMMU_S_NOENT);
	cr_expect_eq(unmap(2, 0, 0), IOMMU_S_INVAL);
	cr_expect(reaches_page(0, 0));
}

/* The examples of the specification; pages instead of addresses. */
/* covers: IOMMU-UNMAP-05 IOMMU-UNMAP-06 IOMMU-UNMAP-07 */
Test(virtio_iommu, unmap_removes_whole_mappings, .init = start, .fini = stop)
{
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_expect_eq(unmap(1, 0, 4), IOMMU_S_OK);		/* 1: nothing is there */
	cr_assert_eq(ask(write_map(1, 0, 10 * PAGE - 1, data_at, 3)), IOMMU_S_OK);
	cr_expect_eq(unmap(1, 0, 9), IOMMU_S_OK);		/* 2 */
	cr_expect_eq(reach(dma, 0, DMA_BOTH), -1);
	cr_assert_eq(ask(write_map(1, 0, 5 * PAGE - 1, data_at, 3)), IOMMU_S_OK);
	cr_assert_eq(ask(write_map(1, 5 * PAGE, 10 * PAGE - 1, data_at, 3)), IOMMU_S_OK);
	cr_expect_eq(unmap(1, 0, 9), IOMMU_S_OK);		/* 3 */
	cr_expect_eq(reach(dma, 6 * PAGE, DMA_BOTH), -1);
	cr_assert_eq(ask(write_map(1, 0, 10 * PAGE - 1, data_at, 3)), IOMMU_S_OK);
	cr_expect_eq(unmap(1, 0, 4), IOMMU_S_RANGE);		/* 4: would split it */
	cr_expect_eq(unmap(1, 5, 20), IOMMU_S_RANGE);
	cr_expect(reaches_page(0, 0) && reaches_page(9, 9));
	cr_expect_eq(unmap(1, 0, 9), IOMMU_S_OK);
	cr_assert_eq(ask(write_map(1, 0, 5 * PAGE - 1, data_at, 3)), IOMMU_S_OK);
	cr_assert_eq(ask(write_map(1, 5 * PAGE, 10 * PAGE - 1, data_at + 5 * PAGE, 3)), IOMMU_S_OK);
	cr_expect_eq(unmap(1, 0, 4), IOMMU_S_OK);		/* 5 */
	cr_expect_eq(reach(dma, 0, DMA_BOTH), -1);
	cr_expect(reaches_page(5, 5));
	cr_expect_eq(unmap(1, 0, 9), IOMMU_S_OK);
	cr_assert_eq(ask(write_map(1, 0, 5 * PAGE - 1, data_at, 3)), IOMMU_S_OK);
	cr_expect_eq(unmap(1, 0, 9), IOMMU_S_OK);		/* 6 */
	cr_expect_eq(reach(dma, 0, DMA_BOTH), -1);
	cr_assert_eq(ask(write_map(1, 0, 5 * PAGE - 1, data_at, 3)), IOMMU_S_OK);
	cr_assert_eq(ask(write_map(1, 10 * PAGE, 15 * PAGE - 1, data_at, 3)), IOMMU_S_OK);
	cr_expect_eq(unmap(1, 0, 14), IOMMU_S_OK);		/* 7 */
	cr_expect_eq(reach(dma, 0, DMA_BOTH), -1);
	cr_expect_eq(reach(dma, 10 * PAGE, DMA_BOTH), -1);
}

/* --- PROBE ----------------------------------------------------------------------------------- */

static unsigned ask_properties(size_t len, uint32_t room)
{
	send(len, room + 4);
	used_len = device_rig_wait(&rig, REQUESTS, NULL);
	cr_expect_eq(used_len, room + 4);
	cr_expect_eq(in()[room + 4], 0xcc);
	return in()[room];
}

/*
 * covers: IOMMU-PROBE-01 IOMMU-PROBE-05 IOMMU-PROBE-06 IOMMU-PROBE-07 IOMMU-PROBE-10
 * covers: IOMMU-RESV-01 IOMMU-RESV-02 IOMMU-RESV-03
 */
Test(virtio_iommu, a_probe_tells_of_the_one_reserved_region, .init = start, .fini = stop)
{
	size_t len = write_probe(ENDPOINT);

	memset(bytes + 8, 0xa5, 64);
	cr_assert_eq(ask_properties(len, IOMMU_PROBE_SIZE), IOMMU_S_OK);
	const uint8_t *p = in();

	cr_expect_eq(load_le16(p), 1);
	cr_expect_eq(load_le16(p + 2), 20);
	cr_expect_eq(p[4], 1, "not the MSI region");
	cr_expect(p[5] == 0 && p[6] == 0 && p[7] == 0);
	cr_expect_eq(load_le64(p + 8), 0xfee00000);
	cr_expect_eq(load_le64(p + 16), 0xfeefffff);
	for (unsigned i = 24; i < IOMMU_PROBE_SIZE; i++)
		cr_expect_eq(p[i], 0);
	/* A larger area is filled to its end. */
	cr_assert_eq(ask_properties(len, 200), IOMMU_S_OK);
	for (unsigned i = 24; i < 200; i++)
		cr_expect_eq(in()[i], 0);
}

/* covers: IOMMU-PROBE-02 IOMMU-PROBE-08 IOMMU-PROBE-09 */
Test(virtio_iommu, a_probe_of_nobody_or_into_too_little_tells_nothing, .init = start, .fini = stop)
{
	size_t len = write_probe(NOBODY);

	cr_expect_eq(ask_properties(len, IOMMU_PROBE_SIZE), IOMMU_S_NOENT);
	len = write_probe(ENDPOINT);
	cr_expect_eq(ask_properties(len, IOMMU_PROBE_SIZE - 1), IOMMU_S_INVAL);
	for (unsigned i = 0; i < IOMMU_PROBE_SIZE - 1; i++)
		cr_expect_eq(in()[i], 0xcc);
	cr_expect_eq(ask_properties(len, 0), IOMMU_S_INVAL);
}

/* Gigabytes that are the same page again and again would keep the loop busy for seconds. */
Test(virtio_iommu, a_probe_into_too_much_is_refused_without_filling_it, .init = start,
     .fini = stop)
{
	enum { N_PARTS = 17, TAIL = N_PARTS + 1 };
	struct fake_buf buf[N_PARTS + 2] = { { out_at, (uint32_t)write_probe(ENDPOINT), false } };

	memcpy(device_rig_at(&rig, out_at, PAGE), bytes, buf[0].len);
	memset(device_rig_at(&rig, data_at, PAGE), 0xcc, PAGE);
	for (unsigned i = 1; i <= N_PARTS; i++)
		buf[i] = (struct fake_buf){ data_at, PAGE, true };
	buf[TAIL] = (struct fake_buf){ in_at, 4, true };
	device_rig_add(&rig, REQUESTS, buf, N_PARTS + 2);
	cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), N_PARTS * PAGE + 4);
	cr_expect_eq(in()[0], IOMMU_S_INVAL);
	cr_expect_eq(*(uint8_t *)device_rig_at(&rig, data_at, PAGE), 0xcc);
	/* As large as is allowed. */
	buf[N_PARTS] = buf[TAIL];
	device_rig_add(&rig, REQUESTS, buf, N_PARTS + 1);
	cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), (N_PARTS - 1) * PAGE + 4);
	cr_expect_eq(in()[0], IOMMU_S_OK);
}

/* covers: IOMMU-PROBE-03 IOMMU-PROBE-04 */
Test(virtio_iommu, without_probe_it_is_unknown, .fini = stop)
{
	plug(false);
	struct features f = fake_driver_offered(&rig.driver);

	features_remove(&f, VIRTIO_IOMMU_F_PROBE);
	start_with(f);
	send(write_probe(ENDPOINT), IOMMU_PROBE_SIZE + 4);
	cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), 0);
	for (unsigned i = 0; i < IOMMU_PROBE_SIZE + 4; i++)
		cr_expect_eq(in()[i], 0xcc);
}

/* covers: IOMMU-RESV-04 IOMMU-RESV-05 */
Test(virtio_iommu, the_reserved_region_cannot_be_mapped_or_reached, .init = start, .fini = stop)
{
	cr_assert_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	cr_expect_eq(map(1, 0xfee00000 / PAGE, 0), IOMMU_S_INVAL);
	cr_expect_eq(map(1, 0xfeeff000 / PAGE, 0), IOMMU_S_INVAL);
	cr_expect_eq(ask(write_map(1, 0xfedff000, 0xfee00fff, data_at, 3)), IOMMU_S_INVAL);
	cr_expect_eq(map(1, 0xfedff000 / PAGE, 0), IOMMU_S_OK);
	cr_expect_eq(map(1, 0xfef00000 / PAGE, 0), IOMMU_S_OK);
	cr_expect_eq(reach(dma, 0xfee00000, DMA_FROM_DEVICE), -1);
}

/* --- Fault events ---------------------------------------------------------------------------- */

static uint64_t add_event_buffer(uint32_t len)
{
	struct fake_buf buf = { device_rig_alloc(&rig, len), len, true };

	device_rig_add(&rig, EVENTS, &buf, 1);
	return buf.addr;
}

/* covers: IOMMU-FAULT-01 IOMMU-FAULT-02 IOMMU-FAULT-03 */
Test(virtio_iommu, a_forbidden_access_is_reported, .init = start, .fini = stop)
{
	const uint8_t *p = device_rig_at(&rig, add_event_buffer(64), 64);

	cr_expect_eq(reach(dma, 0x5008, DMA_FROM_DEVICE), -1);
	cr_assert_eq(device_rig_wait(&rig, EVENTS, NULL), IOMMU_FAULT_SIZE);
	cr_expect_eq(p[0], 1, "the reason is not DOMAIN");
	cr_expect(p[1] == 0 && p[2] == 0 && p[3] == 0);
	cr_expect_eq(load_le32(p + 4), 0x102);
	cr_expect_eq(load_le32(p + 8), ENDPOINT);
	cr_expect_eq(load_le32(p + 12), 0);
	cr_expect_eq(load_le64(p + 16), 0x5008);
	cr_expect_eq(p[24], 0xcc);
	cr_assert_eq(attach(OTHER, 1), IOMMU_S_OK);
	p = device_rig_at(&rig, add_event_buffer(24), 24);
	cr_expect_eq(reach(other, 0x7000, DMA_TO_DEVICE), -1);
	cr_assert_eq(device_rig_wait(&rig, EVENTS, NULL), IOMMU_FAULT_SIZE);
	cr_expect_eq(p[0], 2, "the reason is not MAPPING");
	cr_expect_eq(load_le32(p + 4), 0x101);
	cr_expect_eq(load_le32(p + 8), OTHER);
}

/* covers: IOMMU-FAULT-05 */
Test(virtio_iommu, a_report_is_in_one_buffer_or_in_none, .init = start, .fini = stop)
{
	const uint8_t *small = device_rig_at(&rig, add_event_buffer(23), 24);
	const uint8_t *large = device_rig_at(&rig, add_event_buffer(24), 24);

	cr_expect_eq(reach(dma, 0x5008, DMA_FROM_DEVICE), -1);
	cr_expect_eq(device_rig_wait(&rig, EVENTS, NULL), 0);
	cr_expect_eq(device_rig_wait(&rig, EVENTS, NULL), IOMMU_FAULT_SIZE);
	cr_expect_eq(small[0], 0xcc);
	cr_expect_eq(load_le64(large + 16), 0x5008);
}

/* covers: IOMMU-FAULT-08 */
Test(virtio_iommu, a_storm_of_faults_without_buffers_is_dropped, .init = start, .fini = stop)
{
	for (unsigned i = 0; i < 10000; i++)
		cr_expect_eq(reach(dma, i, DMA_FROM_DEVICE), -1);
	cr_expect_eq(attach(ENDPOINT, 1), IOMMU_S_OK);
	while (!device_rig_is_quiet(&rig, EVENTS))
		continue;
	uint64_t at = add_event_buffer(24);

	cr_expect(device_rig_is_quiet(&rig, EVENTS));
	cr_expect_eq(reach(dma, 0x99000, DMA_FROM_DEVICE), -1);
	cr_expect_eq(device_rig_wait(&rig, EVENTS, NULL), IOMMU_FAULT_SIZE);
	cr_expect_eq(load_le64((uint8_t *)device_rig_at(&rig, at, 24) + 16), 0x99000);
}

/* A driver without a queue for events leaves them behind; the next one does not get them. */
Test(virtio_iommu, a_reset_forgets_faults, .fini = stop)
{
	struct fake_driver *d = &rig.driver;

	plug(false);
	device_rig_start(&rig, fake_driver_offered(d), 1);
	cr_expect_eq(reach(dma, 0x5008, DMA_FROM_DEVICE), -1);
	cr_assert(fake_driver_negotiate(d, fake_driver_offered(d)));
	uint64_t at = device_rig_alloc(&rig, fake_driver_ring_bytes(RIG_QUEUE_SIZE));
	struct fake_buf buf = { device_rig_alloc(&rig, 24), 24, true };

	fake_driver_init_ring(d, &rig.ring[EVENTS], RIG_QUEUE_SIZE, at);
	fake_driver_set_queue(d, EVENTS, &rig.ring[EVENTS]);
	fake_driver_enable_queue(d, EVENTS);
	/* It waits for events from the first moment on. */
	fake_ring_add(&rig.ring[EVENTS], &buf, 1);
	fake_driver_set_status(d, fake_driver_status(d) | VIRTIO_STATUS_DRIVER_OK);
	cr_expect(device_rig_is_quiet(&rig, EVENTS));
	cr_expect_eq(reach(dma, 0x99000, DMA_FROM_DEVICE), -1);
	cr_expect_eq(device_rig_wait(&rig, EVENTS, NULL), IOMMU_FAULT_SIZE);
	cr_expect_eq(load_le64((uint8_t *)device_rig_at(&rig, buf.addr, 24) + 16), 0x99000);
}

/* --- A whole device behind it ---------------------------------------------------------------- */

static struct fake_driver rng;
static struct fake_ring ring;
static struct virtio_transport *rng_transport;

static void plug_rng(uint32_t endpoint)
{
	struct virtio_rng_config config = { .name = "rng", .loop = rig.io };
	struct virtio_device *dev;

	cr_assert_eq(virtio_rng_create(&dev, &config), 0);
	virtio_device_require_platform(dev);
	rng_transport = fake_driver_plug(&rng, rig.machine, dev, FAKE_MMIO, 1);
	cr_assert_eq(virtio_device_put_behind(dev, iommu, endpoint), 0);
}

static void unplug_rng(void)
{
	machine_lock(&rig.machine->m);
	virtio_transport_destroy(rng_transport);
	machine_unlock(&rig.machine->m);
}

static uint64_t alloc_ring(void)
{
	return device_rig_alloc(&rig, fake_driver_ring_bytes(RIG_QUEUE_SIZE));
}

static void start_rng_at(uint64_t at)
{
	cr_assert(fake_driver_negotiate(&rng, fake_driver_offered(&rng)));
	uint16_t most = fake_driver_queue_max(&rng, 0);

	fake_driver_init_ring(&rng, &ring, most < RIG_QUEUE_SIZE ? most : RIG_QUEUE_SIZE, at);
	fake_driver_set_queue(&rng, 0, &ring);
	fake_driver_enable_queue(&rng, 0);
	fake_driver_set_status(&rng, fake_driver_status(&rng) | VIRTIO_STATUS_DRIVER_OK);
	cr_assert_not(fake_driver_status(&rng) & VIRTIO_STATUS_NEEDS_RESET);
}

/* Its ring at the same addresses as in memory, its buffers elsewhere. */
static void start_rng(void)
{
	uint64_t at = alloc_ring();
	uint64_t end = align_up(at + fake_driver_ring_bytes(RIG_QUEUE_SIZE), PAGE);

	cr_assert_eq(ask(write_map(1, at, end - 1, at, 3)), IOMMU_S_OK);
	start_rng_at(at);
}

static uint32_t wait_rng(void)
{
	uint32_t id, len;

	for (unsigned i = 0; i < 20000; i++) {
		if (fake_ring_reap(&ring, &id, &len))
			return len;
		usleep(100);
		fake_machine_pump(rig.machine);
	}
	cr_assert_fail("no random numbers");
	return 0;
}

static bool rng_broke(void)
{
	for (unsigned i = 0; i < 20000; i++) {
		fake_machine_pump(rig.machine);
		if (fake_driver_status(&rng) & VIRTIO_STATUS_NEEDS_RESET)
			return true;
		usleep(100);
	}
	return false;
}

Test(virtio_iommu, a_device_behind_it_demands_access_platform, .init = start, .fini = stop)
{
	plug_rng(0x30);
	struct features f = fake_driver_offered(&rng);

	cr_assert(features_has(&f, VIRTIO_F_ACCESS_PLATFORM));
	features_remove(&f, VIRTIO_F_ACCESS_PLATFORM);
	cr_expect_not(fake_driver_negotiate(&rng, f));
	unplug_rng();
}

/* covers: FEAT-13 FEAT-14 */
Test(virtio_iommu, a_device_behind_it_writes_where_it_is_mapped_and_nowhere_else, .init = start,
     .fini = stop)
{
	static const uint8_t untouched[PAGE] = { 0 };
	struct fake_buf buf = { 0x700000000, 100, true };

	plug_rng(0x30);
	cr_assert_eq(attach(0x30, 1), IOMMU_S_OK);
	start_rng();
	cr_assert_eq(ask(write_map(1, buf.addr, buf.addr + PAGE - 1, data_at, 2)), IOMMU_S_OK);
	uint8_t *data = device_rig_at(&rig, data_at, 16 * PAGE);

	memset(data, 0, 16 * PAGE);
	fake_ring_add(&ring, &buf, 1);
	fake_driver_kick(&rng, 0);
	cr_expect_eq(wait_rng(), 100);
	cr_expect_neq(memcmp(data, untouched, 100), 0);
	cr_expect_eq(memcmp(data + 100, untouched, PAGE - 100), 0);
	/* Where the page really is, it is not. */
	const uint8_t *event = device_rig_at(&rig, add_event_buffer(24), 24);

	memset(data, 0, PAGE);
	buf.addr = data_at;
	fake_ring_add(&ring, &buf, 1);
	fake_driver_kick(&rng, 0);
	cr_expect(rng_broke());
	cr_expect_eq(memcmp(data, untouched, PAGE), 0);
	cr_expect_eq(device_rig_wait(&rig, EVENTS, NULL), IOMMU_FAULT_SIZE);
	cr_expect_eq(load_le32(event + 8), 0x30);
	cr_expect_eq(load_le64(event + 16), data_at);
	unplug_rng();
}

/* covers: FEAT-15 */
Test(virtio_iommu, a_device_whose_ring_is_unmapped_needs_reset_and_works_again, .init = start,
     .fini = stop)
{
	struct fake_buf buf = { 0x700000000, 64, true };

	plug_rng(0x30);
	cr_assert_eq(attach(0x30, 1), IOMMU_S_OK);
	start_rng();
	send(write_unmap(1, 0, 0x6ffffffff), 4);
	cr_expect(rng_broke());
	cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), 4);
	cr_expect_eq(in()[0], IOMMU_S_OK);
	start_rng();
	cr_assert_eq(ask(write_map(1, buf.addr, buf.addr + PAGE - 1, data_at, 2)), IOMMU_S_OK);
	fake_ring_add(&ring, &buf, 1);
	fake_driver_kick(&rng, 0);
	cr_expect_eq(wait_rng(), 64);
	/* Without mappings for its ring it does not even start. */
	cr_assert_eq(ask(write_detach(0x30, 1)) & 0xff, IOMMU_S_OK);
	cr_expect(rng_broke());
	unplug_rng();
}

static void look_for_held(void *arg)
{
	struct echo_device *echo = arg;

	echo->look_us = echo->queue[0].n_held;
}

static bool echo_holds(struct echo_device *echo)
{
	event_loop_call(rig.io, look_for_held, echo);
	return echo->look_us > 0;
}

static void make_quick(void *arg)
{
	struct echo_device *echo = arg;

	echo->slow = false;
}

/*
 * A device that is attached to no domain, with its ring where it is in memory: bypass is what it
 * lives by, and its loss what it breaks by, also with a chain out, as often as the driver likes.
 */
Test(virtio_iommu, a_device_that_bypasses_breaks_when_it_may_not_and_works_again)
{
	struct echo_device *echo;
	struct fake_buf buf;

	plug(true);
	start_with(fake_driver_offered(&rig.driver));
	echo = echo_device_create(rig.io);
	buf = (struct fake_buf){ data_at, 64, true };
	virtio_device_require_platform(&echo->dev);
	rng_transport = fake_driver_plug(&rng, rig.machine, &echo->dev, FAKE_MMIO, 1);
	cr_assert_eq(virtio_device_put_behind(&echo->dev, iommu, 0x30), 0);
	for (unsigned round = 0; round < 3; round++) {
		echo->hold = echo->slow = true;
		start_rng_at(alloc_ring());
		fake_ring_add(&ring, &buf, 1);
		fake_driver_kick(&rng, 0);
		for (unsigned i = 0; i < 10000 && !echo_holds(echo); i++)
			usleep(100);
		cr_assert(echo_holds(echo));
		for (unsigned i = 0; i <= 2 * round; i++)
			fake_driver_set_config(&rig.driver, CONFIG_BYPASS, 1, i % 2);
		cr_expect(rng_broke());
		/* The next ATTACH waits for the chain that is out. */
		send(write_attach(0x30, 1, 0), 4);
		cr_expect(device_rig_is_quiet(&rig, REQUESTS));
		event_loop_call(rig.io, make_quick, echo);
		cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), 4);
		cr_expect_eq(in()[0], IOMMU_S_OK);
		cr_expect_eq(ask(write_detach(0x30, 1)), IOMMU_S_OK);
		fake_driver_set_config(&rig.driver, CONFIG_BYPASS, 1, 1);
		fake_driver_set_status(&rng, 0);
		cr_expect_eq(fake_driver_status(&rng), 0);
	}
	cr_expect_eq(echo->n_hard_stops, 0);
	unplug_rng();
	stop();
}

/* What the host has in progress of a device that broke keeps its ring, until it is over. */
Test(virtio_iommu, a_broken_device_gives_its_ring_back_when_the_host_is_done, .init = start,
     .fini = stop)
{
	struct echo_device *echo = echo_device_create(rig.io);
	struct fake_buf buf = { data_at, 64, true };

	virtio_device_require_platform(&echo->dev);
	rng_transport = fake_driver_plug(&rng, rig.machine, &echo->dev, FAKE_MMIO, 1);
	cr_assert_eq(virtio_device_put_behind(&echo->dev, iommu, 0x30), 0);
	cr_assert_eq(attach(0x30, 1), IOMMU_S_OK);
	cr_assert_eq(ask(write_map(1, data_at, data_at + PAGE - 1, data_at, 3)), IOMMU_S_OK);
	echo->hold = echo->slow = true;
	start_rng();
	fake_ring_add(&ring, &buf, 1);
	fake_driver_kick(&rng, 0);
	for (unsigned i = 0; i < 10000 && !echo_holds(echo); i++)
		usleep(100);
	cr_assert(echo_holds(echo));
	send(write_unmap(1, 0, IOMMU_INPUT_LAST), 4);
	cr_expect(rng_broke());
	cr_expect(device_rig_is_quiet(&rig, REQUESTS));
	event_loop_call(rig.io, make_quick, echo);
	cr_expect_eq(device_rig_wait(&rig, REQUESTS, NULL), 4);
	cr_expect_eq(in()[0], IOMMU_S_OK);
	cr_expect_eq(echo->n_hard_stops, 0);
	unplug_rng();
}
