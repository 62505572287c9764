#include "vmm/test/test_batch.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/signals.h"
#include "vmm/test/test_guest.h"
#include "vmm/test/test_key.h"
#include "vmm/test/test_run.h"

enum {
	TICK_MS = 200,
	/* What a VM takes beside its guest's memory: this process' share, page tables, devices. */
	VM_OVERHEAD_MIB = 32,
};

/* One run of one test. */
struct attempt {
	struct batch *batch;
	unsigned test, number;		/* which, and the how-manieth of it, from 1 */
	unsigned slot;
	struct test_run *run;		/* while it runs */
	char *dir, *path;		/* in the results directory, and with it */
	struct run_cache_key key;
	bool has_key;
};

struct batch {
	const struct test_batch_config *config;
	struct event_loop *loop;
	struct event_source tick;
	struct signals signals;
	struct schedule *schedule;
	struct attempt *attempt;
	unsigned n;
	bool stopping;			/* start no more */
	int signal;
};

/* --- The plan -------------------------------------------------------------------------------- */

static unsigned repeats(const struct test_batch_config *config, unsigned test)
{
	unsigned own = config->test[test]->spec->repeat;

	return config->repeat ? config->repeat : own ? own : 1;
}

static unsigned retries(const struct test_batch_config *config, unsigned test)
{
	/* Of several attempts each counts. */
	if (repeats(config, test) > 1)
		return 0;
	return config->retries ? config->retries : config->test[test]->spec->retries;
}

unsigned test_batch_attempts(const struct test_batch_config *config)
{
	unsigned n = 0;

	for (unsigned i = 0; i < config->n; i++)
		n += repeats(config, i);
	return n;
}

/* What is known of an attempt before it is run. */
static struct test_result *blank(const struct test_batch_config *config, unsigned test,
				 unsigned number)
{
	const struct test_case *t = config->test[test];
	struct test_result *result;
	int r = test_result_create(&result);

	if (r < 0)
		return NULL;
	r = result_set_text(&result->file, "%s", t->spec->file);
	if (r == 0)
		r = result_set_text(&result->name, "%s", t->spec->name);
	if (r == 0)
		r = result_set_text(&result->host, "%s", config->host);
	for (unsigned i = 0; r == 0 && i < t->n_axes; i++)
		r = test_result_add_axis(result, t->axis[i].name, t->axis[i].value);
	if (r < 0) {
		test_result_destroy(result);
		return NULL;
	}
	result->line = t->spec->line;
	result->attempt = number;
	result->shard = config->shard;
	result->n_shards = config->n_shards;
	return result;
}

int test_batch_plan(const struct test_batch_config *config, struct test_results *plan)
{
	for (unsigned i = 0; i < config->n; i++) {
		for (unsigned k = 1; k <= repeats(config, i); k++) {
			struct test_result *result = blank(config, i, k);
			int r = result ? test_results_add(plan, result) : -ENOMEM;

			if (r < 0)
				return error_set(r, "plan the tests: %u are too many",
						 test_batch_attempts(config));
		}
	}
	return 0;
}

static int make_schedule(struct batch *b)
{
	const struct test_batch_config *config = b->config;
	struct schedule_item *items = calloc(b->n ? b->n : 1, sizeof(*items));
	int r;

	if (!items)
		return error_set(ENOMEM, "plan the tests");
	for (unsigned i = 0; i < b->n; i++) {
		const struct vm_config *vm = &config->test[b->attempt[i].test]->vm;

		items[i].memory = min_u64(vm->memory, UINT64_MAX / 4) + MIB(VM_OVERHEAD_MIB);
		items[i].cpus = vm->cpus;
		items[i].expected_ns = durations_get(config->durations,
						     config->key[b->attempt[i].test]);
	}
	r = schedule_create(&b->schedule, items, b->n, &config->limits);
	free(items);
	return r;
}

/* --- One attempt ----------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Something of Vireo's own went wrong, which is no verdict on a test: say it and go on. */
static void say_error(struct batch *b, const char *what)
{
	progress_say(b->config->progress, "vireo: %s: %s", what, error_text());
	error_clear();
}

static void stop(struct batch *b, const char *why)
{
	b->stopping = true;
	for (unsigned i = 0; i < b->n; i++)
		if (b->attempt[i].run)
			test_run_cancel(b->attempt[i].run, why);
}

static void note_pass(struct batch *b, struct attempt *a, const struct test_result *result)
{
	struct run_cache_pass pass = { result->started_ns, result->duration_ns };

	durations_note(b->config->durations, b->config->key[a->test], result->duration_ns,
		       result->started_ns / 1000000000);
	/* What needed a second try is tried again the next time, too. */
	if (a->has_key && a->number == 1 &&
	    run_cache_add(b->config->cache, &a->key, &pass) < 0)
		say_error(b, b->config->key[a->test]);
}

