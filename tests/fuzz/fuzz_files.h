/*
 * For targets whose input is up to three files, with bytes 0xff between them, which no text has, in a
 * directory of their own.
 */
#ifndef TESTS_FUZZ_FILES_H
#define TESTS_FUZZ_FILES_H

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_input.h"

enum { FUZZ_FILES = 3 };

static char directory[] = "/dev/shm/vireo-fuzz-XXXXXX";
static const char *const *file_names;	/* FUZZ_FILES */

static const char *path_of(unsigned file)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", directory, file_names[file]);
	return path;
}

static void remove_directory(void)
{
	for (unsigned i = 0; i < FUZZ_FILES; i++)
		unlink(path_of(i));
	rmdir(directory);
}

/* 'names' is kept.  Once is enough. */
static void make_directory(const char *const names[FUZZ_FILES])
{
	if (file_names)
		return;
	file_names = names;
	CHECK(mkdtemp(directory) && atexit(remove_directory) == 0);
	CHECK(setenv("A", "alpha", 1) == 0 && setenv("E", "", 1) == 0);
}

static void write_files(const uint8_t *data, size_t len)
{
	for (unsigned i = 0; i < FUZZ_FILES; i++) {
		const uint8_t *end = len ? memchr(data, 0xff, len) : NULL;
		size_t n = end ? (size_t)(end - data) : len;
		int fd = open(path_of(i), O_WRONLY | O_CREAT | O_TRUNC, 0600);

		CHECK(fd >= 0 && write(fd, data, n) == (ssize_t)n);
		close(fd);
		n += end != NULL;
		data += n;
		len -= n;
	}
}

#endif
