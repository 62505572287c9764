#include <criterion/criterion.h>

#include "devices/platform.h"
#include "tests/support/fake_machine.h"
#include "vmm/machine/layout.h"

static struct fake_machine *fake;
static struct platform_device *port;

static void set_up(void)
{
	fake = fake_machine_create();
	cr_assert_eq(exit_port_create(&port, &fake->m), 0);
}

static void tear_down(void)
{
	platform_device_destroy(port);
	fake_machine_destroy(fake);
}

TestSuite(exit_port, .init = set_up, .fini = tear_down);

Test(exit_port, four_bytes_are_the_exit_status)
{
	fake_machine_out(fake, PORT_EXIT, 4, 0xdeadbeef);
	cr_expect_eq(fake->m.status, 0xdeadbeefu);
	cr_expect_eq(fake_machine_take_outcome(fake), MACHINE_EXIT);
	fake_machine_pump(fake);
}

Test(exit_port, other_sizes_are_ignored)
{
	fake_machine_out(fake, PORT_EXIT, 1, 1);
	fake_machine_out(fake, PORT_EXIT, 2, 1);
	fake_machine_out(fake, PORT_EXIT + 3, 1, 1);
	fake_machine_out(fake, PORT_EXIT, 8, 1);
	fake_machine_out(fake, PORT_EXIT + 1, 4, 1);
	cr_expect_eq(fake_machine_take_outcome(fake), MACHINE_RUNNING);
}

Test(exit_port, the_first_status_counts)
{
	fake_machine_out(fake, PORT_EXIT, 4, 1);
	fake_machine_out(fake, PORT_EXIT, 4, 2);
	cr_expect_eq(fake->m.status, 1u);
	fake_machine_pump(fake);
	cr_expect_eq(fake->n_outcomes, 1u);
}

Test(exit_port, two_of_them_do_not_fit)
{
	struct platform_device *second;

	cr_expect_lt(exit_port_create(&second, &fake->m), 0);
	cr_expect_null(second);
	platform_device_destroy(second);
}
