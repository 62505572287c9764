#include "vmm/machine/x86/cpu_features.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/text.h"
#include "vmm/machine/x86/cpuid.h"

#define BIT(n) (1u << (n))

enum { LEAF_XSTATE = 0xd };

/* Where each is told: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; KVM's cpuid.rst. */
static const struct feature {
	const char *name;
	uint32_t leaf, subleaf;
	enum cpuid_register reg;
	uint32_t mask;
	uint32_t xstate;	/* registers that XSAVE saves for its sake */
} features[] = {
	{ "pni", 0x1, 0, CPUID_ECX, BIT(0), 0 },
	{ "pclmulqdq", 0x1, 0, CPUID_ECX, BIT(1), 0 },
	{ "vmx", 0x1, 0, CPUID_ECX, BIT(5), 0 },
	{ "ssse3", 0x1, 0, CPUID_ECX, BIT(9), 0 },
	{ "fma", 0x1, 0, CPUID_ECX, BIT(12), 0 },
	{ "cx16", 0x1, 0, CPUID_ECX, BIT(13), 0 },
	{ "pcid", 0x1, 0, CPUID_ECX, BIT(17), 0 },
	{ "sse4_1", 0x1, 0, CPUID_ECX, BIT(19), 0 },
	{ "sse4_2", 0x1, 0, CPUID_ECX, BIT(20), 0 },
	{ "x2apic", 0x1, 0, CPUID_ECX, BIT(21), 0 },
	{ "movbe", 0x1, 0, CPUID_ECX, BIT(22), 0 },
	{ "popcnt", 0x1, 0, CPUID_ECX, BIT(23), 0 },
	{ "tsc_deadline_timer", 0x1, 0, CPUID_ECX, BIT(24), 0 },
	{ "aes", 0x1, 0, CPUID_ECX, BIT(25), 0 },
	{ "xsave", 0x1, 0, CPUID_ECX, BIT(26), 0 },
	{ "avx", 0x1, 0, CPUID_ECX, BIT(28), BIT(2) },
	{ "f16c", 0x1, 0, CPUID_ECX, BIT(29), 0 },
	{ "rdrand", 0x1, 0, CPUID_ECX, BIT(30), 0 },
	{ "hypervisor", 0x1, 0, CPUID_ECX, BIT(31), 0 },
	{ "vme", 0x1, 0, CPUID_EDX, BIT(1), 0 },
	{ "tsc", 0x1, 0, CPUID_EDX, BIT(4), 0 },
	{ "mtrr", 0x1, 0, CPUID_EDX, BIT(12), 0 },
	{ "pat", 0x1, 0, CPUID_EDX, BIT(16), 0 },
	{ "clflush", 0x1, 0, CPUID_EDX, BIT(19), 0 },
	{ "mmx", 0x1, 0, CPUID_EDX, BIT(23), 0 },
	{ "sse", 0x1, 0, CPUID_EDX, BIT(25), 0 },
	{ "sse2", 0x1, 0, CPUID_EDX, BIT(26), 0 },
	{ "arat", 0x6, 0, CPUID_EAX, BIT(2), 0 },
	{ "fsgsbase", 0x7, 0, CPUID_EBX, BIT(0), 0 },
	{ "tsc_adjust", 0x7, 0, CPUID_EBX, BIT(1), 0 },
	{ "bmi1", 0x7, 0, CPUID_EBX, BIT(3), 0 },
	{ "hle", 0x7, 0, CPUID_EBX, BIT(4), 0 },
	{ "avx2", 0x7, 0, CPUID_EBX, BIT(5), 0 },
	{ "smep", 0x7, 0, CPUID_EBX, BIT(7), 0 },
	{ "bmi2", 0x7, 0, CPUID_EBX, BIT(8), 0 },
	{ "erms", 0x7, 0, CPUID_EBX, BIT(9), 0 },
	{ "invpcid", 0x7, 0, CPUID_EBX, BIT(10), 0 },
	{ "rtm", 0x7, 0, CPUID_EBX, BIT(11), 0 },
	{ "mpx", 0x7, 0, CPUID_EBX, BIT(14), BIT(3) | BIT(4) },
	{ "avx512f", 0x7, 0, CPUID_EBX, BIT(16), BIT(5) | BIT(6) | BIT(7) },
	{ "avx512dq", 0x7, 0, CPUID_EBX, BIT(17), 0 },
	{ "rdseed", 0x7, 0, CPUID_EBX, BIT(18), 0 },
	{ "adx", 0x7, 0, CPUID_EBX, BIT(19), 0 },
	{ "smap", 0x7, 0, CPUID_EBX, BIT(20), 0 },
	{ "avx512ifma", 0x7, 0, CPUID_EBX, BIT(21), 0 },
	{ "clflushopt", 0x7, 0, CPUID_EBX, BIT(23), 0 },
	{ "clwb", 0x7, 0, CPUID_EBX, BIT(24), 0 },
	{ "avx512cd", 0x7, 0, CPUID_EBX, BIT(28), 0 },
	{ "sha_ni", 0x7, 0, CPUID_EBX, BIT(29), 0 },
	{ "avx512bw", 0x7, 0, CPUID_EBX, BIT(30), 0 },
	{ "avx512vl", 0x7, 0, CPUID_EBX, BIT(31), 0 },
	{ "avx512vbmi", 0x7, 0, CPUID_ECX, BIT(1), 0 },
	{ "umip", 0x7, 0, CPUID_ECX, BIT(2), 0 },
	{ "pku", 0x7, 0, CPUID_ECX, BIT(3), BIT(9) },
	{ "waitpkg", 0x7, 0, CPUID_ECX, BIT(5), 0 },
	{ "avx512_vbmi2", 0x7, 0, CPUID_ECX, BIT(6), 0 },
	{ "shstk", 0x7, 0, CPUID_ECX, BIT(7), 0 },
	{ "gfni", 0x7, 0, CPUID_ECX, BIT(8), 0 },
	{ "vaes", 0x7, 0, CPUID_ECX, BIT(9), 0 },
	{ "vpclmulqdq", 0x7, 0, CPUID_ECX, BIT(10), 0 },
	{ "avx512_vnni", 0x7, 0, CPUID_ECX, BIT(11), 0 },
	{ "avx512_bitalg", 0x7, 0, CPUID_ECX, BIT(12), 0 },
	{ "avx512_vpopcntdq", 0x7, 0, CPUID_ECX, BIT(14), 0 },
	{ "la57", 0x7, 0, CPUID_ECX, BIT(16), 0 },
	{ "rdpid", 0x7, 0, CPUID_ECX, BIT(22), 0 },
	{ "bus_lock_detect", 0x7, 0, CPUID_ECX, BIT(24), 0 },
	{ "cldemote", 0x7, 0, CPUID_ECX, BIT(25), 0 },
	{ "movdiri", 0x7, 0, CPUID_ECX, BIT(27), 0 },
	{ "movdir64b", 0x7, 0, CPUID_ECX, BIT(28), 0 },
	{ "fsrm", 0x7, 0, CPUID_EDX, BIT(4), 0 },
	{ "avx512_vp2intersect", 0x7, 0, CPUID_EDX, BIT(8), 0 },
	{ "md_clear", 0x7, 0, CPUID_EDX, BIT(10), 0 },
	{ "serialize", 0x7, 0, CPUID_EDX, BIT(14), 0 },
	{ "ibt", 0x7, 0, CPUID_EDX, BIT(20), 0 },
	{ "amx_bf16", 0x7, 0, CPUID_EDX, BIT(22), 0 },
	{ "avx512_fp16", 0x7, 0, CPUID_EDX, BIT(23), 0 },
	{ "amx_tile", 0x7, 0, CPUID_EDX, BIT(24), BIT(17) | BIT(18) },
	{ "amx_int8", 0x7, 0, CPUID_EDX, BIT(25), 0 },
	{ "flush_l1d", 0x7, 0, CPUID_EDX, BIT(28), 0 },
	{ "arch_capabilities", 0x7, 0, CPUID_EDX, BIT(29), 0 },
	{ "ssbd", 0x7, 0, CPUID_EDX, BIT(31), 0 },
	{ "avx_vnni", 0x7, 1, CPUID_EAX, BIT(4), 0 },
	{ "avx512_bf16", 0x7, 1, CPUID_EAX, BIT(5), 0 },
	{ "xsaveopt", 0xd, 1, CPUID_EAX, BIT(0), 0 },
	{ "xsavec", 0xd, 1, CPUID_EAX, BIT(1), 0 },
	{ "xgetbv1", 0xd, 1, CPUID_EAX, BIT(2), 0 },
	{ "xsaves", 0xd, 1, CPUID_EAX, BIT(3), 0 },
	{ "kvmclock", 0x40000001, 0, CPUID_EAX, BIT(0) | BIT(3), 0 },
	{ "kvm_async_pf", 0x40000001, 0, CPUID_EAX, BIT(4) | BIT(10) | BIT(14), 0 },
	{ "kvm_steal_time", 0x40000001, 0, CPUID_EAX, BIT(5), 0 },
	{ "kvm_pv_eoi", 0x40000001, 0, CPUID_EAX, BIT(6), 0 },
	{ "kvm_pv_unhalt", 0x40000001, 0, CPUID_EAX, BIT(7), 0 },
	{ "kvm_pv_tlb_flush", 0x40000001, 0, CPUID_EAX, BIT(9), 0 },
	{ "kvm_pv_send_ipi", 0x40000001, 0, CPUID_EAX, BIT(11), 0 },
	{ "lahf_lm", 0x80000001, 0, CPUID_ECX, BIT(0), 0 },
	{ "svm", 0x80000001, 0, CPUID_ECX, BIT(2), 0 },
	{ "abm", 0x80000001, 0, CPUID_ECX, BIT(5), 0 },
	{ "sse4a", 0x80000001, 0, CPUID_ECX, BIT(6), 0 },
	{ "misalignsse", 0x80000001, 0, CPUID_ECX, BIT(7), 0 },
	{ "3dnowprefetch", 0x80000001, 0, CPUID_ECX, BIT(8), 0 },
	{ "xop", 0x80000001, 0, CPUID_ECX, BIT(11), 0 },
	{ "fma4", 0x80000001, 0, CPUID_ECX, BIT(16), 0 },
	{ "tbm", 0x80000001, 0, CPUID_ECX, BIT(21), 0 },
	{ "perfctr_core", 0x80000001, 0, CPUID_ECX, BIT(23), 0 },
	{ "nx", 0x80000001, 0, CPUID_EDX, BIT(20), 0 },
	{ "mmxext", 0x80000001, 0, CPUID_EDX, BIT(22), 0 },
	{ "fxsr_opt", 0x80000001, 0, CPUID_EDX, BIT(25), 0 },
	{ "pdpe1gb", 0x80000001, 0, CPUID_EDX, BIT(26), 0 },
	{ "rdtscp", 0x80000001, 0, CPUID_EDX, BIT(27), 0 },
	{ "nonstop_tsc", 0x80000007, 0, CPUID_EDX, BIT(8), 0 },
	{ "clzero", 0x80000008, 0, CPUID_EBX, BIT(0), 0 },
	{ "xsaveerptr", 0x80000008, 0, CPUID_EBX, BIT(2), 0 },
	{ "wbnoinvd", 0x80000008, 0, CPUID_EBX, BIT(9), 0 },
	{ "ibpb", 0x80000008, 0, CPUID_EBX, BIT(12), 0 },
	{ "ibrs", 0x80000008, 0, CPUID_EBX, BIT(14), 0 },
	{ "stibp", 0x80000008, 0, CPUID_EBX, BIT(15), 0 },
	{ "virt_ssbd", 0x80000008, 0, CPUID_EBX, BIT(25), 0 },
};

