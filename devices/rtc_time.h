/*
 * The calendar of an MC146818: time in registers, in BCD or binary, 24 or 12 hours.  Pure: no
 * clock.
 */
#ifndef DEVICES_RTC_TIME_H
#define DEVICES_RTC_TIME_H

#include "vmm/base/util.h"

/* Register numbers, also of what is not time. */
enum {
	RTC_SECONDS = 0x00,
	RTC_SECONDS_ALARM = 0x01,
	RTC_MINUTES = 0x02,
	RTC_MINUTES_ALARM = 0x03,
	RTC_HOURS = 0x04,
	RTC_HOURS_ALARM = 0x05,
	RTC_WEEKDAY = 0x06,		/* 1 is Sunday */
	RTC_DAY = 0x07,
	RTC_MONTH = 0x08,
	RTC_YEAR = 0x09,
	RTC_A = 0x0a,
	RTC_B = 0x0b,
	RTC_C = 0x0c,
	RTC_D = 0x0d,
	RTC_CENTURY = 0x32,
	RTC_N_REGISTERS = 128,
};

/* Bits of register B that say how time is written. */
enum {
	RTC_B_24_HOURS = 0x02,
	RTC_B_BINARY = 0x04,
};

/* Is register 'index' one that rtc_time_store writes? */
bool rtc_time_is_register(unsigned index);

/* Write 'seconds' (since 1970, UTC) into the time registers, as reg[RTC_B] says. */
void rtc_time_store(uint8_t reg[RTC_N_REGISTERS], int64_t seconds);

/* The time in the registers.  Garbage gives some time before the year 26000. */
int64_t rtc_time_load(const uint8_t reg[RTC_N_REGISTERS]);

/* Do the alarm registers match the time registers?  11xxxxxx matches anything. */
bool rtc_time_is_alarm(const uint8_t reg[RTC_N_REGISTERS]);

#endif
