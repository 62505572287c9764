/* Who hears a source, for every mask, enable and vector; no signal gets lost. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/support/msix_rig.h"
#include "vmm/base/fd.h"

static struct msix_rig rig;

static void set_up(void)
{
	msix_rig_init(&rig);
}

static void tear_down(void)
{
	msix_rig_fini(&rig);
}

TestSuite(msix_source, .init = set_up, .fini = tear_down);

static unsigned messages(uint64_t addr, uint32_t data)
{
	return fake_irq_chip_take(&rig.fake->irq, addr, data);
}

/* --- Messages --- */

Test(msix_source, an_open_vector_sends_its_message)
{
	msix_rig_enable(&rig);
	msix_rig_message(&rig, 3, 0xfee01000, 0x4041);
	msix_rig_mask(&rig, 3, false);
	cr_expect_eq(msix_set_vector(&rig.source[0], 3), 0);
	cr_expect_eq(rig.source[0].vector, 3);
	msix_rig_signal(&rig, 0);
	cr_expect_eq(messages(0xfee01000, 0x4041), 1u);
	fake_machine_pump(rig.fake);
	cr_expect_eq(rig.n_intx[0], 0u);
	cr_expect_not(msix_rig_is_pending(&rig, 3));
}

Test(msix_source, a_masked_vector_is_pending_and_unmasking_sends_once)
{
	msix_rig_enable(&rig);
	msix_rig_message(&rig, 1, 0xfee00000, 7);
	cr_assert_eq(msix_set_vector(&rig.source[0], 1), 0);
	msix_rig_signal(&rig, 0);
	fake_machine_pump(rig.fake);
	msix_rig_signal(&rig, 0);
	fake_machine_pump(rig.fake);
	cr_expect(msix_rig_is_pending(&rig, 1));
	cr_expect(msix_is_pending(&rig.source[0]));
	cr_expect_not(msix_is_pending(&rig.source[1]), "it has no vector");
	cr_expect_eq(messages(0xfee00000, 7), 0u);
	msix_rig_mask(&rig, 1, false);
	cr_expect_eq(messages(0xfee00000, 7), 1u);
	cr_expect_not(msix_rig_is_pending(&rig, 1));
	cr_expect_not(msix_is_pending(&rig.source[0]));
	msix_rig_mask(&rig, 1, true);
	msix_rig_mask(&rig, 1, false);
	cr_expect_eq(messages(0xfee00000, 7), 0u);
}

Test(msix_source, the_function_mask_covers_all_vectors)
{
	msix_rig_enable(&rig);
	for (unsigned i = 0; i < 2; i++) {
		msix_rig_message(&rig, i, 0xfee00000, i);
		msix_rig_mask(&rig, i, false);
		cr_assert_eq(msix_set_vector(&rig.source[i], (uint16_t)i), 0);
	}
	msix_rig_control(&rig, RIG_CONTROL_ENABLE | RIG_CONTROL_MASK_ALL);
	msix_rig_signal(&rig, 0);
	msix_rig_signal(&rig, 1);
	fake_machine_pump(rig.fake);
	cr_expect_eq(msix_read(rig.msix, RIG_PBA, 1), 3u);
	msix_rig_mask(&rig, 1, true);
	msix_rig_control(&rig, RIG_CONTROL_ENABLE);
	cr_expect_eq(messages(0xfee00000, 0), 1u);
	cr_expect_eq(messages(0xfee00000, 1), 0u);
	cr_expect_eq(msix_read(rig.msix, RIG_PBA, 1), 2u);
}

Test(msix_source, pending_bits_are_true_before_the_main_loop_has_looked)
{
	msix_rig_enable(&rig);
	cr_assert_eq(msix_set_vector(&rig.source[0], 65), 0);
	msix_rig_signal(&rig, 0);
	cr_expect_eq(msix_read(rig.msix, RIG_PBA + 8, 8), 2u);
}

