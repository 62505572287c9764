/*
 * Every short sequence of register operations over the real register files, against a second
 * description of the same rules (tests/support/register_model.h), compared after each step.
 *
 * The search goes from model state to model state, breadth first: each state is reached by the
 * shortest sequence that leads there, and every operation is tried in it.  An operation that
 * changes nothing is followed by the next one at once, so that histories differ, too; long random
 * walks look for what a device might remember beyond the model.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/echo_rig.h"
#include "tests/support/register_model.h"
#include "vmm/base/log.h"

enum { MAX_STATES = 1 << 16, BUCKETS = 1 << 18, MAX_DEPTH = 12, WALK = 20000, TRAIL = 64 };

/* Which operations a register file has. */
enum { MODERN = 1, LEGACY = 2, PCI = 4, MMIO = 8 };

static const struct {
	struct model_op op;
	unsigned needs;			/* all of these */
} ops[] = {
	{ { OP_STATUS, 0, 0 }, MODERN },
	{ { OP_STATUS, 0, 0x03 }, MODERN },
	{ { OP_STATUS, 0, 0x04 }, MODERN },
	{ { OP_STATUS, 0, 0x0b }, MODERN },
	{ { OP_STATUS, 0, 0x0f }, MODERN },
	{ { OP_STATUS, 0, 0x1f }, MODERN },
	{ { OP_STATUS, 0, 0xc0 }, MODERN },
	{ { OP_FEATURES, 0, MODEL_CSUM }, MODERN },
	{ { OP_FEATURES, 0, MODEL_MAC }, MODERN },
	{ { OP_FEATURES, 1, MODEL_VERSION_1 }, MODERN },
	{ { OP_FEATURES, 1, MODEL_VERSION_1 | MODEL_RING_RESET | MODEL_SUSPEND }, MODERN },
	{ { OP_FEATURES, 5, 1 }, MODERN },
	{ { OP_SIZE, 0, 8 }, MODERN },
	{ { OP_SIZE, 0, 3 }, MODERN },
	{ { OP_NOWHERE, 0, 1 }, MODERN },
	{ { OP_ENABLE, 0, 0 }, MODERN },
	{ { OP_ENABLE, 1, 0 }, MODERN },
	{ { OP_READY_0, 0, 0 }, MODERN | MMIO },
	{ { OP_QUEUE_RESET, 0, 0 }, MODERN },
	{ { OP_KICK, 0, 0 }, MODERN },
	{ { OP_LEGACY_STATUS, 0, 0 }, LEGACY },
	{ { OP_LEGACY_STATUS, 0, 0x03 }, LEGACY },
	{ { OP_LEGACY_STATUS, 0, 0x07 }, LEGACY },
	{ { OP_LEGACY_STATUS, 0, 0x1f }, LEGACY },
	{ { OP_LEGACY_STATUS, 0, 0x80 }, LEGACY },
	{ { OP_LEGACY_FEATURES, 0, MODEL_CSUM }, LEGACY },
	{ { OP_LEGACY_FEATURES, 0, MODEL_MAC }, LEGACY },
	{ { OP_LEGACY_PFN, 0, 0x80 }, LEGACY },
	{ { OP_LEGACY_PFN, 0, 0 }, LEGACY },
	{ { OP_LEGACY_PFN, 1, 0x90 }, LEGACY },
	{ { OP_LEGACY_PFN, 1, MODEL_PFN_NOWHERE }, LEGACY },
	{ { OP_LEGACY_SIZE, 0, 8 }, LEGACY | MMIO },
	{ { OP_LEGACY_SIZE, 0, 3 }, LEGACY | MMIO },
	{ { OP_LEGACY_KICK, 0, 0 }, LEGACY },
	{ { OP_MASTER, 0, 0 }, PCI },
	{ { OP_MASTER, 0, 1 }, PCI },
	{ { OP_FAIL, 0, 0 }, 0 },
};

/* A state that was reached, and how. */
struct reached {
	struct register_model model;
	unsigned parent, op, depth;
};

