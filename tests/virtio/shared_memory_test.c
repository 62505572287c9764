/*
 * Shared memory regions, as virtio-pci and virtio-mmio show them.  virtio-v1.4 2.10 "Shared Memory
 * Regions", 4.1.4.7 "Shared memory capability".
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/support/echo_rig.h"
#include "virtio/transport_pci.h"
#include "vmm/base/error.h"

enum {
	FIRST_ID = 7, SECOND_ID = 0, THIRD_ID = 255,
	FIRST_LEN = 0x3000, SECOND_LEN = 0x1000, THIRD_LEN = 0x10000,
	MAX_LEN = THIRD_LEN,
	/* virtio-mmio */
	SHM_SEL = 0xac, SHM_LEN = 0xb0, SHM_BASE = 0xb8,
};

/* A region is bytes; only accesses inside of it may arrive. */
struct memory {
	uint64_t len;
	uint8_t byte[MAX_LEN];
};

static struct memory memory[3];

static uint64_t memory_read(void *arg, uint64_t offset, unsigned size)
{
	const struct memory *m = arg;
	uint64_t value = 0;

	cr_assert(range_inside(offset, size, m->len));
	memcpy(&value, m->byte + offset, size);
	return value;
}

static void memory_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct memory *m = arg;

	cr_assert(range_inside(offset, size, m->len));
	memcpy(m->byte + offset, &value, size);
}

static const struct region_ops memory_ops = { .read = memory_read, .write = memory_write };

static const uint8_t id[] = { FIRST_ID, SECOND_ID, THIRD_ID };

static struct echo_rig_options options_for(enum fake_transport transport)
{
	static const uint64_t len[] = { FIRST_LEN, SECOND_LEN, THIRD_LEN };
	struct echo_rig_options o = { .transport = transport, .n_shm = ARRAY_SIZE(id) };

	for (unsigned i = 0; i < o.n_shm; i++) {
		memory[i] = (struct memory){ .len = len[i] };
		o.shm[i] = (struct virtio_shm){
			.id = id[i],
			.len = len[i],
			.ops = &memory_ops,
			.arg = &memory[i],
		};
	}
	return o;
}

/* One region as a driver found it. */
struct found {
	uint64_t addr, len;
};

static uint64_t bar_size(struct fake_driver *d, unsigned bar)
{
	unsigned at = 0x10 + 4 * bar;
	uint32_t low = fake_driver_pci_read(d, at, 4), high = fake_driver_pci_read(d, at + 4, 4);

	fake_driver_pci_write(d, 4, 2, 0);
	fake_driver_pci_write(d, at, 4, UINT32_MAX);
	fake_driver_pci_write(d, at + 4, 4, UINT32_MAX);
	uint64_t mask = (fake_driver_pci_read(d, at, 4) & ~0xfu) |
			(uint64_t)fake_driver_pci_read(d, at + 4, 4) << 32;
	fake_driver_pci_write(d, at, 4, low);
	fake_driver_pci_write(d, at + 4, 4, high);
	fake_driver_pci_write(d, 4, 2, 7);
	return -mask;
}

/* The region of capability 'cap'. */
static struct found read_capability(struct fake_driver *d, unsigned cap)
{
	unsigned bar = fake_driver_pci_read(d, cap + 4, 1);
	uint64_t offset = fake_driver_pci_read(d, cap + 8, 4) |
			  (uint64_t)fake_driver_pci_read(d, cap + 16, 4) << 32;
	uint64_t len = fake_driver_pci_read(d, cap + 12, 4) |
		       (uint64_t)fake_driver_pci_read(d, cap + 20, 4) << 32;
	uint64_t base = (fake_driver_pci_read(d, 0x10 + 4 * bar, 4) & ~0xfu) |
			(uint64_t)fake_driver_pci_read(d, 0x14 + 4 * bar, 4) << 32;

