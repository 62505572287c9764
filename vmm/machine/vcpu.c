#include "vmm/machine/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "vmm/base/error.h"
#include "vmm/base/event_log.h"
#include "vmm/base/fd.h"
#include "vmm/base/thread_list.h"
#include "vmm/machine/x86/msr.h"

enum {
	JOIN_RETRY_MS = 20,
	RFLAGS_IF = 1 << 9,
};

int vcpu_create(struct vcpu **out, struct machine *m, struct gate *gate, unsigned index,
		struct cpuid *cpuid, const struct topology *topology, size_t run_size)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));
	uint32_t id = m->apic_id[index];
	void *run;
	int r;

	*out = NULL;
	if (!vcpu)
		return error_set(ENOMEM, "create vCPU %u", index);
	vcpu->machine = m;
	vcpu->gate = gate;
	vcpu->index = index;
	vcpu->fd = ioctl(m->vm_fd, KVM_CREATE_VCPU, (unsigned long)id);
	if (vcpu->fd < 0) {
		r = error_set(errno, "create a vCPU with APIC id %u (KVM_CREATE_VCPU)", id);
		goto fail;
	}
	run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED) {
		r = error_set(errno, "map the vCPU's exit page");
		goto fail;
	}
	vcpu->run = run;
	vcpu->run_size = run_size;
	cpuid_set_apic_id(cpuid, topology, id);
	r = cpuid_apply(cpuid, vcpu->fd);
	if (r == 0)
		r = cpu_power_on_save(&vcpu->power_on, vcpu->fd);
	if (r == 0)
		r = msr_set_boot(vcpu->fd, index == 0);
	if (r < 0)
		goto fail;
	*out = vcpu;
	return 0;
fail:
	vcpu_destroy(vcpu);
	return error_add(r, "create vCPU %u", index);
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (!vcpu)
		return;
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	fd_close(&vcpu->fd);
	free(vcpu);
}

static int kick_signal(void)
{
	return SIGRTMIN;
}

static void on_kick(int signal)
{
	/* Only its arrival matters: it ends KVM_RUN. */
	(void)signal;
}

int vcpu_setup_signals(void)
{
	struct sigaction action = { .sa_handler = on_kick, .sa_flags = SA_RESTART };

	if (sigaction(kick_signal(), &action, NULL) < 0)
		return error_set(errno, "install the handler of the vCPUs' signal");
	return 0;
}

static void set_immediate_exit(struct vcpu *vcpu, bool on)
{
	__atomic_store_n(&vcpu->run->immediate_exit, on, __ATOMIC_SEQ_CST);
}

/*
 * The gate was closed before.  Either the vCPU sees that after it cleared immediate_exit, or our
 * store comes after its clearing: then KVM_RUN returns at once; and if it has already looked at
 * the flag, the signal that follows ends it.  A thread that cannot be kicked yet has still to
 * look at the gate.
 */
void vcpu_kick(struct vcpu *vcpu)
{
	if (!atomic_load(&vcpu->can_be_kicked))
		return;
	set_immediate_exit(vcpu, true);
	pthread_kill(vcpu->self, kick_signal());
}

static void note_first_exit(struct vcpu *vcpu)
{
	struct machine *m = vcpu->machine;

	if (!atomic_load_explicit(&m->has_exited, memory_order_relaxed) &&
	    !atomic_exchange(&m->has_exited, true))
		event_note(EVENT_FIRST_EXIT, NULL, vcpu->index, "%s", "");
}

/* Returns false when the vCPU has left the guest without an exit that needs serving. */
static bool enter_guest(struct vcpu *vcpu)
{
	if (ioctl(vcpu->fd, KVM_RUN, 0) == 0) {
		vcpu->exit_pending = true;
		note_first_exit(vcpu);
		vcpu_stats_count(&vcpu->stats, vcpu->run);
		return true;
	}
	vcpu->exit_pending = false;
	vcpu_stats_count_interrupted(&vcpu->stats);
	/* EAGAIN: a processor that waited for INIT or SIPI got it. */
	if (errno != EINTR && errno != EAGAIN)
		vcpu_run_failed(vcpu, errno);
	return false;
}

/*
 * Finish the instruction whose access was served last, so that the registers are those between two
 * instructions.  An access can consist of several exits.
 */
