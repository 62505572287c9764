#include <criterion/criterion.h>
#include <string.h>

#include "devices/rtc_time.h"

static uint8_t reg[RTC_N_REGISTERS];

static void expect_time(unsigned hours, unsigned minutes, unsigned seconds)
{
	cr_expect_eq(reg[RTC_HOURS], hours, "hours 0x%02x", reg[RTC_HOURS]);
	cr_expect_eq(reg[RTC_MINUTES], minutes);
	cr_expect_eq(reg[RTC_SECONDS], seconds);
}

/* 2024-02-29 23:58:59 UTC, a Thursday. */
static const int64_t leap_night = 1709251139;

Test(rtc_time, bcd_24_hours)
{
	reg[RTC_B] = RTC_B_24_HOURS;
	rtc_time_store(reg, leap_night);
	expect_time(0x23, 0x58, 0x59);
	cr_expect_eq(reg[RTC_DAY], 0x29);
	cr_expect_eq(reg[RTC_MONTH], 0x02);
	cr_expect_eq(reg[RTC_YEAR], 0x24);
	cr_expect_eq(reg[RTC_CENTURY], 0x20);
	cr_expect_eq(reg[RTC_WEEKDAY], 5);
}

Test(rtc_time, binary_12_hours)
{
	reg[RTC_B] = RTC_B_BINARY;
	rtc_time_store(reg, leap_night);
	expect_time(0x80 | 11, 58, 59);
	cr_expect_eq(reg[RTC_DAY], 29);
	cr_expect_eq(reg[RTC_YEAR], 24);
	cr_expect_eq(reg[RTC_CENTURY], 20);
}

Test(rtc_time, midnight_and_noon_are_12)
{
	reg[RTC_B] = 0;
	rtc_time_store(reg, 0);
	expect_time(0x12, 0, 0);
	rtc_time_store(reg, 12 * 3600);
	expect_time(0x92, 0, 0);
	rtc_time_store(reg, 13 * 3600);
	expect_time(0x81, 0, 0);
}

Test(rtc_time, what_is_stored_loads_in_every_mode)
{
	static const int64_t times[] = {
		0, 1, 43199, 43200, 86399, 951782399, 1709251139, 2147483648, 4102444800,
		253402300799,
	};

	for (unsigned mode = 0; mode < 8; mode += 2) {
		reg[RTC_B] = (uint8_t)mode;
		for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
			rtc_time_store(reg, times[i]);
			cr_expect_eq(rtc_time_load(reg), times[i], "mode %u, time %lld", mode,
				     (long long)times[i]);
		}
	}
}

Test(rtc_time, garbage_is_some_time)
{
	const int64_t limit = 26000ll * 366 * 86400;
	uint32_t seed = 1;

	for (unsigned n = 0; n < 100000; n++) {
		for (unsigned i = 0; i < RTC_N_REGISTERS; i++) {
			seed = seed * 1664525 + 1013904223;
			reg[i] = (uint8_t)(seed >> 24);
		}
		int64_t t = rtc_time_load(reg);
		cr_assert(t > -limit && t < limit);
		rtc_time_store(reg, t);
	}
}

Test(rtc_time, alarms_match_or_do_not_care)
{
	reg[RTC_B] = RTC_B_24_HOURS;
	rtc_time_store(reg, leap_night);
	reg[RTC_HOURS_ALARM] = 0x23;
	reg[RTC_MINUTES_ALARM] = 0x58;
	reg[RTC_SECONDS_ALARM] = 0x59;
	cr_expect(rtc_time_is_alarm(reg));
	reg[RTC_MINUTES_ALARM] = 0x57;
	cr_expect_not(rtc_time_is_alarm(reg));
	reg[RTC_MINUTES_ALARM] = 0xc0;
	cr_expect(rtc_time_is_alarm(reg));
	memset(reg, 0xff, RTC_HOURS_ALARM + 1);
	cr_expect(rtc_time_is_alarm(reg));
}
