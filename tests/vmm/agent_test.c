/* Commands by the real agent, over a socket pair. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/vmm/agent_rig.h"
#include "vmm/agent/agent_image.h"
#include "vmm/base/error.h"

Test(agent, says_who_it_is)
{
	struct agent_rig rig;
	struct utsname u;

	rig_start(&rig);
	uname(&u);
	cr_expect_eq(rig.hello.version, 1u);
	cr_expect_not(rig.hello.is_init);
	cr_expect_str_eq(rig.hello.release, u.release);
	cr_expect_str_eq(rig.hello.hostname, u.nodename);
	cr_expect_str_eq(rig.hello.trouble, "");
	cr_expect(agent_is_ready(rig.agent));
	rig_end(&rig);
}

Test(agent, output_error_and_status_are_apart)
{
	struct agent_rig rig;

	rig_start(&rig);
	struct rig_run *run = rig_run(&rig, SHELL("echo out; echo err >&2; exit 7"));
	cr_expect_eq(run->end.how, AGENT_EXITED);
	cr_expect_eq(run->end.value, 7);
	cr_expect_str_eq(run->out[AGENT_STDOUT], "out\n");
	cr_expect_str_eq(run->out[AGENT_STDERR], "err\n");
	rig_end(&rig);
}

Test(agent, a_signal_that_ends_a_command_is_told)
{
	struct agent_rig rig;

	rig_start(&rig);
	struct rig_run *run = rig_run(&rig, SHELL("kill -SEGV $$"));
	cr_expect_eq(run->end.how, AGENT_SIGNALED);
	cr_expect_eq(run->end.value, SIGSEGV);
	rig_end(&rig);
}

Test(agent, what_cannot_be_started_says_why)
{
	struct agent_rig rig;
	struct agent_command nowhere = { .argv = COMMAND((char *)"true"), .cwd = "/no/such" };

	rig_start(&rig);
	struct rig_run *run = rig_run(&rig, WORDS("/no/such/program"));
	cr_expect_eq(run->end.how, AGENT_NOT_STARTED);
	cr_expect_eq(run->end.value, ENOENT);
	cr_expect_str_eq(run->why, "start '/no/such/program'");
	run = rig_run(&rig, WORDS("/etc/passwd"));
	cr_expect_eq(run->end.value, EACCES);

	uint32_t id = rig_begin(&rig, &nowhere);
	RIG_WAIT(&rig, rig.run[id].ended);
	cr_expect_eq(rig.run[id].end.how, AGENT_NOT_STARTED);
	cr_expect_str_eq(rig.run[id].why, "enter the folder '/no/such'");
	rig_end(&rig);
}

Test(agent, folder_and_environment_are_those_given)
{
	struct agent_rig rig;
	struct agent_command command = {
		.argv = COMMAND((char *)"sh", (char *)"-c", (char *)"pwd; env; printf %s \"$1\"",
				(char *)"x", (char *)"a b\n'\"$"),
		.env = COMMAND((char *)"ONE=1 2", (char *)"EMPTY="),
		.cwd = "/usr",
	};

	rig_start(&rig);
	uint32_t run = rig_begin(&rig, &command);
	RIG_WAIT(&rig, rig.run[run].ended);
	const char *out = rig.run[run].out[AGENT_STDOUT];
	cr_expect_not_null(strstr(out, "/usr\n"));
	cr_expect_not_null(strstr(out, "ONE=1 2\n"));
	cr_expect_not_null(strstr(out, "EMPTY=\n"));
	cr_expect_not_null(strstr(out, "PATH=/usr/local/sbin:"));
	cr_expect_not_null(strstr(out, "HOME=/root\n"));
	cr_expect_not_null(strstr(out, "a b\n'\"$"));
	rig_end(&rig);
}

Test(agent, a_command_gets_nothing_that_is_not_its_own)
{
	struct agent_rig rig;
	struct agent_command waits = { .argv = COMMAND((char *)"cat"), .has_stdin = true };

	rig_start(&rig);
	rig_begin(&rig, &waits);
	/* The fourth is what ls looks into. */
	struct rig_run *run = rig_run(&rig, WORDS("ls", "/proc/self/fd"));
	cr_expect_str_eq(run->out[AGENT_STDOUT], "0\n1\n2\n3\n");
	rig_end(&rig);
}

Test(agent, a_command_without_input_reads_its_end)
{
	struct agent_rig rig;

	rig_start(&rig);
	struct rig_run *run = rig_run(&rig, WORDS("wc", "-c"));
	cr_expect_str_eq(run->out[AGENT_STDOUT], "0\n");
	rig_end(&rig);
}

