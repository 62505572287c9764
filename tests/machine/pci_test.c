/* The PCI root through the guest's eyes: ports CF8/CFC, ECAM, registers, places, INTx. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
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

TestSuite(pci, .init = make_machine, .fini = drop_machine);

static uint32_t config(const struct toy *toy, unsigned offset, unsigned size)
{
	return toy_config(fake, toy, offset, size);
}

static void set_config(const struct toy *toy, unsigned offset, unsigned size, uint32_t value)
{
	toy_set_config(fake, toy, offset, size, value);
}

static uint64_t ecam(unsigned slot, unsigned function, unsigned offset)
{
	return LAYOUT_ECAM + (slot << 15 | function << 12) + offset;
}

/* --- Ways in --- */

/* covers: PCI-BUS-01 */
Test(pci, host_bridge_is_at_slot_0_by_both_mechanisms)
{
	uint32_t id = fake_machine_config_read(fake, 0, 0, 0, 4);

	cr_expect_eq(id, 0x00081b36u);
	cr_expect_eq(fake_machine_mmio_read(fake, ecam(0, 0, 0), 4), id);
	cr_expect_eq(fake_machine_config_read(fake, 0, 0, 0x0a, 2), 0x0600u);
}

Test(pci, absent_functions_read_all_ones_and_ignore_writes)
{
	cr_expect_eq(fake_machine_config_read(fake, 5, 0, 0, 4), 0xffffffffu);
	cr_expect_eq(fake_machine_config_read(fake, 5, 3, 0, 2), 0xffffu);
	cr_expect_eq(fake_machine_config_read(fake, 5, 3, 2, 1), 0xffu);
	cr_expect_eq(fake_machine_mmio_read(fake, ecam(31, 7, 0), 4), 0xffffffffu);
	fake_machine_config_write(fake, 5, 0, TOY_COMMAND, 2, 7);
	fake_machine_mmio_write(fake, ecam(5, 0, TOY_COMMAND), 2, 7);
}

Test(pci, only_bus_0_exists_and_only_with_the_enable_bit)
{
	fake_machine_out(fake, PORT_PCI_ADDRESS, 4, 0x80010000);
	cr_expect_eq(fake_machine_in(fake, PORT_PCI_DATA, 4), 0xffffffffu);
	fake_machine_out(fake, PORT_PCI_ADDRESS, 4, 0x00000000);
	cr_expect_eq(fake_machine_in(fake, PORT_PCI_DATA, 4), 0xffffffffu);
}

Test(pci, data_port_reaches_bytes_and_words)
{
	struct toy toy;

	toy_add(fake, &toy);
	cr_expect_eq(config(&toy, 0, 4), 0x10421af4u);
	cr_expect_eq(config(&toy, 0, 2), 0x1af4u);
	cr_expect_eq(config(&toy, 2, 2), 0x1042u);
	cr_expect_eq(config(&toy, 3, 1), 0x10u);
	cr_expect_eq(config(&toy, 0x08, 4), 0x01800001u);
	cr_expect_eq(config(&toy, 0x2c, 4), 0x56781234u);
	cr_expect_eq(config(&toy, 0x3d, 1), 1u);
}

Test(pci, address_port_is_a_dword_register_and_its_bytes_are_not)
{
	fake_machine_out(fake, PORT_PCI_ADDRESS, 4, 0xffffffff);
	cr_expect_eq(fake_machine_in(fake, PORT_PCI_ADDRESS, 4), 0x80fffffcu);
	fake_machine_out(fake, PORT_PCI_ADDRESS, 1, 0);
	fake_machine_out(fake, PORT_PCI_ADDRESS + 3, 1, 1);
	fake_machine_out(fake, PORT_PCI_ADDRESS, 2, 0);
	cr_expect_eq(fake_machine_in(fake, PORT_PCI_ADDRESS, 4), 0x80fffffcu);
	cr_expect_eq(fake_machine_in(fake, PORT_PCI_ADDRESS, 1), 0xffu);
}

