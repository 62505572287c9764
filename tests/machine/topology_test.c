#include <criterion/criterion.h>
#include <errno.h>

#include "vmm/machine/x86/topology.h"

Test(topology, default_is_one_socket_of_cores)
{
	struct topology t;

	cr_assert_eq(topology_init(&t, 4, 0, 0), 0);
	cr_assert(t.threads == 1 && t.cores == 4 && t.thread_bits == 0 && t.package_bits == 2);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(topology_apic_id(&t, i), i);
	cr_assert_eq(topology_package_size(&t), 4);
}

Test(topology, one_processor_has_id_0_and_no_bits)
{
	struct topology t;

	cr_assert_eq(topology_init(&t, 1, 0, 0), 0);
	cr_assert_eq(t.package_bits, 0);
	cr_assert_eq(topology_apic_id(&t, 0), 0);
}

Test(topology, ids_have_gaps_when_a_count_is_no_power_of_two)
{
	/* 2 threads, 3 cores: thread 1 bit, core 2 bits; core 3 does not exist. */
	static const uint32_t id[] = { 0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13 };
	struct topology t;

	cr_assert_eq(topology_init(&t, 12, 2, 3), 0);
	for (unsigned i = 0; i < 12; i++)
		cr_assert_eq(topology_apic_id(&t, i), id[i]);
}

Test(topology, ids_are_unique_and_fit_for_every_shape)
{
	for (unsigned n = 1; n <= 64; n++)
		for (unsigned threads = 0; threads <= 8; threads++)
			for (unsigned cores = 0; cores <= 64; cores++) {
				struct topology t;
				bool seen[256] = { false };

				if (topology_init(&t, n, threads, cores) < 0)
					continue;
				for (unsigned i = 0; i < n; i++) {
					uint32_t id = topology_apic_id(&t, i);
					cr_assert_lt(id, 255);
					cr_assert_not(seen[id]);
					seen[id] = true;
				}
			}
}

Test(topology, counts_out_of_range_are_refused)
{
	struct topology t;

	cr_assert_eq(topology_init(&t, 0, 0, 0), -EINVAL);
	cr_assert_eq(topology_init(&t, 65, 0, 0), -EINVAL);
	cr_assert_eq(topology_init(&t, 4, 65, 1), -EINVAL);
	cr_assert_eq(topology_init(&t, 4, 1, UINT32_MAX), -EINVAL);
	cr_assert_eq(topology_init(&t, 64, 33, 1), 0);
}
