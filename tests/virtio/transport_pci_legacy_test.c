/*
 * The ports of a transitional virtio-pci function, and what happens when both of its windows are
 * used.  virtio-v1.4 4.1.4.10 "Legacy Interfaces: A Note on PCI Device Layout".
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/driver_msix.h"
#include "tests/support/echo_rig.h"
#include "virtio/transport_pci.h"

enum {
	COMMAND = 4,
	MASTER_OFF = 3,			/* ports and memory decode */
	MASTER_ON = 7,
	/* Offsets of the legacy header. */
	DEVICE_FEATURES = 0, DRIVER_FEATURES = 4, QUEUE_ADDRESS = 8, QUEUE_SIZE = 12,
	QUEUE_SELECT = 14, QUEUE_NOTIFY = 16, DEVICE_STATUS = 18, ISR_STATUS = 19,
	CONFIG_VECTOR = 20, QUEUE_VECTOR = 22, HEADER = 20, HEADER_MSIX = 24,
	PAGE = 4096,
	NO_VECTOR = 0xffff,
	NEEDS_RESET = VIRTIO_STATUS_NEEDS_RESET,
};

static struct echo_rig *rig;
static struct fake_driver *d;		/* the legacy one */
static struct fake_driver modern;

static void setup(void)
{
	rig = echo_rig_create(FAKE_TRANSITIONAL_LEGACY);
	d = &rig->driver;
	fake_driver_find_pci(&modern, rig->machine, FAKE_TRANSITIONAL, 1);
}

static void teardown(void)
{
	echo_rig_destroy(rig);
}

TestSuite(transport_pci_legacy, .init = setup, .fini = teardown);

/* Set up by the modern driver, with queue 0 only. */
static void start_modern(void)
{
	cr_assert(fake_driver_negotiate(&modern, echo_rig_ring_features()));
	fake_driver_init_ring(&modern, &rig->ring[0], ECHO_QUEUE_SIZE, RIG_RINGS);
	fake_driver_set_queue(&modern, 0, &rig->ring[0]);
	fake_driver_enable_queue(&modern, 0);
	fake_driver_set_status(&modern, 0xf);
	cr_assert_eq(fake_driver_status(&modern), 0xf);
	echo_rig_pump(rig);
}

static void modern_round_trip(void)
{
	echo_rig_ask(rig, 0);
	fake_driver_kick(&modern, 0);
	echo_rig_pump(rig);
	echo_rig_expect_answer(rig, 0);
}

/* covers: PCI-ID-LEGACY-01 PCI-ID-LEGACY-02 PCI-ID-LEGACY-03 PCI-LEGACY-01 PCI-LEGACY-08 */
Test(transport_pci_legacy, identity)
{
	cr_expect_eq(fake_driver_pci_read(d, 0, 2), 0x1af4);
	cr_expect_eq(fake_driver_pci_read(d, 2, 2), 0x1000);
	cr_expect_eq(fake_driver_pci_read(d, 8, 1), 0);
	cr_expect_eq(fake_driver_pci_read(d, 0x2e, 2), VIRTIO_ID_NET);
	cr_expect_eq(fake_driver_pci_read(d, 0x10, 4) & 3, 1);
	cr_expect_neq(fake_driver_read(d, DEVICE_FEATURES, 4), 0);
	cr_expect(modern.common.cap && modern.notify.cap && modern.isr.cap && modern.device.cap);
}

