/* Steps that the agent in the guest carries out: commands and copies. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "vmm/base/error.h"
#include "vmm/test/pattern.h"
#include "vmm/test/test_run_impl.h"

enum {
	OUTPUT_PART = 4 << 20,	/* of a command's output, the begin and the end on disk */
	GONE_MS = 3000,		/* so long after the session's end the guest's may come */
};

/* What a command finds in its environment if nobody says otherwise. */
static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
static char home[] = "HOME=/root";
static char term[] = "TERM=dumb";

/* --- Output ---------------------------------------------------------------------------------- */

static void open_captured(struct test_run *run, struct captured *c, const char *ending)
{
	char name[32], *file;

	snprintf(name, sizeof(name), "step-%u.%s", run->step + 1, ending);
	file = test_run_path(run, name);
	/* Without the file it is matched all the same. */
	if (!file || console_file_open(&c->file, file, OUTPUT_PART) < 0)
		error_clear();
	free(file);
}

static void close_captured(struct captured *c)
{
	console_file_close(&c->file);
	console_text_fini(&c->text);
	c->file = (struct console_file)CONSOLE_FILE_INIT;
}

static size_t output(void *arg, uint32_t op, enum agent_stream stream, const void *buf, size_t len)
{
	struct test_run *run = arg;
	struct captured *c = stream == AGENT_STDERR ? &run->err : &run->out;

	if (op != run->op)
		return len;
	if (c->file.fd == FD_NONE && c->file.total == 0)
		open_captured(run, c, stream == AGENT_STDERR ? "stderr" : "stdout");
	if (c->file.fd != FD_NONE)
		console_file_write(&c->file, buf, len);
	if (console_text_add(&c->text, buf, len) < 0)
		test_run_fail(run, VERDICT_BROKEN, 0, "no memory for what the command prints");
	return len;
}

/* ": its last line" or nothing. */
static void put_last_line(const struct captured *c, char *buf, size_t size)
{
	const char *begin = c->text.data, *end = begin + c->text.len, *p;

	*buf = '\0';
	while (end > begin && (end[-1] == '\n' || end[-1] == ' '))
		end--;
	if (end == begin)
		return;
	p = memrchr(begin, '\n', (size_t)(end - begin));
	p = p ? p + 1 : begin;
	snprintf(buf, size, ": %.*s", (int)min_u64((uint64_t)(end - p), 200), p);
}

static bool lacks(struct test_run *run, const struct pattern *pattern, const struct captured *c,
		  const char *what)
{
	struct pattern_place place;
	const char *text = c->text.data ? c->text.data : "";
	char last[256];

	switch (pattern ? pattern_find(pattern, text, c->text.len, 0, false, &place) :
			  PATTERN_FOUND) {
	case PATTERN_FOUND:
		return false;
	case PATTERN_TOO_HARD:
		test_run_fail(run, VERDICT_FAILED, 0, "the regular expression '%.200s' takes too "
			      "much work on its %s", pattern_text(pattern), what);
		return true;
	default:
		put_last_line(c, last, sizeof(last));
		test_run_fail(run, VERDICT_FAILED, 0, "its %s has no match of '%.200s'%s", what,
			      pattern_text(pattern), *last ? last : ", it is empty");
		return true;
	}
}

/* --- The end of a command, or a copy --------------------------------------------------------- */

static void command_exited(struct test_run *run, int status)
{
	const struct step_spec *step = test_run_step(run);
	char last[256];

	put_last_line(run->err.text.len ? &run->err : &run->out, last, sizeof(last));
	if (status != (int)step->status)
		test_run_fail(run, VERDICT_FAILED, 0, "it ended with status %d, not %u%s", status,
			      step->status, last);
	else if (!lacks(run, step->out, &run->out, "standard output") &&
		 !lacks(run, step->err, &run->err, "standard error"))
		test_run_step_done(run);
}

