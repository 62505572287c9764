/*
 * 'vireo test --merge DIR... --results OUT': results of several shards, or of several runs, as one
 * set with one set of reports.
 */
#ifndef TEST_MERGE_H
#define TEST_MERGE_H

#include "vmm/base/util.h"

/*
 * Join the results in 'dirs' (each has results.json, or the journal of a run that was killed) into
 * the directory 'out': run directories are copied there.  The files are judged: whoever made them
 * may be hostile.  What is missing or there twice is a note in the reports, and the set is then not
 * complete.  Says what it did on standard output, and on standard error which of 'dirs' could not
 * be read.
 *
 * Returns 0; -ENODATA: none of them could be read, and 'out' is as it was; or another -errno; with
 * an error chain.
 */
MUST_USE int test_merge(const char *const *dirs, unsigned n_dirs, const char *out);

#endif
