/*
 * The cases N1-N10, N17 and N19 of docs/negotiation.md, one by one; negotiation_model_test.c
 * does all.
 */
#include "virtio/negotiation.h"

#include <criterion/criterion.h>
#include <string.h>

enum { ACK = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 64, FAILED = 128 };

static struct negotiation make(void)
{
	struct negotiation n;
	struct features offered = FEATURES_EMPTY, required = FEATURES_EMPTY;

	features_add(&offered, VIRTIO_NET_F_CSUM);
	features_add(&offered, VIRTIO_NET_F_HOST_TSO4);
	features_add(&offered, VIRTIO_F_EVENT_IDX);
	features_add(&offered, VIRTIO_F_VERSION_1);
	features_add(&required, VIRTIO_F_VERSION_1);
	negotiation_init(&n, VIRTIO_ID_NET, offered, required);
	return n;
}

static void accept_half(struct negotiation *n, uint32_t half, uint32_t bits)
{
	n->driver_feature_select = half;
	negotiation_write_driver(n, bits);
}

static void accept_version_1(struct negotiation *n)
{
	accept_half(n, 1, 1);
}

/* N1.  covers: CORE-FEAT-12 */
Test(negotiation, n1_features_count_from_features_ok)
{
	struct negotiation n = make();

	accept_version_1(&n);
	accept_half(&n, 0, 1u << VIRTIO_NET_F_CSUM);
	cr_assert_eq(negotiation_write_status(&n, ACK | DRIVER), NEG_NOTHING);
	cr_assert_not(n.sealed);
	cr_assert(features_is_empty(n.accepted), "a draft is not accepted");
	cr_assert_eq(negotiation_write_status(&n, ACK | DRIVER | FEATURES_OK), NEG_SEALED);
	cr_assert(n.sealed);
	cr_assert(features_equal(n.accepted, n.draft));
	cr_assert_eq(negotiation_read_status(&n), ACK | DRIVER | FEATURES_OK);
}

/* N2.  covers: CORE-FEAT-08 CORE-FEAT-09 */
Test(negotiation, n2_a_write_replaces_its_half)
{
	struct negotiation n = make();

	accept_half(&n, 0, 1u << VIRTIO_NET_F_CSUM | 1u << VIRTIO_F_EVENT_IDX);
	accept_version_1(&n);
	accept_half(&n, 0, 1u << VIRTIO_F_EVENT_IDX);
	n.driver_feature_select = 0;
	cr_assert_eq(negotiation_read_driver(&n), 1u << VIRTIO_F_EVENT_IDX);
	n.driver_feature_select = 1;
	cr_assert_eq(negotiation_read_driver(&n), 1, "the other half stays");
	negotiation_write_status(&n, ACK | DRIVER | FEATURES_OK);
	cr_assert_not(features_has(&n.accepted, VIRTIO_NET_F_CSUM), "a bit can be taken back");
}

/* N2.  covers: CORE-RESET-04 */
Test(negotiation, n2_reset_forgets_the_draft)
{
	struct negotiation n = make();

	accept_version_1(&n);
	accept_half(&n, 0, 1u << VIRTIO_F_EVENT_IDX);
	n.device_feature_select = 1;
	cr_assert_eq(negotiation_write_status(&n, 0), NEG_RESET);
	negotiation_reset_done(&n);
	cr_assert(features_is_empty(n.draft));
	cr_assert_eq(n.driver_feature_select, 0);
	cr_assert_eq(n.device_feature_select, 0);
	cr_assert_eq(negotiation_write_status(&n, FEATURES_OK), NEG_REFUSED);
}

/* N5.  covers: CORE-FEAT-03 CORE-FEAT-10 CORE-STATUS-12 */
Test(negotiation, n5_a_bit_that_was_not_offered_is_refused_by_name)
{
	struct negotiation n = make();
	char why[128];

	accept_half(&n, 1, 1u | 1u << (VIRTIO_F_RING_PACKED - 32));
	cr_assert_eq(negotiation_write_status(&n, ACK | DRIVER | FEATURES_OK), NEG_REFUSED);
	cr_assert_eq(negotiation_read_status(&n), ACK | DRIVER);
	cr_assert_eq(n.refusal.rule, NEG_RULE_NOT_OFFERED);
	cr_assert_eq(n.refusal.bit, VIRTIO_F_RING_PACKED);
	negotiation_describe_refusal(&n, why, sizeof(why));
	cr_assert_str_eq(why, "VIRTIO_F_RING_PACKED (bit 34) was not offered");
}

/* N5.  covers: CORE-FEAT-11 NET-FEAT-11 */
Test(negotiation, n5_a_bit_without_what_it_needs_is_refused_by_name)
{
	struct negotiation n = make();
	char why[128];

	accept_version_1(&n);
	accept_half(&n, 0, 1u << VIRTIO_NET_F_HOST_TSO4);
	cr_assert_eq(negotiation_write_status(&n, FEATURES_OK), NEG_REFUSED);
	negotiation_describe_refusal(&n, why, sizeof(why));
	cr_assert_str_eq(why, "VIRTIO_NET_F_HOST_TSO4 needs VIRTIO_NET_F_CSUM");
}

