/*
 * A VM as a child process, in the place of which a shell script does what is tried.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/time_limit.h"
#include "vmm/vm_process.h"

static struct event_loop *loop;
static struct vm_config config;
static char dir[64], program[96];
static struct vm_process *process;

static struct {
	char text[4096];
	size_t len, total;
	unsigned n_ended;
	struct vm_process_end end;
	bool destroy_at_output, stop_at_output;
} seen;

static void output(void *arg, const void *buf, size_t len)
{
	size_t n = sizeof(seen.text) - 1 - seen.len;

	cr_assert_eq(arg, &seen);
	cr_assert_leq(len, VM_PROCESS_CHUNK);
	n = len < n ? len : n;
	memcpy(seen.text + seen.len, buf, n);
	seen.len += n;
	seen.total += len;
	if (seen.stop_at_output)
		event_loop_stop(loop);
	if (seen.destroy_at_output) {
		vm_process_destroy(process);
		process = NULL;
		event_loop_stop(loop);
	}
}

static void ended(void *arg, const struct vm_process_end *end)
{
	cr_assert_eq(arg, &seen);
	seen.end = *end;
	seen.n_ended++;
	vm_process_destroy(process);	/* the least convenient moment */
	process = NULL;
	event_loop_stop(loop);
}

static const struct vm_process_ops ops = { .output = output, .ended = ended };

