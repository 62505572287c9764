#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/test/console_file.h"

static char path[] = "/tmp/console-file-XXXXXX";
static struct console_file file = CONSOLE_FILE_INIT;

static void setup(void)
{
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
}

static void teardown(void)
{
	console_file_close(&file);
	unlink(path);
}

TestSuite(console_file, .init = setup, .fini = teardown);

/* The byte that number 'i' is. */
static char byte(uint64_t i)
{
	return (char)('a' + i % 23);
}

/* Write 'total' bytes, 'piece' at a time, with parts of 100; returns the file's length. */
static size_t fill(uint64_t total, size_t piece, char *out, size_t size)
{
	char buf[512];
	size_t len;

	cr_assert_eq(console_file_open(&file, path, 100), 0);
	for (uint64_t at = 0; at < total;) {
		size_t n = total - at < piece ? (size_t)(total - at) : piece;
		for (size_t i = 0; i < n; i++)
			buf[i] = byte(at + i);
		console_file_write(&file, buf, n);
		at += n;
	}
	console_file_close(&file);
	cr_expect_eq(file.err, 0);
	FILE *f = fopen(path, "r");
	cr_assert_not_null(f);
	len = fread(out, 1, size, f);
	fclose(f);
	return len;
}

Test(console_file, what_fits_is_whole)
{
	char got[1024];

	for (uint64_t total = 0; total <= 200; total++) {
		cr_assert_eq(fill(total, 7, got, sizeof(got)), total);
		for (uint64_t i = 0; i < total; i++) {
			cr_assert_eq(got[i], byte(i));
			cr_assert_eq(console_file_place(&file, i), (int64_t)i);
		}
	}
	cr_expect_eq(console_file_place(&file, 201), -1);
}

Test(console_file, of_more_the_begin_and_the_end_are_there)
{
	static const size_t pieces[] = { 1, 7, 100, 333, 512 };
	char got[1024], mark[64];

	for (uint64_t total = 201; total < 900; total += 13) {
		for (unsigned p = 0; p < ARRAY_SIZE(pieces); p++) {
			size_t len = fill(total, pieces[p], got, sizeof(got));
			snprintf(mark, sizeof(mark), "\n[vireo: %u bytes are missing here]\n",
				 (unsigned)total - 200);
			cr_assert_eq(len, 200 + strlen(mark));
			cr_assert(!memcmp(got + 100, mark, strlen(mark)));
			for (uint64_t i = 0; i < total; i++) {
				int64_t place = console_file_place(&file, i);
				if (i >= 100 && i < total - 100)
					cr_assert_eq(place, -1);
				else
					cr_assert_eq(got[place], byte(i));
			}
		}
	}
}

Test(console_file, a_full_disk_is_remembered)
{
	cr_assert_eq(console_file_open(&file, "/dev/full", 100), 0);
	console_file_write(&file, "x", 1);
	cr_expect_eq(file.err, ENOSPC);
	console_file_write(&file, "x", 1);
	console_file_close(&file);
}
