/*
 * Could a machine be made here?  What machine_create() needs of the host is asked for and given
 * back; there are no vCPUs and no memory.
 */
#ifndef MACHINE_MACHINE_PROBE_H
#define MACHINE_MACHINE_PROBE_H

#include "vmm/machine/machine.h"

/* Which part of the configuration is to blame when it could not. */
enum machine_part {
	MACHINE_PART_KVM, MACHINE_PART_CPUS, MACHINE_PART_MEMORY, MACHINE_PART_CPU_FEATURES,
	MACHINE_PART_HUGE_PAGES,
};

/*
 * Try.  Features that guests count on and the host refuses are named in the log, as they are when
 * the machine is made.  Returns 0, or -errno with an error chain and '*part'.  Any thread.
 */
MUST_USE int machine_probe(const struct machine_config *config, enum machine_part *part);

#endif
