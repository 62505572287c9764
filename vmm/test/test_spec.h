/*
 * A test as a test file describes it, without the VM: its steps, how the guest is to end, what must
 * not be on the console.  All cases of its matrix share it.  Plain data, read once (test_file.h)
 * and never changed; whoever runs it keeps it.
 */
#ifndef TEST_TEST_SPEC_H
#define TEST_TEST_SPEC_H

#include "vmm/base/util.h"
#include "vmm/config.h"

struct pattern;

/* A row of 'steps'. */
enum step_kind {
	STEP_EXPECT,		/* 'pattern', one after the other */
	STEP_SEND,		/* 'text' to the console */
	STEP_RUN,		/* 'text' or 'argv' in the guest, by the agent */
	STEP_COPY_IN,		/* 'from' (of the host) to 'to' (in the guest) */
	STEP_COPY_OUT,		/* 'from' (of the guest) to files/'to' of the result */
	STEP_WAIT,		/* the agent is there */
	STEP_SLEEP,		/* 'sleep_ms' */
	STEP_POWEROFF,		/* ask for the guest's end, and wait for it */
	STEP_POWER_BUTTON,	/* press it, no more */
	STEP_PAUSE,		/* these are done by the machine, not by the guest */
	STEP_RESUME,
	STEP_RESET,
	STEP_NMI,
	STEP_END,		/* wait for the guest's end */
	N_STEP_KINDS,
};

struct step_spec {
	enum step_kind kind;
	unsigned line;		/* of the test file */
	char *shown;		/* as people read it: expect: "login:" */
	uint64_t timeout_ms;	/* of its own; 0: what the test has left */
	char *text;
	struct text_list argv;	/* RUN: a list of words; empty: 'text' is for a shell */
	struct text_list env;	/* RUN: "NAME=VALUE" */
	char *cwd;
	char *input;		/* RUN: for its standard input; NULL: an end of file */
	char *from, *to;
	unsigned status;	/* RUN: which one it is to have */
	uint64_t sleep_ms;
	struct pattern **pattern;	/* EXPECT */
	unsigned n_patterns;
	struct pattern *without;	/* EXPECT: what must not come before it; or NULL */
	struct pattern *out, *err;	/* RUN: what its output must have; or NULL */
};

/* What the guest is to come to. */
enum guest_end {
	END_ANY,		/* not said: 0, or stopped when its steps are done */
	END_POWEROFF,
	END_PANIC,
	END_RESET,
	END_CRASH,
	END_STATUS,		/* 'status' */
};

/* Kinds of trouble that kernels report on their console: bits of 'fail_on'. */
enum kernel_trouble {
	TROUBLE_PANIC = 1,
	TROUBLE_OOPS = 2,
	TROUBLE_BUG = 4,
	TROUBLE_WARN = 8,
	TROUBLE_LOCKUP = 16,
};

enum { TEST_TIMEOUT_MS = 60000 };	/* where nobody says anything */

struct test_spec {
	char *file;		/* as messages call it */
	unsigned line;
	char *name;
	char *folder;		/* of the file: where a made guest's commands run */
	uint64_t timeout_ms;
	unsigned fail_on;	/* enum kernel_trouble */
	struct pattern **fail_pattern;
	unsigned n_fail_patterns;
	enum guest_end end;
	unsigned status;	/* of END_STATUS */
	bool strict_kernel;
	/* Of a guest that Vireo makes (test_guest.h): */
	bool is_made;		/* key 'root' is there */
	char *root;		/* a directory of the host; NULL: none */
	char *modules;		/* of its kernel; NULL: look for them */
	struct text_list copy;	/* "FILE=PATH" */
	unsigned repeat;	/* 1 unless said otherwise */
	unsigned retries;	/* how often it is tried again when it goes wrong */
	struct text_list tags, needs, env;	/* needs: key 'requires' */
	struct step_spec *step;
	unsigned n_steps;
};

void test_spec_destroy(struct test_spec *spec);

/* Does it need the agent in the guest? */
bool test_step_uses_agent(enum step_kind kind);
bool test_spec_uses_agent(const struct test_spec *spec);

#endif
