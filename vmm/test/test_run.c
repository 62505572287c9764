#include "vmm/test/test_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/test/test_run_impl.h"

enum {
	WHY_SIZE = 4096,
	/* What the agent sent before the guest's end is read in so long. */
	AGENT_END_MS = 1000,
};

char *test_run_path(const struct test_run *run, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", run->dir, name) < 0 ? NULL : path;
}

/* --- Where it is ----------------------------------------------------------------------------- */

const struct step_spec *test_run_step(const struct test_run *run)
{
	return run->state == RUN_STEPS && run->step < run->spec->n_steps ?
	       &run->spec->step[run->step] : NULL;
}

struct test_step *test_run_step_result(const struct test_run *run)
{
	return test_run_step(run) ? &run->result->step[run->step] : NULL;
}

bool test_run_has_verdict(const struct test_run *run)
{
	return run->result->verdict != VERDICT_NOT_RUN || run->cancelled;
}

void test_run_go_on(struct test_run *run)
{
	event_loop_post(run->loop, &run->go_on);
}

static uint64_t now_ns(const struct test_run *run)
{
	return clock_now_ns() - run->begin_ns;
}

/* --- Ending the guest ------------------------------------------------------------------------ */

void test_run_stop_vm(struct test_run *run)
{
	time_limit_stop(&run->grace);
	if (!run->vm || run->is_over || run->stopped)
		return;
	run->stopped = true;
	/* What it has said until now counts; what it still does is nobody's concern. */
	run->until = run->text.n_raw + vm_process_output_left(run->vm);
	time_limit_stop(&run->limit);
	vm_process_stop(run->vm);
}

static void grace_is_over(void *arg)
{
	test_run_stop_vm(arg);
}

/* With a report of its state first: nobody can look at it afterwards. */
static void ask_for_report(struct test_run *run)
{
	char *path = test_run_path(run, "stderr.log");
	struct stat st;

	if (run->vm && !run->is_over && !run->stopped && path && stat(path, &st) == 0) {
		run->report_from = st.st_size;
		vm_process_report(run->vm);
	}
	free(path);
}

static void end_step(struct test_run *run, enum verdict verdict, const char *why)
{
	struct test_step *step = test_run_step_result(run);

	time_limit_stop(&run->step_limit);
	time_limit_stop(&run->nap);
	if (!step || !run->began)
		return;
	step->verdict = verdict;
	step->duration_ns = now_ns(run) - step->start_ns;
	if (why && result_set_text(&step->why, "%s", why) < 0)
		error_clear();
}

void test_run_fail(struct test_run *run, enum verdict verdict, unsigned grace_ms, const char *fmt,
		   ...)
{
	const struct step_spec *step = test_run_step(run);
	char why[WHY_SIZE];
	va_list ap;
	int r;

	if (run->state == RUN_OVER || test_run_has_verdict(run))
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	end_step(run, verdict, why);
	run->result->verdict = verdict;
	if (step && run->began)
		r = result_set_text(&run->result->why, "%s: %s", step->shown, why);
	else
		r = result_set_text(&run->result->why, "%s", why);
	if (r < 0)
		error_clear();
	run->state = RUN_ENDING;
	time_limit_stop(&run->limit);
	time_limit_stop(&run->grace);
	if (grace_ms == 0 || time_limit_start(&run->grace, run->loop, grace_ms, grace_is_over,
					      run) < 0)
		test_run_stop_vm(run);
	test_run_go_on(run);
}

static void time_is_up(struct test_run *run, uint64_t ms, const char *whose)
{
	char last[LAST_LINE_SIZE];
	const struct step_spec *step = test_run_step(run);

	test_run_last_line(run, last);
	ask_for_report(run);
	test_run_fail(run, VERDICT_TIMED_OUT, 0, "the time limit of %s, %g s, has passed%s%s%s",
		      whose, (double)ms / 1000,
		      step ? "" : " before the guest's end",
		      *last ? "; the last line of the console: " : "; the console is empty", last);
}

static void test_time_is_up(void *arg)
{
	struct test_run *run = arg;

	time_is_up(run, run->spec->timeout_ms, "the test");
}

static void step_time_is_up(void *arg)
{
	struct test_run *run = arg;

	time_is_up(run, test_run_step(run)->timeout_ms, "this step");
}

/* --- Steps ----------------------------------------------------------------------------------- */

void test_run_step_done(struct test_run *run)
{
	if (!test_run_step(run))
		return;
	end_step(run, VERDICT_PASSED, NULL);
	run->step++;
	run->busy = run->began = false;
	run->n_sent = 0;
	if (run->step == run->spec->n_steps)
		run->state = RUN_ENDING;
	test_run_go_on(run);
}

