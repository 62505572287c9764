/*
 * One command.  Its input waits here until it reads, its output is read only as far as the host has
 * given credit, so it is the command that waits.  It is over when its process has ended and its
 * output has; a process that it left behind may keep the latter open for GRACE_MS, and then what is
 * in the pipe at that moment is still taken.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"
#include "vmm/base/le.h"

enum { WORDS = 32 << 10 };

static char *words[WORDS];	/* argv, NULL, env, NULL */
extern const char *boot_trouble;

/*
 * Judge RUN's texts: each ends with NUL, as many as were announced, the last is the folder.  They
 * stay where they are.  Returns NULL or what is wrong.
 */
static const char *read_texts(struct spawn *spawn, const uint8_t *payload, size_t len)
{
	uint32_t argc = load_le32(payload + 8), envc = load_le32(payload + 12), n = 0;
	char *p = (char *)payload + WIRE_RUN_HEAD;
	const char *end = (const char *)payload + len;

	if (argc == 0)
		return "a command without words";
	if (end[-1] != 0)
		return "a command whose last text does not end";
	if (argc >= WORDS - 3 || envc >= WORDS - 3 - argc)
		return NULL;	/* spawn->argv stays NULL: too many, but no lie */
	for (uint32_t i = 0; i < argc + envc + 1; i++) {
		if (p == end)
			return "a command with fewer texts than it says";
		if (i == argc)
			words[n++] = NULL;
		if (i == argc + envc) {
			words[n++] = NULL;
			spawn->cwd = p;
		} else {
			words[n++] = p;
		}
		p += strlen(p) + 1;
	}
	if (p != end)
		return "a command with more texts than it says";
	spawn->argv = words;
	spawn->env = words + argc + 1;
	return NULL;
}

void run_begin(struct op *op, const uint8_t *payload, size_t len)
{
	uint32_t flags = load_le32(payload);
	struct spawn spawn = {
		.has_stdin = flags & WIRE_RUN_STDIN,
		.tty = flags & WIRE_RUN_TTY,
		.rows = load_le16(payload + 4),
		.columns = load_le16(payload + 6),
	};
	const char *wrong = flags & ~(uint32_t)(WIRE_RUN_STDIN | WIRE_RUN_TTY) ?
			    "a command with unknown flags" : read_texts(&spawn, payload, len);
	int r;

	op->run = (struct run){ .tty = spawn.tty, .exec_fd = -1, .in_fd = -1 };
	op->run.out_fd[0] = op->run.out_fd[1] = -1;
	op->run.in_end = !spawn.has_stdin;
	if (wrong) {
		op->kind = OP_NONE;
		session_complain(wrong);
	} else if (!spawn.argv) {
		op_fail(op, E2BIG, "more than %d words", WORDS);
	} else if (boot_trouble[0]) {
		op_fail(op, EIO, "%s", boot_trouble);
	} else {
		r = spawn_start(op, &spawn);
		if (r)
			op->over = true;
	}
}

void run_data(struct op *op, const uint8_t *payload, size_t len)
{
	struct run *run = &op->run;

	if (run->in_end) {
		session_complain("input after its end");
		return;
	}
	if (run->in_fd < 0) {
		op->due += (uint32_t)len;	/* nobody reads it */
		return;
	}
	/* There is room: that is what the credit says. */
	if (run->in_at + run->in_len + len > INPUT) {
		memmove(run->in, run->in + run->in_at, run->in_len);
		run->in_at = 0;
	}
	memcpy(run->in + run->in_at + run->in_len, payload, len);
	run->in_len += len;
}

static void close_input(struct op *op)
{
	struct run *run = &op->run;

	close_fd(&run->in_fd);
	op->due += (uint32_t)run->in_len;
	run->in_len = 0;
}

/* A terminal is not closed at the end of the input: it is told by a character, as by a person. */
static void end_input(struct op *op)
{
	static const char control_d = 4;

	if (op->run.tty && write(op->run.in_fd, &control_d, 1) < 0 && errno == EAGAIN)
		return;
	close_input(op);
}

