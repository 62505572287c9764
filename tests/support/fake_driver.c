#include "tests/support/fake_driver.h"

#include <criterion/criterion.h>
#include <string.h>

#include "vmm/base/fd.h"
#include "vmm/machine/layout.h"

/* Where the same register is on either side: { pci, mmio }. */
struct place {
	unsigned offset[2];
	unsigned size[2];
};
static const struct place device_select = { { 0, 0x14 }, { 4, 4 } };
static const struct place device_feature = { { 4, 0x10 }, { 4, 4 } };
static const struct place driver_select = { { 8, 0x24 }, { 4, 4 } };
static const struct place driver_feature = { { 12, 0x20 }, { 4, 4 } };
static const struct place status = { { 20, 0x70 }, { 1, 4 } };
static const struct place queue_select = { { 22, 0x30 }, { 2, 4 } };
static const struct place queue_max = { { 24, 0x34 }, { 2, 4 } };
static const struct place queue_size = { { 24, 0x38 }, { 2, 4 } };
static const struct place queue_enable = { { 28, 0x44 }, { 2, 4 } };
static const struct place queue_desc = { { 32, 0x80 }, { 4, 4 } };
static const struct place queue_driver = { { 40, 0x90 }, { 4, 4 } };
static const struct place queue_device = { { 48, 0xa0 }, { 4, 4 } };
static const struct place generation = { { 21, 0xfc }, { 1, 4 } };

static uint64_t get(struct fake_driver *d, const struct place *p)
{
	return fake_driver_read(d, p->offset[d->transport], p->size[d->transport]);
}

static void put(struct fake_driver *d, const struct place *p, uint64_t value)
{
	fake_driver_write(d, p->offset[d->transport], p->size[d->transport], value);
}

static void put64(struct fake_driver *d, const struct place *p, uint64_t value)
{
	fake_driver_write(d, p->offset[d->transport], 4, value & UINT32_MAX);
	fake_driver_write(d, p->offset[d->transport] + 4, 4, value >> 32);
}

uint64_t fake_driver_read(struct fake_driver *d, unsigned offset, unsigned size)
{
	uint64_t base = d->transport == FAKE_PCI ? d->common.addr : d->base;

	return fake_machine_mmio_read(d->machine, base + offset, size);
}

void fake_driver_write(struct fake_driver *d, unsigned offset, unsigned size, uint64_t value)
{
	uint64_t base = d->transport == FAKE_PCI ? d->common.addr : d->base;

	fake_machine_mmio_write(d->machine, base + offset, size, value);
}

uint32_t fake_driver_pci_read(struct fake_driver *d, unsigned offset, unsigned size)
{
	return fake_machine_config_read(d->machine, d->slot, 0, offset, size);
}

void fake_driver_pci_write(struct fake_driver *d, unsigned offset, unsigned size, uint32_t value)
{
	fake_machine_config_write(d->machine, d->slot, 0, offset, size, value);
}

static uint64_t bar_address(struct fake_driver *d, unsigned bar)
{
	uint64_t low = fake_driver_pci_read(d, 0x10 + 4 * bar, 4);
	uint64_t high = (low & 6) == 4 ? fake_driver_pci_read(d, 0x14 + 4 * bar, 4) : 0;

	return (low & ~0xfull) | high << 32;
}

static void note_capability(struct fake_driver *d, unsigned cap)
{
	struct fake_structure *at[] = { NULL, &d->common, &d->notify, &d->isr, &d->device,
					&d->window };
	unsigned type = fake_driver_pci_read(d, cap + 3, 1);

	if (type == 0 || type >= ARRAY_SIZE(at) || at[type]->cap)
		return;
	*at[type] = (struct fake_structure){
		.cap = cap,
		.bar = (uint8_t)fake_driver_pci_read(d, cap + 4, 1),
		.offset = fake_driver_pci_read(d, cap + 8, 4),
		.length = fake_driver_pci_read(d, cap + 12, 4),
	};
	if (type != 5)
		at[type]->addr = bar_address(d, at[type]->bar) + at[type]->offset;
	if (type == 2)
		d->notify_multiplier = fake_driver_pci_read(d, cap + 16, 4);
}

void fake_driver_find_pci(struct fake_driver *d, struct fake_machine *machine, unsigned slot)
{
	*d = (struct fake_driver){ .machine = machine, .transport = FAKE_PCI, .slot = slot };
	cr_assert_eq(fake_driver_pci_read(d, 0, 2), 0x1af4);
	fake_driver_pci_write(d, 4, 2, 0x6);

	unsigned cap = fake_driver_pci_read(d, 0x34, 1);
	for (unsigned n = 0; cap != 0; n++) {
		cr_assert_lt(n, 48, "the capability list does not end");
		if (fake_driver_pci_read(d, cap, 1) == 0x09)
			note_capability(d, cap);
		cap = fake_driver_pci_read(d, cap + 1, 1);
	}
	cr_assert(d->common.cap && d->notify.cap && d->isr.cap && d->window.cap);
}