/* covers: PCI-LEGACY-02 PCI-LEGACY-09 */
Test(transport_pci_legacy, each_register_is_where_it_was)
{
	cr_assert_eq(fake_driver_read(d, DEVICE_FEATURES, 4),
		     features_half(&rig->dev->negotiation.offered_legacy, 0));
	fake_driver_write(d, DRIVER_FEATURES, 4, 1u << VIRTIO_NET_F_CSUM);
	cr_assert_eq(fake_driver_read(d, DRIVER_FEATURES, 4), 1u << VIRTIO_NET_F_CSUM);
	fake_driver_write(d, QUEUE_SELECT, 2, 2);
	cr_assert_eq(fake_driver_read(d, QUEUE_SELECT, 2), 2);
	cr_assert_eq(fake_driver_read(d, QUEUE_SIZE, 2), ECHO_QUEUE_SIZE);
	fake_driver_write(d, QUEUE_SIZE, 2, 4);
	cr_assert_eq(fake_driver_read(d, QUEUE_SIZE, 2), ECHO_QUEUE_SIZE, "fixed");
	cr_assert_eq(fake_driver_read(d, QUEUE_ADDRESS, 4), 0);
	fake_driver_write(d, QUEUE_ADDRESS, 4, 0x123);
	cr_assert_eq(fake_driver_read(d, QUEUE_ADDRESS, 4), 0x123);
	cr_assert_eq(rig->dev->queue[2].desc, 0x123000);
	fake_driver_write(d, DEVICE_STATUS, 1, 3);
	cr_assert_eq(fake_driver_read(d, DEVICE_STATUS, 1), 3);
	fake_driver_write(d, ISR_STATUS, 1, 3);
	cr_assert_eq(fake_driver_read(d, ISR_STATUS, 1), 0, "read-only");
	fake_driver_write(d, DEVICE_FEATURES, 4, 0);
	cr_assert_neq(fake_driver_read(d, DEVICE_FEATURES, 4), 0, "read-only");
	/* Written with a width that is nobody's: ignored, and counted. */
	uint64_t before = rig->dev->negotiation.mistakes.n[MISTAKE_REGISTER_WIDTH];
	fake_driver_write(d, DEVICE_STATUS, 2, 0);
	fake_driver_write(d, QUEUE_ADDRESS, 2, 0);
	fake_driver_write(d, QUEUE_SELECT, 4, 0);
	fake_driver_write(d, QUEUE_SELECT + 1, 1, 0);
	cr_assert_eq(rig->dev->negotiation.mistakes.n[MISTAKE_REGISTER_WIDTH], before + 4);
	cr_assert_eq(fake_driver_read(d, DEVICE_STATUS, 1), 3);
	cr_assert_eq(fake_driver_read(d, QUEUE_ADDRESS, 4), 0x123);
	cr_assert_eq(fake_driver_read(d, QUEUE_SELECT, 2), 2);
}

/* covers: PCI-LEGACY-03 PCI-LEGACY-04 PCI-LEGACY-05 */
Test(transport_pci_legacy, the_configuration_follows_the_header_at_any_width)
{
	for (int round = 0; round < 4; round++) {
		bool msix = round % 2;
		unsigned at = msix ? HEADER_MSIX : HEADER;

		driver_msix_switch(&modern, msix);
		for (unsigned size = 1; size <= 4; size *= 2) {
			for (unsigned i = 0; i + size <= ECHO_CONFIG_LEN; i++) {
				uint64_t want = 0;
				for (unsigned k = 0; k < size; k++)
					want |= (uint64_t)(0x10 + i + k) << (8 * k);
				cr_assert_eq(fake_driver_read(d, at + i, size), want);
			}
		}
		/* One that begins in the header sees both. */
		cr_assert_eq(fake_driver_read(d, at - 2, 4) >> 16, 0x1110);
		for (unsigned i = 0; i < 4; i++)
			fake_driver_write(d, at + ECHO_CONFIG_WRITABLE + i, 1, 0xa0 + i);
		cr_assert_eq(fake_driver_read(d, at + ECHO_CONFIG_WRITABLE, 4), 0xa3a2a1a0);
		fake_driver_write(d, at + ECHO_CONFIG_WRITABLE + 1, 2, 0xcccc);
		cr_assert_eq(fake_driver_read(d, at + ECHO_CONFIG_WRITABLE, 4), 0xa3cccca0);
		fake_driver_reset(d);
	}
}

