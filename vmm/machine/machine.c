/*
 * The machine put together, and the life of its vCPUs: start, pause, reset, the end.  Each part
 * is a file of its own; kvm.c, vcpu.c and gate.c are where to read on.
 */
#include "vmm/machine/machine.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/event_log.h"
#include "vmm/base/fd.h"
#include "vmm/machine/gate.h"
#include "vmm/machine/halt_watch.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/ram_layout.h"
#include "vmm/machine/vcpu.h"
#include "vmm/machine/x86/chipset.h"
#include "vmm/machine/x86/cpu_features.h"
#include "vmm/machine/x86/cpu_reset.h"
#include "vmm/machine/x86/cpu_state.h"
#include "vmm/machine/x86/cpuid.h"
#include "vmm/machine/x86/topology.h"

enum { PAUSE_RETRY_MS = 20 };

struct machine_run {
	struct gate gate;
	struct halt_watch halt_watch;
	struct chipset_state chipset;
	bool has_vmx;
};

void machine_lock(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
}

void machine_unlock(struct machine *m)
{
	pthread_mutex_unlock(&m->lock);
}

bool machine_lock_within(struct machine *m, unsigned ms)
{
	struct timespec until = clock_in_ms(ms);

	return pthread_mutex_clocklock(&m->lock, CLOCK_MONOTONIC, &until) == 0;
}

static void kick_all(struct machine *m)
{
	for (unsigned i = 0; i < m->n_vcpus; i++)
		vcpu_kick(m->vcpu[i]);
}

/* --- Outcomes ------------------------------------------------------------------------------ */

static void deliver_outcome(struct event_post *post)
{
	struct machine *m = container_of(post, struct machine, outcome_post);

	/* A reset may have come between the report and this call. */
	if (atomic_load(&m->outcome) != MACHINE_RUNNING && m->on_outcome)
		m->on_outcome(m->on_outcome_arg);
}

void machine_report(struct machine *m, enum machine_outcome outcome, uint32_t status,
		    const char *detail)
{
	enum machine_outcome running = MACHINE_RUNNING;

	if (!atomic_compare_exchange_strong(&m->outcome, &running, outcome))
		return;
	/* The post below carries these to the main thread. */
	m->status = status;
	snprintf(m->detail, sizeof(m->detail), "%s", detail ? detail : "");
	gate_close(&m->run->gate, GATE_OUTCOME);
	kick_all(m);
	event_loop_post(m->main_loop, &m->outcome_post);
}

/* --- Halted for good? ---------------------------------------------------------------------- */

static uint64_t all_cpu_ns(void *arg)
{
	struct machine *m = arg;
	uint64_t ns = 0;

	for (unsigned i = 0; i < m->n_vcpus; i++)
		ns += vcpu_cpu_ns(m->vcpu[i]);
	return ns;
}

/* Main loop: have the vCPUs come out; the last one then calls look_for_halt. */
static void request_look(void *arg)
{
	struct machine *m = arg;

	if (gate_reasons(&m->run->gate))
		return;
	gate_close(&m->run->gate, GATE_LOOK);
	kick_all(m);
}

/*
 * Nobody is in the guest, so all processors are seen at one moment: none can wake another behind
 * our back (a spinning lock of a paravirtual guest halts with interrupts off, too, while its
 * holder runs).
 */
static void look_for_halt(void *arg)
{
	struct machine *m = arg;

	if (vcpu_rest(m->vcpu[0]) != VCPU_HALTED)
		return;
	for (unsigned i = 1; i < m->n_vcpus; i++)
		if (vcpu_rest(m->vcpu[i]) == VCPU_BUSY)
			return;
	machine_report(m, MACHINE_HALT, 0, NULL);
}

/* --- Building ------------------------------------------------------------------------------ */

/* Each node's memory from where it shall come. */
static int bind_nodes(struct guest_memory *mem, const struct numa *numa)
{
	uint64_t offset = 0;
	int r = 0;

	for (unsigned i = 0; numa && i < numa->n_nodes && r == 0; i++) {
		if (numa->host_node[i] != NUMA_ANY)
			r = guest_memory_bind(mem, offset, numa->memory[i],
					      (unsigned)numa->host_node[i]);
		offset += numa->memory[i];
	}
	return r;
}

static int create_memory(struct machine *m, const struct machine_config *config, unsigned phys_bits)
{
	struct memory_extent extent[RAM_LAYOUT_MAX_EXTENTS];
	int n = ram_layout(extent, config->memory_size, phys_bits);
	int r = n < 0 ? n : guest_memory_create_kind(&m->memory, extent, (unsigned)n,
						      &config->memory_kind);

	if (r == 0)
		guest_memory_warn(&config->memory_kind);
	if (r == 0)
		r = bind_nodes(&m->memory, config->numa);
	if (r == 0)
		r = kvm_add_memory(m->vm_fd, &m->memory);
	if (r == 0 && config->prefault)
		r = guest_memory_prefault(&m->memory);
	m->dma.memory = &m->memory;
	return r < 0 ? error_add(r, "create guest memory") : 0;
}

