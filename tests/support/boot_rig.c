#include "tests/support/boot_rig.h"

#include <asm/bootparam.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/machine/layout.h"

static void make_machine(struct boot_rig *rig, uint64_t size)
{
	const struct memory_extent extent = { 0, size };

	rig->m = calloc(1, sizeof(*rig->m));
	cr_assert_not_null(rig->m);
	rig->m->memory = (struct guest_memory)GUEST_MEMORY_INIT;
	cr_assert_eq(guest_memory_create(&rig->m->memory, &extent, 1), 0);
	rig->m->acpi = (struct acpi_config){ .n_vcpus = 1, .apic_id = rig->m->apic_id };
}

static void destroy_machine(struct boot_rig *rig)
{
	guest_memory_destroy(&rig->m->memory);
	free(rig->m);
}

void boot_rig_init(struct boot_rig *rig)
{
	log_set_level(LOG_ERROR);
	*rig = (struct boot_rig){ .kernel.fd = FD_NONE, .initrd.fd = FD_NONE };
	make_machine(rig, MIB(16));
	kernel_file_elf(&rig->image, 64);
	kernel_file_elf(&rig->payload, 64);
}

void boot_rig_fini(struct boot_rig *rig)
{
	boot_rig_close(rig);
	memory_file_destroy(&rig->kernel);
	memory_file_destroy(&rig->initrd);
	destroy_machine(rig);
}

void boot_rig_resize(struct boot_rig *rig, uint64_t size)
{
	destroy_machine(rig);
	make_machine(rig, size);
}

void boot_rig_make_initrd(struct boot_rig *rig, size_t size)
{
	uint8_t *data = malloc(size);

	cr_assert_not_null(data);
	memset(data, BOOT_RIG_INITRD_BYTE, size);
	memory_file_destroy(&rig->initrd);
	memory_file_create(&rig->initrd, data, size);
	free(data);
}

int boot_rig_open(struct boot_rig *rig, const char *cmdline, const char *initrd_path,
		  bool no_unpack)
{
	struct boot_config config = { .kernel_path = rig->kernel.path, .initrd_path = initrd_path,
				      .cmdline = cmdline, .no_unpack = no_unpack,
				      .device_tree = rig->device_tree };

	boot_rig_close(rig);
	memory_file_destroy(&rig->kernel);
	memory_file_create(&rig->kernel, rig->image.data, rig->image.len);
	return boot_open(&rig->boot, &config);
}

void boot_rig_close(struct boot_rig *rig)
{
	boot_close(rig->boot);
	rig->boot = NULL;
}

void boot_rig_expect_open(struct boot_rig *rig, const char *cmdline, const char *initrd_path)
{
	cr_assert_eq(boot_rig_open(rig, cmdline, initrd_path, false), 0, "%s", error_text());
}

void boot_rig_start(struct boot_rig *rig, const char *cmdline)
{
	boot_rig_expect_open(rig, cmdline, NULL);
	boot_rig_expect_load(rig);
}

int boot_rig_load(struct boot_rig *rig)
{
	return boot_load(rig->boot, rig->m, &rig->entry);
}

void boot_rig_expect_load(struct boot_rig *rig)
{
	cr_assert_eq(boot_rig_load(rig), 0, "%s", error_text());
	cr_assert_eq(!memcmp(boot_rig_at(rig, LAYOUT_RSDP, 8), "RSD PTR ", 8), !rig->device_tree);
}

void *boot_rig_at(struct boot_rig *rig, uint64_t gpa, uint64_t len)
{
	void *p = guest_memory_at(&rig->m->memory, gpa, len);

	cr_assert_not_null(p, "%#lx is not in memory", gpa);
	return p;
}

void boot_rig_expect_elf(struct boot_rig *rig)
{
	const uint8_t *p = boot_rig_at(rig, KERNEL_ELF_PADDR,
				       KERNEL_ELF_TEXT_SIZE + KERNEL_ELF_BSS_SIZE);

	cr_expect_eq(p[0], KERNEL_ELF_BYTE);
	cr_expect_eq(p[KERNEL_ELF_TEXT_SIZE - 1], KERNEL_ELF_BYTE);
	cr_expect_eq(p[KERNEL_ELF_TEXT_SIZE], 0);
}

const struct boot_params *boot_rig_expect_zero_page(struct boot_rig *rig, const char *cmdline)
{
	const struct boot_params *zero = boot_rig_at(rig, LAYOUT_BOOT_INFO, sizeof(*zero));
	uint64_t size = guest_memory_size(&rig->m->memory);

	cr_expect_eq(rig->entry.mode, BOOT_MODE_LONG64);
	cr_expect_eq(rig->entry.rsi, LAYOUT_BOOT_INFO);
	cr_expect_eq(rig->entry.rsp, LAYOUT_BOOT_STACK);
	cr_expect_eq(zero->hdr.header, 0x53726448);
	cr_expect_eq(zero->hdr.type_of_loader, 0xff);
	cr_expect_eq(zero->sentinel, 0);
	cr_expect_eq(zero->acpi_rsdp_addr, rig->device_tree ? 0 : LAYOUT_RSDP);
	cr_expect_eq(zero->hdr.setup_data, rig->device_tree ? LAYOUT_FDT : 0);
	cr_expect_eq(zero->e820_entries, 5);
	cr_expect_eq(zero->e820_table[2].addr, MIB(1));
	cr_expect_eq(zero->e820_table[2].size, size - MIB(1));
	cr_expect_str_eq(boot_rig_at(rig, zero->hdr.cmd_line_ptr, 1), cmdline);
	return zero;
}
