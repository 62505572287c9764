/* What a guest writes to a port that leads to its exit status. */
#include <criterion/criterion.h>
#include <string.h>

#include "devices/status_port.h"
#include "tests/support/fake_machine.h"

static struct fake_machine *fake;
static struct status_port port;

static void set_up(void)
{
	fake = fake_machine_create();
	port = (struct status_port){ .machine = &fake->m };
}

static void tear_down(void)
{
	fake_machine_destroy(fake);
}

TestSuite(status_port, .init = set_up, .fini = tear_down);

static void say(const char *text)
{
	status_port_write(&port, (const uint8_t *)text, strlen(text));
}

static void expect_status(uint32_t status)
{
	cr_expect_eq(atomic_load(&fake->m.outcome), MACHINE_EXIT);
	cr_expect_eq(fake->m.status, status, "%u, not %u", fake->m.status, status);
}

Test(status_port, a_number_and_a_newline_end_the_run)
{
	say("3");
	cr_expect_eq(atomic_load(&fake->m.outcome), MACHINE_RUNNING);
	say("7\n");
	expect_status(37);
}

Test(status_port, the_first_counts)
{
	say("0\n5\n");
	expect_status(0);
}

Test(status_port, blanks_around_it_are_fine)
{
	say(" \t12 \r\n");
	expect_status(12);
}

Test(status_port, large_ones_are_the_largest)
{
	say("99999999999999999999999999999999999999999999999999\n");
	expect_status(UINT32_MAX);
}

Test(status_port, what_is_no_number_is_ignored)
{
	static const char *const bad[] = {
		"\n", " \n", "-1\n", "0x10\n", "1 2\n", "3a\n", "status 4\n", "\xff\xfe\n", "1.5\n",
	};
	static const uint8_t zero[] = { '6', 0, '\n' };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		say(bad[i]);
		cr_expect_eq(atomic_load(&fake->m.outcome), MACHINE_RUNNING, "%s", bad[i]);
	}
	status_port_write(&port, zero, sizeof(zero));
	for (unsigned i = 0; i < 100000; i++)
		say("x");
	cr_expect_eq(atomic_load(&fake->m.outcome), MACHINE_RUNNING);
	say("\n8\n");
	expect_status(8);
}