void fake_driver_find_mmio(struct fake_driver *d, struct fake_machine *machine, unsigned index)
{
	*d = (struct fake_driver){
		.machine = machine,
		.transport = FAKE_MMIO,
		.base = LAYOUT_VIRTIO_MMIO + index * LAYOUT_VIRTIO_MMIO_STRIDE,
	};
	cr_assert_eq(fake_driver_read(d, 0, 4), 0x74726976);
}

uint8_t fake_driver_status(struct fake_driver *d)
{
	return (uint8_t)get(d, &status);
}

void fake_driver_set_status(struct fake_driver *d, uint8_t value)
{
	put(d, &status, value);
}

void fake_driver_reset(struct fake_driver *d)
{
	fake_driver_set_status(d, 0);
	cr_assert_eq(fake_driver_status(d), 0);
}

uint32_t fake_driver_offered_half(struct fake_driver *d, uint32_t half)
{
	put(d, &device_select, half);
	return (uint32_t)get(d, &device_feature);
}

void fake_driver_accept_half(struct fake_driver *d, uint32_t half, uint32_t bits)
{
	put(d, &driver_select, half);
	put(d, &driver_feature, bits);
}

struct features fake_driver_offered(struct fake_driver *d)
{
	struct features f = FEATURES_EMPTY;

	for (uint32_t half = 0; half < 2 * FEATURES_WORDS; half++)
		features_set_half(&f, half, fake_driver_offered_half(d, half));
	return f;
}

void fake_driver_accept(struct fake_driver *d, struct features f)
{
	for (uint32_t half = 0; half < 2 * FEATURES_WORDS; half++)
		fake_driver_accept_half(d, half, features_half(&f, half));
}

bool fake_driver_negotiate(struct fake_driver *d, struct features f)
{
	fake_driver_reset(d);
	fake_driver_set_status(d, VIRTIO_STATUS_ACKNOWLEDGE);
	fake_driver_set_status(d, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	fake_driver_accept(d, f);
	fake_driver_set_status(d, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
					  VIRTIO_STATUS_FEATURES_OK);
	return fake_driver_status(d) & VIRTIO_STATUS_FEATURES_OK;
}

uint16_t fake_driver_queue_max(struct fake_driver *d, unsigned index)
{
	put(d, &queue_select, index);
	return (uint16_t)get(d, &queue_max);
}

void fake_driver_set_queue(struct fake_driver *d, unsigned index, const struct fake_ring *ring)
{
	put(d, &queue_select, index);
	put(d, &queue_size, ring->size);
	put64(d, &queue_desc, ring->desc);
	put64(d, &queue_driver, ring->driver);
	put64(d, &queue_device, ring->device);
}

void fake_driver_enable_queue(struct fake_driver *d, unsigned index)
{
	put(d, &queue_select, index);
	put(d, &queue_enable, 1);
}

bool fake_driver_queue_enabled(struct fake_driver *d, unsigned index)
{
	put(d, &queue_select, index);
	return get(d, &queue_enable) == 1;
}

void fake_driver_kick(struct fake_driver *d, unsigned index)
{
	uint64_t addr = d->transport == FAKE_PCI ?
				d->notify.addr + (uint64_t)index * d->notify_multiplier :
				d->base + 0x50;

	for (unsigned i = 0; i < d->machine->n_bells; i++) {
		const struct doorbell *bell = &d->machine->bell[i];
		if (bell->addr == addr && (!bell->match || bell->value == index)) {
			fd_signal(bell->fd);
			return;
		}
	}
	fake_machine_mmio_write(d->machine, addr, d->transport == FAKE_PCI ? 2 : 4, index);
}

uint32_t fake_driver_take_isr(struct fake_driver *d)
{
	/* INTx goes through the main loop. */
	fake_machine_pump(d->machine);
	if (d->transport == FAKE_PCI)
		return (uint32_t)fake_machine_mmio_read(d->machine, d->isr.addr, 1);
	uint32_t bits = (uint32_t)fake_driver_read(d, 0x60, 4);
	fake_driver_write(d, 0x64, 4, bits);
	return bits;
}

static uint64_t config_address(const struct fake_driver *d, unsigned offset)
{
	return (d->transport == FAKE_PCI ? d->device.addr : d->base + 0x100) + offset;
}

uint64_t fake_driver_config(struct fake_driver *d, unsigned offset, unsigned size)
{
	return fake_machine_mmio_read(d->machine, config_address(d, offset), size);
}

void fake_driver_set_config(struct fake_driver *d, unsigned offset, unsigned size, uint64_t value)
{
	fake_machine_mmio_write(d->machine, config_address(d, offset), size, value);
}

uint32_t fake_driver_generation(struct fake_driver *d)
{
	return (uint32_t)get(d, &generation);
}
