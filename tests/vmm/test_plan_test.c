/* Test files: what they mean, and every kind of mistake in them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vmm/vm_file_rig.h"
#include "virtio/transport.h"
#include "vmm/outcome.h"
#include "vmm/test/pattern.h"
#include "vmm/test/test_plan.h"
#include "vmm/test/test_requires.h"

static struct test_plan plan;

static void setup(void)
{
	vm_file_rig_setup();
#if !HAVE_PCRE2
	cr_skip_test("built without libpcre2");
#endif
	/* A kernel that is there, and is not Linux. */
	rig_write("kernel", "no kernel");
}

static void teardown(void)
{
	test_plan_fini(&plan);
	vm_file_rig_teardown();
}

TestSuite(test_plan, .init = setup, .fini = teardown, .timeout = 60);

static void read_text(const char *text)
{
	test_plan_fini(&plan);
	memset(&rig_mistakes, 0, sizeof(rig_mistakes));
	rig_write("t.yaml", text);
	test_plan_read(&plan, "t.yaml", &rig_mistakes);
}

static void read_good(const char *text)
{
	read_text(text);
	cr_assert_eq(rig_mistakes.n, 0, "%s", rig_mistakes.line[0]);
}

#define VM "vm: { boot: { kernel: kernel } }"

Test(test_plan, a_test_has_what_its_file_says)
{
	read_good("tests:\n"
		  "  boots:\n"
		  "    vm: { boot: { kernel: kernel }, vm: { memory: 96M, cpus: 2 } }\n"
		  "    timeout: 5m\n"
		  "    tags: [smoke, fast]\n"
		  "    env: { LANG: C, A: b }\n"
		  "    fail_on: [warn, '/segfault at \\d/']\n"
		  "    requires: [kvm, 'file:kernel', env:HOME]\n"
		  "    repeat: 3\n"
		  "    status: 7\n"
		  "    steps:\n"
		  "      - expect: \"login:\"\n"
		  "        timeout: 30s\n"
		  "        not: rescue\n"
		  "      - expect: [a, b]\n"
		  "      - send: \"root\\n\"\n"
		  "      - wait\n"
		  "      - wait: ready\n"
		  "      - run: echo $HOME\n"
		  "        stdout: ^running$\n"
		  "        stderr: \\A\\z\n"
		  "        status: 3\n"
		  "        stdin: hello\n"
		  "        cwd: /tmp\n"
		  "        env: { X: '1' }\n"
		  "      - run: [ls, -l, 'a b']\n"
		  "      - copy_in: tool\n"
		  "        to: /usr/bin/tool\n"
		  "      - copy_out: /var/log/dmesg\n"
		  "      - sleep: 100ms\n"
		  "      - power_button\n"
		  "      - poweroff\n");
	cr_assert_eq(plan.n, 1);
	const struct test_case *test = plan.item[0];
	const struct test_spec *spec = test->spec;
	cr_expect_str_eq(test->title, "boots");
	cr_expect_str_eq(spec->file, "t.yaml");
	cr_expect_eq(spec->line, 2);
	cr_expect_eq(test->vm.memory, MIB(96));
	cr_expect_eq(test->vm.cpus, 2);
	cr_expect_str_eq(test->vm.kernel, "kernel");
	cr_expect_eq(spec->timeout_ms, 300000);
	cr_expect_eq(spec->tags.n, 2);
	cr_expect_eq(spec->env.n, 2);
	cr_expect_eq(spec->fail_on, TROUBLE_WARN);
	cr_assert_eq(spec->n_fail_patterns, 1);
	cr_expect_str_eq(pattern_text(spec->fail_pattern[0]), "segfault at \\d");
	cr_assert_eq(spec->needs.n, 3);
	cr_expect_str_eq(spec->needs.item[1], "file:kernel");
	cr_expect_eq(spec->repeat, 3);
	cr_expect_eq(spec->end, END_STATUS);
	cr_expect_eq(spec->status, 7);
	cr_assert_eq(spec->n_steps, 12);
	const struct step_spec *step = spec->step;
	cr_expect_eq(step[0].kind, STEP_EXPECT);
	cr_expect_eq(step[0].line, 12);
	cr_expect_eq(step[0].timeout_ms, 30000);
	cr_expect_str_eq(step[0].shown, "expect: \"login:\"");
	cr_expect_str_eq(pattern_text(step[0].without), "rescue");
	cr_expect_eq(step[1].n_patterns, 2);
	cr_expect_str_eq(step[1].shown, "expect: [a, b]");
	cr_expect_str_eq(step[2].text, "root\n");
	cr_expect_str_eq(step[2].shown, "send: \"root\\n\"");
	cr_expect_eq(step[3].kind, STEP_WAIT);
	cr_expect_eq(step[4].kind, STEP_WAIT);
	cr_expect_str_eq(step[5].text, "echo $HOME");
	cr_expect_str_eq(pattern_text(step[5].out), "^running$");
	cr_expect_not_null(step[5].err);
	cr_expect_eq(step[5].status, 3);
	cr_expect_str_eq(step[5].input, "hello");
	cr_expect_str_eq(step[5].cwd, "/tmp");
	cr_expect_str_eq(step[5].env.item[0], "X=1");
	cr_expect_eq(step[6].argv.n, 3);
	cr_expect_str_eq(step[6].argv.item[2], "a b");
	cr_expect_str_eq(step[7].from, "tool");
	cr_expect_str_eq(step[7].to, "/usr/bin/tool");
	cr_expect_str_eq(step[8].to, "dmesg");
	cr_expect_eq(step[9].sleep_ms, 100);
	cr_expect_eq(step[10].kind, STEP_POWER_BUTTON);
	cr_expect_eq(step[11].kind, STEP_POWEROFF);
	cr_expect(test_spec_uses_agent(spec));
}

