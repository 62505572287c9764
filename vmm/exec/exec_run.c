#include "vmm/exec/exec_run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/console_tail.h"
#include "vmm/agent/agent.h"
#include "vmm/base/error.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/fd.h"
#include "vmm/command.h"
#include "vmm/escape_key.h"
#include "vmm/exec/exec_status.h"
#include "vmm/exec/exec_stdio.h"
#include "vmm/outcome.h"
#include "vmm/signals.h"
#include "vmm/terminal.h"
#include "vmm/time_limit.h"
#include "vmm/vm_process.h"

enum {
	POWEROFF_MS = 10000,	/* from the command's end until the VM is ended by force */
	LOST_MS = 3000,		/* from the agent's end until the VM has said why */
	LOG_SHOWN = 65536,	/* of what the VM had to say */
};

enum stage {
	STAGE_BOOT,	/* the agent is awaited */
	STAGE_COMMAND,	/* it runs */
	STAGE_OUTPUT,	/* it ended; what it wrote goes out */
	STAGE_END,	/* the VM is to end */
};

struct exec_run {
	const struct exec_run_config *config;
	struct event_loop *loop;
	struct signals signals;
	struct time_limit limit;	/* of the stage */
	struct vm_process *vm;
	struct agent *agent;
	uint32_t number;		/* of the command */
	struct exec_source in;
	struct exec_sink out, err;
	struct escape_key escape;
	struct console_tail console;
	bool line_begins;		/* on the console, as it is shown */

	enum stage stage;
	bool is_over;			/* the VM is */
	int status;			/* what we exit with; -1: not known yet */
	bool show_vm;			/* the fault is the VM's: what it said is shown */
	int forwarded;			/* the last signal that went to the command */
	int abort_signal;		/* the user wants it to end now */
	char why[AGENT_WHY_MAX + 1];	/* what the agent said went wrong */
};

/* --- What the user reads --------------------------------------------------------------------- */

/*
 * What a guest printed: no byte of it can steer the terminal.  Each line begins with 'start';
 * 'begins' tells whether this is the beginning of one, and whether what comes next will be.
 */
static void show(const char *start, const uint8_t *text, size_t len, bool *begins)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\r')
			continue;
		if (*begins)
			fputs(start, stderr);
		*begins = text[i] == '\n';
		if (text[i] == '\n' || text[i] == '\t' || (text[i] >= ' ' && text[i] < 0x7f))
			putc(text[i], stderr);
		else
			putc('?', stderr);
	}
}

static void show_all(const char *start, const uint8_t *text, size_t len)
{
	bool begins = true;

	show(start, text, len, &begins);
	if (!begins)
		putc('\n', stderr);
}

/* Before a line of our own: one of the guest's may have begun. */
static void end_line(struct exec_run *run)
{
	terminal_restore();
	if (!run->line_begins)
		putc('\n', stderr);
	run->line_begins = true;
}

static void show_console(const struct exec_run *run)
{
	uint8_t *text = malloc(CONSOLE_TAIL_KEPT);
	size_t len = text ? console_tail_read(&run->console, text, CONSOLE_TAIL_KEPT) : 0;

	/* With -v it was there already. */
	if (run->config->verbose)
		len = 0;
	else if (len == 0)
		fputs("vireo: the guest said nothing on its console; -v shows more\n", stderr);
	if (len > 0) {
		fputs("vireo: what the guest said last:\n", stderr);
		show_all("  | ", text, len);
	}
	free(text);
}

/* What the VM's process had to say: its last LOG_SHOWN bytes. */
static void show_log(const struct exec_run *run)
{
	char path[PATH_MAX];
	uint8_t *text = malloc(LOG_SHOWN);
	FILE *log = NULL;

	if (snprintf(path, sizeof(path), "%s/stderr.log", run->config->dir) < PATH_MAX)
		log = fopen(path, "re");
	if (log && text) {
		if (fseek(log, -LOG_SHOWN, SEEK_END) < 0)
			rewind(log);
		show_all("", text, fread(text, 1, LOG_SHOWN, log));
	}
	if (log)
		fclose(log);
	free(text);
}

/* --- Stages ---------------------------------------------------------------------------------- */

static void stage_is_too_long(void *arg);

