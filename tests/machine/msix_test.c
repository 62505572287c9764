/* The MSI-X capability, table and pending bits as the guest sees them; INTx without them. */
#include <criterion/criterion.h>
#include <errno.h>

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

TestSuite(msix, .init = set_up, .fini = tear_down);

static unsigned messages(uint64_t addr, uint32_t data)
{
	return fake_irq_chip_take(&rig.fake->irq, addr, data);
}

/* --- The table --- */

Test(msix, the_capability_says_where_and_how_many)
{
	cr_expect_eq(fake_machine_config_read(rig.fake, 1, 0, 0x40, 4),
		     (RIG_VECTORS - 1) << 16 | 0x11u);
	cr_expect_eq(fake_machine_config_read(rig.fake, 1, 0, 0x44, 4), RIG_TABLE | 4u);
	cr_expect_eq(fake_machine_config_read(rig.fake, 1, 0, 0x48, 4), RIG_PBA | 4u);
	fake_machine_config_write(rig.fake, 1, 0, 0x40, 4, 0xffffffff);
	cr_expect_eq(fake_machine_config_read(rig.fake, 1, 0, RIG_CONTROL, 2),
		     0xc000u | (RIG_VECTORS - 1));
}

Test(msix, every_vector_starts_masked_and_empty)
{
	for (unsigned i = 0; i < RIG_VECTORS; i++) {
		cr_expect_eq(msix_read(rig.msix, RIG_TABLE + 16 * i, 8), 0u);
		cr_expect_eq(msix_read(rig.msix, RIG_TABLE + 16 * i + 8, 8), 1ull << 32);
	}
	cr_expect_eq(msix_read(rig.msix, RIG_PBA, 8), 0u);
	cr_expect_eq(msix_read(rig.msix, RIG_PBA + 8, 8), 0u);
}

Test(msix, entries_take_any_access_size)
{
	msix_write(rig.msix, RIG_TABLE + 16, 8, 0x11223344fee00000);
	msix_write(rig.msix, RIG_TABLE + 24, 8, 0x00000000aabbccdd);
	cr_expect_eq(msix_read(rig.msix, RIG_TABLE + 16, 4), 0xfee00000u);
	cr_expect_eq(msix_read(rig.msix, RIG_TABLE + 20, 4), 0x11223344u);
	cr_expect_eq(msix_read(rig.msix, RIG_TABLE + 24, 8), 0xaabbccddu);
	msix_write(rig.msix, RIG_TABLE + 25, 1, 0x55);
	msix_write(rig.msix, RIG_TABLE + 26, 2, 0x6677);
	cr_expect_eq(msix_read(rig.msix, RIG_TABLE + 24, 4), 0x667755ddu);
	/* Reserved bits: the address is a dword's, the control has one bit. */
	msix_write(rig.msix, RIG_TABLE + 16, 4, 0xffffffff);
	msix_write(rig.msix, RIG_TABLE + 28, 4, 0xffffffff);
	cr_expect_eq(msix_read(rig.msix, RIG_TABLE + 16, 4), 0xfffffffcu);
	cr_expect_eq(msix_read(rig.msix, RIG_TABLE + 28, 4), 1u);
	/* Across two entries. */
	msix_write(rig.msix, RIG_TABLE + 16 + 12, 8, 0x0000004400000001);
	cr_expect_eq(msix_read(rig.msix, RIG_TABLE + 32, 4), 0x44u);
}

Test(msix, what_lies_outside_reads_zero_and_cannot_be_written)
{
	static const uint64_t offset[] = {
		0, RIG_TABLE - 8, RIG_TABLE + 16 * RIG_VECTORS, RIG_PBA - 8, RIG_PBA + 16,
		UINT64_MAX - 7,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(offset); i++) {
		msix_write(rig.msix, offset[i], 8, UINT64_MAX);
		cr_expect_eq(msix_read(rig.msix, offset[i], 8), 0u);
	}
	msix_write(rig.msix, RIG_PBA, 8, UINT64_MAX);
	cr_expect_eq(msix_read(rig.msix, RIG_PBA, 8), 0u);
}

