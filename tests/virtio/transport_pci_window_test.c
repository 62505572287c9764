/* The window into the BAR that lies in configuration space. */
#include <criterion/criterion.h>

#include "tests/support/driver_msix.h"
#include "tests/support/echo_rig.h"
#include "virtio/transport_pci.h"

/* Offsets in configuration space, then in the common configuration. */
enum { COMMAND = 4, QUEUE_SELECT = 22, QUEUE_SIZE = 24, QUEUE_ENABLE = 28 };

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

TestSuite(transport_pci_window, .init = setup, .fini = teardown);

/* Access 'len' bytes at 'offset' of BAR 4 through the window. */
static void point_window(unsigned bar, uint32_t offset, uint32_t len)
{
	fake_driver_pci_write(d, d->window.cap + 4, 1, bar);
	fake_driver_pci_write(d, d->window.cap + 8, 4, offset);
	fake_driver_pci_write(d, d->window.cap + 12, 4, len);
}

static uint32_t window_read(uint32_t offset, uint32_t len)
{
	point_window(VIRTIO_PCI_BAR, offset, len);
	return fake_driver_pci_read(d, d->window.cap + 16, len);
}

static void window_write(uint32_t offset, uint32_t len, uint32_t value)
{
	point_window(VIRTIO_PCI_BAR, offset, len);
	fake_driver_pci_write(d, d->window.cap + 16, len, value);
}

/* covers: PCI-CFG-02 PCI-CFG-03 PCI-CFG-04 PCI-ISR-10 */
Test(transport_pci_window, alone_it_drives_the_device)
{
	uint32_t common = d->common.offset;
	const struct fake_ring *r = &rig->ring[0];

	rig->machine->refuse_bells = true;
	fake_ring_init(&rig->ring[0], rig->machine, ECHO_QUEUE_SIZE, RIG_RINGS);
	/* Memory does not even decode. */
	fake_driver_pci_write(d, COMMAND, 2, 4);
	window_write(common + 20, 1, 3);
	window_write(common + 8, 4, 1);
	window_write(common + 12, 4, 1);
	window_write(common + 20, 1, 0xb);
	cr_assert_eq(window_read(common + 20, 1), 0xb);
	window_write(common + QUEUE_SELECT, 2, 0);
	cr_assert_eq(window_read(common + QUEUE_SIZE, 2), ECHO_QUEUE_SIZE);
	window_write(common + 32, 4, (uint32_t)r->desc);
	window_write(common + 40, 4, (uint32_t)r->driver);
	window_write(common + 48, 4, (uint32_t)r->device);
	window_write(common + QUEUE_ENABLE, 2, 1);
	window_write(common + 20, 1, 0xf);
	echo_rig_pump(rig);
	echo_rig_ask(rig, 0);
	window_write(d->notify.offset, 2, 0);
	echo_rig_pump(rig);
	echo_rig_expect_answer(rig, 0);
	cr_assert_eq(window_read(d->isr.offset, 1), 1);
	cr_assert_eq(window_read(d->isr.offset, 1), 0);
	cr_assert_eq(window_read(d->device.offset, 4), 0x13121110);
	cr_assert_eq(window_read(d->device.offset + 4, 2), 0x1514);
	window_write(d->device.offset + ECHO_CONFIG_WRITABLE, 4, 0xcafe);
	cr_assert_eq(window_read(d->device.offset + ECHO_CONFIG_WRITABLE, 4), 0xcafe);
	cr_assert_eq(fake_driver_pci_read(d, d->window.cap + 4, 1), VIRTIO_PCI_BAR);
	cr_assert_eq(fake_driver_pci_read(d, d->window.cap + 8, 4),
		     d->device.offset + ECHO_CONFIG_WRITABLE);
	cr_assert_eq(fake_driver_pci_read(d, d->window.cap + 12, 4), 4);
}

/* covers: PCI-CFG-05 */
Test(transport_pci_window, it_leads_nowhere_else)
{
	static const struct {
		unsigned bar;
		uint32_t offset, len;
	} bad[] = {
		{ 0, 0, 4 }, { 5, 0, 4 }, { 6, 0, 4 }, { 255, 0, 4 },
		{ 4, 0, 0 }, { 4, 0, 3 }, { 4, 0, 8 }, { 4, 0, UINT32_MAX },
		{ 4, 1, 2 }, { 4, 2, 4 }, { 4, 64, 4 }, { 4, VIRTIO_PCI_ISR + 4, 4 },
		{ 4, VIRTIO_PCI_DEVICE + ECHO_CONFIG_LEN, 4 }, { 4, VIRTIO_PCI_DEVICE + 0xffc, 4 },
		{ 4, VIRTIO_PCI_NOTIFY + 4 * ECHO_QUEUES, 4 }, { 4, VIRTIO_PCI_MSIX_TABLE, 4 },
		{ 4, VIRTIO_PCI_MSIX_TABLE + 8, 4 }, { 4, VIRTIO_PCI_MSIX_PBA, 4 },
		{ 4, VIRTIO_PCI_BAR_SIZE, 4 }, { 4, 0xfffffffc, 4 }, { 4, 0x80000000, 4 },
	};

	driver_msix_switch(d, true);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		point_window(bad[i].bar, bad[i].offset, bad[i].len);
		cr_expect_eq(fake_driver_pci_read(d, d->window.cap + 16, 4), 0, "case %u", i);
		fake_driver_pci_write(d, d->window.cap + 16, 4, UINT32_MAX);
	}
	cr_assert_eq(fake_machine_mmio_read(rig->machine, driver_msix_entry(d, 0), 4), 0xfee00000);
	cr_assert_eq(fake_machine_mmio_read(rig->machine, driver_msix_entry(d, 0) + 8, 4), 0);
	echo_rig_start(rig);
	echo_rig_round_trip(rig, 0);
}

/* covers: PCI-CFG-06 */
Test(transport_pci_window, it_takes_accesses_of_any_width)
{
	point_window(VIRTIO_PCI_BAR, d->device.offset, 4);
	cr_assert_eq(fake_driver_pci_read(d, d->window.cap + 16, 1), 0x10);
	cr_assert_eq(fake_driver_pci_read(d, d->window.cap + 19, 1), 0x13);
	cr_assert_eq(fake_driver_pci_read(d, d->window.cap + 18, 2), 0x1312);
	point_window(VIRTIO_PCI_BAR, d->device.offset, 1);
	cr_assert_eq(fake_driver_pci_read(d, d->window.cap + 16, 4), 0x10);
	/* Two 16-bit writes make the 32-bit one. */
	point_window(VIRTIO_PCI_BAR, d->device.offset + ECHO_CONFIG_WRITABLE, 4);
	fake_driver_pci_write(d, d->window.cap + 16, 2, 0x2211);
	fake_driver_pci_write(d, d->window.cap + 18, 2, 0x4433);
	cr_assert_eq(fake_driver_config(d, ECHO_CONFIG_WRITABLE, 4), 0x44332211);
}
