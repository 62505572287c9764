/* virtio-pci: the ISR and the INTx line, MSI-X vectors, and which of them is told. */
#include <criterion/criterion.h>

#include "tests/support/driver_msix.h"
#include "tests/support/echo_rig.h"
#include "virtio/transport_pci.h"

enum {
	COMMAND = 4,
	COMMAND_MASTER = 6,
	STATUS = 6,
	STATUS_INTERRUPT = 8,
	NO_VECTOR = 0xffff,
	/* Common configuration. */
	CONFIG_VECTOR = 16,
	QUEUE_SELECT = 22,
	QUEUE_VECTOR = 26,
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

TestSuite(transport_pci_interrupt, .init = setup, .fini = teardown);

static void start(void)
{
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
}

static uint16_t set_queue_vector(unsigned index, uint16_t vector)
{
	fake_driver_write(d, QUEUE_SELECT, 2, index);
	fake_driver_write(d, QUEUE_VECTOR, 2, vector);
	return (uint16_t)fake_driver_read(d, QUEUE_VECTOR, 2);
}

/* covers: PCI-ISR-03 PCI-ISR-04 PCI-ISR-05 PCI-ISR-06 PCI-ISR-07 PCI-USEDNOTIF-02 */
Test(transport_pci_interrupt, intx_follows_the_isr)
{
	uint8_t byte = 0x55;

	start();
	echo_rig_round_trip(rig, 0);
	cr_assert(driver_line(d));
	cr_assert(fake_driver_pci_read(d, STATUS, 2) & STATUS_INTERRUPT);
	virtio_device_update_config(rig->dev, 0, &byte, 1);
	cr_assert_eq(fake_machine_mmio_read(rig->machine, d->isr.addr, 4), 3, "both causes");
	cr_assert_not(driver_line(d));
	cr_assert_not(fake_driver_pci_read(d, STATUS, 2) & STATUS_INTERRUPT);
	cr_assert_eq(fake_machine_mmio_read(rig->machine, d->isr.addr, 1), 0);
	fake_machine_mmio_write(rig->machine, d->isr.addr, 1, 3);
	cr_assert_eq(fake_machine_mmio_read(rig->machine, d->isr.addr, 1), 0);
}

/* covers: PCI-BUS-02 */
Test(transport_pci_interrupt, intx_disable_keeps_the_line_low)
{
	start();
	fake_driver_pci_write(d, COMMAND, 2, COMMAND_MASTER | 0x400);
	echo_rig_round_trip(rig, 0);
	cr_assert_not(driver_line(d));
	cr_assert(fake_driver_pci_read(d, STATUS, 2) & STATUS_INTERRUPT);
	fake_driver_pci_write(d, COMMAND, 2, COMMAND_MASTER);
	cr_assert(driver_line(d));
	cr_assert_eq(fake_driver_take_isr(d), 1);
}

/* covers: PCI-ISR-09 PCI-MSIX-12 */
Test(transport_pci_interrupt, isr_is_dropped_by_reset_and_by_msix)
{
	start();
	echo_rig_round_trip(rig, 0);
	cr_assert(driver_line(d));
	fake_driver_set_status(d, 0);
	cr_assert_not(driver_line(d));
	cr_assert_eq(fake_driver_take_isr(d), 0);

	start();
	echo_rig_round_trip(rig, 0);
	cr_assert(driver_line(d));
	cr_assert_eq(set_queue_vector(0, 1), 1);
	driver_msix_switch(d, true);
	cr_assert_not(driver_line(d));
	cr_assert_eq(fake_driver_take_isr(d), 0);
	echo_rig_round_trip(rig, 0);
	cr_assert_eq(driver_msix_take(d, 1), 1);
	cr_assert_not(driver_line(d));
}

/* covers: PCI-MSIX-04 PCI-MSIX-06 PCI-MSIX-08 PCI-MSIX-13 PCI-CFGNOTIF-02 PCI-ISR-02 */
Test(transport_pci_interrupt, any_event_goes_to_any_vector)
{
	uint8_t byte = 0x55;

	driver_msix_switch(d, true);
	echo_rig_prepare(rig, echo_rig_ring_features());
	fake_driver_write(d, CONFIG_VECTOR, 2, 0);
	cr_assert_eq(fake_driver_read(d, CONFIG_VECTOR, 2), 0);
	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		cr_assert_eq(set_queue_vector(i, (uint16_t)(i + 1)), i + 1);
	echo_rig_driver_ok(rig);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		echo_rig_round_trip(rig, i);
		cr_assert_eq(driver_msix_take(d, i + 1), 1);
	}
	virtio_device_update_config(rig->dev, 0, &byte, 1);
	cr_assert_eq(driver_msix_take(d, 0), 1);
	cr_assert_eq(fake_driver_take_isr(d), 2, "set in this mode, too");

