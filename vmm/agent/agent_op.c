/*
 * What is in progress: a table of runs and copies.  Both ends hold an account for each stream: what
 * the other may still send.  So nobody needs more memory than a window, and nobody waits for one
 * stream because of another.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/agent/agent_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

static struct agent_op *op_of(struct agent *agent, uint32_t id, enum agent_op_kind kind)
{
	for (unsigned i = 0; id != 0 && i < AGENT_OPS; i++) {
		struct agent_op *op = &agent->op[i];
		if (op->kind != AGENT_OP_NONE && op->id == id &&
		    (kind == AGENT_OP_NONE || op->kind == kind))
			return op;
	}
	return NULL;
}

struct agent_op *agent_op_new(struct agent *agent, enum agent_op_kind kind, int *r)
{
	struct agent_op *op = NULL;

	if (agent->state != AGENT_OPEN) {
		*r = error_set(ENOTCONN, "there is no agent in the guest (yet)");
		return NULL;
	}
	for (unsigned i = 0; i < AGENT_OPS && !op; i++)
		if (agent->op[i].kind == AGENT_OP_NONE)
			op = &agent->op[i];
	/* Numbers only go up, and are never used again. */
	if (!op || agent->next_op == UINT32_MAX) {
		*r = error_set(EBUSY, "%d commands and copies are in progress", AGENT_OPS);
		return NULL;
	}
	*op = (struct agent_op){
		.kind = kind, .id = agent->next_op++, .credit = WIRE_WINDOW,
		.window = { 0, WIRE_WINDOW, WIRE_WINDOW },
		.copy = { .fd = FD_NONE, .folder_fd = FD_NONE, .root_fd = FD_NONE },
	};
	return op;
}

/* What a list of texts needs, each with its NUL; a sum above the limit stays there. */
static size_t measure(char *const *texts, uint32_t *n)
{
	size_t len = 0;

	*n = 0;
	for (; texts && *texts && len <= WIRE_COMMAND_MAX; texts++) {
		len += strlen(*texts) + 1;
		++*n;
	}
	return len;
}

static uint8_t *put_texts(uint8_t *p, char *const *texts)
{
	for (; texts && *texts; texts++) {
		size_t len = strlen(*texts) + 1;
		memcpy(p, *texts, len);
		p += len;
	}
	return p;
}

int agent_run(struct agent *agent, const struct agent_command *command, uint32_t *run)
{
	const char *cwd = command->cwd ? command->cwd : "/";
	uint32_t argc, envc;
	size_t len = measure(command->argv, &argc) + measure(command->env, &envc) + strlen(cwd) + 1;
	struct agent_op *op;
	int r = 0;

	*run = 0;
	if (argc == 0)
		return error_set(EINVAL, "run nothing");
	if (len > WIRE_COMMAND_MAX)
		return error_set(E2BIG, "'%s': arguments and environment of more than %d KiB",
				 command->argv[0], WIRE_COMMAND_MAX >> 10);
	op = agent_op_new(agent, AGENT_OP_RUN, &r);
	if (!op)
		return error_add(r, "run '%s'", command->argv[0]);
	uint8_t *p = agent_room(agent, WIRE_RUN_HEAD + len, AGENT_TX_RESERVE);
	if (!p) {
		op->kind = AGENT_OP_NONE;
		return error_set(EAGAIN, "run '%s': the guest's agent does not read",
				 command->argv[0]);
	}
	store_le32(p, (command->has_stdin ? WIRE_RUN_STDIN : 0u) |
			      (command->tty ? WIRE_RUN_TTY : 0u));
	store_le16(p + 4, command->rows);
	store_le16(p + 6, command->columns);
	store_le32(p + 8, argc);
	store_le32(p + 12, envc);
	memcpy(put_texts(put_texts(p + WIRE_RUN_HEAD, command->argv), command->env), cwd,
	       strlen(cwd) + 1);
	op->input_closed = !command->has_stdin;
	*run = op->id;
	agent_put(agent, WIRE_RUN, 0, op->id, WIRE_RUN_HEAD + len);
	return 0;
}

ssize_t agent_input(struct agent *agent, uint32_t run, const void *buf, size_t len)
{
	struct agent_op *op = op_of(agent, run, AGENT_OP_RUN);
	const uint8_t *from = buf;
	size_t taken = 0;

	if (!op || op->input_closed)
		return -EPIPE;
	while (taken < len && op->credit > 0 && agent_data_fits(agent)) {
		size_t n = min_u64(min_u64(len - taken, op->credit), WIRE_DATA_MAX);
		uint8_t *p = agent_room(agent, n, AGENT_TX_RESERVE);
		if (!p)
			break;
		memcpy(p, from + taken, n);
		op->credit -= (uint32_t)n;
		taken += n;
		agent_put(agent, WIRE_DATA, WIRE_STDIN, op->id, n);
	}
	op->wants_writable = taken < len;
	return (ssize_t)taken;
}