static int create_vcpus(struct machine *m, const struct machine_config *config,
			struct cpuid *cpuid, const struct topology *topology)
{
	int run_size = ioctl(m->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	bool tsc_deadline = kvm_capability(m->kvm_fd, KVM_CAP_TSC_DEADLINE_TIMER);

	if (run_size < 0)
		return error_set(errno, "ask KVM for the size of its exit page");
	cpuid_set_machine(cpuid, topology, tsc_deadline);
	int r = cpu_features_apply(cpuid, config->cpu_features, config->n_cpu_features);
	if (r < 0)
		return r;
	m->run->has_vmx = cpuid_has_vmx(cpuid);
	for (unsigned i = 0; i < topology->n_vcpus; i++) {
		r = vcpu_create(&m->vcpu[i], m, &m->run->gate, i, cpuid, topology,
				(size_t)run_size);
		if (r < 0)
			return r;
		m->n_vcpus = i + 1;
		m->vcpu[i]->is_pinned = config->vcpu_cpus && config->vcpu_cpus[i];
		if (m->vcpu[i]->is_pinned)
			m->vcpu[i]->cpus = *config->vcpu_cpus[i];
	}
	return 0;
}

static int create_interrupts(struct machine *m)
{
	int r = kvm_create_irqchip(m->vm_fd);

	if (r == 0)
		r = irq_chip_kvm_create(&m->irq, m->vm_fd);
	if (r == 0)
		r = kvm_create_pit(m->vm_fd);
	if (r == 0)
		r = chipset_save(&m->run->chipset, m->vm_fd);
	return r;
}

/* Interrupt controllers come before vCPUs, and after memory: see kvm_add_memory. */
static int build(struct machine *m, const struct machine_config *config, struct cpuid *cpuid)
{
	struct topology topology;
	int r = topology_init(&topology, config->n_vcpus, config->threads_per_core,
			      config->cores_per_socket);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < config->n_vcpus; i++)
		m->apic_id[i] = (uint8_t)topology_apic_id(&topology, i);
	m->acpi.n_vcpus = config->n_vcpus;
	m->acpi.apic_id = m->apic_id;
	m->smbios.n_vcpus = topology.n_vcpus;
	m->smbios.threads_per_core = topology.threads;
	m->smbios.cores_per_socket = topology.cores;

	r = kvm_open(config->kvm_path, &m->kvm_fd);
	if (r == 0)
		r = cpuid_load_host(cpuid, m->kvm_fd);
	if (r == 0)
		r = kvm_create_vm(m->kvm_fd, &m->vm_fd);
	if (r < 0)
		return r;
	event_note(EVENT_PHASE, NULL, 0, "memory");
	r = create_memory(m, config, cpuid_phys_bits(cpuid));
	event_note(EVENT_PHASE, NULL, 0, "interrupts and CPUs");
	if (r == 0)
		r = create_interrupts(m);
	if (r < 0)
		return r;
	m->doorbells = (struct doorbells) { .ops = &doorbell_kvm_ops,
					    .arg = (void *)(intptr_t)m->vm_fd };
	r = pci_root_init(&m->pci, &m->pio, &m->mmio, m->irq);
	return r < 0 ? r : create_vcpus(m, config, cpuid, &topology);
}

int machine_create(struct machine **out, const struct machine_config *config,
		   struct event_loop *main_loop)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct machine_run *run = calloc(1, sizeof(*run));
	struct cpuid *cpuid = malloc(sizeof(*cpuid));
	int r;

	*out = NULL;
	if (!m || !run || !cpuid) {
		free(m);
		free(run);
		free(cpuid);
		return error_set(ENOMEM, "create the machine");
	}
	pthread_mutex_init(&m->lock, NULL);
	m->kvm_fd = m->vm_fd = FD_NONE;
	m->memory = (struct guest_memory)GUEST_MEMORY_INIT;
	m->pio.name = "port";
	m->mmio.name = "memory";
	m->main_loop = main_loop;
	m->outcome_post.fn = deliver_outcome;
	m->run = run;
	run->halt_watch = (struct halt_watch)HALT_WATCH_INIT;
	gate_init(&run->gate, look_for_halt, m);

	r = build(m, config, cpuid);
	free(cpuid);
	if (r < 0) {
		machine_destroy(m);
		return r;
	}
	*out = m;
	return 0;
}

void machine_destroy(struct machine *m)
{
	if (!m)
		return;
	halt_watch_stop(&m->run->halt_watch);
	gate_dismiss(&m->run->gate);
	kick_all(m);
	for (unsigned i = 0; i < m->n_vcpus; i++)
		vcpu_join(m->vcpu[i]);
	/* Nobody reports any more; an outcome that was not delivered yet is of no interest. */
	event_loop_unpost(m->main_loop, &m->outcome_post);
	for (unsigned i = 0; i < m->n_vcpus; i++)
		vcpu_destroy(m->vcpu[i]);
	irq_chip_kvm_destroy(m->irq);
	fd_close(&m->vm_fd);
	fd_close(&m->kvm_fd);
	/* After the VM: KVM maps it. */
	guest_memory_destroy(&m->memory);
	gate_fini(&m->run->gate);
	pthread_mutex_destroy(&m->lock);
	free(m->run);
	free(m);
}

