/* Whole runs of tests: bare-metal guests on the host's KVM. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vmm/vm_file_rig.h"
#include "vmm/agent/agent_image.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/machine/kvm.h"
#include "vmm/test/test_run.h"

enum { MAX_RUNS = 8 };

static struct event_loop *loop;
static struct test_plan plan;
static char objects[512], program[512];
static struct test_run *run[MAX_RUNS];
static struct test_result *result[MAX_RUNS];
static unsigned n_left, n_steps_told;
static char steps_told[1024];

static void prepare(void)
{
	ssize_t n = readlink("/proc/self/exe", objects, sizeof(objects) - 1);

	cr_assert_gt(n, 0);
	for (unsigned i = 0; i < 2; i++)	/* obj/tests/vmm_test */
		*strrchr(objects, '/') = '\0';
	snprintf(program, sizeof(program), "%.480s/../vireo", objects);
	strcat(objects, "/images/payload");
	signal(SIGPIPE, SIG_IGN);
	vm_file_rig_setup();
	cr_assert_eq(event_loop_create(&loop, "main"), 0);
#if !HAVE_PCRE2 || !HAVE_JANSSON
	cr_skip_test("built without libpcre2 or libjansson");
#endif
}

static void setup(void)
{
	int fd;

	prepare();
	if (kvm_open("/dev/kvm", &fd) < 0)
		cr_skip_test("/dev/kvm: %s", strerror(error_errno()));
	close(fd);
	if (access(objects, R_OK) < 0 || access(program, X_OK) < 0)
		cr_skip_test("the payloads have not been built");
}

static void teardown(void)
{
	for (unsigned i = 0; i < MAX_RUNS; i++) {
		test_run_destroy(run[i]);
		test_result_destroy(result[i]);
	}
	test_plan_fini(&plan);
	event_loop_destroy(loop);
	vm_file_rig_teardown();
}

TestSuite(test_run, .init = setup, .fini = teardown, .timeout = 120);

static void done(void *arg, struct test_result *r)
{
	unsigned i = (unsigned)((struct test_result **)arg - result);

	cr_assert_null(result[i]);
	result[i] = r;
	test_run_destroy(run[i]);
	run[i] = NULL;
	if (--n_left == 0)
		event_loop_stop(loop);
}

static void told(void *arg, const char *text, unsigned index, unsigned n)
{
	size_t len = strlen(steps_told);

	(void)arg;
	n_steps_told++;
	snprintf(steps_told + len, sizeof(steps_told) - len, "%s|", text);
	cr_expect_lt(index, n);
}

static const struct test_run_ops ops = { .done = done, .step = told };

/* Plan the tests of 'text', in which @ is the folder of the payloads. */
static void read_plan(const char *text)
{
	char *whole = NULL;
	size_t len;
	FILE *out = open_memstream(&whole, &len);

	fputs("defaults: { timeout: 30s, set: { vm.memory: 64M, serial.to: null } }\n", out);
	for (const char *p = text; *p; p++)
		fputs(*p == '@' ? objects : (char[]){ *p, '\0' }, out);
	fclose(out);
	rig_write("t.yaml", whole);
	free(whole);
	test_plan_read(&plan, "t.yaml", &rig_mistakes);
	cr_assert_eq(rig_mistakes.n, 0, "%s", rig_mistakes.line[0]);
	cr_assert_leq(plan.n, MAX_RUNS);
}

static void start_all(void)
{
	for (unsigned i = 0; i < plan.n; i++) {
		char dir[16];
		snprintf(dir, sizeof(dir), "run%u", i);
		cr_assert_eq(mkdir(dir, 0777), 0);
		n_left++;
		cr_assert_eq(test_run_start(&run[i], plan.item[i], dir, program, loop, &ops,
					    &result[i]), 0, "%s", error_text());
	}
}

static const struct test_result *run_all(const char *text)
{
	read_plan(text);
	start_all();
	event_loop_run(loop);
	return result[0];
}

