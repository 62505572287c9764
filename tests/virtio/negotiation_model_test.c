/*
 * Every sequence of register writes up to a length, against a second description of the same
 * rules: one that keeps what was written and derives the rest, where negotiation.c keeps what
 * follows from it.
 */
#include "virtio/negotiation.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum op_kind {
	WRITE_STATUS,
	WRITE_FEATURES,
	LEGACY_STATUS,
	LEGACY_FEATURES,
	LEGACY_QUEUE,			/* a legacy driver touches one */
	DEVICE_BREAKS,
	DEVICE_IS_QUIET,		/* and suspended, if it was asked to be */
};

struct op {
	enum op_kind kind;
	uint32_t half, value;
};

enum { SUSPEND = 1 << (VIRTIO_F_SUSPEND - 32) };	/* of the second half */

#define STATUS(v) { WRITE_STATUS, 0, v }
#define FEATURES(half, v) { WRITE_FEATURES, half, v }

static const struct op ops[] = {
	STATUS(0), STATUS(1), STATUS(4), STATUS(0x0b), STATUS(0x0f), STATUS(0x1f), STATUS(0x4f),
	STATUS(0x80), STATUS(0x3b),
	FEATURES(1, 1),			/* VERSION_1 */
	FEATURES(1, 1 | SUSPEND),
	FEATURES(1, 0),
	FEATURES(0, 1u << VIRTIO_NET_F_CSUM | 1u << VIRTIO_NET_F_HOST_TSO4),
	FEATURES(0, 1u << VIRTIO_NET_F_HOST_TSO4),	/* misses what it needs */
	FEATURES(0, 1u << VIRTIO_NET_F_MTU),		/* not offered */
	FEATURES(5, 1),					/* does not exist */
	{ LEGACY_STATUS, 0, 0x07 },
	{ LEGACY_STATUS, 0, 0x9f },
	{ LEGACY_FEATURES, 0, 1u << VIRTIO_NET_F_CSUM },
	{ LEGACY_QUEUE, 0, 0 },
	{ DEVICE_BREAKS, 0, 0 },
	{ DEVICE_IS_QUIET, 0, 0 },
};
enum { N_OPS = ARRAY_SIZE(ops), LENGTH = 5 };

/* The reference: the events since the last reset, as facts. */
struct model {
	uint32_t half[2];
	bool beyond;
	bool ack, driver, features_ok, driver_ok, failed, broken;
	bool sealed, legacy, suspending, suspended;
	uint32_t sealed_half[2];
};

static bool model_low_is_fine(const struct model *m)
{
	uint32_t low = m->half[0];

	return low == 0 || low == 1u << VIRTIO_NET_F_CSUM ||
	       low == (1u << VIRTIO_NET_F_CSUM | 1u << VIRTIO_NET_F_HOST_TSO4);
}

static enum negotiation_event model_seal(struct model *m, bool fine, bool legacy)
{
	if (!fine)
		return NEG_REFUSED;
	m->sealed = true;
	m->legacy = legacy;
	m->sealed_half[0] = m->half[0];
	m->sealed_half[1] = m->half[1];
	return NEG_SEALED;
}

static enum negotiation_event model_seal_modern(struct model *m)
{
	bool fine = !m->beyond && (m->half[1] | SUSPEND) == (1 | SUSPEND) && model_low_is_fine(m);
	enum negotiation_event event = model_seal(m, fine, false);

	m->features_ok = m->sealed;
	return event;
}

static enum negotiation_event model_legacy_queue(struct model *m)
{
	if (m->sealed)
		return NEG_NOTHING;
	m->half[1] = 0;
	m->beyond = false;
	return model_seal(m, model_low_is_fine(m), true);
}

/* Is the write about pausing?  Then it is about nothing else. */
static bool model_pause(struct model *m, uint32_t v, bool legacy, enum negotiation_event *event)
{
	bool dead = m->failed || m->broken;

	*event = NEG_NOTHING;
	if (v & 0x80 || !(m->sealed_half[1] & SUSPEND))
		return false;
	if (m->suspended) {
		if (dead || !(v & 4))
			return true;
		m->suspended = false;
		m->driver_ok = true;
		*event = NEG_RESUME;
		return true;
	}
	if (legacy || !(v & 0x10) || !m->driver_ok)
		return false;
	if (!dead && !m->suspending) {
		m->suspending = true;
		*event = NEG_SUSPEND;
	}
	return true;
}

static enum negotiation_event model_status(struct model *m, uint32_t v, bool legacy)
{
	enum negotiation_event event;

	if (v == 0) {
		*m = (struct model){ .half = { 0, 0 } };
		return NEG_RESET;
	}
	if (model_pause(m, v, legacy, &event))
		return event;
	m->ack |= (v & 1) != 0;
	m->driver |= (v & 2) != 0;
	if (m->failed)
		return NEG_NOTHING;
	if (v & 0x80) {
		m->failed = true;
		m->suspending = false;
		return NEG_FAILED;
	}
	if (!legacy && v & 8 && !m->sealed)
		event = model_seal_modern(m);
	if (!(v & 4) || m->driver_ok)
		return event;
	if (legacy)
		event = model_legacy_queue(m);
	m->driver_ok = m->sealed || legacy;
	return m->sealed && !m->broken ? NEG_DRIVER_OK : event;
}

