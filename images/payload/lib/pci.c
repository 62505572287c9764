#include "images/payload/lib/pci.h"

#include "images/payload/lib/acpi.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/interrupt.h"
#include "vmm/machine/layout.h"

enum {
	MSIX_CONTROL = 2,
	MSIX_ENABLE = 0x8000,
	MSIX_MASK_ALL = 0x4000,
	MSIX_ENTRY_SIZE = 16,
};

/* Base of ECAM where it is the only way in (QEMU's microvm, which has no MCFG either), else 0. */
static uint64_t only_ecam(void)
{
	static bool known;
	static uint64_t base;

	if (!known) {
		known = true;
		out32(PORT_PCI_ADDRESS, 0x80000000u);
		if (in32(PORT_PCI_ADDRESS) != 0x80000000u)
			base = acpi_ecam() != 0 ? acpi_ecam() : LAYOUT_ECAM;
	}
	return base;
}

static uint16_t select(struct pci_function f, unsigned offset)
{
	out32(PORT_PCI_ADDRESS, 0x80000000u | (uint32_t)f.slot << 11 | (uint32_t)f.function << 8 |
					(offset & 0xfc));
	return (uint16_t)(PORT_PCI_DATA + (offset & 3));
}

#define PCI_ACCESS(bits)                                                                           \
	uint##bits##_t pci_read##bits(struct pci_function f, unsigned offset)                      \
	{                                                                                          \
		if (only_ecam() != 0)                                                              \
			return read##bits(pci_ecam_address(only_ecam(), f, offset));               \
		return in##bits(select(f, offset));                                                \
	}                                                                                          \
	void pci_write##bits(struct pci_function f, unsigned offset, uint##bits##_t v)             \
	{                                                                                          \
		if (only_ecam() != 0)                                                              \
			write##bits(pci_ecam_address(only_ecam(), f, offset), v);                  \
		else                                                                               \
			out##bits(select(f, offset), v);                                           \
	}

PCI_ACCESS(8)
PCI_ACCESS(16)
PCI_ACCESS(32)
#undef PCI_ACCESS

uintptr_t pci_ecam_address(uint64_t base, struct pci_function f, unsigned offset)
{
	return base + ((uintptr_t)f.slot << 15) + ((uintptr_t)f.function << 12) + offset;
}

bool pci_next(struct pci_function *f, bool first)
{
	unsigned i = first ? 0 : f->slot * 8u + f->function + 1u;

	while (i < 256) {
		struct pci_function at = { (uint8_t)(i / 8), (uint8_t)(i % 8) };

		if (pci_read16(at, PCI_VENDOR) != 0xffff) {
			*f = at;
			return true;
		}
		/*
		 * Without function 0 a slot has no others; bit 7 of its header type promises
		 * them.
		 */
		if (at.function == 0 || !(pci_read8((struct pci_function){ at.slot, 0 },
						    PCI_HEADER_TYPE) & 0x80))
			i = (at.slot + 1u) * 8;
		else
			i++;
	}
	return false;
}

unsigned pci_capability(struct pci_function f, uint8_t id, unsigned after)
{
	unsigned at;

	if (!(pci_read16(f, PCI_STATUS) & PCI_STATUS_CAPABILITIES))
		return 0;
	at = pci_read8(f, after == 0 ? PCI_CAPABILITIES : after + 1);
	/* A list that runs in a circle ends as well. */
	for (unsigned n = 0; n < 48 && at >= 0x40; n++, at = pci_read8(f, at + 1)) {
		if (pci_read8(f, at) == id)
			return at;
	}
	return 0;
}

struct pci_bar pci_bar_probe(struct pci_function f, unsigned index)
{
	unsigned at = PCI_BAR0 + 4 * index;
	uint16_t command = pci_read16(f, PCI_COMMAND);
	uint32_t low = pci_read32(f, at), high = 0, mask;
	uint64_t size;
	struct pci_bar bar = { .is_io = low & 1, .is_64 = (low & 7) == 4 };

