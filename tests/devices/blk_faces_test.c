/*
 * One block device before drivers of every kind: over each register interface, with the framing of
 * old and with an arbitrary one, on split and on packed rings.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/blk_rig.h"
#include "vmm/base/le.h"

enum { SIZE = 2048, CANARY = 0xcc };

static struct device_rig *const rig = &blk_rig.device;

/* Begin anew: over 'transport', with all that is offered but 'without'. */
static void live(enum fake_transport transport, unsigned without)
{
	struct features f;

	blk_rig_setup();
	blk_rig_plug_over(transport);
	f = fake_driver_offered(&rig->driver);
	if (without != FEATURE_NONE)
		features_remove(&f, without);
	device_rig_start(rig, f, 1);
}

/* The same on a packed ring. */
static void live_packed(enum fake_transport transport)
{
	struct features on = FEATURES_EMPTY;
	struct virtio_device *dev;

	blk_rig_setup();
	features_add(&on, VIRTIO_F_RING_PACKED);
	cr_assert_eq(virtio_blk_create(&dev, &blk_rig.config), 0);
	virtio_device_want_features(dev, on, FEATURES_EMPTY);
	device_rig_plug(rig, dev, transport);
	device_rig_start_all(rig, 1);
}

/* Write and read back in the framing of old: header, data, status, one descriptor each. */
static void use_plainly(void)
{
	uint64_t out = device_rig_alloc(rig, SIZE), in = device_rig_alloc(rig, SIZE);

	cr_assert_eq(blk_rig_read(8, in, SIZE), BLK_S_OK);
	cr_assert(blk_rig_is_pattern(in, 8 * 512, SIZE));
	memset(device_rig_at(rig, out, SIZE), 0x5a, SIZE);
	cr_assert_eq(blk_rig_write(8, out, SIZE), BLK_S_OK);
	cr_assert_eq(blk_rig_read(8, in, SIZE), BLK_S_OK);
	cr_assert(blk_rig_is_all(in, 0x5a, SIZE));
	blk_rig_assert_alive();
}

/* A header in three pieces, the first sector in two, the rest and the status in one. */
static void use_oddly(void)
{
	uint64_t header = device_rig_alloc(rig, 16), data = device_rig_alloc(rig, SIZE + 1);
	uint8_t *h = device_rig_at(rig, header, 16);
	const struct fake_buf buf[] = {
		{ header, 1, false },
		{ header + 1, 10, false },
		{ header + 11, 5, false },
		{ data, 511, true },
		{ data + 511, 1, true },
		{ data + 512, SIZE - 512 + 1, true },
	};

	memset(h, 0, 16);
	store_le32(h, BLK_T_IN);
	store_le64(h + 8, 2);
	device_rig_add(rig, 0, buf, ARRAY_SIZE(buf));
	cr_assert_eq(device_rig_wait(rig, 0, NULL), SIZE + 1);
	cr_assert(blk_rig_is_pattern(data, 2 * 512, SIZE));
	cr_assert_eq(*(uint8_t *)device_rig_at(rig, data + SIZE, 1), BLK_S_OK);
}

/*
 * With ANY_LAYOUT and without: the framing of old works in both, and a driver that took the bit
 * may frame as it likes.  The used length is true also where nobody looks at it (blk_rig_do).
 * covers: RING-SPLIT-LEGACY-02 RING-SPLIT-LEGACY-03 RING-SPLIT-LEGACY-04
 */
Test(blk_faces, legacy_drivers_with_and_without_any_layout)
{
	for (int t = FAKE_TRANSITIONAL_LEGACY; t < FAKE_TRANSPORTS; t++) {
		live((enum fake_transport)t, VIRTIO_F_ANY_LAYOUT);
		cr_assert_not(features_has(&rig->driver.accepted, VIRTIO_F_ANY_LAYOUT));
		use_plainly();
		blk_rig_teardown();
		live((enum fake_transport)t, FEATURE_NONE);
		cr_assert(features_has(&rig->driver.accepted, VIRTIO_F_ANY_LAYOUT));
		use_plainly();
		use_oddly();
		blk_rig_teardown();
	}
}

Test(blk_faces, modern_drivers_frame_as_they_like)
{
	for (int t = FAKE_PCI; t <= FAKE_TRANSITIONAL; t++) {
		live((enum fake_transport)t, FEATURE_NONE);
		use_plainly();
		use_oddly();
		blk_rig_teardown();
		live_packed((enum fake_transport)t);
		use_plainly();
		use_oddly();
		blk_rig_teardown();
	}
}

/* A read that fails, and one that does not. */
static void lengths_are_of_what_was_written(void)
{
	uint64_t header = device_rig_alloc(rig, 16), data = device_rig_alloc(rig, SIZE + 1);
	uint8_t *h = device_rig_at(rig, header, 16);
	const struct fake_buf buf[] = { { header, 16, false }, { data, SIZE + 1, true } };

	memset(h, 0, 16);
	store_le32(h, BLK_T_IN);
	store_le64(h + 8, BLK_RIG_SECTORS);	/* beyond the end */
	device_rig_add(rig, 0, buf, 2);
	cr_assert_leq(device_rig_wait(rig, 0, NULL), 1);
	cr_assert(blk_rig_is_all(data, CANARY, SIZE));
	cr_assert_eq(*(uint8_t *)device_rig_at(rig, data + SIZE, 1), BLK_S_IOERR);

	store_le64(h + 8, 0);
	memset(device_rig_at(rig, data, SIZE + 1), CANARY, SIZE + 1);
	device_rig_add(rig, 0, buf, 2);
	cr_assert_eq(device_rig_wait(rig, 0, NULL), SIZE + 1);
	cr_assert(blk_rig_is_pattern(data, 0, SIZE));
	cr_assert_eq(*(uint8_t *)device_rig_at(rig, data + SIZE, 1), BLK_S_OK);
}

/* covers: RING-SPLIT-USED-02 RING-SPLIT-USED-09 */
Test(blk_faces, used_lengths_claim_nothing_that_was_not_written)
{
	live(FAKE_MMIO, FEATURE_NONE);
	lengths_are_of_what_was_written();
	blk_rig_teardown();
	live_packed(FAKE_MMIO);
	lengths_are_of_what_was_written();
	blk_rig_teardown();
}

/* A header where the device may only write is none: it is not read, and so it means nothing. */
static void a_writable_header_is_not_read(void)
{
	uint64_t header = device_rig_alloc(rig, 16), data = device_rig_alloc(rig, SIZE + 1);
	uint8_t *h = device_rig_at(rig, header, 16);
	const struct fake_buf buf[] = { { header, 16, true }, { data, SIZE, true },
					{ data + SIZE, 1, true } };

	memset(h, 0, 16);
	store_le32(h, BLK_T_IN);
	device_rig_add(rig, 0, buf, ARRAY_SIZE(buf));
	cr_assert_leq(device_rig_wait(rig, 0, NULL), 1);
	cr_assert(blk_rig_is_all(data, CANARY, SIZE), "it was served");
	cr_assert_not(fake_driver_status(&rig->driver) & VIRTIO_STATUS_NEEDS_RESET);
	use_plainly();
}

/* covers: RING-SPLIT-DESC-02 */
Test(blk_faces, what_is_writable_is_not_read_split)
{
	live(FAKE_PCI, FEATURE_NONE);
	a_writable_header_is_not_read();
	blk_rig_teardown();
}

/* covers: RING-PACKED-05 */
Test(blk_faces, what_is_writable_is_not_read_packed)
{
	live_packed(FAKE_PCI);
	a_writable_header_is_not_read();
	blk_rig_teardown();
}
