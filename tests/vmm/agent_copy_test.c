/* Files, by the real agent and by one that lies about them. */
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
#include "vmm/base/le.h"

static char *path_of(const struct agent_rig *rig, const char *name)
{
	static char path[4][6000];
	static unsigned n;
	char *p = path[n++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", rig->folder, name);
	return p;
}

static void put_file(const char *path, size_t len, unsigned mode)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file, "%s", path);
	for (size_t i = 0; i < len; i++)
		putc((int)(i * 31 >> 5), file);
	fclose(file);
	cr_assert_eq(chmod(path, mode), 0);
}

static void expect_file(const char *path, size_t len, unsigned mode)
{
	FILE *file = fopen(path, "r");
	struct stat st;

	cr_assert_not_null(file, "%s", path);
	cr_assert_eq(fstat(fileno(file), &st), 0);
	cr_expect_eq(st.st_size, (off_t)len, "%s: %zu bytes", path, (size_t)st.st_size);
	cr_expect_eq(st.st_mode & 07777, mode, "%s: %o", path, st.st_mode);
	for (size_t i = 0; i < len; i++)
		cr_assert_eq(getc(file), (int)(uint8_t)(i * 31 >> 5), "%s at %zu", path, i);
	fclose(file);
}

/* How many files begin with ".vireo" there: what is left of copies that failed. */
static void expect_nothing_left(const struct agent_rig *rig)
{
	char command[128];

	snprintf(command, sizeof(command), "! find %s -name '.vireo*' | grep -q .", rig->folder);
	cr_expect_eq(system(command), 0);
}

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
		put_file(path_of(&rig, "a"), sizes[i], 0751);
		cr_expect_eq(copy_in(&rig, path_of(&rig, "a"), path_of(&rig, "b"), 0), 0);
		expect_file(path_of(&rig, "b"), sizes[i], 0751);
		uint32_t copy = copy_out(&rig, path_of(&rig, "b"), path_of(&rig, "c"));
		cr_expect_eq(rig.copy_err[copy], 0, "%s", rig.copy_why[copy]);
		cr_expect_str_eq(rig.copy_why[copy], "");
		expect_file(path_of(&rig, "c"), sizes[i], 0751);
	}
	cr_expect_eq(copy_in(&rig, path_of(&rig, "a"), path_of(&rig, "b"), 0400), 0);
	expect_file(path_of(&rig, "b"), 700000, 0400);
	expect_nothing_left(&rig);
	rig_end(&rig);
}

Test(agent_copy, a_name_may_have_anything_in_it)
{
	struct agent_rig rig;

	rig_start(&rig);
	put_file(path_of(&rig, "a"), 10, 0644);
	cr_expect_eq(copy_in(&rig, path_of(&rig, "a"), path_of(&rig, "-b \n\t'\"\\\xff$*"), 0), 0);
	copy_out(&rig, path_of(&rig, "-b \n\t'\"\\\xff$*"), path_of(&rig, " \n"));
	expect_file(path_of(&rig, " \n"), 10, 0644);
	rig_end(&rig);
}

Test(agent_copy, what_cannot_go_in_says_why_and_leaves_nothing)
{
	struct agent_rig rig;
	uint32_t copy;

	rig_start(&rig);
	put_file(path_of(&rig, "a"), 300000, 0644);
	cr_expect_eq(copy_in(&rig, path_of(&rig, "a"), path_of(&rig, "no/such"), 0), ENOENT);
	cr_expect_not_null(strstr(rig.copy_why[1], "/no/such'"));
	cr_expect_eq(copy_in(&rig, path_of(&rig, "a"), rig.folder, 0), EISDIR);
	cr_expect_eq(copy_in(&rig, path_of(&rig, "a"), "/dev/null", 0), EINVAL);
	cr_expect_eq(copy_in(&rig, path_of(&rig, "a"), "/proc/vireo", 0), ENOENT);
	expect_nothing_left(&rig);

	cr_expect_eq(agent_copy_in(rig.agent, path_of(&rig, "b"), "/tmp/x", 0, &copy), -ENOENT);
	cr_expect_eq(agent_copy_in(rig.agent, "/dev/zero", "/tmp/x", 0, &copy), -EINVAL);
	cr_expect_eq(agent_copy_in(rig.agent, "/tmp", "/tmp/x", 0, &copy), -EISDIR);
	cr_expect_eq(agent_copy_in(rig.agent, path_of(&rig, "a"), "", 0, &copy), -EINVAL);
	cr_expect_eq(mkfifo(path_of(&rig, "fifo"), 0600), 0);
	cr_expect_eq(agent_copy_in(rig.agent, path_of(&rig, "fifo"), "/tmp/x", 0, &copy), -EINVAL);
	error_clear();
	/* None of them is in progress. */
	for (unsigned i = 0; i < AGENT_OPS; i++)
		cr_assert_eq(agent_copy_out(rig.agent, "/etc/passwd", path_of(&rig, "x"), &copy),
			     0);
	rig_end(&rig);
}

