/*
 * The run directory of a VM: where its control socket, its logs and its effective configuration
 * are, for as long as it runs.  One process has it, by a lock; what a dead one left is cleaned up
 * by the next.  Everything is done relative to the directory's descriptor: whoever changes names
 * around it meanwhile gains nothing.
 *
 *   lock           held (flock) while the VM lives; its text is the process id
 *   control        the control socket, mode 0600
 *   config.json    the effective configuration
 *   console.log    what the guest said, and console.log.1: before that (log_file.h)
 *   events.jsonl   what happened, and events.jsonl.1
 *   report.txt     what everything was at when the guest hung, crashed or panicked, or somebody
 *                  asked by signal
 *
 * At the end the directory goes away.  After a failure, and if the user named it (--run-dir), only
 * 'lock' and 'control' do.
 */
#ifndef CONTROL_RUN_DIR_H
#define CONTROL_RUN_DIR_H

#include <sys/types.h>

#include "vmm/base/fd.h"
#include "vmm/base/util.h"

enum { RUN_DIR_PATH_SIZE = 512, RUN_NAME_MAX = 64 };

struct run_dir {
	int fd;
	int lock_fd;
	int base_fd;		/* the directory that it is in, or FD_NONE: not ours to remove */
	char name[RUN_NAME_MAX + 1];	/* in 'base_fd' */
	char path[RUN_DIR_PATH_SIZE];
};
#define RUN_DIR_INIT { .fd = FD_NONE, .lock_fd = FD_NONE, .base_fd = FD_NONE }

/* Can a VM be called so?  Letters, digits, "._-", not "." or "-" in first place, at most 64. */
bool run_name_is_valid(const char *name);

/*
 * Where the directories of this user's VMs are: $XDG_RUNTIME_DIR/vireo, for root without that
 * /run/vireo, for others /tmp/vireo-UID.
 */
void run_dir_base(char path[RUN_DIR_PATH_SIZE]);

/*
 * Make the directory of 'name' below the base, or 'path' if that is not NULL, and take it.
 *
 * Returns 0; -EBUSY, with the process that has it, if it is that of a VM that lives; -EPERM if the
 * directory is not ours alone; -errno.  With an error chain, and run_dir_close() is still to be
 * called.
 */
MUST_USE int run_dir_create(struct run_dir *rd, const char *name, const char *path);

/*
 * The end: give it up, and remove what is to go.  'keep' keeps the logs.  Works in the sandbox
 * (SANDBOX_RUN_DIR).  RUN_DIR_INIT and half-built are fine.
 */
void run_dir_close(struct run_dir *rd, bool keep);

/* The process that has the directory 'fd', 0 if nobody does, or -errno. */
pid_t run_dir_owner(int fd);

/*
 * Open the directory of a VM for reading: 'name' below the base, or a path if it has a '/'.
 * Returns the descriptor or -errno, with an error chain.
 */
MUST_USE int run_dir_open(const char *name);

/*
 * Call 'each' for every VM that has a directory below the base, live or not, in no order; 'fd' is
 * borrowed.  Returns how many.
 */
unsigned run_dir_each(void (*each)(void *arg, const char *name, int fd), void *arg);

/* Remove the socket and the lock that a dead VM left in 'fd'.  Returns true if there were any. */
bool run_dir_clean(int fd);

#endif