/* Gives 'total' bytes, as they are taken; each is known by its place. */
static void give_input(struct agent_rig *rig, uint32_t run, size_t total)
{
	static char piece[100000];
	size_t at = 0;

	while (at < total) {
		size_t len = min_u64(sizeof(piece), total - at);
		for (size_t i = 0; i < len; i++)
			piece[i] = (char)((at + i) * 31 >> 5);
		rig->run[run].is_writable = false;
		ssize_t n = agent_input(rig->agent, run, piece, len);
		cr_assert_geq(n, 0);
		cr_assert_leq((size_t)n, len);
		at += (size_t)n;
		if ((size_t)n < len)
			RIG_WAIT(rig, rig->run[run].is_writable);
	}
	agent_input_end(rig->agent, run);
}

Test(agent, all_of_a_large_input_comes_back, .timeout = 60)
{
	struct agent_rig rig;
	struct agent_command command = { .argv = COMMAND((char *)"cat"), .has_stdin = true };

	rig_start(&rig);
	uint32_t run = rig_begin(&rig, &command);
	give_input(&rig, run, 900000);
	RIG_WAIT(&rig, rig.run[run].ended);
	cr_expect_eq(rig.run[run].end.value, 0);
	cr_assert_eq(rig.run[run].len[AGENT_STDOUT], 900000u);
	for (size_t i = 0; i < 900000; i++)
		cr_assert_eq(rig.run[run].out[AGENT_STDOUT][i], (char)(i * 31 >> 5), "at %zu", i);
	cr_expect_eq(agent_input(rig.agent, run, "x", 1), -EPIPE);
	rig_end(&rig);
}

Test(agent, input_for_one_that_does_not_read_waits)
{
	struct agent_rig rig;
	struct agent_command command = {
		.argv = COMMAND((char *)"sleep", (char *)"100"), .has_stdin = true,
	};
	static char much[1 << 20];
	size_t taken = 0;

	rig_start(&rig);
	uint32_t run = rig_begin(&rig, &command);
	for (int i = 0; i < 20; i++) {
		ssize_t n = agent_input(rig.agent, run, much, sizeof(much));
		cr_assert_geq(n, 0);
		taken += (size_t)n;
		rig_run(&rig, WORDS("true"));
	}
	/* A window here, one in the agent's memory, and a pipe. */
	cr_expect_leq(taken, 3u * AGENT_WINDOW);
	cr_expect_gt(taken, 0u);
	cr_expect_eq(agent_signal(rig.agent, run, SIGKILL), 0);
	RIG_WAIT(&rig, rig.run[run].ended);
	cr_expect_eq(rig.run[run].end.value, SIGKILL);
	rig_end(&rig);
}

Test(agent, one_that_closed_its_input_is_noticed)
{
	struct agent_rig rig;
	struct agent_command command = {
		.argv = COMMAND((char *)"sh", (char *)"-c", (char *)"exec <&-; echo x; sleep 100"),
		.has_stdin = true,
	};
	ssize_t n = 0;

	rig_start(&rig);
	uint32_t run = rig_begin(&rig, &command);
	RIG_WAIT(&rig, rig.run[run].len[AGENT_STDOUT] > 0);
	for (int i = 0; i < 1000 && n != -EPIPE; i++) {
		n = agent_input(rig.agent, run, "abc", 3);
		rig_run(&rig, WORDS("true"));
		if (i > 30)
			break;
	}
	cr_expect_eq(n, -EPIPE);
	cr_expect_eq(agent_signal(rig.agent, run, SIGTERM), 0);
	RIG_WAIT(&rig, rig.run[run].ended);
	cr_expect_eq(rig.run[run].end.value, SIGTERM);
	rig_end(&rig);
}

Test(agent, a_flood_is_held_back_and_nothing_is_lost, .timeout = 60)
{
	struct agent_rig rig;
	struct agent_command command = {
		.argv = COMMAND((char *)"head", (char *)"-c", (char *)"20000000",
				(char *)"/dev/zero"),
	};

	rig_start(&rig);
	rig.keeps_output = true;
	uint32_t run = rig_begin(&rig, &command);
	RIG_WAIT(&rig, rig.run[run].len[AGENT_STDOUT] == AGENT_WINDOW);
	/* It does not go on, however long, and others are not held up by it. */
	cr_expect_eq(rig_run(&rig, WORDS("true"))->end.value, 0);
	cr_expect_eq(rig.run[run].len[AGENT_STDOUT], (size_t)AGENT_WINDOW);
	cr_expect_not(rig.run[run].ended);
	rig.keeps_output = false;
	agent_consumed(rig.agent, run, AGENT_STDOUT, SIZE_MAX);
	RIG_WAIT(&rig, rig.run[run].ended);
	cr_expect_eq(rig.run[run].len[AGENT_STDOUT], 20000000u);
	cr_expect_eq(rig.run[run].end.value, 0);
	rig_end(&rig);
}