Test(agent_copy, what_cannot_come_out_says_why)
{
	struct agent_rig rig;
	uint32_t copy;

	rig_start(&rig);
	copy = copy_out(&rig, "/no/such", path_of(&rig, "x"));
	cr_expect_eq(rig.copy_err[copy], ENOENT);
	cr_expect_str_eq(rig.copy_why[copy], "open '/no/such'");
	copy = copy_out(&rig, "/dev/null", path_of(&rig, "x"));
	cr_expect_eq(rig.copy_err[copy], EINVAL);
	/* A folder where the file shall be, and the other way round. */
	mkdir(path_of(&rig, "folder"), 0755);
	copy = copy_out(&rig, "/etc/passwd", path_of(&rig, "folder"));
	cr_expect_eq(rig.copy_err[copy], EISDIR);
	put_file(path_of(&rig, "file"), 5, 0644);
	copy = copy_out(&rig, path_of(&rig, "folder"), path_of(&rig, "file"));
	cr_expect_eq(rig.copy_err[copy], ENOTDIR);
	expect_file(path_of(&rig, "file"), 5, 0644);
	expect_nothing_left(&rig);
	cr_expect_eq(agent_copy_out(rig.agent, "/etc/passwd", path_of(&rig, "no/x"), &copy),
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
	uint32_t copy = copy_out(&rig, "/proc/version", path_of(&rig, "v"));
	cr_expect_eq(rig.copy_err[copy], 0);
	cr_assert_eq(stat(path_of(&rig, "v"), &st), 0);
	cr_expect_gt(st.st_size, 10);
	rig_end(&rig);
}

Test(agent_copy, a_folder_comes_with_what_is_in_it, .timeout = 60)
{
	struct agent_rig rig;
	char name[64];

	rig_start(&rig);
	mkdir(path_of(&rig, "from"), 0755);
	mkdir(path_of(&rig, "from/empty"), 0700);
	mkdir(path_of(&rig, "from/many"), 0755);
	mkdir(path_of(&rig, "from/many/deep"), 0755);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "from/many/a rather long name, number %u", i);
		put_file(path_of(&rig, name), i * 10, 0640);
	}
	put_file(path_of(&rig, "from/many/deep/x"), 200000, 0755);
	cr_assert_eq(symlink("/etc/passwd", path_of(&rig, "from/link")), 0);
	cr_assert_eq(mkfifo(path_of(&rig, "from/many/fifo"), 0600), 0);
	uint32_t copy = copy_out(&rig, path_of(&rig, "from"), path_of(&rig, "to"));
	cr_expect_eq(rig.copy_err[copy], 0, "%s", rig.copy_why[copy]);
	cr_expect_eq(strncmp(rig.copy_why[copy], "2 left out", 10), 0, "%s", rig.copy_why[copy]);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "to/many/a rather long name, number %u", i);
		expect_file(path_of(&rig, name), i * 10, 0640);
	}
	expect_file(path_of(&rig, "to/many/deep/x"), 200000, 0755);
	cr_expect_eq(access(path_of(&rig, "to/empty"), X_OK), 0);
	cr_expect_neq(access(path_of(&rig, "to/link"), F_OK), 0);
	/* Again, onto what is there. */
	copy = copy_out(&rig, path_of(&rig, "from"), path_of(&rig, "to"));
	cr_expect_eq(rig.copy_err[copy], 0, "%s", rig.copy_why[copy]);
	expect_file(path_of(&rig, "to/many/deep/x"), 200000, 0755);
	rig_end(&rig);
}

