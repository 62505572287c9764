/* Files that are copied, by the real agent. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vmm/agent_rig.h"
#include "vmm/base/error.h"

static int copy_in(struct agent_rig *rig, const char *from, const char *to, unsigned mode)
{
	uint32_t copy;

	cr_assert_eq(agent_copy_in(rig->agent, from, to, mode, &copy), 0);
	RIG_WAIT(rig, rig->copied[copy]);
	return rig->copy_err[copy];
}

static uint32_t copy_out(struct agent_rig *rig, const char *from, const char *to)
{
	uint32_t copy;

	cr_assert_eq(agent_copy_out(rig->agent, from, to, &copy), 0);
	RIG_WAIT(rig, rig->copied[copy]);
	return copy;
}

Test(agent_copy, a_file_goes_in_and_out_as_it_is, .timeout = 60)
{
	static const size_t sizes[] = { 0, 1, WIRE_DATA_MAX, WIRE_WINDOW + 1, 700000 };
	struct agent_rig rig;

	rig_start(&rig);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		rig_put_file(rig_path(&rig, "a"), sizes[i], 0751);
		cr_expect_eq(copy_in(&rig, rig_path(&rig, "a"), rig_path(&rig, "b"), 0), 0);
		rig_expect_file(rig_path(&rig, "b"), sizes[i], 0751);
		uint32_t copy = copy_out(&rig, rig_path(&rig, "b"), rig_path(&rig, "c"));
		cr_expect_eq(rig.copy_err[copy], 0, "%s", rig.copy_why[copy]);
		cr_expect_str_eq(rig.copy_why[copy], "");
		rig_expect_file(rig_path(&rig, "c"), sizes[i], 0751);
	}
	cr_expect_eq(copy_in(&rig, rig_path(&rig, "a"), rig_path(&rig, "b"), 0400), 0);
	rig_expect_file(rig_path(&rig, "b"), 700000, 0400);
	rig_expect_nothing_left(&rig);
	rig_end(&rig);
}

Test(agent_copy, a_name_may_have_anything_in_it)
{
	struct agent_rig rig;

	rig_start(&rig);
	rig_put_file(rig_path(&rig, "a"), 10, 0644);
	const char *odd = rig_path(&rig, "-b \n\t'\"\\\xff$*");
	cr_expect_eq(copy_in(&rig, rig_path(&rig, "a"), odd, 0), 0);
	copy_out(&rig, odd, rig_path(&rig, " \n"));
	rig_expect_file(rig_path(&rig, " \n"), 10, 0644);
	rig_end(&rig);
}

Test(agent_copy, what_cannot_go_in_says_why_and_leaves_nothing)
{
	struct agent_rig rig;
	uint32_t copy;

	rig_start(&rig);
	rig_put_file(rig_path(&rig, "a"), 300000, 0644);
	cr_expect_eq(copy_in(&rig, rig_path(&rig, "a"), rig_path(&rig, "no/such"), 0), ENOENT);
	cr_expect_not_null(strstr(rig.copy_why[1], "/no/such'"));
	cr_expect_eq(copy_in(&rig, rig_path(&rig, "a"), rig.folder, 0), EISDIR);
	cr_expect_eq(copy_in(&rig, rig_path(&rig, "a"), "/dev/null", 0), EINVAL);
	cr_expect_eq(copy_in(&rig, rig_path(&rig, "a"), "/proc/vireo", 0), ENOENT);
	rig_expect_nothing_left(&rig);

	cr_expect_eq(agent_copy_in(rig.agent, rig_path(&rig, "b"), "/tmp/x", 0, &copy), -ENOENT);
	cr_expect_eq(agent_copy_in(rig.agent, "/dev/zero", "/tmp/x", 0, &copy), -EINVAL);
	cr_expect_eq(agent_copy_in(rig.agent, "/tmp", "/tmp/x", 0, &copy), -EISDIR);
	cr_expect_eq(agent_copy_in(rig.agent, rig_path(&rig, "a"), "", 0, &copy), -EINVAL);
	cr_expect_eq(mkfifo(rig_path(&rig, "fifo"), 0600), 0);
	cr_expect_eq(agent_copy_in(rig.agent, rig_path(&rig, "fifo"), "/tmp/x", 0, &copy), -EINVAL);
	error_clear();
	/* None of them is in progress. */
	for (unsigned i = 0; i < AGENT_OPS; i++)
		cr_assert_eq(agent_copy_out(rig.agent, "/etc/passwd", rig_path(&rig, "x"), &copy),
			     0);
	rig_end(&rig);
}

