/* A queue as a report shows it, while a driver is at it. */
#include "virtio/queue_look.h"

#include <criterion/criterion.h>

#include "tests/support/echo_rig.h"
#include "vmm/base/fd.h"

static struct queue_look look;

static void expect_idle(struct echo_rig *rig)
{
	cr_assert(queue_look_take(&look, rig->dev, 0));
	cr_expect_not(look.enabled);
	cr_expect_not(look.runs);
	cr_expect_not(look.has_memory);
	cr_expect_not(queue_look_take(&look, rig->dev, rig->dev->n_queues));
}

static void look_at(struct echo_rig *rig)
{
	expect_idle(rig);
	echo_rig_start(rig);
	for (unsigned i = 0; i < 3; i++)
		echo_rig_round_trip(rig, 0);
	cr_assert(queue_look_take(&look, rig->dev, 0));
	cr_expect_str_eq(look.device, rig->dev->name);
	cr_expect(look.enabled);
	cr_expect_str_eq(look.datapath, "in process");
	cr_assert(look.runs);
	cr_expect_eq(look.ring.avail_next, 3);
	cr_expect_eq(look.ring.used_published, 3);
	cr_expect_eq(look.ring.in_flight, 0);
	cr_expect_eq(look.ring.fault, VQ_FAULT_NONE);
	cr_assert(look.has_memory);
	cr_expect_eq(look.avail_index, 3);
	cr_expect_eq(look.used_index, 3);
	cr_expect_not(look.kick_pending);

	/* A chain that the device has not seen. */
	echo_rig_ask(rig, 0);
	cr_assert(queue_look_take(&look, rig->dev, 0));
	cr_expect_eq(look.avail_index, 4);
	cr_expect_eq(look.ring.avail_next, 3);
	fd_signal(rig->dev->queue[0].kick_fd);
	cr_assert(queue_look_take(&look, rig->dev, 0));
	cr_expect(look.kick_pending);
	cr_assert(queue_look_take(&look, rig->dev, 0));
	cr_expect(look.kick_pending, "looking takes nothing");
}

Test(queue_look, shows_both_sides_of_a_ring)
{
	echo_rig_over(FAKE_PCI, FAKE_MMIO, look_at);
}

/* The registers of a queue that is not enabled can say anything. */
static void look_at_nonsense(struct echo_rig *rig)
{
	echo_rig_start(rig);
	struct virtio_queue *q = &rig->dev->queue[0];
	struct virtio_queue kept = *q;

	q->driver = UINT64_MAX - 1;
	cr_assert(queue_look_take(&look, rig->dev, 0));
	cr_expect_not(look.has_memory);
	q->driver = kept.driver;
	q->device = 0xfffffffffffff000;
	cr_assert(queue_look_take(&look, rig->dev, 0));
	cr_expect_not(look.has_memory);
	*q = kept;
}

Test(queue_look, of_addresses_out_of_memory)
{
	echo_rig_over(FAKE_PCI, FAKE_PCI, look_at_nonsense);
}
