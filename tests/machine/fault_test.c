/*
 * A machine on the host's KVM is made, started and ended while each call to the system fails once.
 * The caller hears why, or the guest's end says it; nothing is left behind.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/fault.h"
#include "tests/support/tiny_machine.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/machine/kvm.h"

static const struct machine_config config = {
	.kvm_path = "/dev/kvm", .memory_size = MIB(4), .n_vcpus = 2,
};

static void skip_without_kvm(void)
{
	int fd;

	if (kvm_open("/dev/kvm", &fd) < 0)
		cr_skip_test("/dev/kvm: %s", strerror(error_errno()));
	close(fd);
	log_set_level(LOG_ERROR);
}

static int create(void *arg)
{
	struct event_loop *loop = arg;
	struct machine *m;
	int r = machine_create(&m, &config, loop);

	if (r == 0)
		machine_destroy(m);
	return r;
}

Test(fault, machine_is_created)
{
	struct event_loop *loop;

	skip_without_kvm();
	cr_assert_eq(event_loop_create(&loop, "main"), 0);
	cr_assert_geq(fault_each(create, loop), 30u);
	event_loop_destroy(loop);
}

static void stop_loop(void *arg)
{
	event_loop_stop(arg);
}

/* The machine is there; the run alone is under test. */
static int run(void *arg)
{
	/* mov $0x2a, %eax; out %eax, $0xf4; hlt */
	static const uint8_t code[] = { 0xb8, 0x2a, 0, 0, 0, 0xe7, 0xf4, 0xf4 };
	struct tiny_machine *t = arg;
	const struct boot_entry entry = { .mode = BOOT_MODE_PROTECTED32, .rip = TINY_CODE };
	int r;

	memcpy(guest_memory_at(&t->machine->memory, TINY_CODE, sizeof(code)), code, sizeof(code));
	t->machine->on_outcome = stop_loop;
	t->machine->on_outcome_arg = t->loop;
	r = machine_set_entry(t->machine, &entry);
	if (r == 0)
		r = machine_start(t->machine);
	if (r < 0)
		return r;
	event_loop_run(t->loop);
	if (atomic_load(&t->machine->outcome) == MACHINE_EXIT)
		return t->machine->status == 0x2a ? FAULT_FINE : FAULT_SHOWN;
	/* KVM would not run it: said in words. */
	cr_assert_eq(atomic_load(&t->machine->outcome), MACHINE_CRASH);
	cr_assert_neq(t->machine->detail[0], '\0');
	return FAULT_SHOWN;
}

static void exit_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	(void)offset;
	(void)size;
	machine_report(arg, MACHINE_EXIT, (uint32_t)value, NULL);
}

static const struct region_ops exit_ops = { .write = exit_write };

static int create_and_run(void *arg)
{
	struct tiny_machine t = { .loop = arg };
	int r = machine_create(&t.machine, &config, t.loop);

	if (r < 0)
		return r;
	t.exit_port = (struct region){ "exit port", 0xf4, 4, &exit_ops, t.machine };
	cr_assert_eq(bus_add(&t.machine->pio, &t.exit_port), 0);
	r = run(&t);
	machine_destroy(t.machine);
	return r;
}

Test(fault, machine_runs_and_ends)
{
	struct event_loop *loop;

	skip_without_kvm();
	cr_assert_eq(event_loop_create(&loop, "main"), 0);
	cr_assert_geq(fault_each(create_and_run, loop), 40u);
	event_loop_destroy(loop);
}
