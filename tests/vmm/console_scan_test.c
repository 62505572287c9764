#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/test/console_scan.h"

static struct console_text text;
static struct console_scan scan;

static void teardown(void)
{
	console_text_fini(&text);
}

TestSuite(console_scan, .fini = teardown, .timeout = 60);

static unsigned kinds_of(const char *console)
{
	console_text_fini(&text);
	scan = (struct console_scan){ 0 };
	cr_assert_eq(console_text_add(&text, console, strlen(console)), 0);
	console_scan_look(&scan, &text, true);
	return scan.found;
}

Test(console_scan, each_kind_is_known)
{
	static const struct {
		const char *line;
		unsigned kinds;
	} lines[] = {
		{ "[    1.23] Kernel panic - not syncing: VFS: Unable to mount root",
		  TROUBLE_PANIC },
		{ "Kernel panic - not syncing: Attempted to kill init!", TROUBLE_PANIC },
		{ "[   12.000001][    T1] BUG: unable to handle page fault for address: 0",
		  TROUBLE_OOPS },
		{ "[    2.0] BUG: kernel NULL pointer dereference, address: 0000", TROUBLE_OOPS },
		{ "[    2.0] Oops: 0002 [#1] PREEMPT SMP NOPTI", TROUBLE_OOPS },
		{ "[    2.0] Oops: general protection fault, 0000 [#1]", TROUBLE_OOPS },
		{ "[    2.0] general protection fault, probably for non-canonical address",
		  TROUBLE_OOPS },
		{ "[    2.0] kernel BUG at mm/slub.c:4000!", TROUBLE_OOPS },
		{ "[    2.0] BUG: KASAN: use-after-free in foo", TROUBLE_BUG },
		{ "[    2.0] BUG: scheduling while atomic: swapper/0/1/0x0002", TROUBLE_BUG },
		{ "[    2.0] WARNING: CPU: 0 PID: 1 at kernel/foo.c:1 foo+0x1/0x2", TROUBLE_WARN },
		{ "[    2.0] WARNING: possible circular locking dependency detected",
		  TROUBLE_WARN },
		{ "[   28.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!", TROUBLE_LOCKUP },
		{ "[  242.0] INFO: task init:1 blocked for more than 120 seconds.",
		  TROUBLE_LOCKUP },
		{ "[   60.0] rcu: INFO: rcu_preempt self-detected stall on CPU", TROUBLE_LOCKUP },
		{ "login as[    3.1] BUG: unable to handle page fault", TROUBLE_OOPS },
		/* Quotations, and what people write. */
		{ "the test prints 'Kernel panic - not syncing'", 0 },
		{ "fixed a BUG: it was wrong", 0 },
		{ "Some WARNING: disk is full", 0 },
		{ "[    2.0] systemd[1]: Oops happened", 0 },
		{ "[    2.0] INFO: task list is empty", 0 },
		{ "[", 0 }, { "[ 1.0] ", 0 }, { "[ 1.0]", 0 }, { "", 0 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		cr_expect_eq(kinds_of(lines[i].line), lines[i].kinds, "%s: %u", lines[i].line,
			     scan.found);
		/* And in the middle of others, however it is cut. */
		console_text_fini(&text);
		scan = (struct console_scan){ 0 };
		cr_assert_eq(console_text_add(&text, "before\r\n", 8), 0);
		for (const char *p = lines[i].line; *p; p++) {
			cr_assert_eq(console_text_add(&text, p, 1), 0);
			console_scan_look(&scan, &text, false);
		}
		cr_assert_eq(console_text_add(&text, "\r\nafter\r\n", 9), 0);
		console_scan_look(&scan, &text, false);
		cr_expect_eq(scan.found, lines[i].kinds, "in pieces: %s", lines[i].line);
	}
}

Test(console_scan, the_first_of_each_kind_is_told)
{
	const struct trouble *t;

	kinds_of("x\n[    1.0] WARNING: one\n[    2.0] WARNING: two\n"
		 "[    3.0] Kernel panic - not syncing: it\n");
	cr_assert_eq(scan.n_troubles, 2);
	t = console_scan_first(&scan, TROUBLE_WARN | TROUBLE_PANIC);
	cr_assert_not_null(t);
	cr_expect_str_eq(t->text, "WARNING: one");
	cr_expect_eq(t->place.start, 12);
	cr_expect_eq(t->place.end, 24);
	t = console_scan_first(&scan, TROUBLE_PANIC);
	cr_assert_not_null(t);
	cr_expect_str_eq(t->text, "Kernel panic - not syncing: it");
	cr_expect_null(console_scan_first(&scan, TROUBLE_OOPS));
}

Test(console_scan, a_line_without_end_is_looked_at_all_the_same)
{
	static char garbage[10000];

	memset(garbage, '[', sizeof(garbage) - 1);
	for (unsigned i = 0; i < 300; i++) {
		cr_assert_eq(console_text_add(&text, garbage, sizeof(garbage) - 1), 0);
		console_scan_look(&scan, &text, false);
	}
	cr_expect_eq(scan.found, 0);
	cr_assert_eq(console_text_add(&text, "[ 1.0] Kernel panic - not syncing: x", 36), 0);
	console_scan_look(&scan, &text, false);
	for (unsigned i = 0; i < 300; i++) {
		cr_assert_eq(console_text_add(&text, garbage, sizeof(garbage) - 1), 0);
		console_scan_look(&scan, &text, false);
	}
	cr_expect_eq(scan.found, TROUBLE_PANIC);
	cr_expect_lt(strlen(scan.trouble[0].text), TROUBLE_TEXT_SIZE);
}

Test(console_scan, names_are_words_of_fail_on)
{
	for (unsigned i = 0; i < N_TROUBLES; i++) {
		enum kernel_trouble kind = (enum kernel_trouble)(1 << i);
		cr_expect_eq(console_trouble_parse(console_trouble_name(kind)), kind);
	}
	cr_expect_eq(console_trouble_parse("panics"), 0);
}
