/*
 * Which tests have passed with exactly this kernel, these images and this Vireo, so that they need
 * not run again ('vireo test --cache').  What a test depends on is added to a key, by content; a
 * file that was hashed before and did not change since (size, times, inode) is not read again.
 *
 * Only passes are kept.  All of it is below one directory of the user's and bounded; what cannot be
 * read there, or was not written by Vireo, is as if it were not there.  One thread.
 */
#ifndef TEST_RUN_CACHE_H
#define TEST_RUN_CACHE_H

#include "vmm/base/sha256.h"
#include "vmm/base/util.h"

struct run_cache;

enum {
	RUN_CACHE_MAX_PASSES = 10000,	/* beyond, the oldest are forgotten */
	RUN_CACHE_MAX_FILES = 4096,	/* whose digests are remembered */
	RUN_CACHE_PATH_SIZE = 4096,
};

/* What a test depends on; zeroed at first. */
struct run_cache_key {
	struct sha256 hash;
	bool begun;
	char text[SHA256_TEXT_SIZE];	/* at the end: run_cache_key_end() */
};

/* When it passed, and how long that took. */
struct run_cache_pass {
	int64_t when_ns;	/* since 1970 */
	uint64_t duration_ns;
};

/*
 * The directory of what 'vireo test' keeps for the user, ${XDG_CACHE_HOME:-~/.cache}/vireo/tests;
 * it is made.  Returns 0; -ENOENT: no home directory; -EPERM: it is somebody else's; -errno; with
 * an error chain.
 */
MUST_USE int run_cache_dir(char path[RUN_CACHE_PATH_SIZE]);

/* A cache in 'dir', which is there.  Returns 0 and an owned object, or -errno with a chain. */
MUST_USE int run_cache_create(struct run_cache **out, const char *dir);
/* Remembers the digests, forgets what is too much.  NULL is fine. */
void run_cache_destroy(struct run_cache *cache);

/* Add a text / all bytes of a regular file, under 'what'. */
void run_cache_key_add_text(struct run_cache_key *key, const char *what, const char *text);
/*
 * Returns 0, -EINVAL: not a regular file, so that nobody can tell whether it is the same; -errno;
 * with an error chain.
 */
MUST_USE int run_cache_key_add_file(struct run_cache *cache, struct run_cache_key *key,
				    const char *what, const char *path);
void run_cache_key_end(struct run_cache_key *key);

/* Has a test with this key passed? */
bool run_cache_find(const struct run_cache *cache, const struct run_cache_key *key,
		    struct run_cache_pass *out);

/* It has.  Returns 0, or -errno with an error chain. */
MUST_USE int run_cache_add(struct run_cache *cache, const struct run_cache_key *key,
			   const struct run_cache_pass *pass);

#endif