	cr_assert_geq(fake_driver_pci_read(d, cap + 2, 1), 24, "the layout with 64 bits");
	cr_assert(range_inside(offset, len, bar_size(d, bar)));
	cr_assert_eq(offset % 4096, 0);
	return (struct found){ base + offset, len };
}

static struct found find_pci(struct fake_driver *d, uint8_t wanted)
{
	struct found f = { 0, 0 };
	unsigned n = 0;

	for (unsigned cap = fake_driver_pci_read(d, 0x34, 1); cap != 0;
	     cap = fake_driver_pci_read(d, cap + 1, 1)) {
		if (fake_driver_pci_read(d, cap, 1) != 0x09 ||
		    fake_driver_pci_read(d, cap + 3, 1) != 8 ||
		    fake_driver_pci_read(d, cap + 5, 1) != wanted)
			continue;
		f = read_capability(d, cap);
		n++;
	}
	cr_assert_leq(n, 1, "an id is used once");
	return f;
}

static struct found find_mmio(struct fake_driver *d, uint32_t wanted)
{
	struct found f;

	fake_driver_write(d, SHM_SEL, 4, wanted);
	f.len = fake_driver_read(d, SHM_LEN, 4) | fake_driver_read(d, SHM_LEN + 4, 4) << 32;
	f.addr = fake_driver_read(d, SHM_BASE, 4) | fake_driver_read(d, SHM_BASE + 4, 4) << 32;
	return f;
}

static struct found find(struct fake_driver *d, uint8_t wanted)
{
	return d->transport == FAKE_MMIO ? find_mmio(d, wanted) : find_pci(d, wanted);
}

/*
 * covers: CORE-SHM-02 PCI-SHM-01 PCI-SHM-02 PCI-SHM-03 PCI-CAP-06
 * covers: MMIO-REG-24 MMIO-REG-25
 */
Test(shared_memory, each_region_is_found_by_its_id_and_reached_from_its_start)
{
	for (int t = FAKE_PCI; t <= FAKE_TRANSITIONAL; t++) {
		struct echo_rig_options o = options_for((enum fake_transport)t);
		struct echo_rig *rig = echo_rig_create_with(&o);
		struct found f[3];

		for (unsigned i = 0; i < 3; i++) {
			f[i] = find(&rig->driver, id[i]);
			cr_assert_eq(f[i].len, memory[i].len);
			for (unsigned k = 0; k < i; k++)
				cr_assert(f[i].addr >= f[k].addr + f[k].len ||
					  f[k].addr >= f[i].addr + f[i].len);
		}
		for (unsigned i = 0; i < 3; i++) {
			uint64_t last = f[i].addr + f[i].len - 4;

			fake_machine_mmio_write(rig->machine, f[i].addr, 4, 0x11111111u * (i + 1));
			fake_machine_mmio_write(rig->machine, last, 4, 0x22222222u * (i + 1));
			cr_assert_eq(memory[i].byte[0], 0x11 * (i + 1));
			cr_assert_eq(memory[i].byte[f[i].len - 1], 0x22 * (i + 1));
			cr_assert_eq(fake_machine_mmio_read(rig->machine, last, 4),
				     0x22222222u * (i + 1));
		}
		/* It is not the device's state: a reset leaves it alone. */
		echo_rig_start(rig);
		echo_rig_round_trip(rig, 0);
		fake_driver_reset(&rig->driver);
		cr_assert_eq(fake_machine_mmio_read(rig->machine, f[0].addr, 4), 0x11111111);
		echo_rig_destroy(rig);
	}
}

