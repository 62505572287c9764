/*
 * The host ends of the guest's consoles, as the configuration names them.  Two consoles that
 * lead to the same place share one chardev.
 */
#ifndef VMM_CONSOLES_H
#define VMM_CONSOLES_H

#include "devices/chardev.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/fd.h"
#include "vmm/base/util.h"
#include "vmm/config.h"

struct consoles {
	struct chardev *serial;		/* NULL: no such device */
	struct chardev *console;	/* NULL: likewise; may be the same as 'serial' */
	int serial_fd, console_fd;	/* of files */
};
#define CONSOLES_INIT { .serial_fd = FD_NONE, .console_fd = FD_NONE }

/* Sees what is typed on standard input before the guest does; the form of chardev_config. */
struct consoles_filter {
	size_t (*filter)(void *arg, uint8_t *buf, size_t len);	/* or NULL */
	void *arg;
};

/* Gets a copy of what the guest says on them; the form of chardev_config. */
struct consoles_copy {
	void (*copy)(void *arg, const uint8_t *buf, size_t len);	/* or NULL */
	void *arg;
};

/*
 * Open what the targets name: files are made or emptied.  'c' is CONSOLES_INIT before.
 *
 * Returns 0 or -errno with an error chain (consoles_close is then still to be called).
 */
MUST_USE int consoles_open(struct consoles *c, const struct vm_config *config,
			   struct event_loop *main_loop, const struct consoles_filter *filter,
			   const struct consoles_copy *copy);

/* The same for a VM that is only looked at: they lead nowhere, no file is touched. */
MUST_USE int consoles_pretend(struct consoles *c, const struct vm_config *config,
			      struct event_loop *main_loop);

/* Does a console lead to standard input and output? */
bool consoles_use_stdio(const struct vm_config *config);

/* Wait until all output has left, until 'deadline_ms' at most.  Main thread, loop not running. */
void consoles_drain(struct consoles *c, uint64_t deadline_ms);

/* Close everything.  Nobody uses the chardevs any more. */
void consoles_close(struct consoles *c);

#endif
