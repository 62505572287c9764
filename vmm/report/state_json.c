#include "vmm/report/state.h"

#if HAVE_JANSSON

#include <jansson.h>
#include <string.h>

#include "vmm/report/timeline.h"

/* An address has 64 bits, a number of JSON 53. */
static json_t *hex(uint64_t value)
{
	return json_sprintf("0x%llx", (unsigned long long)value);
}

/* What a guest wrote, one character for each byte (ISO 8859-1), so that nothing is lost. */
static json_t *text(const char *s, size_t len)
{
	json_t *value;
	char *utf8 = malloc(2 * len + 1), *p = utf8;

	if (!utf8)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c >= 0x80)
			*p++ = (char)(0xc0 | c >> 6);
		*p++ = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
	}
	value = json_stringn(utf8, (size_t)(p - utf8));
	free(utf8);
	return value;
}

static json_t *vectors(const uint32_t set[8])
{
	json_t *array = json_array();

	for (int i = 0; i < 256; i++)
		if (set[i / 32] >> i % 32 & 1)
			json_array_append_new(array, json_integer(i));
	return array;
}

static json_t *registers(const struct cpu_look *look)
{
	static const char *const names[CPU_REGS] = {
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
	};
	static const char *const segments[CPU_SEGMENTS] = {
		[SEG_CS] = "cs", [SEG_SS] = "ss", [SEG_DS] = "ds",
		[SEG_ES] = "es", [SEG_FS] = "fs", [SEG_GS] = "gs",
	};
	json_t *o = json_object();

	for (unsigned i = 0; i < CPU_REGS; i++)
		json_object_set_new(o, names[i], hex(look->reg[i]));
	for (unsigned i = 0; i < CPU_SEGMENTS; i++)
		json_object_set_new(o, segments[i], hex(look->segment[i].selector));
	json_object_set_new(o, "rip", hex(look->rip));
	json_object_set_new(o, "rflags", hex(look->rflags));
	json_object_set_new(o, "cr0", hex(look->cr0));
	json_object_set_new(o, "cr2", hex(look->cr2));
	json_object_set_new(o, "cr3", hex(look->cr3));
	json_object_set_new(o, "cr4", hex(look->cr4));
	json_object_set_new(o, "efer", hex(look->efer));
	return o;
}

static json_t *calls(const struct state_cpu *cpu)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < cpu->n_calls; i++)
		json_array_append_new(array, json_string(cpu->call[i].name));
	return array;
}

static json_t *code(const struct state_cpu *cpu)
{
	char hex_digits[2 * STATE_CODE + 1] = "";

	for (unsigned i = cpu->code_at; i < cpu->n_code; i++)
		snprintf(hex_digits + 2 * (i - cpu->code_at), 3, "%02x", cpu->code[i]);
	return json_string(hex_digits);
}

static json_t *one_cpu(const struct state_cpu *cpu)
{
	static const char *const doing[] = {
		[CPU_UNKNOWN] = "unknown", [CPU_INSIDE] = "inside", [CPU_RUNNING] = "running",
		[CPU_HALTED] = "halted", [CPU_NOT_STARTED] = "not-started",
	};
	const struct cpu_look *look = &cpu->look;
	json_t *o = json_pack("{s:i, s:s}", "index", (int)look->index, "state",
			      doing[look->doing]);

	if (look->doing == CPU_UNKNOWN || look->doing == CPU_INSIDE)
		return o;
	json_object_set_new(o, "bits", json_integer((json_int_t)look->bits));
	json_object_set_new(o, "privilege", json_integer((json_int_t)look->privilege));
	json_object_set_new(o, "interrupts", json_boolean(look->rflags & 0x200));
	json_object_set_new(o, "last_exit", json_string(look->exit_reason));
	if (cpu->where[0])
		json_object_set_new(o, "symbol", json_string(cpu->where));
	json_object_set_new(o, "registers", registers(look));
	json_object_set_new(o, "code", code(cpu));
	json_object_set_new(o, "calls", calls(cpu));
	json_object_set_new(o, "waiting", vectors(look->irr));
	json_object_set_new(o, "serving", vectors(look->isr));
	return o;
}