/* N4, N5.  covers: CORE-FEAT-LEGACY-04 FEAT-02 */
Test(negotiation, n5_version_1_is_required)
{
	struct negotiation n = make();
	char why[128];

	accept_half(&n, 0, 1u << VIRTIO_NET_F_CSUM);
	cr_assert_eq(negotiation_write_status(&n, FEATURES_OK), NEG_REFUSED);
	negotiation_describe_refusal(&n, why, sizeof(why));
	cr_assert_str_eq(why, "VIRTIO_F_VERSION_1 is required");
}

/* N5.  covers: CORE-FEAT-13 CORE-FEAT-05 */
Test(negotiation, n5_the_driver_can_try_again)
{
	struct negotiation n = make();

	cr_assert_eq(negotiation_write_status(&n, ACK | DRIVER | FEATURES_OK), NEG_REFUSED);
	accept_version_1(&n);
	cr_assert_eq(negotiation_write_status(&n, ACK | DRIVER | FEATURES_OK), NEG_SEALED);
	cr_assert_eq(n.refusal.rule, NEG_RULE_NONE);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(negotiation_write_status(&n, 0), NEG_RESET);
		negotiation_reset_done(&n);
		accept_version_1(&n);
		cr_assert_eq(negotiation_write_status(&n, FEATURES_OK), NEG_SEALED);
	}
}

/* N5: every subset that keeps the rules is taken.  covers: CORE-FEAT-02 */
Test(negotiation, n5_every_valid_subset_is_accepted)
{
	for (unsigned set = 0; set < 8; set++) {
		struct negotiation n = make();
		bool csum = set & 1, tso4 = set & 2, event = set & 4;

		accept_version_1(&n);
		accept_half(&n, 0, (csum ? 1u << VIRTIO_NET_F_CSUM : 0) |
				   (tso4 ? 1u << VIRTIO_NET_F_HOST_TSO4 : 0) |
				   (event ? 1u << VIRTIO_F_EVENT_IDX : 0));
		cr_assert_eq(negotiation_write_status(&n, FEATURES_OK),
			     tso4 && !csum ? NEG_REFUSED : NEG_SEALED);
	}
}

/* N6. */
Test(negotiation, n6_status_is_kept_until_the_reset_is_complete)
{
	struct negotiation n = make();

	accept_version_1(&n);
	cr_assert_eq(negotiation_write_status(&n, ACK | DRIVER | FEATURES_OK), NEG_SEALED);
	cr_assert_eq(negotiation_write_status(&n, 0), NEG_RESET);
	cr_assert_neq(negotiation_read_status(&n), 0);
	cr_assert_eq(negotiation_write_status(&n, 0xf), NEG_NOTHING, "nothing starts meanwhile");
	negotiation_reset_done(&n);
	cr_assert_eq(negotiation_read_status(&n), 0);
}

/* N8.  covers: CORE-STATUS-06 CORE-FEAT-17 */
Test(negotiation, n8_bits_may_come_together)
{
	struct negotiation n = make();

	cr_assert_eq(negotiation_write_status(&n, ACK | DRIVER), NEG_NOTHING);
	cr_assert_eq(negotiation_read_status(&n), ACK | DRIVER);
	accept_version_1(&n);
	cr_assert_eq(negotiation_write_status(&n, ACK | DRIVER | FEATURES_OK | DRIVER_OK),
		     NEG_DRIVER_OK);
	cr_assert(n.sealed);
	cr_assert_eq(negotiation_read_status(&n), 0xf);
	cr_assert_eq(negotiation_write_status(&n, 0xf), NEG_NOTHING, "one start only");
}

/* N8.  covers: CORE-STATUS-08 CORE-STATUS-11 CORE-STATUS-07 CORE-SUSPEND-13 */
Test(negotiation, n8_no_write_clears_a_bit)
{
	struct negotiation n = make();

	accept_version_1(&n);
	negotiation_write_status(&n, 0xf);
	cr_assert_eq(negotiation_write_status(&n, ACK), NEG_NOTHING);
	cr_assert_eq(negotiation_read_status(&n), 0xf);
	cr_assert_eq(n.mistakes.n[MISTAKE_STATUS_BITS_CLEARED], 1);
	cr_assert_eq(negotiation_write_status(&n, 0x3f), NEG_NOTHING);
	cr_assert_eq(negotiation_read_status(&n), 0xf, "SUSPEND and 0x20 are not there");
}

/* N9.  covers: CORE-FEAT-06 CORE-FEAT-07 */
Test(negotiation, n9_sealed_features_are_not_written)
{
	struct negotiation n = make();

	accept_version_1(&n);
	negotiation_write_status(&n, FEATURES_OK);
	accept_half(&n, 0, 1u << VIRTIO_F_EVENT_IDX);
	cr_assert_not(features_has(&n.accepted, VIRTIO_F_EVENT_IDX));
	cr_assert_eq(negotiation_read_driver(&n), 0);
	cr_assert_eq(n.mistakes.n[MISTAKE_FEATURES_AFTER_OK], 1);
}

