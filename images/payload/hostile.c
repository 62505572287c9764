/*
 * A guest that writes anything to anything: registers of every width, configuration space, BARs,
 * ports, MSI-X tables, rings and descriptors.  Then it puts back what a reset does not, and
 * proves that the disk works again.  Options: seed=N, rounds=N.  The VMM must be alive at the
 * end; that is the test.
 */
#include "images/payload/lib/blk.h"
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/random.h"
#include "virtio/features.h"
#include "vmm/machine/layout.h"

enum { MAX_DEVICES = 8, RING = 32, ARENA = 64 << 10 };

static struct virtio device[MAX_DEVICES];
static unsigned n_devices;
static uint64_t seed;
static uint8_t *arena;		/* where rings and buffers of the bad kind lie */

static uint64_t number(void)
{
	static const uint64_t favourite[] = {
		0, 1, 2, 0x7f, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0xffffffff, 1ull << 32,
		1ull << 63, ~0ull, ~0ull - 15, LAYOUT_LAPIC + 0x1000, LAYOUT_RAM_HOLE - 1,
	};
	uint64_t v = random_next(&seed);

	switch (v >> 60) {
	case 0 ... 4: return favourite[v % (sizeof(favourite) / sizeof(favourite[0]))];
	case 5 ... 9: return v & 0xff;
	case 10 ... 12: return (uintptr_t)arena + v % (2 * ARENA);
	default: return v;
	}
}

static void touch(uintptr_t at)
{
	uint64_t v = number();

	switch (random_below(&seed, 8)) {
	case 0: read8(at); break;
	case 1: read16(at); break;
	case 2: read32(at); break;
	case 3: read64(at); break;
	case 4: write8(at, (uint8_t)v); break;
	case 5: write16(at, (uint16_t)v); break;
	case 6: write32(at, (uint32_t)v); break;
	default: write64(at, v); break;
	}
}

/* The registers of a device, with half of the accesses where something is. */
static void registers(struct virtio *v, unsigned n)
{
	uintptr_t base = v->is_pci ? v->common & ~0xfffull : v->base;
	uint64_t span = v->is_pci ? 0x4000 : 0x1000;

	while (n-- > 0) {
		uintptr_t at = base + random_below(&seed, random_below(&seed, 2) ? 0x80 : span);

		/* No wild messages: INIT or NMI would end this program, and rightly so. */
		if (v->is_pci && at >= base + 0x3000)
			at = v->notify + random_below(&seed, 64);
		touch(at);
	}
}

/* Status in the order of a driver, or not; then a queue of some kind and kicks. */
static void almost_a_driver(struct virtio *v)
{
	static const uint8_t status[] = { 0, 1, 3, 0x0b, 0x0f, 0x4f, 0x8f, 0xff };

	for (unsigned i = 0; i < 12; i++) {
		switch (random_below(&seed, 5)) {
		case 0: v->ops->write_status(v, status[random_below(&seed, 8)]); break;
		case 1:
			v->ops->write_features(v, (uint32_t)random_below(&seed, 5),
					       (uint32_t)number());
			break;
		case 2:
			v->ops->select_queue(v, (uint16_t)random_below(&seed, 4));
			v->ops->set_queue(v, (uint16_t)number(), number(), number(), number());
			v->ops->enable_queue(v);
			break;
		case 3: virtio_kick(v, (uint16_t)random_below(&seed, 4)); break;
		default: virtio_negotiate(v, number(), NULL); break;
		}
	}
}

/* A ring that is set up as it should be and filled as it should not. */
static void bad_ring(struct virtio *v)
{
	struct ring_desc *desc = (struct ring_desc *)arena;
	struct ring_avail *avail = (struct ring_avail *)(arena + 0x4000);
	struct ring_used *used = (struct ring_used *)(arena + 0x8000);
	uint16_t index = (uint16_t)random_below(&seed, 2);

	virtio_negotiate(v, random_below(&seed, 2) ? ~0ull : 0, NULL);
	for (unsigned i = 0; i < RING * 2; i++) {
		desc[i] = (struct ring_desc){ number(), (uint32_t)number(),
					      (uint16_t)random_below(&seed, 8),
					      (uint16_t)random_below(&seed, RING + 2) };
		/* Half of them name memory that exists, so that some get further. */
		if (random_below(&seed, 2)) {
			desc[i].addr = (uintptr_t)arena + random_below(&seed, ARENA - 4096);
			desc[i].len = (uint32_t)random_below(&seed, 4096);
		}
	}
	for (unsigned i = 0; i < RING; i++)
		avail->ring[i] =
			(uint16_t)random_below(&seed, RING + (random_below(&seed, 8) == 0));
	avail->idx = 0;
	used->idx = 0;
	v->ops->select_queue(v, index);
	v->ops->set_queue(v, RING, (uintptr_t)desc, (uintptr_t)avail, (uintptr_t)used);
	v->ops->enable_queue(v);
	virtio_driver_ok(v);
	for (unsigned i = 0; i < 6; i++) {
		avail->idx = (uint16_t)(avail->idx + random_below(&seed, i == 5 ? 0x10000 : 8));
		virtio_kick(v, index);
		/* Change it while the device may be reading. */
		desc[random_below(&seed, RING)].flags ^= (uint16_t)(1u << random_below(&seed, 3));
		desc[random_below(&seed, RING)].addr = number();
	}
}