static void ended(void *arg, uint32_t op, const struct agent_end *end)
{
	struct test_run *run = arg;

	if (op != run->op || run->op == 0)
		return;
	run->op = 0;
	if (!test_run_step(run))
		return;		/* its time was up */
	console_text_end(&run->out.text);
	console_text_end(&run->err.text);
	switch (end->how) {
	case AGENT_EXITED:
		command_exited(run, end->value);
		break;
	case AGENT_SIGNALED:
		test_run_fail(run, VERDICT_FAILED, 0, "it was ended by signal %d (%s)", end->value,
			      end->value > 0 && end->value < 65 && sigabbrev_np(end->value) ?
			      sigabbrev_np(end->value) : "?");
		break;
	case AGENT_NOT_STARTED:
		test_run_fail(run, VERDICT_FAILED, 0, "it could not be started: %s%s%s", end->why,
			      *end->why ? ": " : "", strerror(end->value));
		break;
	case AGENT_LOST:
		/* What follows says why: the session's end, or that it begins anew. */
		run->lost = true;
		break;
	}
	close_captured(&run->out);
	close_captured(&run->err);
}

static void copied(void *arg, uint32_t op, int err, const char *why)
{
	struct test_run *run = arg;

	if (op != run->op || run->op == 0)
		return;
	run->op = 0;
	if (err == ECONNRESET)
		run->lost = true;	/* as for a command */
	else if (err)
		test_run_fail(run, VERDICT_FAILED, 0, "%s%s%s", why ? why : "",
			      why && *why ? ": " : "", strerror(err));
	else
		test_run_step_done(run);
}

/* --- The session ----------------------------------------------------------------------------- */

static void ready(void *arg, const struct agent_hello *hello)
{
	struct test_run *run = arg;

	run->agent_ready = true;
	if (run->lost)
		test_run_fail(run, VERDICT_FAILED, 0, "the agent was started anew meanwhile");
	if (*hello->trouble)
		test_run_fail(run, VERDICT_FAILED, 0, "the agent could not set the guest up: %s",
			      hello->trouble);
	test_run_go_on(run);
}

static void writable(void *arg, uint32_t op)
{
	struct test_run *run = arg;

	if (op == run->op)
		test_run_agent_feed(run);
}

/* Is the step in progress one of the agent's? */
static bool is_needed(const struct test_run *run)
{
	const struct step_spec *step = test_run_step(run);

	return step && (step->kind == STEP_RUN || step->kind == STEP_COPY_IN ||
			step->kind == STEP_COPY_OUT || step->kind == STEP_WAIT);
}

static void gone_for_long(void *arg)
{
	struct test_run *run = arg;

	time_limit_stop(&run->agent_grace);
	if (is_needed(run))
		test_run_fail(run, VERDICT_FAILED, 0, "the agent's connection has ended: %s",
			      run->agent_why);
}

/* Most likely the guest is at its end, too, and says so in a moment. */
static void wait_for_guest(struct test_run *run)
{
	if (run->is_over || run->agent_grace.timer.fd != FD_NONE)
		return;
	if (time_limit_start(&run->agent_grace, run->loop, GONE_MS, gone_for_long, run) < 0) {
		error_clear();
		gone_for_long(run);
	}
}

static void failed(void *arg, int err, const char *why)
{
	struct test_run *run = arg;

	agent_destroy(run->agent);
	run->agent = NULL;
	run->agent_ready = false;
	run->agent_gone = true;
	snprintf(run->agent_why, sizeof(run->agent_why), "%s", why ? why : strerror(err));
	if (err == EPROTO)
		test_run_fail(run, VERDICT_FAILED, 0, "the agent in the guest broke the protocol: "
			      "%s", run->agent_why);
	else if (is_needed(run))
		wait_for_guest(run);
	test_run_go_on(run);
}

static const struct agent_ops ops = {
	.ready = ready,
	.output = output,
	.ended = ended,
	.writable = writable,
	.copied = copied,
	.failed = failed,
};

int test_run_agent_open(struct test_run *run, int *childs)
{
	int fd[2];

	run->out.file = run->err.file = (struct console_file)CONSOLE_FILE_INIT;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return error_set(errno, "make the agent's connection");
	*childs = fd[1];
	return agent_create(&run->agent, run->loop, fd[0], &ops, run);
}

void test_run_agent_close(struct test_run *run)
{
	agent_destroy(run->agent);
	run->agent = NULL;
	close_captured(&run->out);
	close_captured(&run->err);
}

/* --- Beginning ------------------------------------------------------------------------------- */

