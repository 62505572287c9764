/*
 * Results as JSON: results.json, and the lines of the journal.  Times are whole microseconds, which
 * every reader of JSON keeps exact.  result_read.h reads them again.
 */
#ifndef TEST_RESULT_JSON_H
#define TEST_RESULT_JSON_H

#include <stdio.h>

#include "vmm/test/result.h"

enum { RESULTS_VERSION = 1 };

/*
 * Write the whole set, for people and programs.  Returns 0, -ENOMEM, -EIO; -EOPNOTSUPP: this build
 * has no libjansson, as an error chain says.
 */
MUST_USE int results_write_json(FILE *out, const struct test_results *results);

/*
 * Lines of the journal, returned owned with their newline; NULL without memory (or libjansson).
 * The head has no tests.
 */
char *journal_head(const struct test_results *results);
char *journal_planned(const struct test_result *planned);
char *journal_result(const struct test_result *result);
char *journal_note(const char *note);

#endif
