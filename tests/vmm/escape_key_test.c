#include <criterion/criterion.h>
#include <string.h>

#include "vmm/escape_key.h"

static char commands[16];

static void note(void *arg, char letter)
{
	(void)arg;
	commands[strlen(commands)] = letter;
}

/* What the guest gets of 'typed', and which commands were given. */
static void expect(struct escape_key *key, const char *typed, const char *guest, const char *given)
{
	uint8_t buf[32];
	size_t n = strlen(typed);

	memset(commands, 0, sizeof(commands));
	memcpy(buf, typed, n);
	n = escape_key_filter(key, buf, n);
	cr_expect_eq(n, strlen(guest));
	cr_expect_eq(memcmp(buf, guest, n), 0);
	cr_expect_str_eq(commands, given);
}

Test(escape_key, commands_do_not_reach_the_guest)
{
	struct escape_key key = { .command = note };

	expect(&key, "ab\001xcd", "abcd", "x");
	expect(&key, "\001h\001x", "", "hx");
	expect(&key, "plain\003\004", "plain\003\004", "");
}

Test(escape_key, typed_twice_it_is_for_the_guest)
{
	struct escape_key key = { .command = note };

	expect(&key, "a\001\001x", "a\001x", "");
}

Test(escape_key, it_may_come_in_two_reads)
{
	struct escape_key key = { .command = note };

	expect(&key, "a\001", "a", "");
	expect(&key, "xb", "b", "x");
}

Test(escape_key, a_control_key_counts_as_its_letter)
{
	struct escape_key key = { .command = note };

	expect(&key, "\001\030", "", "x");
}
