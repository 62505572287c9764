/*
 * What somebody outside may ask of a running VM, and tell it: for the control socket.  Nothing here
 * waits for the guest longer than VM_CONTROL_MS.  All calls: main thread, machine lock not held.
 */
#ifndef VMM_VM_CONTROL_H
#define VMM_VM_CONTROL_H

#include "devices/virtio_balloon.h"
#include "vmm/vm.h"

enum { VM_CONTROL_MS = 100, VM_CONTROL_MAX_QUEUES = 256 };

enum vm_state {
	VM_RUNNING,
	VM_PAUSING,		/* asked to, but not every CPU is out of the guest yet */
	VM_PAUSED,
	VM_ENDED,		/* the guest's run is over, or it never began */
};

enum vm_state vm_state(struct vm *vm);
/* "running". */
const char *vm_state_name(enum vm_state state);

/*
 * No CPU runs until vm_continue.  Devices finish what the guest gave them; what arrives for it
 * meanwhile waits in its buffers, as far as there are any.  The guest's clock goes on, and it is
 * told that it stood (so that no watchdog barks).  Idempotent.
 *
 * Returns 0; with an error chain -EINPROGRESS (VM_PAUSING) or -ECHILD: nothing runs here.
 */
MUST_USE int vm_pause(struct vm *vm);
MUST_USE int vm_continue(struct vm *vm);

/*
 * Have its power button pressed / send the boot processor an NMI.  Returns 0; -ECHILD: nothing
 * runs here; -EAGAIN: a CPU of the guest keeps the machine busy, ask again; -errno.  With an error
 * chain.
 */
MUST_USE int vm_push_power_button(struct vm *vm);
MUST_USE int vm_send_nmi(struct vm *vm);

/*
 * Have the other datapath of device 'name' move its buffers, for all of its parts that have one.
 * Returns 0; -ENOENT: there is no such device; -EAGAIN, -ECHILD as above; what
 * virtio_device_switch() returns.  With an error chain.
 */
MUST_USE int vm_switch_device(struct vm *vm, const char *name);

/*
 * Plug the cable of network interface 'name' in or out.  Returns 0; -ENOENT, -EAGAIN, -ECHILD;
 * -EOPNOTSUPP: it is no network interface.  With an error chain.
 */
MUST_USE int vm_set_link(struct vm *vm, const char *name, bool up);

/*
 * Ask the balloon 'name' for 'bytes' / where it stands.  Returns 0; -ENOENT, -EAGAIN, -ECHILD;
 * -EOPNOTSUPP: it is no balloon; -EINVAL from virtio_balloon_set_target().  With an error chain.
 */
MUST_USE int vm_set_balloon(struct vm *vm, const char *name, uint64_t bytes);
MUST_USE int vm_balloon(struct vm *vm, const char *name, struct virtio_balloon_info *info);

/* A queue as its registers and, if they can be read, its rings are now. */
struct vm_queue {
	unsigned index;
	uint16_t size, size_max;
	bool enabled;
	const char *datapath;	/* who moves its buffers; keeps: as long as the VM */
	/* Of a split ring that is enabled, in memory as the guest sees it. */
	bool has_indexes;
	uint16_t made_available, used;	/* free-running */
};

/* Returns 0 and '*n' queues in 'out'; -ENOENT, -EAGAIN with an error chain. */
MUST_USE int vm_queues(struct vm *vm, const char *name,
		       struct vm_queue out[VM_CONTROL_MAX_QUEUES], unsigned *n);

/* The guest's memory, in bytes: all of it, and what the host has given for it so far. */
void vm_guest_memory(struct vm *vm, uint64_t *size, uint64_t *resident);

#endif
