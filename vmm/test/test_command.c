/* "vireo test": boot the VMs of test files and tell what was as expected. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/text.h"
#include "vmm/command.h"
#include "vmm/file/config_json.h"
#include "vmm/outcome.h"
#include "vmm/test/host_room.h"
#include "vmm/test/last_results.h"
#include "vmm/test/merge.h"
#include "vmm/test/report.h"
#include "vmm/test/result_json.h"
#include "vmm/test/test_arguments.h"
#include "vmm/test/test_batch.h"
#include "vmm/test/test_choice.h"

#if HAVE_JANSSON

#include <jansson.h>

enum { HOST_NAME_SIZE = 65 };

/* One 'vireo test'. */
struct session {
	const struct test_arguments *args;
	struct test_choice choice;
	struct shard shard;
	struct durations *durations;
	char durations_path[RUN_CACHE_PATH_SIZE];	/* "": nowhere */
	struct run_cache *cache;
	char results[LAST_RESULTS_PATH_SIZE];
	char host[HOST_NAME_SIZE];
	unsigned n_before;		/* tests of all shards */
};

static int fail(void)
{
	error_print(stderr);
	return STATUS_FAILED;
}

/* An error that is no reason to stop. */
static void warn(void)
{
	error_print(stderr);
}

/* --- What is kept between runs --------------------------------------------------------------- */

static int find_durations(struct session *s)
{
	const char *named = s->args->durations;
	char dir[RUN_CACHE_PATH_SIZE];
	int r = durations_create(&s->durations);

	if (r < 0)
		return r;
	if (named) {
		if (snprintf(s->durations_path, sizeof(s->durations_path), "%s", named) >=
		    (int)sizeof(s->durations_path))
			return error_set(ENAMETOOLONG, "use the durations in '%s'", named);
		return durations_read(s->durations, named);
	}
	/* One's own: without them it is only slower. */
	if (run_cache_dir(dir) < 0) {
		error_clear();
		return 0;
	}
	snprintf(s->durations_path, sizeof(s->durations_path), "%.*s/durations.json",
		 RUN_CACHE_PATH_SIZE - 32, dir);
	if (durations_read(s->durations, s->durations_path) < 0)
		warn();
	return 0;
}

/*
 * A shard does not write them: another one, which begins later, would divide the tests in another
 * way.  Who merges the shards does.
 */
static void keep_durations(struct session *s)
{
	if (!s->durations_path[0] || s->shard.of > 0)
		return;
	if (durations_write(s->durations, s->durations_path) < 0)
		warn();
}

static int use_cache(struct session *s)
{
	char dir[RUN_CACHE_PATH_SIZE];

	if (!s->args->cache)
		return 0;
	int r = run_cache_dir(dir);
	return r < 0 ? r : run_cache_create(&s->cache, dir);
}

/* --- Reports --------------------------------------------------------------------------------- */

static int write_json(FILE *out, const struct test_results *results, int dir)
{
	(void)dir;
	return results_write_json(out, results);
}

static int write_report(const char *path, const struct test_results *results, int dir,
			int (*write)(FILE *out, const struct test_results *results, int dir))
{
	FILE *out = !strcmp(path, "-") ? stdout : fopen(path, "we");
	int r;

	if (!out)
		return error_set(errno, "write '%s'", path);
	r = write(out, results, dir);
	if ((fflush(out) != 0 || ferror(out)) && r == 0)
		r = -EIO;
	if (out != stdout && fclose(out) != 0 && r == 0)
		r = -errno;
	return r < 0 ? error_add(r, "write '%s'", path) : 0;
}

