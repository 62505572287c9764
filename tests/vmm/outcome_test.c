/* The exit statuses are an ABI (DESIGN.md section 7): each line of it is checked here. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "vmm/outcome.h"

static struct vm_config config = {
	.on_poweroff = POLICY_EXIT,
	.on_reboot = POLICY_FAIL,
	.on_halt = POLICY_FAIL,
	.on_panic = POLICY_FAIL,
	.on_crash = POLICY_FAIL,
};

static int status_of(enum machine_outcome end, uint32_t status)
{
	return outcome_judge(&config, end, status, "").status;
}

Test(outcome, each_end_has_its_status)
{
	cr_expect_eq(status_of(MACHINE_POWEROFF, 0), 0);
	cr_expect_eq(status_of(MACHINE_PANIC, 0), 120);
	cr_expect_eq(status_of(MACHINE_TRIPLE_FAULT, 0), 121);
	cr_expect_eq(status_of(MACHINE_CRASH, 0), 121);
	cr_expect_eq(status_of(MACHINE_HALT, 0), 121);
	cr_expect_eq(status_of(MACHINE_REBOOT, 0), 122);
}

Test(outcome, a_guest_status_is_passed_on_up_to_119)
{
	cr_expect_eq(status_of(MACHINE_EXIT, 0), 0);
	cr_expect_eq(status_of(MACHINE_EXIT, 1), 1);
	cr_expect_eq(status_of(MACHINE_EXIT, 119), 119);
	cr_expect_eq(status_of(MACHINE_EXIT, 120), 119);
	cr_expect_eq(status_of(MACHINE_EXIT, 256), 119);
	cr_expect_eq(status_of(MACHINE_EXIT, UINT32_MAX), 119);
	cr_expect_str_eq(outcome_judge(&config, MACHINE_EXIT, 300, "").text,
			 "guest exited with status 300, reported as 119");
}

Test(outcome, zero_is_never_an_accident)
{
	for (int end = MACHINE_RUNNING; end <= MACHINE_STOPPED; end++)
		if (end != MACHINE_POWEROFF && end != MACHINE_EXIT)
			cr_expect_neq(status_of((enum machine_outcome)end, 0), 0, "%d", end);
}

Test(outcome, dump_is_a_failure_that_keeps_memory)
{
	struct vm_config dumps = config;
	struct outcome o;

	dumps.on_panic = dumps.on_crash = POLICY_DUMP;
	o = outcome_judge(&dumps, MACHINE_PANIC, 0, "");
	cr_expect(o.dump && o.failure && !o.restart);
	cr_expect_eq(o.status, 120);
	o = outcome_judge(&dumps, MACHINE_TRIPLE_FAULT, 0, "");
	cr_expect(o.dump && o.status == 121);
	o = outcome_judge(&dumps, MACHINE_CRASH, 0, "");
	cr_expect(o.dump && o.status == 121);
	cr_expect_not(outcome_judge(&dumps, MACHINE_POWEROFF, 0, "").dump);
	cr_expect_not(outcome_judge(&config, MACHINE_PANIC, 0, "").dump);
}

Test(outcome, failures_are_always_said)
{
	cr_expect(outcome_judge(&config, MACHINE_PANIC, 0, "").failure);
	cr_expect(outcome_judge(&config, MACHINE_EXIT, 3, "").failure);
	cr_expect_not(outcome_judge(&config, MACHINE_EXIT, 0, "").failure);
	cr_expect_not(outcome_judge(&config, MACHINE_POWEROFF, 0, "").failure);
}

Test(outcome, policies_decide)
{
	static const enum machine_outcome ends[] = { MACHINE_POWEROFF, MACHINE_REBOOT, MACHINE_HALT,
						     MACHINE_PANIC, MACHINE_TRIPLE_FAULT };
	struct vm_config c = { 0 };
	enum guest_policy *policy[] = { &c.on_poweroff, &c.on_reboot, &c.on_halt, &c.on_panic,
					&c.on_crash };

	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
		*policy[i] = POLICY_RESTART;
		cr_expect(outcome_judge(&c, ends[i], 0, "").restart, "%u", i);
		*policy[i] = POLICY_EXIT;
		cr_expect_not(outcome_judge(&c, ends[i], 0, "").restart, "%u", i);
		cr_expect_eq(outcome_judge(&c, ends[i], 0, "").status, 0, "%u", i);
	}
}

/* A restart might only repeat it, and "exit" cannot make a success of it. */
Test(outcome, a_kvm_error_has_no_policy)
{
	struct vm_config c = { .on_crash = POLICY_RESTART };
	struct outcome o = outcome_judge(&c, MACHINE_CRASH, 0, "failed entry, reason 0x80000021");

	cr_expect_not(o.restart);
	cr_expect_eq(o.status, 121);
	cr_expect_str_eq(o.text, "guest crashed: failed entry, reason 0x80000021");
}

Test(outcome, errors_of_vireo_are_125)
{
	cr_expect_eq(outcome_of_error(BLAME_VIREO, ENOENT), 125);
	cr_expect_eq(outcome_of_error(BLAME_VIREO, -ENOMEM), 125);
	cr_expect_eq(outcome_of_error(BLAME_FILE, -EACCES), 125);
	cr_expect_eq(outcome_of_error(BLAME_FILE, -ENOEXEC), 125);
	cr_expect_eq(outcome_of_error(BLAME_HOST, -EINVAL), 125);
}

Test(outcome, a_missing_facility_is_126)
{
	static const int errs[] = {
		ENOENT, EACCES, EPERM, ENODEV, ENXIO, EBUSY, ENOTTY, EOPNOTSUPP, ENOMEM
	};

	for (unsigned i = 0; i < ARRAY_SIZE(errs); i++)
		cr_expect_eq(outcome_of_error(BLAME_HOST, -errs[i]), 126, "%d", errs[i]);
}

Test(outcome, a_missing_file_is_127)
{
	cr_expect_eq(outcome_of_error(BLAME_FILE, -ENOENT), 127);
	cr_expect_eq(outcome_of_error(BLAME_FILE, -ENOTDIR), 127);
}

Test(outcome, mistakes_of_drivers_spoil_a_success_only)
{
	struct vm_config strict = { .strict_driver = true, .on_driver_mistake = MISTAKE_FAIL };
	struct vm_config lenient = { .strict_driver = true, .on_driver_mistake = MISTAKE_REPORT };
	struct vm_config off = { .on_driver_mistake = MISTAKE_FAIL };

	cr_expect_eq(outcome_of_mistakes(&strict, STATUS_OK, 1), STATUS_EXPECTATION);
	cr_expect_eq(outcome_of_mistakes(&strict, STATUS_OK, 0), STATUS_OK);
	cr_expect_eq(outcome_of_mistakes(&strict, 7, 1), 7);
	cr_expect_eq(outcome_of_mistakes(&strict, STATUS_PANIC, 1), STATUS_PANIC);
	cr_expect_eq(outcome_of_mistakes(&lenient, STATUS_OK, 1), STATUS_OK);
	cr_expect_eq(outcome_of_mistakes(&off, STATUS_OK, 1), STATUS_OK);
}
