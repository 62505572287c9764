/* Handing a device tree to the kernels that take one, and refusing it for the others. */
#include <asm/bootparam.h>
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "tests/support/boot_rig.h"
#include "vmm/base/error.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/x86/e820.h"

static struct boot_rig rig;

static void setup(void)
{
	boot_rig_init(&rig);
	rig.device_tree = true;
}

static void teardown(void)
{
	boot_rig_fini(&rig);
}

TestSuite(boot_tree, .init = setup, .fini = teardown);

static void add_pvh_note(void)
{
	static const uint8_t entry[8] = { 0x40, 0, 0x20, 0 };

	kernel_file_add_note(&rig.image, "Xen", 18, entry, sizeof(entry));
}

static void expect_refusal(const char *protocol)
{
	cr_assert_eq(boot_rig_open(&rig, "", NULL, false), -ENOTSUP);
	cr_expect(strstr(error_text(), "cannot be given a device tree"), "%s", error_text());
	cr_expect(strstr(error_text(), protocol), "%s", error_text());
}

Test(boot_tree, pvh_has_no_place_for_one)
{
	add_pvh_note();
	expect_refusal("PVH");
}

Test(boot_tree, multiboot_has_no_place_for_one)
{
	kernel_file_poke(&rig.image, 0x400, 4, 0x1badb002);
	kernel_file_poke(&rig.image, 0x404, 4, 3);
	kernel_file_poke(&rig.image, 0x408, 4, -(0x1badb002u + 3));
	expect_refusal("multiboot");
}

#if HAVE_FDT

#include <libfdt.h>

/* A second note behind it: what every vmlinux with CONFIG_PVH has. */
static void add_linux_note(void)
{
	const size_t at = KERNEL_ELF_NOTE_OFFSET + 24;

	kernel_file_poke(&rig.image, at, 4, sizeof("Linux"));
	kernel_file_poke(&rig.image, at + 8, 4, 1);
	memcpy(rig.image.data + at + 12, "Linux", sizeof("Linux"));
	kernel_file_poke(&rig.image, sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) +
			 offsetof(Elf64_Phdr, p_filesz), 8, 24 + 20);
}

/*
 * The list that boot_params points to: in RAM, in no range that the kernel takes for free, its end
 * marked, and exactly one tree in it.
 */
static const void *expect_tree(const struct boot_params *zero)
{
	const struct setup_data *data = boot_rig_at(&rig, zero->hdr.setup_data, sizeof(*data));
	uint64_t at = zero->hdr.setup_data, end = at + sizeof(*data) + data->len;
	const void *tree = boot_rig_at(&rig, at + sizeof(*data), data->len);

	cr_expect_eq(data->next, 0);
	cr_expect_eq(data->type, SETUP_DTB);
	cr_expect_eq(((uintptr_t)tree) % 8, 0);
	cr_assert_eq(fdt_check_full(tree, data->len), 0);
	cr_expect_eq(fdt_totalsize(tree), data->len);
	for (unsigned i = 0; i < zero->e820_entries; i++) {
		const struct boot_e820_entry *e = &zero->e820_table[i];
		if (at < e->addr + e->size && end > e->addr)
			cr_expect_eq(e->type, E820_KIND_RESERVED, "[%#lx, %#lx)", at, end);
	}
	return tree;
}

static void expect_memory(const void *tree)
{
	int n, node = fdt_path_offset(tree, "/memory@0");
	const fdt32_t *reg = fdt_getprop(tree, node, "reg", &n);

	cr_assert_eq(n, 16);
	cr_expect_eq(fdt32_to_cpu(reg[3]), MIB(16));
}

static void expect_cmdline(const void *tree, const char *cmdline)
{
	const char *p = fdt_getprop(tree, fdt_path_offset(tree, "/chosen"), "bootargs", NULL);

	cr_assert_not_null(p);
	cr_expect_str_eq(p, cmdline);
}

Test(boot_tree, vmlinux_gets_one)
{
	boot_rig_make_initrd(&rig, 5000);
	boot_rig_expect_open(&rig, "console=hvc0 quiet", rig.initrd.path);
	boot_rig_expect_load(&rig);
	boot_rig_expect_elf(&rig);
	const void *tree = expect_tree(boot_rig_expect_zero_page(&rig, "console=hvc0 quiet"));
	expect_memory(tree);
	expect_cmdline(tree, "console=hvc0 quiet");
}

Test(boot_tree, bzimage_gets_one_whoever_unpacks_it)
{
	if (!kernel_file_bzimage(&rig.image, &rig.payload, UNPACK_GZIP))
		cr_skip_test("gzip: not in this build");
	for (int no_unpack = 0; no_unpack < 2; no_unpack++) {
		cr_assert_eq(boot_rig_open(&rig, "quiet", NULL, no_unpack), 0, "%s", error_text());
		boot_rig_expect_load(&rig);
		expect_memory(expect_tree(boot_rig_expect_zero_page(&rig, "quiet")));
		cr_assert_eq(guest_memory_clear(&rig.m->memory), 0);
	}
}

Test(boot_tree, a_linux_that_also_knows_pvh_is_entered_by_its_own_protocol)
{
	add_pvh_note();
	add_linux_note();
	boot_rig_start(&rig, "quiet");
	cr_expect_eq(rig.entry.rip, KERNEL_ELF_PADDR);
	expect_memory(expect_tree(boot_rig_expect_zero_page(&rig, "quiet")));

	/* Without a tree PVH stays the first choice. */
	rig.device_tree = false;
	cr_assert_eq(guest_memory_clear(&rig.m->memory), 0);
	boot_rig_start(&rig, "quiet");
	cr_expect_eq(rig.entry.mode, BOOT_MODE_PROTECTED32);
	cr_expect_eq(rig.entry.rip, 0x200040);
}

Test(boot_tree, a_reset_writes_the_same_one_again)
{
	static uint8_t before[LAYOUT_ACPI_END - LAYOUT_FDT];

	rig.m->acpi.n_virtio_mmio = 3;
	boot_rig_start(&rig, "quiet");
	memcpy(before, boot_rig_at(&rig, LAYOUT_FDT, sizeof(before)), sizeof(before));
	cr_assert_eq(guest_memory_clear(&rig.m->memory), 0);
	boot_rig_expect_load(&rig);
	cr_expect_arr_eq(boot_rig_at(&rig, LAYOUT_FDT, sizeof(before)), before, sizeof(before));
}

#else

Test(boot_tree, a_build_without_libfdt_says_so)
{
	boot_rig_expect_open(&rig, "", NULL);
	cr_expect_eq(boot_rig_load(&rig), -ENOSYS);
	cr_expect(strstr(error_text(), "libfdt"), "%s", error_text());
}

#endif
