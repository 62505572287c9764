#include "tests/support/fake_driver.h"

#include <criterion/criterion.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/machine/layout.h"

/* The four register files, in the order of struct place. */
enum face { PCI, MMIO, PCI_LEGACY, MMIO_LEGACY };
enum { NOWHERE = 0xffff, PAGE = 4096 };

static enum face face_of(const struct fake_driver *d)
{
	static const enum face face[] = {
		[FAKE_PCI] = PCI,
		[FAKE_MMIO] = MMIO,
		[FAKE_TRANSITIONAL] = PCI,
		[FAKE_TRANSITIONAL_LEGACY] = PCI_LEGACY,
		[FAKE_PCI_LEGACY] = PCI_LEGACY,
		[FAKE_MMIO_LEGACY] = MMIO_LEGACY,
	};

	return face[d->transport];
}

static bool is_legacy(const struct fake_driver *d)
{
	return fake_transport_is_legacy(d->transport);
}

/* Where the same register is in each of them. */
struct place {
	unsigned offset[4];
	unsigned size[4];
};
static const struct place device_select = { { 0, 0x14, NOWHERE, 0x14 }, { 4, 4, 0, 4 } };
static const struct place device_feature = { { 4, 0x10, 0, 0x10 }, { 4, 4, 4, 4 } };
static const struct place driver_select = { { 8, 0x24, NOWHERE, 0x24 }, { 4, 4, 0, 4 } };
static const struct place driver_feature = { { 12, 0x20, 4, 0x20 }, { 4, 4, 4, 4 } };
static const struct place status = { { 20, 0x70, 18, 0x70 }, { 1, 4, 1, 4 } };
static const struct place queue_select = { { 22, 0x30, 14, 0x30 }, { 2, 4, 2, 4 } };
static const struct place queue_max = { { 24, 0x34, 12, 0x34 }, { 2, 4, 2, 4 } };
static const struct place queue_size = { { 24, 0x38, NOWHERE, 0x38 }, { 2, 4, 0, 4 } };
static const struct place queue_enable = { { 28, 0x44, 8, 0x40 }, { 2, 4, 4, 4 } };
static const struct place queue_desc = { { 32, 0x80, NOWHERE, NOWHERE }, { 4, 4, 0, 0 } };
static const struct place queue_driver = { { 40, 0x90, NOWHERE, NOWHERE }, { 4, 4, 0, 0 } };
static const struct place queue_device = { { 48, 0xa0, NOWHERE, NOWHERE }, { 4, 4, 0, 0 } };
static const struct place queue_align = { { NOWHERE, NOWHERE, NOWHERE, 0x3c }, { 0, 0, 0, 4 } };
static const struct place page_size = { { NOWHERE, NOWHERE, NOWHERE, 0x28 }, { 0, 0, 0, 4 } };
static const struct place queue_reset = { { 58, 0xc0, NOWHERE, NOWHERE }, { 2, 4, 0, 0 } };
static const struct place generation = { { 21, 0xfc, NOWHERE, NOWHERE }, { 1, 4, 0, 0 } };

static uint64_t get(struct fake_driver *d, const struct place *p)
{
	enum face f = face_of(d);

	return p->offset[f] == NOWHERE ? 0 : fake_driver_read(d, p->offset[f], p->size[f]);
}

static void put(struct fake_driver *d, const struct place *p, uint64_t value)
{
	enum face f = face_of(d);

	if (p->offset[f] != NOWHERE)
		fake_driver_write(d, p->offset[f], p->size[f], value);
}

static void put64(struct fake_driver *d, const struct place *p, uint64_t value)
{
	enum face f = face_of(d);

	fake_driver_write(d, p->offset[f], 4, value & UINT32_MAX);
	fake_driver_write(d, p->offset[f] + 4, 4, value >> 32);
}

uint64_t fake_driver_read(struct fake_driver *d, unsigned offset, unsigned size)
{
	switch (face_of(d)) {
	case PCI:
		return fake_machine_mmio_read(d->machine, d->common.addr + offset, size);
	case PCI_LEGACY:
		return fake_machine_in(d->machine, (uint16_t)(d->base + offset), size);
	default:
		return fake_machine_mmio_read(d->machine, d->base + offset, size);
	}
}

