/*
 * Each kind of mistake, made once over each interface that has it, counts as that kind and as no
 * other.  Mistakes with a ring are in broken_ring_test.c.
 */
#include "virtio/driver_mistakes.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/echo_rig.h"

/* Faces, as bits of enum fake_transport. */
enum {
	PCI = 1 << FAKE_PCI | 1 << FAKE_TRANSITIONAL,
	MMIO = 1 << FAKE_MMIO,
	LEGACY_PCI = 1 << FAKE_TRANSITIONAL_LEGACY | 1 << FAKE_PCI_LEGACY,
	LEGACY_MMIO = 1 << FAKE_MMIO_LEGACY,
	MODERN = PCI | MMIO,
	LEGACY = LEGACY_PCI | LEGACY_MMIO,
	ALL = MODERN | LEGACY,
	SUSPEND = VIRTIO_STATUS_SUSPEND,
};

static bool is(const struct echo_rig *rig, unsigned faces)
{
	return faces & 1u << rig->driver.transport;
}

/* What each case begins with. */
enum state { FRESH, READY, RUNNING };

static void write_status(struct echo_rig *rig)
{
	fake_driver_set_status(&rig->driver, 1);
}

static void write_needs_reset(struct echo_rig *rig)
{
	fake_driver_set_status(&rig->driver, echo_rig_running(rig) | VIRTIO_STATUS_NEEDS_RESET);
}

static void write_unknown_status(struct echo_rig *rig)
{
	fake_driver_set_status(&rig->driver, echo_rig_running(rig) | 0x20);
}

static void leave_driver_out(struct echo_rig *rig)
{
	fake_driver_accept(&rig->driver, echo_rig_ring_features());
	fake_driver_set_status(&rig->driver, echo_rig_running(rig) & ~VIRTIO_STATUS_DRIVER & 0xff);
}

static void write_features(struct echo_rig *rig)
{
	fake_driver_accept_half(&rig->driver, 0, 0);
}

static void negotiate(struct echo_rig *rig, struct features f)
{
	if (fake_driver_negotiate(&rig->driver, f))
		fake_driver_set_status(&rig->driver, echo_rig_running(rig));
}

static void accept_what_was_not_offered(struct echo_rig *rig)
{
	negotiate(rig, echo_rig_features_with(VIRTIO_NET_F_MAC));
}

static void accept_without_need(struct echo_rig *rig)
{
	negotiate(rig, echo_rig_features_with(VIRTIO_NET_F_HOST_TSO4));
}

static void leave_version_1_out(struct echo_rig *rig)
{
	negotiate(rig, FEATURES_EMPTY);
}

static void skip_features_ok(struct echo_rig *rig)
{
	fake_driver_set_status(&rig->driver, 3);
	fake_driver_set_status(&rig->driver, 7);
}

static void kick(struct echo_rig *rig)
{
	fake_driver_kick(&rig->driver, 0);
}

static void kick_nobody(struct echo_rig *rig)
{
	fake_driver_kick(&rig->driver, ECHO_QUEUES);
}

static void kick_with_another_number(struct echo_rig *rig)
{
	fake_machine_mmio_write(rig->machine, rig->driver.notify.addr, 2, 1);
}

static void kick_with_another_width(struct echo_rig *rig)
{
	fake_machine_mmio_write(rig->machine, rig->driver.notify.addr, 4, 0);
}

static void write_what_is_read_only(struct echo_rig *rig)
{
	fake_driver_write(&rig->driver, is(rig, PCI) ? 18 : 0, is(rig, PCI) ? 2 : 4, 0);
}

static void write_generation(struct echo_rig *rig)
{
	fake_driver_write(&rig->driver, is(rig, PCI) ? 21 : 0xfc, is(rig, PCI) ? 1 : 4, 0);
}

static void write_shm_len(struct echo_rig *rig)
{
	fake_driver_write(&rig->driver, 0xb4, 4, 0);
}

static void use_another_width(struct echo_rig *rig)
{
	unsigned at = is(rig, PCI) ? 20 : is(rig, LEGACY_PCI) ? 18 : 0x70;

	fake_driver_write(&rig->driver, at, 2, 0);
}

