/* Sessions with an agent that does not keep the rules. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/vmm/agent_rig.h"
#include "vmm/base/error.h"
#include "vmm/base/le.h"

static uint8_t buf[WIRE_RUN_HEAD + WIRE_COMMAND_MAX];

static uint32_t begin_run(struct agent_rig *rig)
{
	struct agent_command command = { .argv = COMMAND((char *)"x"), .has_stdin = true };
	struct wire_head head;

	rig_start_alone(rig);
	peer_be_welcomed(rig);
	uint32_t run = rig_begin(rig, &command);
	cr_assert_gt(peer_await(rig, WIRE_RUN, &head, buf), 0);
	cr_assert_eq(head.op, run);
	return run;
}

static void send_ended(struct agent_rig *rig, uint32_t run, uint32_t how, uint32_t value)
{
	uint8_t p[9];

	store_le32(p, how);
	store_le32(p + 4, value);
	p[8] = 0x1b;
	peer_send(rig, WIRE_ENDED, 0, run, p, 9);
}

Test(agent_session, texts_of_the_guest_are_made_printable)
{
	struct agent_rig rig;
	uint32_t run = begin_run(&rig);

	cr_expect_str_eq(rig.hello.hostname, "a?z");
	cr_expect_str_eq(rig.hello.program, "9");
	cr_expect(rig.hello.is_init);
	cr_expect_str_eq(rig.hello.machine, "");
	send_ended(&rig, run, WIRE_NOT_STARTED, ENOENT);
	RIG_WAIT(&rig, rig.run[run].ended);
	cr_expect_str_eq(rig.run[run].why, "?");
	rig_end(&rig);
}

Test(agent_session, what_was_in_the_port_before_is_dropped)
{
	struct agent_rig rig;
	char junk[5000];

	rig_start_alone(&rig);
	for (unsigned i = 0; i < sizeof(junk); i++)
		junk[i] = (char)(i * 7);
	/* Whole frames, a part of one, and a mark that is none. */
	peer_send(&rig, WIRE_DATA, WIRE_STDOUT, 3, junk, 500);
	peer_send(&rig, WIRE_HELLO, 0, 0, WIRE_MAGIC_CALL, 8);
	peer_send(&rig, WIRE_HELLO, 0, 7, WIRE_MAGIC_HELLO, 8);
	cr_assert_eq(send(rig.peer, junk, sizeof(junk), 0), (ssize_t)sizeof(junk));
	peer_be_welcomed(&rig);
	cr_expect_eq(rig.failed, 0);
	rig_end(&rig);
}

Test(agent_session, other_versions_are_told_what_to_do)
{
	struct agent_rig rig;
	struct wire_head head;

	rig_start_alone(&rig);
	peer_say_hello(&rig, 1, 2, 9);
	RIG_WAIT(&rig, rig.failed);
	cr_expect_eq(rig.failed, EPROTO);
	cr_expect_not_null(strstr(rig.failure, "versions 2 to 9"));
	cr_expect_not_null(strstr(rig.failure, "vireo agent"));
	cr_expect_eq(peer_await(&rig, WIRE_WELCOME, &head, buf), WIRE_MAGIC + 20);
	cr_expect_eq(load_le16(buf + 8), 0u);
	cr_expect_eq(rig.n_ready, 0u);
	rig_end(&rig);

	rig_start_alone(&rig);
	peer_say_hello(&rig, 1, 0, 5);
	RIG_WAIT(&rig, rig.n_ready);
	rig_end(&rig);
}