static json_t *one_queue(const struct queue_look *q)
{
	json_t *o = json_pack("{s:i, s:i, s:b, s:s, s:b, s:b}", "index", (int)q->index, "size",
			      (int)q->size, "enabled", (int)q->enabled, "datapath", q->datapath,
			      "kick_pending", (int)q->kick_pending, "call_pending",
			      (int)q->call_pending);

	json_object_set_new(o, "interrupt_masked", json_boolean(q->call_masked));
	json_object_set_new(o, "descriptors", hex(q->desc));
	json_object_set_new(o, "driver", hex(q->driver));
	json_object_set_new(o, "device", hex(q->device_area));
	if (q->runs)
		json_object_set_new(o, "ring", json_pack(
			"{s:b, s:i, s:i, s:i, s:i, s:i, s:b, s:b, s:I, s:I}", "packed",
			(int)q->ring.packed, "next", (int)q->ring.avail_next, "seen",
			(int)q->ring.avail_seen, "used", (int)q->ring.used_next, "published",
			(int)q->ring.used_published, "in_flight", (int)q->ring.in_flight,
			"asks_for_kicks", (int)q->ring.armed, "paused", (int)q->ring.paused,
			"kicks", (json_int_t)q->ring.kicks, "calls",
			(json_int_t)q->ring.calls));
	if (q->runs && q->ring.fault != VQ_FAULT_NONE)
		json_object_set_new(o, "broken", json_string(vq_fault_text(q->ring.fault)));
	if (q->has_memory)
		json_object_set_new(o, "memory", json_pack(
			"{s:i, s:i, s:i, s:i, s:i, s:i}", "available", (int)q->avail_index,
			"available_flags", (int)q->avail_flags, "available_event",
			(int)q->avail_event, "used", (int)q->used_index, "used_flags",
			(int)q->used_flags, "used_event", (int)q->used_event));
	return o;
}

static json_t *devices(const struct state_report *r)
{
	json_t *array = json_array();
	unsigned q = 0;

	for (unsigned i = 0; i < r->n_devices; i++) {
		json_t *queues = json_array();
		for (; q < r->n_queues && !strcmp(r->queue[q].device, r->device[i].name); q++)
			json_array_append_new(queues, one_queue(&r->queue[q]));
		json_array_append_new(array, json_pack("{s:o?, s:i, s:b, s:o}", "name",
			text(r->device[i].name, strlen(r->device[i].name)), "status",
			(int)r->device[i].status, "started",
			(int)(r->device[i].state == VIRTIO_STARTED), "queues", queues));
	}
	return array;
}

static json_t *events(const struct state_report *r)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < r->n_events; i++) {
		const struct event *e = &r->event[i];
		json_array_append_new(array, json_pack("{s:f, s:s, s:o?, s:I, s:o?}", "ms",
			timeline_ms(e->ns), "kind", event_kind_name(e->kind), "subject",
			text(e->subject, strlen(e->subject)), "value", (json_int_t)e->value,
			"text", text(e->text, strlen(e->text))));
	}
	return array;
}

static json_t *consoles(const struct state_report *r)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < r->n_consoles; i++)
		json_object_set_new(o, r->console[i].name,
				    text(r->console[i].text, r->console[i].len));
	return o;
}

static json_t *threads(const struct state_report *r)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < r->n_threads; i++)
		json_array_append_new(array, json_pack("{s:s, s:f}", "name", r->thread[i].name,
			"cpu_ms", (double)r->thread[i].cpu_ns / 1e6));
	return array;
}

json_t *state_json(const struct state_report *r)
{
	json_t *cpus = json_array();

	for (unsigned i = 0; i < r->n_cpus; i++)
		json_array_append_new(cpus, one_cpu(&r->cpu[i]));
	return json_pack("{s:s, s:f, s:o, s:o, s:b, s:i, s:i, s:o, s:o, s:o, s:o}", "why", r->why,
			 "ms", (double)r->ns / 1e6, "slide", hex((uint64_t)r->slide), "cpus",
			 cpus, "busy", (int)r->busy, "ioapic_pending", (int)r->irqs.pin_pending,
			 "ioapic_masked", (int)r->irqs.pin_masked, "devices", devices(r),
			 "consoles", consoles(r), "events", events(r), "threads", threads(r));
}

#else

struct json_t *state_json(const struct state_report *report)
{
	(void)report;
	return NULL;
}

#endif
