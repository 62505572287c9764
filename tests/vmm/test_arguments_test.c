#include "vmm/test/test_arguments.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/completion.h"

static struct test_arguments args;
static struct mistakes mistakes;

static void done(void)
{
	test_arguments_fini(&args);
}

TestSuite(test_arguments, .fini = done);

/* Words of one line, cut at spaces. */
static void read_line(const char *line)
{
	static char buf[512];
	char *word[32], *rest = buf;
	int n = 0;

	test_arguments_fini(&args);
	mistakes = (struct mistakes){ 0 };
	snprintf(buf, sizeof(buf), "%s", line);
	while (rest && *rest && n < 32)
		word[n++] = strsep(&rest, " ");
	cr_assert_eq(test_arguments_read(&args, n, word, &mistakes), 0);
}

static void is_right(const char *line)
{
	read_line(line);
	cr_assert_eq(mistakes.n, 0, "%s: %s", line, mistakes.line[0]);
}

static void is_wrong(const char *line, const char *why)
{
	read_line(line);
	cr_assert_eq(mistakes.n, 1, "%s: %u", line, mistakes.n);
	cr_assert(strstr(mistakes.line[0], why), "%s: %s", line, mistakes.line[0]);
	cr_assert_eq(mistakes.status, 125);
}

Test(test_arguments, each_says_what_it_means)
{
	is_right("a.yaml -j4 --repeat=10 --filter boot* -f tag:slow --set vm.cpus=2 tests "
		 "--timeout 90s -o out --tap - --junit j.xml --shard 2/4 --progress live -vv");
	cr_assert_eq(args.path.n, 2);
	cr_assert_str_eq(args.path.word[1], "tests");
	cr_assert_eq(args.jobs, 4);
	cr_assert_eq(args.repeat, 10);
	cr_assert_eq(args.filter.n, 2);
	cr_assert_str_eq(args.filter.word[1], "tag:slow");
	cr_assert_str_eq(args.set.word[0], "vm.cpus=2");
	cr_assert_eq(args.timeout_ms, 90000);
	cr_assert_str_eq(args.results, "out");
	cr_assert_str_eq(args.tap, "-");
	cr_assert_str_eq(args.shard, "2/4");
	cr_assert_eq(args.progress, PROGRESS_LIVE);
	cr_assert_eq(args.verbose, 2);
	cr_assert(!args.cache && !args.list && !args.fail_fast);
	is_right("--cache a --no-cache");
	cr_assert(!args.cache);
	is_right("-x --rerun-failed --keep --cache a -- -odd.yaml");
	cr_assert(args.fail_fast && args.rerun_failed && args.keep && args.cache);
	cr_assert_str_eq(args.path.word[1], "-odd.yaml");
	cr_assert_str_eq(args.shard, "auto");
	is_right("--merge one two -o out");
	cr_assert(args.merge);
	is_right("--help");
}

Test(test_arguments, each_mistake_is_said)
{
	is_wrong("", "no test file named");
	is_wrong("--merge", "no results named");
	is_wrong("a --jobz 4 --jobs 2", "did you mean '--jobs'");
	is_wrong("a --colour=blue", "unknown option '--colour'");
	is_wrong("a -Z", "unknown option '-Z'");
	is_wrong("a -j0", "number from 1 to 256");
	is_wrong("a -j", "--jobs: needs a value (N)");
	is_wrong("a --jobs --list", "--jobs: needs a value");
	is_wrong("a --repeat 10001", "--repeat: '10001'");
	is_wrong("a --repeat -1", "--repeat: '-1'");
	is_wrong("a --timeout 0", "--timeout: '0'");
	is_wrong("a --timeout soon", "--timeout: 'soon'");
	is_wrong("a --list=yes", "--list: takes no value");
	is_wrong("a --progress loud", "auto|plain|live|quiet");
	is_wrong("a --shard 5/4", "--shard: shard 5 of 4");
	is_wrong("a --shard auto/x", "--shard: ");
	is_wrong("a --results=", "--results: an empty name");
	is_wrong("a --tap - --json -", "one report only");
	is_wrong("a --list --print", "one of them");
	is_wrong("--merge a --rerun-failed", "not with --merge");
	read_line("--jobs=x --wrong --repeat=y");
	cr_assert_eq(mistakes.n, 4, "all at once: %u", mistakes.n);
}

Test(test_arguments, help_and_completion_have_them_all)
{
	static const char *const names[] = {
		"--list", "--print", "--merge", "--filter", "--set", "--timeout", "--jobs",
		"--repeat", "--rerun-failed", "--fail-fast", "--shard", "--cache", "--no-cache",
		"--durations", "--results", "--tap", "--junit", "--json", "--html", "--keep",
		"--progress", "--verbose",
	};
	char *help = NULL, *offered = NULL;
	size_t len;
	FILE *out = open_memstream(&help, &len);

	test_arguments_help(out);
	fclose(out);
	out = open_memstream(&offered, &len);
	char *words[] = { (char[]){ "test" }, (char[]){ "--" } };
	cr_assert_eq(completion_write(out, 2, words), 0);
	fclose(out);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		cr_expect(strstr(help, names[i]), "help: %s", names[i]);
		cr_expect(strstr(offered, names[i]), "completion: %s", names[i]);
	}
	for (const char *line = help; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		cr_expect_leq(strcspn(line, "\n"), 100, "%.40s", line);
	}
	free(help);
	free(offered);
}

Test(test_arguments, values_are_completed)
{
	char *offered = NULL;
	size_t len;
	FILE *out = open_memstream(&offered, &len);
	char *words[] = { (char[]){ "test" }, (char[]){ "--progress" }, (char[]){ "q" } };
	char *files[] = { (char[]){ "test" }, (char[]){ "--junit=x" } };

	cr_assert_eq(completion_write(out, 3, words), 0);
	cr_assert_eq(completion_write(out, 2, files), 0);
	fclose(out);
	cr_assert(strstr(offered, "quiet\t"));
	cr_assert(!strstr(offered, "live\t"));
	cr_assert(strstr(offered, "files\t--junit="));
	free(offered);
}
