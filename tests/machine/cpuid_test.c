#include <cpuid.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/machine/x86/cpuid.h"

static void add(struct cpuid *c, uint32_t leaf, int subleaf, uint32_t eax, uint32_t ebx,
		uint32_t ecx, uint32_t edx)
{
	c->entry[c->n_entries++] = (struct kvm_cpuid_entry2) {
		.function = leaf,
		.index = subleaf < 0 ? 0 : (uint32_t)subleaf,
		.flags = subleaf < 0 ? 0 : KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx,
	};
}

static struct cpuid *fake_intel(void)
{
	struct cpuid *c = calloc(1, sizeof(*c));

	add(c, 0, -1, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69);
	add(c, 1, -1, 0x50650, 0x11ff0800, 1 << 5, 0);
	add(c, 4, 0, 0xfc0fc121, 7, 8, 9);	/* L1 data */
	add(c, 4, 1, 0xfc0fc143, 7, 8, 9);	/* L2 */
	add(c, 4, 2, 0xfc0fc163, 7, 8, 9);	/* L3 */
	add(c, 4, 3, 0, 0, 0, 0);
	add(c, 0xb, 0, 99, 99, 99, 99);
	add(c, 0xb, 1, 99, 99, 99, 99);
	add(c, 0x80000000, -1, 0x80000008, 0, 0, 0);
	add(c, 0x80000008, -1, 0x302e, 0, 0, 0);
	return c;
}

static struct cpuid *fake_amd(void)
{
	struct cpuid *c = calloc(1, sizeof(*c));

	add(c, 0, -1, 0x10, 0x68747541, 0x444d4163, 0x69746e65);
	add(c, 1, -1, 0xa10f11, 0x800, 0, 1u << 28);
	add(c, 0x80000001, -1, 0, 0, 1u << 22 | 1u << 1, 0);
	add(c, 0x80000008, -1, 0x3034, 5, 0xabcd7042, 1);
	add(c, 0x8000001d, 0, 0x121, 1, 2, 3);
	add(c, 0x8000001d, 1, 0x163, 1, 2, 3);
	add(c, 0x8000001e, -1, 77, 77, 77, 77);
	return c;
}

/* 2 threads, 3 cores: ids take 1 + 2 bits, a socket has 6 processors. */
static void shape(struct cpuid *c, struct topology *t, uint32_t apic_id)
{
	cr_assert_eq(topology_init(t, 12, 2, 3), 0);
	cpuid_set_machine(c, t, true);
	cpuid_set_apic_id(c, t, apic_id);
}

Test(cpuid, names_that_kvm_leaves_out_are_the_processors)
{
	struct cpuid *c = calloc(1, sizeof(*c));
	unsigned all = 0;

	for (uint32_t leaf = 0x80000001; leaf <= 0x80000006; leaf++)
		add(c, leaf, -1, 0, 0, 0, 0);
	c->entry[2].ecx = 5;
	cpuid_add_names(c);
	for (uint32_t i = 0; i < c->n_entries; i++) {
		const struct kvm_cpuid_entry2 *e = &c->entry[i];
		unsigned eax, ebx, ecx, edx;

		__cpuid(e->function, eax, ebx, ecx, edx);
		if (i == 2)
			/* KVM has an opinion. */
			cr_assert(e->eax == 0 && e->ebx == 0 && e->ecx == 5 && e->edx == 0);
		else if (i >= 1 && i <= 4)
			cr_assert(e->eax == eax && e->ebx == ebx && e->ecx == ecx && e->edx == edx);
		else
			cr_assert(e->eax == 0 && e->ebx == 0 && e->ecx == 0 && e->edx == 0);
		all |= i == 1 ? e->eax : 0;
	}
	cr_assert_neq(all, 0);
	free(c);
}

Test(cpuid, leaf_1_has_apic_id_count_htt_and_hypervisor)
{
	struct cpuid *c = fake_intel();
	struct topology t;

	shape(c, &t, 13);
	const struct kvm_cpuid_entry2 *e = cpuid_find(c, 1, 0);
	cr_assert_eq(e->ebx, 13u << 24 | 8u << 16 | 0x0800);
	cr_assert(e->edx & 1u << 28);
	cr_assert(e->ecx & 1u << 31);
	cr_assert(e->ecx & 1u << 24);
	free(c);
}

Test(cpuid, single_processor_has_no_htt)
{
	struct cpuid *c = fake_amd();
	struct topology t;

	cr_assert_eq(topology_init(&t, 1, 0, 0), 0);
	cpuid_set_machine(c, &t, false);
	cpuid_set_apic_id(c, &t, 0);
	cr_assert_not(cpuid_find(c, 1, 0)->edx & 1u << 28);
	cr_assert_eq(cpuid_find(c, 1, 0)->ebx, 1u << 16 | 0x800);
	cr_assert_not(cpuid_find(c, 1, 0)->ecx & 1u << 24);
	cr_assert_not(cpuid_find(c, 0x80000001, 0)->ecx & 1u << 1);
	cr_assert_eq(cpuid_find(c, 0x80000008, 0)->ecx, 0xabcd0000);
	free(c);
}

