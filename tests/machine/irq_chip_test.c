#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/support/tiny_machine.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/machine/irq_chip.h"
#include "vmm/machine/vcpu.h"

struct fake_chip {
	struct irq_chip chip;
	unsigned n_lines, n_routes, n_clears;
};

static int fake_line(struct irq_chip *chip, uint32_t gsi, bool level)
{
	(void)gsi;
	(void)level;
	container_of(chip, struct fake_chip, chip)->n_lines++;
	return 0;
}

static int fake_route(struct irq_chip *chip, uint32_t gsi, uint64_t addr, uint32_t data)
{
	(void)gsi;
	(void)data;
	container_of(chip, struct fake_chip, chip)->n_routes++;
	return addr ? 0 : -EINVAL;
}

static void fake_clear(struct irq_chip *chip, uint32_t gsi)
{
	(void)gsi;
	container_of(chip, struct fake_chip, chip)->n_clears++;
}

static const struct irq_chip_ops fake_ops = {
	.set_line = fake_line, .set_route = fake_route, .clear_route = fake_clear,
};

Test(irq_chip, every_message_gsi_is_given_once)
{
	struct fake_chip fake = { .chip.ops = &fake_ops };
	uint32_t gsi, first;

	cr_assert_eq(irq_chip_alloc_msi(&fake.chip, &first), 0);
	cr_assert_eq(first, IRQ_CHIP_FIRST_MSI);
	for (uint32_t i = IRQ_CHIP_FIRST_MSI + 1; i < IRQ_CHIP_MAX_GSI; i++) {
		cr_assert_eq(irq_chip_alloc_msi(&fake.chip, &gsi), 0);
		cr_assert_eq(gsi, i);
	}
	cr_assert_eq(irq_chip_alloc_msi(&fake.chip, &gsi), -ENOSPC);
	irq_chip_free_msi(&fake.chip, 1000);
	cr_assert_eq(fake.n_clears, 1);
	cr_assert_eq(irq_chip_alloc_msi(&fake.chip, &gsi), 0);
	cr_assert_eq(gsi, 1000);
}

Test(irq_chip, only_allocated_gsis_are_routed_or_freed)
{
	struct fake_chip fake = { .chip.ops = &fake_ops };
	uint32_t gsi;

	cr_assert_eq(irq_chip_set_route(&fake.chip, 24, 0xfee00000, 1), -EINVAL);
	cr_assert_eq(irq_chip_set_route(&fake.chip, 5, 0xfee00000, 1), -EINVAL);
	cr_assert_eq(irq_chip_set_route(&fake.chip, UINT32_MAX, 0xfee00000, 1), -EINVAL);
	cr_assert_eq(fake.n_routes, 0);
	cr_assert_eq(irq_chip_alloc_msi(&fake.chip, &gsi), 0);
	cr_assert_eq(irq_chip_set_route(&fake.chip, gsi, 0xfee00000, 1), 0);
	cr_assert_eq(irq_chip_set_route(&fake.chip, gsi, 0, 1), -EINVAL);
	irq_chip_free_msi(&fake.chip, 3);
	irq_chip_free_msi(&fake.chip, UINT32_MAX);
	cr_assert_eq(fake.n_clears, 0);
}

Test(irq_chip, lines_beyond_the_pins_do_not_reach_the_chip)
{
	struct fake_chip fake = { .chip.ops = &fake_ops };

	irq_chip_set_line(&fake.chip, 23, true);
	irq_chip_set_line(&fake.chip, 24, true);
	cr_assert_eq(fake.n_lines, 1);
}

/* Enable the local APIC (spurious vector register), then spin with interrupts off. */
static const uint8_t spin_with_apic[] = {
	0xc7, 0x05, 0xf0, 0x00, 0xe0, 0xfe, 0xff, 0x01, 0x00, 0x00, /* movl $0x1ff, 0xfee000f0 */
	0xff, 0x05, 0x00, 0x70, 0x00, 0x00,			    /* incl 0x7000 */
	0xeb, 0xf8,						    /* jmp .-6 */
};

