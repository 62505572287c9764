#include "vmm/vm_command.h"

#include "vmm/base/error.h"
#include "vmm/outcome.h"

int vm_command_as_read(const struct command *command, int argc, char **argv,
		       vm_command_fn *work, const void *arg)
{
	struct run_switches switches = { .command = command->options };
	struct mistakes mistakes = { 0 };
	struct vm_config config;
	int status = STATUS_OK;

	if (config_init(&config) < 0) {
		error_print(stderr);
		return STATUS_FAILED;
	}
	command_line_read(argc, argv, &config, &switches, &mistakes);
	if (switches.help)
		command->help(stdout);
	else
		status = work(&config, &switches, &mistakes, arg);
	config_fini(&config);
	return status;
}

/* What vm_command() was given. */
struct job {
	void (*judge)(const struct run_switches *switches, struct mistakes *mistakes);
	int (*work)(const struct vm_config *config, const struct run_switches *switches);
};

static int judge_and_work(struct vm_config *config, const struct run_switches *switches,
			  struct mistakes *mistakes, const void *arg)
{
	const struct job *job = arg;

	config_validate(config, mistakes);
	if (job->judge)
		job->judge(switches, mistakes);
	if (mistakes->n == 0)
		return job->work(config, switches);
	mistakes_print(mistakes, stderr);
	return mistakes->status;
}

int vm_command(const struct command *command, int argc, char **argv,
	       void (*judge)(const struct run_switches *switches, struct mistakes *mistakes),
	       int (*work)(const struct vm_config *config, const struct run_switches *switches))
{
	const struct job job = { judge, work };

	return vm_command_as_read(command, argc, argv, judge_and_work, &job);
}