Test(test_plan, without_a_word_a_test_is_strict)
{
	read_good("tests: { a: { " VM " } }");
	const struct test_case *test = plan.item[0];
	cr_expect_eq(test->spec->timeout_ms, TEST_TIMEOUT_MS);
	cr_expect_eq(test->spec->fail_on, TROUBLE_PANIC | TROUBLE_OOPS);
	cr_expect_eq(test->vm.on_reboot, POLICY_FAIL);
	cr_expect_eq(test->vm.on_halt, POLICY_FAIL);
	cr_expect_null(test->vm.append);
	cr_expect_not(test_spec_uses_agent(test->spec));
	/* What the file says stays. */
	read_good("tests: { a: { " VM ", set: { vm.on_reboot: restart } } }");
	cr_expect_eq(plan.item[0]->vm.on_reboot, POLICY_RESTART);
	cr_expect_eq(plan.item[0]->vm.on_halt, POLICY_FAIL);
}

static void write_linux(void)
{
	static char image[4096];

	memcpy(image + 0x202, "HdrS", 4);
	rig_write_bytes("bzImage", image, sizeof(image));
}

Test(test_plan, a_linux_kernel_is_told_to_panic)
{
	write_linux();
	read_good("tests: { a: { vm: { boot: { kernel: bzImage } } } }");
	cr_expect_str_eq(plan.item[0]->vm.append,
			 "panic=-1 oops=panic softlockup_panic=1 hung_task_panic=1");
	read_good("tests: { a: { vm: { boot: { kernel: bzImage, "
		  "append: 'x panic=5 -- single' } } } }");
	cr_expect_str_eq(plan.item[0]->vm.append,
			 "x panic=5 oops=panic softlockup_panic=1 hung_task_panic=1 -- single");
	read_good("tests: { a: { vm: { boot: { kernel: bzImage, cmdline: 'oops=x -- y' } } } }");
	cr_expect_str_eq(plan.item[0]->vm.cmdline,
			 "oops=x panic=-1 softlockup_panic=1 hung_task_panic=1 -- y");
	read_good("tests: { a: { strict_kernel: no, vm: { boot: { kernel: bzImage } } } }");
	cr_expect_null(plan.item[0]->vm.append);
}

Test(test_plan, a_test_that_panics_on_purpose_may_say_so)
{
	read_good("tests: { a: { " VM ", expect: panic }, b: { " VM ", expect: panic, "
		  "fail_on: warn } }");
	cr_expect_eq(plan.item[0]->spec->end, END_PANIC);
	cr_expect_eq(plan.item[0]->spec->fail_on, 0);
	cr_expect_eq(plan.item[1]->spec->fail_on, TROUBLE_WARN);
}