/* Is 'vector' pending in the local APIC of the (paused) boot processor? */
static bool is_pending(struct machine *m, unsigned vector)
{
	struct kvm_lapic_state lapic;

	cr_assert_eq(ioctl(m->vcpu[0]->fd, KVM_GET_LAPIC, &lapic), 0);
	return (uint8_t)lapic.regs[0x200 + vector / 32 * 0x10 + vector % 32 / 8] & 1u << vector % 8;
}

/* What the irqfd does may take a moment: its route is looked up in a worker if not at once. */
static bool becomes_pending(struct machine *m, unsigned vector)
{
	for (unsigned i = 0; i < 200; i++) {
		machine_pause(m);
		bool pending = is_pending(m, vector);
		machine_resume(m);
		if (pending)
			return true;
		usleep(5000);
	}
	return false;
}

static void start_with_apic(struct tiny_machine *t)
{
	tiny_machine_init(t, 1);
	tiny_machine_load(t, BOOT_MODE_PROTECTED32, spin_with_apic, sizeof(spin_with_apic));
	cr_assert_eq(machine_start(t->machine), 0);
	while (tiny_machine_word(t, TINY_DATA) == 0)
		usleep(1000);
}

Test(irq_chip_kvm, signalled_fd_becomes_the_routed_message, .timeout = 20)
{
	struct tiny_machine t;
	uint32_t gsi;
	int fd;

	start_with_apic(&t);
	struct irq_chip *irq = t.machine->irq;
	cr_assert_eq(fd_create_event(&fd), 0);
	cr_assert_eq(irq_chip_alloc_msi(irq, &gsi), 0);
	cr_assert_eq(irq_chip_set_route(irq, gsi, 0xfee00000, 0x31), 0);
	/* A value that is there before delivers, too. */
	fd_signal(fd);
	cr_assert_eq(irq_chip_attach_fd(irq, gsi, fd), 0);
	cr_assert(becomes_pending(t.machine, 0x31));

	cr_assert_eq(irq_chip_set_route(irq, gsi, 0xfee00000, 0x52), 0);
	fd_signal(fd);
	cr_assert(becomes_pending(t.machine, 0x52));

	irq_chip_detach_fd(irq, gsi, fd);
	irq_chip_free_msi(irq, gsi);
	fd_close(&fd);
	tiny_machine_fini(&t);
}

Test(irq_chip_kvm, refused_route_leaves_the_table_as_it_was, .timeout = 20)
{
	struct tiny_machine t;
	uint32_t a, b;
	int fd, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	start_with_apic(&t);
	struct irq_chip *irq = t.machine->irq;
	int vm = fcntl(t.machine->vm_fd, F_DUPFD_CLOEXEC, 0);
	cr_assert_eq(fd_create_event(&fd), 0);
	cr_assert_eq(irq_chip_alloc_msi(irq, &a), 0);
	cr_assert_eq(irq_chip_alloc_msi(irq, &b), 0);
	cr_assert_eq(irq_chip_set_route(irq, a, 0xfee00000, 0x31), 0);

	/* A "KVM" that refuses everything. */
	cr_assert_eq(dup2(null, t.machine->vm_fd), t.machine->vm_fd);
	cr_assert_lt(irq_chip_set_route(irq, a, 0xfee00000, 0x41), 0);
	cr_assert_lt(irq_chip_set_route(irq, b, 0xfee00000, 0x42), 0);
	cr_assert_eq(dup2(vm, t.machine->vm_fd), t.machine->vm_fd);

	/* This hands the whole table over; 'a' must still be what it was. */
	cr_assert_eq(irq_chip_set_route(irq, b, 0xfee00000, 0x43), 0);
	cr_assert_eq(irq_chip_attach_fd(irq, a, fd), 0);
	fd_signal(fd);
	cr_assert(becomes_pending(t.machine, 0x31));
	machine_pause(t.machine);
	cr_assert_not(is_pending(t.machine, 0x41));
	irq_chip_detach_fd(irq, a, fd);
	tiny_machine_fini(&t);
	close(vm);
	close(null);
	close(fd);
}
