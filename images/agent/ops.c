/* What is in progress: a table of runs and copies, found by the number that the host gave them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "guest.h"
#include "vmm/base/le.h"

struct op ops[WIRE_OPS];
static uint32_t highest;	/* number seen in this session; what ended is below */

void op_fail(struct op *op, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(op->why, sizeof(op->why), fmt, args);
	va_end(args);
	wire_make_printable(op->why, strlen(op->why));
	op->err = err;
	op->over = true;
}

static struct op *op_of(uint32_t id)
{
	for (unsigned i = 0; i < WIRE_OPS; i++)
		if (ops[i].kind != OP_NONE && ops[i].id == id)
			return &ops[i];
	return NULL;
}

static void op_init(struct op *op, enum op_kind kind, uint32_t id)
{
	op->kind = kind;
	op->id = id;
	op->over = false;
	op->err = 0;
	op->why[0] = 0;
	op->due = 0;
	for (unsigned i = 0; i < WIRE_STREAMS; i++)
		op->credit[i] = WIRE_WINDOW;
}

static void begin(const struct wire_head *head, const uint8_t *payload)
{
	struct op *op = NULL;

	/* Numbers go up, so that what comes late for one that ended is known to be just that. */
	if (head->op <= highest) {
		session_complain("a number that had been used");
		return;
	}
	for (unsigned i = 0; i < WIRE_OPS && !op; i++)
		if (ops[i].kind == OP_NONE)
			op = &ops[i];
	if (!op) {
		session_complain("more operations than there can be at once");
		return;
	}
	highest = head->op;
	if (head->type == WIRE_RUN) {
		op_init(op, OP_RUN, head->op);
		run_begin(op, payload, head->len);
	} else if (head->type == WIRE_COPY_IN) {
		op_init(op, OP_IN, head->op);
		copy_in_begin(op, payload, head->len);
	} else {
		op_init(op, OP_OUT, head->op);
		copy_out_begin(op, payload, head->len);
	}
}

static void data(struct op *op, const uint8_t *payload, uint32_t len)
{
	if (len > op->credit[WIRE_STDIN]) {
		session_complain("more data than it had credit for");
		return;
	}
	op->credit[WIRE_STDIN] -= len;
	if (op->kind == OP_RUN)
		run_data(op, payload, len);
	else if (op->kind == OP_IN)
		copy_in_data(op, payload, len);
	else
		session_complain("data for a copy that goes the other way");
}

static void credit(struct op *op, unsigned stream, uint32_t n)
{
	if (op->kind == OP_IN || n > WIRE_WINDOW - op->credit[stream])
		session_complain("more credit than a stream can have");
	else
		op->credit[stream] += n;
}

static void end(struct op *op)
{
	if (op->kind == OP_RUN && !op->run.in_end)
		op->run.in_end = true;
	else if (op->kind == OP_IN)
		copy_in_end(op);
	else
		session_complain("a second end of a stream");
}

static void send_signal(struct op *op, uint32_t n)
{
	if (op->kind != OP_RUN || n == 0 || n >= (uint32_t)_NSIG)
		session_complain("a signal that does not exist");
	else
		run_signal(op, (int)n);
}

static void stop_copy(struct op *op)
{
	if (op->kind == OP_IN)
		copy_in_stop(op);
	else if (op->kind == OP_OUT)
		copy_out_stop(op);
	else
		session_complain("a run to be cancelled");
	op_fail(op, ECANCELED, "cancelled");
}

void ops_frame(const struct wire_head *head, const uint8_t *payload)
{
	struct op *op = op_of(head->op);

	if (head->type == WIRE_RUN || head->type == WIRE_COPY_IN || head->type == WIRE_COPY_OUT) {
		begin(head, payload);
		return;
	}
	if (!op && head->op > highest)
		session_complain("a frame for an operation that does not exist");
	if (!op || op->over)
		return;		/* it crossed the news of its end */
	switch (head->type) {
	case WIRE_DATA:
		data(op, payload, head->len);
		break;
	case WIRE_END:
		end(op);
		break;
	case WIRE_CREDIT:
		credit(op, head->stream, load_le32(payload));
		break;
	case WIRE_SIGNAL:
		send_signal(op, load_le32(payload));
		break;
	case WIRE_RESIZE:
		if (op->kind == OP_RUN && op->run.tty)
			spawn_set_size(op->run.out_fd[0], load_le16(payload),
				       load_le16(payload + 2));
		break;
	case WIRE_CANCEL:
		stop_copy(op);
		break;
	default:
		break;
	}
}

