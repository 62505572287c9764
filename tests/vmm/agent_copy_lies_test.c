/* Files that are copied, by an agent that lies about them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/loop_pump.h"
#include "tests/vmm/agent_rig.h"
#include "vmm/base/le.h"

static void expect_text(const char *path, const char *text)
{
	char bytes[64] = "";
	FILE *file = fopen(path, "r");

	cr_assert_not_null(file, "%s", path);
	cr_expect_eq(fread(bytes, 1, sizeof(bytes) - 1, file), strlen(text), "%s: %s", path, bytes);
	cr_expect_str_eq(bytes, text);
	fclose(file);
}

static uint32_t begin_out(struct agent_rig *rig)
{
	static uint8_t buf[WIRE_RUN_HEAD + WIRE_COMMAND_MAX];
	struct wire_head head;
	uint32_t copy;

	rig_start_alone(rig);
	peer_be_welcomed(rig);
	mkdir(rig_path(rig, "outside"), 0755);
	cr_assert_eq(agent_copy_out(rig->agent, "/x", rig_path(rig, "to"), &copy), 0);
	cr_assert_eq(peer_await(rig, WIRE_COPY_OUT, &head, buf), 2);
	return copy;
}

static void send_entry_with(struct agent_rig *rig, uint32_t copy, uint32_t kind, uint32_t mode,
			    const char *name, size_t len)
{
	uint8_t p[8 + WIRE_PATH_MAX];

	store_le32(p, kind);
	store_le32(p + 4, mode);
	memcpy(p + 8, name, len);
	peer_send(rig, WIRE_ENTRY, 0, copy, p, 8 + len);
}

static void send_entry(struct agent_rig *rig, uint32_t copy, uint32_t kind, const char *name,
		       size_t len)
{
	send_entry_with(rig, copy, kind, 0644, name, len);
}


static void send_done(struct agent_rig *rig, uint32_t copy, uint32_t err)
{
	uint8_t p[4];

	store_le32(p, err);
	peer_send(rig, WIRE_DONE, 0, copy, p, 4);
}

Test(agent_copy_lies, no_name_leads_out_of_the_copy)
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

Test(agent_copy_lies, a_name_with_a_nul_or_of_255_bytes_and_more_is_refused)
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

Test(agent_copy_lies, a_link_on_the_host_is_not_followed)
{
	struct agent_rig rig;
	uint32_t copy = begin_out(&rig);

	mkdir(rig_path(&rig, "to"), 0755);
	cr_assert_eq(symlink("../outside", rig_path(&rig, "to/link")), 0);
	cr_assert_eq(symlink("../outside/y", rig_path(&rig, "to/file")), 0);
	send_entry(&rig, copy, WIRE_KIND_FOLDER, "", 0);
	/* A file in place of the link, not where it points to. */
	send_entry(&rig, copy, WIRE_KIND_FILE, "file", 4);
	send_entry(&rig, copy, WIRE_KIND_FILE, "link/x", 6);
	send_done(&rig, copy, 0);
	RIG_WAIT(&rig, rig.copied[copy]);
	cr_expect_eq(rig.copy_err[copy], ELOOP, "%d %s", rig.copy_err[copy], rig.copy_why[copy]);
	cr_expect_eq(rig.failed, 0);
	cr_expect_neq(access(rig_path(&rig, "outside/x"), F_OK), 0);
	cr_expect_neq(access(rig_path(&rig, "outside/y"), F_OK), 0);
	rig_end(&rig);
	/* And the top itself. */
	copy = begin_out(&rig);
	cr_assert_eq(symlink("outside", rig_path(&rig, "to")), 0);
	send_entry(&rig, copy, WIRE_KIND_FOLDER, "", 0);
	send_entry(&rig, copy, WIRE_KIND_FILE, "x", 1);
	send_done(&rig, copy, 0);
	RIG_WAIT(&rig, rig.copied[copy]);
	cr_expect_eq(rig.copy_err[copy], ELOOP);
	cr_expect_neq(access(rig_path(&rig, "outside/x"), F_OK), 0);
	rig_end(&rig);
}

