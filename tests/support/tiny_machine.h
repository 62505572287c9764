/*
 * A real machine on the host's KVM that runs a few bytes of hand-assembled code, for tests of the
 * machine floor.  The test's thread is the main loop.
 */
#ifndef SUPPORT_TINY_MACHINE_H
#define SUPPORT_TINY_MACHINE_H

#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"
#include "vmm/machine/machine.h"

enum {
	TINY_CODE = 0x20000,	/* where the code is put and entered */
	TINY_DATA = 0x7000,	/* a page that the code may use */
	TINY_AP_CODE = 0x8000,	/* SIPI vector 8 */
};

struct tiny_machine {
	struct event_loop *loop;
	struct machine *machine;
	struct region exit_port;	/* at PORT_EXIT: reports MACHINE_EXIT */
	unsigned n_outcomes;		/* how often on_outcome ran */
};

/*
 * Create a machine of 4 MiB with 'n_vcpus'; skips the calling test where /dev/kvm cannot be used.
 */
void tiny_machine_init(struct tiny_machine *t, unsigned n_vcpus);
void tiny_machine_fini(struct tiny_machine *t);

/* Put 'code' at TINY_CODE and set the boot processor to it. */
void tiny_machine_load(struct tiny_machine *t, enum boot_mode mode, const void *code, size_t len);

/* A 32-bit word of the guest's memory, as it is now. */
uint32_t tiny_machine_word(struct tiny_machine *t, uint64_t gpa);

/*
 * Run the main loop until an outcome is reported, or 'ms' milliseconds long; returns the outcome.
 */
enum machine_outcome tiny_machine_wait(struct tiny_machine *t, unsigned ms);

/* Start the vCPUs and wait for the outcome (at most 20 s). */
enum machine_outcome tiny_machine_run(struct tiny_machine *t);

#endif