static const struct feature *find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (strlen(features[i].name) == len && !memcmp(features[i].name, name, len))
			return &features[i];
	return NULL;
}

static int refuse_name(const char *name, size_t len, char *why)
{
	const char *names[ARRAY_SIZE(features)], *near;
	char word[24];

	snprintf(word, sizeof(word), "%.*s", (int)min_u64(len, 20), name);
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		names[i] = features[i].name;
	near = len <= 20 ? text_nearest(word, names, ARRAY_SIZE(features)) : NULL;
	snprintf(why, CPU_FEATURE_WHY_SIZE, "'%s' is no feature of a CPU that Vireo knows%s%s%s",
		 word, near ? "; did you mean '" : " (names are those of /proc/cpuinfo)",
		 near ? near : "", near ? "'?" : "");
	return -EINVAL;
}

/*
 * The next wish of a list: returns its feature and moves '*wishes' behind it; NULL at the end, or
 * with a sentence in 'why' (else "").
 */
static const struct feature *next(const char **wishes, char *sign, char *why)
{
	const char *word = *wishes;
	size_t len = strcspn(word, ",");
	const struct feature *f;

	why[0] = '\0';
	if (*word == '\0')
		return NULL;
	*sign = word[0];
	if (*sign != '+' && *sign != '-') {
		snprintf(why, CPU_FEATURE_WHY_SIZE, "'%.*s' begins with neither '+' nor '-'",
			 (int)min_u64(len, 40), word);
		return NULL;
	}
	f = find(word + 1, len - 1);
	if (!f)
		refuse_name(word + 1, len - 1, why);
	*wishes = word + len + (word[len] == ',');
	return f;
}