static void send_end(struct agent *agent, struct agent_op *op)
{
	op->end_due = !agent_room(agent, 0, AGENT_TX_RESERVE);
	if (!op->end_due)
		agent_put(agent, WIRE_END, WIRE_STDIN, op->id, 0);
}

void agent_input_end(struct agent *agent, uint32_t run)
{
	struct agent_op *op = op_of(agent, run, AGENT_OP_RUN);

	if (!op || op->input_closed)
		return;
	op->input_closed = true;
	op->wants_writable = false;
	send_end(agent, op);
}

/* Not for each byte, as that would be more frames than data. */
static void give_credit(struct agent *agent, struct agent_op *op)
{
	for (unsigned i = WIRE_STDOUT; i < WIRE_STREAMS; i++) {
		if (op->due[i] < WIRE_WINDOW / 4)
			continue;
		uint8_t *p = agent_room(agent, 4, AGENT_TX_RESERVE);
		if (!p)
			return;
		store_le32(p, op->due[i]);
		op->window[i] += op->due[i];
		op->due[i] = 0;
		agent_put(agent, WIRE_CREDIT, (uint8_t)i, op->id, 4);
	}
}

void agent_consumed(struct agent *agent, uint32_t run, enum agent_stream stream, size_t n)
{
	struct agent_op *op = op_of(agent, run, AGENT_OP_RUN);

	if (!op || stream < AGENT_STDOUT || stream > AGENT_STDERR)
		return;
	n = min_u64(n, op->given[stream]);
	op->given[stream] -= (uint32_t)n;
	op->due[stream] += (uint32_t)n;
	give_credit(agent, op);
}

static int send_to_run(struct agent *agent, uint32_t run, enum wire_type type, uint32_t value)
{
	struct agent_op *op = op_of(agent, run, AGENT_OP_RUN);
	uint8_t *p = op ? agent_room(agent, 4, AGENT_TX_RESERVE) : NULL;

	if (!op || agent->state != AGENT_OPEN)
		return -ESRCH;
	if (!p)
		return -EAGAIN;
	store_le32(p, value);
	agent_put(agent, type, 0, op->id, 4);
	return 0;
}

int agent_signal(struct agent *agent, uint32_t run, int signal)
{
	if (signal <= 0 || signal > 64)
		return -EINVAL;
	return send_to_run(agent, run, WIRE_SIGNAL, (uint32_t)signal);
}

int agent_resize(struct agent *agent, uint32_t run, uint16_t rows, uint16_t columns)
{
	return send_to_run(agent, run, WIRE_RESIZE, rows | (uint32_t)columns << 16);
}

static void lie(struct agent *agent, const struct wire_head *head, const char *what)
{
	agent_fail(agent, EPROTO, "the agent sent %s (%s of number %u)", what,
		   wire_type_name(head->type), head->op);
}

static void take_data(struct agent *agent, struct agent_op *op, const struct wire_head *head,
		      const uint8_t *payload)
{
	unsigned stream = head->stream;
	size_t taken = head->len;

	if (head->len > op->window[stream]) {
		lie(agent, head, "more data than it had credit for");
		return;
	}
	op->window[stream] -= head->len;
	if (op->kind == AGENT_OP_OUT && stream == WIRE_STDOUT) {
		op->due[stream] += head->len;
		agent_copy_out_data(agent, op, payload, head->len);
		return;
	}
	if (op->kind != AGENT_OP_RUN) {
		lie(agent, head, "data for a copy that has none");
		return;
	}
	op->given[stream] += head->len;
	if (agent->ops->output)
		taken = agent->ops->output(agent->arg, op->id, (enum agent_stream)stream, payload,
					   head->len);
	if (agent->state == AGENT_OPEN)
		agent_consumed(agent, head->op, (enum agent_stream)stream, taken);
}

/* A copy of a reason that people can read: it came from a guest. */
static void read_why(char why[AGENT_WHY_MAX + 1], const uint8_t *payload, size_t len)
{
	size_t n = min_u64(len, AGENT_WHY_MAX);

	memcpy(why, payload, n);
	why[n] = 0;
	wire_make_printable(why, n);
}

