#include "vmm/machine/x86/cpuid.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"

_Static_assert(offsetof(struct cpuid, entry) == offsetof(struct kvm_cpuid2, entries),
	       "struct cpuid stands for struct kvm_cpuid2");

enum {
	LEAF_VENDOR = 0x0,
	LEAF_FEATURES = 0x1,
	LEAF_CACHE = 0x4,
	LEAF_TOPOLOGY = 0xb,
	LEAF_TOPOLOGY_V2 = 0x1f,
};
#define LEAF_AMD_FEATURES 0x80000001u
#define LEAF_BRAND_FIRST 0x80000002u	/* to 0x80000004: the processor's name */
#define LEAF_AMD_L1 0x80000005u		/* caches and TLBs of level 1 */
#define LEAF_ADDRESS_SIZES 0x80000008u
#define LEAF_AMD_CACHE 0x8000001du
#define LEAF_AMD_TOPOLOGY 0x8000001eu

#define FEATURES_ECX_VMX (1u << 5)
#define FEATURES_ECX_X2APIC (1u << 21)
#define FEATURES_ECX_TSC_DEADLINE (1u << 24)
#define FEATURES_ECX_HYPERVISOR (1u << 31)
#define FEATURES_EDX_HTT (1u << 28)
#define AMD_FEATURES_ECX_CMP_LEGACY (1u << 1)
#define AMD_FEATURES_ECX_TOPOEXT (1u << 22)

enum cpuid_register { EAX, EBX, ECX, EDX };

/* What guests are slow or strange without, though they run. */
static const struct {
	uint32_t leaf;
	enum cpuid_register reg;
	unsigned bit;
	const char *name;
} wanted[] = {
	{ LEAF_FEATURES, ECX, 21, "x2APIC" },
	{ LEAF_FEATURES, ECX, 24, "TSC deadline timer" },
	{ 0x6, EAX, 2, "ARAT (APIC timer that always runs)" },
	{ 0x80000007u, EDX, 8, "invariant TSC" },
	{ 0x40000001u, EAX, 3, "KVM clock" },
};

static uint32_t *reg_of(struct kvm_cpuid_entry2 *e, enum cpuid_register reg)
{
	switch (reg) {
	case EAX: return &e->eax;
	case EBX: return &e->ebx;
	case ECX: return &e->ecx;
	default: return &e->edx;
	}
}

int cpuid_load_host(struct cpuid *cpuid, int kvm_fd)
{
	memset(cpuid, 0, sizeof(*cpuid));
	cpuid->n_entries = CPUID_MAX_ENTRIES;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return error_set(errno, "ask KVM for its CPUID (KVM_GET_SUPPORTED_CPUID)");
	cpuid_add_names(cpuid);
	return 0;
}

void cpuid_add_names(struct cpuid *cpuid)
{
	for (uint32_t i = 0; i < cpuid->n_entries; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entry[i];

		if (e->function < LEAF_BRAND_FIRST || e->function > LEAF_AMD_L1 ||
		    e->eax | e->ebx | e->ecx | e->edx)
			continue;
		__cpuid(e->function, e->eax, e->ebx, e->ecx, e->edx);
	}
}

struct kvm_cpuid_entry2 *cpuid_find(struct cpuid *cpuid, uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0; i < cpuid->n_entries; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entry[i];
		bool has_subleaves = e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		if (e->function == leaf && (!has_subleaves || e->index == subleaf))
			return e;
	}
	return NULL;
}

unsigned cpuid_phys_bits(struct cpuid *cpuid)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, LEAF_ADDRESS_SIZES, 0);
	unsigned bits = e ? e->eax & 0xff : 0;

	/* A processor without the leaf has PAE's 36. */
	return bits >= 32 ? bits : 36;
}

static bool vendor_is_intel(struct cpuid *cpuid)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, LEAF_VENDOR, 0);

	/* "GenuineIntel" begins with EBX. */
	return e && e->ebx == 0x756e6547;
}

bool cpuid_has_vmx(struct cpuid *cpuid)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, LEAF_FEATURES, 0);

	return e && vendor_is_intel(cpuid) && (e->ecx & FEATURES_ECX_VMX);
}

static void log_missing(struct cpuid *cpuid)
{
	for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) {
		struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, wanted[i].leaf, 0);
		if (!e || !(*reg_of(e, wanted[i].reg) & 1u << wanted[i].bit))
			log_info("the host refuses CPUID 0x%x %s bit %u: %s", wanted[i].leaf,
				 (const char *[]) { "EAX", "EBX", "ECX", "EDX" }[wanted[i].reg],
				 wanted[i].bit, wanted[i].name);
	}
}

static void set_features(struct cpuid *cpuid, const struct topology *t, bool tsc_deadline)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, LEAF_FEATURES, 0);
	struct kvm_cpuid_entry2 *amd = cpuid_find(cpuid, LEAF_AMD_FEATURES, 0);
	bool several = topology_package_size(t) > 1;

	if (e) {
		e->ecx |= FEATURES_ECX_HYPERVISOR;
		/* KVM lists it apart, as it depends on the in-kernel local APIC. */
		if (tsc_deadline)
			e->ecx |= FEATURES_ECX_TSC_DEADLINE;
		e->edx = several ? e->edx | FEATURES_EDX_HTT : e->edx & ~FEATURES_EDX_HTT;
		/* The number of ids that a package takes, not of processors that are there. */
		e->ebx = (e->ebx & 0xff00ffffu) | (1u << t->package_bits & 0xff) << 16;
	}
	if (amd && !vendor_is_intel(cpuid))
		amd->ecx = several ? amd->ecx | AMD_FEATURES_ECX_CMP_LEGACY :
				     amd->ecx & ~AMD_FEATURES_ECX_CMP_LEGACY;
}

