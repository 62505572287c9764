#include "vmm/vm_command.h"

#include "vmm/base/error.h"
#include "vmm/outcome.h"

int vm_command(const struct command *command, int argc, char **argv,
	       void (*judge)(const struct run_switches *switches, struct mistakes *mistakes),
	       int (*work)(const struct vm_config *config, const struct run_switches *switches))
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
	config_validate(&config, &mistakes);
	if (judge)
		judge(&switches, &mistakes);
	if (switches.help) {
		command->help(stdout);
	} else if (mistakes.n) {
		mistakes_print(&mistakes, stderr);
		status = mistakes.status;
	} else {
		status = work(&config, &switches);
	}
	config_fini(&config);
	return status;
}