	/* All on one. */
	fake_driver_write(d, CONFIG_VECTOR, 2, 3);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		cr_assert_eq(set_queue_vector(i, 3), 3);
		echo_rig_round_trip(rig, i);
		cr_assert_eq(driver_msix_take(d, 3), 1);
	}
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
	cr_assert_not(driver_line(d));
}

/* covers: PCI-MSIX-05 PCI-MSIX-07 PCI-MSIX-09 PCI-MSIX-10 */
Test(transport_pci_interrupt, a_vector_that_does_not_exist_reads_back_as_none)
{
	static const uint16_t bad[] = { ECHO_QUEUES + 1, 0x7ff, 0x800, 0x1000, 0xfffe };

	driver_msix_switch(d, true);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert_eq(set_queue_vector(0, 1), 1);
		cr_assert_eq(set_queue_vector(0, bad[i]), NO_VECTOR);
		fake_driver_write(d, CONFIG_VECTOR, 2, 1);
		fake_driver_write(d, CONFIG_VECTOR, 2, bad[i]);
		cr_assert_eq(fake_driver_read(d, CONFIG_VECTOR, 2), NO_VECTOR);
	}
	cr_assert_eq(set_queue_vector(0, 1), 1);
	fake_driver_write(d, CONFIG_VECTOR, 2, 0);
	fake_driver_reset(d);
	cr_assert_eq(fake_driver_read(d, CONFIG_VECTOR, 2), NO_VECTOR);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		fake_driver_write(d, QUEUE_SELECT, 2, i);
		cr_assert_eq(fake_driver_read(d, QUEUE_VECTOR, 2), NO_VECTOR);
	}
	/* The table and the enable bit are the function's, not the device's. */
	cr_assert_eq(fake_machine_mmio_read(rig->machine, driver_msix_entry(d, 1) + 8, 4), 1);
	cr_assert_eq(fake_driver_pci_read(d, driver_msix_find(d) + 2, 2) & 0x8000, 0x8000);
}

/* covers: PCI-USEDNOTIF-01 PCI-CFGNOTIF-01 */
Test(transport_pci_interrupt, no_vector_no_interrupt)
{
	uint8_t byte = 0x55;

	driver_msix_switch(d, true);
	start();
	echo_rig_round_trip(rig, 0);
	virtio_device_update_config(rig->dev, 0, &byte, 1);
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
	cr_assert_not(driver_line(d));
}

/* covers: PCI-MSIX-11 */
Test(transport_pci_interrupt, a_masked_vector_is_sent_when_unmasked)
{
	driver_msix_switch(d, true);
	fake_machine_mmio_write(rig->machine, driver_msix_entry(d, 1) + 12, 4, 1);
	echo_rig_prepare(rig, echo_rig_ring_features());
	set_queue_vector(0, 1);
	echo_rig_driver_ok(rig);
	echo_rig_round_trip(rig, 0);
	cr_assert_eq(echo_rig_take_interrupts(rig), 0);
	uint64_t pba = d->common.addr + VIRTIO_PCI_MSIX_PBA;
	cr_assert_eq(fake_machine_mmio_read(rig->machine, pba, 8), 2);
	fake_machine_mmio_write(rig->machine, driver_msix_entry(d, 1) + 12, 4, 0);
	cr_assert_eq(driver_msix_take(d, 1), 1);
	cr_assert_eq(fake_machine_mmio_read(rig->machine, pba, 8), 0);
}