Test(msix_source, sources_may_share_a_vector)
{
	msix_rig_enable(&rig);
	msix_rig_message(&rig, 0, 0xfee00000, 9);
	msix_rig_mask(&rig, 0, false);
	for (unsigned i = 0; i < RIG_SOURCES; i++)
		cr_assert_eq(msix_set_vector(&rig.source[i], 0), 0);
	for (unsigned i = 0; i < RIG_SOURCES; i++)
		msix_rig_signal(&rig, i);
	cr_expect_eq(messages(0xfee00000, 9), (unsigned)RIG_SOURCES);
	/* One of them leaves; the vector stays for the others. */
	cr_assert_eq(msix_set_vector(&rig.source[0], MSIX_NO_VECTOR), 0);
	msix_rig_signal(&rig, 1);
	cr_expect_eq(messages(0xfee00000, 9), 1u);
	/* One GSI was enough. */
	unsigned n = 0;
	for (unsigned i = 0; i < IRQ_CHIP_MAX_GSI / 64; i++)
		n += (unsigned)__builtin_popcountll(rig.fake->irq.chip.msi_used[i]);
	cr_expect_eq(n, 1u);
}

Test(msix_source, a_shared_masked_vector_sends_one_message_for_all)
{
	msix_rig_enable(&rig);
	msix_rig_message(&rig, 0, 0xfee00000, 9);
	for (unsigned i = 0; i < RIG_SOURCES; i++) {
		cr_assert_eq(msix_set_vector(&rig.source[i], 0), 0);
		msix_rig_signal(&rig, i);
	}
	fake_machine_pump(rig.fake);
	msix_rig_mask(&rig, 0, false);
	cr_expect_eq(messages(0xfee00000, 9), 1u);
}

Test(msix_source, a_changed_message_of_an_open_vector_takes_effect)
{
	msix_rig_enable(&rig);
	msix_rig_message(&rig, 0, 0xfee00000, 1);
	msix_rig_mask(&rig, 0, false);
	cr_assert_eq(msix_set_vector(&rig.source[0], 0), 0);
	msix_write(rig.msix, RIG_TABLE, 8, 0xfee02000);
	msix_write(rig.msix, RIG_TABLE + 8, 4, 2);
	msix_rig_signal(&rig, 0);
	cr_expect_eq(messages(0xfee02000, 2), 1u);
	cr_expect_eq(rig.fake->irq.n_messages, 0u);
}

Test(msix_source, writing_what_is_there_costs_no_route)
{
	msix_rig_enable(&rig);
	msix_rig_message(&rig, 0, 0xfee00000, 1);
	msix_rig_mask(&rig, 0, false);
	cr_assert_eq(msix_set_vector(&rig.source[0], 0), 0);
	unsigned before = rig.fake->irq.n_set_routes;
	for (unsigned i = 0; i < 10; i++) {
		msix_rig_message(&rig, 0, 0xfee00000, 1);
		msix_rig_mask(&rig, 0, true);
		msix_rig_mask(&rig, 0, false);
	}
	cr_expect_eq(rig.fake->irq.n_set_routes, before);
}

/* covers: PCI-BUS-02 */
Test(msix_source, without_bus_master_enable_nothing_is_sent)
{
	msix_rig_control(&rig, RIG_CONTROL_ENABLE);
	msix_rig_message(&rig, 0, 0xfee00000, 1);
	msix_rig_mask(&rig, 0, false);
	cr_assert_eq(msix_set_vector(&rig.source[0], 0), 0);
	msix_rig_signal(&rig, 0);
	fake_machine_pump(rig.fake);
	cr_expect_eq(messages(0xfee00000, 1), 0u);
	msix_rig_master(&rig, true);
	cr_expect_eq(messages(0xfee00000, 1), 1u);
	msix_rig_master(&rig, false);
	msix_rig_signal(&rig, 0);
	cr_expect_eq(messages(0xfee00000, 1), 0u);
	msix_rig_master(&rig, true);
	cr_expect_eq(messages(0xfee00000, 1), 1u);
}

/* --- Vectors --- */

Test(msix_source, a_source_without_a_vector_interrupts_nobody_then_or_later)
{
	msix_rig_enable(&rig);
	msix_rig_message(&rig, 0, 0xfee00000, 1);
	msix_rig_mask(&rig, 0, false);
	msix_rig_signal(&rig, 0);
	fake_machine_pump(rig.fake);
	cr_expect_eq(rig.n_intx[0], 0u);
	cr_assert_eq(msix_set_vector(&rig.source[0], 0), 0);
	cr_expect_eq(messages(0xfee00000, 1), 0u);
	cr_assert_eq(msix_set_vector(&rig.source[0], MSIX_NO_VECTOR), 0);
	msix_rig_signal(&rig, 0);
	fake_machine_pump(rig.fake);
	cr_assert_eq(msix_set_vector(&rig.source[0], 0), 0);
	cr_expect_eq(messages(0xfee00000, 1), 0u);
}

