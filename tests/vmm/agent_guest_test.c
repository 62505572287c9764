/* Sessions of the real agent with a host that does not keep the rules. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/vmm/agent_rig.h"
#include "vmm/base/le.h"

static uint8_t buf[WIRE_RUN_HEAD + WIRE_COMMAND_MAX];

/* The agent has told what was wrong, and ends, as it was started for this session only. */
static void expect_complaint(struct agent_rig *rig, const char *what)
{
	struct wire_head head;
	ssize_t len = peer_await(rig, WIRE_COMPLAINT, &head, buf);

	cr_assert_gt(len, 0, "%s", what);
	buf[len] = 0;
	cr_expect_not_null(strstr((char *)buf, what), "%s, not %s", buf, what);
	cr_expect_not(peer_receive(rig, &head, buf));
	rig_end(rig);
}

struct host_lie {
	uint8_t type, stream;
	uint32_t op;
	uint32_t len;
	const char *complaint;
};

static size_t put_run(uint8_t *p, uint32_t flags, uint32_t argc, uint32_t envc, const char *texts,
		      size_t len)
{
	store_le32(p, flags);
	store_le32(p + 4, 0);
	store_le32(p + 8, argc);
	store_le32(p + 12, envc);
	memcpy(p + WIRE_RUN_HEAD, texts, len);
	return WIRE_RUN_HEAD + len;
}

/* "cat", with a window full of input allowed. */
static void start_cat(struct agent_rig *rig)
{
	static const char texts[] = "cat\0/";
	uint8_t p[64];

	peer_send(rig, WIRE_RUN, 0, 1, p,
		  put_run(p, WIRE_RUN_STDIN, 1, 0, texts, sizeof(texts)));
}

Test(agent_guest, each_lie_of_the_host_is_told, .timeout = 60)
{
	static const struct host_lie lies[] = {
		{ 99, 0, 1, 0, "type that does not exist" },
		{ WIRE_ENDED, 0, 1, 8, "only the other side" },
		{ WIRE_DATA, WIRE_STDOUT, 1, 4, "stream" },
		{ WIRE_DATA, WIRE_STDIN, 0, 4, "cannot be" },
		{ WIRE_DATA, WIRE_STDIN, 2, 4, "does not exist" },
		{ WIRE_DATA, WIRE_STDIN, 1, 0, "length" },
		{ WIRE_DATA, WIRE_STDIN, 1, WIRE_DATA_MAX + 1, "length" },
		{ WIRE_CREDIT, WIRE_STDOUT, 1, 4, "more credit" },
		{ WIRE_CREDIT, WIRE_STDIN, 1, 4, "stream" },
		{ WIRE_RUN, 0, 1, 40, "had been used" },
		{ WIRE_RUN, 0, 2, 40, "unknown flags" },
		{ WIRE_SIGNAL, 0, 1, 4, "signal" },
		{ WIRE_CANCEL, 0, 1, 0, "cancelled" },
		{ WIRE_POWER, 0, 0, 4, "way to end" },
		{ WIRE_POWER, 0, 1, 4, "cannot be" },
		{ WIRE_WELCOME, 0, 0, 28, "welcome" },
	};
	uint8_t payload[WIRE_DATA_MAX + 1];

	memset(payload, 0xff, sizeof(payload));
	for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
		struct agent_rig rig;

		rig_start_guest(&rig);
		peer_welcome(&rig, NULL);
		start_cat(&rig);
		peer_send(&rig, lies[i].type, lies[i].stream, lies[i].op, payload, lies[i].len);
		expect_complaint(&rig, lies[i].complaint);
	}
}

struct bad_run {
	uint32_t argc, envc;
	const char *texts;
	size_t len;
	const char *complaint;
};

