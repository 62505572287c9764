#include "vmm/test/durations.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"

#if HAVE_JANSSON

static char dir[] = "/tmp/durations-test-XXXXXX";
static char path[64];

static void make_dir(void)
{
	cr_assert(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/durations.json", dir);
}

static void remove_dir(void)
{
	unlink(path);
	cr_assert_eq(rmdir(dir), 0, "no draft stays behind");
}

TestSuite(test_durations, .init = make_dir, .fini = remove_dir);

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert(file != NULL);
	fputs(text, file);
	fclose(file);
}

Test(test_durations, are_known_again)
{
	struct durations *d, *again;

	cr_assert_eq(durations_create(&d), 0);
	cr_assert_eq(durations_read(d, path), 0, "no file yet");
	cr_assert_eq(durations_get(d, "a.yaml: boots"), 0);
	durations_note(d, "a.yaml: boots", UINT64_C(4000) * 1000000, 100);
	durations_note(d, "a.yaml: boots [vm.cpus=\"1\"]", 1, 100);
	cr_assert_eq(durations_write(d, path), 0);
	durations_destroy(d);

	cr_assert_eq(durations_create(&again), 0);
	cr_assert_eq(durations_read(again, path), 0, "%s", error_text());
	cr_assert_eq(durations_get(again, "a.yaml: boots"), UINT64_C(4000) * 1000000);
	cr_assert_eq(durations_get(again, "a.yaml: boots [vm.cpus=\"1\"]"), 1000000);
	durations_note(again, "a.yaml: boots", UINT64_C(8000) * 1000000, 101);
	cr_assert_eq(durations_get(again, "a.yaml: boots"), UINT64_C(6000) * 1000000);
	durations_destroy(again);
}

Test(test_durations, what_is_no_such_file_is_refused)
{
	static const char *const bad[] = {
		"", "[", "[]", "{}", "{\"version\": 2, \"tests\": {}}", "{\"version\": 1}",
		"{\"version\": 1, \"tests\": []}",
	};
	struct durations *d;

	cr_assert_eq(durations_create(&d), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		write_file(bad[i]);
		cr_assert_eq(durations_read(d, path), -EINVAL, "%s", bad[i]);
		error_clear();
	}
	unlink(path);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(durations_read(d, path), -EINVAL);
	cr_assert_eq(durations_write(d, path), -EISDIR);
	error_clear();
	rmdir(path);
	durations_destroy(d);
}

Test(test_durations, entries_that_make_no_sense_are_dropped)
{
	struct durations *d;

	cr_assert_eq(durations_create(&d), 0);
	write_file("{\"version\": 1, \"tests\": {\"a\": {\"ms\": -5}, \"b\": 7, \"c\": null,"
		   " \"d\": {\"ms\": 9223372036854775807, \"seen\": \"x\"}, \"e\": {\"ms\": 3}}}");
	cr_assert_eq(durations_read(d, path), 0);
	cr_assert_eq(durations_get(d, "a"), 0);
	cr_assert_eq(durations_get(d, "b"), 0);
	cr_assert_eq(durations_get(d, "d"), UINT64_C(365) * 86400 * 1000000000, "a year at most");
	durations_note(d, "d", UINT64_MAX, INT64_MAX);
	cr_assert_eq(durations_get(d, "d"), UINT64_C(365) * 86400 * 1000000000);
	cr_assert_eq(durations_get(d, "e"), 3000000);
	durations_destroy(d);
}

Test(test_durations, those_not_seen_for_longest_are_forgotten)
{
	struct durations *d;
	char key[32];

	cr_assert_eq(durations_create(&d), 0);
	for (unsigned i = 0; i < DURATIONS_MAX + 10; i++) {
		snprintf(key, sizeof(key), "test %u", i);
		durations_note(d, key, 1000000, 1000 + i);
	}
	cr_assert_eq(durations_write(d, path), 0);
	cr_assert_eq(durations_read(d, path), 0);
	cr_assert_eq(durations_get(d, "test 9"), 0);
	cr_assert_eq(durations_get(d, "test 10"), 1000000);
	cr_assert_eq(durations_get(d, key), 1000000);
	durations_destroy(d);
}

#endif