/* covers: PCI-LEGACY-04 */
Test(transport_pci_legacy, vectors_are_there_with_msix_only)
{
	driver_msix_switch(&modern, true);
	cr_assert_eq(fake_driver_read(d, CONFIG_VECTOR, 2), NO_VECTOR);
	echo_rig_prepare(rig, echo_rig_ring_features());
	fake_driver_write(d, CONFIG_VECTOR, 2, 0);
	fake_driver_write(d, QUEUE_SELECT, 2, 1);
	fake_driver_write(d, QUEUE_VECTOR, 2, 2);
	cr_assert_eq(fake_driver_read(d, CONFIG_VECTOR, 2), 0);
	cr_assert_eq(fake_driver_read(d, QUEUE_VECTOR, 2), 2);
	fake_driver_write(d, QUEUE_VECTOR, 2, ECHO_QUEUES + 1);
	cr_assert_eq(fake_driver_read(d, QUEUE_VECTOR, 2), NO_VECTOR);
	fake_driver_write(d, QUEUE_VECTOR, 2, 2);
	fake_driver_write(d, QUEUE_SELECT, 2, 0xffff);
	fake_driver_write(d, QUEUE_VECTOR, 2, 1);
	cr_assert_eq(fake_driver_read(d, QUEUE_VECTOR, 2), NO_VECTOR);
	echo_rig_driver_ok(rig);
	echo_rig_round_trip(rig, 1);
	cr_assert_eq(driver_msix_take(&modern, 2), 1);
	uint8_t byte = 1;
	virtio_device_update_config(rig->dev, 0, &byte, 1);
	cr_assert_eq(driver_msix_take(&modern, 0), 1);
	cr_assert_not(driver_line(&modern));
	/* Off again: the same two bytes are configuration, and interrupts go through the line. */
	driver_msix_switch(&modern, false);
	fake_driver_take_isr(d);
	cr_assert_eq(fake_driver_read(d, CONFIG_VECTOR, 2), 0x1101);
	echo_rig_round_trip(rig, 1);
	cr_assert(driver_line(&modern));
	cr_assert_eq(fake_driver_take_isr(d), 1);
	cr_assert_not(driver_line(&modern));
}

/* covers: PCI-LEGACY-11 PCI-ISR-08 */
Test(transport_pci_legacy, both_windows_show_the_same_isr)
{
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
	cr_assert(driver_line(&modern));
	cr_assert_eq(fake_driver_take_isr(&modern), 1);
	cr_assert_not(driver_line(&modern));
	cr_assert_eq(fake_driver_take_isr(d), 0);
	echo_rig_round_trip(rig, 0);
	cr_assert_eq(fake_driver_take_isr(d), 1);
	cr_assert_eq(fake_driver_take_isr(&modern), 0);
	/* A signal between two reads is in the second: none is lost, none is seen twice. */
	unsigned n = 0;
	for (int i = 0; i < 100; i++) {
		echo_rig_ask(rig, 0);
		fake_driver_kick(d, 0);
		if (i % 3 == 0)
			n += fake_driver_take_isr(d);
		echo_rig_pump(rig);
		cr_assert(driver_line(&modern));
		cr_assert_eq(fake_driver_take_isr(i % 2 ? d : &modern), 1);
		cr_assert_not(driver_line(&modern));
		echo_rig_expect_answer(rig, 0);
	}
	cr_assert_eq(n, 0);
}

/* N4.  covers: PCI-LEGACY-06 CORE-FEAT-LEGACY-01 */
Test(transport_pci_legacy, n4_bits_from_32_on_are_not_accepted)
{
	/* Poked through the other window, and the legacy driver takes no feature of its own. */
	fake_driver_reset(d);
	fake_driver_set_status(d, 3);
	fake_driver_accept_half(&modern, 1, 1);
	fake_driver_accept_half(&modern, 2, 0xff);
	fake_driver_accept_half(&modern, 9, 0xff);
	fake_driver_init_ring(d, &rig->ring[0], ECHO_QUEUE_SIZE, RIG_RINGS);
	fake_driver_set_queue(d, 0, &rig->ring[0]);
	cr_assert_eq(fake_driver_status(d), 3);
	fake_driver_set_status(d, 7);
	cr_assert_eq(fake_driver_status(d), 7);
	cr_assert(rig->dev->negotiation.legacy);
	cr_assert(features_is_empty(rig->dev->negotiation.accepted));
	echo_rig_pump(rig);
	echo_rig_round_trip(rig, 0);

	/* By DRIVER_OK alone, too. */
	fake_driver_reset(d);
	fake_driver_accept_half(&modern, 1, 1);
	fake_driver_set_status(d, 7);
	cr_assert_eq(fake_driver_status(d), 7);
	cr_assert(features_is_empty(rig->dev->negotiation.accepted));
}

