#include "devices/rtc_time.h"

enum { HOURS_PM = 0x80, ALARM_ANY = 0xc0 };

/*
 * The calendar, by hand: the C library's looks for the host's time zone in a file first, even
 * for UTC, which is nothing for a sandboxed vCPU.  Years begin in March here, so that the leap
 * day comes last: then month 'm' (0 is March) begins (153 m + 2) / 5 days into its year.
 */
struct date {
	int64_t year;
	int month, day;			/* 1-12, 1-31 */
};

enum {
	DAY_SECONDS = 86400,
	DAYS_400_YEARS = 146097,
	MARCH_0000_TO_1970 = 719468,	/* days */
};

static int64_t days_of_date(struct date d)
{
	int64_t year = d.month <= 2 ? d.year - 1 : d.year;
	int64_t month = d.month <= 2 ? d.month + 9 : d.month - 3;

	return year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + d.day - 1 -
	       MARCH_0000_TO_1970;
}

static struct date date_of_days(int64_t days)
{
	int64_t since = days + MARCH_0000_TO_1970;
	int64_t day = since % DAYS_400_YEARS;
	/* Leave the leap days out, one in 4 years but not in a century: years of 365 remain. */
	int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * day_of_year + 2) / 153;

	return (struct date){
		.year = since / DAYS_400_YEARS * 400 + year + (month >= 10),
		.month = (int)(month < 10 ? month + 3 : month - 9),
		.day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
	};
}

bool rtc_time_is_register(unsigned index)
{
	switch (index) {
	case RTC_SECONDS:
	case RTC_MINUTES:
	case RTC_HOURS:
	case RTC_WEEKDAY:
	case RTC_DAY:
	case RTC_MONTH:
	case RTC_YEAR:
	case RTC_CENTURY:
		return true;
	default:
		return false;
	}
}

static uint8_t encode(const uint8_t *reg, int value)
{
	unsigned v = (unsigned)value % 100;

	return (uint8_t)(reg[RTC_B] & RTC_B_BINARY ? v : v / 10 << 4 | v % 10);
}

static int decode(const uint8_t *reg, uint8_t value)
{
	return reg[RTC_B] & RTC_B_BINARY ? value : (value >> 4) * 10 + (value & 0x0f);
}

void rtc_time_store(uint8_t reg[RTC_N_REGISTERS], int64_t seconds)
{
	/* Garbage in the registers may mean a time before 1970; no guest can want that back. */
	int64_t t = seconds < 0 ? 0 : seconds;
	int64_t days = t / DAY_SECONDS;
	int in_day = (int)(t % DAY_SECONDS), hour = in_day / 3600;
	struct date date = date_of_days(days);

	reg[RTC_SECONDS] = encode(reg, in_day % 60);
	reg[RTC_MINUTES] = encode(reg, in_day / 60 % 60);
	if (reg[RTC_B] & RTC_B_24_HOURS) {
		reg[RTC_HOURS] = encode(reg, hour);
	} else {
		/* 12 AM, 1 AM ... 11 AM, 12 PM, 1 PM ... */
		reg[RTC_HOURS] = encode(reg, hour % 12 == 0 ? 12 : hour % 12) |
				 (hour >= 12 ? HOURS_PM : 0);
	}
	/* 1 January 1970 was a Thursday. */
	reg[RTC_WEEKDAY] = encode(reg, (int)((days + 4) % 7) + 1);
	reg[RTC_DAY] = encode(reg, date.day);
	reg[RTC_MONTH] = encode(reg, date.month);
	reg[RTC_YEAR] = encode(reg, (int)(date.year % 100));
	reg[RTC_CENTURY] = encode(reg, (int)(date.year / 100 % 100));
}

int64_t rtc_time_load(const uint8_t reg[RTC_N_REGISTERS])
{
	uint8_t hours = reg[RTC_HOURS];
	struct date date = {
		.year = decode(reg, reg[RTC_CENTURY]) * 100 + decode(reg, reg[RTC_YEAR]),
		.month = decode(reg, reg[RTC_MONTH]),
		.day = decode(reg, reg[RTC_DAY]),
	};
	int hour = decode(reg, hours);

	if (!(reg[RTC_B] & RTC_B_24_HOURS))
		hour = decode(reg, hours & ~HOURS_PM) % 12 + (hours & HOURS_PM ? 12 : 0);
	return days_of_date(date) * DAY_SECONDS + hour * 3600 +
	       decode(reg, reg[RTC_MINUTES]) * 60 + decode(reg, reg[RTC_SECONDS]);
}

bool rtc_time_is_alarm(const uint8_t reg[RTC_N_REGISTERS])
{
	static const uint8_t pair[][2] = {
		{ RTC_SECONDS_ALARM, RTC_SECONDS },
		{ RTC_MINUTES_ALARM, RTC_MINUTES },
		{ RTC_HOURS_ALARM, RTC_HOURS },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(pair); i++) {
		uint8_t alarm = reg[pair[i][0]];
		if ((alarm & ALARM_ANY) != ALARM_ANY && alarm != reg[pair[i][1]])
			return false;
	}
	return true;
}
