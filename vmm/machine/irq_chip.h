/*
 * The interrupt controller as devices see it: lines (GSIs), message routes, and event fds that
 * become interrupts without any code of ours.  Behind it stands KVM's in-kernel irqchip
 * (irq_chip_kvm.c), or a recording fake in unit tests.
 *
 * All calls: control path, machine lock held (or before the vCPUs run), except where said.
 */
#ifndef MACHINE_IRQ_CHIP_H
#define MACHINE_IRQ_CHIP_H

#include "vmm/base/util.h"

struct irq_chip;

struct irq_chip_ops {
	int (*set_line)(struct irq_chip *chip, uint32_t gsi, bool level);
	int (*set_route)(struct irq_chip *chip, uint32_t gsi, uint64_t addr, uint32_t data);
	int (*attach_fd)(struct irq_chip *chip, uint32_t gsi, int fd);
	int (*detach_fd)(struct irq_chip *chip, uint32_t gsi, int fd);
	/* Optional: 'gsi', to which nothing is attached, is being freed. */
	void (*clear_route)(struct irq_chip *chip, uint32_t gsi);
};

enum {
	IRQ_CHIP_PINS = 24,		/* GSI 0-23: the IOAPIC's (and for 0-15 the PIC's) inputs */
	IRQ_CHIP_FIRST_MSI = 24,	/* GSIs from here on are message routes */
	IRQ_CHIP_MAX_GSI = 4096,
};

struct irq_chip {
	const struct irq_chip_ops *ops;
	uint64_t msi_used[IRQ_CHIP_MAX_GSI / 64];	/* bitmap of allocated GSIs */
};

/*
 * Drive input 'gsi' (< IRQ_CHIP_PINS).  Failures are logged: no guest can cause them.  Any
 * thread.
 */
void irq_chip_set_line(struct irq_chip *chip, uint32_t gsi, bool level);

/* Reserve a message GSI, unrouted.  Returns 0; -ENOSPC with an error chain. */
MUST_USE int irq_chip_alloc_msi(struct irq_chip *chip, uint32_t *gsi);
void irq_chip_free_msi(struct irq_chip *chip, uint32_t gsi);

/*
 * Route message GSI 'gsi' to the message (addr, data).  A message that the host refuses
 * (guest-made) leaves the route as it was.  Returns 0 or -errno, no chain.
 */
MUST_USE int irq_chip_set_route(struct irq_chip *chip, uint32_t gsi, uint64_t addr, uint32_t data);

/*
 * Let each signal of eventfd 'fd' raise 'gsi' (an edge for a pin) / stop that.  A value that is
 * in the eventfd at attach time is delivered.  Returns 0 or -errno, no chain.
 */
MUST_USE int irq_chip_attach_fd(struct irq_chip *chip, uint32_t gsi, int fd);
void irq_chip_detach_fd(struct irq_chip *chip, uint32_t gsi, int fd);

/*
 * The KVM one: creates the in-kernel irqchip's default routing for 'vm_fd' (borrowed, must
 * outlive).
 */
MUST_USE int irq_chip_kvm_create(struct irq_chip **out, int vm_fd);
void irq_chip_kvm_destroy(struct irq_chip *chip);

#endif
