/*
 * What result_json.h wrote, read again.  It may come from anybody and is judged: types, sizes,
 * depth, and paths, none of which leads out of the directory that the file is in.
 */
#ifndef TEST_RESULT_READ_H
#define TEST_RESULT_READ_H

#include "vmm/test/result.h"

enum { RESULTS_MAX_BYTES = 256 << 20 };

/*
 * Read results.json ('len' bytes of anything) into 'out', which is zeroed first; flaky ones are
 * marked anew.  Returns 0, or -errno (-EINVAL: it is none) with an error chain; 'out' is empty
 * then.
 */
MUST_USE int results_read_json(struct test_results *out, const char *text, size_t len);

/*
 * The set that a journal tells of: never complete; what was planned and has no result was not run.
 * A last line that was cut is passed over.  As results_read_json otherwise.
 */
MUST_USE int results_read_journal(struct test_results *out, const char *text, size_t len);

/* Is it a path of names that leads downwards only ("runs/3-boots")? */
bool result_dir_is_inside(const char *dir);

#endif