static void setup(void)
{
	if (!HAVE_JANSSON)
		cr_skip_test("built without libjansson");
	signal(SIGPIPE, SIG_IGN);
	strcpy(dir, "/tmp/vm-process-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(program, sizeof(program), "%s/vireo", dir);
	cr_assert_eq(event_loop_create(&loop, "main"), 0);
	cr_assert_eq(config_init(&config), 0);
}

static void teardown(void)
{
	char command[96];

	vm_process_destroy(process);
	config_fini(&config);
	event_loop_destroy(loop);
	snprintf(command, sizeof(command), "rm -r '%s'", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(vm_process, .init = setup, .fini = teardown, .timeout = 60);

static void write_script(const char *text)
{
	FILE *f = fopen(program, "w");

	cr_assert_not_null(f);
	fprintf(f, "%s%s\n", strncmp(text, "#!", 2) ? "#!/bin/sh\n" : "", text);
	cr_assert_eq(fclose(f), 0);
	cr_assert_eq(chmod(program, 0755), 0);
}

static void start_with(const char *script, const int *fds, unsigned n_fds)
{
	static const char *const args[] = { "--more", "words", NULL };
	struct vm_process_config with = {
		.program = program, .dir = dir, .vm = &config, .args = args, .fds = fds,
		.n_fds = n_fds,
	};

	write_script(script);
	cr_assert_eq(vm_process_start(&process, &with, loop, &ops, &seen), 0, "%s", error_text());
}

static void run(const char *script)
{
	start_with(script, NULL, 0);
	event_loop_run(loop);
}

Test(vm_process, what_it_prints_and_how_it_ends_are_told)
{
	char expected[160];

	run("echo \"$@\"; echo mistake >&2; exit 7");
	snprintf(expected, sizeof(expected), "run %s/vm.json --no-run-dir --more words\n", dir);
	cr_expect_str_eq(seen.text, expected);
	cr_expect_eq(seen.n_ended, 1);
	cr_expect_eq(seen.end.status, 7);
	cr_expect_eq(seen.end.signal, 0);
	cr_expect_gt(seen.end.duration_ns, 0);
}

Test(vm_process, what_it_says_is_in_a_file_and_so_is_the_configuration)
{
	config.memory = MIB(96);
	run("cat \"$2\"; echo mistake >&2");
	cr_expect_not_null(strstr(seen.text, "100663296"), "%s", seen.text);

	char path[96], line[32] = "";
	snprintf(path, sizeof(path), "%s/stderr.log", dir);
	FILE *f = fopen(path, "r");
	cr_assert_not_null(f);
	cr_assert_not_null(fgets(line, sizeof(line), f));
	fclose(f);
	cr_expect_str_eq(line, "mistake\n");
}

Test(vm_process, what_is_typed_arrives_and_so_does_its_end)
{
	start_with("cat", NULL, 0);
	cr_expect_eq(vm_process_input(process, "one\n", 4), 4);
	cr_expect_eq(vm_process_input(process, "two\n", 4), 4);
	vm_process_input_end(process);
	cr_expect_eq(vm_process_input(process, "late", 4), 0);
	event_loop_run(loop);
	cr_expect_str_eq(seen.text, "one\ntwo\n");
	cr_expect_eq(seen.end.status, 0);
}

Test(vm_process, input_that_nobody_reads_is_bounded)
{
	static char much[1 << 20];
	size_t taken;

	start_with("echo; sleep 1000", NULL, 0);
	seen.stop_at_output = true;
	event_loop_run(loop);
	taken = vm_process_input(process, much, sizeof(much));
	cr_expect_lt(taken, sizeof(much));
	cr_expect_leq(vm_process_input_left(process), VM_PROCESS_INPUT);
}

Test(vm_process, input_after_it_closed_its_end_is_no_harm)
{
	start_with("exec <&-; echo; sleep 1; echo later", NULL, 0);
	seen.stop_at_output = true;
	event_loop_run(loop);
	vm_process_input(process, "x", 1);
	event_loop_run(loop);
	cr_expect_str_eq(seen.text, "\nlater\n");
}

Test(vm_process, descriptors_are_handed_over_by_number)
{
	int fds[2][2], list[2];
	char buf[8] = "";

	for (int i = 0; i < 2; i++) {
		cr_assert_eq(pipe2(fds[i], O_CLOEXEC), 0);
		list[i] = fds[i][1];
	}
	start_with("printf three >&3; printf four >&4; ls -l /proc/self/fd", list, 2);
	event_loop_run(loop);
	cr_expect_eq(read(fds[0][0], buf, sizeof(buf)), 5);
	cr_expect_str_eq(buf, "three");
	cr_expect_eq(read(fds[1][0], buf, sizeof(buf)), 4);
	/* And no others (5 is the directory that ls reads). */
	cr_expect_null(strstr(seen.text, " 6 -> "), "%s", seen.text);
	for (int i = 0; i < 2; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
}

Test(vm_process, its_end_does_not_wait_for_helpers_that_outlive_it)
{
	uint64_t before = clock_now_ms();

	run("sleep 30 & echo last words; exit 3");
	cr_expect_str_eq(seen.text, "last words\n");
	cr_expect_eq(seen.end.status, 3);
	cr_expect_lt(clock_now_ms() - before, 20000);
}

Test(vm_process, all_that_it_printed_comes_before_its_end)
{
	run("head -c 3000000 /dev/zero; echo; exit 0");
	cr_expect_eq(seen.total, 3000001);
	cr_expect_eq(seen.end.status, 0);
}

Test(vm_process, a_signal_that_ended_it_is_told)
{
	run("kill -SEGV $$");
	cr_expect_eq(seen.end.status, -1);
	cr_expect_eq(seen.end.signal, SIGSEGV);
}

/*
 * It listens late, as Vireo does, which has a machine to make first: what it is asked before that
 * must not end it.  (A shell listens at once, or never.)
 */
static void start_listener(void)
{
	if (system("python3 -c '' 2>/dev/null") != 0)
		cr_skip_test("python3 is not installed");
	start_with("#!/usr/bin/env python3\n"
		   "import os, signal, sys, time\n"
		   "time.sleep(0.2)\n"
		   "listens = {signal.SIGUSR1, signal.SIGPWR, signal.SIGTERM}\n"
		   "if os.path.exists(sys.argv[0] + '.busy'):\n"
		   "    signal.pthread_sigmask(signal.SIG_BLOCK, listens)\n"
		   "    print(flush=True)\n"
		   "    while not signal.SIGTERM in signal.sigpending():\n"
		   "        time.sleep(0.01)\n"
		   "sig = None\n"
		   "while sig not in (signal.SIGPWR, signal.SIGTERM):\n"
		   "    sig = signal.sigwait(listens)\n"
		   "    print(sig.name, flush=True)\n"
		   "sys.exit(9)", NULL, 0);
}

Test(vm_process, a_report_is_asked_for_before_it_is_stopped)
{
	char busy[128];

	snprintf(busy, sizeof(busy), "%s.busy", program);
	cr_assert_eq(close(creat(busy, 0600)), 0);
	start_listener();
	seen.stop_at_output = true;
	event_loop_run(loop);
	seen.stop_at_output = false;
	vm_process_report(process);
	vm_process_stop(process);
	vm_process_stop(process);
	event_loop_run(loop);
	cr_expect_str_eq(seen.text, "\nSIGUSR1\nSIGTERM\n");
	cr_expect_eq(seen.end.status, 9);
}

Test(vm_process, the_power_button_and_a_report_wait_until_it_listens)
{
	start_listener();
	vm_process_press_power_button(process);
	vm_process_report(process);
	event_loop_run(loop);
	cr_expect_str_eq(seen.text, "SIGUSR1\nSIGPWR\n");
	cr_expect_eq(seen.end.status, 9);
}

Test(vm_process, who_does_not_stop_is_killed)
{
	uint64_t before;

	start_with("trap '' TERM; echo; while :; do sleep 0.1; done", NULL, 0);
	seen.stop_at_output = true;
	event_loop_run(loop);
	before = clock_now_ms();
	vm_process_stop(process);
	event_loop_run(loop);
	cr_expect_eq(seen.end.signal, SIGKILL);
	cr_expect_geq(clock_now_ms() - before, VM_PROCESS_PATIENCE_MS);
}

static void time_passed(void *arg)
{
	*(bool *)arg = true;
	vm_process_stop(process);
}

Test(vm_process, a_flood_lets_the_loop_do_other_things)
{
	struct time_limit limit = TIME_LIMIT_INIT;
	bool passed = false;

	start_with("exec cat /dev/zero", NULL, 0);
	cr_assert_eq(time_limit_start(&limit, loop, 200, time_passed, &passed), 0);
	event_loop_run(loop);
	cr_expect(passed);
	cr_expect_eq(seen.end.signal, SIGTERM);
	time_limit_stop(&limit);
}

Test(vm_process, it_can_be_let_go_while_it_prints)
{
	seen.destroy_at_output = true;
	run("while :; do echo more; done");
	cr_expect_eq(seen.n_ended, 0);
	cr_expect_null(process);
}

Test(vm_process, a_program_that_cannot_be_started_is_an_error)
{
	struct vm_process_config with = { .program = "/nonexistent", .dir = dir, .vm = &config };

	cr_expect_eq(vm_process_start(&process, &with, loop, &ops, &seen), -ENOENT);
	cr_expect_null(process);
	cr_expect_not_null(strstr(error_text(), dir));
	with.dir = "/nonexistent";
	cr_expect_eq(vm_process_start(&process, &with, loop, &ops, &seen), -ENOENT);
}