Test(msix_source, a_vector_that_does_not_exist_reads_back_as_none)
{
	cr_assert_eq(msix_set_vector(&rig.source[0], 2), 0);
	cr_expect_eq(msix_set_vector(&rig.source[0], RIG_VECTORS), -EINVAL);
	cr_expect_eq(rig.source[0].vector, MSIX_NO_VECTOR);
	cr_expect_eq(msix_set_vector(&rig.source[0], 0xfffe), -EINVAL);
	cr_expect_eq(rig.source[0].vector, MSIX_NO_VECTOR);
	cr_expect_eq(msix_set_vector(&rig.source[0], MSIX_NO_VECTOR), 0);
}

Test(msix_source, when_routes_run_out_the_driver_reads_no_vector)
{
	memset(rig.fake->irq.chip.msi_used, 0xff, sizeof(rig.fake->irq.chip.msi_used));
	cr_expect_eq(msix_set_vector(&rig.source[0], 0), -EINVAL);
	cr_expect_eq(rig.source[0].vector, MSIX_NO_VECTOR);
	irq_chip_free_msi(rig.fake->m.irq, 100);
	cr_expect_eq(msix_set_vector(&rig.source[0], 0), 0);
	cr_expect_eq(msix_set_vector(&rig.source[1], 1), -EINVAL);
	cr_expect_eq(msix_set_vector(&rig.source[0], MSIX_NO_VECTOR), 0);
	cr_expect_eq(msix_set_vector(&rig.source[1], 1), 0);
}

Test(msix_source, what_is_pending_moves_with_the_source)
{
	msix_rig_enable(&rig);
	msix_rig_message(&rig, 1, 0xfee00000, 1);
	msix_rig_mask(&rig, 1, false);
	cr_assert_eq(msix_set_vector(&rig.source[0], 0), 0);
	msix_rig_signal(&rig, 0);
	fake_machine_pump(rig.fake);
	cr_expect(msix_rig_is_pending(&rig, 0));
	cr_assert_eq(msix_set_vector(&rig.source[0], 1), 0);
	cr_expect_eq(messages(0xfee00000, 1), 1u);
	cr_expect_not(msix_rig_is_pending(&rig, 0));
}

/* --- The host says no --- */

Test(msix_source, a_message_that_the_host_refuses_stays_pending)
{
	rig.fake->irq.refused_addr = 0xdead0000;
	msix_rig_enable(&rig);
	msix_rig_message(&rig, 0, 0xfee00000, 1);
	msix_rig_mask(&rig, 0, false);
	cr_assert_eq(msix_set_vector(&rig.source[0], 0), 0);
	msix_rig_message(&rig, 0, 0xdead0000, 1);
	fake_machine_pump(rig.fake);
	msix_rig_signal(&rig, 0);
	fake_machine_pump(rig.fake);
	cr_expect_eq(messages(0xfee00000, 1), 0u);
	cr_expect(msix_rig_is_pending(&rig, 0));
	msix_rig_message(&rig, 0, 0xfee00000, 1);
	cr_expect_eq(messages(0xfee00000, 1), 1u);
}

Test(msix_source, a_source_that_cannot_be_attached_stays_pending)
{
	rig.fake->irq.refuse_attach = true;
	msix_rig_enable(&rig);
	msix_rig_message(&rig, 0, 0xfee00000, 1);
	msix_rig_mask(&rig, 0, false);
	cr_assert_eq(msix_set_vector(&rig.source[0], 0), 0);
	msix_rig_signal(&rig, 0);
	fake_machine_pump(rig.fake);
	cr_expect(msix_rig_is_pending(&rig, 0));
	rig.fake->irq.refuse_attach = false;
	msix_rig_mask(&rig, 0, true);
	msix_rig_mask(&rig, 0, false);
	cr_expect_eq(messages(0xfee00000, 1), 1u);
}

/* --- Ends --- */

Test(msix_source, device_reset_forgets_the_signals_of_its_sources)
{
	msix_rig_signal(&rig, 0);
	msix_reset_source(&rig.source[0]);
	fake_machine_pump(rig.fake);
	cr_expect_eq(rig.n_intx[0], 0u);
}

