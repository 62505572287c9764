#include "tests/support/pci_toy.h"

#include <criterion/criterion.h>

static uint64_t toy_read(void *arg, uint64_t offset, unsigned size)
{
	(void)arg;
	(void)size;
	return 0x1122334455667700 + offset;
}

static void toy_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct toy *toy = arg;

	(void)size;
	toy->last_offset = offset;
	toy->last_value = value;
	if (toy->move_to) {
		pci_config_write(&toy->pci, TOY_BAR0, 4, (uint32_t)toy->move_to);
		pci_config_write(&toy->pci, TOY_BAR0 + 4, 4, (uint32_t)(toy->move_to >> 32));
	}
}

const struct region_ops toy_region_ops = { .read = toy_read, .write = toy_write };

static void toy_bar_mapped(struct pci_device *dev, unsigned bar, uint64_t addr)
{
	struct toy *toy = container_of(dev, struct toy, pci);

	cr_assert_eq(toy->mapped_at[bar], 0);
	toy->n_mapped[bar]++;
	toy->mapped_at[bar] = addr;
}

static void toy_bar_unmapping(struct pci_device *dev, unsigned bar, uint64_t addr)
{
	struct toy *toy = container_of(dev, struct toy, pci);

	cr_assert_eq(toy->mapped_at[bar], addr);
	toy->n_unmapping[bar]++;
	toy->mapped_at[bar] = 0;
}

static void toy_config_written(struct pci_device *dev, unsigned offset, unsigned size)
{
	(void)offset;
	(void)size;
	container_of(dev, struct toy, pci)->n_config_written++;
}

static void toy_reset(struct pci_device *dev)
{
	container_of(dev, struct toy, pci)->n_resets++;
}

static const struct pci_device_ops toy_ops = {
	.config_written = toy_config_written,
	.bar_mapped = toy_bar_mapped,
	.bar_unmapping = toy_bar_unmapping,
	.reset = toy_reset,
};

void toy_init(struct toy *toy)
{
	static const struct pci_ids ids = {
		.vendor = 0x1af4, .device = 0x1042,
		.subsystem_vendor = 0x1234, .subsystem = 0x5678,
		.revision = 1, .class_code = 0x018000, .has_intx = true,
	};

	*toy = (struct toy){ 0 };
	pci_device_init(&toy->pci, "toy", &ids, &toy_ops);
}

void toy_add(struct fake_machine *fake, struct toy *toy)
{
	toy_init(toy);
	pci_device_set_bar(&toy->pci, 0, PCI_BAR_MEM64, 0x1000, &toy_region_ops, toy);
	pci_device_set_bar(&toy->pci, 2, PCI_BAR_MEM32, 0x10000, &toy_region_ops, toy);
	pci_device_set_bar(&toy->pci, 4, PCI_BAR_IO, 32, &toy_region_ops, toy);
	cr_assert_eq(pci_root_add(&fake->m.pci, &toy->pci), 0);
}

uint32_t toy_config(struct fake_machine *fake, const struct toy *toy, unsigned offset,
		    unsigned size)
{
	return fake_machine_config_read(fake, toy->pci.slot, toy->pci.function, offset, size);
}

void toy_set_config(struct fake_machine *fake, const struct toy *toy, unsigned offset,
		    unsigned size, uint32_t value)
{
	fake_machine_config_write(fake, toy->pci.slot, toy->pci.function, offset, size, value);
}

void toy_set_bar0(struct fake_machine *fake, const struct toy *toy, uint64_t addr)
{
	toy_set_config(fake, toy, TOY_BAR0, 4, (uint32_t)addr);
	toy_set_config(fake, toy, TOY_BAR0 + 4, 4, (uint32_t)(addr >> 32));
}
