#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/event_log.h"
#include "vmm/base/fd.h"

Test(event_log, keeps_their_order)
{
	struct event e[4];
	uint64_t next = 0, lost = 0;

	event_note(EVENT_DEVICE_CREATED, "disk0", 0, "%s", "");
	event_note(EVENT_EXIT, NULL, 7, "the guest said %d", 7);
	cr_assert_eq(event_log_read(&next, e, ARRAY_SIZE(e), &lost), 2);
	cr_assert_eq(next, 2);
	cr_assert_eq(lost, 0);
	cr_assert_eq(e[0].number, 0);
	cr_assert_str_eq(e[0].subject, "disk0");
	cr_assert_str_eq(e[1].subject, "");
	cr_assert_str_eq(e[1].text, "the guest said 7");
	cr_assert_eq(e[1].value, 7);
	cr_assert(e[1].ns >= e[0].ns);
	cr_assert_eq(event_log_read(&next, e, ARRAY_SIZE(e), &lost), 0);
}

Test(event_log, reads_in_pieces)
{
	struct event e[2];
	uint64_t next = 0, lost = 0;

	for (int i = 0; i < 3; i++)
		event_note(EVENT_PHASE, NULL, i, "%s", "");
	cr_assert_eq(event_log_read(&next, e, 2, &lost), 2);
	cr_assert_eq(event_log_read(&next, e, 2, &lost), 1);
	cr_assert_eq(e[0].value, 2);
}

Test(event_log, tells_a_slow_reader_what_it_lost)
{
	struct event e;
	uint64_t next = 0, lost = 0;

	for (int i = 0; i < EVENT_LOG_KEPT + 5; i++)
		event_note(EVENT_DEVICE_RESET, "net0", i, "%s", "");
	cr_assert_eq(event_log_read(&next, &e, 1, &lost), 1);
	cr_assert_eq(lost, 5);
	cr_assert_eq(e.value, 5);
}

Test(event_log, cuts_what_is_too_long)
{
	char *long_text = calloc(1, 5000);
	struct event e;
	uint64_t next = 0, lost = 0;

	memset(long_text, 'x', 4999);
	event_note(EVENT_PANIC, long_text, 0, "%s", long_text);
	cr_assert_eq(event_log_read(&next, &e, 1, &lost), 1);
	cr_assert_eq(strlen(e.subject), EVENT_SUBJECT_SIZE - 1);
	cr_assert_eq(strlen(e.text), EVENT_TEXT_SIZE - 1);
	free(long_text);
}

Test(event_log, tells_who_waits)
{
	int fd;

	cr_assert_eq(fd_create_event(&fd), 0);
	event_log_tell(fd);
	event_note(EVENT_STATE, NULL, 0, "running");
	cr_assert(fd_drain(fd));
	event_log_tell(FD_NONE);
	event_note(EVENT_STATE, NULL, 0, "paused");
	cr_assert_not(fd_drain(fd));
	fd_close(&fd);
}

Test(event_log, every_kind_has_a_name)
{
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		cr_assert_not_null(event_kind_name((enum event_kind)kind));
}
