/* Where BARs decode, whatever a guest writes into them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/support/fake_machine.h"
#include "tests/support/pci_toy.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/pci.h"

static struct fake_machine *fake;

static void make_machine(void)
{
	log_set_level(LOG_ERROR);
	fake = fake_machine_create();
}

static void drop_machine(void)
{
	fake_machine_destroy(fake);
}

TestSuite(pci_bar, .init = make_machine, .fini = drop_machine);

static uint32_t config(const struct toy *toy, unsigned offset, unsigned size)
{
	return toy_config(fake, toy, offset, size);
}

static void set_config(const struct toy *toy, unsigned offset, unsigned size, uint32_t value)
{
	toy_set_config(fake, toy, offset, size, value);
}

static void set_bar0(const struct toy *toy, uint64_t addr)
{
	toy_set_bar0(fake, toy, addr);
}

/* covers: PCI-BUS-01 */
Test(pci_bar, bars_tell_their_size_and_type)
{
	struct toy toy;

	toy_add(fake, &toy);
	set_config(&toy, TOY_COMMAND, 2, 0);
	for (unsigned i = 0; i < PCI_N_BARS; i++)
		set_config(&toy, TOY_BAR0 + 4 * i, 4, 0xffffffff);
	cr_expect_eq(config(&toy, TOY_BAR0, 4), 0xfffff004u);
	cr_expect_eq(config(&toy, TOY_BAR0 + 4, 4), 0xffffffffu);
	cr_expect_eq(config(&toy, TOY_BAR0 + 8, 4), 0xffff0000u);
	cr_expect_eq(config(&toy, TOY_BAR0 + 12, 4), 0u);
	cr_expect_eq(config(&toy, TOY_BAR0 + 16, 4), 0xffffffe1u);
	cr_expect_eq(config(&toy, TOY_BAR0 + 20, 4), 0u);
}

Test(pci_bar, bars_decode_from_the_start)
{
	struct toy toy;

	toy_add(fake, &toy);
	uint64_t mem64 = config(&toy, TOY_BAR0, 4) & ~15u;
	uint64_t mem32 = config(&toy, TOY_BAR0 + 8, 4) & ~15u;
	uint16_t io = (uint16_t)(config(&toy, TOY_BAR0 + 16, 4) & ~3u);

	cr_expect_eq(mem32 % 0x10000, 0u);
	cr_expect_eq(fake_machine_mmio_read(fake, mem64 + 8, 4), 0x55667708u);
	cr_expect_eq(fake_machine_mmio_read(fake, mem32 + 16, 8), 0x1122334455667710ull);
	cr_expect_eq(fake_machine_in(fake, io + 4, 1), 0x04u);
	fake_machine_out(fake, io + 31, 1, 0x77);
	cr_expect_eq(toy.last_offset, 31u);
	cr_expect_eq(toy.last_value, 0x77u);
	cr_expect_eq(toy.mapped_at[0], mem64);
}

/* covers: PCI-BUS-03 */
Test(pci_bar, command_register_gates_decoding)
{
	struct toy toy;

	toy_add(fake, &toy);
	uint64_t mem = toy.mapped_at[0];
	uint16_t io = (uint16_t)toy.mapped_at[4];

	set_config(&toy, TOY_COMMAND, 2, TOY_COMMAND_IO);
	cr_expect_eq(fake_machine_mmio_read(fake, mem, 4), 0xffffffffu);
	cr_expect_eq(fake_machine_in(fake, io, 1), 0u);
	set_config(&toy, TOY_COMMAND, 1, TOY_COMMAND_MEMORY);
	cr_expect_eq(fake_machine_mmio_read(fake, mem, 4), 0x55667700u);
	cr_expect_eq(fake_machine_in(fake, io, 1), 0xffu);
	cr_expect_eq(toy.n_mapped[0], 2u);
	cr_expect_eq(toy.n_unmapping[0], 1u);
	cr_expect_eq(toy.n_unmapping[4], 1u);
}

