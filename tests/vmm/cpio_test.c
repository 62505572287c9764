#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/error.h"
#include "vmm/exec/cpio.h"

static struct cpio cpio;
static char *bytes;
static size_t len;
static FILE *out;

static void setup(void)
{
	out = open_memstream(&bytes, &len);
	cr_assert_not_null(out);
	cpio_init(&cpio, out);
}

static void teardown(void)
{
	cpio_fini(&cpio);
	fclose(out);
	free(bytes);
}

TestSuite(cpio, .init = setup, .fini = teardown);

/* What 'command' says with the archive on its standard input; static. */
static const char *ask(const char *command)
{
	static char answer[4096];
	char path[] = "/tmp/vireo-cpio-XXXXXX", line[256];
	int fd = mkstemp(path);
	FILE *f;

	cr_assert_geq(fd, 0);
	f = fdopen(fd, "w");
	cr_assert_eq(fwrite(bytes, 1, len, f), len);
	fclose(f);
	snprintf(line, sizeof(line), "(%s) <%s 2>&1", command, path);
	f = popen(line, "r");
	cr_assert_not_null(f);
	answer[fread(answer, 1, sizeof(answer) - 1, f)] = '\0';
	pclose(f);
	remove(path);
	return answer;
}

static void need_cpio(void)
{
	if (system("cpio --version >/dev/null 2>&1") != 0)
		cr_skip("cpio is not installed");
}

Test(cpio, the_real_program_lists_every_kind_of_entry)
{
	need_cpio();
	cr_assert_eq(cpio_add_file(&cpio, "init", 0755, "#!", 2), 0);
	cr_assert_eq(cpio_add_dir(&cpio, "a/b", 0700), 0);
	cr_assert_eq(cpio_add_link(&cpio, "a/link", "../init"), 0);
	cr_assert_eq(cpio_add_node(&cpio, "dev/console", S_IFCHR | 0600, 5, 1), 0);
	cr_assert_eq(cpio_end(&cpio), 0);
	const char *answer = ask("cpio -itv --quiet | tr -s ' ' | cut -d ' ' -f 1,3- | sed 's/ Jan.* 1970//'");
	cr_expect_str_eq(answer, "-rwxr-xr-x root root 2 init\n"
				 "drwxr-xr-x root root 0 a\n"
				 "drwx------ root root 0 a/b\n"
				 "lrwxrwxrwx root root 7 a/link -> ../init\n"
				 "drwxr-xr-x root root 0 dev\n"
				 "crw------- root root 5, 1 dev/console\n",
			 "%s", answer);
}

Test(cpio, content_of_any_length_comes_out_as_it_went_in)
{
	char name[8], data[9] = "12345678";
	const char *answer;

	need_cpio();
	for (unsigned n = 0; n <= 8; n++) {
		snprintf(name, sizeof(name), "f%u", n);
		cr_assert_eq(cpio_add_file(&cpio, name, 0644, data, n), 0);
	}
	cr_assert_eq(cpio_end(&cpio), 0);
	answer = ask("cpio -i --quiet --to-stdout");
	cr_expect_str_eq(answer, "112123123412345123456123456712345678", "%s", answer);
}

Test(cpio, each_directory_comes_once)
{
	cr_assert_eq(cpio_add_file(&cpio, "a/b/one", 0644, "", 0), 0);
	cr_assert_eq(cpio_add_file(&cpio, "a/b/two", 0644, "", 0), 0);
	cr_assert_eq(cpio_add_dir(&cpio, "a/b", 0755), 0);
	cr_assert_eq(cpio_add_dir(&cpio, "a/bc", 0755), 0);
	cr_expect_eq(cpio.n_entries, 5);
}

Test(cpio, everything_is_aligned)
{
	cr_assert_eq(cpio_add_file(&cpio, "abc", 0644, "x", 1), 0);
	cr_expect_eq(cpio.written % 4, 0);
	cr_assert_eq(cpio_end(&cpio), 0);
	cr_expect_eq(cpio.written % 4, 0);
	cr_expect_eq(cpio.written, len);
}

Test(cpio, names_that_lead_elsewhere_are_refused)
{
	static const char *const names[] = { "", "/init", "a//b", "a/", ".", "..", "a/../b", "./a" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		cr_expect_eq(cpio_add_file(&cpio, names[i], 0644, "", 0), -EINVAL, "'%s'", names[i]);
		cr_expect_eq(cpio_add_dir(&cpio, names[i], 0755), -EINVAL, "'%s'", names[i]);
	}
	cr_expect_eq(cpio_add_file(&cpio, "..a/.b", 0644, "", 0), 0);
}

Test(cpio, a_full_disk_is_an_error)
{
	FILE *full = fopen("/dev/full", "w");

	if (!full)
		cr_skip("no /dev/full");
	cpio_fini(&cpio);
	cpio_init(&cpio, full);
	int r = cpio_add_file(&cpio, "init", 0755, "#!", 2);
	if (r == 0)
		r = cpio_end(&cpio);
	cr_expect_eq(r, -ENOSPC);
	fclose(full);
}
