#include "vmm/report/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/machine/x86/page_walk.h"
#include "vmm/report/kernel_slide.h"
#include "vmm/report/timeline.h"
#include "vmm/vm_impl.h"

struct taker {
	struct state_report *report;
	struct vm *vm;
	const struct symbols *symbols;
	uint64_t handler;		/* kernel_slide_handler */
	bool asks_slide;		/* it is known, and no CPU has told the slide yet */
};

static struct paging paging_of(const struct cpu_look *look)
{
	return (struct paging){ look->cr0, look->cr3, look->cr4, look->efer };
}

static void find_slide(struct taker *t, const struct cpu_look *look)
{
	if (t->asks_slide)
		t->asks_slide = !kernel_slide(t->handler, &t->vm->machine->memory, look,
					      &t->report->slide);
}

static uint64_t code_base(const struct cpu_look *look)
{
	return look->bits == 64 ? 0 : look->segment[SEG_CS].base;
}

static void take_code(const struct taker *t, struct state_cpu *cpu)
{
	const struct guest_memory *mem = &t->vm->machine->memory;
	const struct paging paging = paging_of(&cpu->look);
	uint64_t rip = code_base(&cpu->look) + cpu->look.rip;
	unsigned before = (unsigned)min_u64(STATE_CODE_BEFORE, rip);

	if (page_read(mem, &paging, rip - before, cpu->code, before) < before)
		before = 0;
	cpu->code_at = before;
	cpu->n_code = before + (unsigned)page_read(mem, &paging, rip, cpu->code + before,
						   STATE_CODE - before);
}

/* Words that are addresses of the kernel's code: calls, or what is left of some. */
static void take_stack(const struct taker *t, struct state_cpu *cpu)
{
	const struct paging paging = paging_of(&cpu->look);
	unsigned size = cpu->look.bits == 64 ? 8 : 4;
	uint64_t base = cpu->look.bits == 64 ? 0 : cpu->look.segment[SEG_SS].base;
	uint8_t stack[STATE_STACK];
	size_t n = page_read(&t->vm->machine->memory, &paging, base + cpu->look.reg[CPU_RSP], stack,
			     sizeof(stack));

	for (size_t at = 0; at + size <= n; at += size) {
		uint64_t word = 0;
		memcpy(&word, stack + at, size);
		if (cpu->n_words < STATE_WORDS)
			cpu->word[cpu->n_words++] = word;
		uint64_t linked = word - (uint64_t)t->report->slide;
		if (cpu->n_calls == STATE_CALLS || !t->symbols ||
		    !symbols_is_text(t->symbols, linked))
			continue;
		cpu->call[cpu->n_calls].address = word;
		symbols_name(t->symbols, linked, cpu->call[cpu->n_calls++].name);
	}
}

static void take_cpu(struct taker *t, struct state_cpu *cpu, unsigned index)
{
	machine_look_at_cpu(t->vm->machine, index, &cpu->look);
	if (cpu->look.doing == CPU_UNKNOWN || cpu->look.doing == CPU_INSIDE)
		return;
	find_slide(t, &cpu->look);
	take_code(t, cpu);
	if (cpu->look.bits == 16)
		return;
	/* Programs are elsewhere, and not in the kernel's table. */
	uint64_t linked = cpu->look.rip - (uint64_t)t->report->slide;
	if (t->symbols && symbols_is_text(t->symbols, linked))
		symbols_name(t->symbols, linked, cpu->where);
	take_stack(t, cpu);
}

static void take_cpus(struct taker *t)
{
	struct machine *m = t->vm->machine;

	t->asks_slide = t->symbols && kernel_slide_handler(t->symbols, &t->handler);
	t->report->n_inside = machine_catch(m, STATE_CATCH_MS);
	for (unsigned i = 0; i < t->report->n_cpus; i++)
		take_cpu(t, &t->report->cpu[i], i);
	machine_look_at_irqs(m, &t->report->irqs);
	machine_let_go(m);
}

static void take_device(struct state_report *report, struct virtio_device *dev)
{
	struct state_device *d = &report->device[report->n_devices++];

	snprintf(d->name, sizeof(d->name), "%s", dev->name);
	d->status = dev->negotiation.status;
	d->state = dev->state;
	for (unsigned i = 0; i < dev->n_queues && report->n_queues < STATE_MAX_QUEUES; i++)
		if (dev->queue[i].size_max &&
		    queue_look_take(&report->queue[report->n_queues], dev, i))
			report->n_queues++;
}

static void take_devices(struct taker *t)
{
	if (!machine_lock_within(t->vm->machine, STATE_CATCH_MS)) {
		t->report->busy = true;
		return;
	}
	for (unsigned i = 0; i < t->vm->n_transports; i++)
		take_device(t->report, t->vm->transport[i]->device);
	machine_unlock(t->vm->machine);
}

static void take_console(struct state_report *report, const char *name, struct chardev *chardev)
{
	struct state_console *c = &report->console[report->n_consoles++];

	c->name = name;
	c->len = chardev_tail(chardev, c->text, sizeof(c->text));
}

static void take_consoles(struct taker *t)
{
	const struct consoles *c = &t->vm->consoles;

	if (c->serial)
		take_console(t->report, c->console == c->serial ? "consoles" : "serial port",
			     c->serial);
	if (c->console && c->console != c->serial)
		take_console(t->report, "virtio console", c->console);
}

static void take_events(struct state_report *report)
{
	uint64_t next = 0, lost = 0;
	struct event e;

	/* They go round until there are no more: a guest that goes on makes no more than fit. */
	for (unsigned i = 0; i < 2 * EVENT_LOG_KEPT && event_log_read(&next, &e, 1, &lost); i++) {
		if (report->n_events == STATE_EVENTS) {
			report->n_events--;
			memmove(&report->event[0], &report->event[1],
				sizeof(e) * (STATE_EVENTS - 1));
		}
		report->event[report->n_events++] = e;
	}
}

static unsigned count_queues(const struct vm *vm)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vm->n_transports; i++)
		n += vm->transport[i]->device->n_queues;
	return (unsigned)min_u64(n, STATE_MAX_QUEUES);
}

int state_take(struct state_report **out, struct vm *vm, const struct symbols *symbols,
	       const char *why)
{
	struct state_report *report = calloc(1, sizeof(*report));
	struct taker t = { .report = report, .vm = vm, .symbols = symbols };

	*out = NULL;
	if (!report)
		return error_set(ENOMEM, "make a state report");
	report->n_cpus = vm->machine->n_vcpus;
	report->cpu = calloc(report->n_cpus, sizeof(*report->cpu));
	report->device = calloc(vm->n_transports + 1, sizeof(*report->device));
	report->queue = calloc(count_queues(vm) + 1, sizeof(*report->queue));
	if (!report->cpu || !report->device || !report->queue) {
		state_free(report);
		return error_set(ENOMEM, "make a state report");
	}
	snprintf(report->why, sizeof(report->why), "%s", why);
	report->ns = timeline_now_ns();
	take_cpus(&t);
	take_devices(&t);
	take_consoles(&t);
	take_events(report);
	report->n_threads = thread_list_read(report->thread, STATE_MAX_THREADS);
	*out = report;
	return 0;
}

void state_free(struct state_report *report)
{
	if (!report)
		return;
	free(report->cpu);
	free(report->device);
	free(report->queue);
	free(report);
}
