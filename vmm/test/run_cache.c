#include "vmm/test/run_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

/* What tells that a file is still the one that was hashed. */
struct file_mark {
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns;
};

struct digest {
	struct file_mark mark;
	char text[SHA256_TEXT_SIZE];
};

struct run_cache {
	int dir_fd, passes_fd;
	struct digest *digest;	/* the one used last is at the end */
	unsigned n_digests;
	bool learned, stored;
};

static const char digests_name[] = "digests", passes_name[] = "passes";

/* A file that changed a moment ago may change again without another time. */
enum { SETTLED_NS = 2000000000 };

/* --- Where ----------------------------------------------------------------------------------- */

/* All directories of the path, each mode 0700 if it is not there. */
static int make_dirs(char *path)
{
	for (char *p = path + 1;; p++) {
		if (*p && *p != '/')
			continue;
		char c = *p;
		*p = '\0';
		int r = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
		*p = c;
		if (r < 0 || !c)
			return r;
	}
}

int run_cache_dir(char path[RUN_CACHE_PATH_SIZE])
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	struct stat st;
	int n, r;

	/* XDG Base Directory Specification: one that is not absolute is to be ignored. */
	if (base && *base == '/')
		n = snprintf(path, RUN_CACHE_PATH_SIZE, "%s/vireo/tests", base);
	else if (home && *home == '/')
		n = snprintf(path, RUN_CACHE_PATH_SIZE, "%s/.cache/vireo/tests", home);
	else
		return error_set(ENOENT, "neither XDG_CACHE_HOME nor HOME says where to keep it");
	if (n >= RUN_CACHE_PATH_SIZE)
		return error_set(ENAMETOOLONG, "the name of the cache's directory is too long");
	r = make_dirs(path);
	if (r < 0)
		return error_set(r, "make the directory '%s'", path);
	if (stat(path, &st) < 0)
		return error_set(errno, "look at '%s'", path);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return error_set(EPERM, "others than you can write to '%s'", path);
	return 0;
}

/* --- Digests of files ------------------------------------------------------------------------ */

static void read_digests(struct run_cache *cache)
{
	int fd = openat(cache->dir_fd, digests_name,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char line[256];

	if (!file && fd >= 0)
		fd_close(&fd);
	while (file && cache->n_digests < RUN_CACHE_MAX_FILES && fgets(line, sizeof(line), file)) {
		struct digest *d = &cache->digest[cache->n_digests];
		struct file_mark *m = &d->mark;

		if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64
			   " %64[0-9a-f]", &m->dev, &m->ino, &m->size, &m->mtime_ns, &m->ctime_ns,
			   d->text) == 6 && strlen(d->text) == SHA256_TEXT_SIZE - 1)
			cache->n_digests++;
	}
	if (file)
		fclose(file);
}

/* Whole or not at all: 'name' in the directory, by way of a draft. */
static int write_file(int dir_fd, const char *name, const char *text, size_t len)
{
	char draft[128];
	int fd, r;

	snprintf(draft, sizeof(draft), ".%.80s.%d", name, (int)getpid());
	fd = openat(dir_fd, draft, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, text, len);
	fd_close(&fd);
	if (r == 0 && renameat(dir_fd, draft, dir_fd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir_fd, draft, 0);
	return r;
}

static void write_digests(const struct run_cache *cache)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	for (unsigned i = 0; i < cache->n_digests; i++) {
		const struct digest *d = &cache->digest[i];
		const struct file_mark *m = &d->mark;

		fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %s\n",
			m->dev, m->ino, m->size, m->mtime_ns, m->ctime_ns, d->text);
	}
	/* Without it the files are read again. */
	if (fclose(out) == 0)
		(void)write_file(cache->dir_fd, digests_name, text, len);
	free(text);
}

static struct file_mark mark_of(const struct stat *st)
{
	return (struct file_mark){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_ns = st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec,
		.ctime_ns = st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec,
	};
}

static bool is_same(const struct file_mark *a, const struct file_mark *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static bool is_settled(const struct file_mark *mark)
{
	struct timespec t;
	int64_t now_ns;

	clock_gettime(CLOCK_REALTIME, &t);
	now_ns = t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
	return mark->mtime_ns < now_ns - SETTLED_NS && mark->ctime_ns < now_ns - SETTLED_NS;
}

static void remember(struct run_cache *cache, const struct file_mark *mark, const char *text)
{
	struct digest *d = cache->digest;

	if (cache->n_digests == RUN_CACHE_MAX_FILES)
		memmove(d, d + 1, --cache->n_digests * sizeof(*d));
	d += cache->n_digests++;
	d->mark = *mark;
	snprintf(d->text, sizeof(d->text), "%s", text);
	cache->learned = true;
}

/* The digest of all bytes of 'fd'.  Returns 0 or -errno. */
static int hash_fd(int fd, char text[SHA256_TEXT_SIZE])
{
	static char buf[1 << 17];
	struct sha256 hash;
	ssize_t n;

	sha256_init(&hash);
	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			sha256_add(&hash, buf, (size_t)n);
	}
	sha256_end(&hash, text);
	return 0;
}

static int hash_file(struct run_cache *cache, int fd, char text[SHA256_TEXT_SIZE])
{
	struct file_mark mark, after;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	mark = mark_of(&st);
	for (unsigned i = 0; i < cache->n_digests; i++) {
		if (is_same(&cache->digest[i].mark, &mark)) {
			memcpy(text, cache->digest[i].text, SHA256_TEXT_SIZE);
			return 0;
		}
	}
	r = hash_fd(fd, text);
	if (r < 0 || fstat(fd, &st) < 0)
		return r < 0 ? r : -errno;
	after = mark_of(&st);
	if (!is_same(&mark, &after))
		return -EBUSY;
	if (is_settled(&mark))
		remember(cache, &mark, text);
	return 0;
}

