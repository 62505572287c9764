/* Intel SDM volume 4; linux/arch/x86/include/uapi/asm/kvm_para.h for KVM's own. */
#include "vmm/machine/x86/msr.h"

#include <asm/kvm_para.h>
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"

struct msr {
	uint32_t index;
	uint64_t value;
	const char *name;
};

static const struct msr boot_values[] = {
	{ 0x1a0, 1, "IA32_MISC_ENABLE (fast strings)" },
	/* Enabled, all memory write-back: Linux warns of a machine without MTRRs that do this. */
	{ 0x2ff, 0x806, "IA32_MTRR_DEF_TYPE" },
};

/*
 * KVM's paravirtual MSRs come first: behind each is guest memory that KVM writes to by itself, and
 * that memory is about to become another kernel's.
 */
static const struct msr power_on_values[] = {
	{ MSR_KVM_SYSTEM_TIME_NEW, 0, "KVM_SYSTEM_TIME_NEW" },
	{ MSR_KVM_SYSTEM_TIME, 0, "KVM_SYSTEM_TIME" },
	{ MSR_KVM_ASYNC_PF_EN, 0, "KVM_ASYNC_PF_EN" },
	{ MSR_KVM_ASYNC_PF_INT, 0, "KVM_ASYNC_PF_INT" },
	{ MSR_KVM_STEAL_TIME, 0, "KVM_STEAL_TIME" },
	{ MSR_KVM_PV_EOI_EN, 0, "KVM_PV_EOI_EN" },
	{ MSR_KVM_POLL_CONTROL, 1, "KVM_POLL_CONTROL" },
	{ 0x6e0, 0, "IA32_TSC_DEADLINE" },
	{ 0x03b, 0, "IA32_TSC_ADJUST" },
	{ 0x010, 0, "IA32_TIME_STAMP_COUNTER" },
	{ 0x174, 0, "IA32_SYSENTER_CS" },
	{ 0x175, 0, "IA32_SYSENTER_ESP" },
	{ 0x176, 0, "IA32_SYSENTER_EIP" },
	{ 0xc0000081, 0, "STAR" },
	{ 0xc0000082, 0, "LSTAR" },
	{ 0xc0000083, 0, "CSTAR" },
	{ 0xc0000084, 0, "FMASK" },
	{ 0xc0000102, 0, "KERNEL_GS_BASE" },
	{ 0xc0000103, 0, "TSC_AUX" },
	{ 0x048, 0, "IA32_SPEC_CTRL" },
	{ 0x0da0, 0, "IA32_XSS" },
	{ 0x1d9, 0, "IA32_DEBUGCTL" },
	{ 0x17a, 0, "IA32_MCG_STATUS" },
	{ 0x277, 0x0007040600070406, "IA32_PAT" },
};

enum { MAX_MSRS = ARRAY_SIZE(power_on_values) };

/*
 * KVM takes MSRs in order and returns how many it took; the next one is the one it refused.
 */
static int write_all(int vcpu_fd, const struct msr *msr, unsigned n, bool tell)
{
	union {
		struct kvm_msrs msrs;
		uint8_t room[sizeof(struct kvm_msrs) + MAX_MSRS * sizeof(struct kvm_msr_entry)];
	} request;

	while (n > 0) {
		memset(&request, 0, sizeof(request));
		request.msrs.nmsrs = n;
		for (unsigned i = 0; i < n; i++) {
			request.msrs.entries[i].index = msr[i].index;
			request.msrs.entries[i].data = msr[i].value;
		}
		int taken = ioctl(vcpu_fd, KVM_SET_MSRS, &request);
		if (taken < 0)
			return error_set(errno, "set MSRs (KVM_SET_MSRS)");
		if ((unsigned)taken >= n)
			return 0;
		if (tell)
			log_info("the host refuses MSR 0x%x = 0x%llx: %s", msr[taken].index,
				 (unsigned long long)msr[taken].value, msr[taken].name);
		msr += taken + 1;
		n -= (unsigned)taken + 1;
	}
	return 0;
}

int msr_set_boot(int vcpu_fd, bool tell)
{
	return write_all(vcpu_fd, boot_values, ARRAY_SIZE(boot_values), tell);
}

int msr_reset(int vcpu_fd)
{
	/*
	 * Whatever is refused here was told when the machine was made, or is not there to be
	 * reset.
	 */
	int r = write_all(vcpu_fd, power_on_values, ARRAY_SIZE(power_on_values), false);

	return r < 0 ? r : msr_set_boot(vcpu_fd, false);
}
