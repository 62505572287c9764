/* Names of system calls, for a signal handler to print. */
#ifndef VMM_SYSCALL_NAMES_H
#define VMM_SYSCALL_NAMES_H

#include "vmm/base/util.h"

/* "openat", or NULL for a number that has no name here.  Async-signal-safe. */
const char *syscall_name(int number);

#endif
