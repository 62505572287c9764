/*
 * What became of tests: the one set of facts that every report is made of (TAP, JUnit, HTML, and
 * results.json, which is these structs written down: result_json.h).  Who runs a test fills a
 * struct test_result; who keeps them is result_store.h.
 *
 * Texts are the object's own, NULL where there is none, and may hold any bytes but 0: a guest has a
 * say in some.  Whoever writes them escapes them.  One thread at a time.
 */
#ifndef TEST_RESULT_H
#define TEST_RESULT_H

#include "vmm/base/util.h"

enum verdict {
	VERDICT_PASSED,
	VERDICT_FAILED,		/* an expectation was not met */
	VERDICT_TIMED_OUT,
	VERDICT_BROKEN,		/* Vireo itself failed, or the VM could not be made */
	VERDICT_SKIPPED,	/* it is not for this host */
	VERDICT_NOT_RUN,	/* planned, but the whole ended before: says nothing about it */
	N_VERDICTS,
};

/* "passed", "failed", "timed_out", "broken", "skipped", "not_run": as in results.json. */
const char *verdict_name(enum verdict verdict);
/* The same for people: "timed out". */
const char *verdict_words(enum verdict verdict);
/* Returns 0, or -EINVAL with '*out' unchanged.  No error chain. */
MUST_USE int verdict_from_name(enum verdict *out, const char *name);
/* Did it do what it should not: failed, timed out, broken? */
bool verdict_is_bad(enum verdict verdict);

/* A setting that a matrix varies: { "vm.transport", "pci" }. */
struct test_axis {
	char *name, *value;
};

/* No place in the console: nothing was matched there. */
enum { CONSOLE_NOWHERE = -1 };

struct test_step {
	char *text;			/* as people read it: expect: "login:" */
	unsigned line;			/* of the test file; 0: none */
	enum verdict verdict;
	char *why;			/* of a verdict other than passed */
	uint64_t start_ns, duration_ns;	/* from the start of the test */
	/* Which bytes of DIR/console.log matched, or offended: [from, to); or CONSOLE_NOWHERE. */
	int64_t console_from, console_to;
};

enum {
	/* Nobody reads further; what is longer is cut where it is written. */
	RESULT_MAX_TEXT = 64 << 10,
	RESULT_MAX_AXES = 64,
	RESULT_MAX_STEPS = 10000,
	RESULT_MAX_TESTS = 100000,
};

struct test_result {
	char *file;			/* as named on the command line, or found below */
	unsigned line;
	char *name;			/* of the test, without axes: "boots-and-serves" */
	unsigned n_axes;
	struct test_axis *axis;
	enum verdict verdict;
	char *why;			/* one or several lines; NULL when it passed */
	int exit_status;		/* of the VM (0-127), 128 + signal, or -1: it had none */
	int64_t started_ns;		/* since 1970 */
	uint64_t duration_ns;
	unsigned attempt;		/* from 1; of 'vireo test --repeat N', or '--retries N' */
	/* It went wrong and was tried again: a later attempt says what became of the test. */
	bool retried;
	/*
	 * Where its files are: relative to the results directory, by names only ("runs/3-boots").
	 * Known there: console.log, stderr.log, vm.json, timeline.json, events.jsonl, state.txt,
	 * files/ (what was copied out).
	 */
	char *dir;
	char *command;			/* one line for a shell that does it again */
	char *host;
	unsigned shard, n_shards;	/* 1 of 4; 0 of 0: not divided */
	unsigned n_steps, steps_room;
	struct test_step *step;
	/*
	 * Attempts of this test (same file, name, axes) ended differently.  Never set by who runs
	 * it: results_mark_flaky().
	 */
	bool flaky;
};

/*
 * An empty result: attempt 1, exit status -1, not run.  Returns 0 and an owned object, or -ENOMEM.
 */
MUST_USE int test_result_create(struct test_result **out);
/* NULL is fine. */
void test_result_destroy(struct test_result *result);

/*
 * Replace an owned text (a field of these structs) by a new one, formatted / 'len' bytes, of which
 * a 0 becomes '?'.  Returns 0; -ENOMEM with the old one kept.
 */
MUST_USE int result_set_text(char **field, const char *fmt, ...) PRINTF_LIKE(2, 3);
MUST_USE int result_set_bytes(char **field, const char *bytes, size_t len);

/* Returns 0, -ENOMEM, -E2BIG. */
MUST_USE int test_result_add_axis(struct test_result *result, const char *name, const char *value);

/*
 * Add a step that was not run yet and matched nothing; '*out' (may be NULL) is valid until the
 * next is added.  Returns 0, -ENOMEM, -E2BIG.
 */
MUST_USE int test_result_add_step(struct test_result *result, const char *text, unsigned line,
				  struct test_step **out);

/*
 * "boots-and-serves [vm.transport=pci vm.cpus=1]", returned owned; NULL without memory.  Without
 * axes only the name.
 */
char *test_result_title(const struct test_result *result);

/* As strcmp: an order of tests, in which attempts of the same one are equal. */
int test_result_compare(const struct test_result *a, const struct test_result *b);

/* Did it go wrong, and that counts? */
bool test_result_is_bad(const struct test_result *result);

/* Are they the same test (file, name, axes), whatever attempt? */
bool test_result_is_same_test(const struct test_result *a, const struct test_result *b);

/* A set of them: a run of 'vireo test', or several merged. */
struct test_results {
	bool complete;			/* everything planned was run, and no shard is missing */
	char *command;			/* of the whole run, for a shell */
	char *host;
	int64_t started_ns;
	uint64_t duration_ns;
	unsigned shard, n_shards;
	/* What people must know about the set: "shard 2/4 is missing". */
	unsigned n_notes;
	char **note;
	unsigned n_tests, tests_room;
	struct test_result **test;	/* owned */
};

/* Frees what is in it; zeroed ones are fine. */
void test_results_fini(struct test_results *results);

/* 'test' is consumed, also on failure.  Returns 0, -ENOMEM, -E2BIG. */
MUST_USE int test_results_add(struct test_results *results, struct test_result *test);
MUST_USE int test_results_add_note(struct test_results *results, const char *fmt, ...)
	PRINTF_LIKE(2, 3);

/*
 * Set 'flaky' of every attempt of those tests whose attempts passed and did not, and clear
 * 'retried' where there is no other attempt that could count in its place.
 */
MUST_USE int test_results_mark_flaky(struct test_results *results);

/*
 * Counts of a set, without attempts that were retried.  'verdict' counts attempts; 'flaky' counts
 * tests (not attempts), and so does 'tests'.
 */
struct result_counts {
	unsigned verdict[N_VERDICTS];
	unsigned attempts, tests, flaky;
};
MUST_USE int test_results_count(const struct test_results *results, struct result_counts *out);

/*
 * The exit status that they mean (0, 123, 124, 125): 125 if one is broken, else 123 if one
 * failed, else 124 if one timed out.  One that was not run: 125, as nobody knows.  Nothing run at
 * all: 0.
 */
int test_results_status(const struct test_results *results);

#endif
