/*
 * Reading one test file, and those that it includes, into a plan.  The rules are those of VM files:
 * vmm/file/vm_file.h.  Top level keys are 'tests', 'defaults' and 'include'.
 */
#ifndef TEST_TEST_FILE_H
#define TEST_TEST_FILE_H

#include "vmm/mistakes.h"
#include "vmm/test/test_plan.h"

/* Append the cases of file 'path' to 'plan'; every mistake is noted with its place. */
void test_file_read(struct test_plan *plan, const char *path, struct mistakes *mistakes);

/*
 * Does file 'path' have 'tests' at its top level?  Also if it cannot be read to its end: then it
 * may be meant to.
 */
bool test_file_has_tests(const char *path);

#endif
