/*
 * Getting a kernel into memory: detection by magic, loaders for each format, initrd, command
 * line, the memory map, and the state of the boot processor.  The file is kept open, so that a
 * reset can load it again inside the sandbox.
 *
 * Formats: bzImage (64-bit entry; its payload unpacked on the host where possible), ELF vmlinux
 * (PVH note, or plain 64-bit), multiboot 1.  Linux: Documentation/arch/x86/boot.rst; Xen:
 * misc/pvh.pandoc and arch-x86/hvm/start_info.h; Multiboot Specification 0.6.96.
 */
#ifndef MACHINE_BOOT_H
#define MACHINE_BOOT_H

#include "vmm/base/util.h"
#include "vmm/machine/machine.h"

struct boot_config {
	const char *kernel_path;
	const char *initrd_path;	/* or NULL */
	const char *cmdline;		/* complete, or "" */
	bool no_unpack;			/* enter the bzImage's own decompressor */
	bool device_tree;		/* describe the machine by one, not by ACPI tables */
};

struct boot;

/*
 * Open the files and find out what the kernel is.  What is wrong is said here, before a VM
 * exists: a file that cannot be opened (-ENOENT, -EACCES ... with the path), one that is no
 * kernel (-ENOEXEC, with what it is instead), a command line that is too long, one whose protocol
 * has no place for a device tree (-ENOTSUP; only Linux' own has: bzImage, or a Linux vmlinux).
 *
 * Returns 0 and an owned boot, or -errno with an error chain.
 */
MUST_USE int boot_open(struct boot **out, const struct boot_config *config);
void boot_close(struct boot *boot);

/*
 * "bzImage (Linux 6.1.0), zstd payload unpacked on the host ...", for the log and explain: the plan
 * until boot_load, then what was really done.  Valid until the next boot_load.
 */
const char *boot_describe(const struct boot *boot);

/*
 * Put kernel, initrd, command line, memory map and ACPI tables (their RSDP is named to the kernel)
 * or the device tree (fdt.h; SETUP_DTB in the list of setup_data) into memory, and say where to
 * start.  Both describe 'm->acpi'.  Memory reads zero before, so it may be called again after
 * guest_memory_clear.  Only reads the files that are open: fit for the sandbox.
 *
 * Returns 0; -ENOMEM with an error chain when something does not fit (with the sizes); -ENODATA
 * when a file has shrunk; -ENOSYS when a device tree is wanted and this build has no libfdt;
 * -errno.
 */
MUST_USE int boot_load(struct boot *boot, struct machine *m, struct boot_entry *entry);

#endif
