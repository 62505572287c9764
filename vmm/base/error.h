/*
 * Errors that people can read.  A function that fails starts a chain of sentences with error_set()
 * (what the system said) and each caller adds one with error_add() (what it wanted to do); only the
 * program's top (vmm/) prints the chain.  The chain belongs to the calling thread.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdio.h>

#include "vmm/base/util.h"

/*
 * Start a new chain for error 'err' (a positive or negative errno) with one sentence.  The errno's
 * own text is added when the chain is printed.
 *
 * Returns -|err|, so that "return error_set(EINVAL, ...)" is the usual form.  Any thread.
 */
int error_set(int err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Add what the caller was doing: the sentence stands above all earlier ones.  When nothing started
 * a chain for 'err' yet, this starts it.
 *
 * Returns -|err|.  Any thread.
 */
int error_add(int err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Say what the user can do about it; printed last.  A later hint replaces an earlier one. */
void error_hint(const char *fmt, ...) PRINTF_LIKE(1, 2);

/*
 * Carry the chain of this thread to another one: 'error_save' copies it into 'out' and
 * 'error_restore' makes it the calling thread's chain.
 */
struct error_chain {
	int err;
	unsigned n;
	char line[8][256];
	char hint[512];
};
void error_save(struct error_chain *out);
void error_restore(const struct error_chain *in);

/* The sentence on top, or "" when there is none; valid until the next error call of this thread. */
const char *error_text(void);

/* The errno (positive) of the chain, 0 when there is none. */
int error_errno(void);

/* Print "vireo: top", "  because: ..." lines, and "  hint: ..." to 'out', then clear the chain. */
void error_print(FILE *out);

/* Forget the chain: the failure was expected and has been dealt with. */
void error_clear(void);

/* The name of an errno ("ENOENT"), or "E?" for one without a name. */
const char *error_name(int err);

#endif
