/* Whether a machine could be made here, and who is to blame when not. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/machine_probe.h"

static enum machine_part part;

static int probe(const char *path, uint64_t memory, unsigned n_vcpus)
{
	const struct machine_config config = {
		.kvm_path = path, .memory_size = memory, .n_vcpus = n_vcpus,
	};

	return machine_probe(&config, &part);
}

Test(machine_probe, what_is_no_kvm_is_told)
{
	cr_expect_eq(probe("/dev/gone", MIB(64), 1), -ENOENT);
	cr_expect_eq(part, MACHINE_PART_KVM);
	cr_expect_str_eq(error_text(), "open '/dev/gone'");
	cr_expect_eq(probe("/dev/null", MIB(64), 1), -ENOTTY);
	cr_expect_eq(part, MACHINE_PART_KVM);
}

static void need_kvm(void)
{
	int fd;

	if (kvm_open("/dev/kvm", &fd) < 0)
		cr_skip_test("/dev/kvm: %s", strerror(error_errno()));
	close(fd);
}

Test(machine_probe, what_fits_is_fine)
{
	need_kvm();
	cr_expect_eq(probe("/dev/kvm", MIB(64), 2), 0, "%s", error_text());
}

Test(machine_probe, memory_that_no_processor_addresses_is_told)
{
	need_kvm();
	cr_expect_eq(probe("/dev/kvm", UINT64_C(1) << 60, 1), -EINVAL);
	cr_expect_eq(part, MACHINE_PART_MEMORY);
}
