/* CLOCK_MONOTONIC, as numbers: for time limits, and for what happened when.  Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <time.h>

#include "vmm/base/util.h"

static inline uint64_t clock_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static inline uint64_t clock_now_ms(void)
{
	return clock_now_ns() / 1000000;
}

/* The moment 'ms' milliseconds from now, for calls that wait until one. */
static inline struct timespec clock_in_ms(unsigned ms)
{
	uint64_t ns = clock_now_ns() + ms * UINT64_C(1000000);

	return (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
}

#endif
