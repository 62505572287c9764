/*
 * A clock for measuring how long something took where a look at the system's clock would cost too
 * much: the processor's counter on x86-64, CLOCK_MONOTONIC elsewhere.  What it counts is nobody's
 * unit; cycles_to_ns() knows how long one is, some milliseconds after cycles_begin().
 */
#ifndef BASE_CYCLES_H
#define BASE_CYCLES_H

#include <stdatomic.h>

#include "vmm/base/util.h"

#ifdef __x86_64__
#include <x86intrin.h>

static inline uint64_t cycles_now(void)
{
	return __rdtsc();
}
#else
uint64_t cycles_now(void);
#endif

/* Begin to compare with the system's clock; later calls do nothing.  Any thread. */
void cycles_begin(void);

/* For cycles_to_ns(): nanoseconds in 2^-32 for each cycle, or 0; and where it is kept. */
extern _Atomic uint64_t cycles_rate_kept;
uint64_t cycles_find_rate(void);

static inline uint64_t cycles_rate(void)
{
	uint64_t rate = atomic_load_explicit(&cycles_rate_kept, memory_order_relaxed);

	return rate ? rate : cycles_find_rate();
}

/*
 * The nanoseconds of 'cycles', a difference of two readings; 0 while that is not known, and for a
 * difference that cannot be (two processors whose counters do not agree).  Any thread.
 */
static inline uint64_t cycles_to_ns(uint64_t cycles)
{
	uint64_t rate = cycles_rate();

	return cycles >> 63 ? 0 : (uint64_t)((unsigned __int128)cycles * rate >> 32);
}

#endif
