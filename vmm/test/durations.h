/*
 * How long each test took the last times: the longest go first, and shards are balanced by it.
 * A JSON file, {"version": 1, "tests": {"FILE: TITLE": {"ms": 1234, "seen": 1764100000}}}, which
 * people may keep beside their tests.  One thread.
 */
#ifndef TEST_DURATIONS_H
#define TEST_DURATIONS_H

#include "vmm/base/util.h"

struct durations;

/* Those not seen for longest are forgotten beyond this many. */
enum { DURATIONS_MAX = 20000 };

/* Nothing is known.  Returns 0 and an owned object, or -ENOMEM with an error chain. */
MUST_USE int durations_create(struct durations **out);
/* NULL is fine. */
void durations_destroy(struct durations *d);

/*
 * Read 'path' in.  A file that is not there leaves nothing known.  Returns 0; -EINVAL: it is no
 * such file; -E2BIG; -errno; with an error chain, and nothing is known then.
 */
MUST_USE int durations_read(struct durations *d, const char *path);

/* What 'key' took lately, in ns; 0: nobody knows. */
uint64_t durations_get(const struct durations *d, const char *key);

/*
 * Note that 'key' took 'ns' at 'now_s' (since 1970).  What was known has half the weight: a test
 * that became slower is soon known as slow, one slow run is forgotten.  Without memory it is lost.
 */
void durations_note(struct durations *d, const char *key, uint64_t ns, int64_t now_s);

/*
 * Write them to 'path', whole or not at all; the directory must be there.  Returns 0, or -errno
 * with an error chain.
 */
MUST_USE int durations_write(const struct durations *d, const char *path);

#endif
