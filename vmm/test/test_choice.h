/*
 * Which tests a command line means: those of its files that the filters take, that went wrong the
 * last time, that are this shard's; with what it says of every VM.
 */
#ifndef TEST_TEST_CHOICE_H
#define TEST_TEST_CHOICE_H

#include "vmm/base/util.h"
#include "vmm/mistakes.h"
#include "vmm/test/durations.h"
#include "vmm/test/result.h"
#include "vmm/test/shard.h"
#include "vmm/test/test_arguments.h"
#include "vmm/test/test_plan.h"

/* Zeroed is empty. */
struct test_choice {
	struct test_plan plan;		/* all that the files have */
	struct test_case **test;	/* of the plan: those that are meant, in its order */
	char **key;			/* "FILE: NAME [AXES]" of each, owned */
	unsigned n;
};

/*
 * Read the files, apply --set and --timeout, take what --filter takes; each test once, however
 * often its file is named.  Mistakes are noted.  Returns 0 or -ENOMEM with an error chain.
 */
MUST_USE int test_choice_read(struct test_choice *out, const struct test_arguments *args,
			      struct mistakes *mistakes);

/* Zeroed is fine. */
void test_choice_fini(struct test_choice *choice);

/* Leave those of which an attempt went wrong, or was not run, in 'last'. */
MUST_USE int test_choice_keep_failed(struct test_choice *choice, const struct test_results *last);

/*
 * Leave those of the shard; 'durations' (NULL: nothing is known) balance.  Returns 0 or -ENOMEM
 * with an error chain.
 */
MUST_USE int test_choice_keep_shard(struct test_choice *choice, const struct shard *shard,
				    const struct durations *durations);

#endif
