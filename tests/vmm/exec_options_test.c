#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/exec/exec_env.h"
#include "vmm/exec/exec_options.h"
#include "vmm/exec/exec_status.h"
#include "vmm/outcome.h"

static struct exec_options options;
static struct mistakes mistakes;

static void teardown(void)
{
	exec_options_fini(&options);
}

TestSuite(exec_options, .fini = teardown);

/* Read words up to the first NULL. */
#define READ(...) read_words((const char *[]){ __VA_ARGS__, NULL })
static void read_words(const char **list)
{
	char **words = (char **)list;
	int n = 0;

	while (words[n])
		n++;
	exec_options_fini(&options);
	mistakes = (struct mistakes){ 0 };
	exec_options_read(&options, n, words, &mistakes);
}

static const char *words(void)
{
	static char text[512];
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < options.words.n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "",
					 options.words.item[i]);
	return text;
}

Test(exec_options, what_is_behind_two_dashes_is_the_command)
{
	READ("-v", "--", "make", "--rw", "--", "x");
	cr_expect_eq(mistakes.n, 0);
	cr_expect_eq(options.verbose, 1);
	cr_assert_not_null(options.command);
	cr_expect_str_eq(options.command[0], "make");
	cr_expect_str_eq(options.command[2], "--");
	cr_expect_eq(options.wish.writable.n, 0);
}

Test(exec_options, options_of_the_machine_are_passed_on_with_their_values)
{
	READ("--kernel", "k", "--memory=2G", "--cpus", "2", "--env", "A=b", "--strict-driver", "--tty",
	     "--set", "vm.timeout=1s", "--disk", "path=x,readonly", "--", "true");
	cr_expect_eq(mistakes.n, 0, "%s", mistakes.line[0]);
	cr_expect_str_eq(words(), "--kernel k --memory=2G --cpus 2 --strict-driver --set "
				  "vm.timeout=1s --disk path=x,readonly");
	cr_expect_eq(options.tty, EXEC_TTY_YES);
	cr_expect_eq(options.env.n, 1);
}

Test(exec_options, a_command_without_dashes_is_told_where_it_goes)
{
	READ("true");
	cr_expect_eq(mistakes.n, 1);
	cr_expect(strstr(mistakes.line[0], "vireo exec ... -- true"), "%s", mistakes.line[0]);
	READ("--");
	cr_expect_eq(mistakes.n, 1);
	READ("-v");
	cr_expect_eq(mistakes.n, 0);
	cr_expect_null(options.command);
}

Test(exec_options, directories_are_judged_here)
{
	char real[PATH_MAX];

	READ("--rw", ".", "--share", ".", "--rw=/proc/../usr", "--", "true");
	cr_expect_eq(mistakes.n, 0, "%s", mistakes.line[0]);
	cr_assert_eq(options.wish.writable.n, 2);
	cr_expect_str_eq(options.wish.writable.item[0], realpath(".", real));
	cr_expect_str_eq(options.wish.writable.item[1], "/usr");
	READ("--rw", "/nonexistent", "--", "true");
	cr_expect_eq(mistakes.n, 1);
	cr_expect_eq(mistakes.status, STATUS_NO_FILE);
	READ("--rw", "/dev/null", "--root", "/dev/null", "--modules", "/dev/null", "--", "true");
	cr_expect_eq(mistakes.n, 3);
	READ("--rw", "/", "--", "true");
	cr_expect_eq(mistakes.n, 1);
	cr_expect(strstr(mistakes.line[0], "everything on this host"));
}

Test(exec_options, a_share_with_a_key_is_the_machines)
{
	READ("--share", "path=/usr,name=x", "--share=path=/usr,name=y", "--", "true");
	cr_expect_eq(mistakes.n, 0, "%s", mistakes.line[0]);
	cr_expect_eq(options.wish.writable.n, 0);
	cr_expect_eq(strncmp(words(), "--share path=/usr,name=x", 24), 0, "%s", words());
	cr_expect(strstr(words(), "--share=path=/usr,name=y"));
}