static void take_ended(struct agent *agent, struct agent_op *op, const struct wire_head *head,
		       const uint8_t *payload)
{
	static const enum agent_how hows[] = {
		[WIRE_EXITED] = AGENT_EXITED, [WIRE_SIGNALED] = AGENT_SIGNALED,
		[WIRE_NOT_STARTED] = AGENT_NOT_STARTED,
	};
	char why[AGENT_WHY_MAX + 1];
	uint32_t how = load_le32(payload), value = load_le32(payload + 4);
	struct agent_end end = { .value = (int)value, .why = why };

	if (op->kind != AGENT_OP_RUN || how >= ARRAY_SIZE(hows) || value > 4095 ||
	    (how == WIRE_EXITED && value > 255) ||
	    (how == WIRE_SIGNALED && (value == 0 || value > 64)) ||
	    (how == WIRE_NOT_STARTED && value == 0)) {
		lie(agent, head, "an end that cannot be");
		return;
	}
	end.how = hows[how];
	read_why(why, payload + 8, head->len - 8);
	op->kind = AGENT_OP_NONE;
	if (agent->ops->ended)
		agent->ops->ended(agent->arg, head->op, &end);
}

static void take_done(struct agent *agent, struct agent_op *op, const struct wire_head *head,
		      const uint8_t *payload)
{
	uint32_t err = load_le32(payload);

	if ((op->kind != AGENT_OP_IN && op->kind != AGENT_OP_OUT) || err > 4095 ||
	    (op->kind == AGENT_OP_IN && err == 0 && (!op->input_closed || op->end_due))) {
		lie(agent, head, "an end that cannot be");
		return;
	}
	/* A failure of our own made the agent stop: that is the one to be told. */
	if (err != 0 && op->copy.err == 0) {
		/* That one is for copies that are lost, and the guest may have lost a server. */
		op->copy.err = err == ECONNRESET ? EIO : (int)err;
		read_why(op->copy.why, payload + 4, head->len - 4);
	}
	if (op->kind == AGENT_OP_OUT)
		agent_copy_out_done(op);
	agent_copy_fini(op);

	struct agent_copy copy = op->copy;
	op->kind = AGENT_OP_NONE;
	if (agent->ops->copied)
		agent->ops->copied(agent->arg, head->op, copy.err, copy.why);
}

void agent_op_frame(struct agent *agent, const struct wire_head *head, const uint8_t *payload)
{
	struct agent_op *op = op_of(agent, head->op, AGENT_OP_NONE);
	uint32_t n;

	if (!op) {
		lie(agent, head, "something for an operation that does not exist");
		return;
	}
	switch (head->type) {
	case WIRE_DATA:
		take_data(agent, op, head, payload);
		break;
	case WIRE_CREDIT:
		n = load_le32(payload);
		if (n > WIRE_WINDOW - op->credit)
			lie(agent, head, "more credit than a stream can have");
		else
			op->credit += n;
		break;
	case WIRE_END:
		if (op->kind != AGENT_OP_RUN)
			lie(agent, head, "that nobody reads a file");
		else if (op->input_unread)
			lie(agent, head, "a second end of its input");
		op->input_closed = op->input_unread = true;
		op->wants_writable = false;
		break;
	case WIRE_ENDED:
		take_ended(agent, op, head, payload);
		break;
	case WIRE_DONE:
		take_done(agent, op, head, payload);
		break;
	case WIRE_ENTRY:
		if (op->kind == AGENT_OP_OUT)
			agent_copy_out_entry(agent, op, payload, head->len);
		else
			lie(agent, head, "a file that nobody wants");
		break;
	default:
		break;
	}
}

void agent_ops_pump(struct agent *agent)
{
	for (unsigned i = 0; i < AGENT_OPS && agent->state == AGENT_OPEN; i++) {
		struct agent_op *op = &agent->op[i];
		if (op->kind == AGENT_OP_NONE)
			continue;
		if (op->end_due)
			send_end(agent, op);
		give_credit(agent, op);
		if (op->kind == AGENT_OP_IN)
			agent_copy_in_pump(agent, op);
		else if (op->kind == AGENT_OP_OUT)
			agent_copy_send_cancel(agent, op);
		if (op->wants_writable && op->credit > 0 && agent_data_fits(agent)) {
			op->wants_writable = false;
			if (agent->ops->writable)
				agent->ops->writable(agent->arg, op->id);
		}
	}
}

void agent_ops_lose(struct agent *agent, const char *why)
{
	struct agent_end end = { .how = AGENT_LOST, .why = why };

	for (unsigned i = 0; i < AGENT_OPS && !agent->doomed; i++) {
		struct agent_op *op = &agent->op[i];
		enum agent_op_kind kind = op->kind;
		agent_copy_fini(op);
		op->kind = AGENT_OP_NONE;
		if (kind == AGENT_OP_RUN && agent->ops->ended)
			agent->ops->ended(agent->arg, op->id, &end);
		else if (kind != AGENT_OP_NONE && kind != AGENT_OP_RUN && agent->ops->copied)
			agent->ops->copied(agent->arg, op->id, ECONNRESET, why);
	}
}

void agent_ops_forget(struct agent *agent)
{
	for (unsigned i = 0; i < AGENT_OPS; i++) {
		agent_copy_fini(&agent->op[i]);
		agent->op[i].kind = AGENT_OP_NONE;
	}
}
