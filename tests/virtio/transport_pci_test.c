/* virtio-pci: identity, capabilities, registers, doorbells, and the bus. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/driver_msix.h"
#include "tests/support/echo_rig.h"
#include "tests/support/loop_pump.h"
#include "virtio/transport_pci.h"
#include "vmm/base/error.h"
#include "vmm/machine/layout.h"

enum {
	COMMAND = 4,
	COMMAND_MASTER = 6,
	NO_VECTOR = 0xffff,
	/* Common configuration. */
	CONFIG_VECTOR = 16,
	NUM_QUEUES = 18,
	QUEUE_SELECT = 22,
	QUEUE_SIZE = 24,
	QUEUE_VECTOR = 26,
	QUEUE_ENABLE = 28,
	QUEUE_NOTIFY_OFF = 30,
	QUEUE_DESC = 32,
};

static struct echo_rig *rig;
static struct fake_driver *d;

static void setup(void)
{
	rig = echo_rig_create(FAKE_PCI);
	d = &rig->driver;
}

static void teardown(void)
{
	echo_rig_destroy(rig);
}

TestSuite(transport_pci, .init = setup, .fini = teardown);

static void start(void)
{
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
}

/* covers: PCI-ID-01 PCI-ID-02 PCI-ID-04 PCI-ID-05 PCI-ID-06 */
Test(transport_pci, identity)
{
	cr_expect_eq(fake_driver_pci_read(d, 0, 2), 0x1af4);
	cr_expect_eq(fake_driver_pci_read(d, 2, 2), 0x1040 + VIRTIO_ID_NET);
	cr_expect_geq(fake_driver_pci_read(d, 8, 1), 1);
	cr_expect_eq(fake_driver_pci_read(d, 8, 4) >> 8, 0x020000);
	cr_expect_geq(fake_driver_pci_read(d, 0x2e, 2), 0x40);
	cr_expect_eq(fake_driver_pci_read(d, 0x3d, 1), 1);
}

/*
 * covers: PCI-CAP-01 PCI-CAP-04 PCI-CAP-07 PCI-CAP-08 PCI-COMMON-01 PCI-COMMON-02 PCI-NOTIFY-01
 * covers: PCI-NOTIFY-02 PCI-NOTIFY-03 PCI-NOTIFY-04 PCI-NOTIFY-05 PCI-NOTIFY-06 PCI-ISR-01
 * covers: PCI-DEVCFG-01 PCI-DEVCFG-02 PCI-DEVCFG-03 PCI-CFG-01 PCI-MSIX-01 PCI-MSIX-02
 * covers: PCI-MSIX-03
 */
Test(transport_pci, structures_are_apart_inside_the_bar_and_long_enough)
{
	const struct fake_structure *s[] = { &d->common, &d->isr, &d->device, &d->notify };

	for (unsigned i = 0; i < ARRAY_SIZE(s); i++) {
		unsigned least = s[i] == &d->notify ? 20 : 16;
		cr_expect_geq(fake_driver_pci_read(d, s[i]->cap + 2, 1), least);
		cr_expect_eq(s[i]->bar, VIRTIO_PCI_BAR);
		cr_expect_eq(s[i]->offset % 4, 0);
		cr_expect(range_inside(s[i]->offset, s[i]->length, VIRTIO_PCI_MSIX_TABLE));
		for (unsigned k = 0; k < i; k++)
			cr_expect(s[i]->offset >= s[k]->offset + s[k]->length ||
				  s[k]->offset >= s[i]->offset + s[i]->length);
	}
	cr_expect_geq(d->common.length, 56);
	cr_expect_geq(d->device.length, ECHO_CONFIG_LEN);
	cr_expect_eq(d->notify_multiplier, 4);
	cr_expect_geq(fake_driver_pci_read(d, d->window.cap + 2, 1), 20);
	cr_expect_eq(fake_driver_read(d, NUM_QUEUES, 2), ECHO_QUEUES);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		fake_driver_write(d, QUEUE_SELECT, 2, i);
		unsigned off = (unsigned)fake_driver_read(d, QUEUE_NOTIFY_OFF, 2);
		cr_expect_geq(d->notify.length, off * d->notify_multiplier + 2);
	}
	unsigned msix = driver_msix_find(d);
	cr_expect_eq((fake_driver_pci_read(d, msix + 2, 2) & 0x7ff) + 1, ECHO_QUEUES + 1);
	cr_expect_eq(fake_driver_pci_read(d, msix + 4, 4), VIRTIO_PCI_MSIX_TABLE | VIRTIO_PCI_BAR);
}

