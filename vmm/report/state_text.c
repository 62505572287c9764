#include "vmm/report/state.h"

#include <ctype.h>
#include <string.h>

#include "virtio/device_account.h"
#include "vmm/report/timeline.h"

#define HEX(value) (unsigned long long)(value)

static const char *doing_name(enum cpu_doing doing)
{
	static const char *const names[] = {
		[CPU_UNKNOWN] = "its state cannot be read",
		[CPU_INSIDE] = "did not leave the guest within 200 ms; its state is unknown",
		[CPU_RUNNING] = "running",
		[CPU_HALTED] = "halted",
		[CPU_NOT_STARTED] = "not started",
	};

	return names[doing];
}

static void write_registers(FILE *out, const struct cpu_look *look)
{
	static const char *const names[CPU_REGS] = {
		"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
		"R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15",
	};
	static const uint8_t order[CPU_REGS] = { CPU_RAX, CPU_RBX, CPU_RCX, CPU_RDX, CPU_RSI,
						 CPU_RDI, CPU_RBP, CPU_RSP, 8, 9, 10, 11, 12, 13,
						 14, 15 };
	unsigned n = look->bits == 64 ? CPU_REGS : 8;

	for (unsigned i = 0; i < n; i++)
		fprintf(out, "%s %s %016llx%s", i % 4 ? "" : "   ", names[order[i]],
			HEX(look->reg[order[i]]), i % 4 == 3 ? "\n" : "");
	fprintf(out, "    CR0 %llx CR2 %llx CR3 %llx CR4 %llx EFER %llx\n", HEX(look->cr0),
		HEX(look->cr2), HEX(look->cr3), HEX(look->cr4), HEX(look->efer));
	fprintf(out,
		"    CS %x SS %x DS %x ES %x FS %x (%llx) GS %x (%llx) GDT %llx/%x IDT %llx/%x\n",
		look->segment[SEG_CS].selector, look->segment[SEG_SS].selector,
		look->segment[SEG_DS].selector, look->segment[SEG_ES].selector,
		look->segment[SEG_FS].selector, HEX(look->segment[SEG_FS].base),
		look->segment[SEG_GS].selector, HEX(look->segment[SEG_GS].base),
		HEX(look->gdt_base), look->gdt_limit, HEX(look->idt_base), look->idt_limit);
}

/* The numbers of the vectors in a set of 256. */
static void write_vectors(FILE *out, const char *title, const uint32_t set[8])
{
	bool any = false;

	for (unsigned i = 0; i < 256; i++) {
		if (!(set[i / 32] >> i % 32 & 1))
			continue;
		fprintf(out, "%s 0x%x", any ? "" : title, i);
		any = true;
	}
	if (any)
		fputc('\n', out);
}

static void write_code(FILE *out, const struct state_cpu *cpu)
{
	if (cpu->n_code <= cpu->code_at) {
		fputs("    code: not in memory\n", out);
		return;
	}
	fputs("    code:", out);
	for (unsigned i = 0; i < cpu->n_code; i++)
		fprintf(out, i == cpu->code_at ? " <%02x>" : " %02x", cpu->code[i]);
	fputc('\n', out);
}

static void write_cpu(FILE *out, const struct state_cpu *cpu)
{
	const struct cpu_look *look = &cpu->look;

	fprintf(out, "  vcpu%u: %s", look->index, doing_name(look->doing));
	if (look->doing == CPU_UNKNOWN || look->doing == CPU_INSIDE) {
		fputc('\n', out);
		return;
	}
	fprintf(out, ", %u-bit, CPL %u, interrupts %s; last exit: %s\n", look->bits,
		look->privilege, look->rflags & 0x200 ? "on" : "off", look->exit_reason);
	fprintf(out, "    RIP %016llx RFLAGS %08llx %s\n", HEX(look->rip), HEX(look->rflags),
		cpu->where);
	write_registers(out, look);
	write_code(out, cpu);
	if (cpu->n_words)
		fputs("    stack:", out);
	for (unsigned i = 0; i < cpu->n_words; i++)
		fprintf(out, " %0*llx", look->bits / 4, HEX(cpu->word[i]));
	if (cpu->n_words)
		fputc('\n', out);
	for (unsigned i = 0; i < cpu->n_calls; i++)
		fprintf(out, "    ? %s\n", cpu->call[i].name);
	write_vectors(out, "    interrupts that wait:", look->irr);
	write_vectors(out, "    interrupts being served:", look->isr);
	if (look->injected >= 0)
		fprintf(out, "    interrupt about to be delivered: 0x%x\n",
			(unsigned)look->injected);
	if (look->nmi_pending)
		fprintf(out, "    an NMI waits\n");
}

static void write_irqs(FILE *out, const struct irq_look *irqs)
{
	if (!irqs->valid)
		return;
	for (unsigned i = 0; i < 24; i++)
		if (irqs->pin_pending >> i & 1)
			fprintf(out, "  IOAPIC input %u waits (vector 0x%x%s)\n", i,
				irqs->pin_vector[i], irqs->pin_masked >> i & 1 ? ", masked" : "");
	for (unsigned i = 0; i < 2; i++)
		if (irqs->pic[i].irr & (uint8_t)~irqs->pic[i].mask || irqs->pic[i].isr)
			fprintf(out, "  PIC %u: requested %02x, served %02x, masked %02x\n", i,
				irqs->pic[i].irr, irqs->pic[i].isr, irqs->pic[i].mask);
}

static void write_status(FILE *out, uint8_t status)
{
	bool any = false;

	for (unsigned bit = 1; bit <= 0x80; bit <<= 1) {
		const char *name = device_status_name((uint8_t)bit);
		if (!(status & bit))
			continue;
		if (name)
			fprintf(out, "%s%s", any ? "|" : "", name);
		else
			fprintf(out, "%s0x%x", any ? "|" : "", bit);
		any = true;
	}
	if (!any)
		fputs("reset", out);
}

