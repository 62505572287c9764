/*
 * A session with the real agent, as a process of this host over a socket pair; or with a peer that
 * the test plays itself, byte by byte, in either role.
 */
#ifndef TESTS_VMM_AGENT_RIG_H
#define TESTS_VMM_AGENT_RIG_H

#include <sys/types.h>

#include "vmm/agent/agent.h"
#include "vmm/agent/agent_wire.h"

enum { RIG_OUTPUT = 1 << 20, RIG_RUNS = 64 };

struct rig_run {
	bool ended, is_writable;
	struct agent_end end;
	char why[AGENT_WHY_MAX + 1];
	size_t len[3];			/* of all that came; the first RIG_OUTPUT are kept */
	char *out[3];
};

struct agent_rig {
	struct event_loop *loop;
	struct agent *agent;
	pid_t pid;			/* of the agent, or 0 */
	int peer;			/* the other end, where the test plays it */
	struct event_source timer;
	bool is_late;
	unsigned n_ready;
	struct agent_hello hello;
	struct rig_run run[RIG_RUNS];	/* by number */
	bool copied[RIG_RUNS];
	int copy_err[RIG_RUNS];
	char copy_why[RIG_RUNS][AGENT_WHY_MAX + 1];
	int failed;			/* errno of the session's end, 0: it goes on */
	char failure[AGENT_WHY_MAX + 1];
	bool keeps_output;		/* give no credit back: the test does */
	void (*on_output)(struct agent_rig *rig, uint32_t run);
	char folder[64];		/* for files, removed at the end */
};

/* Start the real agent and wait until it is ready; or, the test is the guest. */
void rig_start(struct agent_rig *rig);
void rig_start_alone(struct agent_rig *rig);
void rig_end(struct agent_rig *rig);

/* Only the agent: the test is the host, at 'peer'. */
void rig_start_guest(struct agent_rig *rig);

/* Run the loop until there was a callback; false once 30 s have passed since the start. */
bool rig_turn(struct agent_rig *rig);
#define RIG_WAIT(rig, condition)                                                                   \
	do {                                                                                       \
		while (!(condition))                                                               \
			cr_assert(rig_turn(rig), "in time: %s (%s)", #condition, (rig)->failure);  \
	} while (0)

/* Run argv[0...] with an end of file as input, and wait for its end. */
struct rig_run *rig_run(struct agent_rig *rig, const char *const *argv);
uint32_t rig_begin(struct agent_rig *rig, const struct agent_command *command);
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SHELL(text) WORDS("sh", "-c", text)
#define COMMAND(...) ((char *const[]){ __VA_ARGS__, NULL })

/* --- Files ------------------------------------------------------------------------------------ */

/* 'name' in the rig's folder; good for the next three calls. */
char *rig_path(const struct agent_rig *rig, const char *name);

/* Write a file of that size and mode; is it there, as that wrote it? */
void rig_put_file(const char *path, size_t len, unsigned mode);
void rig_expect_file(const char *path, size_t len, unsigned mode);

/* No file begins with ".vireo" there: nothing is left of copies that failed. */
void rig_expect_nothing_left(const struct agent_rig *rig);

/* --- The peer, played by the test ------------------------------------------------------------- */

void peer_send(struct agent_rig *rig, uint8_t type, uint8_t stream, uint32_t op,
	       const void *payload, size_t len);

/*
 * Read the next frame (the payload into 'buf', of WIRE_RUN_HEAD + WIRE_COMMAND_MAX bytes), waiting
 * for 10 s at most.  False when the other end has closed instead.
 */
bool peer_receive(struct agent_rig *rig, struct wire_head *head, uint8_t *buf);

/* As an agent, or a host, that keeps the rules so far: until the session is open. */
void peer_say_hello(struct agent_rig *rig, uint64_t id, unsigned min, unsigned max);
void peer_be_welcomed(struct agent_rig *rig);
void peer_welcome(struct agent_rig *rig, uint8_t id[8]);	/* fills the agent's number */

/* Wait for a frame of this type, dropping others; its payload's length, or -1. */
ssize_t peer_await(struct agent_rig *rig, uint8_t type, struct wire_head *head, uint8_t *buf);

#endif