#define TALK(words) "vm: { boot: { kernel: @/talk.elf, cmdline: '" words "' } }"
#define OUTCOME(words) "vm: { boot: { kernel: @/outcome.elf, cmdline: '" words "' } }"

static void expect_verdict(const struct test_result *r, enum verdict verdict, const char *why)
{
	cr_expect_eq(r->verdict, verdict, "%s: %s", verdict_name(r->verdict), r->why);
	if (why)
		cr_expect(r->why && strstr(r->why, why), "'%s', not '%s'", r->why, why);
	else
		cr_expect_null(r->why, "%s", r->why);
}

/* The contents of a file of run 0, owned. */
static char *contents(const char *name, size_t *len)
{
	char path[64], *text = calloc(1, 64 << 20);
	FILE *f;

	snprintf(path, sizeof(path), "run0/%s", name);
	f = fopen(path, "r");
	cr_assert_not_null(f, "%s", path);
	*len = fread(text, 1, (64 << 20) - 1, f);
	fclose(f);
	return text;
}

Test(test_run, steps_pass_one_after_the_other)
{
	const struct test_result *r = run_all(
		"tests: { a: { " TALK("say=greet") ", steps: [ { expect: '^welcome$' }, "
		"{ expect: 'login: $' }, { send: \"root\\n\" }, { expect: ['hello', 'root'] }, "
		"wait: end ] } }");
	size_t len;
	char *console;

	expect_verdict(r, VERDICT_PASSED, NULL);
	cr_expect_eq(r->exit_status, 0);
	cr_assert_eq(r->n_steps, 5);
	for (unsigned i = 0; i < 5; i++)
		cr_expect_eq(r->step[i].verdict, VERDICT_PASSED, "step %u", i);
	cr_expect_eq(n_steps_told, 5);
	cr_expect_str_eq(steps_told, "expect: ^welcome$|expect: \"login: $\"|send: \"root\\n\"|"
				     "expect: [hello, root]|wait: end|");
	/* What matched is marked in the console as it was. */
	console = contents("console.log", &len);
	cr_assert_leq(r->step[1].console_to, (int64_t)len);
	cr_expect(!strncmp(console + r->step[0].console_from, "welcome", 7) &&
		  r->step[0].console_to - r->step[0].console_from == 7);
	cr_expect(!strncmp(console + r->step[1].console_from, "login: ", 7));
	cr_expect_gt(r->duration_ns, r->step[4].duration_ns);
	cr_expect_geq(r->step[4].start_ns, r->step[3].start_ns);
	cr_expect_not_null(strstr(r->command, "vireo run 'run0/vm.json'"));
	free(console);
}

Test(test_run, a_status_is_as_told_or_it_fails)
{
	run_all("tests: { a: { " TALK("status=0") " }, b: { " TALK("status=7") ", status: 7 }, "
		"c: { " TALK("status=7") " }, d: { " TALK("status=0") ", expect: panic }, "
		"e: { " TALK("status=3") ", steps: [ wait: end ] } }");
	expect_verdict(result[0], VERDICT_PASSED, NULL);
	expect_verdict(result[1], VERDICT_PASSED, NULL);
	expect_verdict(result[2], VERDICT_FAILED,
		       "ended with status 7, but it was to end in order");
	expect_verdict(result[3], VERDICT_FAILED, "but it was to panic");
	expect_verdict(result[4], VERDICT_FAILED, "ended with status 3");
	cr_expect_eq(result[1]->exit_status, 7);
}

