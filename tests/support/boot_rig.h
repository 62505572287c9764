/*
 * Everything that a test of boot.h needs: a machine that is only memory (all that boot_load
 * touches), a kernel file, an initrd, and what came of them.
 */
#ifndef TESTS_BOOT_RIG_H
#define TESTS_BOOT_RIG_H

#include "tests/support/kernel_files.h"
#include "tests/support/memory_file.h"
#include "vmm/machine/boot.h"

struct boot_rig {
	struct machine *m;
	struct kernel_file image;	/* what the kernel's file will hold; an ELF64 at first */
	struct kernel_file payload;	/* an ELF64 to put into a bzImage */
	struct memory_file kernel, initrd;
	bool device_tree;		/* open it with one, instead of ACPI tables */
	struct boot *boot;
	struct boot_entry entry;
};

/* 16 MiB of memory.  All failures here end the test. */
void boot_rig_init(struct boot_rig *rig);
void boot_rig_fini(struct boot_rig *rig);

/* Another machine with 'size' bytes. */
void boot_rig_resize(struct boot_rig *rig, uint64_t size);

/* Make an initrd of 'size' bytes, all BOOT_RIG_INITRD_BYTE. */
enum { BOOT_RIG_INITRD_BYTE = 0x1d };
void boot_rig_make_initrd(struct boot_rig *rig, size_t size);

/* Write 'image' to the kernel's file and open it (and close what was open before). */
int boot_rig_open(struct boot_rig *rig, const char *cmdline, const char *initrd_path,
		  bool no_unpack);
void boot_rig_close(struct boot_rig *rig);

/* The same, with unpacking, and it works. */
void boot_rig_expect_open(struct boot_rig *rig, const char *cmdline, const char *initrd_path);

/* The same without an initrd; then load it, and that works, too. */
void boot_rig_start(struct boot_rig *rig, const char *cmdline);

int boot_rig_load(struct boot_rig *rig);
void boot_rig_expect_load(struct boot_rig *rig);

/* Guest memory [gpa, gpa + len), which must be there. */
void *boot_rig_at(struct boot_rig *rig, uint64_t gpa, uint64_t len);

/* The ELF of kernel_files.h is in memory, its bss zero. */
void boot_rig_expect_elf(struct boot_rig *rig);

/* The entry is at 64 bits with a complete zero page for 'cmdline'; returns it. */
const struct boot_params *boot_rig_expect_zero_page(struct boot_rig *rig, const char *cmdline);

#endif