/*
 * One of each kind, so that there is no order to be chosen from; and no way to reset or power down
 * the function other than by the status and the machine's reset.
 * covers: PCI-CAP-03 PCI-BUS-04
 */
Test(transport_pci, each_capability_is_there_once)
{
	enum { POWER = 0x01, VENDOR = 0x09, EXPRESS = 0x10, MSIX = 0x11, ADVANCED = 0x13 };
	unsigned n_msix = 0, n_of_type[6] = { 0 };

	for (unsigned cap = fake_driver_pci_read(d, 0x34, 1); cap != 0;
	     cap = fake_driver_pci_read(d, cap + 1, 1)) {
		unsigned id = fake_driver_pci_read(d, cap, 1);
		unsigned type = fake_driver_pci_read(d, cap + 3, 1);

		cr_assert(id != POWER && id != EXPRESS && id != ADVANCED);
		n_msix += id == MSIX;
		if (id != VENDOR)
			continue;
		cr_assert(type >= 1 && type <= 5, "type %u", type);
		cr_assert_eq(n_of_type[type]++, 0);
	}
	cr_assert_eq(n_msix, 1);
}

/* covers: PCI-CAP-05 */
Test(transport_pci, capabilities_are_read_only)
{
	const struct fake_structure *s[] = { &d->common, &d->isr, &d->device, &d->notify };

	for (unsigned i = 0; i < ARRAY_SIZE(s); i++) {
		unsigned len = fake_driver_pci_read(d, s[i]->cap + 2, 1);
		for (unsigned k = 0; k < len; k += 4) {
			uint32_t before = fake_driver_pci_read(d, s[i]->cap + k, 4);
			fake_driver_pci_write(d, s[i]->cap + k, 4, ~before);
			cr_assert_eq(fake_driver_pci_read(d, s[i]->cap + k, 4), before);
		}
	}
}

/*
 * covers: PCI-COMMON-03 PCI-COMMON-04 PCI-COMMON-18 PCI-COMMON-22 PCI-COMMON-21 PCI-LAYOUT-01
 * covers: PCI-COMMON-19 PCI-COMMON-30
 */
Test(transport_pci, common_registers_read_back)
{
	static const struct {
		unsigned offset, size;
		uint64_t value;
	} rw[] = {
		{ 0, 4, 0xdeadbeef }, { 8, 4, 0x12345678 }, { QUEUE_SELECT, 2, 1 },
		{ QUEUE_SIZE, 2, 8 }, { 36, 4, 0x1 }, { 32, 4, 0x23456780 }, { 44, 4, 0x2 },
		{ 40, 4, 0x34567890 }, { 48, 4, 0x456789a0 }, { 52, 4, 0x3 },
		{ CONFIG_VECTOR, 2, 3 }, { QUEUE_VECTOR, 2, 2 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rw); i++)
		fake_driver_write(d, rw[i].offset, rw[i].size, rw[i].value);
	for (unsigned i = 0; i < ARRAY_SIZE(rw); i++)
		cr_expect_eq(fake_driver_read(d, rw[i].offset, rw[i].size), rw[i].value,
			     "offset %u", rw[i].offset);
	/* The halves of driver_feature. */
	for (uint32_t half = 0; half < 4; half++)
		fake_driver_accept_half(d, half, 0x01010101u << half);
	for (uint32_t half = 0; half < 4; half++) {
		fake_driver_write(d, 8, 4, half);
		cr_expect_eq(fake_driver_read(d, 12, 4), 0x01010101u << half);
	}
	/* What belongs to features that are not offered is 0 and stays so. */
	fake_driver_write(d, 56, 2, 0xffff);
	fake_driver_write(d, 58, 2, 1);
	fake_driver_write(d, 60, 2, 0xffff);
	fake_driver_write(d, 62, 2, 0xffff);
	cr_expect_eq(fake_driver_read(d, 56, 8), 0);

	fake_driver_reset(d);
	uint32_t offered = features_half(&rig->dev->negotiation.offered, 0);
	for (unsigned i = 0; i < 64; i++) {
		/* After a reset queue 0 is selected: its size, no vectors, the rest 0. */
		unsigned want = i / 4 == 1 ? offered >> (8 * (i % 4)) & 0xff :
				i == NUM_QUEUES ? ECHO_QUEUES :
				i == QUEUE_SIZE ? ECHO_QUEUE_SIZE :
				i / 2 == CONFIG_VECTOR / 2 || i / 2 == QUEUE_VECTOR / 2 ? 0xff : 0;
		cr_expect_eq(fake_driver_read(d, i, 1), want, "byte %u", i);
	}
}