static void model_features(struct model *m, const struct op *op)
{
	if (m->sealed)
		return;
	if (op->kind == LEGACY_FEATURES) {
		m->half[0] = op->value;
		m->half[1] = 0;
		m->beyond = false;
	} else if (op->half < 2) {
		m->half[op->half] = op->value;
	} else {
		m->beyond = true;
	}
}

static enum negotiation_event model_step(struct model *m, const struct op *op)
{
	switch (op->kind) {
	case WRITE_STATUS:
		return model_status(m, op->value, false);
	case LEGACY_STATUS:
		return model_status(m, op->value, true);
	case LEGACY_QUEUE:
		return model_legacy_queue(m);
	case WRITE_FEATURES:
	case LEGACY_FEATURES:
		model_features(m, op);
		break;
	case DEVICE_BREAKS:
		m->broken = true;
		m->suspending = false;
		break;
	case DEVICE_IS_QUIET:
		if (!m->suspending)
			break;
		m->suspending = false;
		m->suspended = true;
		m->driver_ok = false;
		break;
	}
	return NEG_NOTHING;
}

static unsigned model_read_status(const struct model *m)
{
	return (m->ack ? 1u : 0) | (m->driver ? 2u : 0) | (m->driver_ok ? 4u : 0) |
	       (m->features_ok ? 8u : 0) | (m->suspended ? 16u : 0) | (m->broken ? 64u : 0) |
	       (m->failed ? 128u : 0);
}

static enum negotiation_event step(struct negotiation *n, const struct op *op)
{
	enum negotiation_event event = NEG_NOTHING;
	bool had_driver_ok = n->status & 4, was_broken = n->status & 64;

	switch (op->kind) {
	case WRITE_STATUS:
		event = negotiation_write_status(n, (uint8_t)op->value);
		break;
	case LEGACY_STATUS:
		event = negotiation_write_status_legacy(n, (uint8_t)op->value);
		break;
	case LEGACY_FEATURES:
		negotiation_write_driver_legacy(n, op->value);
		break;
	case LEGACY_QUEUE:
		event = negotiation_seal_legacy(n);
		break;
	case WRITE_FEATURES:
		n->driver_feature_select = op->half;
		negotiation_write_driver(n, op->value);
		break;
	case DEVICE_BREAKS:
		cr_assert_eq(negotiation_needs_reset(n), had_driver_ok && !was_broken);
		break;
	case DEVICE_IS_QUIET:
		if (n->suspending)
			negotiation_suspended(n);
		break;
	}
	if (event == NEG_RESET)
		negotiation_reset_done(n);
	if (event == NEG_RESUME)
		negotiation_resumed(n);
	return event;
}

static bool same(const struct negotiation *n, const struct model *m)
{
	struct features accepted = FEATURES_EMPTY;

	if (m->sealed) {
		features_set_half(&accepted, 0, m->sealed_half[0]);
		features_set_half(&accepted, 1, m->sealed_half[1]);
	}
	return negotiation_read_status(n) == model_read_status(m) && n->sealed == m->sealed &&
	       n->legacy == m->legacy && n->suspending == m->suspending &&
	       features_equal(n->accepted, accepted) &&
	       features_half(&n->draft, 0) == m->half[0] &&
	       features_half(&n->draft, 1) == m->half[1] &&
	       features_is_empty(features_minus(n->accepted,
						m->legacy ? n->offered_legacy : n->offered));
}

static unsigned long n_checked;

static void try_all(const struct negotiation *n, const struct model *m, unsigned *path,
		    unsigned depth)
{
	for (unsigned i = 0; i < N_OPS; i++) {
		struct negotiation n2 = *n;
		struct model m2 = *m;

		path[depth] = i;
		enum negotiation_event want = model_step(&m2, &ops[i]);
		enum negotiation_event got = step(&n2, &ops[i]);
		if (got != want || !same(&n2, &m2)) {
			char text[128] = "";
			for (unsigned k = 0; k <= depth; k++)
				snprintf(text + 3 * k, 4, "%2u ", path[k]);
			cr_assert_fail("operations %s: event %d, not %d; status 0x%x, not 0x%x",
				       text, got, want, n2.status, model_read_status(&m2));
		}
		n_checked++;
		if (depth + 1 < LENGTH)
			try_all(&n2, &m2, path, depth + 1);
	}
}

/*
 * N1, N2, N4, N5, N8, N9, N10, N19.
 * covers: CORE-STATUS-06 CORE-STATUS-08 CORE-STATUS-09 CORE-STATUS-11 CORE-STATUS-12 CORE-FEAT-03
 * covers: CORE-FEAT-06 CORE-FEAT-08 CORE-FEAT-13 CORE-FEAT-17 CORE-RESET-05 CORE-SUSPEND-01
 * covers: CORE-FEAT-LEGACY-01
 */
Test(negotiation_model, every_short_sequence_agrees)
{
	struct negotiation n;
	struct model m = { .half = { 0, 0 } };
	struct features offered = FEATURES_EMPTY, required = FEATURES_EMPTY;
	unsigned path[LENGTH];

	features_add(&offered, VIRTIO_NET_F_CSUM);
	features_add(&offered, VIRTIO_NET_F_HOST_TSO4);
	features_add(&offered, VIRTIO_F_VERSION_1);
	features_add(&offered, VIRTIO_F_SUSPEND);
	features_add(&required, VIRTIO_F_VERSION_1);
	negotiation_init(&n, VIRTIO_ID_NET, offered, required);
	negotiation_offer_legacy(&n, offered);
	try_all(&n, &m, path, 0);
	cr_assert_gt(n_checked, 1000000);
}
