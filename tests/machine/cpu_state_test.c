#include <criterion/criterion.h>
#include <errno.h>

#include "vmm/base/le.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/x86/cpu_state.h"

static void create_memory(struct guest_memory *mem, uint64_t size)
{
	const struct memory_extent extent = { 0, size };

	cr_assert_eq(guest_memory_create(mem, &extent, 1), 0);
}

static uint64_t entry_at(const struct guest_memory *mem, uint64_t table, uint64_t index)
{
	return load_le64(guest_memory_at(mem, (table & ~0xfffull) + 8 * index, 8));
}

/* Walk the tables as the processor does; 0 is "not present". */
static uint64_t translate(const struct guest_memory *mem, uint64_t addr)
{
	uint64_t table = LAYOUT_PAGE_TABLES;

	for (unsigned shift = 39; shift >= 21; shift -= 9) {
		table = entry_at(mem, table, addr >> shift & 511);
		if (!(table & 1) || !(table & 2))
			return 0;
	}
	cr_assert(table & 0x80);
	return (table & ~0x1fffffull) | (addr & 0x1fffff);
}

Test(cpu_state, first_4_gib_are_mapped_to_themselves)
{
	static const uint64_t addr[] = { 1, 0x1fffff, 0x200000, 0x3fffffff, 0x40000000,
					 0xfee00000, 0xffffffff };
	struct guest_memory mem;

	create_memory(&mem, MIB(1));
	cr_assert_eq(cpu_state_write_tables(&mem, BOOT_MODE_LONG64), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(addr); i++)
		cr_assert_eq(translate(&mem, addr[i]), addr[i]);
	cr_assert_eq(translate(&mem, GIB(4)), 0);
	guest_memory_destroy(&mem);
}

Test(cpu_state, tables_need_memory)
{
	struct guest_memory mem;

	create_memory(&mem, LAYOUT_PAGE_TABLES + 0x5000);
	cr_assert_eq(cpu_state_write_tables(&mem, BOOT_MODE_LONG64), -ENOMEM);
	guest_memory_destroy(&mem);
}

/* Linux boot.rst: __BOOT_CS 0x10 execute/read, __BOOT_DS 0x18 read/write, flat 4 GiB segments. */
Test(cpu_state, gdt_has_the_segments_of_the_registers)
{
	static const enum boot_mode mode[] = { BOOT_MODE_LONG64, BOOT_MODE_PROTECTED32 };

	for (unsigned i = 0; i < ARRAY_SIZE(mode); i++) {
		struct guest_memory mem;
		struct kvm_sregs s = { 0 };

		create_memory(&mem, MIB(1));
		cr_assert_eq(cpu_state_write_tables(&mem, mode[i]), 0);
		cpu_state_set_mode(&s, mode[i]);
		cr_assert_eq(s.cs.selector, 0x10);
		cr_assert_eq(s.ss.selector, 0x18);
		cr_assert_eq(s.gdt.base, LAYOUT_GDT);
		uint64_t code = entry_at(&mem, 0, LAYOUT_GDT / 8 + s.cs.selector / 8);
		cr_assert_eq(code >> 40 & 0xf, s.cs.type);
		cr_assert_eq(code >> 53 & 1, s.cs.l);
		cr_assert_eq(code >> 54 & 1, s.cs.db);
		uint64_t data = entry_at(&mem, 0, LAYOUT_GDT / 8 + s.ds.selector / 8);
		cr_assert_eq(data >> 40 & 0xf, s.ds.type);
		guest_memory_destroy(&mem);
	}
}

Test(cpu_state, pvh_and_multiboot_enter_without_paging)
{
	struct kvm_sregs s = { .cr3 = 1, .cr4 = 1, .efer = 1, .apic_base = 0xfee00900 };

	cpu_state_set_mode(&s, BOOT_MODE_PROTECTED32);
	cr_assert_eq(s.cr0 & 0x80000001, 1);
	cr_assert(s.cr3 == 0 && s.cr4 == 0 && s.efer == 0);
	cr_assert_eq(s.apic_base, 0xfee00900);
	cr_assert(s.cs.db && !s.cs.l);
}