struct search {
	struct echo_rig *rig;
	struct fake_driver modern, legacy;
	unsigned has;			/* MODERN, ... */
	unsigned op[ARRAY_SIZE(ops)], n_ops;
	struct reached *state;
	unsigned n_states;
	unsigned *bucket;		/* index + 1 */
	unsigned trail[TRAIL], n_trail;	/* operations since the last reset, for the report */
	unsigned long n_steps;
};

/* --- operations on the device ---------------------------------------------------------------- */

static void select_queue(struct fake_driver *d, unsigned index)
{
	fake_driver_queue_max(d, index);
}

static bool is_mmio(const struct search *s)
{
	return s->has & MMIO;
}

static void modern_op(struct search *s, const struct model_op *op)
{
	struct fake_driver *d = &s->modern;
	bool mmio = is_mmio(s);

	select_queue(d, op->index);
	switch (op->kind) {
	case OP_STATUS:
		fake_driver_set_status(d, (uint8_t)op->value);
		break;
	case OP_FEATURES:
		fake_driver_accept_half(d, op->index, op->value);
		break;
	case OP_SIZE:
		fake_driver_write(d, mmio ? 0x38 : 24, mmio ? 4 : 2, op->value);
		break;
	case OP_NOWHERE:
		fake_driver_write(d, mmio ? 0x84 : 36, 4, op->value ? 0x7fffffff : 0);
		break;
	case OP_ENABLE:
		fake_driver_write(d, mmio ? 0x44 : 28, mmio ? 4 : 2, 1);
		break;
	case OP_READY_0:
		fake_driver_write(d, 0x44, 4, 0);
		break;
	case OP_QUEUE_RESET:
		fake_driver_reset_queue(d, op->index);
		break;
	default:
		fake_driver_kick(d, op->index);
	}
}

static void legacy_op(struct search *s, const struct model_op *op)
{
	struct fake_driver *d = &s->legacy;

	select_queue(d, op->index);
	switch (op->kind) {
	case OP_LEGACY_STATUS:
		fake_driver_set_status(d, (uint8_t)op->value);
		break;
	case OP_LEGACY_FEATURES:
		fake_driver_accept_half(d, 0, op->value);
		break;
	case OP_LEGACY_PFN:
		if (is_mmio(s)) {
			fake_driver_write(d, 0x28, 4, 4096);
			fake_driver_write(d, 0x3c, 4, 4096);
		}
		fake_driver_write(d, is_mmio(s) ? 0x40 : 8, 4, op->value);
		break;
	case OP_LEGACY_SIZE:
		fake_driver_write(d, 0x38, 4, op->value);
		break;
	default:
		fake_driver_kick(d, op->index);
	}
}

static void device_op(struct search *s, const struct model_op *op)
{
	if (op->kind == OP_FAIL) {
		virtio_device_fail(s->rig->dev, 0, "it was told to break");
		fake_machine_pump(s->rig->machine);
	} else if (op->kind == OP_MASTER) {
		fake_driver_pci_write(&s->rig->driver, 4, 2, op->value ? 7 : 3);
	} else if (op->kind >= OP_LEGACY_STATUS) {
		legacy_op(s, op);
	} else {
		modern_op(s, op);
	}
}

static void device_reset(struct search *s)
{
	if (s->has & PCI)
		fake_driver_pci_write(&s->rig->driver, 4, 2, 7);
	fake_driver_set_status(&s->rig->driver, 0);
	s->n_trail = 0;
}

/* --- comparison ------------------------------------------------------------------------------ */

