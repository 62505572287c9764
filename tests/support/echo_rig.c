#include "tests/support/echo_rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/loop_pump.h"
#include "vmm/base/error.h"
#include "vmm/base/le.h"
#include "vmm/machine/layout.h"

enum { MESSAGE = 8, REPLY = 64 };

struct echo_rig *echo_rig_create(enum fake_transport transport)
{
	const struct echo_rig_options options = { .transport = transport };

	return echo_rig_create_with(&options);
}

struct echo_rig *echo_rig_create_with(const struct echo_rig_options *options)
{
	struct echo_rig *rig = calloc(1, sizeof(*rig));

	cr_assert_not_null(rig);
	rig->machine = fake_machine_create();
	cr_assert_eq(event_loop_create(&rig->loop, "io"), 0);
	rig->echo = echo_device_create(rig->loop);
	rig->dev = &rig->echo->dev;
	virtio_device_want_features(rig->dev, options->on, FEATURES_EMPTY);
	for (unsigned i = 0; i < options->n_shm; i++)
		virtio_device_add_shm(rig->dev, &options->shm[i]);
	rig->transport = fake_driver_plug(&rig->driver, rig->machine, rig->dev,
					  options->transport, 2);
	return rig;
}

void echo_rig_destroy(struct echo_rig *rig)
{
	machine_lock(&rig->machine->m);
	virtio_transport_destroy(rig->transport);
	machine_unlock(&rig->machine->m);
	event_loop_destroy(rig->loop);
	fake_machine_destroy(rig->machine);
	free(rig);
}

void echo_rig_pump(struct echo_rig *rig)
{
	loop_pump(rig->loop);
	fake_machine_pump(rig->machine);
}

struct features echo_rig_ring_features(void)
{
	struct features f = FEATURES_EMPTY;

	features_add(&f, VIRTIO_F_VERSION_1);
	features_add(&f, VIRTIO_F_EVENT_IDX);
	features_add(&f, VIRTIO_F_INDIRECT_DESC);
	return f;
}

void echo_rig_prepare(struct echo_rig *rig, struct features f)
{
	struct fake_driver *d = &rig->driver;

	cr_assert(fake_driver_negotiate(d, f));
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		fake_driver_init_ring(d, &rig->ring[i], ECHO_QUEUE_SIZE,
				      RIG_RINGS + 0x10000ull * i);
		fake_driver_set_queue(d, i, &rig->ring[i]);
		fake_driver_enable_queue(d, i);
		cr_assert(fake_driver_queue_enabled(d, i));
	}
}

struct features echo_rig_features_with(unsigned bit)
{
	struct features f = echo_rig_ring_features();

	features_add(&f, bit);
	return f;
}

uint8_t echo_rig_negotiated(const struct echo_rig *rig)
{
	return fake_transport_is_legacy(rig->driver.transport) ? 3 : 0xb;
}

uint8_t echo_rig_running(const struct echo_rig *rig)
{
	return echo_rig_negotiated(rig) | VIRTIO_STATUS_DRIVER_OK;
}

void echo_rig_driver_ok(struct echo_rig *rig)
{
	fake_driver_set_status(&rig->driver, echo_rig_running(rig));
	cr_assert_eq(fake_driver_status(&rig->driver), echo_rig_running(rig));
}

void echo_rig_start(struct echo_rig *rig)
{
	echo_rig_prepare(rig, echo_rig_ring_features());
	echo_rig_driver_ok(rig);
	echo_rig_pump(rig);
}

void echo_rig_ask(struct echo_rig *rig, unsigned index)
{
	uint64_t slot = RIG_DATA + 256ull * (rig->n_echoed % 64);
	struct fake_buf buf[] = { { slot, MESSAGE, false }, { slot + MESSAGE, REPLY, true } };
	uint8_t *p = fake_machine_driver_at(rig->machine, slot, MESSAGE + REPLY);

	store_le64(p, 0x1122334400000000u + rig->n_echoed);
	memset(p + MESSAGE, 0xee, REPLY);
	/* An interrupt for the next answer, also where EVENT_IDX was accepted. */
	fake_ring_set_used_event(&rig->ring[index], rig->ring[index].used_seen);
	fake_ring_add(&rig->ring[index], buf, 2);
	rig->n_echoed++;
}

void echo_rig_expect_answer(struct echo_rig *rig, unsigned index)
{
	struct fake_ring *ring = &rig->ring[index];
	uint32_t id, len;

	cr_assert(fake_ring_reap(ring, &id, &len), "queue %u gave no answer", index);
	cr_assert_eq(len, MESSAGE);
	const uint8_t *d = fake_machine_driver_at(rig->machine, ring->desc + 16ull * id, 16);
	const uint8_t *p = fake_machine_driver_at(rig->machine, load_le64(d), MESSAGE + REPLY);
	cr_assert_eq(memcmp(p, p + MESSAGE, MESSAGE), 0);
	/* Not a byte more than it said. */
	for (unsigned i = MESSAGE; i < REPLY; i++)
		cr_assert_eq(p[MESSAGE + i], 0xee);
}

void echo_rig_round_trip(struct echo_rig *rig, unsigned index)
{
	echo_rig_ask(rig, index);
	fake_driver_kick(&rig->driver, index);
	echo_rig_pump(rig);
	echo_rig_expect_answer(rig, index);
}

void echo_rig_break_ring(struct echo_rig *rig, unsigned index)
{
	fake_ring_offer(&rig->ring[index], 0xffff);
	fake_ring_publish(&rig->ring[index]);
	fake_driver_kick(&rig->driver, index);
	echo_rig_pump(rig);
}

unsigned echo_rig_take_interrupts(struct echo_rig *rig)
{
	struct fake_irq_chip *irq = &rig->machine->irq;
	unsigned n = 0;

	fake_machine_pump(rig->machine);
	fake_irq_chip_run(irq);
	for (unsigned gsi = 0; gsi < IRQ_CHIP_PINS; gsi++) {
		n += irq->n_rises[gsi];
		irq->n_rises[gsi] = 0;
	}
	n += irq->n_messages;
	irq->n_messages = 0;
	return n;
}

void echo_rig_over_with(enum fake_transport first, enum fake_transport last, struct features on,
			void (*test)(struct echo_rig *rig))
{
	for (int t = (int)first; t <= (int)last; t++) {
		const struct echo_rig_options options = {
			.transport = (enum fake_transport)t,
			.on = on,
		};
		struct echo_rig *rig = echo_rig_create_with(&options);

		test(rig);
		echo_rig_destroy(rig);
	}
}

void echo_rig_over(enum fake_transport first, enum fake_transport last,
		   void (*test)(struct echo_rig *rig))
{
	echo_rig_over_with(first, last, FEATURES_EMPTY, test);
}

void echo_rig_find_legacy(struct echo_rig *rig, struct fake_driver *legacy)
{
	fake_driver_find_pci(legacy, rig->machine, FAKE_TRANSITIONAL_LEGACY, 1);
}