int cpu_features_check(const char *wishes, char why[CPU_FEATURE_WHY_SIZE])
{
	char sign;

	while (next(&wishes, &sign, why))
		;
	return why[0] ? -EINVAL : 0;
}

/* Is any of it there / take all of it away. */
static bool has(struct cpuid *cpuid, const struct feature *f)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, f->leaf, f->subleaf);

	return e && (*cpuid_register(e, f->reg) & f->mask);
}

static void take_away(struct cpuid *cpuid, const struct feature *f)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, f->leaf, f->subleaf);
	struct kvm_cpuid_entry2 *xstate = cpuid_find(cpuid, LEAF_XSTATE, 0);

	if (e)
		*cpuid_register(e, f->reg) &= ~f->mask;
	if (xstate)
		xstate->eax &= ~f->xstate;
}

int cpu_features_apply(struct cpuid *cpuid, const char *const *wishes, unsigned n)
{
	char wish[ARRAY_SIZE(features)] = { 0 }, why[CPU_FEATURE_WHY_SIZE] = "", sign;
	const struct feature *f;

	for (unsigned i = 0; i < n && !why[0]; i++)
		for (const char *p = wishes[i]; (f = next(&p, &sign, why));)
			wish[f - features] = sign;
	if (why[0])
		return error_set(EINVAL, "%s", why);
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		if (wish[i] == '-')
			take_away(cpuid, &features[i]);
		else if (wish[i] == '+' && !has(cpuid, &features[i]))
			return error_set(ENOTSUP, "CPU feature '%s' is demanded, and the host's "
					 "KVM has it not", features[i].name);
	}
	return 0;
}