/* Each name once: programs do not agree which of several counts. */
static void put_env(char **env, unsigned *n, char *pair)
{
	size_t len = strcspn(pair, "=") + 1;

	for (unsigned i = 0; i < *n; i++)
		if (!strncmp(env[i], pair, len)) {
			env[i] = pair;
			return;
		}
	env[(*n)++] = pair;
}

static int start_command(struct test_run *run, const struct step_spec *step)
{
	static char shell[] = "/bin/sh", flag[] = "-c";
	unsigned n_env = 3 + run->spec->env.n + step->env.n, n = 0;
	char **env = calloc(n_env + 1, sizeof(*env));
	char **argv = calloc(step->argv.n + 4, sizeof(*argv));
	const char *cwd = step->cwd ? step->cwd : run->guest->cwd;
	struct agent_command command = { .argv = argv, .env = env, .cwd = cwd,
					 .has_stdin = step->input != NULL };
	int r = -ENOMEM;

	if (env && argv) {
		put_env(env, &n, path);
		put_env(env, &n, home);
		put_env(env, &n, term);
		for (unsigned i = 0; i < run->spec->env.n; i++)
			put_env(env, &n, run->spec->env.item[i]);
		for (unsigned i = 0; i < step->env.n; i++)
			put_env(env, &n, step->env.item[i]);
		for (unsigned i = 0; i < step->argv.n; i++)
			argv[i] = step->argv.item[i];
		if (step->argv.n == 0) {
			argv[0] = shell;
			argv[1] = flag;
			argv[2] = step->text;
		}
		r = agent_run(run->agent, &command, &run->op);
	}
	free(env);
	free(argv);
	return r;
}

/* Make the folders of 'path' that follow its first 'from' characters. */
static int make_folders(char *name, size_t from)
{
	for (char *p = name + from; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		int r = mkdir(name, 0777) < 0 && errno != EEXIST ? -errno : 0;
		*p = '/';
		if (r < 0)
			return error_set(r, "make the folder of '%s'", name);
	}
	return 0;
}

static int start_copy_out(struct test_run *run, const struct step_spec *step)
{
	char *to = NULL;
	int r;

	if (asprintf(&to, "%s/files/%s", run->dir, step->to) < 0)
		return error_set(ENOMEM, "copy '%s'", step->from);
	r = make_folders(to, strlen(run->dir) + 1);
	if (r == 0)
		r = agent_copy_out(run->agent, step->from, to, &run->op);
	free(to);
	return r;
}

void test_run_agent_feed(struct test_run *run)
{
	const struct step_spec *step = test_run_step(run);
	size_t len;

	if (!step || step->kind != STEP_RUN || !step->input || run->op == 0)
		return;
	len = strlen(step->input);
	while (run->n_sent < len) {
		ssize_t n = agent_input(run->agent, run->op, step->input + run->n_sent,
					len - run->n_sent);
		if (n == 0)
			return;
		/* A command need not read what it is given. */
		if (n < 0)
			break;
		run->n_sent += (size_t)n;
	}
	agent_input_end(run->agent, run->op);
}

void test_run_agent_begin(struct test_run *run)
{
	const struct step_spec *step = test_run_step(run);
	int r = 0;

	if (run->op != 0 || run->lost)
		return;
	if (!run->agent_ready) {
		run->busy = true;	/* 'ready' comes back here */
		if (run->agent_gone)
			wait_for_guest(run);
		return;
	}
	run->n_sent = 0;
	if (step->kind == STEP_RUN)
		r = start_command(run, step);
	else if (step->kind == STEP_COPY_IN)
		r = agent_copy_in(run->agent, step->from, step->to, 0, &run->op);
	else if (step->kind == STEP_COPY_OUT)
		r = start_copy_out(run, step);
	if (r < 0) {
		test_run_fail(run, r == -ENOMEM ? VERDICT_BROKEN : VERDICT_FAILED, 0, "%s: %s",
			      *error_text() ? error_text() : "it could not be started",
			      strerror(-r));
		error_clear();
		return;
	}
	run->busy = true;
	if (step->kind == STEP_WAIT)
		test_run_step_done(run);
	else
		test_run_agent_feed(run);
}