/* covers: PCI-COMMON-29 */
Test(transport_pci, read_only_registers_ignore_writes)
{
	static const struct {
		unsigned offset, size;
	} ro[] = { { 4, 4 }, { NUM_QUEUES, 2 }, { 21, 1 }, { QUEUE_NOTIFY_OFF, 2 } };

	for (unsigned i = 0; i < ARRAY_SIZE(ro); i++) {
		uint64_t before = fake_driver_read(d, ro[i].offset, ro[i].size);
		fake_driver_write(d, ro[i].offset, ro[i].size, ~before);
		cr_assert_eq(fake_driver_read(d, ro[i].offset, ro[i].size), before);
	}
}

/* covers: PCI-LAYOUT-02 PCI-LAYOUT-03 PCI-LAYOUT-04 */
Test(transport_pci, other_widths_are_harmless)
{
	uint8_t image[64];

	echo_rig_prepare(rig, echo_rig_ring_features());
	fake_driver_write(d, QUEUE_SELECT, 2, 1);
	for (unsigned i = 0; i < 64; i++)
		image[i] = (uint8_t)fake_driver_read(d, i, 1);
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned i = 0; i + size <= 64; i++) {
			uint64_t want = 0;
			for (unsigned k = 0; k < size; k++)
				want |= (uint64_t)image[i + k] << (8 * k);
			cr_assert_eq(fake_driver_read(d, i, size), want);
		}
	}
	/* Writes of a width that is nobody's: into the 16-bit registers and status. */
	for (unsigned at = 16; at < 32; at++) {
		if (at != 20)
			fake_driver_write(d, at, 1, 0);
		fake_driver_write(d, at, 4, 0);
		fake_driver_write(d, at, 8, 0);
		if (at % 2)
			fake_driver_write(d, at, 2, 0);
	}
	for (unsigned i = 0; i < 64; i++)
		cr_assert_eq(fake_driver_read(d, i, 1), image[i], "byte %u", i);
	/* Eight bytes at once are two halves. */
	fake_driver_reset(d);
	fake_driver_write(d, QUEUE_DESC, 8, 0x123456789abcdef0u);
	cr_assert_eq(fake_driver_read(d, QUEUE_DESC, 4), 0x9abcdef0);
	cr_assert_eq(fake_driver_read(d, QUEUE_DESC + 4, 4), 0x12345678);
	cr_assert_eq(fake_driver_read(d, 60, 8), 0, "beyond the structure");
}

/* covers: PCI-COMMON-26 PCI-COMMON-08 */
Test(transport_pci, queue_enable_takes_1_only)
{
	cr_assert(fake_driver_negotiate(d, echo_rig_ring_features()));
	fake_ring_init(&rig->ring[0], rig->machine, ECHO_QUEUE_SIZE, RIG_RINGS);
	fake_driver_set_queue(d, 0, &rig->ring[0]);
	fake_driver_write(d, QUEUE_ENABLE, 2, 2);
	cr_assert_not(fake_driver_queue_enabled(d, 0));
	fake_driver_write(d, QUEUE_ENABLE, 2, 1);
	fake_driver_write(d, QUEUE_ENABLE, 2, 0);
	fake_driver_write(d, QUEUE_ENABLE, 2, 3);
	cr_assert(fake_driver_queue_enabled(d, 0));
	echo_rig_driver_ok(rig);
	fake_driver_write(d, QUEUE_ENABLE, 2, 0);
	echo_rig_round_trip(rig, 0);
}