static const char *compare_queue(struct search *s, const struct register_model *m, unsigned i)
{
	const struct model_queue *q = &m->queue[i];

	if (s->has & MODERN && fake_driver_queue_enabled(&s->modern, i) != q->live)
		return "a queue's enable register";
	if (s->has & MODERN && s->has & PCI && fake_driver_queue_max(&s->modern, i) != q->size)
		return "a queue's size register";
	if (s->has & LEGACY && fake_driver_queue_enabled(&s->legacy, i) != (q->pfn != 0))
		return "a queue's page number";
	if (s->has & LEGACY && s->has & PCI && fake_driver_queue_max(&s->legacy, i) != q->size)
		return "a queue's size at the legacy window";
	if (s->rig->dev->queue[i].size != q->size || s->rig->dev->queue[i].pfn != q->pfn)
		return "a queue's size or page";
	if ((s->rig->echo->queue[i].vq != NULL) != (m->runs && q->live && !q->waits))
		return "which queues run";
	return NULL;
}

static const char *compare(struct search *s, const struct register_model *m)
{
	const struct negotiation *n = &s->rig->dev->negotiation;
	struct features accepted = FEATURES_EMPTY;

	features_set_half(&accepted, 0, m->taken[0]);
	features_set_half(&accepted, 1, m->taken[1]);
	if (s->has & MODERN && fake_driver_status(&s->modern) != register_model_status(m))
		return "the status";
	if (s->has & LEGACY && fake_driver_status(&s->legacy) != register_model_status(m))
		return "the status at the legacy window";
	if (features_half(&n->draft, 0) != m->word[0] || features_half(&n->draft, 1) != m->word[1])
		return "the driver's features";
	if (!features_equal(n->accepted, accepted) || n->sealed != (m->owner != MODEL_NOBODY) ||
	    n->legacy != (m->owner == MODEL_LEGACY))
		return "the accepted features";
	if ((s->rig->dev->state == VIRTIO_STARTED) != m->runs ||
	    s->rig->echo->n_starts - s->rig->echo->n_stops != m->runs)
		return "whether it runs";
	for (unsigned i = 0; i < MODEL_QUEUES; i++) {
		const char *what = compare_queue(s, m, i);
		if (what)
			return what;
	}
	return NULL;
}

static void step(struct search *s, unsigned op, struct register_model *m)
{
	const char *what;

	device_op(s, &ops[op].op);
	register_model_step(m, &ops[op].op);
	s->trail[s->n_trail++ % TRAIL] = op;
	s->n_steps++;
	what = compare(s, m);
	if (!what)
		return;
	char text[8 * TRAIL] = "";
	unsigned from = s->n_trail > TRAIL ? s->n_trail - TRAIL : 0;
	for (unsigned k = from; k < s->n_trail; k++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %u",
			 s->trail[k % TRAIL]);
	cr_assert_fail("transport %d, operations%s: %s differs; status 0x%x, not 0x%x",
		       s->rig->driver.transport, text, what, s->rig->dev->negotiation.status,
		       register_model_status(m));
}

/* --- search ---------------------------------------------------------------------------------- */

static bool is_new(struct search *s, const struct register_model *m)
{
	const uint8_t *bytes = (const uint8_t *)m;
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < sizeof(*m); i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	unsigned at = hash % BUCKETS;
	for (; s->bucket[at]; at = (at + 1) % BUCKETS)
		if (memcmp(&s->state[s->bucket[at] - 1].model, m, sizeof(*m)) == 0)
			return false;
	cr_assert_lt(s->n_states, MAX_STATES);
	s->bucket[at] = s->n_states + 1;
	return true;
}

static void add(struct search *s, const struct register_model *m, unsigned parent, unsigned op,
		unsigned depth)
{
	struct reached *r;

	if (!is_new(s, m))
		return;
	r = &s->state[s->n_states++];
	memcpy(&r->model, m, sizeof(*m));
	r->parent = parent;
	r->op = op;
	r->depth = depth;
}

/* Bring the device to state 'index'; the way there was compared before. */
static void go_to(struct search *s, unsigned index)
{
	unsigned path[MAX_DEPTH], n = 0;

	for (unsigned i = index; s->state[i].depth > 0; i = s->state[i].parent)
		path[n++] = s->state[i].op;
	device_reset(s);
	while (n-- > 0) {
		device_op(s, &ops[path[n]].op);
		s->trail[s->n_trail++ % TRAIL] = path[n];
		/* Reading the status completes what was asked for. */
		fake_driver_status(&s->rig->driver);
	}
}

