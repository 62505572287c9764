#include "tests/support/register_model.h"

#include <string.h>

static void forget(struct register_model *m)
{
	bool master = m->master;

	memset(m, 0, sizeof(*m));	/* padding too: states are compared as bytes */
	m->master = master;
	for (unsigned i = 0; i < MODEL_QUEUES; i++)
		m->queue[i].size = MODEL_QUEUE_SIZE;
}

void register_model_init(struct register_model *m)
{
	memset(m, 0, sizeof(*m));
	m->master = true;
	forget(m);
}

static void break_it(struct register_model *m)
{
	/* Given up already: there is nothing to tell. */
	if (!m->failed)
		m->broken = true;
	m->runs = false;
}

static void start(struct register_model *m)
{
	if (m->runs || m->broken || m->failed || !m->master)
		return;
	m->runs = true;
	for (unsigned i = 0; i < MODEL_QUEUES; i++)
		if (m->queue[i].live && m->queue[i].nowhere)
			break_it(m);
}

static void make_live(struct register_model *m, struct model_queue *q)
{
	q->live = true;
	q->was_reset = false;
	q->waits = m->runs && !m->master;
	if (m->runs && !q->waits && q->nowhere)
		break_it(m);
}

/* What was made live without access to memory. */
static void start_waiting(struct register_model *m)
{
	for (unsigned i = 0; i < MODEL_QUEUES; i++) {
		struct model_queue *q = &m->queue[i];

		if (!m->runs || !m->master || m->suspended || !q->waits)
			continue;
		q->waits = false;
		if (q->nowhere)
			break_it(m);
	}
}

static bool modern_set_is_fine(const struct register_model *m)
{
	uint32_t offered = MODEL_VERSION_1 | MODEL_RING_RESET | MODEL_SUSPEND;

	return !m->beyond && !(m->word[0] & ~(uint32_t)MODEL_CSUM) && !(m->word[1] & ~offered) &&
	       m->word[1] & MODEL_VERSION_1;
}

static void seal(struct register_model *m, enum model_owner owner)
{
	m->owner = owner;
	m->taken[0] = m->word[0];
	m->taken[1] = m->word[1];
}

/* The legacy window sees 32 bits; nothing beyond them was accepted. */
static void seal_legacy(struct register_model *m)
{
	if (m->owner != MODEL_NOBODY)
		return;
	m->word[1] = 0;
	m->beyond = false;
	if (m->word[0] & ~(uint32_t)MODEL_CSUM)
		break_it(m);
	else
		seal(m, MODEL_LEGACY);
}

static bool can_suspend(const struct register_model *m)
{
	return m->owner == MODEL_MODERN && m->taken[1] & MODEL_SUSPEND;
}

/* Is this write a word about pausing, and so about nothing else? */
static bool suspend_or_resume(struct register_model *m, uint32_t v, bool legacy)
{
	bool works = !m->failed && !m->broken;

	if (v & 0x80)
		return false;
	if (m->suspended) {
		if (v & 4 && works) {
			m->suspended = false;
			m->driver_ok = true;
			start(m);
			start_waiting(m);
		}
		return true;
	}
	if (legacy || !(v & 0x10) || !m->driver_ok || !can_suspend(m))
		return false;
	if (works) {
		m->suspended = true;
		m->driver_ok = false;
	}
	return true;
}

static void write_status(struct register_model *m, uint32_t v, bool legacy)
{
	if (v == 0) {
		forget(m);
		return;
	}
	if (suspend_or_resume(m, v, legacy))
		return;
	m->ack |= (v & 1) != 0;
	m->driver |= (v & 2) != 0;
	if (m->failed)
		return;
	if (v & 0x80) {
		m->failed = true;
		m->runs = false;
		return;
	}
	if (!legacy && v & 8 && m->owner == MODEL_NOBODY && modern_set_is_fine(m)) {
		seal(m, MODEL_MODERN);
		m->features_ok = true;
	}
	if (!(v & 4) || m->driver_ok)
		return;
	if (legacy) {
		m->driver_ok = true;
		seal_legacy(m);
		start(m);
	} else if (m->owner != MODEL_NOBODY) {
		m->driver_ok = true;
		start(m);
	}
}

