/*
 * Telling who started Vireo how it goes: the notification socket of a service manager,
 * sd_notify(3).  NOTIFY_SOCKET names it; without that nothing is told.
 */
#ifndef VMM_NOTIFY_H
#define VMM_NOTIFY_H

#include "vmm/base/fd.h"
#include "vmm/base/util.h"

struct notify {
	int fd;		/* connected, so that the sandbox need not allow more than write */
};
#define NOTIFY_INIT { .fd = FD_NONE }

/*
 * Connect to the socket that 'address' (the value of NOTIFY_SOCKET, NULL if there is none) names: a
 * path, or '@' and an abstract name.  'n' is NOTIFY_INIT before.
 *
 * Returns 0, also if there is nobody to tell; -EAFNOSUPPORT for another kind of address,
 * -ENAMETOOLONG or what the system says, with an error chain: nothing will be told then.
 */
MUST_USE int notify_open(struct notify *n, const char *address);

/* The same with the environment's address; an error is a warning: the guest can run without. */
void notify_find(struct notify *n);

/*
 * Tell 'state' ("READY=1", or NULL: only the rest) and a sentence for people.  Bytes that would end
 * it, or that are none of a text, become '?'; it is cut off after NOTIFY_TEXT_MAX bytes.  A manager
 * that does not read is waited for a second at most, then it is not told.  Any thread; works in the
 * sandbox.
 */
enum { NOTIFY_TEXT_MAX = 256 };
void notify_say(struct notify *n, const char *state, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* NOTIFY_INIT is fine. */
void notify_close(struct notify *n);

#endif
