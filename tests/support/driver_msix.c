#include "tests/support/driver_msix.h"

#include <criterion/criterion.h>

#include "tests/support/echo_device.h"
#include "virtio/transport_pci.h"
#include "vmm/machine/layout.h"

enum { MESSAGE = 0xfee00000, CAP_MSIX = 0x11, MSIX_ENABLE = 0x8000 };

unsigned driver_msix_find(struct fake_driver *d)
{
	unsigned cap = fake_driver_pci_read(d, 0x34, 1);

	while (cap && fake_driver_pci_read(d, cap, 1) != CAP_MSIX)
		cap = fake_driver_pci_read(d, cap + 1, 1);
	cr_assert_neq(cap, 0);
	return cap;
}

uint64_t driver_msix_entry(struct fake_driver *d, unsigned vector)
{
	return d->common.addr + VIRTIO_PCI_MSIX_TABLE + 16ull * vector;
}

void driver_msix_switch(struct fake_driver *d, bool on)
{
	for (unsigned v = 0; v <= ECHO_QUEUES; v++) {
		uint64_t entry = driver_msix_entry(d, v);

		fake_machine_mmio_write(d->machine, entry, 4, MESSAGE);
		fake_machine_mmio_write(d->machine, entry + 4, 4, 0);
		fake_machine_mmio_write(d->machine, entry + 8, 4, v);
		fake_machine_mmio_write(d->machine, entry + 12, 4, 0);
	}
	fake_driver_pci_write(d, driver_msix_find(d) + 2, 2, on ? MSIX_ENABLE : 0);
	fake_machine_pump(d->machine);
}

unsigned driver_msix_take(struct fake_driver *d, unsigned vector)
{
	fake_machine_pump(d->machine);
	return fake_irq_chip_take(&d->machine->irq, MESSAGE, vector);
}

bool driver_line(struct fake_driver *d)
{
	return d->machine->irq.level[GSI_PCI_INTA + 1 % GSI_PCI_LINES];
}