Test(agent_copy_lies, order_and_kinds_are_judged)
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
	rig_expect_nothing_left(&rig);
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
	send_entry(&rig, copy, WIRE_KIND_FOLDER, "", 0);
	send_entry(&rig, copy, WIRE_KIND_FILE, "a", 1);
	send_entry(&rig, copy, WIRE_KIND_SKIPPED, "b", 1);
	peer_send(&rig, WIRE_DATA, WIRE_STDOUT, copy, "x", 1);		/* of what is left out */
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

Test(agent_copy_lies, a_file_that_is_cut_short_does_not_appear)
{
	struct agent_rig rig;
	uint32_t copy = begin_out(&rig);

	rig_put_file(rig_path(&rig, "to"), 5, 0600);
	send_entry(&rig, copy, WIRE_KIND_FILE, "", 0);
	peer_send(&rig, WIRE_DATA, WIRE_STDOUT, copy, "hello", 5);
	send_done(&rig, copy, EIO);
	RIG_WAIT(&rig, rig.copied[copy]);
	cr_expect_eq(rig.copy_err[copy], EIO);
	rig_expect_file(rig_path(&rig, "to"), 5, 0600);
	rig_expect_nothing_left(&rig);
	rig_end(&rig);
}

Test(agent_copy_lies, permissions_are_no_more_than_that)
{
	static const uint32_t modes[] = { 01000, 04755, 0100644, UINT32_MAX };
	struct agent_rig rig;

	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		uint32_t copy = begin_out(&rig);

		send_entry_with(&rig, copy, WIRE_KIND_FOLDER, modes[i], "", 0);
		send_done(&rig, copy, EIO);
		RIG_WAIT(&rig, rig.copied[copy]);
		cr_expect_eq(rig.copy_err[copy], ECONNRESET, "%o", modes[i]);
		rig_end(&rig);
	}
}

static unsigned count_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

Test(agent_copy_lies, one_file_is_open_at_a_time)
{
	struct agent_rig rig;
	uint32_t copy = begin_out(&rig);
	char name[8];
	unsigned before;

	send_entry(&rig, copy, WIRE_KIND_FOLDER, "", 0);
	send_entry(&rig, copy, WIRE_KIND_FILE, "a", 1);
	loop_pump(rig.loop);
	before = count_descriptors();
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "b%u", i);
		send_entry(&rig, copy, WIRE_KIND_FILE, name, strlen(name));
	}
	loop_pump(rig.loop);
	cr_expect_eq(access(rig_path(&rig, "to/b49"), F_OK), 0);
	cr_expect_eq(count_descriptors(), before, "%u, not %u", count_descriptors(), before);
	rig_end(&rig);
}

static void expect_mode(const char *path, unsigned mode)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0, "%s", path);
	cr_expect_eq(st.st_mode & 07777, mode, "%s: %o", path, st.st_mode);
}

/* What nobody may do anything with in the guest can be read, and removed, on the host. */
Test(agent_copy_lies, the_copys_owner_can_use_it)
{
	struct agent_rig rig;
	uint32_t copy = begin_out(&rig);

	send_entry_with(&rig, copy, WIRE_KIND_FOLDER, 0, "", 0);
	send_entry_with(&rig, copy, WIRE_KIND_FOLDER, 0, "a", 1);
	send_entry_with(&rig, copy, WIRE_KIND_FILE, 0, "a/b", 3);
	send_done(&rig, copy, 0);
	RIG_WAIT(&rig, rig.copied[copy]);
	cr_expect_eq(rig.copy_err[copy], 0, "%s", rig.copy_why[copy]);
	expect_mode(rig_path(&rig, "to/a"), 0700);
	expect_mode(rig_path(&rig, "to/a/b"), 0600);
	rig_end(&rig);
}

