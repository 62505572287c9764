/*
 * Sessions of free page hinting: their command ids, which hints count, and when a session is over.
 *
 * A hint says that a page was free after the session's id was given out; the guest may use the page
 * again at any time, and what it writes then counts.  Whether it has is not known here (that takes
 * dirty tracking), so hints never discard anything: they are counted, and tell how much of the
 * guest's memory a snapshot could leave out or a balloon could ask for.  As nothing depends on the
 * pages, a session whose driver has named them all is DONE at once.
 *
 * Which thread: "control" is the control path (machine lock held), "owner" the loop of the hinting
 * queue.  No I/O, no allocation.
 *
 * virtio-v1.4 5.5.6.5 "Free Page Hinting"
 */
#ifndef DEVICES_BALLOON_HINTS_H
#define DEVICES_BALLOON_HINTS_H

#include <stdatomic.h>

#include "vmm/base/util.h"

/* Values of free_page_hint_cmd_id; sessions are numbered from HINT_FIRST_ID up. */
enum { HINT_STOP = 0, HINT_DONE = 1, HINT_FIRST_ID = 2 };

struct balloon_hints {
	/* Written by control. */
	_Atomic uint32_t wanted;	/* whose pages count; HINT_STOP: nobody's */
	uint32_t last_id;		/* given out last, 0 for none; kept over resets */
	/* Written by owner. */
	_Atomic uint32_t driver_id;	/* what the driver sent last */
	_Atomic uint32_t finished;	/* the session that it ended last */
	_Atomic uint64_t bytes;		/* named in the session that counts */
};

/* The driver is gone.  Control, the queue does not run. */
void balloon_hints_reset(struct balloon_hints *hints);

/*
 * Begin a session, also instead of one that runs.  Returns its id, which is to be published; 0 when
 * an id would have to be used again that the driver may still be working on.  Control.
 */
uint32_t balloon_hints_begin(struct balloon_hints *hints);

/*
 * No more hints, please.  Returns what is to be published: HINT_STOP while the driver is still
 * naming pages (HINT_DONE follows when it has stopped), else HINT_DONE.  Control.
 */
uint32_t balloon_hints_end(struct balloon_hints *hints);

/*
 * After balloon_hints_command() returned true: is HINT_DONE to be published now?  Not if another
 * session began in between.  Then hints do not count any more.  Control.
 */
bool balloon_hints_settle(struct balloon_hints *hints);

/* The driver sent command 'id'.  Returns true if that ended a session: settle is due.  Owner. */
bool balloon_hints_command(struct balloon_hints *hints, uint32_t id);

/*
 * Count the whole 4 KiB pages in a buffer at 'addr', if the driver is in the session that counts.
 * Owner.
 */
void balloon_hints_page(struct balloon_hints *hints, uintptr_t addr, uint64_t len);

#endif
