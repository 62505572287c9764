/*
 * A VM as its kernel sees it: the list of things that it has to have a driver for.  The table of
 * what each needs is kernel_needs.h.
 */
#ifndef KERNEL_KERNEL_VM_H
#define KERNEL_KERNEL_VM_H

#include <stdio.h>

#include "vmm/base/util.h"
#include "vmm/config.h"

enum kernel_thing_kind {
	THING_MACHINE,		/* every VM has it */
	THING_CPUS,		/* several */
	THING_ACPI,
	THING_DTB,
	THING_MMIO_WORDS,	/* virtio-mmio devices named on the kernel command line */
	THING_SERIAL,
	THING_NUMA,
	THING_SMBIOS,
	THING_CREDENTIALS,
	THING_INITRD,
	/* virtio devices, over a transport */
	THING_DISK,
	THING_CLOUD_INIT,
	THING_NET,
	THING_CONSOLE,
	THING_RNG,
	THING_BALLOON,
	THING_REPORTING,	/* of free pages, by the balloon */
	THING_VSOCK,
	THING_SCSI,
	THING_SHARE,
	THING_IOMMU,
	THING_EXEC,		/* what 'vireo exec' shares, and its agent's port */
	THING_KINDS,
};

enum { THING_NOWHERE = -1 };	/* no virtio device: over no transport */

struct kernel_thing {
	enum kernel_thing_kind kind;
	const char *name;	/* borrowed from the configuration, or NULL */
	int transport;		/* enum virtio_transport_kind, or THING_NOWHERE */
};

/* Modules can come from an initrd, later from a root file system. */
enum kernel_initrd { INITRD_PERHAPS, INITRD_NONE, INITRD_GIVEN };

/* Zeroed is empty. */
struct kernel_vm {
	struct kernel_thing *thing;
	unsigned n;
	enum kernel_initrd initrd;
	bool has_disk;
	bool has_root;		/* a disk, a SCSI target, a share: where modules can be */
	bool is_exec;		/* it is one of "vireo exec", which loads modules by itself */
	bool is_all;		/* everything that there is, and no VM in particular */
};

/*
 * The things of a valid configuration, which is borrowed for as long as 'vm' lives; 'exec': and
 * those of "vireo exec".  Whether it has an initrd is open where 'described' says that nobody said
 * anything.  Returns 0 or -ENOMEM with an error chain.
 */
MUST_USE int kernel_vm_init(struct kernel_vm *vm, const struct vm_config *config, bool described,
			    bool exec);

/* Every thing that Vireo can give a guest, over each transport.  Returns likewise. */
MUST_USE int kernel_vm_init_all(struct kernel_vm *vm);
void kernel_vm_fini(struct kernel_vm *vm);

/* Write "disk 'root'" to 'out' ("disks", if it has no name); 'over': and " over pci". */
void kernel_thing_put(FILE *out, const struct kernel_thing *thing, bool over);

#endif
