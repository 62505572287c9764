/*
 * The machine: KVM's VM, RAM, buses, interrupts, PCI root and vCPUs.  It knows no device; devices
 * are put on its buses by the program (vmm/vm.c).
 *
 * Locking: the machine lock protects every register, bus and the PCI root.  vCPU threads take it to
 * touch registers, the main thread to change them.  I/O threads never take it.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"
#include "vmm/machine/acpi.h"
#include "vmm/machine/bus.h"
#include "vmm/machine/dma.h"
#include "vmm/machine/doorbell.h"
#include "vmm/machine/guest_memory.h"
#include "vmm/machine/irq_chip.h"
#include "vmm/machine/numa.h"
#include "vmm/machine/pci.h"
#include "vmm/machine/smbios.h"

struct vcpu;
struct machine_run;

/*
 * What ended, or interrupted, the guest's run.  The program's policies turn it into an exit
 * status.
 */
enum machine_outcome {
	MACHINE_RUNNING,
	MACHINE_POWEROFF,	/* ACPI S5 */
	MACHINE_REBOOT,		/* reset register, i8042, CF9 */
	MACHINE_HALT,		/* every vCPU halted with interrupts off */
	MACHINE_PANIC,		/* pvpanic */
	MACHINE_TRIPLE_FAULT,
	MACHINE_CRASH,		/* KVM internal error, failed entry: 'detail' says which */
	MACHINE_EXIT,		/* exit port: 'status' is the guest's 32-bit value */
	MACHINE_STOPPED,	/* the host asked: escape key, signal, time limit */
};

struct machine_config {
	const char *kvm_path;		/* "/dev/kvm" */
	uint64_t memory_size;		/* bytes, multiple of 4 KiB, >= 1 MiB */
	unsigned n_vcpus;		/* 1 to LAYOUT_MAX_VCPUS */
	unsigned threads_per_core, cores_per_socket;	/* 0: one socket, one thread per core */
	bool prefault;			/* touch all memory at start */
	struct memory_kind memory_kind;
	const struct numa *numa;	/* NULL: no nodes; borrowed */
	/* Lists as cpu_features_check takes them; borrowed. */
	const char *const *cpu_features;
	unsigned n_cpu_features;
	/* Where thread i may run, NULL: anywhere; n_vcpus of them, or NULL; borrowed. */
	const cpu_set_t *const *vcpu_cpus;
};

struct machine {
	pthread_mutex_t lock;
	int kvm_fd, vm_fd;
	unsigned n_vcpus;
	struct vcpu *vcpu[64];
	struct guest_memory memory;
	struct dma dma;			/* identity */
	struct bus pio, mmio;
	struct irq_chip *irq;
	struct doorbells doorbells;
	struct pci_root pci;
	uint8_t apic_id[64];		/* of each vCPU; equals the id given to KVM */
	struct acpi_config acpi;	/* what the tables describe; filled in by the program */
	struct smbios_config smbios;	/* likewise */
	struct event_loop *main_loop;	/* keeps */

	atomic_bool has_exited;		/* a vCPU left the guest for the first time */

	/* Set by machine_report; read by the main thread after on_outcome ran. */
	_Atomic(enum machine_outcome) outcome;
	uint32_t status;		/* of MACHINE_EXIT */
	char detail[160];		/* of MACHINE_CRASH */
	void (*on_outcome)(void *arg);	/* runs on the main loop, no lock held */
	void *on_outcome_arg;
	struct event_post outcome_post;

	struct machine_run *run;	/* what keeps the vCPUs going and out: machine.c's own */
};

/*
 * Open KVM, check what Vireo needs of it, create the VM, its memory, irqchip, PIT, buses, PCI
 * root and vCPUs (not yet running).  Error codes keep their meaning for the exit status: -ENOENT,
 * -EACCES, -ENODEV and friends for /dev/kvm carry error_hint() with the fix.
 *
 * Returns 0 and an owned machine, or -errno with an error chain.
 */
MUST_USE int machine_create(struct machine **out, const struct machine_config *config,
			    struct event_loop *main_loop);
/* Stop the vCPUs and free everything.  NULL and half-built are fine. */
void machine_destroy(struct machine *m);

void machine_lock(struct machine *m);
void machine_unlock(struct machine *m);
/* For who must not wait for a guest's CPU: false if the lock was not to be had in 'ms'. */
MUST_USE bool machine_lock_within(struct machine *m, unsigned ms);

/* Where the boot processor starts; filled by the loaders (boot.h). */
enum boot_mode { BOOT_MODE_LONG64, BOOT_MODE_PROTECTED32 };
struct boot_entry {
	enum boot_mode mode;
	uint64_t rip, rsp;
	uint64_t rsi;			/* LONG64: zero page */
	uint64_t rax, rbx;		/* PROTECTED32: multiboot magic, info; PVH: -, start info */
};

/* Set the boot processor's registers; the others wait for INIT/SIPI.  Before machine_start or after
 * machine_reset.  Returns 0 or -errno with a chain. */
MUST_USE int machine_set_entry(struct machine *m, const struct boot_entry *entry);

/* Start the vCPU threads.  Returns 0 or -errno with an error chain. */
MUST_USE int machine_start(struct machine *m);

/*
 * Bring every vCPU out of the guest and keep it out / let it go on.  machine_pause returns when
 * no vCPU runs guest code or holds the machine lock.  Main thread, lock not held.  Idempotent.
 */
void machine_pause(struct machine *m);
void machine_resume(struct machine *m);

/*
 * The same for somebody outside, who may be away for days; a pause for the machine's own sake
 * comes and goes in between.  machine_hold waits 'ms' at most and says whether every vCPU is out;
 * if not, those follow as soon as they can: machine_is_held asks again.  machine_release tells
 * the guest's clock that it stood (KVM_KVMCLOCK_CTRL), so that no watchdog barks.  Main thread,
 * lock not held.  Idempotent.
 */
bool machine_hold(struct machine *m, unsigned ms);
bool machine_is_held(struct machine *m);
void machine_release(struct machine *m);

/*
 * The same for somebody who only looks, for moments: machine_catch waits 'ms' at most for the vCPUs
 * and returns how many are still in the guest; the registers of the others can be read
 * (machine_cpu_state) until machine_let_go.  Main thread, lock not held.
 */
unsigned machine_catch(struct machine *m, unsigned ms);
void machine_let_go(struct machine *m);

/*
 * A non-maskable interrupt for the boot processor, as from a button.  Returns 0 or, with an error
 * chain, -EAGAIN (the vCPUs were not out in 'ms') or -errno.  Main thread, lock not held.
 */
MUST_USE int machine_send_nmi(struct machine *m, unsigned ms);

/*
 * Put CPUs, irqchip, PIT and clock back to power-on state and forget the outcome; paused, devices
 * already reset by the caller (pci_root_reset included).  Memory is the caller's
 * (guest_memory_clear).  Main thread.  Returns 0 or -errno with an error chain.
 */
MUST_USE int machine_reset(struct machine *m);

/*
 * Report what happened to the guest.  The first report since start or reset counts, later ones
 * are ignored; vCPUs leave the guest soon after; on_outcome runs on the main loop.  'detail' may
 * be NULL.  Any thread, lock held or not.
 */
void machine_report(struct machine *m, enum machine_outcome outcome, uint32_t status,
		    const char *detail);

/* One line per vCPU for people: RIP, mode, halted or not.  Paused.  Main thread. */
void machine_describe_vcpus(struct machine *m, char *buf, size_t size);

#endif