/* Those that the user wants elsewhere.  Returns the exit status: 0 or STATUS_FAILED. */
static int write_reports(const struct session *s, const struct test_results *results)
{
	const struct {
		const char *path;
		int (*write)(FILE *out, const struct test_results *results, int dir);
	} report[] = {
		{ s->args->tap, report_write_tap },
		{ s->args->junit, report_write_junit },
		{ s->args->html, report_write_html },
		{ s->args->json, write_json },
	};
	int dir = open(s->results, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(report); i++)
		if (report[i].path &&
		    write_report(report[i].path, results, dir, report[i].write) < 0)
			status = fail();
	fd_close(&dir);
	return status;
}

static bool wants_stdout(const struct test_arguments *args)
{
	const char *const path[] = { args->tap, args->junit, args->html, args->json };

	for (unsigned i = 0; i < ARRAY_SIZE(path); i++)
		if (path[i] && !strcmp(path[i], "-"))
			return true;
	return false;
}

/* --- Listing --------------------------------------------------------------------------------- */

static int list(const struct session *s)
{
	for (unsigned i = 0; i < s->choice.n; i++) {
		const struct test_case *test = s->choice.test[i];
		char memory[24];

		puts(s->choice.key[i]);
		if (!s->args->verbose)
			continue;
		printf("    memory %s, cpus %u, timeout %.1f s", text_format_size(memory,
			test->vm.memory), test->vm.cpus, (double)test->spec->timeout_ms / 1000);
		uint64_t known = durations_get(s->durations, s->choice.key[i]);
		if (known)
			printf(", usually %.1f s", (double)known / 1e9);
		for (unsigned k = 0; k < test->spec->tags.n; k++)
			printf("%s%s", k ? ", " : "; tags ", test->spec->tags.item[k]);
		putchar('\n');
	}
	return fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILED;
}

/* One object: "FILE: TITLE" and its VM. */
static int print(const struct session *s)
{
	const char *gap = "";

	putchar('{');
	for (unsigned i = 0; i < s->choice.n; i++) {
		json_t *name = json_string(s->choice.key[i]);

		printf("%s\n", gap);
		json_dumpf(name, stdout, JSON_ENCODE_ANY);
		json_decref(name);
		fputs(": ", stdout);
		if (config_write_json(stdout, &s->choice.test[i]->vm, false) < 0)
			return fail();
		gap = ",";
	}
	puts("}");
	return fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILED;
}

/* --- Running --------------------------------------------------------------------------------- */

/* The command as a shell takes it again.  Owned; NULL without memory. */
static char *command_text(int argc, char **argv)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-_=+./:,@%";
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fputs("vireo test", out);
	for (int i = 0; i < argc; i++) {
		if (*argv[i] && !argv[i][strspn(argv[i], plain)]) {
			fprintf(out, " %s", argv[i]);
			continue;
		}
		fputs(" '", out);
		for (const char *p = argv[i]; *p; p++)
			fputs(*p == '\'' ? "'\\''" : (char[]){ *p, '\0' }, out);
		fputc('\'', out);
	}
	return fclose(out) == 0 ? text : NULL;
}

static struct schedule_limits find_limits(const struct session *s, struct progress *progress)
{
	struct schedule_limits limits = { .jobs = s->args->jobs };
	struct host_room room;
	char memory[24];

	if (limits.jobs)
		return limits;
	host_room_read(&room, "");
	/* The host lives on, and so does what others do there. */
	limits.memory = room.memory - room.memory / 8;
	limits.cpus = room.cpus;
	if (s->args->verbose)
		progress_say(progress, "vireo: there is room for %s of memory and %u CPUs at a "
			     "time", text_format_size(memory, limits.memory & ~(MIB(1) - 1)),
			     limits.cpus);
	return limits;
}

static void say_shard(const struct session *s, struct progress *progress)
{
	if (s->shard.of == 0)
		return;
	progress_say(progress, "vireo: shard %u of %u%s%s%s: %u of %u tests, divided by %s",
		     s->shard.index, s->shard.of, s->shard.source[0] ? " (" : "", s->shard.source,
		     s->shard.source[0] ? ")" : "", s->choice.n, s->n_before,
		     s->args->durations ? "durations" : "number");
}

