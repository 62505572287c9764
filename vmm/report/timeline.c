#include "vmm/report/timeline.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/thread_list.h"

/* When the process began, CLOCK_MONOTONIC.  Written once, before there are threads. */
static uint64_t begin_ns;

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void timeline_begin(void)
{
	begin_ns = clock_ns(CLOCK_MONOTONIC) - clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static uint64_t since_begin(uint64_t ns)
{
	return ns > begin_ns ? ns - begin_ns : 0;
}

uint64_t timeline_now_ns(void)
{
	return since_begin(clock_ns(CLOCK_MONOTONIC));
}

double timeline_ms(uint64_t ns)
{
	return (double)since_begin(ns) / 1e6;
}

/* --- From events to marks -------------------------------------------------------------------- */

/* What an event is called; false if it is none of a timeline's. */
static bool name_event(struct timeline_mark *mark, const struct event *e)
{
	const char *what = NULL;

	switch (e->kind) {
	case EVENT_PHASE:
		mark->is_phase = true;
		what = e->text;
		break;
	case EVENT_FIRST_EXIT: what = "first exit"; break;
	case EVENT_CONSOLE: what = "first console byte"; break;
	case EVENT_DRIVER_OK: what = "DRIVER_OK"; break;
	case EVENT_NEEDS_RESET: what = "needs reset"; break;
	case EVENT_RESET: what = "system reset"; break;
	case EVENT_PANIC: what = "panic"; break;
	case EVENT_GUEST: what = e->text; break;
	default: return false;
	}
	snprintf(mark->name, sizeof(mark->name), "%s%s%.40s", e->subject, *e->subject ? ": " : "",
		 what);
	return true;
}

void timeline_take(struct timeline *out)
{
	uint64_t next = 0, lost = 0;
	struct event e;

	out->n = 1;
	out->mark[0] = (struct timeline_mark){ .is_phase = true, .name = "exec" };
	while (out->n < TIMELINE_MAX - 1 && event_log_read(&next, &e, 1, &lost) == 1) {
		struct timeline_mark *mark = &out->mark[out->n];
		*mark = (struct timeline_mark){ .ns = since_begin(e.ns) };
		out->n += name_event(mark, &e);
	}
	/* When its phase was over may be among them. */
	if (lost) {
		out->mark[0].is_phase = false;
		snprintf(out->mark[0].name, TIMELINE_NAME_SIZE, "exec (%llu events forgotten)",
			 (unsigned long long)lost);
	}
}

void timeline_add(struct timeline *t, const char *name)
{
	if (t->n == TIMELINE_MAX)
		return;
	t->mark[t->n] = (struct timeline_mark){ .ns = timeline_now_ns() };
	snprintf(t->mark[t->n++].name, TIMELINE_NAME_SIZE, "%s", name);
}

/* When phase 'i' is over: the next one begins, or all is over. */
static uint64_t end_of(const struct timeline *t, unsigned i)
{
	for (unsigned k = i + 1; k < t->n; k++)
		if (t->mark[k].is_phase)
			return t->mark[k].ns;
	return t->mark[t->n - 1].ns;
}

/* --- For people ------------------------------------------------------------------------------ */

/* A guest may have had a say in a name. */
static void write_plain(FILE *out, const char *s)
{
	for (; *s; s++)
		fputc(*s < 0x20 || *s == 0x7f ? '?' : *s, out);
}

void timeline_write_text(FILE *out, const struct timeline *t)
{
	fputs("vireo: boot timeline\n      at ms   took ms\n", out);
	for (unsigned i = 0; i < t->n; i++) {
		const struct timeline_mark *m = &t->mark[i];
		fprintf(out, "%11.3f", (double)m->ns / 1e6);
		if (m->is_phase)
			fprintf(out, "%10.3f  ", (double)(end_of(t, i) - m->ns) / 1e6);
		else
			fprintf(out, "%10s  ", "");
		write_plain(out, m->name);
		fputc('\n', out);
	}
}

/* --- For programs ---------------------------------------------------------------------------- */

static void write_string(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void write_name(FILE *out, const char *kind, int tid, const char *name)
{
	fprintf(out, "{\"name\":\"%s\",\"ph\":\"M\",\"ts\":0,\"pid\":%d,\"tid\":%d,"
		"\"args\":{\"name\":", kind, (int)getpid(), tid);
	write_string(out, name);
	fputs("}}", out);
}

static void write_mark(FILE *out, const struct timeline *t, unsigned i)
{
	const struct timeline_mark *m = &t->mark[i];

	fputs(",\n{\"name\":", out);
	write_string(out, m->name);
	fprintf(out, ",\"cat\":\"boot\",\"ph\":\"%s\",\"ts\":%.3f,", m->is_phase ? "X" : "i",
		(double)m->ns / 1e3);
	if (m->is_phase)
		fprintf(out, "\"dur\":%.3f,", (double)(end_of(t, i) - m->ns) / 1e3);
	else
		fputs("\"s\":\"p\",", out);
	fprintf(out, "\"pid\":%d,\"tid\":%d}", (int)getpid(), (int)getpid());
}

/* How much CPU time a thread has used so far: a counter on its track. */
static void write_thread(FILE *out, const struct thread_entry *thread)
{
	fputs(",\n", out);
	write_name(out, "thread_name", thread->tid, thread->name);
	fprintf(out, ",\n{\"name\":\"CPU time\",\"cat\":\"thread\",\"ph\":\"X\",\"ts\":0,"
		"\"dur\":%.3f,\"pid\":%d,\"tid\":%d,\"args\":{\"cpu_ms\":%.3f}}",
		(double)timeline_now_ns() / 1e3, (int)getpid(), thread->tid,
		(double)thread->cpu_ns / 1e6);
}

void timeline_write_trace(FILE *out, const struct timeline *t)
{
	static struct thread_entry thread[THREAD_LIST_MAX];
	unsigned n = thread_list_read(thread, THREAD_LIST_MAX);

	fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", out);
	write_name(out, "process_name", (int)getpid(), "vireo");
	fputs(",\n", out);
	write_name(out, "thread_name", (int)getpid(), "boot");
	for (unsigned i = 0; i < n; i++)
		if (thread[i].tid != (int)getpid())
			write_thread(out, &thread[i]);
	for (unsigned i = 0; i < t->n; i++)
		write_mark(out, t, i);
	fputs("\n]}\n", out);
}
