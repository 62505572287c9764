/*
 * Kicks whose value says more than the queue's number: VIRTIO_F_NOTIFICATION_DATA and
 * VIRTIO_F_NOTIF_CONFIG_DATA.  virtio-v1.4 2.9 "Driver Notifications", 4.1.5.2 "Available Buffer
 * Notifications".
 */
#include <criterion/criterion.h>

#include "tests/support/echo_rig.h"
#include "virtio/transport_pci.h"

enum { NOTIF_CONFIG_DATA = 56 };

static void over(void (*test)(struct echo_rig *rig))
{
	struct features on = FEATURES_EMPTY;

	features_add(&on, VIRTIO_F_NOTIFICATION_DATA);
	echo_rig_over_with(FAKE_PCI, FAKE_TRANSITIONAL, on, test);
}

static bool is_pci(const struct echo_rig *rig)
{
	return !fake_transport_is_mmio(rig->driver.transport);
}

/* Write 'value' where queue 'index' is kicked, by an exit. */
static void notify(struct echo_rig *rig, unsigned index, unsigned size, uint32_t value)
{
	const struct fake_driver *d = &rig->driver;
	uint64_t addr = is_pci(rig) ? d->notify.addr + (uint64_t)index * d->notify_multiplier :
				      d->base + 0x50;

	fake_machine_mmio_write(rig->machine, addr, size, value);
	echo_rig_pump(rig);
}

static void start_with(struct echo_rig *rig, unsigned bit)
{
	echo_rig_prepare(rig, echo_rig_features_with(bit));
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
}

static uint64_t mistakes(const struct echo_rig *rig)
{
	return driver_mistakes_total(&rig->dev->negotiation.mistakes);
}

static void data_names_queue_and_position(struct echo_rig *rig)
{
	start_with(rig, VIRTIO_F_NOTIFICATION_DATA);
	for (unsigned i = 0; i < 100; i++) {
		unsigned queue = i % ECHO_QUEUES;

		echo_rig_ask(rig, queue);
		notify(rig, queue, 4, queue | (uint32_t)rig->ring[queue].avail_idx << 16);
		echo_rig_expect_answer(rig, queue);
	}
	cr_assert_eq(mistakes(rig), 0);
}

/* covers: CORE-KICK-02 */
Test(notification, data_names_queue_and_position)
{
	over(data_names_queue_and_position);
}

static void positions_are_hints(struct echo_rig *rig)
{
	static const uint32_t hint[] = { 0, 1, 0x7fff, 0x8000, 0xffff, 15, 16, 17, 0x8001 };

	start_with(rig, VIRTIO_F_NOTIFICATION_DATA);
	for (unsigned i = 0; i < ARRAY_SIZE(hint); i++) {
		/* With nothing there nothing comes of it. */
		uint16_t used = fake_ring_used_idx(&rig->ring[1]);
		notify(rig, 1, 4, 1 | hint[i] << 16);
		cr_assert_eq(fake_ring_used_idx(&rig->ring[1]), used);
		/* And what is there is found, all of it. */
		echo_rig_ask(rig, 1);
		echo_rig_ask(rig, 1);
		notify(rig, 1, 4, 1 | hint[i] << 16);
		echo_rig_expect_answer(rig, 1);
		echo_rig_expect_answer(rig, 1);
	}
	cr_assert_eq(fake_driver_status(&rig->driver), 0xf);
	/* A queue that is not there, whatever the upper half says. */
	if (!is_pci(rig)) {
		notify(rig, 0, 4, 0x10000 | ECHO_QUEUES);
		notify(rig, 0, 4, UINT32_MAX);
		cr_assert_eq(rig->dev->negotiation.mistakes.n[MISTAKE_KICK_NO_QUEUE], 2);
	}
}

/* covers: CORE-KICK-05 */
Test(notification, positions_are_hints)
{
	over(positions_are_hints);
}

static void offered_is_not_negotiated(struct echo_rig *rig)
{
	start_with(rig, VIRTIO_F_VERSION_1);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		echo_rig_ask(rig, i);
		notify(rig, i, is_pci(rig) ? 2 : 4, i);
		echo_rig_expect_answer(rig, i);
	}
	cr_assert_eq(mistakes(rig), 0);
	/* The number is all 32 bits here. */
	if (!is_pci(rig)) {
		notify(rig, 0, 4, 0x10000);
		cr_assert_eq(rig->dev->negotiation.mistakes.n[MISTAKE_KICK_NO_QUEUE], 1);
	}
}

