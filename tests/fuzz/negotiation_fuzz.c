/*
 * Any sequence of register writes, at the modern interface, the legacy one, or both.  Each two
 * bytes are one; the oracle are the rules that hold in every state, and what a step may change.
 */
#include "tests/fuzz/fuzz_input.h"
#include "virtio/negotiation.h"

/* What was offered at first. */
struct offers {
	struct features modern, legacy;
};

static void check_sealed(const struct negotiation *n)
{
	uint8_t bit, needs;

	CHECK(features_equal(n->accepted, n->draft) && !n->draft_beyond_words);
	CHECK(!features_find_unmet(&n->accepted, n->device_id, &bit, &needs));
	CHECK(features_is_empty(features_minus(n->accepted,
					       n->legacy ? n->offered_legacy : n->offered)));
	if (n->legacy)
		CHECK(n->accepted.word[0] <= UINT32_MAX && n->accepted.word[1] == 0);
	else
		CHECK(features_is_empty(features_minus(n->required, n->accepted)));
	CHECK(features_equal(n->accepted, n->last_accepted) && n->legacy == n->last_legacy);
	CHECK(n->n_sealed > 0);
}

/* What is true whatever happened. */
static void check_state(const struct negotiation *n, const struct offers *offers)
{
	uint8_t status = negotiation_read_status(n);
	bool features_ok = status & VIRTIO_STATUS_FEATURES_OK;
	bool driver_ok = status & VIRTIO_STATUS_DRIVER_OK;
	bool suspended = negotiation_is_suspended(n);

	CHECK(features_equal(n->offered, offers->modern));
	CHECK(features_equal(n->offered_legacy, offers->legacy));
	CHECK((status & 0x20) == 0);
	CHECK(features_ok == (n->sealed && !n->legacy));
	/* A legacy driver's DRIVER_OK stands even where it cannot be served. */
	if (driver_ok && !n->sealed)
		CHECK(n->refusal.rule != NEG_RULE_NONE);
	if (n->sealed)
		check_sealed(n);
	else
		CHECK(features_is_empty(n->accepted) && !n->legacy);
	CHECK(!(suspended && driver_ok));
	if (suspended || n->suspending)
		CHECK(n->sealed && features_has(&n->accepted, VIRTIO_F_SUSPEND));
	CHECK(!n->suspending || driver_ok);
	CHECK(!(n->suspending && suspended));
	CHECK(!n->suspending || !(status & (VIRTIO_STATUS_NEEDS_RESET | VIRTIO_STATUS_FAILED)));
}

static void check_event(const struct negotiation *n, const struct negotiation *before,
			enum negotiation_event event, uint8_t value)
{
	uint8_t added = n->status & (uint8_t)~before->status;
	bool over = n->status & (VIRTIO_STATUS_NEEDS_RESET | VIRTIO_STATUS_FAILED);
	char why[128];

	CHECK((event == NEG_RESET) == (value == 0));
	CHECK((before->status & (uint8_t)~n->status) == 0);
	CHECK((added & (uint8_t)~value) == 0);
	CHECK(!(added & (VIRTIO_STATUS_NEEDS_RESET | VIRTIO_STATUS_SUSPEND)));
	if (event == NEG_SEALED)
		CHECK(n->sealed && !before->sealed);
	if (event == NEG_DRIVER_OK)
		CHECK(n->sealed && added & VIRTIO_STATUS_DRIVER_OK && !over);
	if (event == NEG_FAILED)
		CHECK(added & VIRTIO_STATUS_FAILED);
	if (event == NEG_SUSPEND)
		CHECK(n->suspending && !before->suspending && !over);
	if (event == NEG_RESUME)
		CHECK(negotiation_is_suspended(n) && value & VIRTIO_STATUS_DRIVER_OK && !over);
	negotiation_describe_refusal(n, why, sizeof(why));
	if (event == NEG_REFUSED)
		CHECK(!n->sealed && why[0] != '\0');
	if (before->sealed)
		CHECK(features_equal(n->accepted, before->accepted) && n->legacy == before->legacy);
}

static void check_reset(const struct negotiation *n)
{
	CHECK(n->status == 0 && !n->sealed && !n->legacy && !n->resetting && !n->suspending);
	CHECK(features_is_empty(n->draft) && features_is_empty(n->accepted));
	CHECK(n->device_feature_select == 0 && n->driver_feature_select == 0);
}

/* What an owner does; a slow one does it later ('complete'). */
static void write_status(struct negotiation *n, uint8_t value, bool legacy, bool slow)
{
	struct negotiation before = *n;
	enum negotiation_event event = legacy ? negotiation_write_status_legacy(n, value) :
						negotiation_write_status(n, value);

	check_event(n, &before, event, value);
	if (before.resetting && value != 0)
		CHECK(event == NEG_NOTHING && n->status == before.status);
	if (event == NEG_RESUME)
		negotiation_resumed(n);
	if (event == NEG_SUSPEND && !slow)
		negotiation_suspended(n);
	if (event == NEG_RESET && !slow) {
		negotiation_reset_done(n);
		check_reset(n);
	}
}

static void complete(struct negotiation *n)
{
	if (n->resetting) {
		negotiation_reset_done(n);
		check_reset(n);
	} else if (n->suspending) {
		negotiation_suspended(n);
	}
}

static void fail(struct negotiation *n)
{
	struct negotiation before = *n;

	if (negotiation_needs_reset(n))
		CHECK(n->status & VIRTIO_STATUS_DRIVER_OK &&
		      !(before.status & VIRTIO_STATUS_NEEDS_RESET));
	CHECK(n->status == (before.status | VIRTIO_STATUS_NEEDS_RESET));
}

/* Operations beyond the first three: 'how' says which. */
static void more(struct negotiation *n, unsigned how, uint8_t value)
{
	switch (how % 8) {
	case 1:
	case 2:
		write_status(n, value, true, how % 8 == 2);
		break;
	case 3:
		negotiation_write_driver_legacy(n, features_half(&n->offered_legacy, 0) &
							   ~(uint32_t)value);
		break;
	case 4:
		negotiation_write_driver_legacy(n, value * 0x01010101u);
		break;
	case 5: {
		struct negotiation before = *n;
		enum negotiation_event event = negotiation_seal_legacy(n);
		CHECK((event == NEG_SEALED) == (n->sealed && !before.sealed));
		CHECK(n->status == before.status);
		break;
	}
	case 6:
		write_status(n, value, false, true);
		break;
	case 7:
		complete(n);
		break;
	default:
		fail(n);
	}
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
	negotiation_offer_legacy(&n, asked);
	const struct offers offers = { n.offered, n.offered_legacy };

	CHECK(offers.legacy.word[0] <= UINT32_MAX && offers.legacy.word[1] == 0);
	data += 17;
	len -= 17;
	for (size_t i = 0; i + 1 < len; i += 2) {
		uint8_t what = data[i], value = data[i + 1];
		switch (what & 3) {
		case 0:
			write_status(&n, value, false, false);
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
			       ~features_half(&offers.modern, n.device_feature_select)) == 0);
			break;
		case 3:
			more(&n, what >> 2, value);
			break;
		}
		check_state(&n, &offers);
	}
	return 0;
}
