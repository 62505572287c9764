/*
 * How long the start of a VM took and on what: the phases out of the event log.  Times are since
 * the process began: its first instruction, as far as its own CPU time tells (loading a program
 * waits for little else).
 */
#ifndef REPORT_TIMELINE_H
#define REPORT_TIMELINE_H

#include <stdio.h>

#include "vmm/base/event_log.h"
#include "vmm/base/util.h"

enum { TIMELINE_MAX = EVENT_LOG_KEPT, TIMELINE_NAME_SIZE = 80 };

/* A moment, with a name for people: "memory", "disk0: DRIVER_OK". */
struct timeline_mark {
	uint64_t ns;			/* since the process began */
	bool is_phase;			/* it lasts until the next mark that is one, or the end */
	char name[TIMELINE_NAME_SIZE];
};

struct timeline {
	unsigned n;
	struct timeline_mark mark[TIMELINE_MAX];
};

/* To be called first in main(). */
void timeline_begin(void);

/* Nanoseconds since the process began; milliseconds from then to 'ns' (CLOCK_MONOTONIC). */
uint64_t timeline_now_ns(void);
double timeline_ms(uint64_t ns);

/*
 * The marks of the event log, in order.  Where a guest caused more events than the log keeps, the
 * first mark says how many are gone.  'out' is large: 100 KiB.  Any thread.
 */
void timeline_take(struct timeline *out);

/* Add a mark for now: "end". */
void timeline_add(struct timeline *t, const char *name);

/* "--timing": a line for each mark, with how long it took. */
void timeline_write_text(FILE *out, const struct timeline *t);

/*
 * "--trace": the Trace Event format (JSON object form), which Perfetto and chrome://tracing open:
 * phases and marks on a track of their own, each device and each vCPU on another.
 */
void timeline_write_trace(FILE *out, const struct timeline *t);

#endif