/* 'result' (consumed) is what became of it, which is its end unless it is tried again. */
static void finish(struct batch *b, struct attempt *a, struct test_result *result, bool cached)
{
	const struct test_batch_config *config = b->config;
	bool bad = test_result_is_bad(result);
	bool again;
	char *console = NULL;

	if (result->verdict == VERDICT_PASSED && !cached)
		note_pass(b, a, result);
	if (a->path && asprintf(&console, "%s/console.log", a->path) < 0)
		console = NULL;
	progress_end(config->progress, a->slot, result, console);
	free(console);
	free(a->path);
	free(a->dir);
	a->path = a->dir = NULL;
	again = result->retried;
	if (result_store_add(config->store, result) < 0)
		say_error(b, config->key[a->test]);
	if (again)
		return;
	schedule_ended(b->schedule, (unsigned)(a - b->attempt));
	if (bad && config->fail_fast && !b->stopping)
		stop(b, "another test failed (--fail-fast)");
}

/* The run's own result with what only the batch knows.  Without memory for it, it says less. */
static void complete_result(struct attempt *a, struct test_result *result)
{
	const struct test_batch_config *config = a->batch->config;

	result->attempt = a->number;
	result->shard = config->shard;
	result->n_shards = config->n_shards;
	if (result_set_text(&result->host, "%s", config->host) < 0 ||
	    (a->dir && result_set_text(&result->dir, "%s", a->dir) < 0))
		say_error(a->batch, "no memory");
}

static void start(struct batch *b, struct attempt *a);
static void fill(struct batch *b);

static void run_done(void *arg, struct test_result *result)
{
	struct attempt *a = arg;
	bool again;

	test_run_destroy(a->run);
	a->run = NULL;
	complete_result(a, result);
	result->retried = verdict_is_bad(result->verdict) && !a->batch->stopping &&
			  a->number <= retries(a->batch->config, a->test);
	again = result->retried;
	finish(a->batch, a, result, false);
	/* In the same place, which nobody else has got meanwhile. */
	if (again) {
		a->number++;
		start(a->batch, a);
	}
	fill(a->batch);
}

static void run_step(void *arg, const char *text, unsigned index, unsigned n)
{
	struct attempt *a = arg;

	progress_step(a->batch->config->progress, a->slot, text, index, n);
}

static const struct test_run_ops run_ops = { .done = run_done, .step = run_step };

/* It could not even begin. */
static void break_attempt(struct batch *b, struct attempt *a, struct test_result *result)
{
	result->verdict = VERDICT_BROKEN;
	result->started_ns = now_ns();
	if (result_set_text(&result->why, "%s", error_text()) < 0)
		result->why = NULL;
	error_clear();
	finish(b, a, result, false);
}

/* Did it pass like this before?  Then that is its result. */
static bool use_cache(struct batch *b, struct attempt *a, struct test_result *result)
{
	const struct test_case *test = b->config->test[a->test];
	struct run_cache_pass pass;
	char when[32] = "";
	struct tm tm;

	/* Of several attempts each has to be made, or nothing is learned. */
	if (!b->config->cache || repeats(b->config, a->test) > 1)
		return false;
	if (test_key_make(b->config->cache, test, &a->key) < 0) {
		progress_say(b->config->progress, "vireo: %s: runs without the cache: %s",
			     b->config->key[a->test], error_text());
		error_clear();
		return false;
	}
	a->has_key = true;
	if (!run_cache_find(b->config->cache, &a->key, &pass))
		return false;
	time_t seconds = pass.when_ns / 1000000000;
	if (gmtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm);
	result->verdict = VERDICT_PASSED;
	result->started_ns = now_ns();
	if (result_set_text(&result->why, "cached: it passed on %s, in %.1f s", when,
			    (double)pass.duration_ns / 1e9) < 0)
		result->why = NULL;
	return true;
}

static void start(struct batch *b, struct attempt *a)
{
	const struct test_batch_config *config = b->config;
	const struct test_case *test = config->test[a->test];
	struct test_result *result = blank(config, a->test, a->number);
	char title[256];

	if (!result) {
		/* There is not even memory to say so: it stays planned, as not run. */
		error_set(ENOMEM, "start a test");
		say_error(b, config->key[a->test]);
		schedule_ended(b->schedule, (unsigned)(a - b->attempt));
		b->stopping = true;
		return;
	}
	snprintf(title, sizeof(title), "%s", test->title);
	if (repeats(config, a->test) > 1)
		snprintf(title, sizeof(title), "%.200s (%u of %u)", test->title, a->number,
			 repeats(config, a->test));
	progress_start(config->progress, a->slot, title, test->spec->timeout_ms);
	if (use_cache(b, a, result)) {
		finish(b, a, result, true);
		return;
	}
	if (result_store_make_dir(config->store, result, &a->path) < 0) {
		break_attempt(b, a, result);
		return;
	}
	if (result_set_text(&a->dir, "%s", result->dir) < 0 ||
	    test_run_start(&a->run, test, a->path, NULL, b->loop, &run_ops, a) < 0) {
		break_attempt(b, a, result);
		return;
	}
	test_result_destroy(result);
}