/* An access across two regions, or where none is, reaches nothing.  covers: CORE-SHM-03 */
Test(shared_memory, holes_and_edges_have_a_defined_value)
{
	for (int t = FAKE_PCI; t <= FAKE_TRANSITIONAL; t++) {
		struct echo_rig_options o = options_for((enum fake_transport)t);
		struct echo_rig *rig = echo_rig_create_with(&o);
		struct found last = find(&rig->driver, THIRD_ID);
		struct found first = find(&rig->driver, FIRST_ID);

		for (uint64_t at = 0; at < first.len; at += 4096)
			cr_assert_eq(fake_machine_mmio_read(rig->machine, first.addr + at, 8), 0);
		/* The BAR is a power of two, the regions are not: 0x14000 in 0x20000. */
		for (uint64_t at = 0; at < 0x4000; at += 1024) {
			uint64_t beyond = last.addr + last.len + at;
			fake_machine_mmio_write(rig->machine, beyond, 8, 0);
			cr_assert_eq(fake_machine_mmio_read(rig->machine, beyond, 4), UINT32_MAX);
		}
		for (unsigned k = 1; k < 8; k++) {
			uint64_t across = first.addr + first.len - k;
			fake_machine_mmio_write(rig->machine, across, 8, UINT64_MAX);
			cr_assert_eq(fake_machine_mmio_read(rig->machine, across, 8), UINT64_MAX);
			cr_assert_eq(memory[0].byte[first.len - 1], 0);
			cr_assert_eq(memory[1].byte[0], 0);
		}
		echo_rig_destroy(rig);
	}
}

/* covers: MMIO-REG-25 */
Test(shared_memory, an_id_that_is_not_used_has_no_region)
{
	struct echo_rig_options o = options_for(FAKE_MMIO);
	struct echo_rig *rig = echo_rig_create_with(&o);
	static const uint32_t absent[] = { 1, 6, 254, 256, 256 + FIRST_ID, UINT32_MAX };

	for (unsigned i = 0; i < ARRAY_SIZE(absent); i++) {
		struct found f = find_mmio(&rig->driver, absent[i]);
		cr_assert_eq(f.len, UINT64_MAX);
		cr_assert_eq(f.addr, UINT64_MAX);
	}
	/* Selecting survives neither reset. */
	fake_driver_write(&rig->driver, SHM_SEL, 4, FIRST_ID);
	fake_driver_reset(&rig->driver);
	cr_assert_eq(fake_driver_read(&rig->driver, SHM_LEN, 4), SECOND_LEN, "id 0");
	echo_rig_destroy(rig);
}

/* A device without them has no BAR for them either, and one with them takes them along. */
Test(shared_memory, come_and_go_with_the_device)
{
	struct echo_rig *rig = echo_rig_create(FAKE_PCI);

	cr_assert_eq(fake_driver_pci_read(&rig->driver, 0x10 + 4 * VIRTIO_PCI_SHM_BAR, 4), 0);
	cr_assert_eq(find_pci(&rig->driver, SECOND_ID).len, 0);
	echo_rig_destroy(rig);

	for (int t = FAKE_PCI; t <= FAKE_MMIO; t++) {
		struct echo_rig_options o = options_for((enum fake_transport)t);

		rig = echo_rig_create_with(&o);
		struct found f = find(&rig->driver, FIRST_ID);
		machine_lock(&rig->machine->m);
		virtio_transport_destroy(rig->transport);
		rig->transport = NULL;
		cr_assert_null(bus_find(&rig->machine->m.mmio, f.addr, 4));
		machine_unlock(&rig->machine->m);
		echo_rig_destroy(rig);
	}
}

/* virtio-mmio has a fixed place for each device's. */
Test(shared_memory, what_is_too_large_for_virtio_mmio_is_refused)
{
	struct echo_rig *rig = echo_rig_create(FAKE_PCI);
	struct echo_device *echo = echo_device_create(rig->loop);
	const struct virtio_shm shm = { .id = 1, .len = GIB(1), .ops = &memory_ops };
	struct virtio_transport *t;
	bool destroyed = false;

	echo->destroyed = &destroyed;
	virtio_device_add_shm(&echo->dev, &shm);
	cr_assert_eq(virtio_mmio_create(&t, &rig->machine->m, &echo->dev, VIRTIO_MMIO, 3), -ENOSPC);
	cr_assert(destroyed);
	cr_assert_null(t);
	echo_rig_destroy(rig);
}
