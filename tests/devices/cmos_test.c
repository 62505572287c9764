#include <criterion/criterion.h>
#include <time.h>
#include <unistd.h>

#include "devices/platform.h"
#include "devices/rtc_time.h"
#include "tests/support/fake_machine.h"
#include "vmm/machine/layout.h"

enum {
	A_UPDATING = 0x80,
	B_SET = 0x80,
	B_ALARM = 0x20,
	B_UPDATE = 0x10,
	C_INTERRUPT = 0x80,
	C_ALARM = 0x20,
	C_UPDATE = 0x10,
};

static struct fake_machine *fake;
static struct platform_device *cmos;

static void set_up(void)
{
	fake = fake_machine_create();
	cr_assert_eq(cmos_create(&cmos, &fake->m), 0);
}

static void tear_down(void)
{
	platform_device_destroy(cmos);
	fake_machine_destroy(fake);
}

TestSuite(cmos, .init = set_up, .fini = tear_down, .timeout = 20);

static uint8_t get(unsigned index)
{
	fake_machine_out(fake, PORT_CMOS, 1, index);
	return (uint8_t)fake_machine_in(fake, PORT_CMOS + 1, 1);
}

static void set(unsigned index, uint8_t value)
{
	fake_machine_out(fake, PORT_CMOS, 1, index);
	fake_machine_out(fake, PORT_CMOS + 1, 1, value);
}

static unsigned get16(unsigned index)
{
	return get(index) | (unsigned)get(index + 1) << 8;
}

static int64_t guest_time(void)
{
	static const uint8_t index[] = {
		RTC_SECONDS, RTC_MINUTES, RTC_HOURS, RTC_DAY, RTC_MONTH, RTC_YEAR, RTC_B,
		RTC_CENTURY,
	};
	uint8_t reg[RTC_N_REGISTERS] = { 0 };

	/* As a driver: again, if a second passed meanwhile. */
	do {
		for (unsigned i = 0; i < ARRAY_SIZE(index); i++)
			reg[index[i]] = get(index[i]);
	} while (get(RTC_SECONDS) != reg[RTC_SECONDS]);
	return rtc_time_load(reg);
}

static void set_guest_time(int64_t seconds)
{
	static const uint8_t index[] = {
		RTC_SECONDS, RTC_MINUTES, RTC_HOURS, RTC_DAY, RTC_MONTH, RTC_YEAR, RTC_CENTURY,
	};
	uint8_t reg[RTC_N_REGISTERS] = { [RTC_B] = get(RTC_B) };

	rtc_time_store(reg, seconds);
	set(RTC_B, reg[RTC_B] | B_SET);
	for (unsigned i = 0; i < ARRAY_SIZE(index); i++)
		set(index[i], reg[index[i]]);
	set(RTC_B, reg[RTC_B]);
}

static void expect_near(int64_t a, int64_t b)
{
	cr_expect(a - b <= 1 && b - a <= 1, "%lld and %lld", (long long)a, (long long)b);
}

Test(cmos, the_time_is_the_hosts_in_utc_bcd_24_hours)
{
	cr_expect_eq(get(RTC_B), RTC_B_24_HOURS);
	expect_near(guest_time(), time(NULL));
}

Test(cmos, binary_and_12_hours_are_the_same_time)
{
	for (unsigned mode = 0; mode < 8; mode += 2) {
		set(RTC_B, (uint8_t)mode);
		expect_near(guest_time(), time(NULL));
	}
}

Test(cmos, setting_the_clock_moves_only_the_guests_time)
{
	set_guest_time(4102444800);
	expect_near(guest_time(), 4102444800);
	platform_device_reset(cmos);
	expect_near(guest_time(), 4102444800);
}

Test(cmos, a_field_of_the_running_clock_can_be_set)
{
	set_guest_time(1709251139);
	set(RTC_YEAR, 0x28);
	expect_near(guest_time(), 1709251139 + 4 * 365 * 86400 + 86400);
}

Test(cmos, time_stands_still_while_it_is_set)
{
	set(RTC_B, RTC_B_24_HOURS | B_SET);
	uint8_t seconds = get(RTC_SECONDS);
	usleep(1100000);
	cr_expect_eq(get(RTC_SECONDS), seconds);
	cr_expect_eq(get(RTC_A) & A_UPDATING, 0);
}