/* --- Keys ------------------------------------------------------------------------------------ */

void run_cache_key_add_text(struct run_cache_key *key, const char *what, const char *text)
{
	uint64_t len[2] = { strlen(what), strlen(text) };

	if (!key->begun)
		sha256_init(&key->hash);
	key->begun = true;
	/* With their lengths, so that no two lists of texts are the same bytes. */
	sha256_add(&key->hash, len, sizeof(len));
	sha256_add(&key->hash, what, len[0]);
	sha256_add(&key->hash, text, len[1]);
}

int run_cache_key_add_file(struct run_cache *cache, struct run_cache_key *key, const char *what,
			   const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = fd < 0 ? -errno : 0;
	char text[SHA256_TEXT_SIZE];

	if (r == 0)
		r = hash_file(cache, fd, text);
	fd_close(&fd);
	if (r == -EINVAL)
		return error_set(EINVAL, "'%s' is no ordinary file: whether it changed cannot be "
				 "told", path);
	if (r < 0)
		return error_set(r, "tell whether '%s' changed", path);
	run_cache_key_add_text(key, what, text);
	return 0;
}

void run_cache_key_end(struct run_cache_key *key)
{
	if (!key->begun)
		sha256_init(&key->hash);
	sha256_end(&key->hash, key->text);
}

/* --- Passes ---------------------------------------------------------------------------------- */

int run_cache_create(struct run_cache **out, const char *dir)
{
	struct run_cache *cache = calloc(1, sizeof(*cache));
	int r = -ENOMEM;

	*out = NULL;
	if (!cache)
		return error_set(r, "use the cache in '%s'", dir);
	cache->dir_fd = cache->passes_fd = FD_NONE;
	cache->digest = calloc(RUN_CACHE_MAX_FILES, sizeof(*cache->digest));
	if (!cache->digest)
		goto fail;
	cache->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = cache->dir_fd < 0 ? -errno : 0;
	if (r == 0 && mkdirat(cache->dir_fd, passes_name, 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (r < 0)
		goto fail;
	cache->passes_fd = openat(cache->dir_fd, passes_name,
				  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = cache->passes_fd < 0 ? -errno : 0;
	if (r < 0)
		goto fail;
	read_digests(cache);
	*out = cache;
	return 0;
fail:
	run_cache_destroy(cache);
	return error_set(r, "use the cache in '%s'", dir);
}

struct old_pass {
	char name[SHA256_TEXT_SIZE];
	int64_t mtime_ns;
};

static int by_age(const void *a, const void *b)
{
	int64_t x = ((const struct old_pass *)a)->mtime_ns;
	int64_t y = ((const struct old_pass *)b)->mtime_ns;

	return x < y ? -1 : x > y;
}

/* Room for more than can be there, but for somebody who wants it to be full. */
enum { MAX_LISTED = 4 * RUN_CACHE_MAX_PASSES };

static unsigned list_passes(int dir_fd, struct old_pass *list)
{
	int fd = dup(dir_fd);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct stat st;
	unsigned n = 0;

	if (!dir && fd >= 0)
		fd_close(&fd);
	while (dir && n < MAX_LISTED && (entry = readdir(dir)) != NULL) {
		if (strlen(entry->d_name) != SHA256_TEXT_SIZE - 1 ||
		    fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		memcpy(list[n].name, entry->d_name, SHA256_TEXT_SIZE);
		list[n++].mtime_ns = mark_of(&st).mtime_ns;
	}
	if (dir)
		closedir(dir);
	return n;
}

static void forget_oldest(const struct run_cache *cache)
{
	struct old_pass *list = calloc(MAX_LISTED, sizeof(*list));
	unsigned n;

	if (!list)
		return;
	n = list_passes(cache->passes_fd, list);
	if (n > RUN_CACHE_MAX_PASSES) {
		qsort(list, n, sizeof(*list), by_age);
		for (unsigned i = 0; i < n - RUN_CACHE_MAX_PASSES; i++)
			unlinkat(cache->passes_fd, list[i].name, 0);
	}
	free(list);
}

void run_cache_destroy(struct run_cache *cache)
{
	if (!cache)
		return;
	if (cache->learned)
		write_digests(cache);
	if (cache->stored)
		forget_oldest(cache);
	fd_close(&cache->passes_fd);
	fd_close(&cache->dir_fd);
	free(cache->digest);
	free(cache);
}

bool run_cache_find(const struct run_cache *cache, const struct run_cache_key *key,
		    struct run_cache_pass *out)
{
	int fd = openat(cache->passes_fd, key->text,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[64];
	ssize_t len;

	if (fd < 0)
		return false;
	len = read(fd, text, sizeof(text) - 1);
	fd_close(&fd);
	if (len <= 0)
		return false;
	text[len] = '\0';
	return sscanf(text, "%" SCNd64 " %" SCNu64, &out->when_ns, &out->duration_ns) == 2;
}

int run_cache_add(struct run_cache *cache, const struct run_cache_key *key,
		  const struct run_cache_pass *pass)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%" PRId64 " %" PRIu64 "\n", pass->when_ns,
			 pass->duration_ns);
	int r = write_file(cache->passes_fd, key->text, text, (size_t)n);

	if (r < 0)
		return error_set(r, "note in the cache that a test passed");
	cache->stored = true;
	return 0;
}
