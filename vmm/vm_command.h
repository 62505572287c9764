/*
 * What the commands have in common that describe a VM and do something else with it than to run it:
 * read the command line, give help, tell mistakes, do the work.
 */
#ifndef VMM_VM_COMMAND_H
#define VMM_VM_COMMAND_H

#include "vmm/command.h"
#include "vmm/config.h"

/*
 * Run 'command' (with its 'options') on its arguments.  'judge' (or NULL) notes what is wrong about
 * the switches; 'work' gets a valid configuration and returns the exit status.
 */
int vm_command(const struct command *command, int argc, char **argv,
	       void (*judge)(const struct run_switches *switches, struct mistakes *mistakes),
	       int (*work)(const struct vm_config *config, const struct run_switches *switches));

/*
 * The same for who judges the configuration in a way of its own: 'work' gets it as it was read,
 * with the mistakes that were found until then, tells them, and returns the exit status.
 */
typedef int vm_command_fn(struct vm_config *config, const struct run_switches *switches,
			  struct mistakes *mistakes, const void *arg);
int vm_command_as_read(const struct command *command, int argc, char **argv, vm_command_fn *work,
		       const void *arg);

#endif