static void pci_configuration(struct virtio *v, unsigned n)
{
	uint32_t saved[64];

	for (unsigned i = 0; i < 64; i++)
		saved[i] = pci_read32(v->function, i * 4);
	while (n-- > 0) {
		unsigned at = (unsigned)random_below(&seed, 256);

		switch (random_below(&seed, 3)) {
		case 0: pci_write8(v->function, at, (uint8_t)number()); break;
		case 1: pci_write16(v->function, at & ~1u, (uint16_t)number()); break;
		default: pci_write32(v->function, at & ~3u, (uint32_t)number()); break;
		}
		/* BARs may lie on top of anything now; look at what is there. */
		if (n % 8 == 0)
			read32(LAYOUT_PCI_MMIO + random_below(&seed, 0x20000000));
	}
	for (unsigned i = 0; i < 64; i++)
		pci_write32(v->function, i * 4, saved[i]);
	msix_init(&(struct msix){ .f = v->function }, v->function);
}

/* Ports whose whole purpose is to end or stop the machine are left alone. */
static bool ends_the_machine(uint16_t port)
{
	return (port >= PORT_EXIT - 8 && port < PORT_EXIT + 4) ||
	       (port >= PORT_PM1_EVENT - 8 && port < PORT_PM1_CONTROL + 4) ||
	       (port >= PORT_PCI_ADDRESS - 8 && port < PORT_PCI_DATA + 4) ||
	       (port >= PORT_PVPANIC - 8 && port <= PORT_PVPANIC) ||
	       (port >= PORT_I8042_COMMAND - 8 && port <= PORT_I8042_COMMAND) ||
	       /* What reaches people's terminals. */
	       (port >= PORT_DEBUG_CONSOLE - 8 && port <= PORT_DEBUG_CONSOLE) ||
	       (port >= PORT_UART - 8 && port < PORT_UART + 8);
}

static void ports(unsigned n)
{
	while (n-- > 0) {
		uint16_t port =
			(uint16_t)random_below(&seed, random_below(&seed, 2) ? 0x800 : 0x10000);

		if (ends_the_machine(port))
			continue;
		switch (random_below(&seed, 6)) {
		case 0: in8(port); break;
		case 1: in16(port); break;
		case 2: in32(port); break;
		case 3: out8(port, (uint8_t)number()); break;
		case 4: out16(port, (uint16_t)number()); break;
		default: out32(port, (uint32_t)number()); break;
		}
	}
}

/* Addresses in the hole below 4 GiB, without the local APIC, which is the CPU's own. */
static void holes(unsigned n)
{
	while (n-- > 0) {
		uintptr_t at =
			LAYOUT_RAM_HOLE + random_below(&seed, LAYOUT_LAPIC - LAYOUT_RAM_HOLE - 16);

		if ((at & ~0xfffull) != LAYOUT_IOAPIC && at < LAYOUT_VIRTIO_MMIO)
			touch(at);
	}
}

static void find_devices(void)
{
	while (n_devices < MAX_DEVICES && virtio_find(&device[n_devices], 0, n_devices))
		n_devices++;
}

int main(void)
{
	uint64_t rounds = option_number("rounds", 5);
	struct blk disk;
	uint8_t *buf = heap_alloc(512, 512);

	seed = option_number("seed", 1) * 0x9e3779b97f4a7c15ull | 1;
	arena = heap_alloc(ARENA, 4096);
	find_devices();
	blk_find(&disk, 0);
	for (uint64_t round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < n_devices; i++) {
			registers(&device[i], 60);
			almost_a_driver(&device[i]);
			bad_ring(&device[i]);
			if (device[i].is_pci)
				pci_configuration(&device[i], 40);
		}
		ports(150);
		holes(100);
	}
	for (unsigned i = 0; i < n_devices; i++)
		check(virtio_reset(&device[i]), "device %u cannot be reset", device[i].id);
	blk_open(&disk, ~0ull, 0);
	check_equal(blk_request(&disk, BLK_IN, 0, buf, 512), BLK_OK, "read after all that");
	print("%u devices, seed %lu\n", n_devices, option_number("seed", 1));
	return check_result("hostile");
}