/* covers: PCI-COMMON-23 */
Test(transport_pci, an_absent_queue_reads_0_and_no_vector)
{
	fake_driver_write(d, QUEUE_SELECT, 2, 0xffff);
	cr_assert_eq(fake_driver_read(d, QUEUE_SELECT, 2), 0xffff);
	fake_driver_write(d, QUEUE_VECTOR, 2, 0);
	cr_assert_eq(fake_driver_read(d, QUEUE_VECTOR, 2), NO_VECTOR);
	cr_assert_eq(fake_driver_read(d, QUEUE_SIZE, 2), 0);
	cr_assert_eq(fake_driver_read(d, QUEUE_DESC, 8), 0);
}

/* covers: PCI-NOTIFY-12 PCI-NOTIFY-14 */
Test(transport_pci, an_enabled_queue_has_a_doorbell)
{
	cr_assert_eq(rig->machine->n_bells, 0);
	start();
	cr_assert_eq(rig->machine->n_bells, ECHO_QUEUES);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		const struct doorbell *bell =
			fake_machine_bell(rig->machine, DOORBELL_MMIO, d->notify.addr + 4 * i);
		cr_assert_not_null(bell);
		cr_assert_eq(bell->fd, rig->dev->queue[i].kick_fd);
	}
	fake_driver_reset(d);
	cr_assert_eq(rig->machine->n_bells, 0);
}

/* covers: PCI-NOTIFY-16 PCI-NOTIFY-17 CORE-KICK-06 */
Test(transport_pci, a_kick_that_exits_works_too)
{
	rig->machine->refuse_bells = true;
	start();
	cr_assert_eq(rig->machine->n_bells, 0);
	echo_rig_round_trip(rig, 1);
	for (unsigned size = 1; size <= 8; size *= 2) {
		echo_rig_ask(rig, 1);
		/* The value names another queue. */
		fake_machine_mmio_write(rig->machine, d->notify.addr + 4, size, 0);
		echo_rig_pump(rig);
		echo_rig_expect_answer(rig, 1);
		cr_assert_eq(fake_machine_mmio_read(rig->machine, d->notify.addr + 4, size), 0);
	}
	echo_rig_ask(rig, 1);
	fake_machine_mmio_write(rig->machine, d->notify.addr + 6, 2, 1);
	fake_machine_mmio_write(rig->machine, d->notify.addr + 4 * ECHO_QUEUES, 2, 1);
	echo_rig_pump(rig);
	cr_assert_eq(rig->ring[1].used_seen, fake_ring_used_idx(&rig->ring[1]));
}

/* covers: PCI-BUS-03 */
Test(transport_pci, doorbells_follow_the_bar)
{
	uint64_t old = d->notify.addr, new = LAYOUT_PCI_MMIO_END - 0x10000;

	start();
	fake_driver_pci_write(d, COMMAND, 2, 4);
	cr_assert_eq(rig->machine->n_bells, 0, "memory does not decode");
	fake_driver_pci_write(d, 0x10 + 4 * VIRTIO_PCI_BAR, 4, (uint32_t)new);
	fake_driver_pci_write(d, COMMAND, 2, COMMAND_MASTER);
	cr_assert_eq(rig->machine->n_bells, ECHO_QUEUES);
	cr_assert_null(fake_machine_bell(rig->machine, DOORBELL_MMIO, old));
	fake_driver_find_pci(d, rig->machine, FAKE_PCI, 1);
	cr_assert_eq(d->notify.addr, new + VIRTIO_PCI_NOTIFY);
	echo_rig_round_trip(rig, 0);
	/* And while it decodes. */
	fake_driver_pci_write(d, 0x10 + 4 * VIRTIO_PCI_BAR, 4, (uint32_t)(new - 0x10000));
	cr_assert_null(fake_machine_bell(rig->machine, DOORBELL_MMIO, new + VIRTIO_PCI_NOTIFY));
	fake_driver_find_pci(d, rig->machine, FAKE_PCI, 1);
	echo_rig_round_trip(rig, 0);
}

/* covers: PCI-BUS-02 */
Test(transport_pci, without_bus_mastering_kicks_wait)
{
	start();
	fake_driver_pci_write(d, COMMAND, 2, 2);
	cr_assert_eq(rig->machine->n_bells, 0);
	echo_rig_ask(rig, 0);
	fake_driver_kick(d, 0);
	echo_rig_pump(rig);
	cr_assert_eq(fake_ring_used_idx(&rig->ring[0]), 0);
	fake_driver_pci_write(d, COMMAND, 2, COMMAND_MASTER);
	echo_rig_pump(rig);
	echo_rig_expect_answer(rig, 0);
}

