/*
 * The launcher: a process of its own that starts helper programs (virtiofsd) for Vireo, also when
 * Vireo is in its sandbox, where nothing can be started.
 *
 * It is made before threads are, and knows from then on which programs there are: all that can be
 * asked of it afterwards is to start or to kill number N, so that a Vireo that somebody took over
 * has nothing else of it.  Each program is started with a fresh Unix socket that listens as its
 * descriptor 3, to which one connection is made already, Vireo's; whoever else knows the address
 * finds no room in the queue.  Its output goes into a pipe.
 *
 * Nobody outlives Vireo: when the launcher's socket hangs up, however Vireo ended, the programs
 * have LAUNCHER_GRACE_MS to end by themselves (their connection is gone, too), then they are
 * killed.  They die with the launcher as well.  What is done in that process is in
 * launcher_child.c.
 */
#ifndef VMM_LAUNCHER_H
#define VMM_LAUNCHER_H

#include "vmm/base/util.h"

enum { LAUNCHER_MAX_PROGRAMS = 64, LAUNCHER_SOCKET = 3, LAUNCHER_GRACE_MS = 1000 };

/* How a program is started.  All is as it was at launcher_create(). */
struct launcher_program {
	char *const *argv;		/* argv[0] is a path; ends with NULL */
	/*
	 * In a user namespace, in which it is root and nobody else exists: "0 1000 1".  NULL: as
	 * who Vireo is.
	 */
	const char *uid_map, *gid_map;
	/*
	 * In a mount namespace of its own where the tree of mounts below 'tree' is found at
	 * 'tree_at', too, read-only if that is wanted.  NULL: as it is.
	 */
	const char *tree, *tree_at;
	bool tree_readonly;
};

enum launcher_kind {
	LAUNCHER_STARTED,
	LAUNCHER_FAILED,		/* it could not be started, or is of no use and is ended */
	LAUNCHER_ENDED,			/* after LAUNCHER_STARTED */
};

struct launcher_news {
	enum launcher_kind kind;
	unsigned program;
	int pid;			/* STARTED; for people */
	/* STARTED: owned by who takes the news, else FD_NONE; the output does not block. */
	int socket, output;
	int status;			/* ENDED: as of waitpid(2); FAILED: an errno */
	char step[24];			/* FAILED: what could not be done */
};

struct launcher;

/*
 * Make the launcher for 'n' programs (borrowed; at most LAUNCHER_MAX_PROGRAMS).  Best while the
 * caller has one thread.  Returns 0 or -errno with an error chain.
 */
MUST_USE int launcher_create(struct launcher **out, const struct launcher_program *program,
			     unsigned n);
/* Close it and wait, a bounded time, until nothing that it started is left.  NULL is fine. */
void launcher_destroy(struct launcher *l);

/*
 * Have a program started or killed; what becomes of it is told.  Works in the sandbox, as all
 * below.  Returns 0 or -errno with an error chain: there is no launcher any more.
 */
MUST_USE int launcher_start(struct launcher *l, unsigned program);
MUST_USE int launcher_kill(struct launcher *l, unsigned program);

/* For an event loop: readable when there is news. */
int launcher_fd(const struct launcher *l);

/*
 * Take a piece of news; wait for it for 'timeout_ms' at most.  Returns 0; -EAGAIN: there is none;
 * -EPIPE: the launcher is gone, and all that it started; neither with an error chain.
 */
MUST_USE int launcher_next(struct launcher *l, struct launcher_news *news, int timeout_ms);

#endif
