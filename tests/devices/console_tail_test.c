#include "devices/console_tail.h"

#include <criterion/criterion.h>
#include <string.h>

#include "vmm/base/event_log.h"

static struct console_tail tail;
static uint64_t next, lost;

static void say(const char *text)
{
	console_tail_add(&tail, (const uint8_t *)text, strlen(text));
}

/* The texts of the events since the last call, or their kinds. */
static const char *heard(void)
{
	static char text[512];
	struct event e;

	text[0] = '\0';
	while (event_log_read(&next, &e, 1, &lost) == 1) {
		strcat(text, *e.text ? e.text : event_kind_name(e.kind));
		strcat(text, " ");
	}
	return text;
}

Test(console_tail, the_moments_of_a_boot_are_noted_once)
{
	say("[    0.1] Linux version\r\n");
	cr_expect_str_eq(heard(), "");
	say("[    0.5] Run /sb");
	say("in/init as init");
	cr_expect_str_eq(heard(), "");
	say(" process\r\nhello\nvireo: ready");
	cr_expect_str_eq(heard(), "init ");
	say("\n[    0.5] Run /init as init process\nvireo: ready\n");
	cr_expect_str_eq(heard(), "ready ");
	console_tail_reset(&tail);
	say("x\nvireo: ready now\n");
	cr_expect_str_eq(heard(), "ready ");
}

Test(console_tail, other_lines_are_not_taken_for_them)
{
	say("echo vireo: ready\nRun / as\ninit process\n as init process Run /\n");
	for (unsigned i = 0; i < 1000; i++)
		say("a line without an end");
	say("Run /init as init process\n");
	cr_expect_str_eq(heard(), "");
	say("Run /init as init process\n");
	cr_expect_str_eq(heard(), "init ");
}

Test(console_tail, keeps_the_last_bytes)
{
	static char all[3 * CONSOLE_TAIL_KEPT], got[CONSOLE_TAIL_KEPT + 1];

	cr_expect_eq(console_tail_read(&tail, got, sizeof(got)), 0);
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)('a' + i * 7 % 26);
	console_tail_add(&tail, (const uint8_t *)all, 5);
	cr_expect_eq(console_tail_read(&tail, got, sizeof(got)), 5);
	cr_expect_eq(memcmp(got, all, 5), 0);
	for (size_t i = 5; i < CONSOLE_TAIL_KEPT + 100; i += 5)
		console_tail_add(&tail, (const uint8_t *)all + i, 5);
	cr_expect_eq(console_tail_read(&tail, got, 10), 10);
	cr_expect_eq(memcmp(got, all + CONSOLE_TAIL_KEPT + 90 + 3, 10), 0);
	console_tail_add(&tail, (const uint8_t *)all, sizeof(all));
	cr_expect_eq(console_tail_read(&tail, got, sizeof(got)), CONSOLE_TAIL_KEPT);
	cr_expect_eq(memcmp(got, all + 2 * CONSOLE_TAIL_KEPT, CONSOLE_TAIL_KEPT), 0);
}