static void enter(struct exec_run *run, enum stage stage, uint64_t limit_ms)
{
	run->stage = stage;
	time_limit_stop(&run->limit);
	if (time_limit_start(&run->limit, run->loop, limit_ms, stage_is_too_long, run) < 0) {
		error_print(stderr);
		run->status = STATUS_FAILED;
		event_loop_stop(run->loop);
	}
}

/* The end has come, for this reason, unless there is one already. */
static void settle(struct exec_run *run, int status)
{
	if (run->status < 0)
		run->status = status;
}

/* End the VM, by force. */
static void stop_vm(struct exec_run *run)
{
	if (run->is_over)
		event_loop_stop(run->loop);
	else
		vm_process_stop(run->vm);
}

static void stage_is_too_long(void *arg)
{
	struct exec_run *run = arg;

	if (run->stage == STAGE_BOOT) {
		end_line(run);
		fprintf(stderr, "vireo: the guest was not ready within %g s (--boot-timeout)\n",
			(double)run->config->boot_ms / 1000);
		run->show_vm = true;
		settle(run, STATUS_TIMEOUT);
		vm_process_report(run->vm);
	} else if (run->stage == STAGE_END && run->why[0]) {
		settle(run, STATUS_FAILED);
	}
	enter(run, STAGE_END, 0);
	stop_vm(run);
}

/* The command is over and all it wrote has gone: so may the guest. */
static void end_guest(struct exec_run *run)
{
	if (run->stage == STAGE_OUTPUT && run->out.len == 0 && run->err.len == 0) {
		enter(run, STAGE_END, POWEROFF_MS);
		if (run->is_over || run->config->disposable ||
		    agent_poweroff(run->agent, AGENT_OFF) < 0)
			stop_vm(run);
		error_clear();
	}
}

/* --- Input and output ------------------------------------------------------------------------ */

static enum agent_stream stream_of(const struct exec_run *run, const struct exec_sink *sink)
{
	return sink == &run->err ? AGENT_STDERR : AGENT_STDOUT;
}

static void output_went(void *arg, struct exec_sink *sink, size_t n)
{
	struct exec_run *run = arg;

	if (run->stage == STAGE_COMMAND)
		agent_consumed(run->agent, run->number, stream_of(run, sink), n);
	end_guest(run);
}

/* Nobody reads it any more: the command learns that as it would here. */
static void output_broke(void *arg, struct exec_sink *sink)
{
	struct exec_run *run = arg;

	(void)sink;
	if (run->stage == STAGE_COMMAND && agent_signal(run->agent, run->number, SIGPIPE) < 0)
		error_clear();
}

static ssize_t take_input(void *arg, uint8_t *buf, size_t len)
{
	struct exec_run *run = arg;

	return agent_input(run->agent, run->number, buf, len);
}

static ssize_t take_keys(void *arg, uint8_t *buf, size_t len)
{
	struct exec_run *run = arg;
	size_t left = escape_key_filter(&run->escape, buf, len);
	size_t used = 0;

	/* A terminal is typed at: what does not fit is lost, as in one. */
	while (used < left) {
		ssize_t n = agent_input(run->agent, run->number, buf + used, left - used);
		if (n <= 0)
			return n < 0 ? n : (ssize_t)len;
		used += (size_t)n;
	}
	return (ssize_t)len;
}

static void input_ended(void *arg)
{
	struct exec_run *run = arg;

	if (run->stage == STAGE_COMMAND)
		agent_input_end(run->agent, run->number);
}

static void on_escape(void *arg, char letter)
{
	struct exec_run *run = arg;

	if (letter == 'x') {
		settle(run, EXEC_SIGNAL_BASE + SIGINT);
		enter(run, STAGE_END, 0);
		stop_vm(run);
	} else if (letter == 'h' || letter == '?') {
		fputs("\r\nCtrl-A x ends the guest, Ctrl-A Ctrl-A types Ctrl-A\r\n", stderr);
	}
}

/* --- The agent ------------------------------------------------------------------------------- */

static int start_command(struct exec_run *run)
{
	const struct exec_run_config *config = run->config;
	struct agent_command command = {
		.argv = config->command,
		.env = config->env,
		.cwd = config->cwd,
		.has_stdin = true,
		.tty = config->tty,
	};
	int r;

	if (config->tty)
		terminal_size(&command.columns, &command.rows);
	r = agent_run(run->agent, &command, &run->number);
	if (r == 0 && config->tty)
		r = terminal_make_raw();
	if (r == 0)
		r = exec_source_init(&run->in, run->loop, STDIN_FILENO,
				     config->tty ? take_keys : take_input, input_ended, run);
	return r;
}