Test(test_run, each_end_is_known)
{
	run_all("tests: { a: { " OUTCOME("end=panic") ", expect: panic }, b: { "
		OUTCOME("end=panic") " }, c: { " OUTCOME("end=triple-fault") ", expect: crash }, "
		"d: { " OUTCOME("end=triple-fault") " }, e: { " OUTCOME("end=reboot") ", "
		"expect: reset }, f: { " OUTCOME("end=reboot") " }, g: { " OUTCOME("end=poweroff")
		", expect: poweroff }, h: { " OUTCOME("end=halt") " } }");
	expect_verdict(result[0], VERDICT_PASSED, NULL);
	expect_verdict(result[1], VERDICT_FAILED, "kernel panicked");
	expect_verdict(result[2], VERDICT_PASSED, NULL);
	expect_verdict(result[3], VERDICT_FAILED, "crashed");
	expect_verdict(result[4], VERDICT_PASSED, NULL);
	expect_verdict(result[5], VERDICT_FAILED, "reset itself");
	expect_verdict(result[6], VERDICT_PASSED, NULL);
	expect_verdict(result[7], VERDICT_FAILED, "the guest crashed");
}

Test(test_run, death_ends_every_wait_at_once)
{
	uint64_t before = clock_now_ms();
	const struct test_result *r = run_all(
		"tests: { a: { timeout: 100s, " TALK("say=warning then=triple-fault") ", "
		"steps: [ expect: 'us', expect: never ] } }");

	expect_verdict(r, VERDICT_FAILED, "expect: never: the guest crashed");
	cr_expect_not_null(strstr(r->why, "last line of the console: er"), "%s", r->why);
	cr_expect_eq(r->step[0].verdict, VERDICT_PASSED);
	cr_expect_eq(r->step[1].verdict, VERDICT_FAILED);
	cr_expect_lt(clock_now_ms() - before, 50000);
}

/* The last words come with the end. */
Test(test_run, the_console_is_read_to_its_end_first)
{
	expect_verdict(run_all("tests: { a: { " TALK("say=warning") ", steps: [ "
			       "{ expect: '^er$' }, wait: end ] } }"), VERDICT_PASSED, NULL);
}

Test(test_run, a_time_limit_tells_where_the_guest_is)
{
	const struct test_result *r = run_all(
		"tests: { a: { timeout: 1s, " TALK("say=warning then=spin") ", "
		"steps: [ expect: never ] } }");
	size_t len;
	char *report;

	expect_verdict(r, VERDICT_TIMED_OUT, "time limit of the test, 1 s, has passed");
	cr_expect_not_null(strstr(r->why, "last line of the console: er"), "%s", r->why);
	report = contents("state.txt", &len);
	cr_expect_not_null(strstr(report, "rip"), "%s", report);
	free(report);
}

Test(test_run, a_step_has_a_limit_of_its_own)
{
	uint64_t before = clock_now_ms();
	const struct test_result *r = run_all(
		"tests: { a: { timeout: 100s, " TALK("say=nothing") ", "
		"steps: [ { expect: never, timeout: 300ms } ] } }");

	expect_verdict(r, VERDICT_TIMED_OUT, "time limit of this step, 0.3 s");
	cr_expect_eq(r->step[0].verdict, VERDICT_TIMED_OUT);
	cr_expect_lt(clock_now_ms() - before, 50000);
}

Test(test_run, a_kernel_in_trouble_fails_the_test)
{
	const struct test_result *r;
	size_t len;
	char *console;

	r = run_all("tests: { a: { " TALK("say=oops") ", steps: [ expect: never ] }, "
		    "b: { " TALK("say=oops") ", expect: panic }, "
		    "c: { fail_on: warn, " TALK("say=warning") ", steps: [ expect: before, "
		    "expect: '^er$' ] }, d: { " TALK("say=warning") " }, "
		    "e: { fail_on: '/^before$/', " TALK("say=warning") " } }");
	expect_verdict(r, VERDICT_FAILED, "trouble (oops): BUG: unable to handle page fault");
	console = contents("console.log", &len);
	cr_expect_not_null(strstr(console, "end of it"), "the rest is missing");
	cr_expect(!strncmp(console + r->step[0].console_from, "BUG: unable", 11));
	free(console);
	expect_verdict(result[1], VERDICT_PASSED, NULL);
	expect_verdict(result[2], VERDICT_FAILED, "trouble (warn): WARNING: CPU: 0");
	expect_verdict(result[3], VERDICT_PASSED, NULL);
	expect_verdict(result[4], VERDICT_FAILED, "shows what it must not, /^before$/: before");
}