static int open_progress(const struct session *s, struct progress **out, unsigned n)
{
	struct progress_config config = {
		.out = wants_stdout(s->args) ? stderr : stdout,
		.quiet = s->args->progress == PROGRESS_QUIET,
		.n_planned = n,
		.results = s->results,
	};

	config.live = s->args->progress == PROGRESS_LIVE ||
		      (s->args->progress == PROGRESS_AUTO && progress_is_live(config.out));
	return progress_create(out, &config);
}

static int make_store(const struct session *s, const struct test_batch_config *batch, int argc,
		      char **argv, struct result_store **out)
{
	struct test_results plan = {
		.command = command_text(argc, argv),
		.host = strdup(s->host),
		.shard = s->shard.index,
		.n_shards = s->shard.of,
	};
	char moved[LAST_RESULTS_PATH_SIZE];
	struct timespec now;
	int r = test_batch_plan(batch, &plan);

	clock_gettime(CLOCK_REALTIME, &now);
	plan.started_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
	if (r == 0 && s->args->keep) {
		r = last_results_keep(s->results, moved);
		if (r == 0 && moved[0])
			progress_say(batch->progress, "vireo: the results of the last run are in "
				     "%s now", moved);
	}
	if (r == 0)
		return result_store_create(out, s->results, &plan);
	test_results_fini(&plan);
	return r;
}

/* The run itself, and what is to be written behind it. */
static int run_batch(struct session *s, struct test_batch_config *batch)
{
	struct test_batch_end end;
	int status = 0, reports;

	if (test_batch_run(batch, &end) < 0)
		status = fail();
	if (result_store_finish(batch->store, end.complete) < 0)
		status = fail();
	const struct test_results *results = result_store_results(batch->store);
	progress_summary(batch->progress, results);
	reports = write_reports(s, results);
	keep_durations(s);
	if (end.signal)
		return COMMAND_SIGNAL + end.signal;
	if (status == 0)
		status = test_results_status(results);
	return status ? status : reports;
}

static int run(struct session *s, int argc, char **argv)
{
	struct test_batch_config batch = {
		.test = s->choice.test,
		.key = (const char *const *)s->choice.key,
		.n = s->choice.n,
		.repeat = s->args->repeat,
		.retries = s->args->retries,
		.fail_fast = s->args->fail_fast,
		.cache = s->cache,
		.durations = s->durations,
		.shard = s->shard.index,
		.n_shards = s->shard.of,
		.host = s->host,
	};
	int status;

	if (open_progress(s, &batch.progress, test_batch_attempts(&batch)) < 0)
		return fail();
	batch.live = s->args->progress != PROGRESS_QUIET;
	say_shard(s, batch.progress);
	batch.limits = find_limits(s, batch.progress);
	status = make_store(s, &batch, argc, argv, &batch.store) < 0 ? fail() :
		 run_batch(s, &batch);
	progress_destroy(batch.progress);
	result_store_destroy(batch.store);
	return status;
}

/* --- The command ----------------------------------------------------------------------------- */

/*
 * Where results go.  Shards that nobody gave a directory have one each, as they may share a disk.
 */
static int name_results(struct session *s)
{
	const char *named = s->args->results ? s->args->results : "vireo-results";
	bool own = !s->args->results && s->shard.of > 0;
	int n = own ? snprintf(s->results, sizeof(s->results), "%s-%u-of-%u", named, s->shard.index,
			       s->shard.of) :
		      snprintf(s->results, sizeof(s->results), "%s", named);

	return n < (int)sizeof(s->results) ? 0 : error_set(ENAMETOOLONG, "write results");
}