	pci_write16(f, PCI_COMMAND, command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	pci_write32(f, at, 0xffffffff);
	mask = pci_read32(f, at) & ~(bar.is_io ? 3u : 15u);
	size = 0xffffffff00000000ull | mask;
	pci_write32(f, at, low);
	if (bar.is_64) {
		high = pci_read32(f, at + 4);
		pci_write32(f, at + 4, 0xffffffff);
		size = (uint64_t)pci_read32(f, at + 4) << 32 | mask;
		pci_write32(f, at + 4, high);
	}
	pci_write16(f, PCI_COMMAND, command);
	bar.address = (uint64_t)high << 32 | (low & ~(bar.is_io ? 3u : 15u));
	bar.size = mask == 0 && !bar.is_64 ? 0 : ~size + 1;
	if (bar.is_io)
		bar.size &= 0xffff;
	return bar;
}

void pci_bar_move(struct pci_function f, unsigned index, uint64_t address)
{
	unsigned at = PCI_BAR0 + 4 * index;

	if ((pci_read32(f, at) & 7) == 4)
		pci_write32(f, at + 4, (uint32_t)(address >> 32));
	pci_write32(f, at, (uint32_t)address);
}

uint64_t pci_bar_address(struct pci_function f, unsigned index)
{
	static uint64_t next = LAYOUT_PCI_MMIO;
	struct pci_bar bar = pci_bar_probe(f, index);

	/* Either nobody placed it, or out of what start.S mapped. */
	if (bar.address == 0 || bar.address + bar.size > LAYOUT_RAM_ABOVE) {
		next = (next + bar.size - 1) & ~(bar.size - 1);
		bar.address = next;
		pci_bar_move(f, index, next);
		next += bar.size;
	}
	pci_write16(f, PCI_COMMAND,
		    pci_read16(f, PCI_COMMAND) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return bar.address;
}

uint16_t pci_io_bar(struct pci_function f, unsigned index)
{
	static uint64_t next = PORT_PCI_BARS;
	struct pci_bar bar = pci_bar_probe(f, index);

	if (!bar.is_io || bar.size == 0)
		return 0;
	if (bar.address == 0) {
		next = (next + bar.size - 1) & ~(bar.size - 1);
		bar.address = next;
		pci_bar_move(f, index, next);
		next += bar.size;
	}
	pci_write16(f, PCI_COMMAND,
		    pci_read16(f, PCI_COMMAND) | PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	return (uint16_t)bar.address;
}

bool msix_is_enabled(struct pci_function f)
{
	unsigned at = pci_capability(f, PCI_CAP_MSIX, 0);

	return at != 0 && (pci_read16(f, at + MSIX_CONTROL) & MSIX_ENABLE);
}

bool msix_init(struct msix *m, struct pci_function f)
{
	uint32_t table, pending;

	m->f = f;
	m->capability = pci_capability(f, PCI_CAP_MSIX, 0);
	if (m->capability == 0)
		return false;
	m->n_vectors = (pci_read16(f, m->capability + MSIX_CONTROL) & 0x7ffu) + 1;
	table = pci_read32(f, m->capability + 4);
	pending = pci_read32(f, m->capability + 8);
	m->table = pci_bar_address(f, table & 7) + (table & ~7u);
	m->pending = pci_bar_address(f, pending & 7) + (pending & ~7u);
	msix_enable(m, false, false);
	for (unsigned i = 0; i < m->n_vectors; i++)
		msix_mask(m, i, true);
	return true;
}

void msix_enable(struct msix *m, bool enable, bool mask_all)
{
	uint16_t control = pci_read16(m->f, m->capability + MSIX_CONTROL) & 0x7ff;

	pci_write16(
		m->f, m->capability + MSIX_CONTROL,
		(uint16_t)(control | (enable ? MSIX_ENABLE : 0) | (mask_all ? MSIX_MASK_ALL : 0)));
}

void msix_set(struct msix *m, unsigned vector, uint8_t cpu_vector)
{
	uintptr_t entry = m->table + vector * MSIX_ENTRY_SIZE;

	write32(entry, (uint32_t)(LAYOUT_LAPIC | lapic_id() << 12));
	write32(entry + 4, 0);
	write32(entry + 8, cpu_vector);
	write32(entry + 12, 0);
}

void msix_mask(struct msix *m, unsigned vector, bool masked)
{
	write32(m->table + vector * MSIX_ENTRY_SIZE + 12, masked);
}

bool msix_is_pending(struct msix *m, unsigned vector)
{
	return read32(m->pending + vector / 32 * 4) >> (vector % 32) & 1;
}