/* covers: PCI-BUS-03 */
Test(pci_bar, a_bar_moves_while_it_decodes)
{
	struct toy toy;

	toy_add(fake, &toy);
	uint64_t old = toy.mapped_at[0], new = LAYOUT_PCI_MMIO + 0x01000000;

	set_bar0(&toy, new);
	cr_expect_eq(toy.mapped_at[0], new);
	cr_expect_eq(toy.n_unmapping[0], 1u);
	cr_expect_eq(fake_machine_mmio_read(fake, old, 4), 0xffffffffu);
	cr_expect_eq(fake_machine_mmio_read(fake, new, 4), 0x55667700u);
	/* The same address again is no move. */
	set_bar0(&toy, new);
	cr_expect_eq(toy.n_unmapping[0], 1u);
}

Test(pci_bar, sizing_while_it_decodes_brings_the_bar_back)
{
	struct toy toy;

	toy_add(fake, &toy);
	uint32_t low = config(&toy, TOY_BAR0, 4);
	uint64_t addr = toy.mapped_at[0];

	set_config(&toy, TOY_BAR0, 4, 0xffffffff);
	cr_expect_eq(toy.mapped_at[0], 0u);
	set_config(&toy, TOY_BAR0, 4, low);
	cr_expect_eq(toy.mapped_at[0], addr);
}

Test(pci_bar, a_bar_outside_of_the_windows_is_silent_until_it_is_moved)
{
	static const uint64_t nowhere[] = {
		0, 0x1000,				/* RAM */
		FAKE_LOW_RAM_SIZE,			/* nothing there, but not PCI's */
		FAKE_HIGH_RAM_BASE, 0x800000000,
		LAYOUT_PCI_MMIO - 0x1000, LAYOUT_PCI_MMIO_END,
		LAYOUT_ECAM, LAYOUT_IOAPIC, LAYOUT_LAPIC, LAYOUT_KVM_IDENTITY_MAP,
		0xfffff000, 0xfffffffffffff000,
		/* In the window but for the high half. */
		0x100000000 | LAYOUT_PCI_MMIO,
	};
	struct toy toy;

	toy_add(fake, &toy);
	for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
		set_bar0(&toy, nowhere[i]);
		cr_expect_eq(toy.mapped_at[0], 0u, "0x%llx", (unsigned long long)nowhere[i]);
	}
	set_bar0(&toy, LAYOUT_PCI_MMIO_END - 0x1000);
	cr_expect_eq(toy.mapped_at[0], LAYOUT_PCI_MMIO_END - 0x1000);
	/* ECAM still answers. */
	cr_expect_eq(fake_machine_mmio_read(fake, LAYOUT_ECAM, 2), 0x1b36u);
}

Test(pci_bar, an_io_bar_cannot_cover_other_ports)
{
	struct toy toy;

	toy_add(fake, &toy);
	set_config(&toy, TOY_BAR0 + 16, 4, PORT_PCI_ADDRESS & ~31u);
	cr_expect_eq(toy.mapped_at[4], 0u);
	set_config(&toy, TOY_BAR0 + 16, 4, 0x10000 | PORT_PCI_BARS);
	cr_expect_eq(toy.mapped_at[4], 0u);
	set_config(&toy, TOY_BAR0 + 16, 4, 0xffe0);
	cr_expect_eq(toy.mapped_at[4], 0xffe0u);
	cr_expect_eq(fake_machine_in(fake, 0xffff, 1), 0x1fu);
}

Test(pci_bar, of_two_bars_at_one_place_the_first_decodes_and_the_second_waits)
{
	struct toy first, second;

	toy_add(fake, &first);
	toy_add(fake, &second);
	uint64_t place = first.mapped_at[0], other = second.mapped_at[0];

	set_bar0(&second, place);
	cr_expect_eq(second.mapped_at[0], 0u);
	cr_expect_eq(first.mapped_at[0], place);
	/* It comes alive when the first one goes... */
	set_bar0(&first, other);
	cr_expect_eq(second.mapped_at[0], place);
	cr_expect_eq(first.mapped_at[0], other);
	/* ... or when it stops decoding, and the first finds the place taken when it is back. */
	set_bar0(&first, place);
	cr_expect_eq(first.mapped_at[0], 0u);
	set_config(&second, TOY_COMMAND, 2, 0);
	cr_expect_eq(first.mapped_at[0], place);
	set_config(&second, TOY_COMMAND, 2, TOY_COMMAND_MEMORY);
	cr_expect_eq(second.mapped_at[0], 0u);
}

