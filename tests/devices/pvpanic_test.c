#include <criterion/criterion.h>

#include "devices/platform.h"
#include "tests/support/fake_machine.h"
#include "vmm/base/log.h"
#include "vmm/machine/layout.h"

static struct fake_machine *fake;
static struct platform_device *pvpanic;

static void set_up(void)
{
	log_set_level(LOG_ERROR);
	fake = fake_machine_create();
	cr_assert_eq(pvpanic_create(&pvpanic, &fake->m), 0);
}

static void tear_down(void)
{
	platform_device_destroy(pvpanic);
	fake_machine_destroy(fake);
}

TestSuite(pvpanic, .init = set_up, .fini = tear_down);

Test(pvpanic, a_read_tells_the_events_it_knows)
{
	cr_expect_eq(fake_machine_in(fake, PORT_PVPANIC, 1), 0x03u);
	platform_device_reset(pvpanic);
}

Test(pvpanic, panicked_is_an_outcome)
{
	fake_machine_out(fake, PORT_PVPANIC, 1, 0x01);
	cr_expect_eq(fake_machine_take_outcome(fake), MACHINE_PANIC);
}

Test(pvpanic, a_loaded_crash_kernel_and_unknown_bits_are_not)
{
	fake_machine_out(fake, PORT_PVPANIC, 1, 0x02);
	fake_machine_out(fake, PORT_PVPANIC, 1, 0xfc);
	fake_machine_out(fake, PORT_PVPANIC, 1, 0x00);
	cr_expect_eq(fake_machine_take_outcome(fake), MACHINE_RUNNING);
}
