#include "tests/support/tiny_machine.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/layout.h"

static uint64_t exit_read(void *arg, uint64_t offset, unsigned size)
{
	(void)arg;
	(void)offset;
	(void)size;
	return 0;
}

static void exit_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct tiny_machine *t = arg;

	(void)offset;
	(void)size;
	machine_report(t->machine, MACHINE_EXIT, (uint32_t)value, NULL);
}

static const struct region_ops exit_ops = { .read = exit_read, .write = exit_write };

static void on_outcome(void *arg)
{
	struct tiny_machine *t = arg;

	t->n_outcomes++;
	event_loop_stop(t->loop);
}

void tiny_machine_init(struct tiny_machine *t, unsigned n_vcpus)
{
	const struct machine_config config = {
		.kvm_path = "/dev/kvm", .memory_size = MIB(4), .n_vcpus = n_vcpus,
	};
	int fd;

	if (kvm_open("/dev/kvm", &fd) < 0)
		cr_skip_test("/dev/kvm: %s", strerror(error_errno()));
	close(fd);
	memset(t, 0, sizeof(*t));
	cr_assert_eq(event_loop_create(&t->loop, "main"), 0);
	cr_assert_eq(machine_create(&t->machine, &config, t->loop), 0, "%s", error_text());
	t->machine->on_outcome = on_outcome;
	t->machine->on_outcome_arg = t;
	t->exit_port = (struct region) { "exit port", PORT_EXIT, 4, &exit_ops, t };
	cr_assert_eq(bus_add(&t->machine->pio, &t->exit_port), 0);
}

void tiny_machine_fini(struct tiny_machine *t)
{
	machine_destroy(t->machine);
	event_loop_destroy(t->loop);
}

void tiny_machine_load(struct tiny_machine *t, enum boot_mode mode, const void *code, size_t len)
{
	const struct boot_entry entry = {
		.mode = mode, .rip = TINY_CODE, .rsp = LAYOUT_BOOT_STACK,
	};
	void *to = guest_memory_at(&t->machine->memory, TINY_CODE, len);

	cr_assert_not_null(to);
	memcpy(to, code, len);
	cr_assert_eq(machine_set_entry(t->machine, &entry), 0, "%s", error_text());
}

uint32_t tiny_machine_word(struct tiny_machine *t, uint64_t gpa)
{
	volatile uint32_t *word = guest_memory_at(&t->machine->memory, gpa, 4);

	cr_assert_not_null((void *)word);
	return *word;
}

static void on_time_up(struct event_source *source, uint32_t events)
{
	(void)events;
	event_loop_stop(source->loop);
}

enum machine_outcome tiny_machine_wait(struct tiny_machine *t, unsigned ms)
{
	struct event_source timer = {
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), .fn = on_time_up,
	};
	const struct itimerspec when = {
		.it_value = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 },
	};

	timerfd_settime(timer.fd, 0, &when, NULL);
	cr_assert_eq(event_loop_add(t->loop, &timer, EPOLLIN), 0);
	event_loop_run(t->loop);
	event_loop_remove(&timer);
	close(timer.fd);
	return atomic_load(&t->machine->outcome);
}

enum machine_outcome tiny_machine_run(struct tiny_machine *t)
{
	cr_assert_eq(machine_start(t->machine), 0, "%s", error_text());
	return tiny_machine_wait(t, 20000);
}
