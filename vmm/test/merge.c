#include "vmm/test/merge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/outcome.h"
#include "vmm/test/copy_tree.h"
#include "vmm/test/escape.h"
#include "vmm/test/result_read.h"
#include "vmm/test/result_store.h"
#include "vmm/test/run_files.h"

enum { DUPLICATES_NAMED = 50 };

struct source {
	const char *path;
	int dir;
	bool is_read;
	struct test_results results;
};

/* A test, and where it is from. */
struct taken {
	struct test_result *test;	/* taken out of its source */
	unsigned source, order;
	bool dropped;			/* it was not run there, but elsewhere */
};

struct merge {
	unsigned n_sources, n_tests;
	struct source *source;
	struct taken *taken;
	struct test_results head;	/* without tests */
	bool incomplete;
};

/* --- Reading ----------------------------------------------------------------------------------*/

static int read_file(const struct source *s, const char *name, char **text, size_t *len)
{
	int fd = openat(s->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int r = 0;

	*text = NULL;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		r = error_set(EINVAL, "it is no regular file");
	else if (st.st_size > RESULTS_MAX_BYTES)
		r = error_set(E2BIG, "it is larger than %d MiB", RESULTS_MAX_BYTES >> 20);
	if (r == 0) {
		*len = (size_t)st.st_size;
		*text = malloc(*len + 1);
		r = *text ? fd_pread_all(fd, *text, *len, 0) : -ENOMEM;
	}
	fd_close(&fd);
	return r < 0 ? error_add(r, "read '%s/%s'", s->path, name) : 0;
}

/* What a run left: its results, or the journal if it was killed. */
static int read_source(struct source *s)
{
	const char *name = "results.json";
	char *text;
	size_t len;
	int r;

	s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return error_set(errno, "open the directory '%s'", s->path);
	r = read_file(s, name, &text, &len);
	if (r == -ENOENT) {
		error_clear();
		name = "results.jsonl";
		r = read_file(s, name, &text, &len);
		if (r == -ENOENT)
			r = error_set(ENOENT, "'%s' has no results: neither results.json nor a "
				      "journal", s->path);
	}
	if (r == 0) {
		r = strstr(name, "jsonl") ? results_read_journal(&s->results, text, len) :
		    results_read_json(&s->results, text, len);
		if (r < 0)
			error_add(r, "read '%s/%s'", s->path, name);
	}
	free(text);
	s->is_read = r == 0;
	return r;
}

/* Of nothing nothing is made: what is in the place of the results may be worth more. */
static int read_sources(struct merge *m)
{
	unsigned n_read = 0;

	for (unsigned i = 0; i < m->n_sources; i++) {
		struct source *s = &m->source[i];
		if (read_source(s) == 0) {
			n_read++;
			continue;
		}
		error_print(stderr);
		m->incomplete = true;
		if (test_results_add_note(&m->head, "the results in '%s' could not be read",
					  s->path) < 0)
			return error_set(ENOMEM, "merge results");
	}
	return n_read ? 0 : error_set(ENODATA, "there is nothing to merge");
}

/* --- Judging ----------------------------------------------------------------------------------*/

/* "2-4, 7": the numbers from 1 to 'n' that are not set; returned owned, NULL if there are none. */
static char *missing_of(const bool *seen, unsigned n)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (unsigned i = 1, last; out && i <= n; i = last + 1) {
		last = i;
		if (seen[i])
			continue;
		while (last < n && !seen[last + 1])
			last++;
		fprintf(out, ftell(out) ? ", %u" : "%u", i);
		if (last > i)
			fprintf(out, "-%u", last);
	}
	if (out)
		fclose(out);
	if (text && !*text) {
		free(text);
		text = NULL;
	}
	return text;
}

static int see_shard(struct merge *m, bool *seen, unsigned *of, unsigned shard, unsigned n_shards)
{
	if (n_shards == 0)
		return 0;
	if (*of && *of != n_shards) {
		if (!m->incomplete &&
		    test_results_add_note(&m->head, "shards of %u and of %u are mixed", *of,
					  n_shards) < 0)
			return -ENOMEM;
		m->incomplete = true;
		return 0;
	}
	*of = n_shards;
	seen[shard] = true;
	return 0;
}