Test(agent_session, an_agent_started_anew_loses_what_was_in_progress)
{
	struct agent_rig rig;
	uint32_t run = begin_run(&rig);
	struct agent_command command = { .argv = COMMAND((char *)"y") };
	struct wire_head head;

	peer_say_hello(&rig, 77, 1, 1);		/* the same, said twice */
	peer_send(&rig, WIRE_DATA, WIRE_STDOUT, run, "x", 1);
	RIG_WAIT(&rig, rig.run[run].len[WIRE_STDOUT] == 1);
	cr_expect_eq(rig.n_ready, 1);
	cr_expect_not(rig.run[run].ended);
	peer_say_hello(&rig, 99, 1, 1);
	RIG_WAIT(&rig, rig.n_ready == 2);
	cr_expect(rig.run[run].ended);
	cr_expect_eq(rig.run[run].end.how, AGENT_LOST);
	memset(&rig.run[run], 0, sizeof(rig.run[run]));
	run = rig_begin(&rig, &command);
	cr_assert_gt(peer_await(&rig, WIRE_RUN, &head, buf), 0);
	send_ended(&rig, run, WIRE_EXITED, 0);
	RIG_WAIT(&rig, rig.run[run].ended);
	cr_expect_eq(rig.failed, 0);
	rig_end(&rig);
}

struct lie {
	uint8_t type, stream;
	uint32_t op;		/* 1: the run's */
	uint32_t len;		/* of a payload of 0xff */
};

Test(agent_session, each_lie_ends_the_session)
{
	static const struct lie lies[] = {
		{ 0, 0, 1, 0 }, { 99, 0, 1, 0 },			/* types that are none */
		{ WIRE_RUN, 0, 2, 100 }, { WIRE_WELCOME, 0, 0, 28 },	/* the host's */
		{ WIRE_DATA, WIRE_STDIN, 1, 4 }, { WIRE_DATA, 3, 1, 4 },
		{ WIRE_DATA, WIRE_STDOUT, 1, 0 },
		{ WIRE_DATA, WIRE_STDOUT, 2, 4 }, { WIRE_DATA, WIRE_STDOUT, 0, 4 },
		{ WIRE_DATA, WIRE_STDOUT, UINT32_MAX, 4 },
		{ WIRE_DATA, WIRE_STDOUT, 1, WIRE_DATA_MAX + 1 },
		{ WIRE_CREDIT, WIRE_STDIN, 1, 4 }, { WIRE_CREDIT, WIRE_STDOUT, 1, 4 },
		{ WIRE_CREDIT, WIRE_STDIN, 1, 3 },
		{ WIRE_END, WIRE_STDOUT, 1, 0 }, { WIRE_END, WIRE_STDIN, 2, 0 },
		{ WIRE_ENDED, 0, 1, 8 }, { WIRE_ENDED, 0, 1, 7 }, { WIRE_ENDED, 1, 1, 8 },
		{ WIRE_DONE, 0, 1, 4 }, { WIRE_ENTRY, 0, 1, 10 },
		{ WIRE_HELLO, 0, 0, 40 }, { WIRE_HELLO, 0, 0, 4 },
		{ WIRE_COMPLAINT, 0, 0, 10 },
	};
	uint8_t payload[WIRE_DATA_MAX + 1];

	memset(payload, 0xff, sizeof(payload));
	for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
		struct agent_rig rig;
		uint32_t run = begin_run(&rig);

		peer_send(&rig, lies[i].type, lies[i].stream, lies[i].op, payload, lies[i].len);
		RIG_WAIT(&rig, rig.failed);
		cr_expect_eq(rig.failed, EPROTO, "lie %u: %s", i, rig.failure);
		cr_expect(rig.run[run].ended && rig.run[run].end.how == AGENT_LOST, "lie %u", i);
		for (const char *p = rig.failure; *p; p++)
			cr_expect(*p >= ' ' && *p <= '~');
		rig_end(&rig);
	}
}

