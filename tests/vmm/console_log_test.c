#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/loop_pump.h"
#include "vmm/control/console_log.h"

static struct event_loop *loop;
static struct console_log console;
static char top[64];
static int dir;

static void set_up(void)
{
	snprintf(top, sizeof(top), "/tmp/console_log_test.XXXXXX");
	cr_assert_not_null(mkdtemp(top));
	dir = open(top, O_RDONLY | O_DIRECTORY);
	console.file = (struct log_file)LOG_FILE_INIT;
	cr_assert_eq(event_loop_create(&loop, "test"), 0);
	cr_assert_eq(console_log_init(&console, loop, dir), 0);
}

static void tear_down(void)
{
	char command[128];

	console_log_fini(&console);
	event_loop_destroy(loop);
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	cr_assert_eq(system(command), 0);
}

TestSuite(console_log, .init = set_up, .fini = tear_down, .timeout = 20);

static void say(const char *text)
{
	console_log_add(&console, (const uint8_t *)text, strlen(text));
}

static char content[LOG_FILE_LIMIT + 1];

static const char *file(const char *name)
{
	int fd = openat(dir, name, O_RDONLY);
	ssize_t n = read(fd, content, sizeof(content) - 1);

	content[n > 0 ? n : 0] = '\0';
	close(fd);
	return content;
}

Test(console_log, goes_to_its_file_from_the_loop)
{
	say("one\n");
	say("two\n");
	cr_assert_str_eq(file("console.log"), "");
	loop_pump_for(loop, 20);
	cr_assert_str_eq(file("console.log"), "one\ntwo\n");
	say("last words");
	console_log_fini(&console);
	cr_assert_str_eq(file("console.log"), "one\ntwo\nlast words");
}

Test(console_log, tells_where_the_last_lines_begin)
{
	cr_assert_eq(console_log_tail(&console, 3), 0);
	say("one\ntwo\nthree");
	cr_assert_eq(console_log_tail(&console, 0), 13);
	cr_assert_eq(console_log_tail(&console, 1), 8);
	cr_assert_eq(console_log_tail(&console, 2), 4);
	cr_assert_eq(console_log_tail(&console, 9), 0);
	say("\n");
	cr_assert_eq(console_log_tail(&console, 1), 8);
	cr_assert_eq(console_log_tail(&console, 0), 14);
}

Test(console_log, says_what_it_lost)
{
	uint64_t next = 0, lost = 0;
	char buf[16];

	for (unsigned i = 0; i < CONSOLE_LOG_KEPT / 8 + 2; i++)
		say("1234567\n");
	cr_assert_eq(console_log_read(&console, &next, buf, 8, &lost), 8);
	cr_assert_eq(lost, 16);
	cr_assert_eq(next, 24);
	cr_assert_eq(memcmp(buf, "1234567\n", 8), 0);
	loop_pump_for(loop, 50);
	cr_assert_eq(strncmp(file("console.log"), "\n[16 bytes are missing here]\n1234567\n", 37), 0);
}

Test(console_log, one_piece_larger_than_all_of_it_leaves_its_end)
{
	static char text[CONSOLE_LOG_KEPT + 101];
	uint64_t next = 0, lost = 0;
	char buf[4];

	memset(text, 'x', sizeof(text) - 1);
	memcpy(text + 100, "end", 3);
	say(text);
	cr_assert_eq(console_log_read(&console, &next, buf, 3, &lost), 3);
	cr_assert_eq(lost, 100);
	cr_assert_eq(memcmp(buf, "end", 3), 0);
}

Test(console_log, files_do_not_grow_without_limit)
{
	static char text[4096];
	struct stat st;

	memset(text, '.', sizeof(text) - 1);
	for (unsigned i = 0; i < 700; i++) {
		say(text);
		loop_pump_for(loop, 0);
	}
	say("the end");
	loop_pump_for(loop, 20);
	cr_assert_eq(fstatat(dir, "console.log", &st, 0), 0);
	cr_assert_leq(st.st_size, LOG_FILE_LIMIT);
	cr_assert_gt(st.st_size, 0);
	cr_assert_eq(fstatat(dir, "console.log.1", &st, 0), 0);
	cr_assert_leq(st.st_size, LOG_FILE_LIMIT);
	cr_assert_gt(st.st_size, LOG_FILE_LIMIT - 8192);
	file("console.log");
	cr_assert_str_eq(content + strlen(content) - 7, "the end");
}
