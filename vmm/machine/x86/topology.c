#include "vmm/machine/x86/topology.h"

#include <errno.h>

#include "vmm/base/error.h"
#include "vmm/machine/layout.h"

/* 255 is the broadcast id of the xAPIC. */
enum { MAX_APIC_ID = 254 };

/* How many bits are needed to number 'n' things. */
static unsigned bits_for(unsigned n)
{
	unsigned bits = 0;

	while (1u << bits < n)
		bits++;
	return bits;
}

uint32_t topology_apic_id(const struct topology *t, unsigned index)
{
	unsigned thread = index % t->threads;
	unsigned core = index / t->threads % t->cores;
	unsigned socket = index / t->threads / t->cores;

	return socket << t->package_bits | core << t->thread_bits | thread;
}

unsigned topology_package_size(const struct topology *t)
{
	return t->threads * t->cores;
}

int topology_init(struct topology *t, unsigned n_vcpus, unsigned threads, unsigned cores)
{
	if (n_vcpus == 0 || n_vcpus > LAYOUT_MAX_VCPUS)
		return error_set(EINVAL, "%u vCPUs: not between 1 and %d", n_vcpus,
				 LAYOUT_MAX_VCPUS);
	if (threads > LAYOUT_MAX_VCPUS || cores > LAYOUT_MAX_VCPUS)
		return error_set(EINVAL, "%u threads per core, %u cores per socket: not below %d",
				 threads, cores, LAYOUT_MAX_VCPUS + 1);
	t->n_vcpus = n_vcpus;
	t->threads = threads ? threads : 1;
	t->cores = cores ? cores : (n_vcpus + t->threads - 1) / t->threads;
	t->thread_bits = bits_for(t->threads);
	t->package_bits = t->thread_bits + bits_for(t->cores);

	uint32_t highest = topology_apic_id(t, n_vcpus - 1);
	if (highest > MAX_APIC_ID)
		return error_set(EINVAL,
				 "%u vCPUs, %u threads per core, %u cores per socket: "
				 "the highest APIC id is %u, beyond %d",
				 n_vcpus, t->threads, t->cores, highest, MAX_APIC_ID);
	return 0;
}
