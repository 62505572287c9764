/*
 * One run of 'vireo test' divided over several machines: which share this one has, and which tests
 * that is.  Every shard computes the whole division by itself and must come to the same one, so it
 * depends on nothing but the tests' names and durations.
 */
#ifndef TEST_SHARD_H
#define TEST_SHARD_H

#include "vmm/base/util.h"

enum { SHARDS_MAX = 10000, SHARD_SOURCE_SIZE = 96 };

struct shard {
	unsigned index, of;	/* 1 of 4; 0 of 0: not divided */
	char source[SHARD_SOURCE_SIZE];	/* who said so, for people; "": the command line */
};

/* How a variable of the environment is read: getenv(), or a test's own. */
typedef const char *(*shard_getenv_fn)(const char *name);

/*
 * Read "I/N", "auto", "auto/N" (the environment says which, but not of how many) or "off".  Auto
 * looks for an array job of Slurm, an indexed job of Kubernetes, a parallel job of GitLab; without
 * any of these the run is not divided.
 *
 * Returns 0; -EINVAL for another text, an environment that contradicts itself or leaves the number
 * of shards open, with an error chain.
 */
MUST_USE int shard_read(struct shard *out, const char *text, shard_getenv_fn get);

/* What is divided: 'key' tells them apart, and is borrowed.  0 ns: nobody knows how long. */
struct shard_item {
	const char *key;
	uint64_t expected_ns;
	unsigned shard;		/* the answer: from 1 */
};

/*
 * Give every item its shard.  With durations the longest goes first, to who has least by then (one
 * without a duration counts as the mean of the others); without any, items are dealt out in an
 * order that looks like chance, so that neighbours, which are often alike, go apart.  The order of
 * 'items' plays no part.  Returns 0 or -ENOMEM with an error chain.
 */
MUST_USE int shard_divide(struct shard_item *items, unsigned n, unsigned of);

#endif