Test(cmos, updating_is_short)
{
	unsigned n_updating = 0;

	/* Nobody polls for long: 1 ms later it is over. */
	for (unsigned i = 0; i < 50; i++) {
		n_updating += (get(RTC_A) & A_UPDATING) != 0;
		usleep(1000);
	}
	cr_expect_leq(n_updating, 2u);
	cr_expect_eq(get(RTC_A) & 0x7f, 0x26);
}

Test(cmos, status_registers_are_sane)
{
	cr_expect_eq(get(RTC_D), 0x80);
	set(RTC_D, 0);
	set(RTC_C, 0xff);
	set(RTC_A, 0xff);
	cr_expect_eq(get(RTC_D), 0x80);
	get(RTC_C);
	cr_expect_eq(get(RTC_C) & ~C_UPDATE, 0);
	cr_expect_eq(get(RTC_A) & 0x7f, 0x7f);
}

Test(cmos, memory_sizes_are_where_a_bios_leaves_them)
{
	cr_expect_eq(get16(0x15), 640u);
	cr_expect_eq(get16(0x17), 15u * 1024);
	cr_expect_eq(get16(0x30), 15u * 1024);
	cr_expect_eq(get16(0x34), 0u);
	cr_expect_eq(get16(0x5b) | (unsigned)get(0x5d) << 16, MIB(1) / KIB(64));
}

Test(cmos, other_bytes_are_memory_that_survives_reset)
{
	set(0x0f, 0x0a);
	set(0x7f, 0x55);
	platform_device_reset(cmos);
	cr_expect_eq(get(0x0f), 0x0a);
	cr_expect_eq(get(0x7f), 0x55);
	/* The NMI bit is not part of the index. */
	cr_expect_eq(get(0xff), 0x55);
	cr_expect_eq(fake_machine_in(fake, PORT_CMOS, 1), 0xffu);
}

static void wait_for_line(void)
{
	for (unsigned i = 0; i < 300 && !fake->irq.level[GSI_CMOS]; i++) {
		usleep(10000);
		fake_machine_pump(fake);
	}
	cr_assert(fake->irq.level[GSI_CMOS]);
}

Test(cmos, an_alarm_interrupts_and_reading_c_acknowledges)
{
	uint8_t reg[RTC_N_REGISTERS] = { [RTC_B] = RTC_B_24_HOURS };

	rtc_time_store(reg, guest_time() + 2);
	set(RTC_SECONDS_ALARM, reg[RTC_SECONDS]);
	set(RTC_MINUTES_ALARM, reg[RTC_MINUTES]);
	set(RTC_HOURS_ALARM, reg[RTC_HOURS]);
	get(RTC_C);
	set(RTC_B, RTC_B_24_HOURS | B_ALARM);
	cr_expect_not(fake->irq.level[GSI_CMOS]);
	wait_for_line();
	cr_expect_eq(get(RTC_C), C_INTERRUPT | C_ALARM | C_UPDATE);
	cr_expect_not(fake->irq.level[GSI_CMOS]);
	cr_expect_eq(get(RTC_C), 0);
}

Test(cmos, update_ended_interrupts_each_second_while_enabled)
{
	set(RTC_B, RTC_B_24_HOURS | B_UPDATE);
	for (unsigned i = 0; i < 2; i++) {
		wait_for_line();
		cr_expect_eq(get(RTC_C) & (C_INTERRUPT | C_UPDATE), C_INTERRUPT | C_UPDATE);
	}
	wait_for_line();
	set(RTC_B, RTC_B_24_HOURS);
	cr_expect_not(fake->irq.level[GSI_CMOS]);
}

Test(cmos, no_guest_write_upsets_it)
{
	uint32_t seed = 3;

	for (unsigned n = 0; n < 100000; n++) {
		seed = seed * 1664525 + 1013904223;
		set(seed >> 8 & 0xff, (uint8_t)(seed >> 16));
		get(seed >> 24);
		if (n % 1000 == 0)
			fake_machine_pump(fake);
	}
	fake_machine_out(fake, PORT_CMOS, 2, 0x1234);
	fake_machine_in(fake, PORT_CMOS, 2);
	platform_device_reset(cmos);
	set_guest_time(1000000000);
	expect_near(guest_time(), 1000000000);
}