/* Who divided tests into N shards has results of each. */
static int judge_shards(struct merge *m)
{
	bool *seen = calloc(RESULT_MAX_TESTS + 1, sizeof(*seen));
	unsigned of = 0;
	char *missing;
	int r = seen ? 0 : -ENOMEM;

	for (unsigned i = 0; i < m->n_sources && r == 0; i++) {
		const struct test_results *set = &m->source[i].results;
		r = see_shard(m, seen, &of, set->shard, set->n_shards);
		for (unsigned k = 0; k < set->n_tests && r == 0; k++)
			r = see_shard(m, seen, &of, set->test[k]->shard, set->test[k]->n_shards);
	}
	missing = r == 0 && of ? missing_of(seen, of) : NULL;
	if (missing) {
		m->incomplete = true;
		r = test_results_add_note(&m->head, "of %u shards these are missing: %s", of,
					  missing);
	}
	free(missing);
	free(seen);
	return r < 0 ? error_set(ENOMEM, "merge results") : 0;
}

/* Attempts of a test in a row: of the same number what was run before what was not. */
static int by_test(const void *a, const void *b)
{
	const struct taken *x = a, *y = b;
	bool x_idle = x->test->verdict == VERDICT_NOT_RUN;
	bool y_idle = y->test->verdict == VERDICT_NOT_RUN;
	int order = test_result_compare(x->test, y->test);

	if (order)
		return order;
	if (x->test->attempt != y->test->attempt)
		return x->test->attempt < y->test->attempt ? -1 : 1;
	if (x_idle != y_idle)
		return x_idle ? 1 : -1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int by_order(const void *a, const void *b)
{
	const struct taken *x = a, *y = b;

	return x->order < y->order ? -1 : x->order > y->order;
}

static int take_tests(struct merge *m)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < m->n_sources; i++)
		n += m->source[i].results.n_tests;
	if (n > RESULT_MAX_TESTS)
		return error_set(E2BIG, "merge more than %d tests", RESULT_MAX_TESTS);
	m->taken = calloc(n + 1, sizeof(*m->taken));
	if (!m->taken)
		return error_set(ENOMEM, "merge results");
	for (unsigned i = 0; i < m->n_sources; i++) {
		struct test_results *set = &m->source[i].results;
		for (unsigned k = 0; k < set->n_tests; k++, m->n_tests++)
			m->taken[m->n_tests] = (struct taken){ set->test[k], i, m->n_tests, false };
		set->n_tests = 0;
	}
	return 0;
}

static int note_duplicate(struct merge *m, const struct taken *a, const struct taken *b)
{
	char *title = test_result_title(a->test);
	int r = title ? test_results_add_note(&m->head, "'%s' of %s is in '%s' and in '%s'", title,
					      a->test->file ? a->test->file : "no file",
					      m->source[a->source].path,
					      m->source[b->source].path) : -ENOMEM;

	free(title);
	return r;
}

/* 'n' from 'o' on are of one test. */
static int join_attempts(struct merge *m, struct taken *o, unsigned n, unsigned *named)
{
	unsigned attempt = 0, was_run = 0;	/* as they were numbered: the last that was run */
	bool is_named = false;

	for (unsigned i = 0; i < n; i++) {
		if (o[i].test->verdict != VERDICT_NOT_RUN) {
			was_run = o[i].test->attempt;
		} else if (o[i].test->attempt == was_run) {
			o[i].dropped = true;
			continue;
		}
		/* The same shard twice was run again; different ones should share no test. */
		if (o[i].source != o[0].source && !is_named &&
		    o[i].test->shard != o[0].test->shard && (*named)++ < DUPLICATES_NAMED) {
			is_named = true;
			if (note_duplicate(m, &o[0], &o[i]) < 0)
				return -ENOMEM;
		}
		o[i].test->attempt = o[i].test->attempt > attempt ? o[i].test->attempt :
				     attempt + 1;
		attempt = o[i].test->attempt;
	}
	return 0;
}