static void write_features(struct register_model *m, uint32_t word, uint32_t value)
{
	if (m->owner != MODEL_NOBODY || m->suspended)
		return;
	if (word < 2)
		m->word[word] = value;
	else
		m->beyond |= value != 0;
}

static void set_size(struct model_queue *q, uint32_t size)
{
	bool fine = size && !(size & (size - 1)) && size <= MODEL_QUEUE_SIZE;

	if (!q->live)
		q->size = fine ? size : 0;
}

static void enable(struct register_model *m, struct model_queue *q)
{
	bool in_time = m->owner == MODEL_MODERN && (!m->driver_ok || q->was_reset);

	if (!q->live && in_time && q->size)
		make_live(m, q);
}

static void reset_queue(struct register_model *m, struct model_queue *q)
{
	if (m->owner != MODEL_MODERN || !(m->taken[1] & MODEL_RING_RESET) || !q->live)
		return;
	memset(q, 0, sizeof(*q));
	q->size = MODEL_QUEUE_SIZE;
	q->was_reset = true;
}

static void set_pfn(struct register_model *m, struct model_queue *q, uint32_t pfn)
{
	/* Giving up what was never given is not the beginning of a session. */
	if (pfn == 0 && q->pfn == 0)
		return;
	seal_legacy(m);
	if (m->owner != MODEL_LEGACY)
		return;
	if (pfn == 0) {
		q->live = q->waits = false;
		q->pfn = 0;
	} else if (!q->live && q->size) {
		q->pfn = pfn;
		q->nowhere = pfn == MODEL_PFN_NOWHERE;
		make_live(m, q);
	}
}

static void legacy_kick(struct register_model *m, const struct model_queue *q)
{
	if (!q->live || m->owner != MODEL_LEGACY || m->failed || m->broken)
		return;
	m->kicked_early |= !m->master;
	start(m);
}

static void set_master(struct register_model *m, bool on)
{
	bool was = m->master;

	m->master = on;
	if (!on || was)
		return;
	if (m->driver_ok || m->kicked_early)
		start(m);
	m->kicked_early = false;
	start_waiting(m);
}

void register_model_step(struct register_model *m, const struct model_op *op)
{
	struct model_queue *q = &m->queue[op->index % MODEL_QUEUES];

	switch (op->kind) {
	case OP_STATUS:
		write_status(m, op->value, false);
		break;
	case OP_LEGACY_STATUS:
		write_status(m, op->value, true);
		break;
	case OP_MASTER:
		set_master(m, op->value);
		break;
	case OP_FAIL:
		break_it(m);
		break;
	case OP_KICK:
		break;
	case OP_LEGACY_KICK:
		legacy_kick(m, q);
		break;
	case OP_FEATURES:
		write_features(m, op->index, op->value);
		break;
	default:
		/* Of a suspended device only the status can be written. */
		if (m->suspended)
			break;
		if (op->kind == OP_LEGACY_FEATURES && m->owner == MODEL_NOBODY) {
			m->word[0] = op->value;
			m->word[1] = 0;
			m->beyond = false;
		}
		if (op->kind == OP_SIZE || op->kind == OP_LEGACY_SIZE)
			set_size(q, op->value);
		if (op->kind == OP_NOWHERE && !q->live)
			q->nowhere = op->value;
		if (op->kind == OP_ENABLE)
			enable(m, q);
		if (op->kind == OP_READY_0)
			q->live = q->waits = false;
		if (op->kind == OP_QUEUE_RESET)
			reset_queue(m, q);
		if (op->kind == OP_LEGACY_PFN)
			set_pfn(m, q, op->value);
	}
}

uint8_t register_model_status(const struct register_model *m)
{
	return (uint8_t)((m->ack ? 1u : 0) | (m->driver ? 2u : 0) | (m->driver_ok ? 4u : 0) |
			 (m->features_ok ? 8u : 0) | (m->suspended ? 0x10u : 0) |
			 (m->broken ? 0x40u : 0) | (m->failed ? 0x80u : 0));
}
