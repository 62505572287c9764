/* From how a command in the guest ended to what "vireo exec" exits with.  An ABI: docs/exec.md. */
#ifndef EXEC_EXEC_STATUS_H
#define EXEC_EXEC_STATUS_H

#include "vmm/agent/agent.h"

enum { EXEC_SIGNAL_BASE = 128, EXEC_CANNOT = 126, EXEC_NOT_FOUND = 127 };

/*
 * The status of 'end': the command's own, 128 and a signal's number, or 126 and 127 as a shell has
 * them for a command that cannot be run or is not there.  Those that only Vireo gives (120-125) are
 * 119 if they are the command's.
 */
int exec_status(const struct agent_end *end);

#endif