static void explore(struct search *s, unsigned index)
{
	bool there = false;

	for (unsigned i = 0; i < s->n_ops; i++) {
		struct register_model m;

		if (!there)
			go_to(s, index);
		memcpy(&m, &s->state[index].model, sizeof(m));
		step(s, s->op[i], &m);
		there = memcmp(&m, &s->state[index].model, sizeof(m)) == 0;
		add(s, &m, index, s->op[i], s->state[index].depth + 1);
	}
}

static void walk(struct search *s)
{
	struct register_model m;
	uint32_t seed = 4711;

	register_model_init(&m);
	device_reset(s);
	for (unsigned i = 0; i < WALK; i++) {
		seed = seed * 1664525u + 1013904223u;
		unsigned op = s->op[(seed >> 8) % s->n_ops];
		/* Resets come often enough without being drawn as often as the others. */
		if (ops[op].op.value == 0 && (seed >> 24) % 4 &&
		    (ops[op].op.kind == OP_STATUS || ops[op].op.kind == OP_LEGACY_STATUS))
			continue;
		step(s, op, &m);
	}
}

static void search(enum fake_transport transport, unsigned has, unsigned depth,
		   unsigned least_states)
{
	struct echo_rig_options options = { .transport = transport };
	struct search s = { .has = has };
	struct register_model initial;

	if (has & MODERN)
		features_add(&options.on, VIRTIO_F_SUSPEND);
	s.rig = echo_rig_create_with(&options);
	s.rig->machine->refuse_bells = true;
	s.modern = s.legacy = s.rig->driver;
	if ((has & (MODERN | LEGACY)) == (MODERN | LEGACY))
		echo_rig_find_legacy(s.rig, &s.legacy);
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
		if ((ops[i].needs & has) == ops[i].needs)
			s.op[s.n_ops++] = i;
	s.state = calloc(MAX_STATES, sizeof(*s.state));
	s.bucket = calloc(BUCKETS, sizeof(*s.bucket));
	cr_assert(s.state && s.bucket);
	log_set_level(LOG_ERROR);

	register_model_init(&initial);
	add(&s, &initial, 0, 0, 0);
	for (unsigned i = 0; i < s.n_states && s.state[i].depth < depth; i++)
		explore(&s, i);
	cr_assert_geq(s.n_states, least_states, "%u states, %lu steps", s.n_states, s.n_steps);
	if (getenv("VERBOSE"))
		fprintf(stderr, "%d: %u states, %lu steps\n", transport, s.n_states, s.n_steps);
	walk(&s);
	free(s.state);
	free(s.bucket);
	echo_rig_destroy(s.rig);
}

/*
 * N1, N2, N4, N5, N6, N8, N9, N10.
 * covers: CORE-STATUS-06 CORE-STATUS-08 CORE-STATUS-11 CORE-STATUS-12 CORE-FEAT-06 CORE-FEAT-13
 * covers: CORE-RESET-05 CORE-QRESET-07 CORE-QRESET-09 CORE-SUSPEND-11 CORE-SUSPEND-12
 * covers: CORE-FEAT-LEGACY-01 PCI-LEGACY-06
 */
Test(register_model, pci)
{
	search(FAKE_PCI, MODERN | PCI, 8, 2000);
}

Test(register_model, mmio)
{
	search(FAKE_MMIO, MODERN | MMIO, 8, 1000);
}

Test(register_model, transitional)
{
	search(FAKE_TRANSITIONAL, MODERN | LEGACY | PCI, 6, 2000);
}

Test(register_model, pci_legacy)
{
	search(FAKE_PCI_LEGACY, LEGACY | PCI, 9, 500);
}

Test(register_model, mmio_legacy)
{
	search(FAKE_MMIO_LEGACY, LEGACY | MMIO, 9, 400);
}