Test(agent_copy, a_folder_too_deep_is_left_out)
{
	struct agent_rig rig;
	char name[400] = "from";

	rig_start(&rig);
	for (unsigned i = 0; i < 60; i++) {
		mkdir(path_of(&rig, name), 0755);
		strcat(name, "/d");
	}
	uint32_t copy = copy_out(&rig, path_of(&rig, "from"), path_of(&rig, "to"));
	cr_expect_eq(rig.copy_err[copy], 0);
	cr_expect_eq(strncmp(rig.copy_why[copy], "1 left out", 10), 0, "%s", rig.copy_why[copy]);
	rig_end(&rig);
}

Test(agent_copy, what_cannot_be_made_on_the_host_ends_the_copy)
{
	struct agent_rig rig;
	uint32_t copy;

	rig_start(&rig);
	mkdir(path_of(&rig, "from"), 0755);
	mkdir(path_of(&rig, "to"), 0755);
	put_file(path_of(&rig, "from/x"), 300000, 0644);
	mkdir(path_of(&rig, "to/x"), 0755);
	copy = copy_out(&rig, path_of(&rig, "from"), path_of(&rig, "to"));
	cr_expect_eq(rig.copy_err[copy], EEXIST);
	cr_expect_str_eq(rig.copy_why[copy], "create 'to/x' on the host");
	cr_expect_eq(rig_run(&rig, WORDS("true"))->end.value, 0);
	rig_end(&rig);
}

/* --- An agent that lies ----------------------------------------------------------------------- */

static uint32_t begin_out(struct agent_rig *rig)
{
	static uint8_t buf[WIRE_RUN_HEAD + WIRE_COMMAND_MAX];
	struct wire_head head;
	uint32_t copy;

	rig_start_alone(rig);
	peer_be_welcomed(rig);
	mkdir(path_of(rig, "outside"), 0755);
	cr_assert_eq(agent_copy_out(rig->agent, "/x", path_of(rig, "to"), &copy), 0);
	cr_assert_eq(peer_await(rig, WIRE_COPY_OUT, &head, buf), 2);
	return copy;
}

static void send_entry(struct agent_rig *rig, uint32_t copy, uint32_t kind, const char *name,
		       size_t len)
{
	uint8_t p[8 + WIRE_PATH_MAX];

	store_le32(p, kind);
	store_le32(p + 4, 0644);
	memcpy(p + 8, name, len);
	peer_send(rig, WIRE_ENTRY, 0, copy, p, 8 + len);
}

static void send_done(struct agent_rig *rig, uint32_t copy, uint32_t err)
{
	uint8_t p[4];

	store_le32(p, err);
	peer_send(rig, WIRE_DONE, 0, copy, p, 4);
}

Test(agent_copy, no_name_leads_out_of_the_copy)
{
	static const char *const names[] = {
		"..", "../outside/x", "a/../../outside/x", "/etc/vireo", "a//b", ".", "./x", "a/",
		"a/..", "/",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		struct agent_rig rig;
		uint32_t copy = begin_out(&rig);

		send_entry(&rig, copy, WIRE_KIND_FOLDER, "", 0);
		send_entry(&rig, copy, WIRE_KIND_FOLDER, "a", 1);
		send_entry(&rig, copy, WIRE_KIND_FILE, names[i], strlen(names[i]));
		RIG_WAIT(&rig, rig.failed);
		cr_expect_eq(rig.failed, EPROTO);
		cr_expect_eq(rig.copy_err[copy], ECONNRESET, "'%s'", names[i]);
		rig_end(&rig);
	}
}

Test(agent_copy, a_name_with_a_nul_or_of_255_bytes_and_more_is_refused)
{
	struct agent_rig rig;
	uint32_t copy = begin_out(&rig);
	char name[300];

	memset(name, 'n', sizeof(name));
	send_entry(&rig, copy, WIRE_KIND_FOLDER, "", 0);
	send_entry(&rig, copy, WIRE_KIND_FILE, name, 255);
	send_entry(&rig, copy, WIRE_KIND_FILE, name, 256);
	RIG_WAIT(&rig, rig.failed);
	rig_end(&rig);
	copy = begin_out(&rig);
	send_entry(&rig, copy, WIRE_KIND_FOLDER, "", 0);
	send_entry(&rig, copy, WIRE_KIND_FILE, "a\0b", 3);
	RIG_WAIT(&rig, rig.failed);
	rig_end(&rig);
}