Test(test_run, what_must_not_come_before_fails_the_step)
{
	run_all("tests: { a: { " TALK("say=warning") ", steps: [ { expect: '^er$', "
		"not: WARNING } ] }, b: { " TALK("say=warning") ", steps: [ { expect: before, "
		"not: WARNING } ] } }");
	expect_verdict(result[0], VERDICT_FAILED, "before that came what must not, 'WARNING'");
	expect_verdict(result[1], VERDICT_PASSED, NULL);
}

Test(test_run, garbage_hides_nothing)
{
	expect_verdict(run_all("tests: { a: { fail_on: [], " TALK("say=garbage") ", "
			       "steps: [ { expect: 'the end of it ä$' }, wait: end ] } }"),
		       VERDICT_PASSED, NULL);
}

/* Others get their turn, limits hold, files and memory stay bounded. */
Test(test_run, a_flood_holds_up_nobody)
{
	struct rusage usage;
	struct stat st;
	uint64_t before = clock_now_ms();

	run_all("tests: { a: { timeout: 4s, " TALK("say=flood") ", steps: [ expect: never ] }, "
		"b: { timeout: 100s, " TALK("say=greet") ", steps: [ expect: 'login:', "
		"{ send: \"x\\n\" }, expect: hello ] }, "
		"c: { timeout: 100s, " TALK("say=nothing") ", steps: [ { expect: never, "
		"timeout: 1s } ] } }");
	expect_verdict(result[0], VERDICT_TIMED_OUT, "4 s, has passed");
	expect_verdict(result[1], VERDICT_PASSED, NULL);
	expect_verdict(result[2], VERDICT_TIMED_OUT, "1 s, has passed");
	cr_expect_lt(result[1]->duration_ns, UINT64_C(20000000000));
	cr_expect_lt(clock_now_ms() - before, 60000);
	cr_assert_eq(stat("run0/console.log", &st), 0);
	cr_expect_leq(st.st_size, 2 * TEST_CONSOLE_PART + 200);
	getrusage(RUSAGE_SELF, &usage);
	cr_expect_lt(usage.ru_maxrss, 200000);
	printf("flood: %lld bytes kept\n", (long long)st.st_size);
}

Test(test_run, a_catastrophic_pattern_is_named)
{
	expect_verdict(run_all("tests: { a: { " TALK("say=hard") ", "
			       "steps: [ expect: '(x+x+)+[yz]' ] } }"), VERDICT_FAILED,
		       "'(x+x+)+[yz]' takes too much work");
}

Test(test_run, what_is_missing_skips_the_test)
{
	expect_verdict(run_all("tests: { a: { requires: 'file:none', " TALK("say=nothing") " } }"),
		       VERDICT_SKIPPED, "none: No such file");
	cr_expect_eq(result[0]->exit_status, -1);
}

Test(test_run, a_vm_that_cannot_be_made_is_no_verdict_on_the_guest)
{
	run_all("tests: { a: { vm: { boot: { kernel: none } } }, b: { " TALK("say=greet") ", "
		"set: { disks.x.path: none } }, c: { vm: { boot: { kernel: t.yaml } } } }");
	expect_verdict(result[0], VERDICT_BROKEN, "none");
	cr_expect_eq(result[0]->exit_status, 127);
	expect_verdict(result[1], VERDICT_BROKEN, "none");
	expect_verdict(result[2], VERDICT_BROKEN, "t.yaml");
}

