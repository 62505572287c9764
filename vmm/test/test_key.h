/* What a test depends on, as a key of the run cache. */
#ifndef TEST_TEST_KEY_H
#define TEST_TEST_KEY_H

#include "vmm/test/run_cache.h"
#include "vmm/test/test_plan.h"

/*
 * Make the key of 'test': this program and the host's kernel, the test file, every step, the VM,
 * and the bytes of the files that the VM or a step takes.
 *
 * Returns 0; -EINVAL: whether it is the same as last time cannot be told, because it uses something
 * that has no bytes of its own (a network, a disk that keeps what is written, a share), or -errno;
 * with an error chain: it is run then.
 */
MUST_USE int test_key_make(struct run_cache *cache, const struct test_case *test,
			   struct run_cache_key *key);

#endif