Test(agent_copy, what_cannot_come_out_says_why)
{
	struct agent_rig rig;
	uint32_t copy;

	rig_start(&rig);
	copy = copy_out(&rig, "/no/such", rig_path(&rig, "x"));
	cr_expect_eq(rig.copy_err[copy], ENOENT);
	cr_expect_str_eq(rig.copy_why[copy], "open '/no/such'");
	copy = copy_out(&rig, "/dev/null", rig_path(&rig, "x"));
	cr_expect_eq(rig.copy_err[copy], EINVAL);
	/* A folder where the file shall be, and the other way round. */
	mkdir(rig_path(&rig, "folder"), 0755);
	copy = copy_out(&rig, "/etc/passwd", rig_path(&rig, "folder"));
	cr_expect_eq(rig.copy_err[copy], EISDIR);
	rig_put_file(rig_path(&rig, "file"), 5, 0644);
	copy = copy_out(&rig, rig_path(&rig, "folder"), rig_path(&rig, "file"));
	cr_expect_eq(rig.copy_err[copy], ENOTDIR);
	rig_expect_file(rig_path(&rig, "file"), 5, 0644);
	rig_expect_nothing_left(&rig);
	cr_expect_eq(agent_copy_out(rig.agent, "/etc/passwd", rig_path(&rig, "no/x"), &copy),
		     -ENOENT);
	cr_expect_eq(agent_copy_out(rig.agent, "/etc/passwd", "..", &copy), -EINVAL);
	cr_expect_eq(agent_copy_out(rig.agent, "", "x", &copy), -EINVAL);
	error_clear();
	rig_end(&rig);
}

Test(agent_copy, a_file_of_the_kernel_without_a_size_comes_whole)
{
	struct agent_rig rig;
	struct stat st;

	rig_start(&rig);
	uint32_t copy = copy_out(&rig, "/proc/version", rig_path(&rig, "v"));
	cr_expect_eq(rig.copy_err[copy], 0);
	cr_assert_eq(stat(rig_path(&rig, "v"), &st), 0);
	cr_expect_gt(st.st_size, 10);
	rig_end(&rig);
}

Test(agent_copy, a_folder_comes_with_what_is_in_it, .timeout = 60)
{
	struct agent_rig rig;
	char name[64];

	rig_start(&rig);
	mkdir(rig_path(&rig, "from"), 0755);
	mkdir(rig_path(&rig, "from/empty"), 0700);
	mkdir(rig_path(&rig, "from/many"), 0755);
	mkdir(rig_path(&rig, "from/many/deep"), 0755);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "from/many/a rather long name, number %u", i);
		rig_put_file(rig_path(&rig, name), i * 10, 0640);
	}
	rig_put_file(rig_path(&rig, "from/many/deep/x"), 200000, 0755);
	cr_assert_eq(symlink("/etc/passwd", rig_path(&rig, "from/link")), 0);
	cr_assert_eq(mkfifo(rig_path(&rig, "from/many/fifo"), 0600), 0);
	uint32_t copy = copy_out(&rig, rig_path(&rig, "from"), rig_path(&rig, "to"));
	cr_expect_eq(rig.copy_err[copy], 0, "%s", rig.copy_why[copy]);
	cr_expect_eq(strncmp(rig.copy_why[copy], "2 left out", 10), 0, "%s", rig.copy_why[copy]);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "to/many/a rather long name, number %u", i);
		rig_expect_file(rig_path(&rig, name), i * 10, 0640);
	}
	rig_expect_file(rig_path(&rig, "to/many/deep/x"), 200000, 0755);
	cr_expect_eq(access(rig_path(&rig, "to/empty"), X_OK), 0);
	cr_expect_neq(access(rig_path(&rig, "to/link"), F_OK), 0);
	/* Again, onto what is there. */
	copy = copy_out(&rig, rig_path(&rig, "from"), rig_path(&rig, "to"));
	cr_expect_eq(rig.copy_err[copy], 0, "%s", rig.copy_why[copy]);
	rig_expect_file(rig_path(&rig, "to/many/deep/x"), 200000, 0755);
	rig_end(&rig);
}

Test(agent_copy, a_folder_too_deep_is_left_out)
{
	struct agent_rig rig;
	char name[400] = "from";

	rig_start(&rig);
	for (unsigned i = 0; i < 60; i++) {
		mkdir(rig_path(&rig, name), 0755);
		strcat(name, "/d");
	}
	uint32_t copy = copy_out(&rig, rig_path(&rig, "from"), rig_path(&rig, "to"));
	cr_expect_eq(rig.copy_err[copy], 0);
	cr_expect_eq(strncmp(rig.copy_why[copy], "1 left out", 10), 0, "%s", rig.copy_why[copy]);
	rig_end(&rig);
}

Test(agent_copy, what_cannot_be_made_on_the_host_ends_the_copy)
{
	struct agent_rig rig;
	uint32_t copy;

	rig_start(&rig);
	mkdir(rig_path(&rig, "from"), 0755);
	mkdir(rig_path(&rig, "to"), 0755);
	rig_put_file(rig_path(&rig, "from/x"), 300000, 0644);
	mkdir(rig_path(&rig, "to/x"), 0755);
	copy = copy_out(&rig, rig_path(&rig, "from"), rig_path(&rig, "to"));
	cr_expect_eq(rig.copy_err[copy], EEXIST);
	cr_expect_str_eq(rig.copy_why[copy], "create 'to/x' on the host");
	cr_expect_eq(rig_run(&rig, WORDS("true"))->end.value, 0);
	rig_end(&rig);
}