Test(test_run, a_guest_that_is_done_with_is_ended)
{
	run_all("tests: { a: { " TALK("say=warning then=spin") ", steps: [ { expect: er } ] } }");
	expect_verdict(result[0], VERDICT_PASSED, NULL);
	cr_expect_eq(result[0]->exit_status, 128 + SIGTERM);
}

Test(test_run, it_can_be_cancelled)
{
	read_plan("tests: { a: { " TALK("say=nothing") ", steps: [ expect: never ] } }");
	start_all();
	test_run_cancel(run[0], "interrupted");
	test_run_cancel(run[0], "again");
	event_loop_run(loop);
	expect_verdict(result[0], VERDICT_NOT_RUN, "interrupted");
}

Test(test_run, it_can_be_destroyed_at_any_time)
{
	read_plan("tests: { a: { " TALK("say=flood") ", steps: [ expect: never ] }, "
		  "b: { " TALK("say=nothing") " } }");
	start_all();
	test_run_destroy(run[0]);
	test_run_destroy(run[1]);
	run[0] = run[1] = NULL;
}

/* A guest that has no agent, asked for it. */
Test(test_run, an_agent_that_is_not_there_is_waited_for)
{
	expect_verdict(run_all("tests: { a: { " TALK("say=nothing") ", "
			       "steps: [ { run: 'true', timeout: 500ms } ] } }"),
		       VERDICT_TIMED_OUT, "run: true: the time limit of this step");
}

Test(test_run, an_agent_that_is_not_there_does_not_outlive_the_guest)
{
	expect_verdict(run_all("tests: { a: { " TALK("say=warning") ", steps: [ wait ] } }"),
		       VERDICT_FAILED, "wait: the guest ended in order");
}

Test(test_run, the_button_can_be_pressed_before_there_is_a_machine)
{
	expect_verdict(run_all("tests: { a: { " TALK("say=nothing") ", steps: [ power_button ] } "
			       "}"), VERDICT_PASSED, NULL);
}

Test(test_run, steps_sleep)
{
	const struct test_result *r = run_all("tests: { a: { " TALK("say=nothing") ", "
					      "steps: [ sleep: 300ms, power_button ] } }");

	expect_verdict(r, VERDICT_PASSED, NULL);
	cr_expect_geq(r->step[0].duration_ns, 300000000);
}

/* --- The agent ------------------------------------------------------------------------------- */

/* In the place of the VM runs the agent itself, on this host; 'script' has it as $agent. */
static void prepare_agent(const char *script)
{
	const void *bytes;
	size_t len;
	FILE *f;

	prepare();
	bytes = agent_image(&len);
	if (len == 0)
		cr_skip_test("there is no agent: musl-tools is not installed");
	rig_write_bytes("agent", bytes, len);
	cr_assert_eq(chmod("agent", 0755), 0);
	cr_assert_not_null(getcwd(program, sizeof(program) - 8));
	strcat(program, "/vireo");
	f = fopen("vireo", "w");
	cr_assert_not_null(f);
	fprintf(f, "#!/bin/sh\ncd '%.*s'\nagent='./agent --fd 3 --once'\n%s\n",
		(int)(strlen(program) - 6), program, script);
	fclose(f);
	cr_assert_eq(chmod("vireo", 0755), 0);
	rig_write("kernel", "none");
}

TestSuite(test_run_agent, .fini = teardown, .timeout = 60);

#define AGENT "vm: { boot: { kernel: kernel } }"

