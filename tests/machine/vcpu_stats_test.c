/* Exits by kind, of code that causes a known number of them. */
#include <criterion/criterion.h>
#include <linux/kvm.h>

#include "tests/support/tiny_machine.h"
#include "vmm/base/event_log.h"
#include "vmm/machine/vcpu_stats.h"


/* In 32-bit mode. */
static const uint8_t three_reads_two_writes[] = {
	0x66, 0xba, 0x10, 0x05,				/* mov dx, 0x510: nobody is there */
	0xec, 0xec, 0xec,				/* in al, dx, three times */
	0xee, 0xee,					/* out dx, al, twice */
	0xa1, 0x00, 0x00, 0x00, 0xfd,			/* mov eax, [0xfd000000]: nor there */
	0xb8, 0x07, 0x00, 0x00, 0x00,			/* mov eax, 7 */
	0x66, 0xba, 0xf4, 0x00, 0xef,			/* mov dx, PORT_EXIT; out dx, eax */
	0xeb, 0xfe,					/* jmp . */
};

Test(vcpu_stats, exits_are_counted_by_kind, .timeout = 40)
{
	struct vcpu_counters c;
	struct tiny_machine t;
	struct event event[8];
	uint64_t next = 0, lost = 0;
	unsigned n, n_first = 0;

	tiny_machine_init(&t, 2);
	tiny_machine_load(&t, BOOT_MODE_PROTECTED32, three_reads_two_writes,
			  sizeof(three_reads_two_writes));
	cr_assert_eq(tiny_machine_run(&t), MACHINE_EXIT);
	machine_pause(t.machine);
	machine_vcpu_counters(t.machine, 0, &c);
	cr_expect_eq(c.exits[VCPU_EXIT_PIO_READ], 3);
	cr_expect_eq(c.exits[VCPU_EXIT_PIO_WRITE], 3, "two and the exit");
	cr_expect_eq(c.exits[VCPU_EXIT_MMIO_READ], 1);
	cr_expect_eq(c.exits[VCPU_EXIT_MMIO_WRITE], 0);
	cr_expect_eq(c.exits[VCPU_EXIT_OTHER], 0);
	cr_expect_gt(c.cpu_ns, 0u);
	machine_vcpu_counters(t.machine, 1, &c);
	cr_expect_eq(c.exits[VCPU_EXIT_PIO_READ], 0, "the other one never started");
	n = event_log_read(&next, event, ARRAY_SIZE(event), &lost);
	for (unsigned i = 0; i < n; i++)
		n_first += event[i].kind == EVENT_FIRST_EXIT;
	cr_expect_eq(n_first, 1);
	tiny_machine_fini(&t);
}

Test(vcpu_stats, each_kind_has_a_name_and_what_is_unknown_is_counted)
{
	struct vcpu_stats s = { 0 };
	struct kvm_run run = { .exit_reason = 0xffff };

	for (unsigned i = 0; i < VCPU_EXIT_KINDS; i++)
		cr_expect_not_null(vcpu_exit_name((enum vcpu_exit_kind)i));
	vcpu_stats_count(&s, &run);
	run = (struct kvm_run){ .exit_reason = KVM_EXIT_MMIO, .mmio.is_write = 1 };
	vcpu_stats_count(&s, &run);
	vcpu_stats_count_interrupted(&s);
	cr_expect_eq(s.exits[VCPU_EXIT_OTHER], 1);
	cr_expect_eq(s.exits[VCPU_EXIT_MMIO_WRITE], 1);
	cr_expect_eq(s.exits[VCPU_EXIT_INTERRUPTED], 1);
}