Test(agent, what_was_printed_before_the_end_comes_although_nobody_read_it_then)
{
	struct agent_rig rig;
	struct agent_command command = {
		.argv = COMMAND((char *)"sh", (char *)"-c",
				(char *)"head -c 100000 /dev/zero; sleep 5 & exit 3"),
	};

	rig_start(&rig);
	rig.keeps_output = true;
	uint32_t run = rig_begin(&rig, &command);
	RIG_WAIT(&rig, rig.run[run].len[AGENT_STDOUT] == AGENT_WINDOW);
	/* The shell has ended; what it left behind holds the pipe, longer than anybody waits. */
	usleep(400000);
	cr_expect_eq(rig_run(&rig, WORDS("true"))->end.value, 0);
	cr_expect_not(rig.run[run].ended);
	agent_consumed(rig.agent, run, AGENT_STDOUT, AGENT_WINDOW);
	RIG_WAIT(&rig, rig.run[run].ended);
	cr_expect_eq(rig.run[run].len[AGENT_STDOUT], 100000u);
	cr_expect_eq(rig.run[run].end.value, 3);
	rig_end(&rig);
}

Test(agent, sixteen_run_at_once_and_the_seventeenth_is_refused, .timeout = 60)
{
	struct agent_rig rig;
	struct agent_command command = {
		.argv = COMMAND((char *)"sh", (char *)"-c", (char *)"read x; echo $x; exit $x"),
		.has_stdin = true,
	};
	uint32_t run[AGENT_OPS], more;
	char text[16];

	rig_start(&rig);
	for (unsigned i = 0; i < AGENT_OPS; i++)
		run[i] = rig_begin(&rig, &command);
	cr_expect_eq(agent_run(rig.agent, &command, &more), -EBUSY);
	cr_expect_not_null(strstr(error_text(), "run 'sh'"));
	error_clear();
	for (unsigned i = 0; i < AGENT_OPS; i++) {
		int n = snprintf(text, sizeof(text), "%u\n", i);
		cr_expect_eq(agent_input(rig.agent, run[i], text, (size_t)n), n);
	}
	for (unsigned i = 0; i < AGENT_OPS; i++) {
		RIG_WAIT(&rig, rig.run[run[i]].ended);
		cr_expect_eq(rig.run[run[i]].end.value, (int)i);
		cr_expect_eq(atoi(rig.run[run[i]].out[AGENT_STDOUT]), (int)i);
	}
	cr_expect_eq(rig_run(&rig, WORDS("true"))->end.value, 0);
	rig_end(&rig);
}

Test(agent, a_signal_reaches_the_whole_group)
{
	struct agent_rig rig;
	struct agent_command command = {
		.argv = COMMAND((char *)"sh", (char *)"-c", (char *)"sleep 100 | sleep 100; echo no"),
	};

	rig_start(&rig);
	uint32_t run = rig_begin(&rig, &command);
	/* At once: the child may not even have made its group. */
	cr_expect_eq(agent_signal(rig.agent, run, SIGINT), 0);
	RIG_WAIT(&rig, rig.run[run].ended);
	cr_expect_eq(rig.run[run].end.how, AGENT_SIGNALED);
	cr_expect_eq(rig.run[run].end.value, SIGINT);
	cr_expect_eq(rig.run[run].len[AGENT_STDOUT], 0u);
	cr_expect_eq(agent_signal(rig.agent, run, SIGINT), -ESRCH);
	cr_expect_eq(agent_signal(rig.agent, run, 0), -EINVAL);
	rig_end(&rig);
}

Test(agent, a_terminal_is_one)
{
	struct agent_rig rig;
	struct agent_command command = {
		.argv = COMMAND((char *)"sh", (char *)"-c",
				(char *)"test -t 0 && test -t 1 && test -t 2 && stty size; "
					"read x; stty size; echo \"got $x\"; cat; echo end >&2"),
		.tty = true, .has_stdin = true, .rows = 24, .columns = 100,
	};

	rig_start(&rig);
	uint32_t run = rig_begin(&rig, &command);
	RIG_WAIT(&rig, strstr(rig.run[run].out[AGENT_STDOUT], "24 100\r\n"));
	cr_expect_eq(agent_resize(rig.agent, run, 50, 132), 0);
	cr_expect_eq(agent_input(rig.agent, run, "word\n", 5), 5);
	RIG_WAIT(&rig, strstr(rig.run[run].out[AGENT_STDOUT], "50 132\r\ngot word\r\n"));
	agent_input_end(rig.agent, run);
	RIG_WAIT(&rig, rig.run[run].ended);
	cr_expect_not_null(strstr(rig.run[run].out[AGENT_STDOUT], "end\r\n"));
	cr_expect_eq(rig.run[run].len[AGENT_STDERR], 0u);
	cr_expect_eq(rig.run[run].end.how, AGENT_EXITED);
	cr_expect_eq(rig.run[run].end.value, 0);
	rig_end(&rig);
}