Test(test_plan, a_matrix_is_every_combination)
{
	read_good("tests:\n  m:\n    " VM "\n    matrix: { vm.transport: [pci, mmio], "
		  "vm.cpus: [1, 4], disks.root.readonly: [yes] }\n"
		  "    set: { disks.root.path: x }\n");
	cr_assert_eq(plan.n, 4);
	cr_expect_str_eq(plan.item[0]->title,
			 "m [vm.transport=pci vm.cpus=1 disks.root.readonly=yes]");
	cr_expect_str_eq(plan.item[3]->title,
			 "m [vm.transport=mmio vm.cpus=4 disks.root.readonly=yes]");
	cr_expect_eq(plan.item[1]->vm.transport, VIRTIO_PCI);
	cr_expect_eq(plan.item[1]->vm.cpus, 4);
	cr_expect_eq(plan.item[2]->vm.transport, VIRTIO_MMIO);
	cr_expect_eq(plan.item[2]->vm.cpus, 1);
	cr_expect(plan.item[2]->vm.disk[0].readonly);
	cr_expect_str_eq(plan.item[2]->axis[1].name, "vm.cpus");
	cr_expect_str_eq(plan.item[2]->axis[1].value, "1");
}

Test(test_plan, combinations_can_be_left_out)
{
	read_good("tests:\n  m:\n    " VM "\n"
		  "    matrix: { vm.transport: [pci, mmio], vm.cpus: [1, 2, 4] }\n"
		  "    exclude: [ { vm.transport: mmio, vm.cpus: [2, 4] }, { vm.cpus: 2 } ]\n");
	cr_assert_eq(plan.n, 3);
	cr_expect_str_eq(plan.item[0]->title, "m [vm.transport=pci vm.cpus=1]");
	cr_expect_str_eq(plan.item[1]->title, "m [vm.transport=pci vm.cpus=4]");
	cr_expect_str_eq(plan.item[2]->title, "m [vm.transport=mmio vm.cpus=1]");
}

Test(test_plan, defaults_are_for_all_and_tests_override_them)
{
	rig_write("base.yaml", "defaults: { timeout: 1s, env: { A: base, B: base }, tags: one, "
			       "set: { vm.memory: 64M, vm.cpus: 2 } }");
	read_good("include: base.yaml\n"
		  "defaults: { " VM ", env: { B: file }, set: { vm.cpus: 3 } }\n"
		  "tests:\n  a: { }\n  b: { timeout: 2s, tags: two, env: { C: test }, "
		  "set: { vm.memory: 128M } }\n");
	const struct test_case *a = plan.item[0], *b = plan.item[1];
	cr_expect_eq(a->spec->timeout_ms, 1000);
	cr_expect_eq(b->spec->timeout_ms, 2000);
	cr_expect_eq(a->vm.memory, MIB(64));
	cr_expect_eq(a->vm.cpus, 3);
	cr_expect_eq(b->vm.memory, MIB(128));
	cr_expect_eq(b->vm.cpus, 3);
	cr_assert_eq(a->spec->env.n, 2);
	cr_expect_str_eq(a->spec->env.item[0], "A=base");
	cr_expect_str_eq(a->spec->env.item[1], "B=file");
	cr_expect_eq(b->spec->env.n, 3);
	cr_expect_eq(b->spec->tags.n, 2);
}

Test(test_plan, files_are_found_beside_the_file_that_names_them)
{
	cr_assert_eq(mkdir("sub", 0777), 0);
	rig_write("sub/web.yaml", "boot: { kernel: k }\nvm: { memory: 80M }");
	rig_write("sub/t.yaml", "tests:\n  a:\n    vm: web.yaml\n    requires: file:f\n"
				"    steps: [ { copy_in: tool, to: /tool } ]\n"
				"  b:\n    vm: { include: web.yaml, boot: { initrd: i } }\n");
	test_plan_read(&plan, "sub", &rig_mistakes);
	cr_assert_eq(rig_mistakes.n, 0, "%s", rig_mistakes.line[0]);
	cr_assert_eq(plan.n, 2);
	cr_expect_str_eq(plan.item[0]->vm.kernel, "sub/k");
	cr_expect_eq(plan.item[0]->vm.memory, MIB(80));
	cr_expect_str_eq(plan.item[0]->spec->needs.item[0], "file:sub/f");
	cr_expect_str_eq(plan.item[0]->spec->step[0].from, "sub/tool");
	cr_expect_str_eq(plan.item[1]->vm.kernel, "sub/k");
	cr_expect_str_eq(plan.item[1]->vm.initrd, "sub/i");
}