static void write_nowhere(struct echo_rig *rig)
{
	fake_driver_write(&rig->driver, 0x54, 4, 0);
}

/* The register that a queue's set-up begins with: its size, or its page. */
static void configure(struct echo_rig *rig, unsigned index, uint32_t size)
{
	unsigned at = is(rig, PCI) ? 24 : is(rig, LEGACY_PCI) ? 8 : 0x38;

	fake_driver_queue_max(&rig->driver, index);
	fake_driver_write(&rig->driver, at, is(rig, PCI) ? 2 : 4, size);
}

static void configure_nobody(struct echo_rig *rig)
{
	configure(rig, ECHO_QUEUES, 8);
}

static void configure_what_is_enabled(struct echo_rig *rig)
{
	configure(rig, 0, 8);
}

static void set_wrong_size(struct echo_rig *rig)
{
	configure(rig, 0, 3);
}

static void enable_early(struct echo_rig *rig)
{
	fake_driver_enable_queue(&rig->driver, 0);
}

static void disable(struct echo_rig *rig)
{
	fake_driver_queue_max(&rig->driver, 0);
	fake_driver_write(&rig->driver, 28, 2, 0);
}

static void reset_queue(struct echo_rig *rig)
{
	fake_driver_reset_queue(&rig->driver, 0);
}

static void write_config(struct echo_rig *rig)
{
	fake_driver_set_config(&rig->driver, ECHO_CONFIG_WRITABLE, 4, 0);
}

static void write_read_only_config(struct echo_rig *rig)
{
	fake_driver_set_config(&rig->driver, 0, 4, 0);
}

static void read_beyond_config(struct echo_rig *rig)
{
	fake_driver_config(&rig->driver, ECHO_CONFIG_LEN, 1);
}

static void write_suspended_config(struct echo_rig *rig)
{
	echo_rig_prepare(rig, echo_rig_features_with(VIRTIO_F_SUSPEND));
	echo_rig_driver_ok(rig);
	fake_driver_set_status(&rig->driver, echo_rig_running(rig) | SUSPEND);
	cr_assert(fake_driver_status(&rig->driver) & SUSPEND);
	write_config(rig);
}

static void choose_no_vector(struct echo_rig *rig)
{
	fake_driver_write(&rig->driver, 16, 2, ECHO_QUEUES + 1);
}

static void acknowledge_nothing(struct echo_rig *rig)
{
	fake_driver_write(&rig->driver, 0x64, 4, 1);
}

static void put_the_ring_outside(struct echo_rig *rig)
{
	struct fake_ring bad;

	cr_assert(fake_driver_negotiate(&rig->driver, echo_rig_ring_features()));
	fake_driver_init_ring(&rig->driver, &bad, ECHO_QUEUE_SIZE, RIG_RINGS);
	bad.desc = FAKE_LOW_RAM_SIZE;
	fake_driver_set_queue(&rig->driver, 0, &bad);
	fake_driver_enable_queue(&rig->driver, 0);
	fake_driver_set_status(&rig->driver, echo_rig_running(rig));
}