/*
 * Caches of level 1 and 2 belong to a core, level 3 to a socket.  EAX[25:14]: how many ids share
 * the cache, minus 1.  Intel's leaf also has the ids of cores in EAX[31:26].
 */
static void set_caches(struct cpuid *cpuid, const struct topology *t)
{
	for (uint32_t i = 0; i < cpuid->n_entries; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entry[i];
		bool is_intel = e->function == LEAF_CACHE;
		uint32_t type = e->eax & 0x1f, level = e->eax >> 5 & 0x7;

		if ((!is_intel && e->function != LEAF_AMD_CACHE) || type == 0)
			continue;
		uint32_t sharing = is_intel ? 1u << (level < 3 ? t->thread_bits : t->package_bits) :
				   level < 3 ? t->threads : topology_package_size(t);
		e->eax = (e->eax & ~(0xfffu << 14)) | (sharing - 1) << 14;
		if (is_intel) {
			uint32_t cores = 1u << (t->package_bits - t->thread_bits);
			e->eax = (e->eax & 0x03ffffffu) | min_u64(cores - 1, 0x3f) << 26;
		}
	}
}

static void remove_leaf(struct cpuid *cpuid, uint32_t leaf)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < cpuid->n_entries; i++)
		if (cpuid->entry[i].function != leaf)
			cpuid->entry[n++] = cpuid->entry[i];
	cpuid->n_entries = n;
}

static void add_level(struct cpuid *cpuid, uint32_t leaf, uint32_t level, uint32_t type,
		      uint32_t shift, uint32_t count)
{
	if (cpuid->n_entries == CPUID_MAX_ENTRIES) {
		log_info("no room for CPUID 0x%x, level %u", leaf, level);
		return;
	}
	cpuid->entry[cpuid->n_entries++] = (struct kvm_cpuid_entry2) {
		.function = leaf,
		.index = level,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = shift,
		.ebx = count,
		.ecx = type << 8 | level,
	};
}

/* The extended topology leaves: level types 1 = thread, 2 = core, 0 = end. */
static void set_levels(struct cpuid *cpuid, const struct topology *t, uint32_t leaf)
{
	const struct kvm_cpuid_entry2 *max = cpuid_find(cpuid, LEAF_VENDOR, 0);

	remove_leaf(cpuid, leaf);
	if (!max || max->eax < leaf)
		return;
	add_level(cpuid, leaf, 0, 1, t->thread_bits, t->threads);
	add_level(cpuid, leaf, 1, 2, t->package_bits, topology_package_size(t));
	add_level(cpuid, leaf, 2, 0, 0, 0);
}

void cpuid_set_machine(struct cpuid *cpuid, const struct topology *t, bool tsc_deadline)
{
	struct kvm_cpuid_entry2 *e;

	set_features(cpuid, t, tsc_deadline);
	set_caches(cpuid, t);
	set_levels(cpuid, t, LEAF_TOPOLOGY);
	set_levels(cpuid, t, LEAF_TOPOLOGY_V2);
	/* AMD: logical processors in the package - 1, and how many bits of the id number them. */
	e = cpuid_find(cpuid, LEAF_ADDRESS_SIZES, 0);
	if (e && !vendor_is_intel(cpuid))
		e->ecx = (e->ecx & ~0xf0ffu) | t->package_bits << 12 |
			 (topology_package_size(t) - 1);
	if (log_wants(LOG_INFO))
		log_missing(cpuid);
}

static void set_amd_topology(struct cpuid *cpuid, const struct topology *t, uint32_t apic_id)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, LEAF_AMD_TOPOLOGY, 0);
	const struct kvm_cpuid_entry2 *features = cpuid_find(cpuid, LEAF_AMD_FEATURES, 0);

	if (!e || !features || !(features->ecx & AMD_FEATURES_ECX_TOPOEXT))
		return;
	uint32_t in_package = apic_id & ((1u << t->package_bits) - 1);
	e->eax = apic_id;
	e->ebx = (t->threads - 1) << 8 | (in_package >> t->thread_bits & 0xff);
	/* One node per socket. */
	e->ecx = apic_id >> t->package_bits & 0xff;
	e->edx = 0;
}

void cpuid_set_apic_id(struct cpuid *cpuid, const struct topology *t, uint32_t apic_id)
{
	for (uint32_t i = 0; i < cpuid->n_entries; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entry[i];

		if (e->function == LEAF_FEATURES)
			e->ebx = (e->ebx & 0x00ffffffu) | apic_id << 24;
		else if (e->function == LEAF_TOPOLOGY || e->function == LEAF_TOPOLOGY_V2)
			e->edx = apic_id;
	}
	set_amd_topology(cpuid, t, apic_id);
}

int cpuid_apply(const struct cpuid *cpuid, int vcpu_fd)
{
	if (ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid) < 0)
		return error_set(errno, "set CPUID (KVM_SET_CPUID2, %u entries)", cpuid->n_entries);
	return 0;
}