/* Each of them just beyond what can be. */
Test(agent_session, numbers_that_cannot_be_end_the_session)
{
	static const struct {
		uint32_t how, value;
	} ends[] = {
		{ WIRE_EXITED, 256 }, { WIRE_SIGNALED, 0 }, { WIRE_SIGNALED, 65 },
		{ WIRE_NOT_STARTED, 0 }, { WIRE_NOT_STARTED, 4096 }, { WIRE_NOT_STARTED + 1, 1 },
	};
	struct agent_rig rig;

	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
		uint32_t run = begin_run(&rig);

		send_ended(&rig, run, ends[i].how, ends[i].value);
		RIG_WAIT(&rig, rig.run[run].ended);
		cr_expect_eq(rig.run[run].end.how, AGENT_LOST, "end %u", i);
		RIG_WAIT(&rig, rig.failed);
		rig_end(&rig);
	}
	/* Nothing of the credit has been used. */
	uint32_t run = begin_run(&rig);
	peer_send(&rig, WIRE_CREDIT, WIRE_STDIN, run, "\1\0\0", 4);
	send_ended(&rig, run, WIRE_EXITED, 0);
	RIG_WAIT(&rig, rig.run[run].ended);
	cr_expect_eq(rig.run[run].end.how, AGENT_LOST);
	rig_end(&rig);
}

Test(agent_session, the_input_has_one_end)
{
	struct agent_rig rig;
	uint32_t run = begin_run(&rig);

	/* Ours, and the news that nobody reads, cross each other. */
	agent_input_end(rig.agent, run);
	peer_send(&rig, WIRE_END, WIRE_STDIN, run, NULL, 0);
	peer_send(&rig, WIRE_DATA, WIRE_STDOUT, run, "x", 1);
	RIG_WAIT(&rig, rig.run[run].len[WIRE_STDOUT] == 1);
	cr_expect_eq(rig.failed, 0);
	peer_send(&rig, WIRE_END, WIRE_STDIN, run, NULL, 0);
	send_ended(&rig, run, WIRE_EXITED, 0);
	RIG_WAIT(&rig, rig.run[run].ended);
	cr_expect_eq(rig.run[run].end.how, AGENT_LOST);
	rig_end(&rig);
}

