/* Feature bits as people write them. */
#include "virtio/feature_names.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "virtio/virtio_ids.h"

static char why[FEATURE_WHY_SIZE];

static int find(const char *text, unsigned device)
{
	unsigned bit = 999;
	int r = feature_find(text, strlen(text), device, &bit, why);

	return r < 0 ? r : (int)bit;
}

Test(feature_names, a_bit_has_several_names)
{
	cr_expect_eq(find("VIRTIO_F_RING_PACKED", 0), 34);
	cr_expect_eq(find("virtio_f_ring_packed", VIRTIO_ID_RNG), 34);
	cr_expect_eq(find("ring_packed", VIRTIO_ID_BLOCK), 34);
	cr_expect_eq(find("Ring-Packed", VIRTIO_ID_BLOCK), 34);
	cr_expect_eq(find("packed", 0), 34);
	cr_expect_eq(find("34", 0), 34);
	cr_expect_eq(find("0x22", 0), 34);
	cr_expect_eq(find("indirect", 0), VIRTIO_F_INDIRECT_DESC);
	cr_expect_eq(find("indirect_desc", 0), VIRTIO_F_INDIRECT_DESC);
	cr_expect_eq(find("mq", VIRTIO_ID_BLOCK), VIRTIO_BLK_F_MQ);
	cr_expect_eq(find("mq", VIRTIO_ID_NET), VIRTIO_NET_F_MQ);
	cr_expect_eq(find("zeroes", VIRTIO_ID_BLOCK), VIRTIO_BLK_F_WRITE_ZEROES);
	cr_expect_eq(find("5", VIRTIO_ID_BLOCK), VIRTIO_BLK_F_RO);
}

/* Every name in the table leads to its own bit, whatever other names contain it. */
Test(feature_names, every_name_of_the_table_is_found)
{
	static const unsigned device[] = {
		0, VIRTIO_ID_NET, VIRTIO_ID_BLOCK, VIRTIO_ID_CONSOLE, VIRTIO_ID_RNG,
		VIRTIO_ID_BALLOON,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(device); i++) {
		for (unsigned bit = 0; bit < FEATURES_BITS; bit++) {
			const struct feature_info *info =
				feature_info((enum feature_bit)bit, device[i]);
			if (!info)
				continue;
			cr_expect_eq(find(info->name, device[i]), (int)bit, "%s", info->name);
			cr_expect_eq(find(feature_short_name(info), device[i]), (int)bit, "%s",
				     info->name);
		}
	}
}

Test(feature_names, a_part_that_several_names_have_is_refused)
{
	cr_expect_eq(find("order", 0), -EINVAL);
	cr_expect_str_eq(why, "'order' can be any of IN_ORDER, ORDER_PLATFORM");
	cr_expect_eq(find("ring", 0), -EINVAL);
	cr_expect_not_null(strstr(why, "RING_PACKED, RING_RESET"));
	cr_expect_eq(find("pack", 0), -EINVAL, "half a word is no word");
}

Test(feature_names, a_wrong_name_is_corrected)
{
	cr_expect_eq(find("ring_packd", VIRTIO_ID_RNG), -EINVAL);
	cr_expect_str_eq(why, "'ring_packd' is no feature bit of this device; did you mean "
			      "'RING_PACKED'?");
	cr_expect_eq(find("mq", 0), -EINVAL);
	cr_expect_not_null(strstr(why, "'mq' is no feature bit that all devices have"));
	cr_expect_eq(find("mq", VIRTIO_ID_CONSOLE), -EINVAL);
	cr_expect_eq(find("", 0), -EINVAL);
	cr_expect_eq(find("_", 0), -EINVAL);
	cr_expect_eq(find("99", 0), -EINVAL);
	cr_expect_str_eq(why, "bit 99 is not known for every device");
	cr_expect_eq(find("5", 0), -EINVAL, "a bit of a device type");
	cr_expect_eq(find("300", VIRTIO_ID_BLOCK), -EINVAL);
	cr_expect_eq(find("99999999999999999999999", VIRTIO_ID_BLOCK), -EINVAL);
}