static void announce_step(struct test_run *run, const struct step_spec *step)
{
	struct test_step *result = test_run_step_result(run);

	run->began = true;
	result->start_ns = now_ns(run);
	if (step->timeout_ms && time_limit_start(&run->step_limit, run->loop, step->timeout_ms,
						 step_time_is_up, run) < 0) {
		test_run_fail(run, VERDICT_BROKEN, 0, "%s", error_text());
		error_clear();
		return;
	}
	if (run->ops->step)
		run->ops->step(run->arg, step->shown, run->step, run->spec->n_steps);
}

/* Is it over when its steps are? */
static bool may_be_stopped(const struct test_run *run)
{
	return test_run_has_verdict(run) ||
	       (run->spec->n_steps > 0 && run->spec->end == END_ANY);
}

static void finish(struct test_run *run)
{
	if (run->finishing)
		return;
	run->finishing = true;
	event_loop_post(run->loop, &run->finish);
}

static void go_on(struct event_post *post)
{
	struct test_run *run = container_of(post, struct test_run, go_on);
	const struct step_spec *step = test_run_step(run);

	if (run->finishing)
		return;
	if (run->is_over && run->agent)
		return;		/* first what it had to say */
	if (step && run->vm) {
		if (!run->began)
			announce_step(run, step);
		if (test_run_step(run))
			test_run_begin_step(run);
		return;
	}
	if (!run->has_vm || run->is_over) {
		if (run->has_vm)
			test_run_judge(run);
		finish(run);
	} else if (run->state == RUN_ENDING && may_be_stopped(run) &&
		   run->grace.timer.fd == FD_NONE) {
		test_run_stop_vm(run);
	}
}

/* --- The VM ---------------------------------------------------------------------------------- */

static void vm_output(void *arg, const void *buf, size_t len)
{
	test_run_console_add(arg, buf, len);
}

static void vm_writable(void *arg)
{
	test_run_go_on(arg);
}

static void agent_is_late(void *arg)
{
	struct test_run *run = arg;

	time_limit_stop(&run->agent_grace);
	test_run_agent_close(run);
	test_run_go_on(run);
}

/* Its console has been read to the end; what the agent sent may still be on its way. */
static void vm_ended(void *arg, const struct vm_process_end *end)
{
	struct test_run *run = arg;

	run->end = *end;
	run->is_over = true;
	run->result->exit_status = end->signal ? 128 + end->signal : end->status;
	time_limit_stop(&run->grace);
	time_limit_stop(&run->agent_grace);
	test_run_console_end(run);
	if (run->agent && time_limit_start(&run->agent_grace, run->loop, AGENT_END_MS,
					   agent_is_late, run) < 0) {
		error_clear();
		test_run_agent_close(run);
	}
	test_run_go_on(run);
}

static const struct vm_process_ops vm_ops = {
	.output = vm_output,
	.ended = vm_ended,
	.writable = vm_writable,
};

static int start_vm(struct test_run *run)
{
	static const char *const agent_args[] = { "--port", "name=vireo.agent,fd=3", NULL };
	int fd = FD_NONE, r = test_guest_create(&run->guest, run->test, run->dir);
	struct vm_process_config config = {
		.program = run->program, .dir = run->dir, .vm = r == 0 ? run->guest->vm : NULL, .fds = &fd,
	};

	if (r == 0 && test_spec_uses_agent(run->spec)) {
		r = test_run_agent_open(run, &fd);
		config.args = agent_args;
		config.n_fds = 1;
	}
	if (r == 0)
		r = vm_process_start(&run->vm, &config, run->loop, &vm_ops, run);
	run->has_vm = r == 0;
	fd_close(&fd);
	return r;
}

/* --- Beginning and end ----------------------------------------------------------------------- */

static int describe(struct test_run *run)
{
	const struct test_spec *spec = run->spec;
	struct test_result *result;
	struct timespec now;
	int r = test_result_create(&run->result);

	if (r < 0)
		return r;
	result = run->result;
	clock_gettime(CLOCK_REALTIME, &now);
	result->started_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	result->line = spec->line;
	r = result_set_text(&result->file, "%s", spec->file);
	if (r == 0)
		r = result_set_text(&result->name, "%s", spec->name);
	if (r == 0)
		r = result_set_text(&result->command, "vireo run '%s/vm.json'", run->dir);
	for (unsigned i = 0; r == 0 && i < run->test->n_axes; i++)
		r = test_result_add_axis(result, run->test->axis[i].name, run->test->axis[i].value);
	for (unsigned i = 0; r == 0 && i < spec->n_steps; i++)
		r = test_result_add_step(result, spec->step[i].shown, spec->step[i].line, NULL);
	return r;
}

