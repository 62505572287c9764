/* TAP and JUnit of a set of results. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/vmm/test_results_rig.h"
#include "vmm/test/report.h"

typedef int writer(FILE *out, const struct test_results *results, int dir);

static char *report_of(writer *write, const struct test_results *set, int dir)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert_eq(write(out, set, dir), 0);
	fclose(out);
	return text;
}

static char *rig_report(writer *write, int dir)
{
	struct test_results set;
	char *text;

	results_rig_make(&set);
	text = report_of(write, &set, dir);
	test_results_fini(&set);
	return text;
}

static void expect_lines(const char *report, const char *const *line, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		cr_expect(strstr(report, line[i]), "no '%s' in\n%s", line[i], report);
}

Test(test_tap, has_a_point_for_each_test_and_step)
{
	static const char *const lines[] = {
		"TAP version 14\n1..8\n# shard 2/2 is <missing>\n",
		"# Subtest: boots [vm.transport=pci vm.cpus=4]\n    1..2\n"
		"    ok 1 - expect: \"login:\"\n    ok 2 - poweroff\n"
		"ok 1 - boots [vm.transport=pci vm.cpus=4]\n  ---\n  verdict: \"passed\"\n",
		"    not ok 1 - expect: \"login:\"\n      ---\n      verdict: \"failed\"\n"
		"      message: \"the guest's kernel panicked\"\n      ...\n"
		"    not ok 2 - poweroff\n",
		("not ok 2 - boots [vm.transport=mmio vm.cpus=4]\n  ---\n  verdict: \"failed\"\n"
		 "  message: \"the guest's kernel panicked\\nKernel panic <now>\"\n"),
		"not ok 3 - hangs\n", "\nnot ok 4 - breaks\n", "\nok 5 - skips # SKIP it needs /dev",
		"\nnot ok 6 - waits\n", "\nok 7 - sometimes\n",
		"\nnot ok 8 - sometimes (attempt 2)\n", "  flaky: true\n",
		"  exit_status: 120\n  duration_ms: 1234.567\n",
	};
	char *tap = rig_report(report_write_tap, -1);

	expect_lines(tap, lines, ARRAY_SIZE(lines));
	free(tap);
}

Test(test_tap, incomplete_runs_say_so)
{
	struct test_results set = { 0 };
	char *tap = report_of(report_write_tap, &set, -1);

	cr_expect_str_eq(tap, "TAP version 14\n1..0\n# not complete\n");
	free(tap);
}

Test(test_junit, counts_and_names_what_readers_look_for)
{
	static const char *const lines[] = {
		"<testsuites name=\"vireo test\" tests=\"8\" failures=\"3\" errors=\"2\" "
		"skipped=\"1\" time=\"9.877\" timestamp=\"2026-11-25T20:20:22\">",
		"<testsuite name=\"boot.yaml\" id=\"0\" tests=\"8\"",
		"hostname=\"builder\">",
		"<testcase name=\"boots [vm.transport=pci vm.cpus=4]\" classname=\"boot.yaml\" "
		"file=\"boot.yaml\" line=\"3\" time=\"1.235\">",
		"<property name=\"vm.transport\" value=\"pci\"/>",
		"<failure message=\"the guest&#39;s kernel panicked\" type=\"failed\">",
		"Kernel panic &lt;now&gt;\nstep expect: &quot;login:&quot;: the guest",
		"to reproduce: vireo run runs/1/vm.json</failure>",
		"type=\"timed_out\">", "<error message=\"vireo: cannot open &#39;x&#39; # &amp;",
		"<skipped message=\"it needs /dev/vhost-net\"/>",
		"<error message=\"not run\" type=\"not_run\">",
		"<property name=\"flaky\" value=\"true\"/>",
	};
	char *xml = rig_report(report_write_junit, -1);

	expect_lines(xml, lines, ARRAY_SIZE(lines));
	free(xml);
}

Test(test_junit, has_the_last_words_of_a_bad_console, .fini = results_rig_remove_dir)
{
	int dir = open(results_rig_dir(), O_RDONLY | O_DIRECTORY);
	char *xml;

	results_rig_write("runs/1/console.log", "not shown: it passed\n");
	results_rig_write("runs/2/console.log", "<\033[31mpanic\033[0m>]]>\001\xff\n");
	xml = rig_report(report_write_junit, dir);
	cr_expect(strstr(xml, "<system-out>&lt;panic&gt;]]&gt;\xe2\x90\x81\xef\xbf\xbd\n"
			 "</system-out>"));
	cr_expect(!strstr(xml, "not shown"));
	free(xml);
	close(dir);
}

/* A link in a run's directory (copied from a guest) is not followed. */
Test(test_junit, follows_no_link, .fini = results_rig_remove_dir)
{
	const char *path = results_rig_dir();
	int dir = open(path, O_RDONLY | O_DIRECTORY);
	char link[128], *xml;

	results_rig_write("secret", "the secret\n");
	results_rig_write("runs/2/x", "");
	snprintf(link, sizeof(link), "%s/runs/2/console.log", path);
	cr_assert_eq(symlink("../../secret", link), 0);
	xml = rig_report(report_write_junit, dir);
	cr_expect(!strstr(xml, "the secret"));
	free(xml);
	close(dir);
}