static unsigned n_reset_requests;

static void count_reset_request(void *arg)
{
	cr_assert_eq(arg, (void *)fake);
	n_reset_requests++;
}

Test(pci, reset_control_is_a_byte_inside_the_address_port)
{
	pci_root_on_reset_request(&fake->m.pci, count_reset_request, fake);
	fake_machine_out(fake, PORT_PCI_ADDRESS, 4, 0x80000600);
	cr_expect_eq(n_reset_requests, 0u);
	fake_machine_out(fake, PORT_ACPI_RESET, 1, 0x02);
	cr_expect_eq(n_reset_requests, 0u);
	cr_expect_eq(fake_machine_in(fake, PORT_ACPI_RESET, 1), 0x02u);
	fake_machine_out(fake, PORT_ACPI_RESET, 2, ACPI_RESET_VALUE);
	cr_expect_eq(n_reset_requests, 0u);
	fake_machine_out(fake, PORT_ACPI_RESET, 1, ACPI_RESET_VALUE);
	cr_expect_eq(n_reset_requests, 1u);
	cr_expect_eq(fake_machine_in(fake, PORT_PCI_ADDRESS, 4), 0x80000600u);
}

Test(pci, ecam_reads_and_writes_like_the_ports)
{
	struct toy toy;

	toy_add(fake, &toy);
	fake_machine_mmio_write(fake, ecam(1, 0, 0x3c), 1, 0x5a);
	cr_expect_eq(config(&toy, 0x3c, 1), 0x5au);
	cr_expect_eq(fake_machine_mmio_read(fake, ecam(1, 0, 0), 8),
		     config(&toy, 0, 4) | (uint64_t)config(&toy, 4, 4) << 32);
	/* Across a dword: served in pieces. */
	cr_expect_eq(fake_machine_mmio_read(fake, ecam(1, 0, 1), 4), 0x0310421aull);
}

Test(pci, ecam_has_no_extended_space_for_conventional_functions)
{
	struct toy toy;

	toy_add(fake, &toy);
	cr_expect_eq(fake_machine_mmio_read(fake, ecam(1, 0, 0x100), 4), 0xffffffffu);
	cr_expect_eq(fake_machine_mmio_read(fake, ecam(1, 0, 0xffc), 4), 0xffffffffu);
	fake_machine_mmio_write(fake, ecam(1, 0, 0x104), 4, 0);
	cr_expect_eq(config(&toy, TOY_COMMAND, 2), TOY_COMMAND_IO | TOY_COMMAND_MEMORY);
}

/* --- Registers --- */

/* covers: PCI-BUS-01 */
Test(pci, only_writable_bits_change)
{
	struct toy toy;

	toy_add(fake, &toy);
	for (unsigned offset = 0; offset < PCI_CONFIG_SIZE; offset += 4)
		set_config(&toy, offset, 4, 0xffffffff);
	cr_expect_eq(config(&toy, 0, 4), 0x10421af4u);
	cr_expect_eq(config(&toy, TOY_COMMAND, 4), 0x00000547u);
	cr_expect_eq(config(&toy, 0x08, 4), 0x01800001u);
	cr_expect_eq(config(&toy, 0x0c, 4), 0x000000ffu);
	cr_expect_eq(config(&toy, 0x2c, 4), 0x56781234u);
	cr_expect_eq(config(&toy, 0x30, 4), 0u);
	cr_expect_eq(config(&toy, 0x3c, 4), 0x000001ffu);
	cr_expect_eq(config(&toy, 0x40, 4), 0u);
}

