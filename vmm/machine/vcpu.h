/*
 * One virtual processor: KVM's vCPU and the thread that runs it.  The thread enters the guest,
 * serves what makes it exit (vcpu_exit.c), and waits at the machine's gate when it shall stay
 * out.
 */
#ifndef MACHINE_VCPU_H
#define MACHINE_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>

#include "vmm/base/util.h"
#include "vmm/machine/gate.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/vcpu_stats.h"
#include "vmm/machine/x86/cpu_reset.h"
#include "vmm/machine/x86/cpuid.h"

struct vcpu {
	struct machine *machine;	/* keeps */
	struct gate *gate;		/* keeps */
	unsigned index;
	int fd;
	struct kvm_run *run;		/* the vCPU's thread only; immediate_exit: any thread */
	size_t run_size;
	pthread_t thread;		/* main thread: valid while 'has_thread' */
	bool has_thread;
	bool is_pinned;			/* to 'cpus' */
	cpu_set_t cpus;
	pthread_t self;			/* who kicks: valid while 'can_be_kicked' */
	atomic_bool can_be_kicked;
	/*
	 * KVM finishes the access of the last exit at the next entry only; until then registers are
	 * those in the middle of an instruction.  vCPU's thread.
	 */
	bool exit_pending;
	/*
	 * It waits at the gate or has just passed it, and its registers can be asked for; whoever
	 * closed the gate before it looked knows that it stays.  Any thread.
	 */
	atomic_bool at_gate;
	struct cpu_power_on power_on;
	struct vcpu_stats stats;
};

/* What a vCPU does that is out of the guest. */
enum vcpu_rest {
	VCPU_BUSY,		/* it would go on */
	VCPU_HALTED,		/* halted with interrupts off: only NMI, INIT or reset wake it */
	VCPU_NOT_STARTED,	/* waits for INIT or SIPI */
};

/*
 * Create vCPU 'index' of 'm' with the id m->apic_id[index] and CPUID 'cpuid', in its power-on
 * state. 'run_size' is what KVM_GET_VCPU_MMAP_SIZE said.
 *
 * Returns 0 and an owned vCPU, or -errno with an error chain.
 */
MUST_USE int vcpu_create(struct vcpu **out, struct machine *m, struct gate *gate, unsigned index,
			 struct cpuid *cpuid, const struct topology *topology, size_t run_size);

/* Free a vCPU whose thread has ended (vcpu_join).  NULL and half-built are fine. */
void vcpu_destroy(struct vcpu *vcpu);

/*
 * Start the thread, which goes to the gate first.  vcpu_setup_signals comes before the first one.
 * Returns 0 or -errno with an error chain.
 */
MUST_USE int vcpu_start(struct vcpu *vcpu);

/*
 * Install the handler of the signal that vcpu_kick sends.  Returns 0 or -errno with an error
 * chain.
 */
MUST_USE int vcpu_setup_signals(void);

/*
 * Make the vCPU leave the guest and look at the gate, which the caller has closed.  Never lost: a
 * vCPU that is just about to enter comes out at once.  Does nothing without a thread.  Any
 * thread.
 */
void vcpu_kick(struct vcpu *vcpu);

/* After gate_dismiss: kick until the thread has ended. */
void vcpu_join(struct vcpu *vcpu);

/* The CPU time that the thread has used, 0 without one.  Any thread. */
uint64_t vcpu_cpu_ns(const struct vcpu *vcpu);

/* For a vCPU that waits at the gate: what it does, and one line about it.  Any thread. */
enum vcpu_rest vcpu_rest(const struct vcpu *vcpu);
void vcpu_describe(const struct vcpu *vcpu, char *buf, size_t size);

/* Serve the exit that vcpu->run describes (vcpu_exit.c).  vCPU's thread, lock not held. */
void vcpu_handle_exit(struct vcpu *vcpu);

/* KVM_RUN itself failed with 'err' (vcpu_exit.c).  Same thread. */
void vcpu_run_failed(struct vcpu *vcpu, int err);

#endif
