/* Copies of directories whose contents somebody else chose: only plain files, within bounds. */
#ifndef TEST_COPY_TREE_H
#define TEST_COPY_TREE_H

#include "vmm/base/util.h"

enum {
	COPY_MAX_DEPTH = 16,
	COPY_MAX_ENTRIES = 10000,
	COPY_MAX_FILE = 256 << 20,
};

/*
 * Copy what is in directory 'from' (a descriptor, consumed) into 'to' (borrowed): regular files and
 * directories.  Links and devices are passed over; so are files that are too large, and what is
 * too deep or too much.  '*left_out' counts these (and was set before).
 *
 * Returns 0, or -errno with an error chain.
 */
MUST_USE int copy_tree(int from, int to, unsigned *left_out);

#endif