/* The first of the two to seal has the device until the reset.  N4, N9. */
Test(transport_pci_legacy, n4_a_modern_session_is_not_taken_over)
{
	start_modern();
	fake_driver_accept_half(d, 0, 0);
	cr_assert(features_equal(rig->dev->negotiation.accepted, echo_rig_ring_features()));
	fake_driver_write(d, QUEUE_SELECT, 2, 1);
	fake_driver_write(d, QUEUE_ADDRESS, 4, 0x40);
	cr_assert_eq(fake_driver_read(d, QUEUE_ADDRESS, 4), 0);
	fake_driver_write(d, QUEUE_SELECT, 2, 0);
	fake_driver_write(d, QUEUE_ADDRESS, 4, 0);
	cr_assert(fake_driver_queue_enabled(&modern, 0));
	fake_driver_write(d, QUEUE_NOTIFY, 2, 0);
	modern_round_trip();
	/* The status is one register; a legacy 0 is a reset. */
	fake_driver_set_status(d, 7);
	cr_assert_eq(fake_driver_status(d), 0xf);
	fake_driver_reset(d);
	cr_assert_eq(fake_driver_status(&modern), 0);
	cr_assert_not(fake_driver_queue_enabled(&modern, 0));
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

Test(transport_pci_legacy, n4_a_legacy_session_is_not_taken_over)
{
	cr_assert(fake_driver_negotiate(d, echo_rig_ring_features()));
	fake_driver_init_ring(d, &rig->ring[0], ECHO_QUEUE_SIZE, RIG_RINGS);
	fake_driver_set_queue(d, 0, &rig->ring[0]);
	fake_driver_accept_half(&modern, 1, 1);
	fake_driver_set_status(&modern, 0xb);
	cr_assert_eq(fake_driver_status(&modern), 3);
	fake_driver_init_ring(&modern, &rig->ring[1], ECHO_QUEUE_SIZE, 0x80000);
	fake_driver_set_queue(&modern, 1, &rig->ring[1]);
	fake_driver_enable_queue(&modern, 1);
	cr_assert_not(fake_driver_queue_enabled(&modern, 1));
	fake_driver_reset_queue(&modern, 0);
	cr_assert(fake_driver_queue_enabled(d, 0));
	fake_driver_set_status(&modern, 7);
	cr_assert_eq(fake_driver_status(d), 7);
	echo_rig_pump(rig);
	echo_rig_round_trip(rig, 0);
	/* A kick at the other window is a kick. */
	modern_round_trip();
	fake_driver_reset(&modern);
	cr_assert_eq(fake_driver_read(d, QUEUE_ADDRESS, 4), 0);
	start_modern();
	modern_round_trip();
}

/* covers: PCI-LEGACY-08 */
Test(transport_pci_legacy, one_after_the_other_in_any_order)
{
	for (int i = 0; i < 20; i++) {
		if (i % 3) {
			echo_rig_start(rig);
			echo_rig_round_trip(rig, (unsigned)i % ECHO_QUEUES);
			cr_assert_eq(rig->machine->bell[0].space, DOORBELL_PIO);
		} else {
			start_modern();
			modern_round_trip();
			cr_assert_eq(rig->machine->bell[0].space, DOORBELL_MMIO);
		}
	}
}

Test(transport_pci_legacy, the_doorbell_is_a_port_and_follows_its_bar)
{
	uint32_t ports = fake_driver_pci_read(d, 0x10, 4) & ~3u;

	cr_assert(fake_driver_negotiate(d, echo_rig_ring_features()));
	fake_driver_init_ring(d, &rig->ring[0], ECHO_QUEUE_SIZE, RIG_RINGS);
	fake_driver_set_queue(d, 0, &rig->ring[0]);
	cr_assert_eq(rig->machine->n_bells, 0);
	/* The first kick exits and starts the device. */
	echo_rig_round_trip(rig, 0);
	cr_assert_eq(rig->machine->n_bells, 1);
	const struct doorbell *bell =
		fake_machine_bell(rig->machine, DOORBELL_PIO, ports + QUEUE_NOTIFY);
	cr_assert_not_null(bell);
	cr_assert(bell->match && bell->value == 0 && bell->len == 2);
	cr_assert_eq(bell->fd, rig->dev->queue[0].kick_fd);

	uint32_t moved = ports + 0x400;
	fake_driver_pci_write(d, 0x10, 4, moved);
	cr_assert_null(fake_machine_bell(rig->machine, DOORBELL_PIO, ports + QUEUE_NOTIFY));
	cr_assert_not_null(fake_machine_bell(rig->machine, DOORBELL_PIO, moved + QUEUE_NOTIFY));
	d->base = moved;
	echo_rig_round_trip(rig, 0);
	/* Ports do not decode: no doorbell; memory does not matter. */
	fake_driver_pci_write(d, COMMAND, 2, 6);
	cr_assert_eq(rig->machine->n_bells, 0);
	fake_driver_pci_write(d, COMMAND, 2, 5);
	cr_assert_eq(rig->machine->n_bells, 1);
	echo_rig_round_trip(rig, 0);
	fake_driver_write(d, QUEUE_ADDRESS, 4, 0);
	cr_assert_eq(rig->machine->n_bells, 0);
}

/* covers: PCI-BUS-02 */
Test(transport_pci_legacy, without_bus_mastering_early_use_waits)
{
	fake_driver_pci_write(d, COMMAND, 2, MASTER_OFF);
	cr_assert(fake_driver_negotiate(d, echo_rig_ring_features()));
	fake_driver_init_ring(d, &rig->ring[0], ECHO_QUEUE_SIZE, RIG_RINGS);
	fake_driver_set_queue(d, 0, &rig->ring[0]);
	fake_driver_pci_write(d, COMMAND, 2, MASTER_ON);
	cr_assert_eq(rig->echo->n_starts, 0, "nobody kicked");
	fake_driver_pci_write(d, COMMAND, 2, MASTER_OFF);
	echo_rig_ask(rig, 0);
	fake_driver_kick(d, 0);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->n_starts, 0);
	fake_driver_pci_write(d, COMMAND, 2, MASTER_ON);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->n_starts, 1);
	echo_rig_expect_answer(rig, 0);
	/* And while it runs. */
	fake_driver_pci_write(d, COMMAND, 2, MASTER_OFF);
	cr_assert_eq(rig->machine->n_bells, 0);
	echo_rig_ask(rig, 0);
	fake_driver_kick(d, 0);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[0]), 1);
	fake_driver_pci_write(d, COMMAND, 2, MASTER_ON);
	echo_rig_pump(rig);
	echo_rig_expect_answer(rig, 0);

	/* A reset, a failure or no queue any more: nothing is made up for. */
	fake_driver_pci_write(d, COMMAND, 2, MASTER_OFF);
	for (int i = 0; i < 3; i++) {
		cr_assert(fake_driver_negotiate(d, echo_rig_ring_features()));
		fake_driver_init_ring(d, &rig->ring[0], ECHO_QUEUE_SIZE, RIG_RINGS);
		fake_driver_set_queue(d, 0, &rig->ring[0]);
		fake_driver_kick(d, 0);
		if (i == 0)
			fake_driver_reset(d);
		else if (i == 1)
			fake_driver_set_status(d, VIRTIO_STATUS_FAILED | 3);
		else
			virtio_device_fail(rig->dev, 0, "the back end died");
		fake_machine_pump(rig->machine);
		fake_driver_pci_write(d, COMMAND, 2, MASTER_ON);
		fake_driver_pci_write(d, COMMAND, 2, MASTER_OFF);
	}
	cr_assert_eq(rig->echo->n_starts, 1);
}

/* The MSI-X table is the only thing in the other BAR of a device without a modern window. */
Test(transport_pci_legacy, a_legacy_only_function_has_no_modern_window)
{
	struct echo_rig *other = echo_rig_create(FAKE_PCI_LEGACY);
	struct fake_driver *o = &other->driver;
	uint64_t bar = fake_driver_pci_read(o, 0x10 + 4 * VIRTIO_PCI_BAR, 4) & ~0xfull;

	for (unsigned cap = fake_driver_pci_read(o, 0x34, 1); cap != 0;
	     cap = fake_driver_pci_read(o, cap + 1, 1))
		cr_assert_neq(fake_driver_pci_read(o, cap, 1), 0x09);
	echo_rig_start(other);
	for (unsigned at = 0; at < VIRTIO_PCI_MSIX_TABLE; at += 4) {
		cr_assert_eq(fake_machine_mmio_read(other->machine, bar + at, 4), 0);
		fake_machine_mmio_write(other->machine, bar + at, 4, 0);
		fake_machine_mmio_write(other->machine, bar + at, 1, 0);
	}
	echo_rig_round_trip(other, 0);
	cr_assert_eq(fake_driver_status(o), 7);
	echo_rig_destroy(other);
}
