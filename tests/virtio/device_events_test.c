/* What the event log hears of a device, over every transport. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/echo_rig.h"
#include "virtio/virtio_device_impl.h"
#include "vmm/base/event_log.h"

static struct event seen[EVENT_LOG_KEPT];
static unsigned n_seen;
static uint64_t lost;

/* What was noted since the last call. */
static void look(void)
{
	static uint64_t next;

	lost = 0;
	n_seen = event_log_read(&next, seen, EVENT_LOG_KEPT, &lost);
}

static const struct event *find(enum event_kind kind)
{
	for (unsigned i = 0; i < n_seen; i++)
		if (seen[i].kind == kind)
			return &seen[i];
	return NULL;
}

static unsigned count(enum event_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_seen; i++)
		n += seen[i].kind == kind;
	return n;
}

OVER_ALL(device_events, tell_of_a_driver_in_order)
{
	look();
	echo_rig_start(rig);
	look();
	const struct event *features = find(EVENT_FEATURES), *queue = find(EVENT_QUEUE_ENABLED);
	const struct event *ok = find(EVENT_DRIVER_OK), *path = find(EVENT_DATAPATH);

	cr_assert(features && queue && ok && path);
	cr_expect_str_eq(features->subject, rig->dev->name);
	cr_expect(strstr(features->text, "VIRTIO_F_EVENT_IDX"), "%s", features->text);
	cr_expect_eq(count(EVENT_FEATURES), 1);
	cr_expect_eq(count(EVENT_QUEUE_ENABLED), ECHO_QUEUES);
	cr_expect_eq(queue->value, 0);
	cr_expect_lt(features->number, queue->number);
	cr_expect_lt(queue->number, ok->number);
	cr_expect_str_eq(path->text, rig->dev->part[0].datapath->name);

	/* The data path has nothing to say. */
	echo_rig_round_trip(rig, 0);
	look();
	cr_expect_eq(n_seen, 0);

	echo_rig_break_ring(rig, 1);
	look();
	const struct event *broken = find(EVENT_NEEDS_RESET);

	cr_assert_not_null(broken);
	cr_expect_eq(broken->value, 1);
	cr_expect_str_eq(broken->text, "a head index is beyond the queue");

	fake_driver_reset(&rig->driver);
	fake_driver_reset(&rig->driver);
	look();
	cr_expect_eq(count(EVENT_DEVICE_RESET), 1, "a reset of what is reset is no event");
}

/* Nor does who does that a million times get more of us than the ring. */
OVER(device_events, of_a_mad_driver_overwrite_the_oldest, FAKE_PCI, FAKE_PCI)
{
	look();
	for (unsigned i = 0; i < 2 * EVENT_LOG_KEPT; i++) {
		fake_driver_set_status(&rig->driver, VIRTIO_STATUS_ACKNOWLEDGE);
		fake_driver_reset(&rig->driver);
	}
	look();
	cr_expect_eq(n_seen, EVENT_LOG_KEPT);
	cr_expect_eq(lost, EVENT_LOG_KEPT);
}

OVER_MODERN(device_events, cut_long_lists_of_features_at_a_name)
{
	char *text;

	look();
	echo_rig_start(rig);
	for (unsigned bit = 0; bit < FEATURES_BITS; bit++)
		features_add(&rig->dev->negotiation.accepted, bit);
	virtio_device_note_features(rig->dev);
	look();
	text = seen[n_seen - 1].text;
	cr_expect_eq(seen[n_seen - 1].kind, EVENT_FEATURES);
	cr_expect_gt(strlen(text), EVENT_TEXT_SIZE / 2);
	cr_expect_str_eq(text + strlen(text) - 4, " ...");
	*(strrchr(text, ' ')) = '\0';
	cr_expect_neq(text[strlen(text) - 1], '_', "half a name: %s", text);
	rig->dev->negotiation.accepted = echo_rig_ring_features();
}
