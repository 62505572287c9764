#include "vmm/test/result_store.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/test/report.h"
#include "vmm/test/result_json.h"

enum { NAME_KEPT = 80 };

static const char marker[] = ".vireo-results";
static const char journal_name[] = "results.jsonl";
static const char runs[] = "runs";

/* What an earlier run left, beside the marker and the runs. */
static const char *const made[] = {
	journal_name, "results.json", "results.tap", "junit.xml", "report.html",
};

struct result_store {
	char *path;
	int dir, journal;
	uint64_t began_ns;
	unsigned n_dirs;		/* made by now: each has its number */
	struct test_results results;
};

/* --- The directory ---------------------------------------------------------------------------- */

static int make_one(const char *path)
{
	if (mkdir(path, 0777) < 0 && errno != EEXIST)
		return error_set(errno, "make the directory '%s'", path);
	return 0;
}

/* And those above it. */
static int make_with_parents(const char *path)
{
	char *copy = strdup(path);
	int r = 0;

	if (!copy)
		return error_set(ENOMEM, "make the directory '%s'", path);
	for (size_t i = 1; copy[0] && copy[i] && r == 0; i++) {
		if (copy[i] != '/')
			continue;
		copy[i] = 0;
		r = make_one(copy);
		copy[i] = '/';
	}
	free(copy);
	return r == 0 ? make_one(path) : r;
}