static void finish_exit(struct vcpu *vcpu)
{
	while (vcpu->exit_pending && !(gate_reasons(vcpu->gate) & GATE_QUIT)) {
		set_immediate_exit(vcpu, true);
		if (enter_guest(vcpu))
			vcpu_handle_exit(vcpu);
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	pthread_setname_np(pthread_self(), name);
	thread_list_add(name);
	vcpu->self = pthread_self();
	atomic_store(&vcpu->can_be_kicked, true);
	for (;;) {
		set_immediate_exit(vcpu, false);
		if (gate_reasons(vcpu->gate)) {
			finish_exit(vcpu);
			atomic_store(&vcpu->at_gate, true);
			bool goes_on = gate_pass(vcpu->gate);
			atomic_store(&vcpu->at_gate, false);
			if (!goes_on)
				break;
		} else if (enter_guest(vcpu)) {
			vcpu_handle_exit(vcpu);
		}
	}
	thread_list_remove();
	return NULL;
}

/*
 * All signals are the main thread's but the kick, and those that a thread gets for what it did
 * itself: blocked, they would kill Vireo without a word.
 */
static void thread_signals(sigset_t *blocked)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT };

	sigfillset(blocked);
	for (unsigned i = 0; i < ARRAY_SIZE(own); i++)
		sigdelset(blocked, own[i]);
	sigdelset(blocked, kick_signal());
}

int vcpu_start(struct vcpu *vcpu)
{
	pthread_attr_t attr;
	sigset_t blocked;
	int r;

	gate_add_thread(vcpu->gate);
	thread_signals(&blocked);
	pthread_attr_init(&attr);
	pthread_attr_setsigmask_np(&attr, &blocked);
	if (vcpu->is_pinned)
		pthread_attr_setaffinity_np(&attr, sizeof(vcpu->cpus), &vcpu->cpus);
	r = pthread_create(&vcpu->thread, &attr, vcpu_thread, vcpu);
	pthread_attr_destroy(&attr);
	if (r) {
		gate_remove_thread(vcpu->gate);
		return error_set(r, "start the thread of vCPU %u", vcpu->index);
	}
	vcpu->has_thread = true;
	return 0;
}

void vcpu_join(struct vcpu *vcpu)
{
	struct timespec until;

	if (!vcpu->has_thread)
		return;
	do {
		vcpu_kick(vcpu);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += JOIN_RETRY_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
	} while (pthread_timedjoin_np(vcpu->thread, NULL, &until) != 0);
	vcpu->has_thread = false;
	atomic_store(&vcpu->can_be_kicked, false);
}

uint64_t vcpu_cpu_ns(const struct vcpu *vcpu)
{
	struct timespec ts;
	clockid_t clock;

	if (!vcpu->has_thread || pthread_getcpuclockid(vcpu->thread, &clock) != 0 ||
	    clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

enum vcpu_rest vcpu_rest(const struct vcpu *vcpu)
{
	struct kvm_mp_state mp;
	struct kvm_regs regs;
	struct kvm_vcpu_events events;

	/* Reading it first makes KVM take in INIT, SIPI and wake-ups that have arrived. */
	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp) < 0)
		return VCPU_BUSY;
	if (mp.mp_state == KVM_MP_STATE_UNINITIALIZED || mp.mp_state == KVM_MP_STATE_INIT_RECEIVED)
		return VCPU_NOT_STARTED;
	if (mp.mp_state != KVM_MP_STATE_HALTED ||
	    ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 || (regs.rflags & RFLAGS_IF) ||
	    ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events) < 0 ||
	    events.nmi.pending || events.nmi.injected || events.smi.pending)
		return VCPU_BUSY;
	return VCPU_HALTED;
}

void vcpu_describe(const struct vcpu *vcpu, char *buf, size_t size)
{
	static const char *const state[] = {
		[KVM_MP_STATE_RUNNABLE] = "running",
		[KVM_MP_STATE_UNINITIALIZED] = "not started",
		[KVM_MP_STATE_INIT_RECEIVED] = "waits for SIPI",
		[KVM_MP_STATE_HALTED] = "halted",
		[KVM_MP_STATE_SIPI_RECEIVED] = "starting",
	};
	struct kvm_mp_state mp;
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp) < 0 ||
	    ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 ||
	    ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0) {
		snprintf(buf, size, "vcpu%u: state cannot be read", vcpu->index);
		return;
	}
	snprintf(buf, size,
		 "vcpu%u: RIP 0x%llx RSP 0x%llx CR3 0x%llx, %s, CPL %u, interrupts %s, %s",
		 vcpu->index, (unsigned long long)regs.rip, (unsigned long long)regs.rsp,
		 (unsigned long long)sregs.cr3,
		 sregs.cs.l ? "64-bit" : sregs.cs.db ? "32-bit" : "16-bit", sregs.cs.dpl,
		 regs.rflags & RFLAGS_IF ? "on" : "off",
		 mp.mp_state < ARRAY_SIZE(state) && state[mp.mp_state] ? state[mp.mp_state] :
									 "in an unknown state");
}
