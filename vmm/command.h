/* What the first word after "vireo" can be.  A command prints and returns; only main() exits. */
#ifndef VMM_COMMAND_H
#define VMM_COMMAND_H

#include <stdio.h>

#include "vmm/base/util.h"
#include "vmm/command_line.h"

/* Added to a signal's number: the command wants the process to end as that signal would end it. */
enum { COMMAND_SIGNAL = 256 };

struct completion;

struct command {
	const char *name;
	const char *summary;	/* one line, for 'vireo help' */
	/*
	 * 'argv' begins after the command's name.  Returns the exit status, or COMMAND_SIGNAL +
	 * n.
	 */
	int (*run)(int argc, char **argv);
	void (*help)(FILE *out);
	enum command_line_of options;	/* it describes a VM and takes those of run; or 0 */
	/*
	 * Offer what the last of its words can become (completion.h); NULL: what 'options' says.
	 */
	void (*complete)(struct completion *c, unsigned n, char *const *words);
};

extern const struct command run_command;
extern const struct command exec_command;
extern const struct command test_command;
extern const struct command check_command;
extern const struct command config_command;
extern const struct command export_command;
extern const struct command ctl_command;
extern const struct command ps_command;
extern const struct command top_command;
extern const struct command explain_command;
extern const struct command timeline_command;
extern const struct command kernel_command;
extern const struct command doctor_command;
extern const struct command agent_command;
extern const struct command completion_command;
extern const struct command help_command;
extern const struct command version_command;

/* All of them, in the order of the help. */
extern const struct command *const commands[];
extern const unsigned commands_len;

/* The command called 'name', or NULL. */
const struct command *command_find(const char *name);

/* Say that there is no command 'name', and which was meant.  Returns the exit status. */
int command_unknown(const char *name);

/* Note an argument that a command does not take.  Returns the exit status. */
int command_unexpected(const struct command *command, const char *arg);

#endif
