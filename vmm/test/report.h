/*
 * Reports of a set of results: each is made of the results alone, and of the files that their runs
 * left below the directory 'dir'.  Consoles and texts in them may be hostile.
 */
#ifndef TEST_REPORT_H
#define TEST_REPORT_H

#include <stdio.h>

#include "vmm/test/result.h"

/* Each returns 0, or -ENOMEM; whether 'out' took it all, its owner knows (ferror). */

/* TAP 14: steps are subtests, reasons are YAML. */
MUST_USE int report_write_tap(FILE *out, const struct test_results *results, int dir);

/* JUnit XML as GitLab, Jenkins and GitHub's actions read it: a suite for each file. */
MUST_USE int report_write_junit(FILE *out, const struct test_results *results, int dir);

/* One page that needs nothing else, without scripts; links lead to the files of runs. */
MUST_USE int report_write_html(FILE *out, const struct test_results *results, int dir);

/*
 * Write results.json, results.tap, junit.xml and report.html into 'dir', each at once or not at
 * all.  Returns 0; or -errno with an error chain: as many as could be are there.
 */
MUST_USE int reports_write(const struct test_results *results, int dir);

#endif
