#include "vmm/test/durations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

#if HAVE_JANSSON

#include <jansson.h>

enum { FILE_VERSION = 1, FILE_MAX = 16 << 20, KEY_MAX = 4096 };
/* Nothing that is measured is longer: a year. */
static const json_int_t max_ms = INT64_C(365) * 86400 * 1000;

struct durations {
	json_t *tests;		/* key: { ms, seen } */
};

int durations_create(struct durations **out)
{
	struct durations *d = calloc(1, sizeof(*d));

	*out = d;
	if (d)
		d->tests = json_object();
	if (d && d->tests)
		return 0;
	free(d);
	*out = NULL;
	return error_set(ENOMEM, "keep durations");
}

void durations_destroy(struct durations *d)
{
	if (!d)
		return;
	json_decref(d->tests);
	free(d);
}

static json_int_t number(const json_t *entry, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(entry, key));

	return n > 0 ? n : 0;
}

static int set(struct durations *d, const char *key, json_int_t ms, json_int_t seen)
{
	if (strlen(key) > KEY_MAX)
		return 0;
	return json_object_set_new(d->tests, key, json_pack("{s:I, s:I}", "ms",
				   ms < max_ms ? ms : max_ms, "seen", seen));
}

/* The whole file, at most FILE_MAX, returned owned in '*text'.  Returns its length or -errno. */
static ssize_t read_file(int fd, char **text)
{
	struct stat st;
	ssize_t r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > FILE_MAX)
		return -E2BIG;
	*text = malloc((size_t)st.st_size + 1);
	if (!*text)
		return -ENOMEM;
	r = fd_pread_all(fd, *text, (size_t)st.st_size, 0);
	return r < 0 ? r : st.st_size;
}

static int judge(struct durations *d, const json_t *whole)
{
	json_t *tests = json_object_get(whole, "tests"), *entry;
	const char *key;

	if (json_integer_value(json_object_get(whole, "version")) != FILE_VERSION ||
	    !json_is_object(tests))
		return error_set(EINVAL, "it is no file of durations of this version");
	json_object_foreach(tests, key, entry)
		if (number(entry, "ms") > 0)
			(void)set(d, key, number(entry, "ms"), number(entry, "seen"));
	return 0;
}

int durations_read(struct durations *d, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = fd < 0 ? -errno : 0;
	char *text = NULL;
	json_error_t where;
	json_t *whole = NULL;
	ssize_t len;

	json_object_clear(d->tests);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_set(r, "read durations from '%s'", path);
	len = read_file(fd, &text);
	fd_close(&fd);
	if (len < 0) {
		r = error_set((int)len, "read durations from '%s'", path);
	} else {
		whole = json_loadb(text, (size_t)len, 0, &where);
		r = whole ? judge(d, whole) : error_set(EINVAL, "line %d: %s", where.line,
							 where.text);
		if (r < 0)
			r = error_add(r, "read durations from '%s'", path);
	}
	json_decref(whole);
	free(text);
	return r;
}

uint64_t durations_get(const struct durations *d, const char *key)
{
	return (uint64_t)number(json_object_get(d->tests, key), "ms") * 1000000;
}

void durations_note(struct durations *d, const char *key, uint64_t ns, int64_t now_s)
{
	json_int_t ms = (json_int_t)(min_u64(ns / 1000000, (uint64_t)max_ms));
	json_int_t before = number(json_object_get(d->tests, key), "ms");

	ms = ms > 0 ? ms : 1;
	(void)set(d, key, before ? (before + ms + 1) / 2 : ms, now_s);
}

static int by_time(const void *a, const void *b)
{
	json_int_t x = *(const json_int_t *)a, y = *(const json_int_t *)b;

	return x < y ? -1 : x > y;
}

/* The moment before which those are forgotten that are too many; 0: none is. */
static json_int_t oldest_kept(const struct durations *d)
{
	size_t n = json_object_size(d->tests), i = 0;
	json_int_t *seen, oldest;
	const char *key;
	json_t *entry;

	if (n <= DURATIONS_MAX)
		return 0;
	seen = calloc(n, sizeof(*seen));
	if (!seen)
		return 0;
	json_object_foreach(d->tests, key, entry)
		seen[i++] = number(entry, "seen");
	qsort(seen, n, sizeof(*seen), by_time);
	oldest = seen[n - DURATIONS_MAX];
	free(seen);
	return oldest;
}

/* Owned; NULL without memory. */
static json_t *as_file(const struct durations *d)
{
	json_int_t oldest = oldest_kept(d);
	json_t *tests = json_object(), *entry;
	const char *key;
	size_t n = 0;

	json_object_foreach(d->tests, key, entry)
		if (number(entry, "seen") >= oldest && n++ < DURATIONS_MAX)
			json_object_set(tests, key, entry);
	return json_pack("{s:i, s:o}", "version", FILE_VERSION, "tests", tests);
}

int durations_write(const struct durations *d, const char *path)
{
	json_t *whole = as_file(d);
	char *text = whole ? json_dumps(whole, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
	char *draft = NULL;
	int fd = FD_NONE, r = -ENOMEM;

	json_decref(whole);
	if (text && asprintf(&draft, "%s.%d", path, (int)getpid()) < 0)
		draft = NULL;
	if (draft) {
		fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
		r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
		if (r == 0)
			r = fd_write_all(fd, "\n", 1);
		if (r == 0 && rename(draft, path) < 0)
			r = -errno;
		if (r < 0 && fd >= 0)
			unlink(draft);
	}
	fd_close(&fd);
	free(draft);
	free(text);
	return r < 0 ? error_set(r, "write durations to '%s'", path) : 0;
}

#else

int durations_create(struct durations **out)
{
	*out = NULL;
	return error_set(EOPNOTSUPP, "this Vireo was built without libjansson");
}

void durations_destroy(struct durations *d)
{
	(void)d;
}

int durations_read(struct durations *d, const char *path)
{
	(void)d;
	(void)path;
	return 0;
}

uint64_t durations_get(const struct durations *d, const char *key)
{
	(void)d;
	(void)key;
	return 0;
}

void durations_note(struct durations *d, const char *key, uint64_t ns, int64_t now_s)
{
	(void)d;
	(void)key;
	(void)ns;
	(void)now_s;
}

int durations_write(const struct durations *d, const char *path)
{
	(void)d;
	(void)path;
	return 0;
}

#endif