Test(pci, status_errors_are_cleared_by_writing_ones)
{
	struct toy toy;

	toy_add(fake, &toy);
	toy.pci.config[TOY_STATUS + 1] = 0xf9;
	set_config(&toy, TOY_STATUS, 2, 0x4000);
	cr_expect_eq(config(&toy, TOY_STATUS, 2), 0xb900u);
	set_config(&toy, TOY_STATUS, 2, 0xffff);
	cr_expect_eq(config(&toy, TOY_STATUS, 2), 0u);
}

Test(pci, capabilities_are_linked_in_the_order_they_were_added)
{
	struct toy toy;
	const uint8_t body[5] = { 1, 2, 3, 4, 5 };

	toy_init(&toy);
	cr_expect_eq(toy.pci.config[TOY_STATUS] & 0x10, 0);
	cr_expect_eq(pci_device_add_capability(&toy.pci, 0x09, body, 5), 0x40u);
	cr_expect_eq(pci_device_add_capability(&toy.pci, 0x11, body, 2), 0x48u);
	cr_assert_eq(pci_root_add(&fake->m.pci, &toy.pci), 0);
	cr_expect_eq(config(&toy, TOY_STATUS, 2) & 0x10, 0x10u);
	cr_expect_eq(config(&toy, 0x34, 1), 0x40u);
	cr_expect_eq(config(&toy, 0x40, 4), 0x02014809u);
	cr_expect_eq(config(&toy, 0x48, 4), 0x02010011u);
}

Test(pci, accesses_that_cross_a_dword_or_the_end_do_nothing)
{
	struct toy toy;

	toy_add(fake, &toy);
	cr_expect_eq(pci_config_read(&toy.pci, 2, 4), UINT32_MAX);
	cr_expect_eq(pci_config_read(&toy.pci, 256, 1), UINT32_MAX);
	cr_expect_eq(pci_config_read(&toy.pci, UINT32_MAX, 4), UINT32_MAX);
	cr_expect_eq(pci_config_read(&toy.pci, 0, 3), UINT32_MAX);
	pci_config_write(&toy.pci, 0x3b, 2, 0xffff);
	pci_config_write(&toy.pci, 256, 4, 0xffff);
	cr_expect_eq(toy.n_config_written, 0u);
}

/* --- Places --- */

Test(pci, slots_fill_first_then_functions_and_function_0_tells)
{
	struct toy *toy = calloc(249, sizeof(*toy));

	for (unsigned i = 0; i < 31; i++)
		toy_add(fake, &toy[i]);
	cr_expect_eq(toy[0].pci.slot, 1u);
	cr_expect_eq(toy[30].pci.slot, 31u);
	cr_expect_eq(config(&toy[0], 0x0e, 1), 0u);
	toy_add(fake, &toy[31]);
	cr_expect_eq(toy[31].pci.slot, 1u);
	cr_expect_eq(toy[31].pci.function, 1u);
	cr_expect_eq(config(&toy[0], 0x0e, 1), 0x80u);
	cr_expect_eq(config(&toy[1], 0x0e, 1), 0u);
	pci_root_reset(&fake->m.pci);
	cr_expect_eq(config(&toy[0], 0x0e, 1), 0x80u);
	pci_root_remove(&toy[31].pci);
	cr_expect_eq(config(&toy[0], 0x0e, 1), 0u);

	for (unsigned i = 31; i < 248; i++)
		toy_add(fake, &toy[i]);
	toy_init(&toy[248]);
	cr_expect_eq(pci_root_add(&fake->m.pci, &toy[248].pci), -ENOSPC);
	error_clear();
	free(toy);
}

Test(pci, a_dense_root_is_scanned_in_the_order_of_adding)
{
	static struct toy toy[40];

	fake->m.pci.dense = true;
	for (unsigned i = 0; i < ARRAY_SIZE(toy); i++) {
		toy_add(fake, &toy[i]);
		cr_expect_eq(toy[i].pci.slot * 8 + toy[i].pci.function, 8 + i);
	}
}

