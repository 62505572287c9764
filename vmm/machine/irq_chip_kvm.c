/*
 * KVM's in-kernel PIC, IOAPIC and local APICs behind struct irq_chip.  KVM takes the routing of all
 * GSIs as one table, so the whole table is kept here and handed over again for each change.
 * Linux Documentation/virt/kvm/api.rst: KVM_SET_GSI_ROUTING, KVM_IRQFD, KVM_IRQ_LINE.
 */
#include "vmm/machine/irq_chip.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/error.h"

enum {
	PIC_PINS = 8,
	PIC_CASCADE = 2,
	PIT_GSI = 0,
	PIT_IOAPIC_PIN = 2,
	FIXED_ROUTES_MAX = 2 * PIC_PINS + IRQ_CHIP_PINS,
	ROUTES_GROW = 64,
};

struct irq_chip_kvm {
	struct irq_chip chip;
	int vm_fd;
	struct kvm_irq_routing *table;
	unsigned capacity;		/* entries that 'table' has room for */
	uint16_t index[IRQ_CHIP_MAX_GSI];	/* of a message's entry in 'table', or 0 */
};

static struct irq_chip_kvm *from_chip(struct irq_chip *chip)
{
	return container_of(chip, struct irq_chip_kvm, chip);
}

static int hand_over(struct irq_chip_kvm *kvm)
{
	return ioctl(kvm->vm_fd, KVM_SET_GSI_ROUTING, kvm->table) < 0 ? -errno : 0;
}

static int kvm_set_line(struct irq_chip *chip, uint32_t gsi, bool level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	return ioctl(from_chip(chip)->vm_fd, KVM_IRQ_LINE, &line) < 0 ? -errno : 0;
}

static int grow(struct irq_chip_kvm *kvm)
{
	unsigned capacity = kvm->capacity + ROUTES_GROW;
	struct kvm_irq_routing *table =
		realloc(kvm->table, sizeof(*table) + capacity * sizeof(table->entries[0]));

	if (!table)
		return -ENOMEM;
	kvm->table = table;
	kvm->capacity = capacity;
	return 0;
}

static void remove_last(struct irq_chip_kvm *kvm)
{
	kvm->table->nr--;
	kvm->index[kvm->table->entries[kvm->table->nr].gsi] = 0;
}

static int kvm_set_route(struct irq_chip *chip, uint32_t gsi, uint64_t addr, uint32_t data)
{
	struct irq_chip_kvm *kvm = from_chip(chip);
	bool is_new = kvm->index[gsi] == 0;
	struct kvm_irq_routing_entry entry = {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = (uint32_t)addr, .address_hi = (uint32_t)(addr >> 32),
			   .data = data },
	};

	if (is_new) {
		int r = kvm->table->nr == kvm->capacity ? grow(kvm) : 0;
		if (r < 0)
			return r;
		kvm->index[gsi] = (uint16_t)kvm->table->nr++;
	}

	struct kvm_irq_routing_entry *slot = &kvm->table->entries[kvm->index[gsi]];
	struct kvm_irq_routing_entry old = *slot;
	if (!is_new && memcmp(&old, &entry, sizeof(entry)) == 0)
		return 0;
	*slot = entry;
	int r = hand_over(kvm);
	if (r < 0) {
		/*
		 * KVM kept its old table; keep the same one here, or every later change would
		 * fail.
		 */
		if (is_new)
			remove_last(kvm);
		else
			*slot = old;
	}
	return r;
}

/* KVM hears of it with the next change: nothing can raise the GSI meanwhile. */
static void kvm_clear_route(struct irq_chip *chip, uint32_t gsi)
{
	struct irq_chip_kvm *kvm = from_chip(chip);
	unsigned at = kvm->index[gsi];
	struct kvm_irq_routing_entry last = kvm->table->entries[kvm->table->nr - 1];

	if (at == 0)
		return;
	kvm->table->entries[at] = last;
	kvm->table->nr--;
	kvm->index[last.gsi] = (uint16_t)at;
	kvm->index[gsi] = 0;
}

static int irqfd(struct irq_chip *chip, uint32_t gsi, int fd, uint32_t flags)
{
	struct kvm_irqfd request = { .fd = (uint32_t)fd, .gsi = gsi, .flags = flags };

	return ioctl(from_chip(chip)->vm_fd, KVM_IRQFD, &request) < 0 ? -errno : 0;
}

static int kvm_attach_fd(struct irq_chip *chip, uint32_t gsi, int fd)
{
	return irqfd(chip, gsi, fd, 0);
}

static int kvm_detach_fd(struct irq_chip *chip, uint32_t gsi, int fd)
{
	return irqfd(chip, gsi, fd, KVM_IRQFD_FLAG_DEASSIGN);
}

static const struct irq_chip_ops kvm_ops = {
	.set_line = kvm_set_line,
	.set_route = kvm_set_route,
	.clear_route = kvm_clear_route,
	.attach_fd = kvm_attach_fd,
	.detach_fd = kvm_detach_fd,
};

static void add_pin(struct irq_chip_kvm *kvm, uint32_t gsi, uint32_t irqchip, uint32_t pin)
{
	kvm->table->entries[kvm->table->nr++] = (struct kvm_irq_routing_entry) {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = irqchip, .pin = pin },
	};
}

/*
 * As a PC is wired: ISA interrupts reach PIC and IOAPIC, except that pin 2 of the first PIC is the
 * second PIC, and so the timer (ISA 0) has the IOAPIC's free pin 2.  The MADT says the same.
 */
static void add_fixed_routes(struct irq_chip_kvm *kvm)
{
	for (uint32_t gsi = 0; gsi < 2 * PIC_PINS; gsi++)
		if (gsi != PIC_CASCADE)
			add_pin(kvm, gsi,
				gsi < PIC_PINS ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
				gsi % PIC_PINS);
	for (uint32_t gsi = 0; gsi < IRQ_CHIP_PINS; gsi++)
		if (gsi != PIT_IOAPIC_PIN)
			add_pin(kvm, gsi, KVM_IRQCHIP_IOAPIC,
				gsi == PIT_GSI ? PIT_IOAPIC_PIN : gsi);
}

int irq_chip_kvm_create(struct irq_chip **out, int vm_fd)
{
	struct irq_chip_kvm *kvm = calloc(1, sizeof(*kvm));
	int r;

	*out = NULL;
	if (!kvm)
		return error_set(ENOMEM, "create the interrupt controller");
	kvm->chip.ops = &kvm_ops;
	kvm->vm_fd = vm_fd;
	kvm->capacity = FIXED_ROUTES_MAX;
	kvm->table = calloc(1, sizeof(*kvm->table) +
				       FIXED_ROUTES_MAX * sizeof(kvm->table->entries[0]));
	if (!kvm->table) {
		r = error_set(ENOMEM, "create the interrupt controller");
		goto fail;
	}
	add_fixed_routes(kvm);
	r = hand_over(kvm);
	if (r < 0) {
		error_set(r, "set KVM's interrupt routing");
		goto fail;
	}
	*out = &kvm->chip;
	return 0;
fail:
	irq_chip_kvm_destroy(&kvm->chip);
	return r;
}

void irq_chip_kvm_destroy(struct irq_chip *chip)
{
	if (!chip)
		return;
	free(from_chip(chip)->table);
	free(from_chip(chip));
}
