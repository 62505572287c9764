/*
 * Any sequence of register writes.  Each two bytes are one; the oracle are the rules that hold in
 * every state, and what a step may change.
 */
#include "tests/fuzz/fuzz_input.h"
#include "virtio/negotiation.h"

/* What is true whatever happened. */
static void check_state(const struct negotiation *n, struct features offered)
{
	uint8_t status = negotiation_read_status(n), bit, needs;
	bool features_ok = status & VIRTIO_STATUS_FEATURES_OK;

	CHECK(features_equal(n->offered, offered));
	CHECK((status & 0x30) == 0);
	CHECK(n->sealed == features_ok);
	CHECK(!(status & VIRTIO_STATUS_DRIVER_OK) || features_ok);
	CHECK(features_is_empty(features_minus(n->accepted, n->offered)));
	if (n->sealed) {
		CHECK(features_equal(n->accepted, n->draft));
		CHECK(features_is_empty(features_minus(n->required, n->accepted)));
		CHECK(!features_find_unmet(&n->accepted, n->device_id, &bit, &needs));
	} else {
		CHECK(features_is_empty(n->accepted));
	}
}

static void write_status(struct negotiation *n, uint8_t value)
{
	struct negotiation before = *n;
	enum negotiation_event event = negotiation_write_status(n, value);
	uint8_t added = n->status & (uint8_t)~before.status;
	char why[128];

	CHECK((event == NEG_RESET) == (value == 0));
	CHECK((before.status & (uint8_t)~n->status) == 0);
	CHECK((added & (uint8_t)~value) == 0 && !(added & VIRTIO_STATUS_NEEDS_RESET));
	if (event == NEG_SEALED)
		CHECK(n->sealed && !before.sealed);
	if (event == NEG_DRIVER_OK)
		CHECK(n->sealed && added & VIRTIO_STATUS_DRIVER_OK &&
		      !(n->status & (VIRTIO_STATUS_NEEDS_RESET | VIRTIO_STATUS_FAILED)));
	if (event == NEG_FAILED)
		CHECK(added & VIRTIO_STATUS_FAILED);
	negotiation_describe_refusal(n, why, sizeof(why));
	if (event == NEG_REFUSED)
		CHECK(!n->sealed && why[0] != '\0');
	if (before.sealed)
		CHECK(features_equal(n->accepted, before.accepted));
	if (event == NEG_RESET)
		negotiation_reset_done(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct negotiation n;
	struct features asked, required = FEATURES_EMPTY;

	if (len < 17)
		return 0;
	asked.word[0] = load_le64(data);
	asked.word[1] = load_le64(data + 8);
	features_add(&asked, VIRTIO_F_VERSION_1);
	features_add(&required, VIRTIO_F_VERSION_1);
	negotiation_init(&n, data[16] % 8, asked, required);
	struct features offered = n.offered;

	data += 17;
	len -= 17;
	for (size_t i = 0; i + 1 < len; i += 2) {
		uint8_t what = data[i], value = data[i + 1];
		switch (what & 3) {
		case 0:
			write_status(&n, value);
			break;
		case 1:
			/* Half 0-4, mostly with bits that were offered. */
			n.driver_feature_select = (what >> 2) % 5;
			negotiation_write_driver(&n, what & 0x80 ? value * 0x01010101u :
					features_half(&n.offered, n.driver_feature_select) &
					~(uint32_t)value);
			break;
		case 2:
			n.device_feature_select = value * (what & 0x80 ? 0x01010101u : 1u);
			CHECK((negotiation_read_offered(&n) &
			       ~features_half(&offered, n.device_feature_select)) == 0);
			break;
		case 3:
			if (negotiation_needs_reset(&n))
				CHECK(n.status & VIRTIO_STATUS_DRIVER_OK);
			CHECK(n.status & VIRTIO_STATUS_NEEDS_RESET);
			break;
		}
		check_state(&n, offered);
	}
	return 0;
}
