/* "vireo export": the same VM for other programs. */
#include <errno.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/command.h"
#include "vmm/command_line.h"
#include "vmm/config.h"
#include "vmm/export/export_qemu.h"
#include "vmm/help.h"
#include "vmm/outcome.h"

static int export_main(int argc, char **argv)
{
	struct run_switches switches = { .command = COMMAND_LINE_EXPORT };
	struct mistakes mistakes = { 0 };
	struct vm_config config;
	int status = STATUS_FAILED;

	if (config_init(&config) < 0) {
		error_print(stderr);
		return status;
	}
	command_line_read(argc, argv, &config, &switches, &mistakes);
	config_validate(&config, &mistakes);
	if (!switches.help && !switches.qemu)
		mistakes_add(&mistakes, "for which program? Give '--qemu'");
	if (switches.help) {
		export_command.help(stdout);
		status = STATUS_OK;
	} else if (mistakes.n) {
		mistakes_print(&mistakes, stderr);
		status = mistakes.status;
	} else if (export_qemu(stdout, &config) == 0) {
		status = STATUS_OK;
	} else {
		error_print(stderr);
	}
	config_fini(&config);
	return status;
}

const struct command export_command = {
	.name = "export",
	.summary = "write a VM as a command line for QEMU",
	.run = export_main,
	.help = help_export,
	.options = COMMAND_LINE_EXPORT,
};
