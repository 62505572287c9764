/* The boot timeline, and its trace. */
#include "vmm/report/timeline_svg.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/error.h"

static struct timeline timeline;

static void note_a_boot(void)
{
	timeline_begin();
	event_note(EVENT_PHASE, NULL, 0, "configuration");
	usleep(3000);
	event_note(EVENT_PHASE, NULL, 0, "memory");
	event_note(EVENT_PHASE, NULL, 0, "guest");
	event_note(EVENT_QUEUE_ENABLED, "disk0", 1, "%s", "");
	event_note(EVENT_DRIVER_OK, "disk0", 0, "%s", "");
	event_note(EVENT_GUEST, NULL, 0, "%s", "a\"\\\033");
	timeline_take(&timeline);
	timeline_add(&timeline, "end");
}

Test(timeline, has_phases_and_moments_in_order)
{
	static const char *const names[] = { "exec", "configuration", "memory", "guest",
					     "disk0: DRIVER_OK", "a\"\\\033", "end" };

	note_a_boot();
	cr_assert_eq(timeline.n, ARRAY_SIZE(names));
	for (unsigned i = 0; i < timeline.n; i++) {
		cr_expect_str_eq(timeline.mark[i].name, names[i]);
		cr_expect_eq(timeline.mark[i].is_phase, i < 4);
		cr_expect(i == 0 || timeline.mark[i].ns >= timeline.mark[i - 1].ns);
	}
	cr_expect_geq(timeline.mark[2].ns - timeline.mark[1].ns, 3000000u);
}

static char *written(void (*write)(FILE *out, const struct timeline *t))
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	write(out, &timeline);
	fclose(out);
	return text;
}

Test(timeline, is_told_to_people)
{
	char *text;

	note_a_boot();
	text = written(timeline_write_text);
	cr_expect_not_null(strstr(text, "configuration\n"));
	cr_expect_not_null(strstr(text, "disk0: DRIVER_OK\n"));
	cr_expect_not_null(strstr(text, "a\"\\?\n"), "no order for a terminal: %s", text);
	free(text);
}

Test(timeline, has_room_for_a_guest_that_never_stops)
{
	for (unsigned i = 0; i < 3 * EVENT_LOG_KEPT; i++)
		event_note(EVENT_DRIVER_OK, "disk0", 0, "%s", "");
	timeline_take(&timeline);
	timeline_add(&timeline, "end");
	timeline_add(&timeline, "no room for that one");
	cr_expect_eq(timeline.n, TIMELINE_MAX);
	cr_expect_str_eq(timeline.mark[timeline.n - 1].name, "end");
	cr_expect_str_eq(timeline.mark[0].name, "exec (2048 events forgotten)");
	cr_expect_not(timeline.mark[0].is_phase, "it was over long ago");
}

Test(timeline, of_a_trace_is_json)
{
	char *text;

	note_a_boot();
	text = written(timeline_write_trace);
	cr_expect_not_null(strstr(text, "{\"name\":\"a\\\"\\\\\\u001b\",\"cat\":\"boot\",\"ph\":\"i\""),
			   "%s", text);
	cr_expect_not_null(strstr(text, "\"name\":\"memory\",\"cat\":\"boot\",\"ph\":\"X\""));
	cr_expect_not_null(strstr(text, "\"thread_name\""));
	free(text);
}

/* --- The picture ------------------------------------------------------------------------------ */

static int read_text(const char *text)
{
	return timeline_read_trace(&timeline, text, strlen(text));
}

#if HAVE_JANSSON

Test(timeline, of_a_trace_is_read_back)
{
	static struct timeline before;
	char *text;

	note_a_boot();
	before = timeline;
	text = written(timeline_write_trace);
	cr_assert_eq(read_text(text), 0, "%s", error_text());
	cr_assert_eq(timeline.n, before.n);
	for (unsigned i = 0; i < before.n; i++) {
		cr_expect_str_eq(timeline.mark[i].name, before.mark[i].name);
		cr_expect_eq(timeline.mark[i].is_phase, before.mark[i].is_phase);
		cr_expect_leq(timeline.mark[i].ns, before.mark[i].ns + 1000);
	}
	free(text);
}

Test(timeline, traces_of_others_are_read_or_refused)
{
	char deep[4096];

	cr_expect_eq(read_text(""), -EINVAL);
	cr_expect_eq(read_text("{}"), -EINVAL);
	cr_expect_eq(read_text("[1, null, {}, {\"ph\":1}]"), -EINVAL);
	cr_expect_eq(read_text("{\"traceEvents\":7}"), -EINVAL);
	memset(deep, '[', sizeof(deep));
	cr_expect_eq(timeline_read_trace(&timeline, deep, sizeof(deep)), -EINVAL);
	cr_expect_eq(read_text("[{\"ph\":\"i\",\"cat\":\"boot\",\"name\":\"x\",\"ts\":1e300},"
			       "{\"ph\":\"i\",\"cat\":\"boot\",\"name\":\"x\",\"ts\":-1}]"),
		     -EINVAL);
	cr_assert_eq(read_text("[{\"ph\":\"i\",\"cat\":\"boot\",\"name\":\"b\",\"ts\":2},"
			       "{\"ph\":\"X\",\"cat\":\"boot\",\"name\":\"a\",\"ts\":0}]"), 0);
	cr_expect_eq(timeline.n, 2);
	cr_expect_str_eq(timeline.mark[0].name, "a");
	cr_expect_eq(timeline.mark[1].ns, 2000);
}

#else

Test(timeline, without_a_reader_of_json_says_so)
{
	cr_expect_eq(read_text("[]"), -EOPNOTSUPP);
}

#endif

Test(timeline, of_nothing_is_a_picture_all_the_same)
{
	char *text;

	timeline.n = 1;
	timeline.mark[0] = (struct timeline_mark){ .is_phase = true, .name = "<&>\"" };
	text = written(timeline_write_svg);
	cr_expect_not_null(strstr(text, "&lt;&amp;&gt;&quot;"), "%s", text);
	cr_expect_null(strstr(text, "nan"));
	cr_expect_null(strstr(text, "inf"));
	free(text);
}