static void write_ring(FILE *out, const struct queue_look *q)
{
	if (q->runs)
		fprintf(out, "      device: next %u, seen %u, used %u, published %u; %u in flight; "
			"%s%s%s; %llu kicks, %llu calls\n", q->ring.avail_next, q->ring.avail_seen,
			q->ring.used_next, q->ring.used_published, q->ring.in_flight,
			q->ring.armed ? "asks for kicks" : "does not ask for kicks",
			q->ring.paused ? ", paused" : "", q->ring.packed ? ", packed" : "",
			HEX(q->ring.kicks), HEX(q->ring.calls));
	if (q->runs && q->ring.fault != VQ_FAULT_NONE)
		fprintf(out, "      broken: %s\n", vq_fault_text(q->ring.fault));
	if (q->has_memory)
		fprintf(out, "      memory: available %u (flags %x, event %u), used %u (flags %x, "
			"event %u)\n", q->avail_index, q->avail_flags, q->avail_event,
			q->used_index, q->used_flags, q->used_event);
}

static void write_queue(FILE *out, const struct queue_look *q)
{
	static const char *const ending[] = {
		[VIRTIO_QUEUE_STAYS] = "",
		[VIRTIO_QUEUE_DISABLING] = ", being disabled",
		[VIRTIO_QUEUE_RESETTING] = ", being reset",
	};

	if (!q->enabled) {
		fprintf(out, "    queue %u: not enabled\n", q->index);
		return;
	}
	fprintf(out, "    queue %u: size %u, descriptors 0x%llx, driver 0x%llx, device 0x%llx, "
		"%s%s%s%s%s\n", q->index, q->size, HEX(q->desc), HEX(q->driver),
		HEX(q->device_area), q->datapath, ending[q->ending],
		q->kick_pending ? ", a kick waits" : "", q->call_pending ? ", a call waits" : "",
		q->call_masked ? ", an interrupt waits, masked" : "");
	write_ring(out, q);
}

static void write_devices(FILE *out, const struct state_report *r)
{
	static const char *const state[] = {
		[VIRTIO_STOPPED] = "stopped",
		[VIRTIO_STARTED] = "started",
		[VIRTIO_BREAKING] = "breaking",
		[VIRTIO_BROKEN] = "broken",
	};
	unsigned q = 0;

	fputs("Devices:\n", out);
	if (r->busy)
		fputs("  a CPU keeps the machine busy: nothing can be said of them\n", out);
	for (unsigned i = 0; i < r->n_devices; i++) {
		fprintf(out, "  %s: %s, ", r->device[i].name, state[r->device[i].state]);
		write_status(out, r->device[i].status);
		fputc('\n', out);
		for (; q < r->n_queues && !strcmp(r->queue[q].device, r->device[i].name); q++)
			write_queue(out, &r->queue[q]);
	}
}

/* As the guest wrote it, but for what a terminal would act on. */
static void write_text(FILE *out, const char *text, size_t len)
{
	bool begins = true;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == '\r' && i + 1 < len && text[i + 1] == '\n')
			continue;
		if (begins)
			fputs("  | ", out);
		begins = c == '\n';
		if (c == '\n' || c == '\t' || isprint(c))
			fputc(c, out);
		else
			fprintf(out, "\\x%02x", c);
	}
	if (!begins)
		fputc('\n', out);
}

static void write_consoles(FILE *out, const struct state_report *r)
{
	enum { SHOWN = 2048 };

	for (unsigned i = 0; i < r->n_consoles; i++) {
		const struct state_console *c = &r->console[i];
		size_t from = c->len > SHOWN ? c->len - SHOWN : 0;
		/* Whole lines, where there are lines. */
		const char *end = from ? memchr(c->text + from, '\n', c->len - from) : NULL;
		if (end && end + 1 < c->text + c->len)
			from = (size_t)(end + 1 - c->text);
		fprintf(out, "Last words on the %s:%s\n", c->name, c->len ? "" : " none");
		write_text(out, c->text + from, c->len - from);
	}
}

static void write_events(FILE *out, const struct state_report *r)
{
	fputs("Events (ms after the start):\n", out);
	for (unsigned i = 0; i < r->n_events; i++) {
		const struct event *e = &r->event[i];
		fprintf(out, "  %10.3f  %s%s%s", timeline_ms(e->ns), event_kind_name(e->kind),
			*e->subject ? " " : "", e->subject);
		if (e->value)
			fprintf(out, " %lld", (long long)e->value);
		if (*e->text)
			fputs(": ", out);
		for (const char *p = e->text; *p; p++)
			fputc(isprint((unsigned char)*p) ? *p : '?', out);
		fputc('\n', out);
	}
}

void state_write_text(FILE *out, const struct state_report *r)
{
	fprintf(out, "vireo: state report (%s), %.3f s after the start\nCPUs:\n", r->why,
		(double)r->ns / 1e9);
	if (r->slide)
		fprintf(out, "  the kernel has moved itself by 0x%llx\n", HEX(r->slide));
	for (unsigned i = 0; i < r->n_cpus; i++)
		write_cpu(out, &r->cpu[i]);
	write_irqs(out, &r->irqs);
	write_devices(out, r);
	write_consoles(out, r);
	write_events(out, r);
	fputs("Threads (CPU time in ms):\n", out);
	for (unsigned i = 0; i < r->n_threads; i++)
		fprintf(out, "  %-16s %10.1f\n", r->thread[i].name,
			(double)r->thread[i].cpu_ns / 1e6);
	fputs("End of the state report\n", out);
}
