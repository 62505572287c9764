/*
 * The three protocols by which a loaded kernel learns about its machine.  Each writes its
 * information to LAYOUT_BOOT_INFO and says where the boot processor starts.
 */
#ifndef MACHINE_X86_HANDOVER_H
#define MACHINE_X86_HANDOVER_H

#include "vmm/base/util.h"
#include "vmm/machine/boot_place.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/x86/bzimage.h"

/* What has been put into memory already. */
struct handover {
	const struct guest_memory *mem;
	gpa_t entry;			/* physical */
	gpa_t cmdline;			/* zero-terminated, below 4 GiB */
	gpa_t initrd;
	uint64_t initrd_size;		/* 0: none */
	const char *initrd_name;
	gpa_t setup_data;		/* the list that Linux gets; 0: none, and ACPI tables */
};

/*
 * The 64-bit boot protocol of Linux with its zero page.  'bz' gives the setup header; NULL for a
 * vmlinux, which has none.  Documentation/arch/x86/boot.rst "64-bit Boot Protocol",
 * zero-page.rst.
 */
void handover_linux(const struct handover *h, const struct bzimage *bz, struct boot_entry *entry);

/* PVH: Xen's misc/pvh.pandoc, arch-x86/hvm/start_info.h, version 1. */
void handover_pvh(const struct handover *h, struct boot_entry *entry);

/* Multiboot Specification 0.6.96, 3.2 "Machine state" and 3.3 "Boot information format". */
void handover_multiboot(const struct handover *h, struct boot_entry *entry);

#endif
