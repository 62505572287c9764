/*
 * The shared folders of a VM: a virtiofsd is started for each that has a 'path' (virtiofsd.h, by
 * the launcher), what it says is kept for messages, and when it ends another one is started: up to
 * SHARES_RESTARTS times within SHARES_WINDOW_MS, then the device needs a reset.
 *
 * Main thread.
 */
#ifndef VMM_SHARES_H
#define VMM_SHARES_H

#include "virtio/virtio_device.h"
#include "vmm/base/event_loop.h"
#include "vmm/config.h"
#include "vmm/outcome.h"

enum { SHARES_RESTARTS = 3, SHARES_WINDOW_MS = 60000, SHARES_START_MS = 10000 };

struct shares;

/*
 * Start them.  Before threads are made.  'config' and 'main' are kept.  Without shares there is
 * nothing: '*out' is NULL.
 *
 * Returns 0 or -errno with an error chain and, in '*blame', what it is about.
 */
MUST_USE int shares_create(struct shares **out, const struct vm_config *config,
			   struct event_loop *main, enum outcome_blame *blame);
/* End them all; their devices are gone.  NULL is fine. */
void shares_destroy(struct shares *s);

/*
 * The device of share 'i', reached by its virtiofsd.  'loop' is kept.  Returns 0 or -errno with an
 * error chain that has the virtiofsd's last words.
 */
MUST_USE int shares_create_device(struct shares *s, unsigned i, struct event_loop *loop,
				  struct virtio_device **out);

/* Judge share 'i' without starting anything, and make a device to look at. */
MUST_USE int shares_look(const struct vm_config *config, unsigned i, struct event_loop *loop,
			 struct virtio_device **out, enum outcome_blame *blame);

/* Once the machine is there: a virtiofsd that ends is followed by another from now on. */
void shares_watch(struct shares *s, struct machine *machine);

#endif