Test(agent_copy, a_link_on_the_host_is_not_followed)
{
	struct agent_rig rig;
	uint32_t copy = begin_out(&rig);

	mkdir(path_of(&rig, "to"), 0755);
	cr_assert_eq(symlink("../outside", path_of(&rig, "to/link")), 0);
	cr_assert_eq(symlink("../outside/y", path_of(&rig, "to/file")), 0);
	send_entry(&rig, copy, WIRE_KIND_FOLDER, "", 0);
	/* A file in place of the link, not where it points to. */
	send_entry(&rig, copy, WIRE_KIND_FILE, "file", 4);
	send_entry(&rig, copy, WIRE_KIND_FILE, "link/x", 6);
	send_done(&rig, copy, 0);
	RIG_WAIT(&rig, rig.copied[copy]);
	cr_expect_eq(rig.copy_err[copy], ELOOP, "%d %s", rig.copy_err[copy], rig.copy_why[copy]);
	cr_expect_eq(rig.failed, 0);
	cr_expect_neq(access(path_of(&rig, "outside/x"), F_OK), 0);
	cr_expect_neq(access(path_of(&rig, "outside/y"), F_OK), 0);
	rig_end(&rig);
	/* And the top itself. */
	copy = begin_out(&rig);
	cr_assert_eq(symlink("outside", path_of(&rig, "to")), 0);
	send_entry(&rig, copy, WIRE_KIND_FOLDER, "", 0);
	send_entry(&rig, copy, WIRE_KIND_FILE, "x", 1);
	send_done(&rig, copy, 0);
	RIG_WAIT(&rig, rig.copied[copy]);
	cr_expect_eq(rig.copy_err[copy], ELOOP);
	cr_expect_neq(access(path_of(&rig, "outside/x"), F_OK), 0);
	rig_end(&rig);
}

Test(agent_copy, order_and_kinds_are_judged)
{
	struct agent_rig rig;
	uint32_t copy = begin_out(&rig);

	peer_send(&rig, WIRE_DATA, WIRE_STDOUT, copy, "x", 1);		/* of no file */
	RIG_WAIT(&rig, rig.failed);
	rig_end(&rig);

	copy = begin_out(&rig);
	send_entry(&rig, copy, WIRE_KIND_FILE, "a", 1);			/* before the top */
	RIG_WAIT(&rig, rig.failed);
	rig_end(&rig);

	copy = begin_out(&rig);
	send_entry(&rig, copy, WIRE_KIND_FILE, "", 0);
	send_entry(&rig, copy, WIRE_KIND_FILE, "", 0);			/* twice */
	RIG_WAIT(&rig, rig.failed);
	expect_nothing_left(&rig);
	rig_end(&rig);

	copy = begin_out(&rig);
	send_entry(&rig, copy, WIRE_KIND_FILE, "", 0);
	send_entry(&rig, copy, WIRE_KIND_FILE, "a", 1);			/* in a file */
	RIG_WAIT(&rig, rig.failed);
	rig_end(&rig);

	copy = begin_out(&rig);
	send_entry(&rig, copy, WIRE_KIND_SKIPPED, "", 0);
	RIG_WAIT(&rig, rig.failed);
	rig_end(&rig);

	copy = begin_out(&rig);
	send_entry(&rig, copy, 9, "", 0);
	RIG_WAIT(&rig, rig.failed);
	rig_end(&rig);

	copy = begin_out(&rig);
	send_done(&rig, copy, 0);					/* of nothing */
	RIG_WAIT(&rig, rig.copied[copy]);
	cr_expect_eq(rig.copy_err[copy], EPROTO);
	cr_expect_eq(rig.failed, 0);
	rig_end(&rig);
}

Test(agent_copy, a_file_that_is_cut_short_does_not_appear)
{
	struct agent_rig rig;
	uint32_t copy = begin_out(&rig);

	put_file(path_of(&rig, "to"), 5, 0600);
	send_entry(&rig, copy, WIRE_KIND_FILE, "", 0);
	peer_send(&rig, WIRE_DATA, WIRE_STDOUT, copy, "hello", 5);
	send_done(&rig, copy, EIO);
	RIG_WAIT(&rig, rig.copied[copy]);
	cr_expect_eq(rig.copy_err[copy], EIO);
	expect_file(path_of(&rig, "to"), 5, 0600);
	expect_nothing_left(&rig);
	rig_end(&rig);
}
