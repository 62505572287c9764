/* "vireo check": everything that would keep a VM from running, without running it. */
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/command_line.h"
#include "vmm/help.h"
#include "vmm/host_check.h"
#include "vmm/outcome.h"
#include "vmm/vm_command.h"

/* "web.yaml: fine", or what else there was to check. */
static void say_fine(const struct vm_config *config)
{
	bool is_first = true;

	for (unsigned i = 0; i < config->origins.n_files; i++) {
		const struct origin_file *file = config->origins.file[i];

		if (file->includer)
			continue;
		printf("%s%s", is_first ? "" : ", ", file->name);
		is_first = false;
	}
	printf("%s: fine\n", is_first ? "vireo" : "");
}

static int check(struct vm_config *config, const struct run_switches *switches,
		 struct mistakes *mistakes, const void *arg)
{
	struct mistakes warnings = { 0 };
	bool whole = mistakes->n == 0;

	(void)arg;
	log_set_level(switches->verbose ? LOG_INFO : LOG_WARNING);
	config_validate(config, mistakes);
	if (whole)
		config_need_kernel(config, mistakes);
	/* The host is of interest to a VM that makes sense. */
	if (mistakes->n == 0)
		host_check(config, mistakes, &warnings);
	mistakes_print(&warnings, stderr);
	mistakes_print(mistakes, stderr);
	if (mistakes->n == 0)
		say_fine(config);
	return mistakes->status;
}

static int check_main(int argc, char **argv)
{
	return vm_command_as_read(&check_command, argc, argv, check, NULL);
}

const struct command check_command = {
	.name = "check",
	.summary = "tell what would keep a virtual machine from running here",
	.run = check_main,
	.help = help_check,
	.options = COMMAND_LINE_CHECK,
};