static void on_ready(void *arg, const struct agent_hello *hello)
{
	struct exec_run *run = arg;

	if (run->stage != STAGE_BOOT)
		return;
	if (hello->trouble[0]) {
		end_line(run);
		fprintf(stderr, "vireo: the guest could not prepare its root: %s\n",
			hello->trouble);
		run->show_vm = true;
		settle(run, STATUS_FAILED);
		enter(run, STAGE_END, 0);
		stop_vm(run);
		return;
	}
	enter(run, STAGE_COMMAND, 0);
	if (start_command(run) < 0) {
		terminal_restore();
		error_print(stderr);
		settle(run, STATUS_FAILED);
		enter(run, STAGE_END, 0);
		stop_vm(run);
	}
}

static size_t on_output(void *arg, uint32_t number, enum agent_stream stream, const void *buf,
			size_t len)
{
	struct exec_run *run = arg;

	(void)number;
	return exec_sink_write(stream == AGENT_STDERR ? &run->err : &run->out, buf, len);
}

static void on_ended(void *arg, uint32_t number, const struct agent_end *end)
{
	struct exec_run *run = arg;

	(void)number;
	exec_source_fini(&run->in);
	end_line(run);
	/* The guest was reset below it; the VM's end says more. */
	if (end->how == AGENT_LOST)
		return;
	if (end->how == AGENT_NOT_STARTED)
		fprintf(stderr, "vireo: cannot run '%s' in the guest: %s: %s\n",
			run->config->command[0], end->why, strerror(end->value));
	settle(run, exec_status(end));
	if (end->how == AGENT_SIGNALED && end->value == run->forwarded)
		run->abort_signal = run->forwarded;
	if (end->how == AGENT_EXITED && run->status != end->value && !run->config->quiet)
		fprintf(stderr, "vireo: the command's status is %d, which has a meaning of its "
				"own here: %d\n", end->value, run->status);
	enter(run, STAGE_OUTPUT, 0);
	end_guest(run);
}

static void on_room(void *arg, uint32_t number)
{
	struct exec_run *run = arg;

	(void)number;
	exec_source_resume(&run->in);
}

/* The session is over: because the VM is, it seems, which will say so soon. */
static void on_failed(void *arg, int err, const char *why)
{
	struct exec_run *run = arg;

	(void)err;
	exec_source_fini(&run->in);
	if (run->stage == STAGE_OUTPUT || run->stage == STAGE_END)
		return;
	snprintf(run->why, sizeof(run->why), "%s", *why ? why : "it is gone");
	enter(run, STAGE_END, LOST_MS);
}

static const struct agent_ops agent_ops = {
	.ready = on_ready,
	.output = on_output,
	.ended = on_ended,
	.writable = on_room,
	.failed = on_failed,
};

/* --- The VM ---------------------------------------------------------------------------------- */

static void on_console(void *arg, const void *buf, size_t len)
{
	struct exec_run *run = arg;

	console_tail_add(&run->console, buf, len);
	if (run->config->verbose)
		show("", buf, len, &run->line_begins);
}

static void on_vm_ended(void *arg, const struct vm_process_end *end)
{
	struct exec_run *run = arg;

	run->is_over = true;
	if (run->status < 0) {
		run->show_vm = true;
		run->status = end->status;
		if (end->signal)
			run->status = STATUS_FAILED;
		else if (end->status == STATUS_OK)
			run->status = STATUS_RESET;
		end_line(run);
		if (end->status == STATUS_OK)
			fputs("vireo: the guest ended before the command did\n", stderr);
		else if (end->signal)
			fprintf(stderr, "vireo: the VM's process was ended by signal %d\n",
				end->signal);
	}
	/* What the command wrote still goes out, however slow its reader is. */
	if (run->stage != STAGE_OUTPUT && run->out.len + run->err.len > 0)
		enter(run, STAGE_OUTPUT, 0);
	if (run->out.len + run->err.len == 0 || run->stage != STAGE_OUTPUT)
		event_loop_stop(run->loop);
}

static const struct vm_process_ops vm_ops = { .output = on_console, .ended = on_vm_ended };

/* --- Signals --------------------------------------------------------------------------------- */

