/* What the two sides of the launcher say to each other: one message, one packet. */
#ifndef VMM_LAUNCHER_IMPL_H
#define VMM_LAUNCHER_IMPL_H

#include "vmm/launcher.h"

enum launcher_verb { LAUNCHER_START, LAUNCHER_KILL };

struct launcher_request {
	uint32_t verb, program;
};

/* With LAUNCHER_STARTED come two descriptors, the connection and the output. */
struct launcher_message {
	uint32_t kind, program;
	int32_t pid, status;
	char step[24];
};

/*
 * The life of the launcher's process; 'socket' is its end.  It was forked from a program that may
 * have had threads: only async-signal-safe calls are made.
 */
_Noreturn void launcher_child_run(int socket, const struct launcher_program *program, unsigned n);

#endif