Test(test_plan, a_folder_is_its_test_files)
{
	cr_assert_eq(mkdir("d", 0777), 0);
	rig_write("d/b.yaml", "tests: { b: { vm: { boot: { kernel: k } } } }");
	rig_write("d/a.yml", "tests: { a: { vm: { boot: { kernel: k } } } }");
	rig_write("d/web.yaml", "boot: { kernel: k }");
	rig_write("d/.hidden.yaml", "tests: [");
	rig_write("d/notes.txt", "tests: [");
	test_plan_read(&plan, "d", &rig_mistakes);
	cr_assert_eq(rig_mistakes.n, 0, "%s", rig_mistakes.line[0]);
	cr_assert_eq(plan.n, 2);
	cr_expect_str_eq(plan.item[0]->title, "a");
	cr_assert_eq(mkdir("empty", 0777), 0);
	test_plan_read(&plan, "empty", &rig_mistakes);
	cr_expect_eq(rig_mistakes.n, 1);
}

/* Each text with one mistake: where it is, and what is said. */
Test(test_plan, each_mistake_has_a_place_and_a_sentence)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "tests: { a: { } }", "t.yaml:1:10: tests.a: its VM has no kernel" },
		{ "test: { }", "t.yaml:1:1: test: unknown key; did you mean 'tests'" },
		{ "tests: {}", "there are no tests" },
		{ "[]", "a test file is a map" },
		{ "tests: []", "t.yaml:1:8: tests: a map belongs here" },
		{ "tests: { a: x }", "t.yaml:1:13: tests.a: a map belongs here" },
		{ "tests: { a/b: { " VM " } }", "tests.a/b: a test's name" },
		{ "tests: { a: { " VM ", timout: 5s } }",
		  "tests.a.timout: unknown key; did you mean 'timeout'" },
		{ "tests: { a: { " VM ", timeout: soon } }", "'soon' is no time" },
		{ "tests: { a: { " VM ", timeout: 0 } }", "hang for ever" },
		{ "tests: { a: { " VM ", fail_on: [panik] } }", "did you mean 'panic'" },
		{ "tests: { a: { " VM ", fail_on: '/(/' } }", "no regular expression" },
		{ "tests: { a: { " VM ", expect: 'login:' } }", "is a step" },
		{ "tests: { a: { " VM ", status: 120 } }", "a number from 0 to 119" },
		{ "tests: { a: { " VM ", status: 1, expect: panic } }", "only once" },
		{ "tests: { a: { " VM ", requires: kwm } }", "did you mean 'kvm'" },
		{ "tests: { a: { " VM ", repeat: 0 } }", "a number from 1" },
		{ "tests: { a: { " VM ", strict_kernel: perhaps } }", "neither yes nor no" },
		{ "tests: { a: { " VM ", env: [A] } }", "a map belongs here" },
		{ "tests: { a: { " VM ", env: { A: '${NOT_SET_AT_ALL}' } } }", "NOT_SET_AT_ALL" },
		{ "tests: { a: { " VM ", tags: 'a b' } }", "one word" },
		{ "tests: { a: { " VM ", steps: expect } }", "a list belongs here" },
		{ "tests: { a: { " VM ", steps: [ expct: x ] } }",
		  "unknown step; did you mean 'expect'" },
		{ "tests: { a: { " VM ", steps: [ power ] } }", "is no step; there are expect" },
		{ "tests: { a: { " VM ", steps: [ expect ] } }", "needs a value" },
		{ "tests: { a: { " VM ", steps: [ [a] ] } }", "a step belongs here" },
		{ "tests: { a: { " VM ", steps: [ { expect: a, send: b } ] } }",
		  "the next one begins with '-'" },
		{ "tests: { a: { " VM ", steps: [ { expect: a, stdout: b } ] } }",
		  "unknown key of this step; allowed: not, timeout" },
		{ "tests: { a: { " VM ", steps: [ { expect: 'a(' } ] } }", "at character 3" },
		{ "tests: { a: { " VM ", steps: [ { expect: 'a*' } ] } }", "waits for nothing" },
		{ "tests: { a: { " VM ", steps: [ { expect: [] } ] } }", "the list is empty" },
		{ "tests: { a: { " VM ", steps: [ { run: [] } ] } }", "nothing to run" },
		{ "tests: { a: { " VM ", steps: [ { run: x, status: 256 } ] } }", "from 0 to 255" },
		{ "tests: { a: { " VM ", steps: [ { copy_in: x } ] } }", "it needs 'to'" },
		{ "tests: { a: { " VM ", steps: [ { copy_in: x, to: y } ] } }", "begin with '/'" },
		{ "tests: { a: { " VM ", steps: [ { copy_out: x } ] } }", "begin with '/'" },
		{ "tests: { a: { " VM ", steps: [ { copy_out: /x, to: ../y } ] } }",
		  "below the result's folder" },
		{ "tests: { a: { " VM ", steps: [ { copy_out: / } ] } }", "it needs 'to'" },
		{ "tests: { a: { " VM ", steps: [ { wait: there } ] } }", "none of ready" },
		{ "tests: { a: { " VM ", steps: [ poweroff, { send: x } ] } }", "has been ended" },
		{ "tests: { a: { " VM ", steps: [ { poweroff: now } ] } }", "it has no value" },
		{ "tests: { a: { vm: missing.yaml } }", "t.yaml:1:19: vm: open 'missing.yaml'" },
		{ "tests: { a: { vm: { vm: { memry: 1G } } } }",
		  "tests.a.vm.vm.memry: unknown key; did you mean 'memory'" },
		{ "tests: { a: { " VM ", set: { vm.memry: 1G } } }", "did you mean 'vm.memory'" },
		{ "tests: { a: { " VM ", set: { memory: 1G } } }", "did you mean 'vm.memory'" },
		{ "tests: { a: { " VM ", set: { disks.path: x } } }", "give a name" },
		{ "tests: { a: { " VM ", set: { vm.cpus: many } } }", "set.vm.cpus: 'many'" },
		{ "tests: { a: { " VM ", set: { vm.x.cpus: 1 } } }", "unknown setting" },
		{ "tests: { a: { " VM ", set: { disks.root.name: 1 } } }", "unknown setting" },
		{ "tests: { a: { " VM ", matrix: { vm.cpus: [] } } }", "the list is empty" },
		{ "tests: { a: { " VM ", matrix: { vm.cpus: [1, 2, x] } } }",
		  "matrix.vm.cpus: 'x'" },
		{ "tests: { a: { " VM ", matrix: { vm.cpu: [1] } } }", "did you mean 'vm.cpus'" },
		{ "tests: { a: { " VM ", matrix: { vm.cpus: [1, 2] }, exclude: { vm.cpus: 3 } } }",
		  "no such value of vm.cpus" },
		{ "tests: { a: { " VM ", matrix: { vm.cpus: [1, 2] }, exclude: { vm.cpu: 2 } } }",
		  "unknown axis; did you mean 'vm.cpus'" },
		{ "tests: { a: { " VM ", matrix: { vm.cpus: [1] }, exclude: { vm.cpus: 1 } } }",
		  "every combination" },
		{ "tests: { a: { " VM ", steps: [ { send: x } ], set: { console.to: null, "
		  "serial.to: null } } }", "needs the console" },
		{ "tests: { a: { " VM ", root: hots, steps: [ { run: x } ] } }",
		  "did you mean 'host'" },
		{ "tests: { a: { " VM ", root: none } }", "give it 'steps'" },
		{ "tests: { a: { " VM ", copy: x, steps: [ wait: end ] } }",
		  "for a test with 'root'" },
		{ "tests: { a: { " VM ", modules: x, steps: [ wait: end ] } }",
		  "for a test with 'root'" },
		{ "tests: { a: { " VM ", root: none, copy: x=, steps: [ { run: x } ] } }",
		  "FILE or FILE=PATH" },
		{ "tests: { a: { vm: { boot: { kernel: kernel, initrd: i } }, root: host, "
		  "steps: [ { run: x } ] } }", "leave one of them away" },
		{ "include: t.yaml\ntests: { a: { " VM " } }", "a loop" },
		{ "include: none.yaml\ntests: { a: { " VM " } }", "include: open 'none.yaml'" },
		{ "defaults: { timeoutt: 1s }\ntests: { a: { " VM " } }",
		  "defaults.timeoutt: unknown key" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		read_text(cases[i].text);
		cr_expect_eq(rig_mistakes.n, 1, "%s: %u mistakes: %s / %s", cases[i].text,
			     rig_mistakes.n, rig_mistakes.line[0], rig_mistakes.line[1]);
		cr_expect_not_null(strstr(rig_mistakes.line[0], cases[i].said), "%s: %s, not %s",
				   cases[i].text, rig_mistakes.line[0], cases[i].said);
		cr_expect_not_null(strstr(rig_mistakes.line[0], "t.yaml"), "%s",
				   rig_mistakes.line[0]);
	}
}