/* covers: PCI-BUS-02 */
Test(transport_pci, without_bus_mastering_the_start_waits)
{
	fake_driver_pci_write(d, COMMAND, 2, 2);
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_ask(rig, 0);
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->n_starts, 0);
	fake_driver_pci_write(d, COMMAND, 2, COMMAND_MASTER);
	echo_rig_pump(rig);
	cr_assert_eq(rig->echo->n_starts, 1);
	echo_rig_expect_answer(rig, 0);
	/* And a reset forgets that it was wanted. */
	fake_driver_pci_write(d, COMMAND, 2, 2);
	start();
	fake_driver_reset(d);
	fake_driver_pci_write(d, COMMAND, 2, COMMAND_MASTER);
	cr_assert_eq(rig->echo->n_starts, 1);
}

/* covers: PCI-CFG-07 PCI-MSIX-07 CORE-RESET-04 */
Test(transport_pci, system_reset_restores_everything)
{
	uint8_t before[256];

	for (unsigned i = 0; i < 256; i++)
		before[i] = (uint8_t)fake_driver_pci_read(d, i, 1);
	before[COMMAND] = 2;	/* the rig has switched bus mastering on */
	driver_msix_switch(d, true);
	echo_rig_prepare(rig, echo_rig_ring_features());
	fake_driver_write(d, QUEUE_SELECT, 2, 0);
	fake_driver_write(d, QUEUE_VECTOR, 2, 1);
	echo_rig_driver_ok(rig);
	fake_driver_pci_write(d, d->window.cap + 8, 4, VIRTIO_PCI_DEVICE);
	fake_driver_pci_write(d, d->window.cap + 12, 4, 4);
	fake_driver_pci_write(d, 0x10 + 4 * VIRTIO_PCI_BAR, 4,
			      (uint32_t)LAYOUT_PCI_MMIO_END - 0x10000);
	machine_lock(&rig->machine->m);
	pci_root_reset(&rig->machine->m.pci);
	machine_unlock(&rig->machine->m);
	cr_assert_eq(rig->echo->n_stops, 1);
	for (unsigned i = 0; i < 256; i++)
		cr_expect_eq(fake_driver_pci_read(d, i, 1), before[i], "byte 0x%x", i);
	fake_driver_find_pci(d, rig->machine, FAKE_PCI, 1);
	cr_assert_eq(fake_driver_status(d), 0);
	cr_assert_eq(fake_machine_mmio_read(rig->machine, driver_msix_entry(d, 1), 4), 0);
	cr_assert_eq(fake_machine_mmio_read(rig->machine, driver_msix_entry(d, 1) + 12, 4), 1);
	start();
	echo_rig_round_trip(rig, 0);
}

Test(transport_pci, a_failed_creation_leaves_nothing)
{
	bool destroyed = false;
	struct virtio_transport *t;

	/* The bus is full after 255 functions. */
	for (unsigned i = 1; i < 31 * 8; i++) {
		struct pci_device *filler = calloc(1, sizeof(*filler));
		const struct pci_ids ids = { .vendor = 1, .device = 1 };
		pci_device_init(filler, "filler", &ids, NULL);
		cr_assert_eq(pci_root_add(&rig->machine->m.pci, filler), 0);
	}
	struct echo_device *echo = echo_device_create(rig->loop);
	echo->destroyed = &destroyed;
	cr_assert_eq(virtio_pci_create(&t, &rig->machine->m, &echo->dev, VIRTIO_PCI), -ENOSPC);
	cr_assert(destroyed, "the device is consumed");
	cr_assert_null(t);
	for (unsigned slot = 1; slot < 32; slot++)
		for (unsigned f = 0; f < 8; f++) {
			struct pci_device *p = rig->machine->m.pci.device[slot * 8 + f];
			if (p && strcmp(p->name, "filler") == 0) {
				pci_root_remove(p);
				free(p);
			}
		}
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	echo_rig_round_trip(rig, 0);
}
