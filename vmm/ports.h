/*
 * The host ends of the console device's named ports, as the configuration names them: descriptors
 * that were given to us, Unix sockets that we listen at, files, the guest's exit status.
 *
 * Main thread.
 */
#ifndef VMM_PORTS_H
#define VMM_PORTS_H

#include "devices/virtio_models.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"
#include "vmm/config.h"
#include "vmm/machine/machine.h"

struct port_end;

struct ports {
	struct port_end *end;		/* n of them, as in the configuration */
	unsigned n;
};

/*
 * Open what they name; descriptors of the configuration are consumed.  'p' is zero before.
 *
 * Returns 0 or -errno with an error chain (ports_close is then still to be called).
 */
MUST_USE int ports_open(struct ports *p, const struct vm_config *config,
			struct event_loop *main_loop);

/* The same for a VM that is only looked at: they lead nowhere, nothing is touched. */
MUST_USE int ports_pretend(struct ports *p, const struct vm_config *config,
			   struct event_loop *main_loop);

/* What the console device is made of; 'out' has room for VIRTIO_MAX_PORTS. */
void ports_describe(const struct ports *p, struct virtio_port_config *out);

/* The device that they belong to (kept), and the machine whose end a status is.  Before it runs. */
void ports_connect(struct ports *p, struct virtio_device *console);
void ports_set_machine(struct ports *p, struct machine *m);

/* Does any of them listen at a socket? */
bool ports_listen(const struct ports *p);

/* Wait until all output has left, until 'deadline_ms' (clock_now_ms) at most.  Loop not running. */
void ports_drain(struct ports *p, uint64_t deadline_ms);

/* Close everything.  The device is gone. */
void ports_close(struct ports *p);

#endif