Test(test_plan, all_mistakes_of_a_file_are_told_at_once)
{
	read_text("tests:\n"
		  "  a:\n"
		  "    vm: { boot: { kernel: kernel } }\n"
		  "    timeout: never\n"
		  "    matrix: { vm.cpus: [1, x, y] }\n"
		  "    steps:\n"
		  "      - expect: '('\n"
		  "      - typo: x\n"
		  "  b:\n"
		  "    vm: { vm: { cpus: none, memory: none } }\n");
	cr_expect_eq(rig_mistakes.n, 7);
	cr_expect_eq(rig_mistakes.status, STATUS_FAILED);
	for (unsigned i = 0; i < 7 && i < rig_mistakes.n; i++)
		cr_expect_not_null(strstr(rig_mistakes.line[i], "t.yaml:"), "%s",
				   rig_mistakes.line[i]);
}

Test(test_plan, a_guest_that_vireo_makes_is_described)
{
	const struct test_spec *spec;

	read_good("defaults: { root: none, copy: [ x, y=/bin/y ] }\n"
		  "tests:\n"
		  "  alone: { " VM ", steps: [ { run: [x] } ] }\n"
		  "  of-the-host: { steps: [ { run: x } ], root: host, modules: m }\n"
		  "  other: { " VM ", root: ./rootfs, expect: panic }\n");
	cr_assert_eq(plan.n, 3);
	spec = plan.item[0]->spec;
	cr_expect(spec->is_made);
	cr_expect(test_spec_uses_agent(spec));
	cr_expect_null(spec->root);
	cr_assert_eq(spec->copy.n, 2);
	cr_expect_str_eq(spec->copy.item[0], "x=x");
	cr_expect_str_eq(spec->copy.item[1], "y=/bin/y");
	/* The kernel is that of the host; if it has none that is found when the test is run. */
	spec = plan.item[1]->spec;
	cr_expect_str_eq(spec->root, "/");
	cr_expect_str_eq(spec->modules, "m");
	cr_expect_str_eq(plan.item[2]->spec->root, "./rootfs");
}

