/* The boot timeline, and its trace. */
#include "vmm/report/timeline.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
