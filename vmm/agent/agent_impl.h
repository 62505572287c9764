/* The inside of a session: shared by agent.c (frames), agent_op.c (runs), agent_copy_*.c. */
#ifndef VMM_AGENT_IMPL_H
#define VMM_AGENT_IMPL_H

#include "vmm/agent/agent.h"
#include "vmm/agent/agent_wire.h"

enum {
	AGENT_RX = 64 << 10,
	AGENT_TX = 512 << 10,
	/* Data waits here up to this much; the rest is for what must not wait. */
	AGENT_TX_DATA = 64 << 10,
	AGENT_TX_RESERVE = 4 << 10,	/* and this is for the session itself */
	AGENT_COPY_FILES = 65536,
};

enum agent_op_kind { AGENT_OP_NONE, AGENT_OP_RUN, AGENT_OP_IN, AGENT_OP_OUT };

struct agent_copy {
	int fd;				/* the file that is read or written now */
	int folder_fd;			/* out: what 'base' is in */
	int root_fd;			/* out: the folder that is made, if it is one */
	char base[256], temp[256];	/* out: the name in the end, and before */
	bool has_top, has_temp;
	bool cancelled;			/* because of 'err', ours */
	int err;
	char why[AGENT_WHY_MAX + 1];
	uint64_t n_bytes;
	unsigned n_files, n_skipped;
};

struct agent_op {
	enum agent_op_kind kind;
	uint32_t id;
	uint32_t credit;			/* of stdin: what we may send */
	uint32_t window[WIRE_STREAMS];		/* of the others: what the agent may send */
	uint32_t due[WIRE_STREAMS];		/* credit that it is to be given */
	uint32_t given[WIRE_STREAMS];		/* to the owner, and not consumed */
	bool input_closed;			/* nobody reads, or nobody writes any more */
	bool input_unread;			/* nobody reads: the agent said so */
	bool end_due;				/* END of the input waits for room */
	bool wants_writable;
	struct agent_copy copy;
};

enum agent_state { AGENT_CALLS, AGENT_OPEN, AGENT_FAILED };

struct agent {
	struct event_loop *loop;
	struct event_source source;
	struct event_post post;		/* tells of the failure */
	const struct agent_ops *ops;
	void *arg;
	enum agent_state state;
	bool doomed;			/* destroyed by a callback: freed after it */
	unsigned busy;			/* callbacks may be running */
	bool watches_out;
	bool is_mute;			/* nobody reads what we send: it is dropped */
	int err;
	char why[AGENT_WHY_MAX + 1];
	uint64_t host_id, agent_id;
	uint32_t next_op;
	struct agent_op op[AGENT_OPS];
	size_t rx_at, rx_len, tx_at, tx_len;
	uint8_t rx[AGENT_RX], tx[AGENT_TX];
};

/* The session is over: noted here, told from the loop.  Whoever called goes on, sending nothing. */
void agent_fail(struct agent *agent, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * Room for a frame with 'len' bytes of payload if 'reserve' bytes are left free after it; NULL when
 * the guest does not read.  agent_put sends what was put there.
 */
uint8_t *agent_room(struct agent *agent, size_t len, size_t reserve);
void agent_put(struct agent *agent, uint8_t type, uint8_t stream, uint32_t op, size_t len);

/* May data be put, without being in the way of other frames? */
bool agent_data_fits(const struct agent *agent);

/* A new op, or NULL with an error chain in '*r' (see agent_run). */
struct agent_op *agent_op_new(struct agent *agent, enum agent_op_kind kind, int *r);

/* A frame of an op from the agent, whose head has been judged. */
void agent_op_frame(struct agent *agent, const struct wire_head *head, const uint8_t *payload);

/* Go on with what waited for credit or room. */
void agent_ops_pump(struct agent *agent);

/* All that is in progress is lost. */
void agent_ops_lose(struct agent *agent, const char *why);
void agent_ops_forget(struct agent *agent);

/* Copies: send what can be sent; take what came; let go.  The last says what to tell the owner. */
void agent_copy_in_pump(struct agent *agent, struct agent_op *op);
void agent_copy_out_entry(struct agent *agent, struct agent_op *op, const uint8_t *payload,
			  size_t len);
void agent_copy_out_data(struct agent *agent, struct agent_op *op, const uint8_t *payload,
			 size_t len);
void agent_copy_out_done(struct agent_op *op);
void agent_copy_fini(struct agent_op *op);

/*
 * What we could not do ends the copy at the other end, too: CANCEL is sent, at once or when there
 * is room; what comes until then is dropped.
 */
void agent_copy_send_cancel(struct agent *agent, struct agent_op *op);
void agent_copy_cancel(struct agent *agent, struct agent_op *op, int err, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

#endif