/* Start what there is room for; when nothing is left to do, that is the end. */
static void fill(struct batch *b)
{
	unsigned item, slot;

	while (!b->stopping && schedule_next(b->schedule, &item, &slot)) {
		struct attempt *a = &b->attempt[item];

		a->slot = slot;
		if (schedule_runs_alone(b->schedule, item) && a->number == 1)
			progress_say(b->config->progress, "vireo: %s: runs alone, it wants more "
				     "memory or CPUs than there are", b->config->key[a->test]);
		start(b, a);
	}
	if (schedule_running(b->schedule) == 0)
		event_loop_stop(b->loop);
}

/* --- The loop -------------------------------------------------------------------------------- */

static void ticked(struct event_source *source, uint32_t events)
{
	struct batch *b = container_of(source, struct batch, tick);

	(void)events;
	(void)fd_drain(source->fd);
	progress_tick(b->config->progress);
}

static int start_ticking(struct batch *b)
{
	struct itimerspec t = {
		.it_interval.tv_nsec = TICK_MS * 1000000, .it_value.tv_nsec = TICK_MS * 1000000,
	};

	b->tick.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (b->tick.fd < 0 || timerfd_settime(b->tick.fd, 0, &t, NULL) < 0)
		return error_set(errno, "start a timer");
	b->tick.fn = ticked;
	return event_loop_add(b->loop, &b->tick, EPOLLIN);
}

/* The second time: what runs is killed, and has no result. */
static void kill_all(struct batch *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		struct attempt *a = &b->attempt[i];

		if (!a->run)
			continue;
		test_run_destroy(a->run);
		a->run = NULL;
		free(a->dir);
		free(a->path);
		a->dir = a->path = NULL;
		schedule_ended(b->schedule, i);
	}
	event_loop_stop(b->loop);
}

/* For who reads the results: it was not the tests' doing. */
static void note_signal(struct batch *b, int sig)
{
	char text[64];

	snprintf(text, sizeof(text), "SIG%s ended the run before all tests had run",
		 sigabbrev_np(sig));
	if (result_store_note(b->config->store, text) < 0)
		say_error(b, "the results");
}

static void signalled(void *arg, int sig)
{
	struct batch *b = arg;

	switch (sig) {
	case SIGTSTP:
		/* The guests are processes of their own, and go on. */
		raise(SIGSTOP);
		break;
	case SIGWINCH:
	case SIGCONT:
		progress_tick(b->config->progress);
		break;
	case SIGUSR1:
	case SIGUSR2:
		break;
	default:
		if (b->signal) {
			kill_all(b);
			break;
		}
		b->signal = sig;
		progress_say(b->config->progress, "vireo: SIG%s: ending the VMs; results are "
			     "written (again: at once)", sigabbrev_np(sig));
		note_signal(b, sig);
		stop(b, "interrupted");
		if (schedule_running(b->schedule) == 0)
			event_loop_stop(b->loop);
	}
}

static int prepare(struct batch *b)
{
	unsigned next = 0;
	int r;

	b->n = test_batch_attempts(b->config);
	b->attempt = calloc(b->n ? b->n : 1, sizeof(*b->attempt));
	if (!b->attempt)
		return error_set(ENOMEM, "plan the tests");
	for (unsigned i = 0; i < b->config->n; i++)
		for (unsigned k = 1; k <= repeats(b->config, i); k++)
			b->attempt[next++] = (struct attempt){ .batch = b, .test = i, .number = k };
	for (unsigned i = 0; i < b->config->n; i++)
		test_guest_prepare(b->config->test[i]);
	r = make_schedule(b);
	if (r == 0)
		r = event_loop_create(&b->loop, "tests");
	if (r == 0)
		r = signals_init(&b->signals, b->loop, signalled, b);
	if (r == 0 && b->config->live)
		r = start_ticking(b);
	return r;
}

int test_batch_run(const struct test_batch_config *config, struct test_batch_end *end)
{
	struct batch b = { .config = config, .tick.fd = FD_NONE, .signals = SIGNALS_INIT };
	int r = prepare(&b);

	if (r == 0) {
		fill(&b);
		if (schedule_running(b.schedule) > 0)
			event_loop_run(b.loop);
	}
	end->signal = b.signal;
	end->complete = r == 0 && !b.stopping;
	event_loop_remove(&b.tick);
	fd_close(&b.tick.fd);
	signals_fini(&b.signals);
	event_loop_destroy(b.loop);
	schedule_destroy(b.schedule);
	free(b.attempt);
	return r;
}
