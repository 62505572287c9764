/* A file that exists only in memory and has a path, for code that opens files by name. */
#ifndef TESTS_MEMORY_FILE_H
#define TESTS_MEMORY_FILE_H

#include "vmm/base/util.h"

struct memory_file {
	int fd;
	char path[32];		/* works within this process */
};

/* Make one with 'len' bytes of 'data'.  Failures end the test. */
void memory_file_create(struct memory_file *file, const void *data, size_t len);
void memory_file_destroy(struct memory_file *file);

#endif
