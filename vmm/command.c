#include "vmm/command.h"

#include <string.h>

#include "vmm/base/text.h"
#include "vmm/outcome.h"

const struct command *const commands[] = {
	&run_command,
	&exec_command,
	&test_command,
	&check_command,
	&config_command,
	&export_command,
	&ps_command,
	&ctl_command,
	&top_command,
	&explain_command,
	&timeline_command,
	&kernel_command,
	&doctor_command,
	&agent_command,
	&completion_command,
	&help_command,
	&version_command,
};
const unsigned commands_len = ARRAY_SIZE(commands);

const struct command *command_find(const char *name)
{
	for (unsigned i = 0; i < commands_len; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

int command_unknown(const char *name)
{
	const char *names[ARRAY_SIZE(commands)], *near;

	if (command_line_is_vm_file(name)) {
		fprintf(stderr, "vireo: unknown command '%s'; did you mean 'vireo run %s'?\n", name,
			name);
		return STATUS_FAILED;
	}

	for (unsigned i = 0; i < commands_len; i++)
		names[i] = commands[i]->name;
	near = text_nearest(name, names, commands_len);
	if (near)
		fprintf(stderr, "vireo: unknown command '%s'; did you mean '%s'?\n", name, near);
	else
		fprintf(stderr, "vireo: unknown command '%s'; 'vireo help' lists them\n", name);
	return STATUS_FAILED;
}

int command_unexpected(const struct command *command, const char *arg)
{
	fprintf(stderr, "vireo: '%s' does not take '%s'; see 'vireo help %s'\n", command->name, arg,
		command->name);
	return STATUS_FAILED;
}
