/* The file that a console or a port of the guest writes to. */
#ifndef VMM_TARGET_FILE_H
#define VMM_TARGET_FILE_H

#include "vmm/base/util.h"

/*
 * Make or empty it.  A FIFO that nobody reads does not hang us.  Returns 0 and an owned descriptor,
 * or -errno with an error chain.
 */
MUST_USE int target_file_open(int *out, const char *path);

#endif