/* N10.  covers: CORE-STATUS-09 CORE-STATUS-14 */
Test(negotiation, n10_needs_reset_is_the_devices)
{
	struct negotiation n = make();

	accept_version_1(&n);
	negotiation_write_status(&n, NEEDS_RESET | FEATURES_OK);
	cr_assert_eq(negotiation_read_status(&n), FEATURES_OK);
	cr_assert_eq(n.mistakes.n[MISTAKE_NEEDS_RESET_WRITTEN], 1);

	cr_assert_not(negotiation_needs_reset(&n), "no interrupt before DRIVER_OK");
	cr_assert_eq(negotiation_write_status(&n, FEATURES_OK | DRIVER_OK), NEG_NOTHING,
		     "a broken device is not started");
	cr_assert_eq(negotiation_read_status(&n), FEATURES_OK | DRIVER_OK | NEEDS_RESET);
	negotiation_write_status(&n, 0);
	negotiation_reset_done(&n);
	cr_assert_eq(negotiation_read_status(&n), 0);
}

/* N10.  covers: CORE-STATUS-03 CORE-STATUS-04 */
Test(negotiation, n10_needs_reset_interrupts_once_after_driver_ok)
{
	struct negotiation n = make();

	accept_version_1(&n);
	negotiation_write_status(&n, 0xf);
	cr_assert(negotiation_needs_reset(&n));
	cr_assert_not(negotiation_needs_reset(&n));
	cr_assert_eq(negotiation_read_status(&n), 0xf | NEEDS_RESET);
}

/* covers: CORE-STATUS-12 */
Test(negotiation, driver_ok_alone_starts_nothing)
{
	struct negotiation n = make();

	accept_version_1(&n);
	cr_assert_eq(negotiation_write_status(&n, ACK | DRIVER | DRIVER_OK), NEG_NOTHING);
	cr_assert_eq(negotiation_read_status(&n), ACK | DRIVER);
	cr_assert_eq(n.mistakes.n[MISTAKE_DRIVER_OK_UNNEGOTIATED], 1);
}

/* covers: CORE-STATUS-10 */
Test(negotiation, after_failed_only_a_reset_helps)
{
	struct negotiation n = make();

	accept_version_1(&n);
	cr_assert_eq(negotiation_write_status(&n, ACK | FAILED | FEATURES_OK | DRIVER_OK),
		     NEG_FAILED);
	cr_assert_eq(negotiation_read_status(&n), ACK | FAILED);
	cr_assert_eq(negotiation_write_status(&n, 0xf | FAILED), NEG_NOTHING);
	cr_assert_not(n.sealed);
	cr_assert_eq(negotiation_write_status(&n, 0), NEG_RESET);
}

/* N17. */
Test(negotiation, n17_internal_bits_are_never_shown)
{
	struct negotiation n;
	struct features all = { { UINT64_MAX, UINT64_MAX } };

	negotiation_init(&n, VIRTIO_ID_NET, all, FEATURES_EMPTY);
	cr_assert_eq(negotiation_read_offered(&n) & (1u << 26 | 1u << 27 | 1u << 30), 0);
}

/* N19.  covers: CORE-FEAT-16 */
Test(negotiation, n19_halves_beyond_the_words_read_0_and_cannot_be_accepted)
{
	struct negotiation n = make();
	char why[128];

	for (unsigned i = 2; i < 32; i++) {
		n.device_feature_select = i == 31 ? UINT32_MAX : i;
		cr_assert_eq(negotiation_read_offered(&n), 0);
	}
	accept_version_1(&n);
	accept_half(&n, 4, 0);
	accept_half(&n, UINT32_MAX, 0);
	accept_half(&n, UINT32_MAX, 1);
	cr_assert_eq(negotiation_read_driver(&n), 0);
	cr_assert_eq(negotiation_write_status(&n, FEATURES_OK), NEG_REFUSED);
	negotiation_describe_refusal(&n, why, sizeof(why));
	cr_assert_str_eq(why, "a bit beyond 127 was not offered");
	negotiation_write_status(&n, 0);
	negotiation_reset_done(&n);
	accept_version_1(&n);
	cr_assert_eq(negotiation_write_status(&n, FEATURES_OK), NEG_SEALED);
}

/* What a device requires beside VERSION_1 (an IOMMU: ACCESS_PLATFORM) no legacy driver can accept. */
Test(negotiation, n5_a_legacy_driver_cannot_have_what_requires_more)
{
	struct features offered = FEATURES_EMPTY;
	struct negotiation n;
	char why[128];

	features_add(&offered, VIRTIO_F_VERSION_1);
	features_add(&offered, VIRTIO_F_ACCESS_PLATFORM);
	negotiation_init(&n, VIRTIO_ID_BLOCK, offered, offered);
	negotiation_offer_legacy(&n, FEATURES_EMPTY);
	cr_expect_eq(negotiation_seal_legacy(&n), NEG_REFUSED);
	cr_expect_not(n.sealed);
	negotiation_describe_refusal(&n, why, sizeof(why));
	cr_expect_str_eq(why, "VIRTIO_F_ACCESS_PLATFORM is required");
}
