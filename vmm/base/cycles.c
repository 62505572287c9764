#include "vmm/base/cycles.h"

#include "vmm/base/clock.h"


/* Compared over that time the rate is right to some parts in 10000. */
enum { COMPARE_NS = 2000000 };

static struct {
	_Atomic uint64_t ns, cycles;	/* one moment in both; ns is stored last, 0: none yet */
} start;

_Atomic uint64_t cycles_rate_kept;

#ifndef __x86_64__
uint64_t cycles_now(void)
{
	return clock_now_ns();
}
#endif

void cycles_begin(void)
{
	uint64_t none = 0, now;

	if (atomic_load(&start.ns))
		return;
	/* Of several that begin at once the first one's moment counts. */
	now = cycles_now();
	if (atomic_compare_exchange_strong(&start.cycles, &none, now))
		atomic_store(&start.ns, clock_now_ns());
}

/* Whoever comes first computes it; two do no harm. */
uint64_t cycles_find_rate(void)
{
	uint64_t since = atomic_load(&start.ns), ns, cycles, rate;

	if (since == 0) {
		cycles_begin();
		return 0;
	}
	ns = clock_now_ns() - since;
	cycles = cycles_now() - atomic_load(&start.cycles);
	if (ns < COMPARE_NS || cycles == 0)
		return 0;
	rate = (uint64_t)(((unsigned __int128)ns << 32) / cycles);
	atomic_store_explicit(&cycles_rate_kept, rate, memory_order_relaxed);
	return rate;
}