void fake_driver_write(struct fake_driver *d, unsigned offset, unsigned size, uint64_t value)
{
	switch (face_of(d)) {
	case PCI:
		fake_machine_mmio_write(d->machine, d->common.addr + offset, size, value);
		break;
	case PCI_LEGACY:
		fake_machine_out(d->machine, (uint16_t)(d->base + offset), size, value);
		break;
	default:
		fake_machine_mmio_write(d->machine, d->base + offset, size, value);
	}
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

static void find_modern(struct fake_driver *d)
{
	unsigned cap = fake_driver_pci_read(d, 0x34, 1);

	for (unsigned n = 0; cap != 0; n++) {
		cr_assert_lt(n, 48, "the capability list does not end");
		if (fake_driver_pci_read(d, cap, 1) == 0x09)
			note_capability(d, cap);
		cap = fake_driver_pci_read(d, cap + 1, 1);
	}
	cr_assert(d->common.cap && d->notify.cap && d->isr.cap && d->window.cap);
}

void fake_driver_find_pci(struct fake_driver *d, struct fake_machine *machine,
			  enum fake_transport how, unsigned slot)
{
	*d = (struct fake_driver){ .machine = machine, .transport = how, .slot = slot };
	cr_assert_eq(fake_driver_pci_read(d, 0, 2), 0x1af4);
	fake_driver_pci_write(d, 4, 2, 0x7);
	if (!is_legacy(d)) {
		find_modern(d);
		return;
	}
	uint32_t bar = fake_driver_pci_read(d, 0x10, 4);
	cr_assert_eq(bar & 3, 1, "BAR 0 is not for ports");
	d->base = bar & ~3u;
}

void fake_driver_find_mmio(struct fake_driver *d, struct fake_machine *machine,
			   enum fake_transport how, unsigned index)
{
	*d = (struct fake_driver){
		.machine = machine,
		.transport = how,
		.base = LAYOUT_VIRTIO_MMIO + index * LAYOUT_VIRTIO_MMIO_STRIDE,
	};
	cr_assert_eq(fake_driver_read(d, 0, 4), 0x74726976);
	cr_assert_eq(fake_driver_read(d, 4, 4), is_legacy(d) ? 1 : 2);
}

int fake_driver_try_plug(struct fake_driver *d, struct fake_machine *machine,
			 struct virtio_device *dev, enum fake_transport how, unsigned index,
			 struct virtio_transport **out)
{
	static const enum virtio_transport_kind kind[] = {
		[FAKE_PCI] = VIRTIO_PCI,
		[FAKE_MMIO] = VIRTIO_MMIO,
		[FAKE_TRANSITIONAL] = VIRTIO_PCI_TRANSITIONAL,
		[FAKE_TRANSITIONAL_LEGACY] = VIRTIO_PCI_TRANSITIONAL,
		[FAKE_PCI_LEGACY] = VIRTIO_PCI_LEGACY,
		[FAKE_MMIO_LEGACY] = VIRTIO_MMIO_LEGACY,
	};
	bool is_mmio = fake_transport_is_mmio(how);
	int r = is_mmio ? virtio_mmio_create(out, &machine->m, dev, kind[how], index) :
			  virtio_pci_create(out, &machine->m, dev, kind[how]);

	if (r < 0)
		return r;
	if (is_mmio)
		fake_driver_find_mmio(d, machine, how, index);
	else
		fake_driver_find_pci(d, machine, how, 1);
	return 0;
}

struct virtio_transport *fake_driver_plug(struct fake_driver *d, struct fake_machine *machine,
					  struct virtio_device *dev, enum fake_transport how,
					  unsigned index)
{
	struct virtio_transport *t;

	cr_assert_eq(fake_driver_try_plug(d, machine, dev, how, index, &t), 0, "%s",
		     error_text());
	return t;
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

	for (uint32_t half = 0; half < (is_legacy(d) ? 1 : 2 * FEATURES_WORDS); half++)
		features_set_half(&f, half, fake_driver_offered_half(d, half));
	return f;
}

void fake_driver_accept(struct fake_driver *d, struct features f)
{
	d->accepted = f;
	for (uint32_t half = 0; half < (is_legacy(d) ? 1 : 2 * FEATURES_WORDS); half++)
		fake_driver_accept_half(d, half, features_half(&f, half));
}

bool fake_driver_negotiate(struct fake_driver *d, struct features f)
{
	fake_driver_reset(d);
	fake_driver_set_status(d, VIRTIO_STATUS_ACKNOWLEDGE);
	fake_driver_set_status(d, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	fake_driver_accept(d, f);
	if (is_legacy(d))
		return true;
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
	if (is_legacy(d)) {
		put(d, &page_size, PAGE);
		put(d, &queue_align, PAGE);
		put(d, &queue_enable, ring->desc / PAGE);
		return;
	}
	put64(d, &queue_desc, ring->desc);
	put64(d, &queue_driver, ring->driver);
	put64(d, &queue_device, ring->device);
}

void fake_driver_enable_queue(struct fake_driver *d, unsigned index)
{
	if (is_legacy(d))
		return;
	put(d, &queue_select, index);
	put(d, &queue_enable, 1);
}

bool fake_driver_queue_enabled(struct fake_driver *d, unsigned index)
{
	put(d, &queue_select, index);
	return is_legacy(d) ? get(d, &queue_enable) != 0 : get(d, &queue_enable) == 1;
}

uint64_t fake_driver_ring_bytes(uint16_t size)
{
	return align_up(fake_ring_bytes(size), PAGE) + PAGE;
}

void fake_driver_init_ring(struct fake_driver *d, struct fake_ring *ring, uint16_t size,
			   uint64_t addr)
{
	uint64_t used = align_up(addr + 18ull * size + 6, PAGE);

	fake_ring_init_as(ring, features_has(&d->accepted, VIRTIO_F_RING_PACKED) ? FAKE_PACKED :
										    FAKE_SPLIT,
			  d->machine, size, addr);
	if (!is_legacy(d))
		return;
	ring->device = used;
	memset(fake_machine_driver_at(d->machine, used, 6 + 8ull * size), 0, 6 + 8ull * size);
}

void fake_driver_reset_queue(struct fake_driver *d, unsigned index)
{
	put(d, &queue_select, index);
	put(d, &queue_reset, 1);
}

bool fake_driver_queue_in_reset(struct fake_driver *d, unsigned index)
{
	put(d, &queue_select, index);
	return get(d, &queue_reset) != 0;
}

/* Where this driver writes its kicks, and how wide they are. */
static uint64_t kick_address(const struct fake_driver *d, unsigned index, unsigned *size)
{
	*size = face_of(d) == PCI || face_of(d) == PCI_LEGACY ? 2 : 4;
	switch (face_of(d)) {
	case PCI: return d->notify.addr + (uint64_t)index * d->notify_multiplier;
	case PCI_LEGACY: return d->base + 16;
	default: return d->base + 0x50;
	}
}

void fake_driver_kick(struct fake_driver *d, unsigned index)
{
	bool is_port = face_of(d) == PCI_LEGACY;
	unsigned size;
	uint64_t addr = kick_address(d, index, &size);

	for (unsigned i = 0; i < d->machine->n_bells; i++) {
		const struct doorbell *bell = &d->machine->bell[i];
		if (bell->addr == addr && (bell->space == DOORBELL_PIO) == is_port &&
		    (!bell->match || bell->value == index)) {
			fd_signal(bell->fd);
			return;
		}
	}
	if (is_port)
		fake_machine_out(d->machine, (uint16_t)addr, size, index);
	else
		fake_machine_mmio_write(d->machine, addr, size, index);
}

uint32_t fake_driver_take_isr(struct fake_driver *d)
{
	/* INTx goes through the main loop. */
	fake_machine_pump(d->machine);
	if (face_of(d) == PCI)
		return (uint32_t)fake_machine_mmio_read(d->machine, d->isr.addr, 1);
	if (face_of(d) == PCI_LEGACY)
		return (uint32_t)fake_driver_read(d, 19, 1);
	uint32_t bits = (uint32_t)fake_driver_read(d, 0x60, 4);
	fake_driver_write(d, 0x64, 4, bits);
	return bits;
}

/* Over ports it follows the header, which MSI-X makes longer (bit 31 of its capability). */
static uint64_t legacy_config(struct fake_driver *d)
{
	unsigned cap = fake_driver_pci_read(d, 0x34, 1);

	while (cap != 0 && fake_driver_pci_read(d, cap, 1) != 0x11)
		cap = fake_driver_pci_read(d, cap + 1, 1);
	bool msix = cap != 0 && fake_driver_pci_read(d, cap + 2, 2) & 0x8000;

	return d->base + (msix ? 24 : 20);
}

static uint64_t config_address(struct fake_driver *d, unsigned offset)
{
	switch (face_of(d)) {
	case PCI: return d->device.addr + offset;
	case PCI_LEGACY: return legacy_config(d) + offset;
	default: return d->base + 0x100 + offset;
	}
}

uint64_t fake_driver_config(struct fake_driver *d, unsigned offset, unsigned size)
{
	uint64_t addr = config_address(d, offset);

	if (face_of(d) == PCI_LEGACY)
		return fake_machine_in(d->machine, (uint16_t)addr, size);
	return fake_machine_mmio_read(d->machine, addr, size);
}

void fake_driver_set_config(struct fake_driver *d, unsigned offset, unsigned size, uint64_t value)
{
	uint64_t addr = config_address(d, offset);

	if (face_of(d) == PCI_LEGACY)
		fake_machine_out(d->machine, (uint16_t)addr, size, value);
	else
		fake_machine_mmio_write(d->machine, addr, size, value);
}

uint32_t fake_driver_generation(struct fake_driver *d)
{
	return (uint32_t)get(d, &generation);
}
