/* What a configuration looks like as a VM file. */
#include "vmm/file/config_yaml.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/command_line.h"
#include "vmm/option.h"
#include "vmm/option_text.h"

static struct vm_config config;
static char *text;

static void start(void)
{
	cr_assert_eq(config_init(&config), 0);
}

static void done(void)
{
	config_fini(&config);
	free(text);
}

TestSuite(config_yaml, .init = start, .fini = done);

#define READ(...) read_options((const char *[]){ __VA_ARGS__, NULL })
static void read_options(const char *const *argv)
{
	struct run_switches switches = { .command = COMMAND_LINE_RUN };
	struct mistakes mistakes = { 0 };
	int n = 0;

	while (argv[n])
		n++;
	command_line_read(n, (char *const *)argv, &config, &switches, &mistakes);
	config_validate(&config, &mistakes);
	mistakes_print(&mistakes, stderr);
	cr_assert_eq(mistakes.n, 0);
}

static int write_it(bool all)
{
	size_t len;
	FILE *out;
	int r;

	free(text);
	out = open_memstream(&text, &len);
	cr_assert_not_null(out);
	r = config_write_yaml(out, &config, all);
	fclose(out);
	return r;
}

Test(config_yaml, defaults_are_an_empty_file)
{
	cr_assert_eq(write_it(false), 0);
	cr_expect_str_eq(text, "");
}

Test(config_yaml, what_differs_is_written_in_the_order_of_the_table)
{
	READ("--net", "tap,name=lan,mac=02:00:00:00:00:01,forward=tcp:80:80,queues=2,features=-mq", "--disk",
	     "/b.img,readonly,name=b", "--disk", "/a.img,name=a", "--cpus", "2", "--timeout", "90s",
	     "--features", "+packed", "--features=-event_idx", "--kernel", "/boot/vmlinuz",
	     "--set", "nets.lan.backend=user", "--set", "nets.lan.queues=1", "--console", "null");
	cr_assert_eq(write_it(false), 0);
	cr_expect_str_eq(text, "boot:\n"
			       "  kernel: /boot/vmlinuz\n"
			       "vm:\n"
			       "  cpus: 2\n"
			       "  features: [+ring_packed, -event_idx]\n"
			       "  timeout: 90s\n"
			       "disks:\n"
			       "  b:\n"
			       "    path: /b.img\n"
			       "    readonly: yes\n"
			       "  a:\n"
			       "    path: /a.img\n"
			       "nets:\n"
			       "  lan:\n"
			       "    mac: \"02:00:00:00:00:01\"\n"
			       "    forward: [\"tcp:80:80\"]\n"
			       "    features: [-mq]\n"
			       "console:\n"
			       "  to: \"null\"\n");
}

/* A device that is all defaults must not get lost. */
Test(config_yaml, what_is_only_there_is_mentioned)
{
	READ("--balloon", "0", "--vsock", "auto");
	struct net_settings *net = config_add(&config, option_find_section("nets", 4));
	net->name = strdup("net0");
	cr_assert_eq(write_it(false), 0);
	cr_expect_str_eq(text, "nets:\n  net0:\n    backend: user\n"
			       "balloon:\n  size: 0\n"
			       "vsock:\n  cid: auto\n");
}

Test(config_yaml, names_of_files_do_not_depend_on_where_one_is)
{
	char wanted[1024], dir[256];

	cr_assert_eq(chdir("/tmp"), 0);
	cr_assert_not_null(getcwd(dir, sizeof(dir)));
	READ("--kernel", "vmlinuz", "--initrd", "/i", "--console", "file=log", "--disk",
	     "path=file=x");
	cr_assert_eq(write_it(false), 0);
	snprintf(wanted, sizeof(wanted),
		 "boot:\n  kernel: %s/vmlinuz\n  initrd: /i\ndisks:\n  disk0:\n    path: %s/file=x\n"
		 "console:\n  to: file=%s/log\n", dir, dir, dir);
	cr_expect_str_eq(text, wanted);
	cr_assert_eq(chdir("/"), 0);
	cr_assert_eq(write_it(false), 0);
	cr_expect_not_null(strstr(text, "kernel: /vmlinuz\n"));
}

Test(config_yaml, pairs_are_written_with_their_names)
{
	READ("--credential", "a.b=c", "--credential", "x y=1: 2", "--credential", "z=");
	cr_assert_eq(write_it(false), 0);
	cr_expect_str_eq(text, "credentials:\n  a.b: c\n  x y: \"1: 2\"\n  z: \"\"\n");
}

Test(config_yaml, bytes_that_no_file_can_hold_are_refused)
{
	READ("--kernel", "/boot/\xff");
	cr_assert_eq(write_it(false), -EILSEQ);
	cr_expect_str_eq(error_text(), "write boot.kernel to a VM file: its text is not UTF-8");
	error_clear();
	config_fini(&config);
	start();
	READ("--disk", "/x,name=\xfe");
	cr_assert_eq(write_it(false), -EILSEQ);
	error_clear();
	config_fini(&config);
	start();
	READ("--credential", "a=\xfe");
	cr_assert_eq(write_it(false), -EILSEQ);
	error_clear();
}

/* A line of a setting, be it in an example or without a value. */
static bool has_line(const char *key)
{
	char plain[80];

	snprintf(plain, sizeof(plain), " %s: ", key);
	if (strstr(text, plain))
		return true;
	snprintf(plain, sizeof(plain), "#%s: ", key);
	return strstr(text, plain) != NULL;
}

Test(config_yaml, all_explains_every_setting)
{
	cr_assert_eq(write_it(true), 0);
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		const struct option_section *section = option_section_of(o);
		if (option_is_name(o))
			continue;
		cr_expect_not_null(strstr(text, o->help), "%s.%s", o->section, o->key);
		cr_expect(section->pairs || has_line(o->key), "%s.%s", o->section, o->key);
	}
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		cr_expect_leq(strlen(line), 100, "%s", line);
}

Test(config_yaml, all_has_the_values_of_this_vm)
{
	READ("--memory", "2G", "--disk", "/x,queues=4", "--disk", "/y", "--balloon", "16M");
	cr_assert_eq(write_it(true), 0);
	cr_expect_not_null(strstr(text, "\n  memory: 2G\n"));
	cr_expect_not_null(strstr(text, "\ndisks:\n  disk0:\n"));
	cr_expect_not_null(strstr(text, "\n    queues: 4\n"));
	cr_expect_not_null(strstr(text, "\n  disk1:\n    path: /y\n    readonly: no\n"));
	cr_expect_not_null(strstr(text, "\nballoon:\n"));
	cr_expect_not_null(strstr(text, "\n#vsock:\n"));
	cr_expect_not_null(strstr(text, "\n#nets:\n#  NAME:\n"));
}
