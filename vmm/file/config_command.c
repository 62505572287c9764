/* "vireo config": what a VM is made of, written as a VM file. */
#include "vmm/base/error.h"
#include "vmm/command.h"
#include "vmm/command_line.h"
#include "vmm/config.h"
#include "vmm/file/config_print.h"
#include "vmm/help.h"
#include "vmm/outcome.h"

static int config_main(int argc, char **argv)
{
	struct run_switches switches = { .command = COMMAND_LINE_CONFIG };
	struct mistakes mistakes = { 0 };
	struct vm_config config;
	int status = STATUS_FAILED;

	if (config_init(&config) < 0) {
		error_print(stderr);
		return status;
	}
	command_line_read(argc, argv, &config, &switches, &mistakes);
	config_validate(&config, &mistakes);
	if (switches.help) {
		config_command.help(stdout);
		status = STATUS_OK;
	} else if (mistakes.n) {
		mistakes_print(&mistakes, stderr);
		status = mistakes.status;
	} else {
		status = config_print(&config, switches.print ? switches.print : CONFIG_YAML,
				      switches.all);
	}
	config_fini(&config);
	return status;
}

const struct command config_command = {
	.name = "config",
	.summary = "write a VM, or all that can be set, as a VM file",
	.run = config_main,
	.help = help_config,
	.options = COMMAND_LINE_CONFIG,
};
