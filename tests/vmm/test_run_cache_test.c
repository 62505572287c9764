#include "vmm/test/run_cache.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/temp_tree.h"
#include "vmm/base/error.h"

static char dir[TEMP_TREE_SIZE];
static char image[TEMP_TREE_SIZE + 8];

static void make_dir(void)
{
	temp_tree_make(dir);
	snprintf(image, sizeof(image), "%s/image", dir);
}

static void remove_dir(void)
{
	temp_tree_remove(dir);
}

TestSuite(test_run_cache, .init = make_dir, .fini = remove_dir);

/* Its time is so long ago that it counts as settled, 'age' seconds more. */
static void put(const char *path, const char *text, int age)
{
	FILE *file = fopen(path, "w");
	struct timespec times[2] = { { .tv_sec = 1600000000 - age }, { .tv_sec = 1600000000 - age } };

	cr_assert(file != NULL, "%s", path);
	fputs(text, file);
	fclose(file);
	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static struct run_cache *use(void)
{
	struct run_cache *cache;

	cr_assert_eq(run_cache_create(&cache, dir), 0, "%s", error_text());
	return cache;
}

static struct run_cache_key key_of(struct run_cache *cache, const char *text)
{
	struct run_cache_key key = { 0 };

	run_cache_key_add_text(&key, "test", text);
	cr_assert_eq(run_cache_key_add_file(cache, &key, "image", image), 0, "%s", error_text());
	run_cache_key_end(&key);
	return key;
}

Test(test_run_cache, finds_what_passed_and_nothing_else)
{
	struct run_cache *cache = use();
	struct run_cache_pass pass = { 12345, 678 }, found = { 0 };

	put(image, "one", 0);
	struct run_cache_key key = key_of(cache, "boots"), other = key_of(cache, "serves");
	cr_assert(!run_cache_find(cache, &key, &found));
	cr_assert_eq(run_cache_add(cache, &key, &pass), 0);
	run_cache_destroy(cache);

	cache = use();
	key = key_of(cache, "boots");
	cr_assert(run_cache_find(cache, &key, &found));
	cr_assert(found.when_ns == 12345 && found.duration_ns == 678);
	cr_assert(!run_cache_find(cache, &other, &found));
	put(image, "two", 0);
	key = key_of(cache, "boots");
	cr_assert(!run_cache_find(cache, &key, &found), "same size and time, other bytes");
	put(image, "one", 5);
	key = key_of(cache, "boots");
	cr_assert(run_cache_find(cache, &key, &found), "other time, same bytes");
	run_cache_destroy(cache);
}

Test(test_run_cache, texts_do_not_run_together)
{
	struct run_cache_key a = { 0 }, b = { 0 };

	run_cache_key_add_text(&a, "x", "yz");
	run_cache_key_add_text(&b, "xy", "z");
	run_cache_key_end(&a);
	run_cache_key_end(&b);
	cr_assert_str_neq(a.text, b.text);
}

Test(test_run_cache, what_has_no_bytes_of_its_own_has_no_key)
{
	struct run_cache *cache = use();
	struct run_cache_key key = { 0 };

	cr_assert_eq(run_cache_key_add_file(cache, &key, "disk", "/dev/zero"), -EINVAL);
	cr_assert_eq(run_cache_key_add_file(cache, &key, "disk", dir), -EINVAL);
	cr_assert_eq(run_cache_key_add_file(cache, &key, "disk", image), -ENOENT);
	error_clear();
	run_cache_destroy(cache);
}

/* Its bytes are remembered: a digest in the file that is wrong is what is believed. */
Test(test_run_cache, a_file_that_did_not_change_is_not_read_again)
{
	char path[80], text[256] = "";
	struct run_cache *cache = use();

	put(image, "one", 0);
	/* Only a file that has been the same for a while is remembered. */
	sleep(3);
	struct run_cache_key key = key_of(cache, "boots");
	run_cache_destroy(cache);
	snprintf(path, sizeof(path), "%s/digests", dir);
	FILE *file = fopen(path, "r+");
	cr_assert(file && fgets(text, sizeof(text), file));
	cr_assert(strchr(text, '\n'));
	*strchr(text, '\n') = '\0';
	text[strlen(text) - 1] ^= 1;
	rewind(file);
	fputs(text, file);
	fclose(file);
	cache = use();
	struct run_cache_key again = key_of(cache, "boots");
	cr_assert_str_neq(key.text, again.text);
	run_cache_destroy(cache);
}

Test(test_run_cache, garbage_is_as_if_it_were_not_there)
{
	char path[160];
	struct run_cache *cache = use();
	struct run_cache_pass found;

	put(image, "one", 0);
	struct run_cache_key key = key_of(cache, "boots");
	run_cache_destroy(cache);
	snprintf(path, sizeof(path), "%s/digests", dir);
	put(path, "garbage\n1 2 3 4 5 abc\n\n-1 -1 -1 x\n", 0);
	snprintf(path, sizeof(path), "%s/passes/%s", dir, key.text);
	put(path, "never\n", 0);
	cache = use();
	struct run_cache_key again = key_of(cache, "boots");
	cr_assert_str_eq(again.text, key.text);
	cr_assert(!run_cache_find(cache, &key, &found));
	run_cache_destroy(cache);
	unlink(path);
	cr_assert_eq(mkdir(path, 0700), 0);
	cache = use();
	cr_assert(!run_cache_find(cache, &key, &found));
	run_cache_destroy(cache);
	run_cache_destroy(NULL);
}

Test(test_run_cache, oldest_passes_are_forgotten)
{
	char path[160];
	struct run_cache *cache = use();
	struct run_cache_pass pass = { 1, 1 };
	struct run_cache_key key = { 0 };

	for (unsigned i = 0; i < RUN_CACHE_MAX_PASSES; i++) {
		snprintf(path, sizeof(path), "%s/passes/%064u", dir, i);
		put(path, "1 1\n", (int)i);
	}
	run_cache_key_end(&key);
	cr_assert_eq(run_cache_add(cache, &key, &pass), 0);
	run_cache_destroy(cache);
	cr_assert_neq(access(path, F_OK), 0, "the oldest is gone");
	snprintf(path, sizeof(path), "%s/passes/%064u", dir, 0);
	cr_assert_eq(access(path, F_OK), 0, "the youngest is not");
}

Test(test_run_cache, is_in_the_users_cache_directory)
{
	char path[RUN_CACHE_PATH_SIZE], wanted[96];

	setenv("XDG_CACHE_HOME", dir, 1);
	cr_assert_eq(run_cache_dir(path), 0, "%s", error_text());
	snprintf(wanted, sizeof(wanted), "%s/vireo/tests", dir);
	cr_assert_str_eq(path, wanted);
	cr_assert_eq(chmod(path, 0777), 0);
	cr_assert_eq(run_cache_dir(path), -EPERM);
	setenv("XDG_CACHE_HOME", "relative", 1);
	unsetenv("HOME");
	cr_assert_eq(run_cache_dir(path), -ENOENT);
	error_clear();
}