Test(agent_session, a_length_of_4_gib_is_not_waited_for)
{
	struct agent_rig rig;
	struct wire_head head = { .len = UINT32_MAX, .type = WIRE_DATA, .stream = 1, .op = 1 };
	uint8_t bytes[WIRE_HEAD];

	begin_run(&rig);
	wire_put_head(bytes, &head);
	cr_assert_eq(send(rig.peer, bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
	RIG_WAIT(&rig, rig.failed);
	rig_end(&rig);
}

Test(agent_session, more_output_than_credit_is_refused)
{
	struct agent_rig rig;
	uint32_t run = begin_run(&rig);
	static char piece[WIRE_DATA_MAX];

	rig.keeps_output = true;
	for (unsigned i = 0; i < WIRE_WINDOW / WIRE_DATA_MAX; i++)
		peer_send(&rig, WIRE_DATA, WIRE_STDOUT, run, piece, sizeof(piece));
	RIG_WAIT(&rig, rig.run[run].len[AGENT_STDOUT] == WIRE_WINDOW);
	cr_expect_eq(rig.failed, 0);
	peer_send(&rig, WIRE_DATA, WIRE_STDERR, run, "x", 1);	/* that has its own */
	RIG_WAIT(&rig, rig.run[run].len[AGENT_STDERR] == 1);
	/* What was not given cannot be consumed. */
	agent_consumed(rig.agent, run, AGENT_STDERR, 1000000);
	peer_send(&rig, WIRE_DATA, WIRE_STDOUT, run, "x", 1);
	RIG_WAIT(&rig, rig.failed);
	cr_expect_not_null(strstr(rig.failure, "credit"));
	rig_end(&rig);
}

Test(agent_session, nothing_may_follow_the_end_of_a_run)
{
	struct agent_rig rig;
	uint32_t run = begin_run(&rig);

	send_ended(&rig, run, WIRE_EXITED, 0);
	RIG_WAIT(&rig, rig.run[run].ended);
	cr_expect_eq(agent_input(rig.agent, run, "x", 1), -EPIPE);
	agent_input_end(rig.agent, run);
	agent_consumed(rig.agent, run, AGENT_STDOUT, 5);
	send_ended(&rig, run, WIRE_EXITED, 0);
	RIG_WAIT(&rig, rig.failed);
	rig_end(&rig);
}

Test(agent_session, an_agent_that_does_not_read_stops_nobody)
{
	struct agent_rig rig;
	uint32_t run = begin_run(&rig), other;
	static char text[AGENT_COMMAND_MAX - 10];
	struct agent_command command = { .argv = COMMAND((char *)"x", text) };
	int r = 0;

	memset(text, 'x', sizeof(text) - 1);
	for (unsigned i = 0; i < AGENT_OPS - 1 && r == 0; i++)
		r = agent_run(rig.agent, &command, &other);
	cr_expect_eq(r, -EAGAIN);
	for (r = 0; r == 0;)
		r = agent_signal(rig.agent, run, SIGTERM);
	cr_expect_eq(r, -EAGAIN);
	cr_expect_eq(agent_poweroff(rig.agent, AGENT_OFF), -EAGAIN);
	cr_expect_eq(agent_input(rig.agent, run, text, sizeof(text)), 0);
	agent_input_end(rig.agent, run);
	error_clear();
	/* It reads again: what was said comes, the end of the input too. */
	struct wire_head head;
	cr_expect_eq(peer_await(&rig, WIRE_END, &head, buf), 0);
	cr_expect_eq(head.op, run);
	rig_end(&rig);
}

Test(agent_session, closed_in_the_middle_of_a_frame)
{
	struct agent_rig rig;
	uint32_t run = begin_run(&rig);
	uint8_t head[WIRE_HEAD] = { 100, 0, 0, 0, WIRE_DATA, 1, 0, 0, (uint8_t)run };

	cr_assert_eq(send(rig.peer, head, sizeof(head), 0), (ssize_t)sizeof(head));
	close(rig.peer);
	rig.peer = -1;
	RIG_WAIT(&rig, rig.failed);
	cr_expect_eq(rig.failed, ECONNRESET);
	rig_end(&rig);
}

/* The guest ends; what it said before waits in the socket, and more credit has no one to go to. */
Test(agent_session, what_was_said_before_the_end_is_read_to_the_end)
{
	static uint8_t text[WIRE_DATA_MAX];
	struct agent_rig rig;
	uint32_t run = begin_run(&rig);

	for (unsigned i = 0; i < WIRE_WINDOW / WIRE_DATA_MAX; i++)
		peer_send(&rig, WIRE_DATA, WIRE_STDOUT, run, text, sizeof(text));
	send_ended(&rig, run, WIRE_EXITED, 7);
	close(rig.peer);
	rig.peer = -1;
	RIG_WAIT(&rig, rig.failed);
	cr_expect_eq(rig.failed, ECONNRESET);
	cr_expect_eq(rig.run[run].len[WIRE_STDOUT], (size_t)WIRE_WINDOW, "%zu",
		     rig.run[run].len[WIRE_STDOUT]);
	cr_expect_eq(rig.run[run].end.how, AGENT_EXITED);
	cr_expect_eq(rig.run[run].end.value, 7);
	rig_end(&rig);
}

Test(agent_session, before_its_hello_an_agent_is_not_there)
{
	struct agent_rig rig;
	struct agent_command command = { .argv = COMMAND((char *)"x") };
	uint32_t run;

	rig_start_alone(&rig);
	cr_expect_not(agent_is_ready(rig.agent));
	cr_expect_eq(agent_run(rig.agent, &command, &run), -ENOTCONN);
	cr_expect_eq(agent_copy_out(rig.agent, "/x", "/tmp/x", &run), -ENOTCONN);
	error_clear();
	rig_end(&rig);
	agent_destroy(NULL);
}
