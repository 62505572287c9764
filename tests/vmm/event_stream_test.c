#include <criterion/criterion.h>
#include <string.h>

#include "vmm/control/event_stream.h"

static char line[EVENT_LINE_SIZE + 1];

static const char *write_line(const struct event *e)
{
	size_t len = event_line(line, e, 1000);

	cr_assert_lt(len, EVENT_LINE_SIZE);
	line[len] = '\0';
	return line;
}

Test(event_stream, a_line_has_all_of_an_event)
{
	struct event e = { .number = 7, .ns = 1234568000, .kind = EVENT_DRIVER_OK, .value = -3,
			   .subject = "disk0", .text = "fine" };

	cr_assert_str_eq(write_line(&e), "{\"number\":7,\"time_ms\":1234.567,\"kind\":\"driver-ok\","
					 "\"subject\":\"disk0\",\"value\":-3,\"text\":\"fine\"}\n");
}

Test(event_stream, what_a_guest_says_does_not_break_a_line)
{
	struct event e = { .kind = EVENT_GUEST,
			   .text = "\"\\\n\x01\x7f \xc3\xa4 \xff \xc3 \xed\xa0\x80 \xf0\x9f\x90\xa6" };

	cr_assert_not_null(strstr(write_line(&e), "\"text\":\"\\\"\\\\\\u000a\\u0001\\u007f \xc3\xa4 ? ? "
						  "??? \xf0\x9f\x90\xa6\"}\n"), "%s", line);
}

Test(event_stream, the_longest_line_fits)
{
	struct event e = { .number = UINT64_MAX, .ns = UINT64_MAX, .kind = EVENT_DEVICE_CREATED,
			   .value = INT64_MIN };

	memset(e.subject, 1, sizeof(e.subject) - 1);
	memset(e.text, 1, sizeof(e.text) - 1);
	write_line(&e);
	cr_assert_gt(strlen(line), 1300);
}

Test(event_stream, says_what_was_lost_before_what_came_then)
{
	uint64_t next = 0, lost = 0;
	char buf[4096];
	size_t n;

	for (unsigned i = 0; i < EVENT_LOG_KEPT + 5; i++)
		event_note(EVENT_PHASE, NULL, i, "%s", "");
	n = event_lines(buf, sizeof(buf), &next, &lost, 0);
	cr_assert_gt(n, 0);
	buf[n - 1] = '\0';
	cr_assert_eq(strncmp(buf, "{\"lost\":5}\n{\"number\":5,", 23), 0, "%.100s", buf);
	cr_assert_eq(lost, 0);
	while (event_lines(buf, sizeof(buf), &next, &lost, 0) > 0)
		;
	cr_assert_eq(next, EVENT_LOG_KEPT + 5);
}
