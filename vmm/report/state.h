/*
 * The state report: what everything in a VM is at, at one moment, for people who wonder why nothing
 * happens.  Taken at the time limit, at SIGUSR1 and through the control socket; the guest then goes
 * on.  Nothing waits for the guest longer than STATE_CATCH_MS, and all of it is bounded.
 */
#ifndef REPORT_STATE_H
#define REPORT_STATE_H

#include <stdio.h>

#include "devices/console_tail.h"
#include "virtio/negotiation.h"
#include "virtio/queue_look.h"
#include "vmm/base/event_log.h"
#include "vmm/base/thread_list.h"
#include "vmm/machine/cpu_look.h"
#include "vmm/report/symbols.h"

struct json_t;
struct vm;

enum {
	STATE_CATCH_MS = 200,
	STATE_CODE_BEFORE = 16,
	STATE_CODE = 48,		/* bytes around RIP */
	STATE_STACK = 4096,		/* bytes of the stack that are looked at */
	STATE_WORDS = 8,		/* of it that are shown as they are */
	STATE_CALLS = 12,
	STATE_EVENTS = 50,
	STATE_MAX_QUEUES = 1024,
	STATE_MAX_THREADS = 128,
};

struct state_cpu {
	struct cpu_look look;
	char where[SYMBOLS_TEXT_SIZE];	/* what RIP is in, or "" */
	uint8_t code[STATE_CODE];
	unsigned n_code, code_at;	/* how many could be read, which one RIP is at */
	uint64_t word[STATE_WORDS];
	unsigned n_words;
	/* Addresses of code on the stack: where it may have been called from. */
	struct {
		uint64_t address;
		char name[SYMBOLS_TEXT_SIZE];
	} call[STATE_CALLS];
	unsigned n_calls;
};

struct state_device {
	char name[80];
	uint8_t status;
	enum virtio_state state;
};

struct state_console {
	const char *name;		/* "console" */
	size_t len;
	char text[CONSOLE_TAIL_KEPT];	/* as the guest wrote it */
};

struct state_report {
	char why[64];
	uint64_t ns;			/* since the process began */
	unsigned n_cpus, n_inside;	/* so many did not come out of the guest */
	struct state_cpu *cpu;
	int64_t slide;			/* by which the kernel moved itself; 0 also if unknown */
	struct irq_look irqs;
	bool busy;			/* a CPU kept the machine lock: no devices and queues */
	struct state_device *device;
	unsigned n_devices;
	struct queue_look *queue;
	unsigned n_queues;
	struct state_console console[2];
	unsigned n_consoles;
	struct event event[STATE_EVENTS];
	unsigned n_events;
	struct thread_entry thread[STATE_MAX_THREADS];
	unsigned n_threads;
};

/*
 * Take the report of 'vm'; 'why' is who wants it ("SIGUSR1").  'symbols' may be NULL.  Returns 0
 * and an owned report, or -ENOMEM with an error chain.  Main thread, machine lock not held; works
 * in the sandbox.
 */
MUST_USE int state_take(struct state_report **out, struct vm *vm, const struct symbols *symbols,
			const char *why);
void state_free(struct state_report *report);

/* Write it for people: what the guest said is shown so that no terminal takes it for orders. */
void state_write_text(FILE *out, const struct state_report *report);

/* The same for programs: returns an owned object of Jansson; NULL: memory is short. */
struct json_t *state_json(const struct state_report *report);

#endif