Test(agent_copy_lies, more_files_than_65536_are_refused, .timeout = 60)
{
	static uint8_t buf[WIRE_RUN_HEAD + WIRE_COMMAND_MAX];
	struct agent_rig rig;
	struct wire_head head;
	uint32_t copy = begin_out(&rig);

	send_entry(&rig, copy, WIRE_KIND_FOLDER, "", 0);
	/* One is as good as many: nobody compares names. */
	for (unsigned i = 0; i < 65535; i++) {
		send_entry(&rig, copy, WIRE_KIND_FOLDER, "a", 1);
		if (i % 64 == 0)
			loop_pump(rig.loop);
	}
	loop_pump(rig.loop);
	cr_expect_eq(access(rig_path(&rig, "to/a"), F_OK), 0);
	send_entry(&rig, copy, WIRE_KIND_FOLDER, "b", 1);
	cr_assert_eq(peer_await(&rig, WIRE_CANCEL, &head, buf), 0);
	send_done(&rig, copy, ECANCELED);
	RIG_WAIT(&rig, rig.copied[copy]);
	cr_expect_eq(rig.copy_err[copy], E2BIG);
	cr_expect_neq(access(rig_path(&rig, "to/b"), F_OK), 0);
	rig_end(&rig);
}

Test(agent_copy_lies, a_file_of_which_half_was_sent_is_not_copied)
{
	static uint8_t buf[WIRE_RUN_HEAD + WIRE_COMMAND_MAX];
	struct agent_rig rig;
	struct wire_head head;
	uint32_t copy;

	rig_start_alone(&rig);
	peer_be_welcomed(&rig);
	rig_put_file(rig_path(&rig, "a"), 2 * WIRE_WINDOW, 0644);
	cr_assert_eq(agent_copy_in(rig.agent, rig_path(&rig, "a"), "/b", 0, &copy), 0);
	cr_assert_gt(peer_await(&rig, WIRE_COPY_IN, &head, buf), 0);
	send_done(&rig, copy, 0);
	RIG_WAIT(&rig, rig.failed);
	cr_expect_eq(rig.failed, EPROTO);
	cr_expect_eq(rig.copy_err[copy], ECONNRESET);
	rig_end(&rig);
}

/* Who hears that a copy is lost waits for the session's end, or for a new one. */
Test(agent_copy_lies, only_what_is_lost_is_told_to_be)
{
	struct agent_rig rig;
	uint32_t copy = begin_out(&rig);

	send_done(&rig, copy, ECONNRESET);
	RIG_WAIT(&rig, rig.copied[copy]);
	cr_expect_eq(rig.copy_err[copy], EIO);
	cr_expect_eq(rig.failed, 0);
	cr_assert_eq(agent_copy_out(rig.agent, "/x", rig_path(&rig, "to"), &copy), 0);
	close(rig.peer);
	rig.peer = -1;
	RIG_WAIT(&rig, rig.failed);
	cr_expect_eq(rig.copy_err[copy], ECONNRESET);
	rig_end(&rig);
}

/* Two guests of one process, whose copies have the same number and go to the same folder. */
Test(agent_copy_lies, copies_of_two_sessions_do_not_meet)
{
	struct agent_rig rig, other;
	uint32_t copy = begin_out(&rig), copy_2;

	rig_start_alone(&other);
	peer_be_welcomed(&other);
	cr_assert_eq(agent_copy_out(other.agent, "/x", rig_path(&rig, "to_2"), &copy_2), 0);
	cr_assert_eq(copy, copy_2);
	send_entry(&rig, copy, WIRE_KIND_FILE, "", 0);
	peer_send(&rig, WIRE_DATA, WIRE_STDOUT, copy, "first", 5);
	loop_pump(rig.loop);
	send_entry(&other, copy_2, WIRE_KIND_FILE, "", 0);
	peer_send(&other, WIRE_DATA, WIRE_STDOUT, copy_2, "2", 1);
	loop_pump(other.loop);
	send_done(&rig, copy, 0);
	RIG_WAIT(&rig, rig.copied[copy]);
	send_done(&other, copy_2, 0);
	RIG_WAIT(&other, other.copied[copy_2]);
	cr_expect_eq(other.copy_err[copy_2], 0, "%s", other.copy_why[copy_2]);
	expect_text(rig_path(&rig, "to"), "first");
	expect_text(rig_path(&rig, "to_2"), "2");
	rig_expect_nothing_left(&rig);
	rig_end(&other);
	rig_end(&rig);
}
