/*
 * One run of "vireo exec": the VM as a child process, the agent in it, one command, and its input
 * and output.  One thread, one event loop; nothing waits for the guest without a limit.
 */
#ifndef EXEC_EXEC_RUN_H
#define EXEC_EXEC_RUN_H

#include "vmm/base/util.h"
#include "vmm/config.h"

struct exec_run_config {
	const struct vm_config *vm;	/* validated */
	const char *dir;		/* for the VM's files */
	char *const *command;		/* ends with NULL */
	char *const *env;		/* likewise */
	const char *cwd;		/* in the guest */
	uint64_t boot_ms;		/* the agent is there by then */
	bool tty;			/* the command gets a terminal */
	bool disposable;		/* what the guest has not written yet is of no use */
	bool verbose, quiet;
};

/*
 * Do it.  Everything in 'config' is borrowed.  What goes wrong is printed.  Returns the exit
 * status, or COMMAND_SIGNAL + n (command.h) if a signal that came for the command ended it.
 */
int exec_run(const struct exec_run_config *config);

#endif