Test(agent, commands_of_any_size_up_to_the_limit)
{
	struct agent_rig rig;
	static char big[100000], huge[AGENT_COMMAND_MAX];
	uint32_t run;

	memset(big, 'x', sizeof(big) - 1);
	memset(huge, 'x', sizeof(huge) - 1);
	rig_start(&rig);
	struct rig_run *done = rig_run(&rig, WORDS("sh", "-c", "echo ${#1} ${#2}", "-", big, big));
	cr_expect_str_eq(done->out[AGENT_STDOUT], "99999 99999\n");
	struct agent_command command = { .argv = COMMAND((char *)"true", huge) };
	cr_expect_eq(agent_run(rig.agent, &command, &run), -E2BIG);
	command.argv = COMMAND(NULL);
	cr_expect_eq(agent_run(rig.agent, &command, &run), -EINVAL);
	error_clear();
	/* 100000 words: more than the agent has room for, but no lie. */
	static char *many[100001];
	for (unsigned i = 0; i < 100000; i++)
		many[i] = (char *)(i == 0 ? "true" : "");
	command.argv = many;
	run = rig_begin(&rig, &command);
	RIG_WAIT(&rig, rig.run[run].ended);
	cr_expect_eq(rig.run[run].end.how, AGENT_NOT_STARTED);
	cr_expect_eq(rig.run[run].end.value, E2BIG);
	rig_end(&rig);
}

Test(agent, what_runs_is_killed_with_the_session)
{
	struct agent_rig rig;
	char script[160], path[96];

	rig_start(&rig);
	snprintf(path, sizeof(path), "%s/pid", rig.folder);
	snprintf(script, sizeof(script), "echo $$ >%s; echo x; exec sleep 100", path);
	struct agent_command command = {
		.argv = COMMAND((char *)"sh", (char *)"-c", script),
	};
	uint32_t run = rig_begin(&rig, &command);
	RIG_WAIT(&rig, rig.run[run].len[AGENT_STDOUT] > 0);
	FILE *file = fopen(path, "r");
	int pid = 0;
	cr_assert_not_null(file);
	cr_assert_eq(fscanf(file, "%d", &pid), 1);
	fclose(file);
	cr_expect_eq(kill(pid, 0), 0);
	rig_end(&rig);
	for (int i = 0; i < 200 && kill(pid, 0) == 0; i++)
		usleep(10000);
	cr_expect_eq(kill(pid, 0), -1);
}

static void destroy_in_callback(struct agent_rig *rig, uint32_t run)
{
	(void)run;
	agent_destroy(rig->agent);
	rig->agent = NULL;
}

Test(agent, may_be_destroyed_by_a_callback)
{
	struct agent_rig rig;
	struct agent_command command = { .argv = COMMAND((char *)"yes") };

	rig_start(&rig);
	rig.on_output = destroy_in_callback;
	rig_begin(&rig, &command);
	RIG_WAIT(&rig, !rig.agent);
	rig_end(&rig);
}

Test(agent, death_of_the_guest_is_told_once_to_all)
{
	struct agent_rig rig;
	struct agent_command command = { .argv = COMMAND((char *)"sleep", (char *)"100") };
	int status;

	rig_start(&rig);
	uint32_t run = rig_begin(&rig, &command), other = rig_begin(&rig, &command), more;
	kill(rig.pid, SIGKILL);
	RIG_WAIT(&rig, rig.failed);
	cr_expect_eq(rig.failed, ECONNRESET);
	cr_expect(rig.run[run].ended && rig.run[run].end.how == AGENT_LOST);
	cr_expect(rig.run[other].ended && rig.run[other].end.how == AGENT_LOST);
	cr_expect_not(agent_is_ready(rig.agent));
	cr_expect_eq(agent_run(rig.agent, &command, &more), -ENOTCONN);
	cr_expect_eq(agent_poweroff(rig.agent, AGENT_OFF), -ENOTCONN);
	error_clear();
	waitpid(rig.pid, &status, 0);
	rig.pid = 0;
	rig_end(&rig);
}

Test(agent, is_small)
{
	size_t len;
	const char *image = agent_image(&len);

	if (len == 0)
		cr_skip_test("there is no agent: musl-tools is not installed");
	cr_expect_eq(memcmp(image, "\177ELF", 4), 0);
	/* With the large C library it is one of 0.8 MB. */
	cr_expect(len < 100000 || len > 500000, "%zu bytes", len);
}
