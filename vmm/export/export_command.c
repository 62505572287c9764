/* "vireo export": the same VM for other programs. */
#include "vmm/base/error.h"
#include "vmm/export/export_qemu.h"
#include "vmm/help.h"
#include "vmm/outcome.h"
#include "vmm/vm_command.h"

static void judge(const struct run_switches *switches, struct mistakes *mistakes)
{
	if (!switches->qemu)
		mistakes_add(mistakes, "for which program? Give '--qemu'");
}

static int export(const struct vm_config *config, const struct run_switches *switches)
{
	(void)switches;
	if (export_qemu(stdout, config) == 0)
		return STATUS_OK;
	error_print(stderr);
	return STATUS_FAILED;
}

static int export_main(int argc, char **argv)
{
	return vm_command(&export_command, argc, argv, judge, export);
}

const struct command export_command = {
	.name = "export",
	.summary = "write a VM as a command line for QEMU",
	.run = export_main,
	.help = help_export,
	.options = COMMAND_LINE_EXPORT,
};
