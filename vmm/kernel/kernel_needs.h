/*
 * The table of what a kernel needs for what: one row per option of kconfig.  Whoever gives the
 * guest a new device adds its driver here.
 */
#ifndef KERNEL_KERNEL_NEEDS_H
#define KERNEL_KERNEL_NEEDS_H

#include "vmm/kernel/kernel_config.h"
#include "vmm/kernel/kernel_vm.h"

struct kernel_need {
	const char *option;	/* without "CONFIG_" */
	const char *why;	/* what it is to the guest */
	uint32_t of;		/* 1 << enum kernel_thing_kind: which do not work without it */
	uint32_t helps;		/* which are better with it */
	uint32_t over;		/* 1 << enum virtio_transport_kind: only those over these; 0: all */
	bool is_built_in;	/* a module would be too late, or cannot be */
	bool is_menu;		/* of no use by itself: others cannot be chosen without */
};
extern const struct kernel_need kernel_needs[];
extern const unsigned kernel_needs_len;

/* Does 'thing' need it, or is at least better with it? */
bool kernel_need_is_of(const struct kernel_need *need, const struct kernel_thing *thing);
bool kernel_need_helps(const struct kernel_need *need, const struct kernel_thing *thing);

enum kernel_verdict {
	VERDICT_UNASKED,	/* nothing of the VM has to do with it */
	VERDICT_THERE,
	VERDICT_LATER,		/* a module, which may come from the root file system */
	VERDICT_EARLY,		/* a module that the initrd has to load */
	VERDICT_POORER,		/* it is not there, or not in time; the guest can do without */
	VERDICT_MISSING,	/* likewise, and it cannot */
};

/* Of one row, for a VM and a configuration. */
enum kernel_verdict kernel_need_judge(const struct kernel_need *need, const struct kernel_vm *vm,
				      const struct kernel_config *config);

#endif
