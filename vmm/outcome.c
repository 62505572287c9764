#include "vmm/outcome.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct outcome by_policy(enum guest_policy policy, int failure_status, const char *text)
{
	struct outcome o = { .restart = policy == POLICY_RESTART };

	if (policy == POLICY_FAIL || policy == POLICY_DUMP) {
		o.dump = policy == POLICY_DUMP;
		o.status = failure_status;
		o.failure = true;
	}
	snprintf(o.text, sizeof(o.text), "%s", text);
	return o;
}

/* KVM gave up: nothing that a policy could turn into success or that a reset is sure to mend. */
static struct outcome crash(const struct vm_config *config, const char *detail)
{
	struct outcome o = { .status = STATUS_CRASH, .failure = true,
			     .dump = config->on_crash == POLICY_DUMP };

	snprintf(o.text, sizeof(o.text), "guest crashed%s%.160s", *detail ? ": " : "", detail);
	return o;
}

static struct outcome guest_status(uint32_t status)
{
	struct outcome o = { .failure = status != 0 };

	o.status = status > STATUS_GUEST_MAX ? STATUS_GUEST_MAX : (int)status;
	if (status > STATUS_GUEST_MAX)
		snprintf(o.text, sizeof(o.text), "guest exited with status %u, reported as %d",
			 status, STATUS_GUEST_MAX);
	else
		snprintf(o.text, sizeof(o.text), "guest exited with status %u", status);
	return o;
}

struct outcome outcome_judge(const struct vm_config *config, enum machine_outcome end,
			     uint32_t status, const char *detail)
{
	switch (end) {
	case MACHINE_POWEROFF:
		return by_policy(config->on_poweroff, STATUS_OK, "guest powered off");
	case MACHINE_REBOOT:
		return by_policy(config->on_reboot, STATUS_RESET, "guest reset itself");
	case MACHINE_HALT:
		return by_policy(config->on_halt, STATUS_CRASH, "guest halted all its CPUs");
	case MACHINE_PANIC:
		return by_policy(config->on_panic, STATUS_PANIC, "guest kernel panicked");
	case MACHINE_TRIPLE_FAULT:
		return by_policy(config->on_crash, STATUS_CRASH, "guest crashed: triple fault");
	case MACHINE_CRASH:
		return crash(config, detail);
	case MACHINE_EXIT:
		return guest_status(status);
	case MACHINE_STOPPED:
	case MACHINE_RUNNING:
		break;
	}
	return (struct outcome){
		.status = STATUS_FAILED, .failure = true, .text = "guest was stopped",
	};
}

int outcome_of_mistakes(const struct vm_config *config, int status, uint64_t n_mistakes)
{
	bool counts = config->strict_driver && config->on_driver_mistake == MISTAKE_FAIL;

	return counts && n_mistakes > 0 && status == STATUS_OK ? STATUS_EXPECTATION : status;
}

static bool is_missing(int err)
{
	return err == ENOENT || err == ENOTDIR;
}

static bool is_refused(int err)
{
	return err == EACCES || err == EPERM || err == ENODEV || err == ENXIO || err == EBUSY ||
	       err == ENOSYS || err == ENOTTY || err == EOPNOTSUPP || err == ENOMEM;
}

int outcome_of_error(enum outcome_blame blame, int err)
{
	err = abs(err);
	if (blame == BLAME_FILE && is_missing(err))
		return STATUS_NO_FILE;
	if (blame == BLAME_HOST && (is_missing(err) || is_refused(err)))
		return STATUS_HOST;
	return STATUS_FAILED;
}