Test(agent_guest, texts_of_a_command_are_counted)
{
	static const struct bad_run runs[] = {
		{ 0, 0, "a\0/", 4, "without words" },
		{ 1, 0, "a\0/", 3, "does not end" },
		{ 2, 0, "a\0/", 4, "fewer" },
		{ 1, 1, "a\0/", 4, "fewer" },
		{ 1, 0, "a\0b\0/", 6, "more" },
		{ 1, 30000, "a\0/", 4, "fewer" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(runs); i++) {
		struct agent_rig rig;
		uint8_t p[64];

		rig_start_guest(&rig);
		peer_welcome(&rig, NULL);
		size_t len = put_run(p, 0, runs[i].argc, runs[i].envc, runs[i].texts, runs[i].len);
		peer_send(&rig, WIRE_RUN, 0, 1, p, len);
		expect_complaint(&rig, runs[i].complaint);
	}
}

Test(agent_guest, input_beyond_its_credit_or_end_is_refused)
{
	static char piece[WIRE_DATA_MAX];
	static const char sleeps[] = "sleep\0" "5\0/";
	struct agent_rig rig;
	uint8_t p[64];

	rig_start_guest(&rig);
	peer_welcome(&rig, NULL);
	peer_send(&rig, WIRE_RUN, 0, 1, p,
		  put_run(p, WIRE_RUN_STDIN, 2, 0, sleeps, sizeof(sleeps)));
	/* Its pipe takes 64 KiB, its window is as much again; then it is too much. */
	for (unsigned i = 0; i < 2 * WIRE_WINDOW / WIRE_DATA_MAX + 1; i++)
		peer_send(&rig, WIRE_DATA, WIRE_STDIN, 1, piece, sizeof(piece));
	expect_complaint(&rig, "more data");

	rig_start_guest(&rig);
	peer_welcome(&rig, NULL);
	peer_send(&rig, WIRE_RUN, 0, 1, p,
		  put_run(p, WIRE_RUN_STDIN, 2, 0, sleeps, sizeof(sleeps)));
	peer_send(&rig, WIRE_END, WIRE_STDIN, 1, NULL, 0);
	peer_send(&rig, WIRE_DATA, WIRE_STDIN, 1, "x", 1);
	expect_complaint(&rig, "after its end");

	rig_start_guest(&rig);
	peer_welcome(&rig, NULL);
	peer_send(&rig, WIRE_RUN, 0, 1, p,
		  put_run(p, WIRE_RUN_STDIN, 2, 0, sleeps, sizeof(sleeps)));
	peer_send(&rig, WIRE_END, WIRE_STDIN, 1, NULL, 0);
	peer_send(&rig, WIRE_END, WIRE_STDIN, 1, NULL, 0);
	expect_complaint(&rig, "second end");
}

Test(agent_guest, seventeen_at_once_are_refused)
{
	static const char sleeps[] = "sleep\0" "50\0/";
	struct agent_rig rig;
	uint8_t p[64];

	rig_start_guest(&rig);
	peer_welcome(&rig, NULL);
	for (uint32_t i = 1; i <= WIRE_OPS + 1; i++)
		peer_send(&rig, WIRE_RUN, 0, i, p, put_run(p, 0, 2, 0, sleeps, sizeof(sleeps)));
	expect_complaint(&rig, "more operations");
	/* None of them lives on, nor holds the port: that would be 50 s. */
}

Test(agent_guest, paths_with_a_nul_are_refused)
{
	struct agent_rig rig;

	rig_start_guest(&rig);
	peer_welcome(&rig, NULL);
	peer_send(&rig, WIRE_COPY_OUT, 0, 1, "/etc/\0passwd", 12);
	expect_complaint(&rig, "NUL");
	rig_start_guest(&rig);
	peer_welcome(&rig, NULL);
	peer_send(&rig, WIRE_COPY_IN, 0, 1, "\0\0\0\0/tmp/\0x", 11);
	expect_complaint(&rig, "NUL");
}

Test(agent_guest, what_comes_late_for_one_that_ended_is_dropped)
{
	static const char runs_true[] = "true\0/";
	struct agent_rig rig;
	struct wire_head head;
	uint8_t p[64];

	rig_start_guest(&rig);
	peer_welcome(&rig, NULL);
	for (uint32_t i = 1; i <= 100; i++) {
		size_t len = put_run(p, WIRE_RUN_STDIN, 1, 0, runs_true, sizeof(runs_true));
		peer_send(&rig, WIRE_RUN, 0, i, p, len);
		cr_assert_geq(peer_await(&rig, WIRE_ENDED, &head, buf), 8);
		cr_assert_eq(head.op, i);
		cr_assert_eq(load_le32(buf), (uint32_t)WIRE_EXITED);
		peer_send(&rig, WIRE_DATA, WIRE_STDIN, i, "late", 4);
		peer_send(&rig, WIRE_END, WIRE_STDIN, i, NULL, 0);
		store_le32(p, SIGKILL);
		peer_send(&rig, WIRE_SIGNAL, 0, i, p, 4);
	}
	rig_end(&rig);
}

Test(agent_guest, a_new_host_gets_a_session_of_its_own)
{
	static const uint8_t kept[WIRE_MAGIC + 8] = WIRE_MAGIC_CALL "\x05";
	static const uint8_t call[WIRE_MAGIC + 8] = WIRE_MAGIC_CALL "another";
	struct agent_rig rig;
	struct wire_head head;
	uint8_t id[8], other[8];

	rig_start_guest(&rig);
	/* Before the welcome: what is no welcome, or one to somebody else. */
	cr_assert_eq(send(rig.peer, "rubbish", 7, 0), 7);
	peer_send(&rig, WIRE_WELCOME, 0, 0, WIRE_MAGIC_WELCOME "\1\0\0\0aaaaaaaabbbbbbbb", 28);
	peer_send(&rig, WIRE_CALL, 0, 0, call, sizeof(call));
	cr_assert_gt(peer_await(&rig, WIRE_HELLO, &head, buf), 0);
	memcpy(id, buf + 12, 8);
	peer_welcome(&rig, other);			/* to the second hello, which is the same */
	cr_expect_eq(memcmp(id, other, 8), 0);
	start_cat(&rig);
	peer_send(&rig, WIRE_CALL, 0, 0, kept, sizeof(kept));	/* its own, that came late */
	peer_send(&rig, WIRE_DATA, WIRE_STDIN, 1, "meow", 4);
	cr_expect_eq(peer_await(&rig, WIRE_DATA, &head, buf), 4);
	peer_send(&rig, WIRE_CALL, 0, 0, call, sizeof(call));
	peer_welcome(&rig, other);
	cr_expect_neq(memcmp(id, other, 8), 0);
	start_cat(&rig);			/* number 1 again: nothing is left of the other */
	peer_send(&rig, WIRE_DATA, WIRE_STDIN, 1, "moo", 3);
	cr_expect_eq(peer_await(&rig, WIRE_DATA, &head, buf), 3);
	rig_end(&rig);
}

Test(agent_guest, a_host_of_another_version_is_left)
{
	struct agent_rig rig;
	struct wire_head head;
	uint8_t p[WIRE_MAGIC + 20] = WIRE_MAGIC_WELCOME;

	rig_start_guest(&rig);
	cr_assert_gt(peer_await(&rig, WIRE_HELLO, &head, buf), 0);
	memcpy(p + 12, buf + 12, 8);
	peer_send(&rig, WIRE_WELCOME, 0, 0, p, sizeof(p));
	cr_expect_not(peer_receive(&rig, &head, buf));
	rig_end(&rig);
}