Test(feature_names, one_wrong_word_of_a_name_is_corrected)
{
	cr_expect_eq(find("paked", 0), -EINVAL);
	cr_expect_str_eq(why, "'paked' is no feature bit that all devices have; did you mean "
			      "'RING_PACKED'?");
	cr_expect_eq(find("zeros", VIRTIO_ID_BLOCK), -EINVAL);
	cr_expect_not_null(strstr(why, "did you mean 'WRITE_ZEROES'?"), "%s", why);
	cr_expect_eq(find("nonsense", VIRTIO_ID_BLOCK), -EINVAL);
	cr_expect_null(strstr(why, "did you mean"), "%s", why);
}

/* N17: whoever writes "all" does not mean VHOST_F_LOG_ALL. */
Test(feature_names, bits_that_no_guest_sees_answer_to_their_whole_name_only)
{
	cr_expect_eq(find("all", 0), -EINVAL);
	cr_expect_eq(find("log", VIRTIO_ID_BLOCK), -EINVAL);
	cr_expect_eq(find("protocol", 0), -EINVAL);
	cr_expect_eq(find("vhost_f_log_all", 0), 26);
}

Test(feature_names, very_long_names_do_no_harm)
{
	static char word[5000];

	memset(word, 'A', sizeof(word) - 1);
	cr_expect_eq(find(word, VIRTIO_ID_NET), -EINVAL);
	memset(word, '1', sizeof(word) - 1);
	cr_expect_eq(find(word, VIRTIO_ID_NET), -EINVAL);
	memset(word, '%', sizeof(word) - 1);
	cr_expect_eq(find(word, VIRTIO_ID_NET), -EINVAL);
}

Test(feature_names, the_last_wish_counts)
{
	struct feature_wishes w = { 0 };

	cr_assert_eq(feature_wishes_add(&w, "+packed,-indirect,-packed,+28", 0, why), 0);
	cr_expect(features_has(&w.off, VIRTIO_F_RING_PACKED));
	cr_expect_not(features_has(&w.on, VIRTIO_F_RING_PACKED));
	cr_expect(features_has(&w.on, VIRTIO_F_INDIRECT_DESC));
	cr_expect_not(features_has(&w.off, VIRTIO_F_INDIRECT_DESC));
	cr_assert_eq(feature_wishes_add(&w, "+packed", 0, why), 0);
	cr_expect(features_has(&w.on, VIRTIO_F_RING_PACKED));
	cr_expect(features_has(&w.on, VIRTIO_F_INDIRECT_DESC), "what was there before stays");
}

Test(feature_names, a_list_with_a_mistake_changes_nothing)
{
	struct feature_wishes w = { 0 };

	cr_expect_eq(feature_wishes_add(&w, "+packed,indirect", 0, why), -EINVAL);
	cr_expect_str_eq(why, "'indirect': write '+' or '-' before each feature bit");
	cr_expect_eq(feature_wishes_add(&w, "+packed,", 0, why), -EINVAL);
	cr_expect_eq(feature_wishes_add(&w, "", 0, why), -EINVAL);
	cr_expect_eq(feature_wishes_add(&w, "+", 0, why), -EINVAL);
	cr_expect_str_eq(why, "the name of a feature bit is missing");
	cr_expect(features_is_empty(w.on));
	cr_expect(features_is_empty(w.off));
}

Test(feature_names, a_device_has_the_last_word)
{
	struct feature_wishes vm = { 0 }, device = { 0 }, w;

	cr_assert_eq(feature_wishes_add(&vm, "+packed,+in_order,-indirect", 0, why), 0);
	cr_assert_eq(feature_wishes_add(&device, "-packed,+indirect", 0, why), 0);
	w = feature_wishes_merge(vm, device);
	cr_expect(features_has(&w.off, VIRTIO_F_RING_PACKED));
	cr_expect_not(features_has(&w.on, VIRTIO_F_RING_PACKED));
	cr_expect(features_has(&w.on, VIRTIO_F_INDIRECT_DESC));
	cr_expect_not(features_has(&w.off, VIRTIO_F_INDIRECT_DESC));
	cr_expect(features_has(&w.on, VIRTIO_F_IN_ORDER));
}
