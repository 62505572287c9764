#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/fd.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/machine.h"

static struct error_chain chain;

static int try_open(const char *path)
{
	int fd, r = kvm_open(path, &fd);

	cr_assert_lt(r, 0);
	cr_assert_eq(fd, FD_NONE);
	error_save(&chain);
	return r;
}

Test(kvm, missing_node_hints_at_the_module)
{
	cr_assert_eq(try_open("/nonexistent/kvm"), -ENOENT);
	cr_assert_not_null(strstr(chain.line[0], "/nonexistent/kvm"));
	cr_assert_not_null(strstr(chain.hint, "modprobe kvm_"));
}

Test(kvm, another_device_is_not_kvm)
{
	cr_assert_eq(try_open("/dev/null"), -ENOTTY);
	cr_assert_not_null(strstr(chain.line[0], "not KVM"));
}

Test(kvm, node_without_permission_hints_at_the_group)
{
	char path[] = P_tmpdir "/kvm-XXXXXX";
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_assert_eq(fchmod(fd, 0), 0);
	if (geteuid() == 0 && seteuid(65534) < 0) {
		unlink(path);
		cr_skip_test("cannot become another user");
	}
	int r = try_open(path);
	if (geteuid() != getuid())
		cr_assert_eq(seteuid(getuid()), 0);
	unlink(path);
	close(fd);
	cr_assert_eq(r, -EACCES);
	cr_assert_not_null(strstr(chain.hint, "usermod -aG kvm"));
}

Test(kvm, wrong_sizes_and_counts_are_refused_with_a_sentence)
{
	static const struct machine_config bad[] = {
		{ .kvm_path = "/dev/kvm", .memory_size = KIB(4), .n_vcpus = 1 },
		{ .kvm_path = "/dev/kvm", .memory_size = MIB(1) + 1, .n_vcpus = 1 },
		{ .kvm_path = "/dev/kvm", .memory_size = UINT64_C(1) << 60, .n_vcpus = 1 },
		{ .kvm_path = "/dev/kvm", .memory_size = MIB(1), .n_vcpus = 0 },
		{ .kvm_path = "/dev/kvm", .memory_size = MIB(1), .n_vcpus = 65 },
	};
	struct event_loop *loop;
	struct machine *m;
	int fd;

	if (kvm_open("/dev/kvm", &fd) < 0)
		cr_skip_test("/dev/kvm: %s", strerror(error_errno()));
	close(fd);
	cr_assert_eq(event_loop_create(&loop, "main"), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert_eq(machine_create(&m, &bad[i], loop), -EINVAL, "config %u", i);
		cr_assert_null(m);
		cr_assert_neq(error_text()[0], '\0');
	}
	event_loop_destroy(loop);
}