Test(cpuid, intel_caches_are_shared_by_core_and_by_socket)
{
	struct cpuid *c = fake_intel();
	struct topology t;

	shape(c, &t, 0);
	/* EAX[25:14] ids that share - 1, EAX[31:26] core ids - 1. */
	cr_assert_eq(cpuid_find(c, 4, 0)->eax, 3u << 26 | 1u << 14 | 0x121);
	cr_assert_eq(cpuid_find(c, 4, 1)->eax, 3u << 26 | 1u << 14 | 0x143);
	cr_assert_eq(cpuid_find(c, 4, 2)->eax, 3u << 26 | 7u << 14 | 0x163);
	cr_assert_eq(cpuid_find(c, 4, 3)->eax, 0);
	free(c);
}

Test(cpuid, extended_topology_has_two_levels_and_an_end)
{
	static const uint32_t leaves[] = { 0xb, 0x1f };
	struct cpuid *c = fake_intel();
	struct topology t;

	shape(c, &t, 13);
	for (unsigned i = 0; i < 2; i++) {
		const struct kvm_cpuid_entry2 *e = cpuid_find(c, leaves[i], 0);
		cr_assert(e->eax == 1 && e->ebx == 2 && e->ecx == 0x100 && e->edx == 13);
		e = cpuid_find(c, leaves[i], 1);
		cr_assert(e->eax == 3 && e->ebx == 6 && e->ecx == 0x201 && e->edx == 13);
		e = cpuid_find(c, leaves[i], 2);
		cr_assert(e->eax == 0 && e->ebx == 0 && e->ecx == 2 && e->edx == 13);
		cr_assert_null(cpuid_find(c, leaves[i], 3));
	}
	free(c);
}

Test(cpuid, leaves_beyond_the_maximum_are_not_added)
{
	struct cpuid *c = fake_amd();
	struct topology t;

	shape(c, &t, 0);
	cr_assert_not_null(cpuid_find(c, 0xb, 0));
	cr_assert_null(cpuid_find(c, 0x1f, 0));
	free(c);
}

Test(cpuid, amd_core_counts_and_ids)
{
	struct cpuid *c = fake_amd();
	struct topology t;

	/* Socket 1, core 2, thread 1. */
	shape(c, &t, 13);
	cr_assert_eq(cpuid_find(c, 0x80000008, 0)->ecx, 0xabcd0000u | 3u << 12 | 5);
	cr_assert_eq(cpuid_find(c, 0x8000001d, 0)->eax, 1u << 14 | 0x121);
	cr_assert_eq(cpuid_find(c, 0x8000001d, 1)->eax, 5u << 14 | 0x163);
	const struct kvm_cpuid_entry2 *e = cpuid_find(c, 0x8000001e, 0);
	cr_assert(e->eax == 13 && e->ebx == (1u << 8 | 2) && e->ecx == 1 && e->edx == 0);
	cr_assert(cpuid_find(c, 0x80000001, 0)->ecx & 1u << 1);
	free(c);
}

Test(cpuid, ids_can_be_set_again_for_the_next_processor)
{
	struct cpuid *c = fake_intel();
	struct topology t;

	shape(c, &t, 13);
	uint32_t n = c->n_entries;
	cpuid_set_apic_id(c, &t, 2);
	cr_assert_eq(cpuid_find(c, 1, 0)->ebx >> 24, 2);
	cr_assert_eq(cpuid_find(c, 0xb, 1)->edx, 2);
	cr_assert_eq(c->n_entries, n);
	free(c);
}

Test(cpuid, full_table_does_not_overflow)
{
	struct cpuid *c = fake_intel();
	struct topology t;

	while (c->n_entries < CPUID_MAX_ENTRIES)
		add(c, 0x40000100 + c->n_entries, -1, 0, 0, 0, 0);
	shape(c, &t, 1);
	cr_assert_eq(c->n_entries, CPUID_MAX_ENTRIES);
	free(c);
}

Test(cpuid, address_bits_and_vmx)
{
	struct cpuid *intel = fake_intel(), *amd = fake_amd();
	struct cpuid *nothing = calloc(1, sizeof(*nothing));

	cr_assert_eq(cpuid_phys_bits(intel), 46);
	cr_assert_eq(cpuid_phys_bits(amd), 52);
	cr_assert_eq(cpuid_phys_bits(nothing), 36);
	cr_assert(cpuid_has_vmx(intel));
	cr_assert_not(cpuid_has_vmx(amd));
	free(intel);
	free(amd);
	free(nothing);
}
