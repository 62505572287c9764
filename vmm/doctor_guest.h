/*
 * A guest of a few instructions that tells how fast this host's KVM runs guest code: in the
 * kernel's privilege level (CPL 0) and in a program's (CPL 3).  A KVM that emulates one of them
 * is found out by its speed, never by a name or a flag.
 */
#ifndef VMM_DOCTOR_GUEST_H
#define VMM_DOCTOR_GUEST_H

#include "vmm/base/util.h"

struct guest_speed {
	double cpl0_per_s;	/* instructions per second */
	double cpl3_per_s;
};

/*
 * Make a machine with 'kvm_path', run it for a fraction of a second, measure.
 *
 * Returns 0; -ETIMEDOUT if the guest does not answer; -errno, with an error chain that says what of
 * KVM is missing.  Main thread, which must not run an event loop.
 */
MUST_USE int doctor_guest_measure(struct guest_speed *out, const char *kvm_path);

#endif