static void stop_timers(struct test_run *run)
{
	time_limit_stop(&run->limit);
	time_limit_stop(&run->step_limit);
	time_limit_stop(&run->nap);
	time_limit_stop(&run->grace);
	time_limit_stop(&run->agent_grace);
}

static void deliver(struct event_post *post)
{
	struct test_run *run = container_of(post, struct test_run, finish);
	struct test_result *result = run->result;

	run->state = RUN_OVER;
	stop_timers(run);
	test_run_console_close(run);
	if (run->report_from >= 0)
		test_run_keep_report(run);
	result->duration_ns = now_ns(run);
	if (run->cancelled && result_set_text(&result->why, "%s", run->cancelled) < 0)
		error_clear();
	if (!test_run_has_verdict(run))
		result->verdict = VERDICT_PASSED;
	run->result = NULL;
	run->ops->done(run->arg, result);
}

/* Vireo could not do its part: the whole chain is the reason, as nobody prints it. */
static void break_run(struct test_run *run)
{
	struct error_chain chain;
	char why[WHY_SIZE] = "";

	error_save(&chain);
	error_clear();
	for (unsigned i = chain.n; i > 0; i--)
		snprintf(why + strlen(why), sizeof(why) - strlen(why), "%s: ", chain.line[i - 1]);
	test_run_fail(run, VERDICT_BROKEN, 0, "%s%s%s%s", why, strerror(chain.err),
		      *chain.hint ? "; " : "", chain.hint);
}

/* What ends before there is a VM: skipped, or broken. */
static void begin(struct test_run *run)
{
	char why[TEST_MISSING_SIZE];

	if (test_case_is_missing(run->test, why)) {
		run->result->verdict = VERDICT_SKIPPED;
		if (result_set_text(&run->result->why, "%s", why) < 0)
			error_clear();
	} else if (start_vm(run) < 0) {
		break_run(run);
	}
	if (!run->has_vm)
		run->state = RUN_ENDING;
	else if (run->spec->n_steps == 0)
		run->state = RUN_ENDING;
	test_run_go_on(run);
}

int test_run_start(struct test_run **out, const struct test_case *test, const char *dir,
		   const char *program, struct event_loop *loop, const struct test_run_ops *ops,
		   void *arg)
{
	struct test_run *run = calloc(1, sizeof(*run));
	int r = -ENOMEM;

	*out = NULL;
	if (!run)
		return error_set(ENOMEM, "start test '%s'", test->title);
	*run = (struct test_run){
		.test = test, .spec = test->spec, .loop = loop, .ops = ops, .arg = arg,
		.program = program, .begin_ns = clock_now_ns(), .report_from = -1,
		.file = CONSOLE_FILE_INIT, .settle.fd = FD_NONE,
		.limit = TIME_LIMIT_INIT, .step_limit = TIME_LIMIT_INIT, .nap = TIME_LIMIT_INIT,
		.grace = TIME_LIMIT_INIT, .agent_grace = TIME_LIMIT_INIT,
		.go_on.fn = go_on, .finish.fn = deliver,
		.out.file = CONSOLE_FILE_INIT, .err.file = CONSOLE_FILE_INIT,
	};
	run->dir = strdup(dir);
	run->span = calloc(test->spec->n_steps + 1, sizeof(*run->span));
	if (run->dir && run->span)
		r = describe(run);
	if (r == 0)
		r = test_run_console_open(run);
	if (r == 0)
		r = time_limit_start(&run->limit, loop, run->spec->timeout_ms, test_time_is_up,
				     run);
	if (r < 0) {
		r = error_add(r, "start test '%s'", test->title);
		test_run_destroy(run);
		return r;
	}
	begin(run);
	*out = run;
	return 0;
}

void test_run_cancel(struct test_run *run, const char *why)
{
	if (run->state == RUN_OVER || test_run_has_verdict(run))
		return;
	run->cancelled = why;
	end_step(run, VERDICT_NOT_RUN, why);
	run->state = RUN_ENDING;
	test_run_stop_vm(run);
	test_run_go_on(run);
}

void test_run_destroy(struct test_run *run)
{
	if (!run)
		return;
	event_loop_unpost(run->loop, &run->go_on);
	event_loop_unpost(run->loop, &run->finish);
	stop_timers(run);
	vm_process_destroy(run->vm);
	test_guest_destroy(run->guest);
	test_run_agent_close(run);
	test_run_console_close(run);
	test_result_destroy(run->result);
	free(run->span);
	free(run->dir);
	free(run);
}