Test(pci_bar, a_bar_may_move_while_it_is_being_accessed)
{
	struct toy toy;

	toy_add(fake, &toy);
	uint64_t old = toy.mapped_at[0];
	toy.move_to = LAYOUT_PCI_MMIO + 0x02000000;

	fake_machine_mmio_write(fake, old + 4, 4, 1);
	cr_expect_eq(toy.mapped_at[0], toy.move_to);
	fake_machine_mmio_write(fake, toy.move_to + 8, 4, 2);
	cr_expect_eq(toy.last_offset, 8u);
}

Test(pci_bar, no_guest_write_breaks_the_buses)
{
	struct toy toy[3];
	uint32_t seed = 1;

	for (unsigned i = 0; i < 3; i++)
		toy_add(fake, &toy[i]);
	for (unsigned n = 0; n < 200000; n++) {
		seed = seed * 1664525 + 1013904223;
		unsigned slot = 1 + (seed >> 8) % 3, size = 1u << (seed >> 10) % 3;
		unsigned offset = (seed >> 12) % 0x40 & ~(size - 1);
		uint32_t value = seed * 2654435761u;
		/* Mostly addresses where the others are. */
		if (seed & 0x80)
			value = (uint32_t)LAYOUT_PCI_MMIO | (value & 0x7f000);
		fake_machine_config_write(fake, slot, 0, offset, size, value);
	}
	for (unsigned i = 0; i < fake->m.mmio.n_regions; i++) {
		const struct region *r = fake->m.mmio.region[i];
		cr_assert_geq(r->base, LAYOUT_PCI_MMIO);
		cr_assert_leq(r->base + r->size, LAYOUT_ECAM + LAYOUT_ECAM_SIZE);
	}
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(config(&toy[i], 0, 4), 0x10421af4u);
	pci_root_reset(&fake->m.pci);
	for (unsigned i = 0; i < 3; i++)
		cr_assert(toy[i].mapped_at[0] && toy[i].mapped_at[2] && toy[i].mapped_at[4]);
}

Test(pci_bar, a_full_window_is_an_error_that_names_the_device)
{
	struct toy big[2];

	for (unsigned i = 0; i < 2; i++) {
		toy_init(&big[i]);
		pci_device_set_bar(&big[i].pci, 0, PCI_BAR_MEM64, MIB(256), &toy_region_ops,
				   &big[i]);
		cr_assert_eq(pci_root_add(&fake->m.pci, &big[i].pci), 0);
	}
	struct toy toy;
	toy_init(&toy);
	pci_device_set_bar(&toy.pci, 0, PCI_BAR_MEM32, 16, &toy_region_ops, &toy);
	cr_expect_eq(pci_root_add(&fake->m.pci, &toy.pci), -ENOSPC);
	cr_expect_not_null(strstr(error_text(), "'toy'"));
	error_clear();
	cr_expect_null(toy.pci.root);
}

Test(pci_bar, system_reset_restores_configuration_and_bars)
{
	struct toy a, b;

	toy_add(fake, &a);
	toy_add(fake, &b);
	uint64_t at_a = a.mapped_at[0], at_b = b.mapped_at[0];

	/* Swapped, so that neither can go home first. */
	set_bar0(&a, LAYOUT_PCI_MMIO + 0x03000000);
	set_bar0(&b, at_a);
	set_bar0(&a, at_b);
	cr_expect_eq(b.mapped_at[0], at_a);
	set_config(&a, TOY_COMMAND, 2,
		   TOY_COMMAND_MASTER | TOY_COMMAND_INTX_DISABLE | TOY_COMMAND_MEMORY);
	pci_device_set_intx(&b.pci, true);

	pci_root_reset(&fake->m.pci);
	cr_expect_eq(a.mapped_at[0], at_a);
	cr_expect_eq(b.mapped_at[0], at_b);
	cr_expect_eq(config(&a, TOY_COMMAND, 4), TOY_COMMAND_IO | TOY_COMMAND_MEMORY);
	cr_expect_not(fake->irq.level[GSI_PCI_INTA + 2]);
	cr_expect_eq(config(&b, TOY_STATUS, 2) & TOY_STATUS_INTERRUPT, 0u);
	cr_expect_eq(a.n_resets, 1u);
	cr_expect_eq(b.n_resets, 1u);
}