Test(msix_source, a_removed_source_is_heard_by_nobody)
{
	msix_rig_enable(&rig);
	msix_rig_message(&rig, 0, 0xfee00000, 1);
	msix_rig_mask(&rig, 0, false);
	cr_assert_eq(msix_set_vector(&rig.source[0], 0), 0);
	msix_remove_source(&rig.source[0]);
	msix_remove_source(&rig.source[0]);
	msix_rig_signal(&rig, 0);
	fake_machine_pump(rig.fake);
	cr_expect_eq(messages(0xfee00000, 1), 0u);
	msix_rig_control(&rig, 0);
	fake_machine_pump(rig.fake);
	cr_expect_eq(rig.n_intx[0], 0u);
}

/*
 * Random masks, enables, vectors and pumps.  Whenever the way is open, every source that was
 * signalled since it was last heard is heard at once.
 */
Test(msix_source, no_signal_is_lost_on_any_way)
{
	bool masked = true, mask_all = false, on = true, master = true, owed = false;
	uint32_t seed = 7;

	msix_rig_enable(&rig);
	msix_rig_message(&rig, 0, 0xfee00000, 1);
	msix_rig_message(&rig, 1, 0xfee00000, 1);
	cr_assert_eq(msix_set_vector(&rig.source[0], 0), 0);
	for (unsigned n = 0; n < 20000; n++) {
		seed = seed * 1664525 + 1013904223;
		switch (seed >> 20 & 7) {
		case 0:
			masked = !masked;
			msix_rig_mask(&rig, 0, masked);
			msix_rig_mask(&rig, 1, masked);
			break;
		case 1:
			mask_all = !mask_all;
			break;
		case 2:
			on = (seed >> 24 & 3) != 0;
			break;
		case 3:
			master = !master;
			msix_rig_master(&rig, master);
			break;
		case 4:
			cr_assert_eq(msix_set_vector(&rig.source[0], seed >> 25 & 1), 0);
			break;
		case 5:
			fake_machine_pump(rig.fake);
			break;
		default:
			msix_rig_signal(&rig, 0);
			owed = true;
			break;
		}
		msix_rig_control(&rig, (uint16_t)((on ? RIG_CONTROL_ENABLE : 0) |
				       (mask_all ? RIG_CONTROL_MASK_ALL : 0)));
		bool open = on && master && !masked && !mask_all;
		if (!on)
			fake_machine_pump(rig.fake);
		unsigned heard = messages(0xfee00000, 1) + rig.n_intx[0];
		rig.n_intx[0] = 0;
		if (owed && (open || !on) && !heard)
			cr_assert(!on && (msix_rig_is_pending(&rig, 0) ||
					  msix_rig_is_pending(&rig, 1)), "step %u", n);
		if (heard)
			owed = false;
	}
}

struct chatter {
	int fd;
	unsigned n;
};

static void *chatter_main(void *arg)
{
	struct chatter *chatter = arg;

	for (unsigned i = 0; i < chatter->n; i++)
		fd_signal(chatter->fd);
	return NULL;
}

Test(msix_source, a_data_plane_that_signals_during_transitions_is_heard_at_the_end)
{
	struct chatter chatter = { .fd = rig.source[0].fd, .n = 20000 };
	pthread_t thread;

	cr_assert_eq(event_loop_thread_start(rig.fake->m.main_loop), 0);
	msix_rig_enable(&rig);
	machine_lock(&rig.fake->m);
	msix_rig_message(&rig, 0, 0xfee00000, 1);
	cr_assert_eq(msix_set_vector(&rig.source[0], 0), 0);
	machine_unlock(&rig.fake->m);
	cr_assert_eq(pthread_create(&thread, NULL, chatter_main, &chatter), 0);
	for (unsigned i = 0; i < 2000; i++) {
		machine_lock(&rig.fake->m);
		msix_rig_mask(&rig, 0, i % 2);
		machine_unlock(&rig.fake->m);
		rig.fake->irq.n_messages = 0;
	}
	pthread_join(thread, NULL);
	machine_lock(&rig.fake->m);
	msix_rig_mask(&rig, 0, true);
	msix_rig_signal(&rig, 0);
	msix_rig_mask(&rig, 0, false);
	cr_expect_geq(messages(0xfee00000, 1), 1u);
	machine_unlock(&rig.fake->m);
	event_loop_thread_stop(rig.fake->m.main_loop);
}
