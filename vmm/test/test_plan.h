/*
 * What is to be tested: every test of some files, with every combination of its matrix.  Read once,
 * before anything is run; a mistake anywhere is found here.
 */
#ifndef TEST_TEST_PLAN_H
#define TEST_TEST_PLAN_H

#include "vmm/base/util.h"
#include "vmm/config.h"
#include "vmm/mistakes.h"
#include "vmm/test/result.h"
#include "vmm/test/test_spec.h"

enum { PLAN_MAX_CASES = 10000 };	/* of all files together */

/* One test with one combination of its matrix. */
struct test_case {
	const struct test_spec *spec;	/* the plan's */
	char *title;			/* "boots [vm.cpus=1]"; unique in its file */
	unsigned n_axes;
	struct test_axis *axis;
	/*
	 * Its VM: validated, with what tests want beside what the file says.  'vm.memory' and
	 * 'vm.cpus' are what it takes of the host.
	 */
	struct vm_config vm;
};

struct test_plan {
	struct test_case **item;	/* in the order of the files */
	unsigned n;
	unsigned room;
	struct test_spec **spec;
	unsigned n_specs;
	struct origins origins;		/* the files */
};

/*
 * Read 'path' (a test file, or a folder: its *.yaml and *.yml files that have 'tests', by name, not
 * those of folders in it) and append its cases to 'plan' (zeroed before the first).  Mistakes are
 * noted, all of a file at once; a plan with mistakes is not to be run.  Main thread, before
 * anything is run.
 */
void test_plan_read(struct test_plan *plan, const char *path, struct mistakes *mistakes);

/* One that is in no plan; NULL is fine. */
void test_case_destroy(struct test_case *test);

/* Zeroed is fine. */
void test_plan_fini(struct test_plan *plan);

/*
 * Is something of 'requires' missing on this host?  The sentence says what: the case is skipped for
 * that reason.  (test_run_start() does so by itself.)
 */
enum { TEST_MISSING_SIZE = 256 };
bool test_case_is_missing(const struct test_case *test, char why[TEST_MISSING_SIZE]);

#endif
