/*
 * The inside of a test's run: test_run.c (its life), test_run_console.c (what the guest prints),
 * test_run_steps.c (one after the other), test_run_agent.c (those in the guest), test_run_end.c
 * (the verdict).
 */
#ifndef TEST_TEST_RUN_IMPL_H
#define TEST_TEST_RUN_IMPL_H

#include "vmm/agent/agent.h"
#include "vmm/test/console_file.h"
#include "vmm/test/console_scan.h"
#include "vmm/test/console_text.h"
#include "vmm/test/expect.h"
#include "vmm/test/test_guest.h"
#include "vmm/test/test_run.h"
#include "vmm/time_limit.h"
#include "vmm/vm_process.h"

enum test_run_state {
	RUN_STEPS,		/* a step is in progress, or about to begin */
	RUN_ENDING,		/* no more steps: the guest is to end, by itself or by us */
	RUN_OVER,		/* the verdict stands, 'done' follows */
};

/* What has been matched, or offended, as bytes of the console. */
struct console_span {
	uint64_t from, to;
	bool is_there;
};

/* Output of a command in the guest: for matching, and in a file. */
struct captured {
	struct console_text text;
	struct console_file file;
};

struct test_run {
	const struct test_case *test;
	const struct test_spec *spec;
	struct event_loop *loop;
	const struct test_run_ops *ops;
	void *arg;
	char *dir;
	const char *program;
	struct test_result *result;
	enum test_run_state state;
	uint64_t begin_ns;

	struct test_guest *guest;
	struct vm_process *vm;
	struct vm_process_end end;
	bool has_vm, is_over;		/* there was one; it has ended */
	bool stopped;			/* by us */
	uint64_t until;			/* then: bytes of the console before this one count */
	const char *cancelled;		/* why, or NULL */
	off_t report_from;		/* where in stderr.log the state report begins; -1: none */

	/* The console. */
	struct console_file file;
	struct console_text text;
	struct console_scan scan;
	struct expect *fail;		/* one for each of 'fail_pattern' */
	struct event_source settle;	/* a timer: nothing came for a moment */

	/* The step in progress. */
	unsigned step;
	bool began;			/* it was announced, its time counts */
	bool busy;			/* it waits for something */
	uint64_t seen;			/* the place of the text up to which has been matched */
	struct expect expect, without;
	unsigned n_found;		/* patterns of it */
	size_t n_sent;
	struct console_span *span;	/* of each step */
	struct time_limit limit, step_limit, nap;
	struct time_limit grace;	/* trouble was seen: the guest may say the rest */
	struct event_post go_on, finish;
	bool finishing;

	/* The agent. */
	struct agent *agent;
	bool agent_ready, agent_gone;
	bool lost;		/* what it did for the step is lost */
	struct time_limit agent_grace;	/* it has to come to its end, or the guest has */
	char agent_why[AGENT_WHY_MAX + 1];
	uint32_t op;			/* what it does for the step; 0: nothing */
	struct captured out, err;
};

/* --- test_run.c ------------------------------------------------------------------------------ */

/*
 * It has come to 'verdict': the first one counts.  Of the step in progress, if there is one.  What
 * else is to come of the guest is still read: it is ended at once, or after 'grace_ms'.
 */
void test_run_fail(struct test_run *run, enum verdict verdict, unsigned grace_ms, const char *fmt,
		   ...) PRINTF_LIKE(4, 5);
bool test_run_has_verdict(const struct test_run *run);

/* Look after the current callback what is to be done next. */
void test_run_go_on(struct test_run *run);

/* Have the guest ended by us. */
void test_run_stop_vm(struct test_run *run);

/* The step in progress; NULL: there is none. */
const struct step_spec *test_run_step(const struct test_run *run);
struct test_step *test_run_step_result(const struct test_run *run);
/* It is done, as it should. */
void test_run_step_done(struct test_run *run);

/* DIR/NAME, owned; NULL without memory. */
char *test_run_path(const struct test_run *run, const char *name);

/* --- test_run_console.c ---------------------------------------------------------------------- */

MUST_USE int test_run_console_open(struct test_run *run);
void test_run_console_add(struct test_run *run, const void *buf, size_t len);
/* Nothing more comes. */
void test_run_console_end(struct test_run *run);
void test_run_console_close(struct test_run *run);
/* Begin to look for the step's patterns, in what came after the last match. */
void test_run_expect(struct test_run *run);
/* The last line that is not empty, as one may print it. */
enum { LAST_LINE_SIZE = 160 };
const char *test_run_last_line(const struct test_run *run, char buf[LAST_LINE_SIZE]);

/* --- test_run_steps.c ------------------------------------------------------------------------ */

/* Begin the step, or look again whether it can begin. */
void test_run_begin_step(struct test_run *run);
/* The guest is at its end: what does that mean for the step? */
void test_run_step_ends(struct test_run *run);

/* --- test_run_agent.c ------------------------------------------------------------------------ */

/* Make the session; '*childs' is the end for the VM, owned. */
MUST_USE int test_run_agent_open(struct test_run *run, int *childs);
void test_run_agent_close(struct test_run *run);
/* STEP_RUN, copies and STEP_WAIT. */
void test_run_agent_begin(struct test_run *run);
/* Give a command its input. */
void test_run_agent_feed(struct test_run *run);

/* --- test_run_end.c -------------------------------------------------------------------------- */

/* The guest has ended, and all that it said was looked at: the verdict, if there is none yet. */
void test_run_judge(struct test_run *run);
/* "the guest powered off" */
enum { END_TEXT_SIZE = 400 };
const char *test_run_end_text(const struct test_run *run, char buf[END_TEXT_SIZE]);
/* Keep the state report that was asked for as a file of its own. */
void test_run_keep_report(const struct test_run *run);
/* The last lines of stderr.log. */
enum { STDERR_TAIL = 2000 };
void test_run_stderr_tail(const struct test_run *run, char buf[STDERR_TAIL]);

#endif
