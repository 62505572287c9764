#include <criterion/criterion.h>
#include <unistd.h>

#include "devices/platform.h"
#include "tests/support/fake_machine.h"
#include "vmm/machine/layout.h"

enum {
	STATUS = PORT_PM1_EVENT,
	ENABLE = PORT_PM1_EVENT + 2,
	POWER_BUTTON = 0x100,
	SLEEP_ENABLE = 0x2000,
	TYPE_SHIFT = 10,
};

static struct fake_machine *fake;
static struct platform_device *pm;

static void set_up(void)
{
	fake = fake_machine_create();
	cr_assert_eq(acpi_pm_create(&pm, &fake->m), 0);
}

static void tear_down(void)
{
	platform_device_destroy(pm);
	fake_machine_destroy(fake);
}

TestSuite(acpi_pm, .init = set_up, .fini = tear_down);

Test(acpi_pm, the_machine_is_in_acpi_mode)
{
	cr_expect_eq(fake_machine_in(fake, PORT_PM1_CONTROL, 2), 1u);
	fake_machine_out(fake, PORT_PM1_CONTROL, 2, 0);
	cr_expect_eq(fake_machine_in(fake, PORT_PM1_CONTROL, 2) & 1, 1u);
}

Test(acpi_pm, s5_is_power_off)
{
	/* As Linux does: the type alone first. */
	fake_machine_out(fake, PORT_PM1_CONTROL, 2, ACPI_S5_TYPE << TYPE_SHIFT);
	cr_expect_eq(fake_machine_take_outcome(fake), MACHINE_RUNNING);
	cr_expect_eq(fake_machine_in(fake, PORT_PM1_CONTROL, 2), ACPI_S5_TYPE << TYPE_SHIFT | 1u);
	fake_machine_out(fake, PORT_PM1_CONTROL, 2, ACPI_S5_TYPE << TYPE_SHIFT | SLEEP_ENABLE);
	cr_expect_eq(fake_machine_take_outcome(fake), MACHINE_POWEROFF);
	cr_expect_eq(fake_machine_in(fake, PORT_PM1_CONTROL, 2) & SLEEP_ENABLE, 0u);
}

Test(acpi_pm, s5_by_the_high_byte_is_power_off_too)
{
	fake_machine_out(fake, PORT_PM1_CONTROL + 1, 1,
			 (ACPI_S5_TYPE << TYPE_SHIFT | SLEEP_ENABLE) >> 8);
	cr_expect_eq(fake_machine_take_outcome(fake), MACHINE_POWEROFF);
}

Test(acpi_pm, other_sleep_types_do_nothing)
{
	for (unsigned type = 0; type < 8; type++) {
		unsigned value = type << TYPE_SHIFT | SLEEP_ENABLE;
		if (type != ACPI_S5_TYPE)
			fake_machine_out(fake, PORT_PM1_CONTROL, 2, value);
	}
	cr_expect_eq(fake_machine_take_outcome(fake), MACHINE_RUNNING);
}

Test(acpi_pm, the_power_button_interrupts_when_enabled)
{
	acpi_pm_press_power_button(pm);
	cr_expect_eq(fake_machine_in(fake, STATUS, 2), (unsigned)POWER_BUTTON);
	cr_expect_not(fake->irq.level[GSI_SCI]);
	fake_machine_out(fake, ENABLE, 2, POWER_BUTTON);
	cr_expect(fake->irq.level[GSI_SCI]);
	/* Ones clear; zeros and other bits leave it. */
	fake_machine_out(fake, STATUS, 2, (uint16_t)~POWER_BUTTON);
	cr_expect(fake->irq.level[GSI_SCI]);
	fake_machine_out(fake, STATUS, 2, POWER_BUTTON);
	cr_expect_not(fake->irq.level[GSI_SCI]);
	cr_expect_eq(fake_machine_in(fake, STATUS, 2), 0u);
}

Test(acpi_pm, status_and_enable_may_be_one_access_or_bytes)
{
	acpi_pm_press_power_button(pm);
	fake_machine_out(fake, ENABLE + 1, 1, POWER_BUTTON >> 8);
	cr_expect_eq(fake_machine_in(fake, STATUS, 4), POWER_BUTTON << 16 | POWER_BUTTON);
	cr_expect_eq(fake_machine_in(fake, STATUS + 1, 1), POWER_BUTTON >> 8);
	fake_machine_out(fake, ENABLE, 1, 0x21);
	cr_expect_eq(fake_machine_in(fake, ENABLE, 2), 0x121u);
	fake_machine_out(fake, STATUS, 4, POWER_BUTTON);
	cr_expect_eq(fake_machine_in(fake, STATUS, 4), 0u);
	fake_machine_out(fake, ENABLE, 2, 0xffff);
	cr_expect_eq(fake_machine_in(fake, ENABLE, 2), 0x4721u);
}

Test(acpi_pm, the_timer_runs_at_its_rate_and_cannot_be_written)
{
	uint32_t before = (uint32_t)fake_machine_in(fake, PORT_PM_TIMER, 4);

	fake_machine_out(fake, PORT_PM_TIMER, 4, 0);
	usleep(50000);
	uint32_t ticks = (uint32_t)fake_machine_in(fake, PORT_PM_TIMER, 4) - before;
	cr_expect_geq(ticks, 3579545u / 20);
	cr_expect_lt(ticks, 3579545u * 5);
}

Test(acpi_pm, the_reset_register_is_a_reboot)
{
	fake_machine_out(fake, PORT_ACPI_RESET, 1, 0x02);
	fake_machine_out(fake, PORT_PCI_ADDRESS, 4, 0x80000600);
	cr_expect_eq(fake_machine_take_outcome(fake), MACHINE_RUNNING);
	fake_machine_out(fake, PORT_ACPI_RESET, 1, ACPI_RESET_VALUE);
	cr_expect_eq(fake_machine_take_outcome(fake), MACHINE_REBOOT);
}

Test(acpi_pm, without_it_the_reset_register_does_nothing)
{
	platform_device_destroy(pm);
	pm = NULL;
	fake_machine_out(fake, PORT_ACPI_RESET, 1, ACPI_RESET_VALUE);
	cr_expect_eq(fake_machine_take_outcome(fake), MACHINE_RUNNING);
}

Test(acpi_pm, system_reset_clears_events_and_the_line)
{
	fake_machine_out(fake, ENABLE, 2, POWER_BUTTON);
	acpi_pm_press_power_button(pm);
	platform_device_reset(pm);
	cr_expect_not(fake->irq.level[GSI_SCI]);
	cr_expect_eq(fake_machine_in(fake, STATUS, 4), 0u);
	cr_expect_eq(fake_machine_in(fake, PORT_PM1_CONTROL, 2), 1u);
}