Test(pci, a_removed_function_leaves_nothing_behind)
{
	struct toy toy;

	toy_add(fake, &toy);
	uint64_t mem = toy.mapped_at[0];
	pci_device_set_intx(&toy.pci, true);
	pci_root_remove(&toy.pci);
	cr_expect_eq(toy.n_unmapping[0], 1u);
	cr_expect_eq(fake_machine_mmio_read(fake, mem, 4), 0xffffffffu);
	cr_expect_eq(fake_machine_config_read(fake, 1, 0, 0, 4), 0xffffffffu);
	cr_expect_not(fake->irq.level[GSI_PCI_INTA + 1]);
	pci_root_remove(&toy.pci);
}

/* --- INTx --- */

/* covers: PCI-BUS-02 */
Test(pci, intx_follows_the_function_unless_disabled)
{
	struct toy toy;
	uint32_t gsi = GSI_PCI_INTA + 1;

	toy_add(fake, &toy);
	cr_expect_eq(pci_device_gsi(&toy.pci), gsi);
	cr_expect_eq(config(&toy, 0x3c, 1), gsi);
	pci_device_set_intx(&toy.pci, true);
	cr_expect(fake->irq.level[gsi]);
	cr_expect_eq(config(&toy, TOY_STATUS, 2) & TOY_STATUS_INTERRUPT, TOY_STATUS_INTERRUPT);
	set_config(&toy, TOY_COMMAND, 2, TOY_COMMAND_INTX_DISABLE);
	cr_expect_not(fake->irq.level[gsi]);
	/* The status bit tells the truth all the same. */
	cr_expect_eq(config(&toy, TOY_STATUS, 2) & TOY_STATUS_INTERRUPT, TOY_STATUS_INTERRUPT);
	set_config(&toy, TOY_COMMAND, 2, 0);
	cr_expect(fake->irq.level[gsi]);
	pci_device_set_intx(&toy.pci, false);
	cr_expect_not(fake->irq.level[gsi]);
	cr_expect_eq(config(&toy, TOY_STATUS, 2) & TOY_STATUS_INTERRUPT, 0u);
}

Test(pci, a_shared_line_is_high_while_any_function_asserts_it)
{
	struct toy toy[5];
	uint32_t gsi = GSI_PCI_INTA + 1;

	for (unsigned i = 0; i < 5; i++)
		toy_add(fake, &toy[i]);	/* slots 1 and 5 share */
	cr_assert_eq(pci_device_gsi(&toy[4].pci), gsi);
	pci_device_set_intx(&toy[0].pci, true);
	pci_device_set_intx(&toy[0].pci, true);
	pci_device_set_intx(&toy[4].pci, true);
	pci_device_set_intx(&toy[0].pci, false);
	cr_expect(fake->irq.level[gsi]);
	cr_expect_eq(fake->irq.n_rises[gsi], 1u);
	pci_device_set_intx(&toy[4].pci, false);
	cr_expect_not(fake->irq.level[gsi]);
	cr_expect_not(fake->irq.level[gsi + 1]);
}

Test(pci, a_function_without_a_pin_asserts_nothing)
{
	static const struct pci_ids ids = { .vendor = 1, .device = 2 };
	struct pci_device dev;

	pci_device_init(&dev, "pinless", &ids, NULL);
	cr_assert_eq(pci_root_add(&fake->m.pci, &dev), 0);
	pci_device_set_intx(&dev, true);
	cr_expect_not(fake->irq.level[GSI_PCI_INTA + 1]);
	cr_expect_eq(pci_config_read(&dev, TOY_STATUS, 2) & TOY_STATUS_INTERRUPT, 0u);
}

Test(pci, bus_master_enable_is_off_at_first)
{
	struct toy toy;

	toy_add(fake, &toy);
	cr_expect_not(pci_device_is_master(&toy.pci));
	set_config(&toy, TOY_COMMAND, 2, TOY_COMMAND_MASTER);
	cr_expect(pci_device_is_master(&toy.pci));
}
