/*
 * A virtual machine made from a configuration: the machine, its devices on their buses, the I/O
 * threads and the kernel.  All calls: main thread, machine lock not held.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"
#include "vmm/config.h"
#include "vmm/consoles.h"
#include "vmm/machine/machine.h"
#include "vmm/outcome.h"

struct device_account;
struct vm;

/* What the program brings; borrowed during vm_create, what it points to is kept. */
struct vm_host {
	struct event_loop *main_loop;
	struct consoles_filter filter;
	struct consoles_copy copy;	/* of what the guest says on any console; or none */
	void (*ended)(void *arg);	/* on the main loop: vm_outcome() has something to say */
	void *arg;
};

/*
 * Build it, loaded and ready for vm_start.  Files first, then the host's facilities, so that the
 * first mistake that is told is the user's.  'config' is kept.
 *
 * Returns 0 and an owned VM, or -errno with an error chain and, in '*blame', what it is about.
 */
MUST_USE int vm_create(struct vm **out, const struct vm_config *config, const struct vm_host *host,
		       enum outcome_blame *blame);

/*
 * Make only the devices, to look at what they would offer: no KVM, no kernel, no lock on a disk, no
 * console.  Of the other functions here only vm_accounts and vm_destroy may be called.
 *
 * Returns 0 and an owned VM, or -errno with an error chain and, in '*blame', what it is about.
 */
MUST_USE int vm_look(struct vm **out, const struct vm_config *config, struct event_loop *main_loop,
		     enum outcome_blame *blame);

/*
 * Called for each device that cannot be made: object 'item' of 'section', or whose demands for
 * feature bits cannot be met.  The error chain says why; the callee clears it.
 */
typedef void vm_found_fn(void *arg, const char *section, unsigned item, enum outcome_blame blame);

/*
 * Look at each device as vm_look does, and go on where one cannot be made.  Returns 0, whatever was
 * found; or -errno with an error chain when it could not be looked.
 */
MUST_USE int vm_examine(const struct vm_config *config, struct event_loop *main_loop,
			vm_found_fn *found, void *arg);

/* What of the sandbox's optional calls (SANDBOX_...) its devices need. */
unsigned vm_sandbox_needs(const struct vm *vm);

/* Let the guest run.  Returns 0 or -errno with an error chain. */
MUST_USE int vm_start(struct vm *vm);

/* What happened to the guest, judged by the policies of its configuration. */
struct outcome vm_outcome(struct vm *vm);

/*
 * System reset: everything back to power-on state, the kernel loaded again, running again.
 * Works in the sandbox.  Returns 0 or -errno with an error chain: nothing runs then.
 */
MUST_USE int vm_reset(struct vm *vm);

/* No CPU runs any more, for good; devices are as the guest left them. */
void vm_halt(struct vm *vm);

/* Stop the guest for good, and let its console's last words out. */
void vm_stop(struct vm *vm);

/* One line per CPU about where it is; after vm_stop. */
void vm_describe_cpus(struct vm *vm, char *buf, size_t size);

/*
 * The account of each virtio device, as it is now.  Returns 0 and an array (to be freed) of '*n';
 * or with an error chain -ENOMEM, or -EAGAIN: a CPU of the guest kept the machine busy for 100 ms.
 */
MUST_USE int vm_accounts(struct vm *vm, struct device_account **out, unsigned *n);

/*
 * Have the other datapath of each device that has two move its buffers from now on, and say of each
 * what became of it.  The guest does not notice, nor does the caller of a failure: who moved them
 * goes on.
 */
void vm_switch_datapaths(struct vm *vm);

/* The terminal has another size now. */
void vm_resize_console(struct vm *vm, uint16_t cols, uint16_t rows);

/* Ask the guest to power off, as the button on a case does. */
void vm_press_power_button(struct vm *vm);

/* Free everything.  NULL and half-built are fine. */
void vm_destroy(struct vm *vm);

#endif