/* Credit for what was taken: not for each byte, as that would be more frames than data. */
static void give_credit(struct op *op)
{
	uint8_t *p;

	if (op->due < WIRE_WINDOW / 4 || (p = session_room(4)) == NULL)
		return;
	store_le32(p, op->due);
	session_put(WIRE_CREDIT, WIRE_STDIN, op->id, 4);
	op->credit[WIRE_STDIN] += op->due;
	op->due = 0;
}

static size_t put_text(uint8_t *p, const char *text)
{
	size_t len = strlen(text);

	memcpy(p, text, len);
	return len;
}

/* The last that is said of it. */
static void tell_end(struct op *op)
{
	uint8_t *p = session_room(8 + sizeof(op->why));
	int status = op->kind == OP_RUN ? op->run.status : 0;

	if (!p)
		return;
	if (op->kind != OP_RUN) {
		store_le32(p, (uint32_t)op->err);
		session_put(WIRE_DONE, 0, op->id, 4 + put_text(p + 4, op->why));
	} else {
		store_le32(p, op->err != 0 ? WIRE_NOT_STARTED :
			      WIFSIGNALED(status) ? WIRE_SIGNALED : WIRE_EXITED);
		store_le32(p + 4, (uint32_t)(op->err != 0 ? op->err :
			   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)));
		session_put(WIRE_ENDED, 0, op->id, 8 + put_text(p + 8, op->why));
	}
	op->kind = OP_NONE;
}

void ops_pump(void)
{
	for (unsigned i = 0; i < WIRE_OPS; i++) {
		struct op *op = &ops[i];
		if (op->kind == OP_RUN && !op->over)
			run_pump(op);
		else if (op->kind == OP_OUT && !op->over)
			copy_out_pump(op);
		if (op->kind != OP_NONE && !op->over)
			give_credit(op);
		if (op->kind != OP_NONE && op->over)
			tell_end(op);
	}
}

void ops_reset(void)
{
	for (unsigned i = 0; i < WIRE_OPS; i++) {
		if (ops[i].kind == OP_RUN)
			run_kill(&ops[i]);
		else if (ops[i].kind == OP_IN)
			copy_in_stop(&ops[i]);
		else if (ops[i].kind == OP_OUT)
			copy_out_stop(&ops[i]);
		ops[i].kind = OP_NONE;
	}
	highest = 0;
}

unsigned ops_poll(struct pollfd *fds)
{
	unsigned n = 0;

	for (unsigned i = 0; i < WIRE_OPS; i++)
		if (ops[i].kind == OP_RUN && !ops[i].over)
			n += run_poll(&ops[i], fds + n);
	return n;
}

int ops_timeout(void)
{
	uint64_t now = now_ms(), next = UINT64_MAX;

	for (unsigned i = 0; i < WIRE_OPS; i++) {
		const struct op *op = &ops[i];
		if (op->kind == OP_RUN && !op->over && op->run.exited && !op->run.drains &&
		    op->run.deadline < next)
			next = op->run.deadline;
	}
	return next == UINT64_MAX ? -1 : next <= now ? 0 : (int)(next - now);
}

void ops_reap(pid_t pid, int status)
{
	for (unsigned i = 0; i < WIRE_OPS; i++) {
		struct op *op = &ops[i];
		if (op->kind != OP_RUN || op->over || op->run.exited || op->run.pid != pid)
			continue;
		op->run.exited = true;
		op->run.status = status;
		op->run.deadline = now_ms() + GRACE_MS;
	}
}