/* covers: FEAT-17 */
Test(notification, offered_is_not_negotiated)
{
	over(offered_is_not_negotiated);
}

/* Where the value must be matched there is no doorbell, and kicks exit. */
static void doorbells_do_not_lose_the_queue(struct echo_rig *rig)
{
	start_with(rig, VIRTIO_F_NOTIFICATION_DATA);
	for (unsigned i = 0; i < rig->machine->n_bells; i++) {
		cr_assert(is_pci(rig));
		cr_assert_not(rig->machine->bell[i].match);
		cr_assert_eq(rig->machine->bell[i].len, 0, "any width");
	}
	cr_assert_eq(rig->machine->n_bells, is_pci(rig) ? ECHO_QUEUES : 0);
}

Test(notification, doorbells_do_not_lose_the_queue)
{
	over(doorbells_do_not_lose_the_queue);
}

/*
 * covers: PCI-NOTIFY-07 PCI-NOTIFY-08 PCI-NOTIFY-09 PCI-NOTIFY-10 PCI-NOTIFY-11
 */
Test(notification, the_capability_has_room_for_data)
{
	struct echo_rig_options options = { .transport = FAKE_PCI };

	features_add(&options.on, VIRTIO_F_NOTIFICATION_DATA);
	struct echo_rig *rig = echo_rig_create_with(&options);
	struct fake_driver *d = &rig->driver;
	unsigned n = (unsigned)fake_driver_read(d, 18, 2);

	cr_assert(d->notify_multiplier == 0 ||
		  (is_power_of_two(d->notify_multiplier) && d->notify_multiplier % 4 == 0));
	cr_assert_eq(d->notify.offset % 4, 0);
	cr_assert_geq(d->notify.length, 4);
	cr_assert_eq(n, ECHO_QUEUES);
	for (unsigned i = 0; i < n; i++) {
		fake_driver_write(d, 22, 2, i);
		uint64_t off = fake_driver_read(d, 30, 2);
		cr_assert_geq(d->notify.length, off * d->notify_multiplier + 4);
	}
	echo_rig_destroy(rig);
}

/* covers: PCI-COMMON-20 */
Test(notification, num_queues_counts_the_queues)
{
	struct echo_rig *rig = echo_rig_create(FAKE_PCI);
	unsigned n = (unsigned)fake_driver_read(&rig->driver, 18, 2);

	cr_assert_eq(n, ECHO_QUEUES);
	cr_assert_neq(fake_driver_queue_max(&rig->driver, n - 1), 0);
	cr_assert_eq(fake_driver_queue_max(&rig->driver, n), 0);
	/* None is an administration queue's. */
	cr_assert_eq(fake_driver_read(&rig->driver, 60, 2), 0);
	cr_assert_eq(fake_driver_read(&rig->driver, 62, 2), 0);
	echo_rig_destroy(rig);
}

/* Both together: the value that the device chose is the lower half.  covers: PCI-NOTIFY-15 */
Test(notification, config_data_names_the_queue)
{
	for (int both = 0; both < 2; both++) {
		struct echo_rig_options options = { .transport = FAKE_PCI };
		struct features f = echo_rig_features_with(VIRTIO_F_NOTIF_CONFIG_DATA);

		features_add(&options.on, VIRTIO_F_NOTIF_CONFIG_DATA);
		if (both) {
			features_add(&options.on, VIRTIO_F_NOTIFICATION_DATA);
			features_add(&f, VIRTIO_F_NOTIFICATION_DATA);
		}
		struct echo_rig *rig = echo_rig_create_with(&options);
		echo_rig_prepare(rig, f);
		echo_rig_driver_ok(rig);
		echo_rig_pump(rig);
		for (unsigned i = 0; i < ECHO_QUEUES; i++) {
			fake_driver_write(&rig->driver, 22, 2, i);
			uint32_t data = (uint32_t)fake_driver_read(&rig->driver,
								   NOTIF_CONFIG_DATA, 2);
			echo_rig_ask(rig, i);
			notify(rig, i, both ? 4 : 2, both ? data | 0xbeef0000 : data);
			echo_rig_expect_answer(rig, i);
		}
		cr_assert_eq(mistakes(rig), 0);
		echo_rig_destroy(rig);
	}
}
