#include "vmm/machine/vcpu_stats.h"

#include <linux/kvm.h>

#include "vmm/machine/machine.h"
#include "vmm/machine/vcpu.h"

const char *vcpu_exit_name(enum vcpu_exit_kind kind)
{
	static const char *const names[VCPU_EXIT_KINDS] = {
		[VCPU_EXIT_PIO_READ] = "pio-read",
		[VCPU_EXIT_PIO_WRITE] = "pio-write",
		[VCPU_EXIT_MMIO_READ] = "mmio-read",
		[VCPU_EXIT_MMIO_WRITE] = "mmio-write",
		[VCPU_EXIT_INTERRUPTED] = "interrupted",
		[VCPU_EXIT_OTHER] = "other",
	};

	return names[kind];
}

static enum vcpu_exit_kind kind_of(const struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return run->io.direction == KVM_EXIT_IO_OUT ? VCPU_EXIT_PIO_WRITE :
							      VCPU_EXIT_PIO_READ;
	case KVM_EXIT_MMIO:
		return run->mmio.is_write ? VCPU_EXIT_MMIO_WRITE : VCPU_EXIT_MMIO_READ;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return VCPU_EXIT_INTERRUPTED;
	default:
		return VCPU_EXIT_OTHER;
	}
}

static void count(struct vcpu_stats *s, enum vcpu_exit_kind kind)
{
	uint64_t was = atomic_load_explicit(&s->exits[kind], memory_order_relaxed);

	atomic_store_explicit(&s->exits[kind], was + 1, memory_order_relaxed);
}

void vcpu_stats_count(struct vcpu_stats *s, const struct kvm_run *run)
{
	count(s, kind_of(run));
}

void vcpu_stats_count_interrupted(struct vcpu_stats *s)
{
	count(s, VCPU_EXIT_INTERRUPTED);
}

void machine_vcpu_counters(const struct machine *m, unsigned index, struct vcpu_counters *out)
{
	const struct vcpu *vcpu = m->vcpu[index];

	for (unsigned i = 0; i < VCPU_EXIT_KINDS; i++)
		out->exits[i] = atomic_load_explicit(&vcpu->stats.exits[i], memory_order_relaxed);
	out->cpu_ns = vcpu_cpu_ns(vcpu);
}
