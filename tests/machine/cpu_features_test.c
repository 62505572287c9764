#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/machine/x86/cpu_features.h"
#include "vmm/machine/x86/cpuid.h"

static struct cpuid cpuid;

static struct kvm_cpuid_entry2 *add(uint32_t leaf, uint32_t subleaf)
{
	struct kvm_cpuid_entry2 *e = &cpuid.entry[cpuid.n_entries++];

	*e = (struct kvm_cpuid_entry2){ .function = leaf, .index = subleaf,
					.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX };
	return e;
}

static void setup(void)
{
	memset(&cpuid, 0, sizeof(cpuid));
	add(1, 0)->ecx = 1u << 25 | 1u << 28 | 1u << 21;
	add(7, 0)->ebx = 1u << 16 | 1u << 5;
	add(0xd, 0)->eax = 0xe7;
}

TestSuite(cpu_features, .init = setup);

static int apply(const char *first, const char *second)
{
	const char *list[2] = { first, second };

	return cpu_features_apply(&cpuid, list, second ? 2 : 1);
}

Test(cpu_features, what_is_taken_away_is_gone_and_the_rest_stays)
{
	cr_assert_eq(apply("-aes,-avx512f", "-x2apic"), 0);
	cr_expect_eq(cpuid.entry[0].ecx, 1u << 28);
	cr_expect_eq(cpuid.entry[1].ebx, 1u << 5);
	/* Its registers are not there to be saved either. */
	cr_expect_eq(cpuid.entry[2].eax, 0x7);
}

Test(cpu_features, what_is_demanded_must_be_there)
{
	cr_expect_eq(apply("+aes,+avx", NULL), 0);
	cr_expect_eq(apply("+aes,+rdrand", NULL), -ENOTSUP);
	cr_expect(strstr(error_text(), "'rdrand' is demanded"), "%s", error_text());
	/* A leaf that the host has not at all. */
	cr_expect_eq(apply("+svm", NULL), -ENOTSUP);
	cr_expect_eq(apply("-svm", NULL), 0);
}

Test(cpu_features, the_last_wish_for_a_name_counts)
{
	cr_assert_eq(apply("-aes", "+aes"), 0);
	cr_expect(cpuid.entry[0].ecx & 1u << 25);
	cr_assert_eq(apply("+aes,-aes", NULL), 0);
	cr_expect_not(cpuid.entry[0].ecx & 1u << 25);
}

Test(cpu_features, what_is_no_wish_is_refused_with_a_sentence)
{
	static const struct { const char *wishes, *sentence; } table[] = {
		{ "aes", "'aes' begins with neither '+' nor '-'" },
		{ "-aes,avx", "'avx' begins with neither" },
		{ "-avx512", "did you mean 'avx512" },
		{ "-lm", "'lm' is no feature of a CPU that Vireo knows" },
		{ "-", "'' is no feature" },
		{ "-aes,,-avx", "begins with neither" },
		{ "-this_is_a_name_that_is_much_too_long_for_a_feature", "is no feature" },
	};
	char why[CPU_FEATURE_WHY_SIZE];

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		cr_expect_eq(cpu_features_check(table[i].wishes, why), -EINVAL);
		cr_expect(strstr(why, table[i].sentence), "%s", why);
		cr_expect_eq(apply(table[i].wishes, NULL), -EINVAL);
	}
	cr_expect_eq(cpu_features_check("-avx512f,+aes,-3dnowprefetch", why), 0);
	cr_expect_eq(cpu_features_check("", why), 0);
}
