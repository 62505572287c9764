/* "vireo config": what a VM is made of, written as a VM file. */
#include "vmm/file/config_print.h"
#include "vmm/help.h"
#include "vmm/vm_command.h"

static int print(const struct vm_config *config, const struct run_switches *switches)
{
	return config_print(config, switches->print ? switches->print : CONFIG_YAML, switches->all);
}

static int config_main(int argc, char **argv)
{
	return vm_command(&config_command, argc, argv, NULL, print);
}

const struct command config_command = {
	.name = "config",
	.summary = "write a VM, or all that can be set, as a VM file",
	.run = config_main,
	.help = help_config,
	.options = COMMAND_LINE_CONFIG,
};