Test(test_plan, the_number_of_tests_is_bounded)
{
	char text[8192];
	size_t len = (size_t)snprintf(text, sizeof(text), "tests: { a: { " VM ", matrix: {\n");

	for (const char *const *axis = (const char *const[]){ "vm.cpus", "vm.poll", "vm.io_threads",
							      NULL }; *axis; axis++) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s: [", *axis);
		for (unsigned i = 1; i <= 40; i++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%u, ", i);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "],\n");
	}
	snprintf(text + len, sizeof(text) - len, "} } }");
	read_text(text);
	cr_assert_eq(rig_mistakes.n, 1);
	cr_expect_not_null(strstr(rig_mistakes.line[0], "more than 10000 tests"));
}

Test(test_plan, what_is_missing_is_told)
{
	char why[TEST_MISSING_SIZE];

	cr_assert_eq(unsetenv("NOT_SET"), 0);
	cr_expect_not(test_need_is_missing("file:kernel", why));
	cr_expect(test_need_is_missing("file:none", why));
	cr_expect_not_null(strstr(why, "none: No such file"));
	cr_expect(test_need_is_missing("env:NOT_SET", why));
	cr_expect_not(test_need_is_missing("env:PATH", why));
	cr_expect_not(test_need_is_missing("command:sh", why));
	cr_expect(test_need_is_missing("command:no-such-command", why));
}