static int join_tests(struct merge *m)
{
	unsigned named = 0;
	int r = 0;

	qsort(m->taken, m->n_tests, sizeof(*m->taken), by_test);
	for (unsigned i = 0, n; i < m->n_tests && r == 0; i += n) {
		for (n = 1; i + n < m->n_tests &&
		     test_result_is_same_test(m->taken[i].test, m->taken[i + n].test); n++)
			;
		r = join_attempts(m, &m->taken[i], n, &named);
	}
	if (r == 0 && named > DUPLICATES_NAMED)
		r = test_results_add_note(&m->head, "and %u more tests are there twice",
					  named - DUPLICATES_NAMED);
	qsort(m->taken, m->n_tests, sizeof(*m->taken), by_order);
	return r < 0 ? error_set(ENOMEM, "merge results") : 0;
}

/* A source that is not complete is made so by others, if these ran what it did not. */
static int judge_sources(struct merge *m)
{
	for (unsigned i = 0; i < m->n_sources; i++) {
		const struct source *s = &m->source[i];
		bool made_good = false;
		if (!s->is_read || s->results.complete)
			continue;
		for (unsigned k = 0; k < m->n_tests; k++)
			made_good |= m->taken[k].source == i && m->taken[k].dropped;
		for (unsigned k = 0; k < m->n_tests; k++)
			if (m->taken[k].source == i && !m->taken[k].dropped &&
			    m->taken[k].test->verdict == VERDICT_NOT_RUN)
				made_good = false;
		if (made_good)
			continue;
		m->incomplete = true;
		if (test_results_add_note(&m->head, "the run in '%s' was not complete",
					  s->path) < 0)
			return error_set(ENOMEM, "merge results");
	}
	return 0;
}

static int make_head(struct merge *m, const char *out)
{
	struct test_results *head = &m->head;
	uint64_t end = 0;
	char *line = NULL;
	size_t len;
	FILE *command = open_memstream(&line, &len);
	int r = 0;

	if (!command)
		return error_set(ENOMEM, "merge results");
	fputs("vireo test --merge", command);
	for (unsigned i = 0; i < m->n_sources; i++) {
		const struct test_results *set = &m->source[i].results;
		fputc(' ', command);
		escape_shell(command, m->source[i].path);
		if (set->started_ns && (!head->started_ns || set->started_ns < head->started_ns))
			head->started_ns = set->started_ns;
		end = max_u64(end, (uint64_t)set->started_ns + set->duration_ns);
		for (unsigned k = 0; k < set->n_notes && r == 0; k++)
			r = test_results_add_note(head, "%s: %s", m->source[i].path, set->note[k]);
	}
	fputs(" --results ", command);
	escape_shell(command, out);
	if (fclose(command) != 0 || result_set_text(&head->command, "%s", line) < 0)
		r = -ENOMEM;
	free(line);
	/* From the first start to the last end: hosts whose clocks differ may say anything. */
	head->duration_ns = max_u64(end > (uint64_t)head->started_ns ?
				    end - (uint64_t)head->started_ns : 0, 1);
	return r < 0 ? error_set(ENOMEM, "merge results") : 0;
}

/* --- Writing ----------------------------------------------------------------------------------*/

static int copy_run(struct merge *m, struct result_store *store, struct taken *o)
{
	int from = run_files_open_dir(m->source[o->source].dir, o->test->dir), to, r;
	unsigned left_out = 0;
	char *path, note[200];

	if (from < 0) {
		/* An artifact without them: the results alone are worth having. */
		free(o->test->dir);
		o->test->dir = NULL;
		return 0;
	}
	r = result_store_make_dir(store, o->test, &path);
	if (r < 0) {
		fd_close(&from);
		return r;
	}
	to = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0) {
		r = error_set(errno, "open the directory '%s'", path);
		fd_close(&from);
	} else {
		r = copy_tree(from, to, &left_out);
	}
	fd_close(&to);
	free(path);
	if (r == 0 && left_out) {
		snprintf(note, sizeof(note), "%u files of %.100s were not copied", left_out,
			 o->test->dir);
		r = result_store_note(store, note);
	}
	return r;
}

