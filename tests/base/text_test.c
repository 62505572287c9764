#include <criterion/criterion.h>
#include <errno.h>

#include "vmm/base/text.h"

Test(text, sizes_have_units)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = { { "0", 0 },	 { "512", 512 },	{ "512M", MIB(512) }, { "1g", GIB(1) },
		     { "4KiB", 4096 }, { "4KB", 4096 },	{ "0x10", 16 },	{ "0x10K", 16384 },
		     { "2T", GIB(2048) } };
	static const char *const bad[] = { "", "M", "-1", " 1", "1 M", "1MM", "0x", "1.5G", "one" };
	uint64_t v;

	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		cr_assert_eq(text_parse_size(good[i].text, &v), 0, "%s", good[i].text);
		cr_assert_eq(v, good[i].bytes, "%s", good[i].text);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(text_parse_size(bad[i], &v), -EINVAL, "'%s'", bad[i]);
	cr_assert_eq(text_parse_size("99999999999999999999", &v), -ERANGE);
	cr_assert_eq(text_parse_size("17179869184G", &v), -ERANGE);
}

Test(text, sizes_print_as_they_parse)
{
	static const uint64_t sizes[] = { 0, 1, 1000, 1024, MIB(512), GIB(6), MIB(1) + 1, UINT64_MAX };
	char buf[24];
	uint64_t v;

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		cr_assert_eq(text_parse_size(text_format_size(buf, sizes[i]), &v), 0);
		cr_assert_eq(v, sizes[i]);
	}
	cr_assert_str_eq(text_format_size(buf, MIB(512)), "512M");
}

Test(text, booleans_are_words)
{
	bool v = false;

	cr_assert_eq(text_parse_bool("yes", &v), 0);
	cr_assert(v);
	cr_assert_eq(text_parse_bool("Off", &v), 0);
	cr_assert_not(v);
	cr_assert_eq(text_parse_bool("y", &v), -EINVAL);
	cr_assert_eq(text_parse_bool("", &v), -EINVAL);
}

Test(text, durations_are_seconds_unless_said)
{
	uint64_t ms;

	cr_assert_eq(text_parse_duration_ms("60", &ms), 0);
	cr_assert_eq(ms, 60000);
	cr_assert_eq(text_parse_duration_ms("1.5s", &ms), 0);
	cr_assert_eq(ms, 1500);
	cr_assert_eq(text_parse_duration_ms("250ms", &ms), 0);
	cr_assert_eq(ms, 250);
	cr_assert_eq(text_parse_duration_ms("2m", &ms), 0);
	cr_assert_eq(ms, 120000);
	cr_assert_eq(text_parse_duration_ms("1d", &ms), -EINVAL);
	cr_assert_eq(text_parse_duration_ms("-1", &ms), -EINVAL);
	cr_assert_eq(text_parse_duration_ms("nan", &ms), -EINVAL);
	cr_assert_eq(text_parse_duration_ms("1e300h", &ms), -ERANGE);
}

Test(text, nearest_name_is_a_typing_slip_away)
{
	static const char *const names[] = { "memory", "cpus", "timeout", "kernel" };

	cr_assert_str_eq(text_nearest("memroy", names, 4), "memory");
	cr_assert_str_eq(text_nearest("cpu", names, 4), "cpus");
	cr_assert_null(text_nearest("banana", names, 4));
	cr_assert_eq(text_distance("ab", "ba"), 1);
	cr_assert_eq(text_distance("", "abc"), 3);
}
