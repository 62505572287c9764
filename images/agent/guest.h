/*
 * The agent: one thread, one poll loop, fixed tables, no memory but its own.  It is root's shell
 * for whoever holds the other end of its port; what comes from there is judged all the same, so
 * that a mistake of the host is not taken for one of the guest.
 *
 *   main.c     arguments, the loop          boot.c    what process 1 does at first
 *   port.c     the way to the host          modules.c loads them
 *   session.c  frames in and out            power.c   the end of the guest
 *   ops.c      what is in progress          say.c     words for people
 *   run.c      one command, spawn.c its start
 *   copy_in.c  copy_out.c  one copy
 */
#ifndef AGENT_GUEST_H
#define AGENT_GUEST_H

#include <poll.h>
#include <signal.h>
#include <sys/types.h>

#include "vmm/agent/agent_wire.h"

#define AGENT_PROGRAM "1"	/* told to the host, for people */

/* --- say.c ------------------------------------------------------------------------------------ */

/* Write a line where people look: the kernel's log as process 1, else standard error. */
void say(const char *fmt, ...) PRINTF_LIKE(1, 2);
extern bool is_init;

uint64_t now_ms(void);
void close_fd(int *fd);

/* --- port.c ----------------------------------------------------------------------------------- */

struct port {
	const char *name;	/* of a virtio-console port */
	long vsock;		/* or a port of the host, or -1 */
	int fd;			/* or one that was given, or -1 */
	bool told;		/* it was said that it is not there */
};

/*
 * Wait until somebody is at the other end; 'idle' is called in between, some times a second.
 * Returns a descriptor that does not block, or -1 when that is final.
 */
int port_open(struct port *port, void (*idle)(void));

/* --- session.c -------------------------------------------------------------------------------- */

/* Begin with a port that is open. */
void session_begin(int fd, const char *trouble);

/* Forget it: what runs is killed. */
void session_end(void);

/* Is it over: did the host close, or break the protocol? */
bool session_is_lost(void);
bool session_was_open(void);

/* What to wait for at the port. */
short session_wants(void);

/* Something is to be read / is to be sent: do what can be done without waiting. */
void session_read(void);
void session_write(void);

/*
 * Room for a frame of up to 'max' bytes of payload: where to put them, or NULL when the host does
 * not read.  session_put sends 'len' of them; what was not put was never there.
 */
uint8_t *session_room(size_t max);
void session_put(uint8_t type, uint8_t stream, uint32_t op, size_t len);

/* The host did what it must not do. */
void session_complain(const char *what);

/* --- ops.c ------------------------------------------------------------------------------------ */

enum op_kind { OP_NONE, OP_RUN, OP_IN, OP_OUT };

enum {
	WALK_DEPTH = 24,
	DENTS = 2048,
	INPUT = WIRE_WINDOW,
	GRACE_MS = 200,		/* after its process, what of a run's output may still come */
};

struct walk_level {
	int fd;
	size_t name_len;	/* of its own path, in 'name' */
	int at, len;		/* in 'dents' */
	uint8_t dents[DENTS] __attribute__((aligned(8)));
};

struct run {
	pid_t pid;
	bool tty, exited;
	int status;
	uint64_t deadline;	/* of its output, once it exited */
	int exec_fd;		/* tells why it did not start */
	int in_fd, out_fd[2];
	bool in_end;		/* the host's */
	bool in_closed_due;	/* the host has to hear that nobody reads */
	bool drains;		/* the deadline has passed */
	int left[2];		/* bytes that are still taken then */
	size_t in_at, in_len;
	uint8_t in[INPUT];
};

struct copy_in {
	int fd;
	unsigned mode;
	char path[WIRE_PATH_MAX + 1], temp[WIRE_PATH_MAX + 32];
};

struct copy_out {
	int fd;				/* of the file that is read now */
	int depth;			/* of 'level', 0: no folder is open */
	char name[WIRE_PATH_MAX + 1];	/* below the top */
	struct walk_level level[WALK_DEPTH];
};

struct op {
	enum op_kind kind;
	uint32_t id;
	bool over;			/* nothing is left but to tell */
	int err;
	char why[256];
	uint32_t credit[WIRE_STREAMS];	/* ours to send; of stdin: what the host may send */
	uint32_t due;			/* credit for stdin that it has to be told of */
	union {
		struct run run;
		struct copy_in in;
		struct copy_out out;
	};
};

extern struct op ops[WIRE_OPS];

/* A frame with an op, whose head has been judged. */
void ops_frame(const struct wire_head *head, const uint8_t *payload);

/* Go on with all, as far as the host reads. */
void ops_pump(void);
void ops_reset(void);

/* What to poll for; the entries that are used.  And how long at most (-1: for ever). */
unsigned ops_poll(struct pollfd *fds);
int ops_timeout(void);

/* A child is gone; those of no op are orphans. */
void ops_reap(pid_t pid, int status);

void op_fail(struct op *op, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* --- one kind each ---------------------------------------------------------------------------- */

/* 'payload' is RUN's.  It is over at once when the command cannot be started. */
void run_begin(struct op *op, const uint8_t *payload, size_t len);
void run_data(struct op *op, const uint8_t *payload, size_t len);
void run_pump(struct op *op);
void run_signal(struct op *op, int n);
void run_kill(struct op *op);
unsigned run_poll(struct op *op, struct pollfd *fds);

struct spawn {
	char *const *argv, *const *env;
	const char *cwd;
	bool has_stdin, tty;
	uint16_t rows, columns;
};

/* Start it: fills the descriptors and the pid of 'op'.  Returns 0, or an errno with 'why' set. */
int spawn_start(struct op *op, const struct spawn *spawn);
void spawn_set_size(int fd, uint16_t rows, uint16_t columns);

void copy_in_begin(struct op *op, const uint8_t *payload, size_t len);
void copy_in_data(struct op *op, const uint8_t *payload, size_t len);
void copy_in_end(struct op *op);
void copy_in_stop(struct op *op);

void copy_out_begin(struct op *op, const uint8_t *payload, size_t len);
void copy_out_pump(struct op *op);
void copy_out_stop(struct op *op);

/* --- process 1 -------------------------------------------------------------------------------- */

/* Returns what went wrong for good, or "". */
const char *boot_all(struct port *port);

/* Make a folder and those above it. */
int make_folders(const char *path, unsigned mode);

void modules_load(const char *list);

/* POWER: ask whoever is process 1, or do it.  Does not return as process 1. */
void power_ask(int how);
_Noreturn void power_end(int command);

#endif