static int merge(struct session *s)
{
	struct test_results results;
	int status;

	if (name_results(s) < 0)
		return fail();
	status = test_merge(s->args->path.word, s->args->path.n, s->results);
	if (last_results_read(&results, s->results) < 0)
		return fail();
	if (find_durations(s) < 0) {
		status = fail();
	} else {
		for (unsigned i = 0; i < results.n_tests; i++) {
			const struct test_result *test = results.test[i];
			char *title = test_result_title(test), *key = NULL;

			if (title && test->verdict == VERDICT_PASSED && !test->why &&
			    asprintf(&key, "%s: %s", test->file ? test->file : "", title) >= 0)
				durations_note(s->durations, key, test->duration_ns,
					       test->started_ns / 1000000000);
			free(key);
			free(title);
		}
		keep_durations(s);
	}
	int reports = write_reports(s, &results);
	test_results_fini(&results);
	return status ? status : reports;
}

/* Only what went wrong the last time.  Returns 0 or -errno with an error chain. */
static int keep_failed(struct session *s)
{
	struct test_results last;
	int r = last_results_read(&last, s->results);

	if (r == 0)
		r = test_choice_keep_failed(&s->choice, &last);
	else
		error_hint("--rerun-failed begins where another run ended; '--results DIR' says "
			   "where that is");
	test_results_fini(&last);
	return r;
}

static const char *getenv_const(const char *name)
{
	return getenv(name);
}

/* Which tests this run is about.  Returns 0, or -errno with an error chain. */
static int choose(struct session *s)
{
	int r = shard_read(&s->shard, s->args->shard, getenv_const);

	if (r == 0)
		r = name_results(s);
	if (r == 0)
		r = find_durations(s);
	if (r == 0 && s->args->rerun_failed)
		r = keep_failed(s);
	s->n_before = s->choice.n;
	/* One's own durations are not those of the other shards. */
	if (r == 0)
		r = test_choice_keep_shard(&s->choice, &s->shard,
					   s->args->durations ? s->durations : NULL);
	return r;
}

static int do_session(struct session *s, int argc, char **argv)
{
	if (choose(s) < 0)
		return fail();
	if (s->args->list)
		return list(s);
	if (s->args->print)
		return print(s);
	if (s->n_before == 0) {
		fprintf(stderr, s->args->rerun_failed ?
			"vireo: nothing of this went wrong the last time\n" :
			"vireo: no test matches\n");
		return s->args->rerun_failed ? STATUS_OK : STATUS_FAILED;
	}
	return use_cache(s) < 0 ? fail() : run(s, argc, argv);
}

static int tell(const struct mistakes *mistakes)
{
	mistakes_print(mistakes, stderr);
	return mistakes->status;
}

static int test_main(int argc, char **argv)
{
	static struct mistakes mistakes;
	struct test_arguments args;
	struct session s = { .args = &args };
	int status = STATUS_FAILED;

	mistakes = (struct mistakes){ 0 };
	if (test_arguments_read(&args, argc, argv, &mistakes) < 0) {
		fail();
		goto out;
	}
	if (args.help) {
		test_arguments_help(stdout);
		status = STATUS_OK;
		goto out;
	}
	if (gethostname(s.host, sizeof(s.host) - 1) < 0)
		snprintf(s.host, sizeof(s.host), "localhost");
	if (mistakes.n == 0 && args.merge) {
		status = merge(&s);
		goto out;
	}
	if (args.path.n > 0 && !args.merge && test_choice_read(&s.choice, &args, &mistakes) < 0)
		fail();
	else if (mistakes.n > 0)
		status = tell(&mistakes);
	else
		status = do_session(&s, argc, argv);
out:
	test_choice_fini(&s.choice);
	durations_destroy(s.durations);
	run_cache_destroy(s.cache);
	test_arguments_fini(&args);
	return status;
}

#else

static int test_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fprintf(stderr, "vireo: test: this Vireo was built without libjansson\n");
	return STATUS_FAILED;
}

#endif

const struct command test_command = {
	.name = "test",
	.summary = "boot VMs and tell whether they do what they should",
	.run = test_main,
	.help = test_arguments_help,
	.complete = test_arguments_complete,
};
