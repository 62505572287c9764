/*
 * A session with the agent in a guest: run commands there, copy files in and out, end the guest.
 * The other end is images/agent, and docs/agent.md says what the two exchange.  Everything happens
 * on one event loop, nothing blocks on the guest, and every buffer is bounded.
 *
 * The peer is a guest, so all that comes from it is judged.  What breaks the protocol ends the
 * session (failed), and only the session.
 */
#ifndef VMM_AGENT_H
#define VMM_AGENT_H

#include <sys/types.h>

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"

struct agent;

enum agent_stream {
	AGENT_STDOUT = 1,	/* and what a terminal shows */
	AGENT_STDERR = 2,
};

enum {
	AGENT_WINDOW = 64 << 10,	/* bytes of a stream that may be on their way at most */
	AGENT_OPS = 16,			/* runs and copies at once */
	AGENT_COMMAND_MAX = 256 << 10,	/* arguments, environment and directory, with a NUL each */
	AGENT_PATH_MAX = 4095,
	AGENT_WHY_MAX = 255,
};

/* Who is there.  All texts come from the guest: they are printable ASCII, or had it made so. */
struct agent_hello {
	unsigned version;		/* of the protocol, as agreed */
	bool is_init;			/* it is process 1 */
	char program[32];		/* the agent's own version */
	char release[65];		/* of the guest's kernel */
	char machine[65];
	char hostname[65];
	char trouble[AGENT_WHY_MAX + 1];	/* what of /vireo/boot could not be done, or "" */
};

enum agent_how {
	AGENT_EXITED,		/* value is the status */
	AGENT_SIGNALED,		/* value is the signal's number */
	AGENT_NOT_STARTED,	/* value is the errno, 'why' says what failed */
	AGENT_LOST,		/* the agent was started anew, nobody knows */
};

struct agent_end {
	enum agent_how how;
	int value;
	const char *why;	/* "" or printable; borrowed */
};

/*
 * What the owner hears, on the loop's thread.  It may call any function of this header from there,
 * agent_destroy too.  Those that are NULL are not called.
 *
 *   ready     the agent is there and may be used.  Again when it was started anew (the guest was
 *             reset, or its service restarted): what was in progress has been reported as lost then
 *   output    'len' bytes (1 or more) that 'run' wrote, borrowed.  Returns of how many the credit
 *             goes back to the run now: 'len' by those who are done with them; who keeps some
 *             returns fewer and calls agent_consumed() later.  A run whose output is not consumed
 *             is stopped by the kernel at its next write, no byte is lost
 *   ended     'run' ended and all of its output has been given; its number is free
 *   writable  'run' takes input again, after agent_input() took less than it was given
 *   copied    'copy' is over: 'err' is 0, or a positive errno and 'why' says what failed.
 *             ECONNRESET is of those that are lost, and of no other
 *   failed    the session is over: closed (ECONNRESET), or what the peer did wrong (EPROTO).  What
 *             was in progress has been reported before, as lost.  Only agent_destroy() may follow
 */
struct agent_ops {
	void (*ready)(void *arg, const struct agent_hello *hello);
	size_t (*output)(void *arg, uint32_t run, enum agent_stream stream, const void *buf,
			 size_t len);
	void (*ended)(void *arg, uint32_t run, const struct agent_end *end);
	void (*writable)(void *arg, uint32_t run);
	void (*copied)(void *arg, uint32_t copy, int err, const char *why);
	void (*failed)(void *arg, int err, const char *why);
};

/*
 * Begin a session over 'fd', a stream socket (consumed, also on failure).  Keeps 'ops' and 'arg'.
 * Whoever is at the other end is asked to say hello; 'ready' follows.
 *
 * Returns 0 and an owned session, or -errno with an error chain.  Loop's thread, as all below.
 */
MUST_USE int agent_create(struct agent **out, struct event_loop *loop, int fd,
			  const struct agent_ops *ops, void *arg);

/* End the session: the agent kills what runs; as process 1 it powers off.  NULL is fine. */
void agent_destroy(struct agent *agent);

/* May it be used (ready was called)? */
bool agent_is_ready(const struct agent *agent);

struct agent_command {
	char *const *argv;	/* ends with NULL; argv[0] is looked for in PATH, as by execvp(3) */
	char *const *env;	/* "NAME=VALUE", ends with NULL; NULL: PATH and HOME only */
	const char *cwd;	/* NULL: / */
	bool has_stdin;		/* else it reads an end of file */
	bool tty;		/* a terminal instead of pipes: all output is AGENT_STDOUT */
	uint16_t rows, columns;	/* of that terminal; 0: unknown */
};

/*
 * Start a command as root, in a session and process group of its own.  Everything is borrowed.
 *
 * Returns 0 and its number (not 0), and 'ended' will follow; -ENOTCONN (not ready), -EBUSY
 * (AGENT_OPS are in progress), -E2BIG, -EINVAL (no argv[0]), -EAGAIN (the guest does not read what
 * was sent before), with an error chain.
 */
MUST_USE int agent_run(struct agent *agent, const struct agent_command *command, uint32_t *run);

/*
 * Give input.  Returns how many of 'len' bytes were taken (maybe 0: wait for 'writable'), or -EPIPE
 * when it has no input (any more), or its command does not read it.
 */
ssize_t agent_input(struct agent *agent, uint32_t run, const void *buf, size_t len);

/* No more input: end of file comes after what was given; again is fine. */
void agent_input_end(struct agent *agent, uint32_t run);

/* 'n' more bytes of output have been dealt with (see 'output'). */
void agent_consumed(struct agent *agent, uint32_t run, enum agent_stream stream, size_t n);

/*
 * Send a signal to the run's process group (by the number Linux/x86_64 gives it).  One whose run
 * has ended meanwhile is dropped.  Returns 0; -ESRCH, -EAGAIN (see agent_run).
 */
MUST_USE int agent_signal(struct agent *agent, uint32_t run, int signal);

/* Tell the run's terminal its size.  Returns as agent_signal. */
MUST_USE int agent_resize(struct agent *agent, uint32_t run, uint16_t rows, uint16_t columns);

/*
 * Copy the regular file 'host_path' to 'guest_path' (a name, not a folder).  The file appears there
 * whole or not at all, with the permissions 'mode' (0: those of the host's file).
 *
 * Returns 0 and a number, and 'copied' will follow; -errno with an error chain.
 */
MUST_USE int agent_copy_in(struct agent *agent, const char *host_path, const char *guest_path,
			   unsigned mode, uint32_t *copy);

/*
 * Copy a regular file, or a folder with all that is in it, from 'guest_path' to 'host_path' (the
 * name of the copy, its folder exists).  Inside of a folder, links and special files are left out.
 * A link at 'guest_path' is followed, in the guest; none is on the host.  A file that was there is
 * replaced, a folder that was there is added to.
 *
 * Returns as agent_copy_in.  Whatever the guest says, nothing outside of 'host_path' is touched,
 * and at most 4 GiB in 65536 files are written.
 */
MUST_USE int agent_copy_out(struct agent *agent, const char *guest_path, const char *host_path,
			    uint32_t *copy);

enum agent_power {
	AGENT_OFF,
	AGENT_REBOOT,
};

/*
 * Ask for the guest's end: by its init where that is another program.  Returns 0; -ENOTCONN,
 * -EAGAIN.  The session ends when the guest does.
 */
MUST_USE int agent_poweroff(struct agent *agent, enum agent_power how);

#endif