Test(msix, overlaps_tells_table_and_pba_from_the_rest)
{
	cr_expect(msix_overlaps(rig.msix, 4, RIG_TABLE, 1));
	cr_expect(msix_overlaps(rig.msix, 4, RIG_TABLE - 1, 2));
	cr_expect(msix_overlaps(rig.msix, 4, RIG_TABLE + 16 * RIG_VECTORS - 1, 4));
	cr_expect(msix_overlaps(rig.msix, 4, RIG_PBA + 15, 1));
	cr_expect(msix_overlaps(rig.msix, 4, 0, UINT64_MAX));
	cr_expect_not(msix_overlaps(rig.msix, 4, RIG_TABLE - 4, 4));
	cr_expect_not(msix_overlaps(rig.msix, 4, RIG_TABLE + 16 * RIG_VECTORS, 4));
	cr_expect_not(msix_overlaps(rig.msix, 4, RIG_PBA + 16, UINT64_MAX));
	cr_expect_not(msix_overlaps(rig.msix, 3, RIG_TABLE, 4));
	cr_expect_not(msix_overlaps(rig.msix, 4, RIG_TABLE, 0));
}

/* --- INTx --- */

Test(msix, while_disabled_sources_are_intx_vector_or_not)
{
	cr_expect_not(msix_enabled(rig.msix));
	cr_assert_eq(msix_set_vector(&rig.source[1], 5), 0);
	msix_rig_signal(&rig, 0);
	msix_rig_signal(&rig, 1);
	fake_machine_pump(rig.fake);
	cr_expect_eq(rig.n_intx[0], 1u);
	cr_expect_eq(rig.n_intx[1], 1u);
	cr_expect_eq(rig.fake->irq.n_attached, 0u);
}

Test(msix, disabling_gives_the_sources_back_to_intx)
{
	msix_rig_enable(&rig);
	msix_rig_message(&rig, 0, 0xfee00000, 1);
	msix_rig_mask(&rig, 0, false);
	cr_assert_eq(msix_set_vector(&rig.source[0], 0), 0);
	fake_machine_pump(rig.fake);
	msix_rig_control(&rig, 0);
	/* Signals between the switch and the main loop's following wait. */
	msix_rig_signal(&rig, 0);
	fake_machine_pump(rig.fake);
	cr_expect_eq(rig.n_intx[0], 1u);
	cr_expect_eq(messages(0xfee00000, 1), 0u);
}

Test(msix, a_function_without_vectors_has_intx_only)
{
	struct pci_device plain;
	struct msix *none;
	struct msix_source s;
	static const struct pci_ids ids = { .vendor = 1, .device = 3, .has_intx = true };
	const struct msix_config config = {
		.dev = &plain, .irq = rig.fake->m.irq, .main_loop = rig.fake->m.main_loop,
		.machine_lock = &rig.fake->m.lock,
	};

	pci_device_init(&plain, "plain", &ids, NULL);
	cr_assert_eq(msix_create(&none, &config), 0);
	cr_expect_eq(plain.config[0x34], 0);
	cr_assert_eq(fd_create_event(&s.fd), 0);
	cr_assert_eq(msix_add_source(none, &s), 0);
	cr_expect_eq(msix_set_vector(&s, 0), -EINVAL);
	cr_expect_eq(s.vector, MSIX_NO_VECTOR);
	cr_expect_not(msix_enabled(none));
	cr_expect_not(msix_overlaps(none, 0, 0, 4096));
	cr_expect_eq(msix_read(none, 0, 4), 0u);
	msix_write(none, 0, 4, 1);
	msix_config_written(none, 0, 4);
	msix_destroy(none);
	cr_expect_null(s.msix);
	fd_close(&s.fd);
}

/* --- Reset --- */

Test(msix, system_reset_forgets_everything)
{
	msix_rig_enable(&rig);
	msix_rig_message(&rig, 0, 0xfee00000, 1);
	msix_rig_mask(&rig, 0, false);
	cr_assert_eq(msix_set_vector(&rig.source[0], 0), 0);
	cr_assert_eq(msix_set_vector(&rig.source[1], 1), 0);
	msix_rig_signal(&rig, 0);
	msix_rig_signal(&rig, 1);
	pci_root_reset(&rig.fake->m.pci);
	msix_reset(rig.msix);
	fake_machine_pump(rig.fake);
	rig.fake->irq.n_messages = 0;
	cr_expect_eq(rig.source[0].vector, MSIX_NO_VECTOR);
	cr_expect_eq(msix_read(rig.msix, RIG_TABLE, 8), 0u);
	cr_expect_eq(msix_read(rig.msix, RIG_TABLE + 8, 8), 1ull << 32);
	cr_expect_eq(msix_read(rig.msix, RIG_PBA, 8), 0u);
	cr_expect_eq(rig.n_intx[0] + rig.n_intx[1], 0u);
	cr_expect_eq(rig.fake->irq.n_attached, 0u);
	msix_rig_signal(&rig, 0);
	fake_machine_pump(rig.fake);
	cr_expect_eq(rig.n_intx[0], 1u);
}
