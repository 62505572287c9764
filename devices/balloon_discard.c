#include "devices/balloon_discard.h"

#include <errno.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"

/* Failures of the host that may be over next time. */
static bool may_pass(int err)
{
	return err == EINTR || err == EAGAIN || err == ENOMEM;
}

static void refused(struct balloon_discard *d, int err)
{
	if (!may_pass(err))
		atomic_store(&d->useless, true);
	if (!atomic_exchange(&d->told, true))
		log_warning("%s: the host does not take memory back (%s); the guest is served all "
			    "the same", d->name, error_name(err));
}

/* A range that is RAM. */
static void discard_range(struct balloon_discard *d, gpa_t gpa, uint64_t len)
{
	uint64_t freed;
	int r;

	if (atomic_load(&d->useless))
		return;
	r = guest_memory_discard(d->memory, gpa, len, &freed);
	if (r == 0) {
		atomic_fetch_add(&d->bytes, freed);
		return;
	}
	if (r != -EBUSY && r != -EFAULT)
		refused(d, -r);
	error_clear();
}

/* Adjacent frames; where RAM ends between them, each part. */
static void discard_run(struct balloon_discard *d, uint32_t frame, uint32_t n)
{
	gpa_t gpa = (gpa_t)frame << BALLOON_PAGE_SHIFT;
	uint64_t len = (uint64_t)n << BALLOON_PAGE_SHIFT;

	while (len > 0) {
		uint64_t room = min_u64(guest_memory_room(d->memory, gpa), len);

		if (room > 0)
			discard_range(d, gpa, room);
		else
			room = BALLOON_PAGE;
		gpa += room;
		len -= room;
	}
}

/* By insertion: lists are short, and those of drivers often are in order for long stretches. */
static void sort(uint32_t *frame, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		uint32_t f = frame[i];
		unsigned at = i;

		for (; at > 0 && frame[at - 1] > f; at--)
			frame[at] = frame[at - 1];
		frame[at] = f;
	}
}

void balloon_discard_frames(struct balloon_discard *d, uint32_t *frame, unsigned n)
{
	sort(frame, n);
	for (unsigned i = 0; i < n;) {
		uint32_t first = frame[i], last = first;

		while (++i < n && frame[i] - last <= 1)
			last = frame[i];
		discard_run(d, first, last - first + 1);
	}
}

void balloon_discard_buffer(struct balloon_discard *d, const void *host, uint64_t len)
{
	gpa_t gpa;

	if (guest_memory_locate(d->memory, host, &gpa))
		discard_range(d, gpa, len);
}