static const struct {
	enum driver_mistake kind;
	unsigned faces;
	enum state state;
	void (*make)(struct echo_rig *rig);
} cases[] = {
	{ MISTAKE_STATUS_BITS_CLEARED, ALL, RUNNING, write_status },
	{ MISTAKE_NEEDS_RESET_WRITTEN, ALL, RUNNING, write_needs_reset },
	{ MISTAKE_STATUS_UNKNOWN_BITS, ALL, RUNNING, write_unknown_status },
	{ MISTAKE_STATUS_ORDER, ALL, FRESH, leave_driver_out },
	{ MISTAKE_FEATURES_AFTER_OK, ALL, RUNNING, write_features },
	{ MISTAKE_FEATURES_NOT_OFFERED, ALL, FRESH, accept_what_was_not_offered },
	{ MISTAKE_FEATURES_NEEDS, ALL, FRESH, accept_without_need },
	{ MISTAKE_FEATURES_REQUIRED, MODERN, FRESH, leave_version_1_out },
	{ MISTAKE_DRIVER_OK_UNNEGOTIATED, MODERN, FRESH, skip_features_ok },
	{ MISTAKE_KICK_BEFORE_DRIVER_OK, MODERN, READY, kick },
	{ MISTAKE_KICK_NO_QUEUE, ALL, RUNNING, kick_nobody },
	{ MISTAKE_KICK_VALUE, PCI, RUNNING, kick_with_another_number },
	{ MISTAKE_KICK_VALUE, PCI, RUNNING, kick_with_another_width },
	{ MISTAKE_REGISTER_READ_ONLY, ALL, RUNNING, write_what_is_read_only },
	{ MISTAKE_REGISTER_READ_ONLY, MODERN, RUNNING, write_generation },
	{ MISTAKE_REGISTER_READ_ONLY, MMIO, RUNNING, write_shm_len },
	{ MISTAKE_REGISTER_WIDTH, ALL, RUNNING, use_another_width },
	{ MISTAKE_REGISTER_UNKNOWN, MMIO | LEGACY_MMIO, RUNNING, write_nowhere },
	{ MISTAKE_REGISTER_UNKNOWN, LEGACY_MMIO, RUNNING, write_generation },
	{ MISTAKE_QUEUE_NO_QUEUE, ALL, READY, configure_nobody },
	{ MISTAKE_QUEUE_ENABLED, ALL, RUNNING, configure_what_is_enabled },
	{ MISTAKE_QUEUE_SIZE, MODERN | LEGACY_MMIO, FRESH, set_wrong_size },
	{ MISTAKE_QUEUE_ENABLE_TIME, MODERN, FRESH, enable_early },
	{ MISTAKE_QUEUE_DISABLE, PCI, RUNNING, disable },
	{ MISTAKE_QUEUE_RESET, MODERN, RUNNING, reset_queue },
	{ MISTAKE_CONFIG_EARLY, MODERN, FRESH, write_config },
	{ MISTAKE_CONFIG_READ_ONLY, ALL, RUNNING, write_read_only_config },
	{ MISTAKE_CONFIG_BEYOND, ALL, RUNNING, read_beyond_config },
	{ MISTAKE_CONFIG_SUSPENDED, MODERN, FRESH, write_suspended_config },
	{ MISTAKE_VECTOR, PCI, RUNNING, choose_no_vector },
	{ MISTAKE_INTERRUPT_ACK, MMIO | LEGACY_MMIO, RUNNING, acknowledge_nothing },
	{ MISTAKE_RING_CONFIG, ALL, FRESH, put_the_ring_outside },
};

static struct echo_rig *create(enum fake_transport transport, enum state state)
{
	struct echo_rig_options options = { .transport = transport };

	if (!fake_transport_is_legacy(transport))
		features_add(&options.on, VIRTIO_F_SUSPEND);
	struct echo_rig *rig = echo_rig_create_with(&options);
	if (state >= READY)
		echo_rig_prepare(rig, echo_rig_ring_features());
	if (state == RUNNING)
		echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
	cr_assert_eq(driver_mistakes_total(&rig->dev->negotiation.mistakes), 0);
	return rig;
}

static void try_case(enum fake_transport transport, unsigned i)
{
	struct echo_rig *rig = create(transport, cases[i].state);
	const struct driver_mistakes *m = &rig->dev->negotiation.mistakes;

	cases[i].make(rig);
	echo_rig_pump(rig);
	for (unsigned kind = 0; kind < DRIVER_MISTAKE_KINDS; kind++)
		cr_expect_eq(m->n[kind], kind == cases[i].kind,
			     "case %u, transport %d: %s counts %u, for %s", i, transport,
			     driver_mistake_name((enum driver_mistake)kind), m->n[kind],
			     driver_mistake_name(cases[i].kind));
	echo_rig_destroy(rig);
}

/* covers: PCI-LAYOUT-03 MMIO-REG-34 CORE-STATUS-09 */
Test(driver_mistakes, each_kind_counts_once_and_alone)
{
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		for (int t = 0; t < FAKE_TRANSPORTS; t++)
			if (cases[i].faces & 1u << t)
				try_case((enum fake_transport)t, i);
}