/* A tree of any depth; links are removed, not followed. */
static int remove_runs(const char *path)
{
	char *tree = NULL;
	FTSENT *entry;
	FTS *fts;
	int r = 0;

	if (asprintf(&tree, "%s/%s", path, runs) < 0)
		return error_set(ENOMEM, "remove '%s/%s'", path, runs);
	fts = fts_open((char *[]){ tree, NULL }, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	if (!fts)
		r = error_set(errno, "remove '%s'", tree);
	while (fts && r == 0 && (entry = fts_read(fts))) {
		/* A guest's directory may be without permissions. */
		if (entry->fts_info == FTS_D)
			continue;
		if (entry->fts_info == FTS_DNR && chmod(entry->fts_accpath, 0700) == 0) {
			fts_set(fts, entry, FTS_AGAIN);
			continue;
		}
		if (remove(entry->fts_accpath) < 0 && errno != ENOENT)
			r = error_set(errno, "remove '%s'", entry->fts_path);
	}
	if (fts)
		fts_close(fts);
	free(tree);
	return r;
}

static int remove_earlier(const struct result_store *s)
{
	int r;

	if (faccessat(s->dir, marker, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		for (unsigned i = 0; i <= ARRAY_SIZE(made); i++) {
			const char *name = i < ARRAY_SIZE(made) ? made[i] : runs;
			if (faccessat(s->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
				continue;
			r = error_set(EEXIST, "'%s/%s' was not made by 'vireo test'", s->path,
				      name);
			error_hint("name another directory with --results, or remove it");
			return r;
		}
		return 0;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(made); i++)
		if (unlinkat(s->dir, made[i], 0) < 0 && errno != ENOENT)
			return error_set(errno, "remove '%s/%s'", s->path, made[i]);
	return remove_runs(s->path);
}

static int make_own(struct result_store *s)
{
	static const char text[] = "Made by 'vireo test', which overwrites it each time.\n";
	int fd = openat(s->dir, marker, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			0666);
	int r = fd < 0 ? -errno : fd_write_all(fd, text, sizeof(text) - 1);

	fd_close(&fd);
	if (r == 0 && mkdirat(s->dir, runs, 0777) < 0)
		r = -errno;
	if (r == 0) {
		s->journal = openat(s->dir, journal_name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND |
				    O_NOFOLLOW | O_CLOEXEC, 0666);
		r = s->journal < 0 ? -errno : 0;
	}
	return r < 0 ? error_set(r, "write into '%s'", s->path) : 0;
}

/* --- The journal ------------------------------------------------------------------------------ */

/* 'line' is consumed.  Of one that there is no room for nothing stays: the next may be shorter. */
static int append(struct result_store *s, char *line)
{
	off_t before = lseek(s->journal, 0, SEEK_END);
	int r = line ? fd_write_all(s->journal, line, strlen(line)) : -ENOMEM;

	free(line);
	if (r < 0 && (before < 0 || ftruncate(s->journal, before) < 0))
		return error_set(r, "write '%s/%s', which now ends in half a line", s->path,
				 journal_name);
	return r < 0 ? error_set(r, "write '%s/%s'", s->path, journal_name) : 0;
}

static int write_plan(struct result_store *s)
{
	char *text = NULL, *line = journal_head(&s->results);
	size_t len;
	FILE *out = open_memstream(&text, &len);
	bool fine = out && line && fputs(line, out) >= 0;

	free(line);
	for (unsigned i = 0; fine && i < s->results.n_tests; i++) {
		line = journal_planned(s->results.test[i]);
		fine = line && fputs(line, out) >= 0;
		free(line);
	}
	if (out && fclose(out) != 0)
		fine = false;
	if (fine)
		return append(s, text);
	free(text);
	return append(s, NULL);
}

/* --- The store --------------------------------------------------------------------------------*/

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int prepare(struct result_store *s, const char *dir)
{
	int r;

	if (!*dir)
		return error_set(EINVAL, "the results directory has no name");
	if (result_set_text(&s->path, "%s", dir) < 0)
		return error_set(ENOMEM, "make a place for results");
	r = make_with_parents(dir);
	if (r < 0)
		return r;
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return error_set(errno, "open the directory '%s'", dir);
	if (flock(s->dir, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		error_set(EBUSY, "another 'vireo test' writes to '%s'", dir);
		error_hint("give each its own directory with --results");
		return -EBUSY;
	}
	r = remove_earlier(s);
	if (r == 0)
		r = make_own(s);
	return r == 0 ? write_plan(s) : r;
}

int result_store_create(struct result_store **out, const char *dir, struct test_results *plan)
{
	struct result_store *s = calloc(1, sizeof(*s));
	int r;

	*out = NULL;
	if (!s) {
		test_results_fini(plan);
		return error_set(ENOMEM, "make a place for results");
	}
	s->dir = s->journal = FD_NONE;
	s->began_ns = clock_now_ns();
	s->results = *plan;
	s->results.complete = false;
	if (!s->results.started_ns)
		s->results.started_ns = now_ns();
	*plan = (struct test_results){ 0 };
	r = prepare(s, dir);
	if (r < 0) {
		result_store_destroy(s);
		return error_add(r, "make '%s' ready for results", dir);
	}
	*out = s;
	return 0;
}

void result_store_destroy(struct result_store *store)
{
	if (!store)
		return;
	fd_close(&store->dir);
	fd_close(&store->journal);
	test_results_fini(&store->results);
	free(store->path);
	free(store);
}

/* "3-boots-vm.cpus-4": readable, and a plain word everywhere. */
static int name_dir(char **out, unsigned number, const struct test_result *result)
{
	char *title = test_result_title(result);
	unsigned len = 0;
	int r;

	if (!title)
		return -ENOMEM;
	for (const char *p = title; *p && len < NAME_KEPT; p++) {
		if (isascii((unsigned char)*p) && (isalnum((unsigned char)*p) || *p == '.'))
			title[len++] = *p;
		else if (len && title[len - 1] != '-')
			title[len++] = '-';
	}
	while (len && title[len - 1] == '-')
		len--;
	title[len] = 0;
	r = result->attempt > 1 ?
	    result_set_text(out, "%s/%u-%s.%u", runs, number, title, result->attempt) :
	    result_set_text(out, "%s/%u-%s", runs, number, title);
	free(title);
	return r;
}

int result_store_make_dir(struct result_store *store, struct test_result *result, char **path)
{
	*path = NULL;
	if (name_dir(&result->dir, store->n_dirs + 1, result) < 0 ||
	    result_set_text(path, "%s/%s", store->path, result->dir) < 0)
		return error_set(ENOMEM, "make a directory for a test");
	if (mkdirat(store->dir, result->dir, 0777) < 0) {
		int r = error_set(errno, "make the directory '%s'", *path);
		free(*path);
		*path = NULL;
		return r;
	}
	store->n_dirs++;
	return 0;
}

int result_store_add(struct result_store *store, struct test_result *result)
{
	struct test_results *all = &store->results;
	char *line = journal_result(result);

	for (unsigned i = 0; i < all->n_tests; i++) {
		if (all->test[i]->verdict != VERDICT_NOT_RUN ||
		    all->test[i]->attempt != result->attempt ||
		    !test_result_is_same_test(all->test[i], result))
			continue;
		test_result_destroy(all->test[i]);
		all->test[i] = result;
		return append(store, line);
	}
	if (test_results_add(all, result) < 0) {
		free(line);
		return error_set(ENOMEM, "keep the result of a test");
	}
	return append(store, line);
}

int result_store_note(struct result_store *store, const char *text)
{
	if (test_results_add_note(&store->results, "%s", text) < 0)
		return error_set(ENOMEM, "keep a note");
	return append(store, journal_note(text));
}

const struct test_results *result_store_results(const struct result_store *store)
{
	return &store->results;
}

int result_store_finish(struct result_store *store, bool complete)
{
	struct test_results *all = &store->results;
	int r;

	all->complete = complete;
	for (unsigned i = 0; i < all->n_tests; i++)
		if (all->test[i]->verdict == VERDICT_NOT_RUN)
			all->complete = false;
	/* Merged results know how long it took. */
	if (!all->duration_ns)
		all->duration_ns = clock_now_ns() - store->began_ns;
	if (test_results_mark_flaky(all) < 0)
		return error_set(ENOMEM, "write reports");
	r = reports_write(all, store->dir);
	return r < 0 ? error_add(r, "write the results to '%s'", store->path) : 0;
}