Test(test_run_agent, commands_are_run_and_judged)
{
	prepare_agent("exec $agent");
	run_all("tests: { a: { " AGENT ", env: { A: file, B: file }, steps: [ wait, "
		"{ run: 'echo out; echo err >&2; exit 3', status: 3, stdout: ^out$, "
		"stderr: ^err$ }, "
		"{ run: [ printf, '%s', 'a b' ], stdout: '^a b$' }, "
		"{ run: 'echo $A $B $HOME', env: { A: step }, stdout: ^step file /root$ }, "
		"{ run: pwd, cwd: /tmp, stdout: ^/tmp$ }, "
		"{ run: cat, stdin: hello, stdout: ^hello$ }, "
		"{ run: 'true', stdout: '\\A\\z' } ] }, "
		"b: { " AGENT ", steps: [ run: 'echo why >&2; false' ] }, "
		"c: { " AGENT ", steps: [ { run: 'echo other', stdout: wanted } ] }, "
		"d: { " AGENT ", steps: [ run: [ no-such-command ] ] }, "
		"e: { " AGENT ", steps: [ run: 'kill -SEGV $$' ] }, "
		"f: { " AGENT ", steps: [ { run: 'sleep 100', timeout: 300ms } ] } }");
	expect_verdict(result[0], VERDICT_PASSED, NULL);
	cr_expect_eq(result[0]->n_steps, 7);
	expect_verdict(result[1], VERDICT_FAILED, "ended with status 1, not 0: why");
	expect_verdict(result[2], VERDICT_FAILED, "no match of 'wanted': other");
	expect_verdict(result[3], VERDICT_FAILED, "could not be started");
	expect_verdict(result[4], VERDICT_FAILED, "SEGV");
	expect_verdict(result[5], VERDICT_TIMED_OUT, "time limit of this step");
}

/* Much output is taken, and what a command does not read is no harm. */
/* Does the file have these bytes? */
static bool file_has(const char *path, const char *text)
{
	static char buf[4 << 20];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(buf, 1, sizeof(buf), f) : 0;

	if (f)
		fclose(f);
	return memmem(buf, n, text, strlen(text)) != NULL;
}

/* The agent of this host sees the directory as a guest would, with the host's root as its own. */
Test(test_run_agent, a_guest_with_a_root_is_made)
{
	const struct test_result *r;

	prepare_agent("exec $agent");
	if (access(objects, R_OK) < 0)
		cr_skip_test("the payloads have not been built");
	r = run_all("tests: { a: { vm: { boot: { kernel: @/hello.elf } }, root: host,\n"
		    "  copy: t.yaml=/etc/that, steps: [\n"
		    "  { run: 'test -e t.yaml && echo found', stdout: ^found$ },\n"
		    "  { run: pwd, cwd: /usr, stdout: ^/usr$ } ] } }\n");
	expect_verdict(r, VERDICT_PASSED, NULL);
	cr_expect(file_has("run0/initrd", "mount virtiofs root /lower ro\n"));
	cr_expect(file_has("run0/initrd", "etc/that"));
	cr_expect(file_has("run0/vm.json", "run0/initrd\""));
	cr_expect(file_has("run0/vm.json", "\"readonly\": true"));
	cr_expect(file_has("run0/vm.json", "\"path\": \"/\""));
}

Test(test_run_agent, a_guest_that_cannot_be_made_is_broken)
{
	prepare_agent("exec $agent");
	if (access(objects, R_OK) < 0)
		cr_skip_test("the payloads have not been built");
	expect_verdict(run_all("tests: { a: { vm: { boot: { kernel: @/hello.elf } },\n"
			       "  root: ./none, steps: [ { run: x } ] },\n"
			       "  b: { vm: { boot: { kernel: ./none } }, root: none,\n"
			       "  steps: [ { run: x } ] },\n"
			       "  c: { vm: { boot: { kernel: ./none } }, root: none,\n"
			       "  requires: file:none, steps: [ { run: x } ] } }\n"),
		       VERDICT_BROKEN, "open './none': No such file");
	expect_verdict(result[1], VERDICT_BROKEN, "none': No such file");
	expect_verdict(result[2], VERDICT_SKIPPED, "none: No such file");
}