Test(exec_options, wrong_values_are_told_all_at_once)
{
	READ("--boot-timeout", "soon", "--cwd", "here", "--env", "=x", "--copy", "=", "--tty=yes",
	     "--keep", "--", "true");
	cr_expect_eq(mistakes.n, 6, "%u", mistakes.n);
	READ("-x", "--", "true");
	cr_expect_eq(mistakes.n, 1);
	READ("--boot-timeout", "2m", "--no-tty", "--root=none", "--", "true");
	cr_expect_eq(mistakes.n, 0);
	cr_expect_eq(options.boot_ms, 120000);
	cr_expect_eq(options.tty, EXEC_TTY_NO);
	cr_expect_null(options.wish.root);
}

/* --- The environment ------------------------------------------------------------------------- */

static bool has(const struct text_list *list, const char *variable)
{
	for (unsigned i = 0; i < list->n; i++)
		if (!strcmp(list->item[i], variable))
			return true;
	return false;
}

Test(exec_env, only_what_means_the_same_there_goes_along)
{
	const char *host[] = { "PATH=/x", "LC_ALL=C", "LC=no", "SECRET=1", "HOMER=2", "broken", "TOKEN=3",
			 "USER=me", NULL };
	const char *wanted[] = { "TOKEN", "GONE", "NEW=a=b", "LC_ALL=C.UTF-8" };
	struct text_list list = { 0 };

	cr_assert_eq(exec_env(&list, (char **)host, &(struct text_list){ (char **)wanted, 4 }), 0);
	cr_expect(has(&list, "PATH=/x"));
	cr_expect(has(&list, "LC_ALL=C.UTF-8"));
	cr_expect_not(has(&list, "LC_ALL=C"));
	cr_expect(has(&list, "TOKEN=3"));
	cr_expect(has(&list, "NEW=a=b"));
	cr_expect(has(&list, "USER=root"));
	cr_expect_eq(list.n, 6, "%u", list.n);
	cr_expect_null(list.item[list.n]);
	exec_list_free(&list);
}

Test(exec_env, there_is_always_a_path)
{
	char *host[] = { NULL };
	struct text_list list = { 0 };

	cr_assert_eq(exec_env(&list, host, &(struct text_list){ 0 }), 0);
	cr_expect_eq(strncmp(list.item[0], "PATH=/usr/local/sbin:", 21), 0);
	exec_list_free(&list);
}

/* --- The exit status ------------------------------------------------------------------------- */

Test(exec_status, is_the_commands_but_for_those_that_are_vireos)
{
	for (int i = 0; i < 256; i++) {
		struct agent_end end = { AGENT_EXITED, i, "" };
		bool is_vireos = i >= STATUS_PANIC && i <= STATUS_FAILED;

		cr_expect_eq(exec_status(&end), is_vireos ? STATUS_GUEST_MAX : i, "%d", i);
	}
}

Test(exec_status, tells_of_signals_and_of_commands_that_are_not_there)
{
	cr_expect_eq(exec_status(&(struct agent_end){ AGENT_SIGNALED, 15, "" }), 143);
	cr_expect_eq(exec_status(&(struct agent_end){ AGENT_NOT_STARTED, ENOENT, "" }), 127);
	cr_expect_eq(exec_status(&(struct agent_end){ AGENT_NOT_STARTED, EACCES, "" }), 126);
	cr_expect_eq(exec_status(&(struct agent_end){ AGENT_LOST, 0, "" }), STATUS_RESET);
	/* A guest can say anything; a failure stays one. */
	cr_expect_neq(exec_status(&(struct agent_end){ AGENT_EXITED, 256, "" }), 0);
	cr_expect_neq(exec_status(&(struct agent_end){ AGENT_EXITED, -256, "" }), 0);
	cr_expect_eq(exec_status(&(struct agent_end){ AGENT_SIGNALED, 128, "" }), STATUS_GUEST_MAX);
}
