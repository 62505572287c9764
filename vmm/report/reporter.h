/*
 * Who makes a run's reports: what they need is opened before the sandbox, and kept.  Main thread.
 */
#ifndef REPORT_REPORTER_H
#define REPORT_REPORTER_H

#include "vmm/base/fd.h"
#include "vmm/base/util.h"
#include "vmm/config.h"
#include "vmm/report/state.h"
#include "vmm/report/symbols.h"

struct vm;

struct reporter {
	const struct vm_config *config;	/* keeps; NULL: not opened */
	struct symbols *symbols;	/* NULL: none are known */
	int trace_fd, dump_fd, report_fd;	/* or FD_NONE */
	/* Optional: gets the text of each state report, as 'report_fd' does. */
	void (*keep)(void *arg, const char *text, size_t len);
	void *keep_arg;
};
#define REPORTER_INIT { .trace_fd = FD_NONE, .dump_fd = FD_NONE, .report_fd = FD_NONE }

/*
 * Open what the configuration names.  Returns 0 or -errno with an error chain (reporter_close is
 * then still to be called).
 */
MUST_USE int reporter_open(struct reporter *r, const struct vm_config *config);

/* Take a state report; NULL, said why, if memory is short. */
struct state_report *reporter_take(struct reporter *r, struct vm *vm, const char *why);
/*
 * The CPUs are halted now: if some did not come out of the guest when '*report' was taken (which
 * may be NULL), take it again.
 */
void reporter_complete(struct reporter *r, struct state_report **report, struct vm *vm);
/*
 * Write it to standard error, in one piece, have it kept, and free it / only have it kept.  NULL is
 * fine.
 */
void reporter_write(struct reporter *r, struct state_report *report);
void reporter_keep(struct reporter *r, struct state_report *report);

/*
 * A state report for who asks: an owned object of Jansson, or text from malloc with its length; or
 * NULL with an error chain.
 */
struct json_t *reporter_json(struct reporter *r, struct vm *vm, const char *why);
char *reporter_text(struct reporter *r, struct vm *vm, const char *why, size_t *len);

/* Does it have a place for reports, beside standard error? */
bool reporter_keeps(const struct reporter *r);

/* What of the sandbox's optional calls (SANDBOX_...) it needs. */
unsigned reporter_sandbox_needs(const struct reporter *r);

/* The guest ended badly and shall be kept: write the core file, and say so.  Halted. */
void reporter_dump(struct reporter *r, struct vm *vm);

/* The run is over: the boot timeline and the trace, if they were asked for. */
void reporter_end(struct reporter *r);

/* REPORTER_INIT and half-opened are fine. */
void reporter_close(struct reporter *r);

#endif
