/* vireo: finds the command and ends the process with its status.  Nothing else exits. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/command.h"
#include "vmm/help.h"
#include "vmm/outcome.h"
#include "vmm/report/timeline.h"
#include "vmm/signals.h"

/* "--help" and friends are what people try first. */
static const struct command *command_of(const char *word)
{
	if (!strcmp(word, "--help") || !strcmp(word, "-h"))
		return &help_command;
	if (!strcmp(word, "--version") || !strcmp(word, "-V"))
		return &version_command;
	return command_find(word);
}

static int run_program(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		help_program(stderr);
		return STATUS_FAILED;
	}
	command = command_of(argv[1]);
	return command ? command->run(argc - 2, argv + 2) : command_unknown(argv[1]);
}

/* What was printed has to arrive: "vireo help >/dev/full" is not a success. */
static int close_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (status != STATUS_OK)
		return status;
	error_set(errno, "write to standard output");
	error_print(stderr);
	return STATUS_FAILED;
}

int main(int argc, char **argv)
{
	timeline_begin();
	/*
	 * One heap for all threads. They allocate little while the guest runs; and to find out
	 * how many heaps it may have, glibc would open a file, which the sandbox does not allow.
	 */
	mallopt(M_ARENA_MAX, 1);

	int status = close_output(run_program(argc, argv));

	if (status >= COMMAND_SIGNAL) {
		signals_die_by(status - COMMAND_SIGNAL);
		status = 128 + (status - COMMAND_SIGNAL);	/* it is ignored, it seems */
	}
	exit(status);
}
