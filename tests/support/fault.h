/*
 * Fault injection: a scenario is run again and again while the first, second, ... n-th call that it
 * makes to the system or to the allocator fails, until none is left to fail.
 *
 * The product has no hook for it.  Unit tests are linked with -Wl,--wrap=NAME for the calls in
 * FAULT_CALLS (Makefile), which leads their calls and the product's, not the C library's own, to
 * the wrappers in fault.c.  Only calls that set something up or carry data fail: giving back
 * (close, munmap, EPOLL_CTL_DEL) cannot, and eventfds that exist always work.
 */
#ifndef TESTS_FAULT_H
#define TESTS_FAULT_H

#include "vmm/base/util.h"

/*
 * What a scenario came to.  A failure that was reported is a negative errno with an error chain;
 * one that the guest sees is FAULT_SHOWN (DEVICE_NEEDS_RESET, an I/O error as the answer).
 */
enum { FAULT_FINE = 0, FAULT_SHOWN = 1 };
typedef int (*fault_scenario)(void *arg);

/*
 * Run 'scenario' without fault, then with each single call failing, then with each call and all
 * after it failing; in between without fault again, which must work.  It must undo what it did. 
 * Each run must leave as many descriptors, threads, blocks of memory and mappings as there were,
 * and an error must be readable.  Calls of all threads count.  Anything else ends the test.
 *
 * Returns how many calls there were to fail.
 */
unsigned fault_each(fault_scenario scenario, void *arg);

/* By hand: let the n-th call from now on fail (from 1), once / and all after it. */
void fault_arm(unsigned n, bool all_after);
/* The name of the first call that failed since then, or NULL. */
const char *fault_hit(void);
/* No more faults.  Returns what fault_hit does. */
const char *fault_disarm(void);

#endif