/* --- Running ------------------------------------------------------------------------------- */

int machine_set_entry(struct machine *m, const struct boot_entry *entry)
{
	int r = cpu_state_write_tables(&m->memory, entry->mode);

	if (r == 0)
		r = cpu_state_apply(m->vcpu[0]->fd, &m->vcpu[0]->power_on.sregs, entry);
	return r < 0 ? error_add(r, "set the start of the boot processor") : 0;
}

int machine_start(struct machine *m)
{
	struct halt_watch *watch = &m->run->halt_watch;
	int r = vcpu_setup_signals();

	for (unsigned i = 0; i < m->n_vcpus && r == 0; i++)
		r = vcpu_start(m->vcpu[i]);
	if (r < 0)
		return r;
	/* After the threads: the guest need not wait for it. */
	watch->cpu_ns = all_cpu_ns;
	watch->look = request_look;
	watch->arg = m;
	return halt_watch_start(watch, m->main_loop);
}

void machine_pause(struct machine *m)
{
	gate_close(&m->run->gate, GATE_PAUSED);
	do {
		kick_all(m);
	} while (!gate_wait_assembled(&m->run->gate, PAUSE_RETRY_MS));
}

void machine_resume(struct machine *m)
{
	gate_open(&m->run->gate, GATE_PAUSED);
}

bool machine_hold(struct machine *m, unsigned ms)
{
	gate_close(&m->run->gate, GATE_HELD);
	for (unsigned waited = 0; waited < ms; waited += PAUSE_RETRY_MS) {
		kick_all(m);
		if (gate_wait_assembled(&m->run->gate, PAUSE_RETRY_MS))
			return true;
	}
	return false;
}

bool machine_is_held(struct machine *m)
{
	return gate_reasons(&m->run->gate) & GATE_HELD && gate_wait_assembled(&m->run->gate, 0);
}

void machine_release(struct machine *m)
{
	if (!(gate_reasons(&m->run->gate) & GATE_HELD))
		return;
	/* A guest without this clock has no such watchdog: EINVAL. */
	if (gate_wait_assembled(&m->run->gate, 0))
		for (unsigned i = 0; i < m->n_vcpus; i++)
			ioctl(m->vcpu[i]->fd, KVM_KVMCLOCK_CTRL, 0);
	gate_open(&m->run->gate, GATE_HELD);
}

unsigned machine_catch(struct machine *m, unsigned ms)
{
	unsigned inside = 0;

	gate_close(&m->run->gate, GATE_REPORT);
	for (unsigned waited = 0; waited < ms; waited += PAUSE_RETRY_MS) {
		kick_all(m);
		if (gate_wait_assembled(&m->run->gate, PAUSE_RETRY_MS))
			return 0;
	}
	for (unsigned i = 0; i < m->n_vcpus; i++)
		inside += m->vcpu[i]->has_thread && !atomic_load(&m->vcpu[i]->at_gate);
	return inside;
}

void machine_let_go(struct machine *m)
{
	gate_open(&m->run->gate, GATE_REPORT);
}

int machine_send_nmi(struct machine *m, unsigned ms)
{
	bool was_held = gate_reasons(&m->run->gate) & GATE_HELD;
	int r = 0;

	/* KVM_NMI waits for a vCPU that is in the guest: have it out. */
	if (!machine_hold(m, ms))
		r = error_set(EAGAIN, "send an NMI: the CPUs do not come out of the guest");
	else if (ioctl(m->vcpu[0]->fd, KVM_NMI, 0) < 0)
		r = error_set(errno, "send the boot processor an NMI (KVM_NMI)");
	if (!was_held)
		gate_open(&m->run->gate, GATE_HELD);
	return r;
}

int machine_reset(struct machine *m)
{
	int r = 0;

	for (unsigned i = 0; i < m->n_vcpus && r == 0; i++)
		r = cpu_reset(m->vcpu[i]->fd, &m->vcpu[i]->power_on, i == 0, m->run->has_vmx);
	if (r == 0)
		r = chipset_restore(&m->run->chipset, m->vm_fd);
	if (r < 0)
		return error_add(r, "reset the machine");
	m->status = 0;
	m->detail[0] = '\0';
	atomic_store(&m->has_exited, false);
	atomic_store(&m->outcome, MACHINE_RUNNING);
	/* The pause keeps it closed. */
	gate_open(&m->run->gate, GATE_OUTCOME | GATE_LOOK);
	return 0;
}

void machine_describe_vcpus(struct machine *m, char *buf, size_t size)
{
	size_t len = 0;

	if (size)
		buf[0] = '\0';
	for (unsigned i = 0; i < m->n_vcpus && len + 2 < size; i++) {
		if (i)
			buf[len++] = '\n';
		vcpu_describe(m->vcpu[i], buf + len, size - len);
		len += strlen(buf + len);
	}
}
