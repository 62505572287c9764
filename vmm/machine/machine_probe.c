#include "vmm/machine/machine_probe.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/ram_layout.h"
#include "vmm/machine/x86/cpu_features.h"
#include "vmm/machine/x86/cpuid.h"
#include "vmm/machine/x86/topology.h"

static int probe_cpus(const struct machine_config *config, int kvm_fd, int vm_fd,
		      struct cpuid *cpuid)
{
	struct topology topology;
	int max = kvm_capability(vm_fd, KVM_CAP_MAX_VCPUS);
	int r = topology_init(&topology, config->n_vcpus, config->threads_per_core,
			      config->cores_per_socket);

	if (r < 0)
		return r;
	/* KVM_CAP_MAX_VCPUS is younger than KVM; 0: nothing is known. */
	if (max > 0 && config->n_vcpus > (unsigned)max)
		return error_set(EINVAL, "KVM here takes %d virtual CPUs at most", max);
	cpuid_set_machine(cpuid, &topology,
			  kvm_capability(kvm_fd, KVM_CAP_TSC_DEADLINE_TIMER) != 0);
	return 0;
}

static int probe(const struct machine_config *config, struct cpuid *cpuid, int *kvm_fd, int *vm_fd,
		 enum machine_part *part)
{
	struct memory_extent extent[RAM_LAYOUT_MAX_EXTENTS];
	int r = kvm_open(config->kvm_path, kvm_fd);

	*part = MACHINE_PART_KVM;
	if (r == 0)
		r = cpuid_load_host(cpuid, *kvm_fd);
	if (r == 0)
		r = kvm_create_vm(*kvm_fd, vm_fd);
	if (r < 0)
		return r;
	*part = MACHINE_PART_MEMORY;
	r = ram_layout(extent, config->memory_size, cpuid_phys_bits(cpuid));
	if (r < 0)
		return r;
	*part = MACHINE_PART_HUGE_PAGES;
	r = guest_memory_check_pool(config->memory_size, &config->memory_kind);
	if (r < 0)
		return r;
	*part = MACHINE_PART_CPUS;
	r = probe_cpus(config, *kvm_fd, *vm_fd, cpuid);
	if (r < 0)
		return r;
	*part = MACHINE_PART_CPU_FEATURES;
	return cpu_features_apply(cpuid, config->cpu_features, config->n_cpu_features);
}

int machine_probe(const struct machine_config *config, enum machine_part *part)
{
	struct cpuid *cpuid = malloc(sizeof(*cpuid));
	int kvm_fd = FD_NONE, vm_fd = FD_NONE;
	int r;

	*part = MACHINE_PART_KVM;
	if (!cpuid)
		return error_set(ENOMEM, "look at KVM");
	r = probe(config, cpuid, &kvm_fd, &vm_fd, part);
	fd_close(&vm_fd);
	fd_close(&kvm_fd);
	free(cpuid);
	return r;
}
