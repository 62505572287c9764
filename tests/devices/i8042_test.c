#include <criterion/criterion.h>

#include "devices/platform.h"
#include "tests/support/fake_machine.h"
#include "vmm/machine/layout.h"

static struct fake_machine *fake;
static struct platform_device *i8042;

static void set_up(void)
{
	fake = fake_machine_create();
	cr_assert_eq(i8042_create(&i8042, &fake->m), 0);
}

static void tear_down(void)
{
	platform_device_destroy(i8042);
	fake_machine_destroy(fake);
}

TestSuite(i8042, .init = set_up, .fini = tear_down);

Test(i8042, the_reset_pulse_is_a_reboot)
{
	fake_machine_out(fake, PORT_I8042_COMMAND, 1, 0xfe);
	cr_expect_eq(fake_machine_take_outcome(fake), MACHINE_REBOOT);
}

Test(i8042, polling_loops_end)
{
	cr_expect_eq(fake_machine_in(fake, PORT_I8042_COMMAND, 1), 0u);
	cr_expect_eq(fake_machine_in(fake, PORT_I8042_DATA, 1), 0u);
}

Test(i8042, nothing_else_does_anything)
{
	for (unsigned value = 0; value < 256; value++) {
		fake_machine_out(fake, PORT_I8042_DATA, 1, value);
		if (value != 0xfe)
			fake_machine_out(fake, PORT_I8042_COMMAND, 1, value);
	}
	cr_expect_eq(fake_machine_take_outcome(fake), MACHINE_RUNNING);
}