/* One for the command; before it is there, and if it comes again, for the guest. */
static void deliver(struct exec_run *run, int sig)
{
	bool again = run->forwarded == sig;

	run->forwarded = sig;
	if (run->stage == STAGE_COMMAND && !again &&
	    agent_signal(run->agent, run->number, sig) == 0)
		return;
	error_clear();
	run->abort_signal = sig;
	settle(run, EXEC_SIGNAL_BASE + sig);
	enter(run, STAGE_END, 0);
	stop_vm(run);
}

static void resize(struct exec_run *run)
{
	uint16_t cols, rows;

	if (run->config->tty && run->stage == STAGE_COMMAND && terminal_size(&cols, &rows) &&
	    agent_resize(run->agent, run->number, rows, cols) < 0)
		error_clear();
}

static void on_signal(void *arg, int sig)
{
	struct exec_run *run = arg;

	switch (sig) {
	case SIGTSTP:
		terminal_restore();
		raise(SIGSTOP);
		break;
	case SIGCONT:
		if (run->config->tty && run->stage == STAGE_COMMAND && terminal_make_raw() < 0)
			error_clear();
		resize(run);
		break;
	case SIGWINCH:
		resize(run);
		break;
	case SIGUSR1:
	case SIGUSR2:
		if (run->stage == STAGE_COMMAND && agent_signal(run->agent, run->number, sig) < 0)
			error_clear();
		break;
	default:
		deliver(run, sig);
	}
}

/* --- From start to end ----------------------------------------------------------------------- */

static int start(struct exec_run *run)
{
	static const char *const args[] = { "--port", "name=vireo.agent,fd=3", NULL };
	const struct exec_run_config *config = run->config;
	struct vm_process_config vm = { .dir = config->dir, .vm = config->vm, .args = args };
	int pair[2], r = event_loop_create(&run->loop, "exec");

	if (r == 0)
		r = signals_init(&run->signals, run->loop, on_signal, run);
	if (r == 0)
		r = exec_sink_init(&run->out, run->loop, STDOUT_FILENO, output_went, output_broke,
				   run);
	if (r == 0)
		r = exec_sink_init(&run->err, run->loop, STDERR_FILENO, output_went, output_broke,
				   run);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return error_set(errno, "make the agent's port");
	vm.fds = &pair[1];
	vm.n_fds = 1;
	r = vm_process_start(&run->vm, &vm, run->loop, &vm_ops, run);
	fd_close(&pair[1]);
	if (r < 0) {
		fd_close(&pair[0]);
		return r;
	}
	vm_process_input_end(run->vm);
	r = agent_create(&run->agent, run->loop, pair[0], &agent_ops, run);
	if (r == 0)
		enter(run, STAGE_BOOT, config->boot_ms);
	return r;
}

static void finish(struct exec_run *run)
{
	exec_source_fini(&run->in);
	exec_sink_fini(&run->out);
	exec_sink_fini(&run->err);
	agent_destroy(run->agent);
	vm_process_destroy(run->vm);
	time_limit_stop(&run->limit);
	signals_fini(&run->signals);
	event_loop_destroy(run->loop);
}

int exec_run(const struct exec_run_config *config)
{
	struct exec_run *run = calloc(1, sizeof(*run));
	int status = STATUS_FAILED, r;

	if (!run) {
		error_set(ENOMEM, "run a command");
		error_print(stderr);
		return status;
	}
	run->config = config;
	run->status = -1;
	run->line_begins = true;
	run->signals = (struct signals)SIGNALS_INIT;
	run->limit = (struct time_limit)TIME_LIMIT_INIT;
	run->in.host.fd = run->out.host.fd = run->err.host.fd = FD_NONE;
	run->escape = (struct escape_key){ .command = on_escape, .arg = run };
	r = start(run);
	if (r < 0)
		error_print(stderr);
	else
		event_loop_run(run->loop);
	terminal_restore();
	if (r == 0) {
		status = run->status;
		if (run->show_vm) {
			if (run->why[0] && status == STATUS_FAILED)
				fprintf(stderr, "vireo: the agent in the guest: %s\n", run->why);
			show_log(run);
			show_console(run);
		}
		if (run->abort_signal)
			status = COMMAND_SIGNAL + run->abort_signal;
	}
	finish(run);
	free(run);
	return status;
}