static void pump_input(struct op *op)
{
	struct run *run = &op->run;

	while (run->in_fd >= 0 && run->in_len > 0) {
		ssize_t n = write(run->in_fd, run->in + run->in_at, run->in_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			close_input(op);
			run->in_closed_due = !run->in_end;
			break;
		}
		run->in_at += (size_t)n;
		run->in_len -= (size_t)n;
		op->due += (uint32_t)n;
		if (run->in_len == 0)
			run->in_at = 0;
	}
	if (run->in_fd >= 0 && run->in_end && run->in_len == 0)
		end_input(op);
	if (run->in_closed_due && session_room(0)) {
		session_put(WIRE_END, WIRE_STDIN, op->id, 0);
		run->in_closed_due = false;
	}
}

/* Whether there is nothing more to read of this one for now. */
static bool pump_output(struct op *op, int i)
{
	struct run *run = &op->run;
	uint32_t *credit = &op->credit[WIRE_STDOUT + i];
	size_t max = *credit < WIRE_DATA_MAX ? *credit : WIRE_DATA_MAX;
	uint8_t *p;

	if (run->drains && run->left[i] <= 0)
		close_fd(&run->out_fd[i]);
	if (run->out_fd[i] < 0 || max == 0 || (p = session_room(WIRE_DATA_MAX)) == NULL)
		return true;
	if (run->drains && max > (size_t)run->left[i])
		max = (size_t)run->left[i];
	ssize_t n = read(run->out_fd[i], p, max);
	if (n < 0 && errno == EINTR)
		return false;
	if (n < 0 && errno == EAGAIN) {
		if (run->drains)
			close_fd(&run->out_fd[i]);
		return true;
	}
	if (n <= 0) {		/* EIO is the end of a terminal */
		close_fd(&run->out_fd[i]);
		return true;
	}
	session_put(WIRE_DATA, (uint8_t)(WIRE_STDOUT + i), op->id, (size_t)n);
	*credit -= (uint32_t)n;
	if (run->drains)
		run->left[i] -= (int)n;
	return false;
}

/* Why its program could not be executed, if that is why it ended. */
static void take_exec_error(struct op *op)
{
	struct { int err; char what[120]; } report;
	ssize_t n = read(op->run.exec_fd, &report, sizeof(report));

	close_fd(&op->run.exec_fd);
	if (n == (ssize_t)sizeof(report) && report.err != 0) {
		report.what[sizeof(report.what) - 1] = 0;
		op_fail(op, report.err, "%s", report.what);
	}
}

/* A terminal tells only what is in the last of its buffers; it holds less than this. */
static int what_is_left(const struct run *run, int fd)
{
	int n = 0;

	if (run->tty)
		return WIRE_WINDOW;
	return fd >= 0 && ioctl(fd, FIONREAD, &n) == 0 ? n : 0;
}

void run_pump(struct op *op)
{
	struct run *run = &op->run;

	pump_input(op);
	if (run->exited && !run->drains && now_ms() >= run->deadline) {
		for (int i = 0; i < 2; i++)
			run->left[i] = what_is_left(run, run->out_fd[i]);
		run->drains = true;
	}
	for (int i = 0; i < 2; i++)
		for (int turn = 0; turn < 4 && !pump_output(op, i); turn++)
			;
	if (!run->exited || run->out_fd[0] >= 0 || run->out_fd[1] >= 0)
		return;
	op->over = true;
	take_exec_error(op);
	close_fd(&run->in_fd);
}

void run_signal(struct op *op, int n)
{
	/* A child that was made just now has no group yet. */
	if (!op->over && op->run.pid > 0 && !op->run.exited && kill(-op->run.pid, n) < 0)
		kill(op->run.pid, n);
}

void run_kill(struct op *op)
{
	struct run *run = &op->run;

	run_signal(op, SIGKILL);
	close_fd(&run->in_fd);
	close_fd(&run->out_fd[0]);
	close_fd(&run->out_fd[1]);
	close_fd(&run->exec_fd);
}

unsigned run_poll(struct op *op, struct pollfd *fds)
{
	struct run *run = &op->run;
	bool has_input = run->in_len > 0 || run->in_end;
	unsigned n = 0;

	if (run->in_fd >= 0 && has_input)
		fds[n++] = (struct pollfd){ .fd = run->in_fd, .events = POLLOUT };
	for (int i = 0; i < 2; i++)
		if (run->out_fd[i] >= 0 && op->credit[WIRE_STDOUT + i] > 0 &&
		    session_room(WIRE_DATA_MAX))
			fds[n++] = (struct pollfd){ .fd = run->out_fd[i], .events = POLLIN };
	return n;
}
