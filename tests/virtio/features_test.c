#include "virtio/features.h"

#include <criterion/criterion.h>
#include <string.h>

#include "virtio/virtio_ids.h"

static struct features with(unsigned bit)
{
	struct features f = FEATURES_EMPTY;

	features_add(&f, bit);
	return f;
}

/* covers: FEAT-11 */
Test(features, numbers_are_those_of_the_specification)
{
	cr_expect_eq(VIRTIO_F_INDIRECT_DESC, 28);
	cr_expect_eq(VIRTIO_F_EVENT_IDX, 29);
	cr_expect_eq(VIRTIO_F_VERSION_1, 32);
	cr_expect_eq(VIRTIO_F_ACCESS_PLATFORM, 33);
	cr_expect_eq(VIRTIO_F_RING_PACKED, 34);
	cr_expect_eq(VIRTIO_F_IN_ORDER, 35);
	cr_expect_eq(VIRTIO_F_ORDER_PLATFORM, 36);
	cr_expect_eq(VIRTIO_F_SR_IOV, 37);
	cr_expect_eq(VIRTIO_F_NOTIFICATION_DATA, 38);
	cr_expect_eq(VIRTIO_F_NOTIF_CONFIG_DATA, 39);
	cr_expect_eq(VIRTIO_F_RING_RESET, 40);
	cr_expect_eq(VIRTIO_F_ADMIN_VQ, 41);
	cr_expect_eq(VIRTIO_F_SUSPEND, 43);
}

Test(features, a_row_is_found_by_bit_and_device_type)
{
	cr_assert_str_eq(feature_info((enum feature_bit)5, VIRTIO_ID_BLOCK)->name,
			 "VIRTIO_BLK_F_RO");
	cr_assert_str_eq(feature_info((enum feature_bit)5, VIRTIO_ID_NET)->name,
			 "VIRTIO_NET_F_MAC");
	cr_assert_null(feature_info((enum feature_bit)5, VIRTIO_ID_CONSOLE));
	cr_assert_str_eq(feature_info(VIRTIO_F_VERSION_1, VIRTIO_ID_RNG)->name,
			 "VIRTIO_F_VERSION_1");
}

Test(features, an_unknown_bit_has_a_name_too)
{
	char buf[24];

	cr_assert_str_eq(feature_name(buf, 48, VIRTIO_ID_BLOCK), "bit 48");
	cr_assert_str_eq(feature_name(buf, 29, VIRTIO_ID_BLOCK), "VIRTIO_F_EVENT_IDX");
}

/* N19.  covers: FEAT-11 */
Test(features, halves_cover_128_bits_and_nothing_beyond)
{
	struct features f = FEATURES_EMPTY;

	for (uint32_t half = 0; half < 4; half++)
		features_set_half(&f, half, 0x11111111u * (half + 1));
	cr_assert_eq(f.word[0], 0x2222222211111111u);
	cr_assert_eq(f.word[1], 0x4444444433333333u);
	features_set_half(&f, 4, 0xffffffff);
	features_set_half(&f, 0xffffffff, 0xffffffff);
	cr_assert_eq(f.word[0], 0x2222222211111111u);
	cr_assert_eq(f.word[1], 0x4444444433333333u);
	cr_assert_eq(features_half(&f, 3), 0x44444444);
	cr_assert_eq(features_half(&f, 4), 0);
	cr_assert_eq(features_half(&f, 0x80000000), 0);
	cr_assert_eq(features_half(&f, 0xffffffff), 0);
	cr_assert_not(features_has(&f, 128));
	cr_assert_not(features_has(&f, 0xffffffff));
}

/* N2: a half is replaced, its neighbour stays. */
Test(features, setting_a_half_replaces_it)
{
	struct features f = { { UINT64_MAX, UINT64_MAX } };

	features_set_half(&f, 1, 0x5);
	cr_assert_eq(f.word[0], 0x5ffffffffu);
	cr_assert_eq(f.word[1], UINT64_MAX);
}

/* N17.  covers: FEAT-20 FEAT-LEGACY-05 CORE-FEAT-04 */
Test(features, only_known_modern_bits_can_be_offered)
{
	struct features all = { { UINT64_MAX, UINT64_MAX } };
	struct features blk = features_offerable(all, VIRTIO_ID_BLOCK, FEATURE_MODERN);

	for (unsigned bit = 0; bit < FEATURES_BITS; bit++) {
		const struct feature_info *info =
			feature_info((enum feature_bit)bit, VIRTIO_ID_BLOCK);
		bool expected = info && info->owner != FEATURE_INTERNAL &&
				info->interfaces & FEATURE_MODERN;
		cr_expect_eq(features_has(&blk, bit), expected, "bit %u", bit);
	}
	cr_assert_not(features_has(&blk, 26), "VHOST_F_LOG_ALL");
	cr_assert_not(features_has(&blk, 27), "VHOST_NET_F_VIRTIO_NET_HDR");
	cr_assert_not(features_has(&blk, 30), "VHOST_USER_F_PROTOCOL_FEATURES");
	for (unsigned bit = 44; bit < 50; bit++)
		cr_assert_not(features_has(&blk, bit), "reserved bit %u", bit);
}

/* covers: CORE-FEAT-01 NET-FEAT-01 NET-FEAT-03 NET-FEAT-05 */
Test(features, what_cannot_be_used_is_not_offered)
{
	struct features f = with(VIRTIO_NET_F_HOST_TSO4);

	features_add(&f, VIRTIO_NET_F_HOST_ECN);
	features_add(&f, VIRTIO_NET_F_GUEST_UFO);
	features_add(&f, VIRTIO_NET_F_CTRL_VLAN);
	features_add(&f, VIRTIO_NET_F_MTU);
	/* TSO4 falls with the missing CSUM, ECN with TSO4. */
	cr_assert(features_equal(features_offerable(f, VIRTIO_ID_NET, FEATURE_MODERN),
				 with(VIRTIO_NET_F_MTU)));

	features_add(&f, VIRTIO_NET_F_CSUM);
	struct features ok = features_offerable(f, VIRTIO_ID_NET, FEATURE_MODERN);
	cr_assert(features_has(&ok, VIRTIO_NET_F_HOST_TSO4));
	cr_assert(features_has(&ok, VIRTIO_NET_F_HOST_ECN));
	cr_assert_not(features_has(&ok, VIRTIO_NET_F_GUEST_UFO));
}

/* covers: NET-FEAT-02 NET-FEAT-04 */
Test(features, a_choice_is_met_by_either_bit)
{
	uint8_t bit, needs;
	struct features f = with(VIRTIO_NET_F_GUEST_ECN);

	features_add(&f, VIRTIO_NET_F_GUEST_CSUM);
	cr_assert(features_find_unmet(&f, VIRTIO_ID_NET, &bit, &needs));
	cr_assert_eq(bit, VIRTIO_NET_F_GUEST_ECN);
	features_add(&f, VIRTIO_NET_F_GUEST_TSO6);
	cr_assert_not(features_find_unmet(&f, VIRTIO_ID_NET, &bit, &needs));
	/* The same number is another bit elsewhere. */
	f = with(VIRTIO_BLK_F_FLUSH);
	cr_assert_not(features_find_unmet(&f, VIRTIO_ID_BLOCK, &bit, &needs));
}