static int write_all(struct merge *m, struct result_store *store)
{
	int r = 0;

	for (unsigned i = 0; i < m->n_tests && r == 0; i++) {
		struct taken *o = &m->taken[i];
		if (o->dropped)
			continue;
		if (o->test->dir)
			r = copy_run(m, store, o);
		if (r == 0) {
			r = result_store_add(store, o->test);
			o->test = NULL;
		}
	}
	return r == 0 ? result_store_finish(store, !m->incomplete) : r;
}

/* Else its removal comes before its copying. */
static int refuse_same(const struct merge *m, const char *out)
{
	struct stat a, b;

	for (unsigned i = 0; i < m->n_sources; i++)
		if (m->source[i].dir >= 0 && stat(out, &a) == 0 &&
		    fstat(m->source[i].dir, &b) == 0 && a.st_dev == b.st_dev &&
		    a.st_ino == b.st_ino) {
			error_set(EINVAL, "'%s' is to be merged, and is where the results go", out);
			error_hint("name another directory with --results");
			return -EINVAL;
		}
	return 0;
}

static void say(const struct result_store *store, const char *out)
{
	const struct test_results *all = result_store_results(store);
	struct result_counts counts;

	for (unsigned i = 0; i < all->n_notes; i++) {
		fputs("note: ", stdout);
		escape_line(stdout, all->note[i], 400);
		fputc('\n', stdout);
	}
	if (test_results_count(all, &counts) < 0)
		return;
	printf("%u passed, %u failed, %u timed out, %u broken, %u skipped, %u not run",
	       counts.verdict[VERDICT_PASSED], counts.verdict[VERDICT_FAILED],
	       counts.verdict[VERDICT_TIMED_OUT], counts.verdict[VERDICT_BROKEN],
	       counts.verdict[VERDICT_SKIPPED], counts.verdict[VERDICT_NOT_RUN]);
	if (counts.flaky)
		printf(", %u flaky", counts.flaky);
	printf("%s: %s/report.html\n", all->complete ? "" : " (not complete)", out);
}

static int merge(struct merge *m, const char *out)
{
	struct result_store *store;
	int r = read_sources(m);

	if (r == 0)
		r = refuse_same(m, out);
	if (r == 0)
		r = make_head(m, out);
	if (r == 0)
		r = judge_shards(m);
	if (r == 0)
		r = take_tests(m);
	if (r == 0)
		r = join_tests(m);
	if (r == 0)
		r = judge_sources(m);
	if (r == 0)
		r = result_store_create(&store, out, &m->head);
	if (r < 0)
		return r;
	r = write_all(m, store);
	if (r == 0)
		say(store, out);
	result_store_destroy(store);
	return r;
}

int test_merge(const char *const *dirs, unsigned n_dirs, const char *out)
{
	struct merge m = { .n_sources = n_dirs, .source = calloc(n_dirs + 1, sizeof(*m.source)) };
	int r = m.source ? 0 : error_set(ENOMEM, "merge results");

	for (unsigned i = 0; m.source && i < n_dirs; i++)
		m.source[i] = (struct source){ .path = dirs[i], .dir = FD_NONE };
	if (r == 0)
		r = merge(&m, out);
	if (r < 0)
		error_add(r, "merge results into '%s'", out);
	for (unsigned i = 0; m.source && i < n_dirs; i++) {
		fd_close(&m.source[i].dir);
		test_results_fini(&m.source[i].results);
	}
	for (unsigned i = 0; i < m.n_tests; i++)
		test_result_destroy(m.taken[i].test);
	test_results_fini(&m.head);
	free(m.source);
	free(m.taken);
	return r;
}
