/* The words behind 'vireo test': read from one table, which also gives help and completion. */
#ifndef TEST_TEST_ARGUMENTS_H
#define TEST_TEST_ARGUMENTS_H

#include <stdio.h>

#include "vmm/base/util.h"
#include "vmm/mistakes.h"

enum progress_mode {
	PROGRESS_AUTO,
	PROGRESS_PLAIN,
	PROGRESS_LIVE,
	PROGRESS_QUIET,
};

enum { TEST_MAX_JOBS = 256, TEST_MAX_REPEAT = 10000, TEST_MAX_RETRIES = 100 };

/* A list of the command line's own words. */
struct word_list {
	const char **word;
	unsigned n;
};

/* Texts are words of the command line, borrowed. */
struct test_arguments {
	struct word_list path;		/* test files and folders; with 'merge': results */
	struct word_list filter, set;
	unsigned jobs;			/* 0: as many as there is room for */
	unsigned repeat;		/* 0: as the tests say */
	unsigned retries;		/* likewise */
	uint64_t timeout_ms;		/* 0: as the tests say */
	const char *results, *tap, *junit, *json, *html;	/* reports: NULL: not asked for */
	const char *durations;		/* NULL: the user's own */
	const char *shard;
	int progress;			/* enum progress_mode */
	bool list, print, schema, merge, rerun_failed, fail_fast, cache, keep, help;
	unsigned verbose;
};

/*
 * Read them; every mistake is noted.  Returns 0 or -ENOMEM with an error chain;
 * test_arguments_fini() is to be called in any case.
 */
MUST_USE int test_arguments_read(struct test_arguments *out, int argc, char **argv,
				 struct mistakes *mistakes);
/* Zeroed is fine. */
void test_arguments_fini(struct test_arguments *args);

/* "vireo test --help". */
void test_arguments_help(FILE *out);

struct completion;
/* What the last of 'words' (those behind "test") can become. */
void test_arguments_complete(struct completion *c, unsigned n, char *const *words);

#endif