Test(test_run_agent, streams_are_bounded)
{
	struct stat st;

	prepare_agent("exec $agent");
	run_all("tests: { a: { " AGENT ", steps: [ "
		"{ run: 'head -c 20000000 /dev/zero; echo end', stdout: end }, "
		"{ run: 'true', stdin: ignored } ] } }");
	expect_verdict(result[0], VERDICT_PASSED, NULL);
	cr_assert_eq(stat("run0/step-1.stdout", &st), 0);
	cr_expect_lt(st.st_size, 10000000);
	cr_expect_gt(st.st_size, 8000000);
}

Test(test_run_agent, files_are_copied_both_ways)
{
	size_t len;
	char *copy;

	prepare_agent("exec $agent");
	rig_write("tool", "contents");
	char *here = getcwd(NULL, 0);
	cr_assert_eq(setenv("PWD", here, 1), 0);
	free(here);
	run_all("tests: { a: { " AGENT ", steps: [ { copy_in: tool, to: '${PWD}/in-guest' }, "
		"{ run: 'cat in-guest', cwd: '${PWD}', stdout: ^contents$ }, "
		"{ copy_out: '${PWD}/in-guest', to: logs/copy } ] }, "
		"b: { " AGENT ", steps: [ copy_out: /no/such/file ] }, "
		"c: { " AGENT ", steps: [ { copy_in: no-such-file, to: /tmp/x } ] } }");
	expect_verdict(result[0], VERDICT_PASSED, NULL);
	copy = contents("files/logs/copy", &len);
	cr_expect_str_eq(copy, "contents");
	free(copy);
	expect_verdict(result[1], VERDICT_FAILED, "No such file");
	expect_verdict(result[2], VERDICT_FAILED, "no-such-file");
}

/* What the agent said before the guest's end counts. */
Test(test_run_agent, the_guests_end_is_the_end_of_commands)
{
	prepare_agent("$agent; exit 5");
	run_all("tests: { a: { " AGENT ", steps: [ { run: 'kill -9 $PPID; sleep 100' } ] } }");
	expect_verdict(result[0], VERDICT_FAILED, "the guest ended with status 5 before that");
	cr_expect_lt(result[0]->duration_ns, UINT64_C(20000000000));
}

Test(test_run_agent, an_agent_that_is_gone_is_not_waited_for)
{
	prepare_agent("exec 3>&-; exec sleep 1000");
	run_all("tests: { a: { " AGENT ", steps: [ wait ] } }");
	expect_verdict(result[0], VERDICT_FAILED, "the agent's connection has ended");
	cr_expect_lt(result[0]->duration_ns, UINT64_C(20000000000));
}

/* It may be noise, behind which a HELLO follows. */
Test(test_run_agent, one_that_speaks_otherwise_is_waited_for_in_bounds)
{
	prepare_agent("exec cat /dev/urandom >&3");
	run_all("tests: { a: { " AGENT ", steps: [ { run: 'true', timeout: 1s } ] } }");
	cr_expect(result[0]->verdict == VERDICT_TIMED_OUT || result[0]->verdict == VERDICT_FAILED);
	cr_expect_lt(result[0]->duration_ns, UINT64_C(20000000000));
}

/* In the place of the VM is a script. */
Test(test_run_agent, what_a_guest_does_while_it_is_ended_does_not_matter)
{
	prepare_agent("trap 'echo \"[ 1.0] Kernel panic - not syncing: late\"; exit 3' TERM\n"
		      "echo ready; while :; do sleep 0.1; done");
	run_all("tests: { a: { " AGENT ", steps: [ expect: ready ] } }");
	expect_verdict(result[0], VERDICT_PASSED, NULL);
	cr_expect_eq(result[0]->exit_status, 3);
}

Test(test_run_agent, one_that_does_not_end_is_killed_and_has_passed)
{
	prepare_agent("trap '' TERM; echo ready; while :; do sleep 0.1; done");
	run_all("tests: { a: { timeout: 2s, " AGENT ", steps: [ expect: ready ] } }");
	expect_verdict(result[0], VERDICT_PASSED, NULL);
	cr_expect_eq(result[0]->exit_status, 128 + SIGKILL);
}
