#include <criterion/criterion.h>

#include "vmm/machine/halt_watch.h"

enum { A_LITTLE = 1000, A_LOT = 50000000 };

Test(halt_watch, looks_at_the_first_quiet_tick)
{
	struct halt_policy p = { 0 };

	cr_assert_not(halt_policy_tick(&p, A_LOT));
	cr_assert(halt_policy_tick(&p, A_LOT));
}

Test(halt_watch, busy_guest_is_never_looked_at)
{
	struct halt_policy p = { 0 };

	for (uint64_t i = 1; i < 1000; i++)
		cr_assert_not(halt_policy_tick(&p, i * A_LOT));
}

/* Each look costs the vCPUs a little CPU time, which must not count as work. */
Test(halt_watch, idle_guest_is_looked_at_ever_more_rarely_but_always_again)
{
	struct halt_policy p = { 0 };
	uint64_t ns = A_LOT;
	unsigned looks = 0;

	for (unsigned tick = 0; tick < 1000; tick++) {
		if (halt_policy_tick(&p, ns)) {
			looks++;
			ns += A_LITTLE;
		}
	}
	cr_assert_geq(looks, 1000 / 17);
	cr_assert_leq(looks, 1000 / 16 + 5);
}

Test(halt_watch, work_makes_the_next_look_soon)
{
	struct halt_policy p = { 0 };
	uint64_t ns = A_LOT;

	for (unsigned tick = 0; tick < 100; tick++)
		if (halt_policy_tick(&p, ns))
			ns += A_LITTLE;
	ns += A_LOT;
	cr_assert_not(halt_policy_tick(&p, ns));
	cr_assert(halt_policy_tick(&p, ns));
}
