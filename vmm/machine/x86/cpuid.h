/*
 * What CPUID tells the guest: all that the host's KVM supports, with the leaves that describe
 * where a processor sits rewritten for our topology.  One table serves all vCPUs, its ids set for
 * one at a time.  Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.
 */
#ifndef MACHINE_X86_CPUID_H
#define MACHINE_X86_CPUID_H

#include <linux/kvm.h>

#include "vmm/base/util.h"
#include "vmm/machine/x86/topology.h"

enum { CPUID_MAX_ENTRIES = 256 };	/* as many as KVM takes */

/* The memory layout of struct kvm_cpuid2, with room. */
struct cpuid {
	uint32_t n_entries;
	uint32_t padding;
	struct kvm_cpuid_entry2 entry[CPUID_MAX_ENTRIES];
};

/* Ask KVM what it supports.  Returns 0 or -errno with an error chain. */
MUST_USE int cpuid_load_host(struct cpuid *cpuid, int kvm_fd);

/*
 * Fill those leaves with the processor's own that KVM lists without contents: its name, and AMD's
 * caches of level 1.  cpuid_load_host() did it.
 */
void cpuid_add_names(struct cpuid *cpuid);

/* The entry of 'leaf' and 'subleaf', or NULL.  'subleaf' does not matter to leaves without them. */
struct kvm_cpuid_entry2 *cpuid_find(struct cpuid *cpuid, uint32_t leaf, uint32_t subleaf);

/* How many bits of physical address the processor has. */
unsigned cpuid_phys_bits(struct cpuid *cpuid);

/* Is it an Intel processor that offers VMX to the guest? */
bool cpuid_has_vmx(struct cpuid *cpuid);

/*
 * Turn the host's table into the machine's: hypervisor bit, TSC deadline timer if KVM has it, and
 * the topology.  Features that guests count on and the host refuses are named in the log.
 */
void cpuid_set_machine(struct cpuid *cpuid, const struct topology *topology, bool tsc_deadline);

/* Make it the table of the vCPU with 'apic_id'. */
void cpuid_set_apic_id(struct cpuid *cpuid, const struct topology *topology, uint32_t apic_id);

/* Give it to a vCPU.  Returns 0 or -errno with an error chain. */
MUST_USE int cpuid_apply(const struct cpuid *cpuid, int vcpu_fd);

#endif