Test(driver_mistakes, every_kind_has_a_case)
{
	for (unsigned kind = 0; kind < MISTAKE_RING_AVAIL_INDEX; kind++) {
		bool found = false;
		for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
			found |= cases[i].kind == kind;
		cr_expect(found, "%s", driver_mistake_name((enum driver_mistake)kind));
	}
}

Test(driver_mistakes, names_and_texts_are_all_there_and_different)
{
	for (unsigned a = 0; a < DRIVER_MISTAKE_KINDS; a++) {
		cr_assert_neq(driver_mistake_text((enum driver_mistake)a)[0], '\0');
		cr_assert_neq(driver_mistake_section((enum driver_mistake)a)[0], '\0');
		for (unsigned b = 0; b < a; b++)
			cr_assert_str_neq(driver_mistake_name((enum driver_mistake)a),
					  driver_mistake_name((enum driver_mistake)b));
	}
}

Test(driver_mistakes, counters_stay_at_their_maximum)
{
	struct driver_mistakes m = { .n = { [MISTAKE_VECTOR] = UINT32_MAX - 1 } };

	for (int i = 0; i < 3; i++)
		driver_mistakes_count(&m, MISTAKE_VECTOR);
	driver_mistakes_count(&m, MISTAKE_KICK_VALUE);
	cr_assert_eq(m.n[MISTAKE_VECTOR], UINT32_MAX);
	cr_assert_eq(driver_mistakes_total(&m), (uint64_t)UINT32_MAX + 1);
}

/* All that a good driver does, twice. */
OVER_ALL(driver_mistakes, a_good_driver_makes_none)
{
	uint8_t byte = 0x44;

	for (int i = 0; i < 2; i++) {
		struct features offered = fake_driver_offered(&rig->driver);
		echo_rig_prepare(rig, offered);
		fake_driver_config(&rig->driver, 0, 4);
		fake_driver_generation(&rig->driver);
		echo_rig_driver_ok(rig);
		for (int k = 0; k < 50; k++)
			echo_rig_round_trip(rig, (unsigned)k % ECHO_QUEUES);
		fake_driver_take_isr(&rig->driver);
		virtio_device_update_config(rig->dev, 0, &byte, 1);
		byte++;
		echo_rig_take_interrupts(rig);
		fake_driver_take_isr(&rig->driver);
		fake_driver_set_config(&rig->driver, ECHO_CONFIG_WRITABLE, 4, 7);
		if (!fake_transport_is_legacy(rig->driver.transport)) {
			fake_driver_reset_queue(&rig->driver, 1);
			fake_driver_init_ring(&rig->driver, &rig->ring[1], 8, 0x200000);
			fake_driver_set_queue(&rig->driver, 1, &rig->ring[1]);
			fake_driver_enable_queue(&rig->driver, 1);
			echo_rig_pump(rig);
			echo_rig_round_trip(rig, 1);
		}
		fake_driver_reset(&rig->driver);
	}
	for (unsigned kind = 0; kind < DRIVER_MISTAKE_KINDS; kind++)
		cr_expect_eq(rig->dev->negotiation.mistakes.n[kind], 0, "%s",
			     driver_mistake_name((enum driver_mistake)kind));
}

/* Strict about drivers: KVM takes no kick, so that each is looked at; all else is the same. */
OVER_ALL(driver_mistakes, a_strict_device_looks_at_every_kick)
{
	rig->dev->strict = true;
	echo_rig_start(rig);
	cr_assert_eq(rig->machine->n_bells, 0);
	for (unsigned i = 0; i < 2 * ECHO_QUEUES; i++)
		echo_rig_round_trip(rig, i % ECHO_QUEUES);
	cr_assert_eq(driver_mistakes_total(&rig->dev->negotiation.mistakes), 0);
	fake_driver_kick(&rig->driver, ECHO_QUEUES);
	cr_assert_eq(rig->dev->negotiation.mistakes.n[MISTAKE_KICK_NO_QUEUE], 1);
}
