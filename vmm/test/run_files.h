/*
 * Files of a run, below the results directory: names come from results that may be merged, and a
 * guest's files may be there, so no link is followed.  Any thread.
 */
#ifndef TEST_RUN_FILES_H
#define TEST_RUN_FILES_H

#include <stdio.h>

#include "vmm/base/util.h"

/*
 * Open the directory 'path' (names only; NULL or "": none) below 'dir', or -errno.  No error chain.
 */
MUST_USE int run_files_open_dir(int dir, const char *path);

/*
 * Open the regular file 'name' in directory 'path' below 'dir' for reading, with its size.  Returns
 * a descriptor or -errno.  No error chain.
 */
MUST_USE int run_files_open(int dir, const char *path, const char *name, uint64_t *size);

/*
 * The first (or, 'tail', the last) 'most' bytes of it, returned owned, with a 0 behind '*len'; NULL
 * when there is nothing to read.
 */
char *run_files_read(int dir, const char *path, const char *name, size_t most, bool tail,
		     size_t *len);

/* Write it as a relative URL, every byte in it that could mean something else encoded. */
void run_files_write_url(FILE *out, const char *path, const char *name);

#endif
