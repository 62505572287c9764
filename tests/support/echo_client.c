#include "tests/support/echo_client.h"

#include <criterion/criterion.h>

#include "tests/support/loop_pump.h"

enum { ANSWER_LEN = 8, REPLY_LEN = 64 };

bool echo_client_is_legacy(const struct echo_client *c)
{
	return fake_transport_is_legacy(c->rig->driver.transport);
}

bool echo_client_find(struct echo_client *c, uint64_t *base)
{
	struct fake_driver *d = &c->rig->driver;
	bool legacy = echo_client_is_legacy(c);
	const struct pci_bar *bar;

	*base = d->base;
	if (!c->pci)
		return true;
	bar = &c->pci->pci.bar[legacy ? VIRTIO_PCI_LEGACY_BAR : VIRTIO_PCI_BAR];
	*base = bar->region.base;
	if (legacy) {
		d->base = *base;
		return bar->mapped;
	}
	d->common.addr = *base + VIRTIO_PCI_COMMON;
	d->notify.addr = *base + VIRTIO_PCI_NOTIFY;
	d->device.addr = *base + VIRTIO_PCI_DEVICE;
	d->isr.addr = *base + VIRTIO_PCI_ISR;
	return bar->mapped;
}

void echo_client_change_window(struct echo_client *c)
{
	struct fake_driver d = c->rig->driver;

	if (!c->has_other)
		return;
	c->rig->driver = c->other;
	c->other = d;
}

void echo_client_spoil(struct echo_client *c)
{
	c->keeps_rules = false;
}

/* Nobody broke a rule, and the session is still the same. */
static bool is_good(const struct echo_client *c)
{
	return c->has_ring && c->keeps_rules && c->n_resets == c->rig->echo->n_resets;
}

/* --- begin again ----------------------------------------------------------------------------- */

static void set_bar(struct echo_client *c, unsigned bar)
{
	struct fake_driver *d = &c->rig->driver;

	fake_driver_pci_write(d, 0x10 + 4 * bar, 4, (uint32_t)c->watch->bar[bar]);
	if (bar != VIRTIO_PCI_LEGACY_BAR)
		fake_driver_pci_write(d, 0x14 + 4 * bar, 4, (uint32_t)(c->watch->bar[bar] >> 32));
}

static void set_function(struct echo_client *c, bool master)
{
	struct fake_driver *d = &c->rig->driver;

	fake_driver_pci_write(d, 4, 2, 0);
	set_bar(c, VIRTIO_PCI_LEGACY_BAR);
	set_bar(c, VIRTIO_PCI_SHM_BAR);
	set_bar(c, VIRTIO_PCI_BAR);
	fake_driver_pci_write(d, 4, 2, master ? 7 : 3);
}

static struct features wanted_features(struct echo_client *c, unsigned how)
{
	static const struct {
		uint8_t how, bit;
	} more[] = {
		{ CLIENT_PACKED, VIRTIO_F_RING_PACKED },
		{ CLIENT_IN_ORDER, VIRTIO_F_IN_ORDER },
		{ CLIENT_SUSPEND, VIRTIO_F_SUSPEND },
		{ CLIENT_SUSPEND, VIRTIO_F_RING_RESET },
		{ CLIENT_DATA, VIRTIO_F_NOTIFICATION_DATA },
	};
	struct features offered = fake_driver_offered(&c->rig->driver);
	struct features f = echo_rig_ring_features();

	if (how & CLIENT_TAKES_ALL)
		return offered;
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		if (how & more[i].how)
			features_add(&f, more[i].bit);
	return features_and(f, offered);
}

/* Rings as the accepted features want them, for all queues. */
static void set_queues(struct echo_client *c, const struct features *f)
{
	struct fake_driver *d = &c->rig->driver;
	bool packed = features_has(f, VIRTIO_F_RING_PACKED);

	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		struct fake_ring *ring = &c->rig->ring[i];
		uint64_t addr = RIG_RINGS + (uint64_t)WATCH_RING_STRIDE * i;

		if (packed)
			fake_ring_init_as(ring, FAKE_PACKED, d->machine, ECHO_QUEUE_SIZE, addr);
		else
			fake_driver_init_ring(d, ring, ECHO_QUEUE_SIZE, addr);
		ring->event_idx = features_has(f, VIRTIO_F_EVENT_IDX);
		fake_driver_set_queue(d, i, ring);
		fake_driver_enable_queue(d, i);
		cr_assert(fake_driver_queue_enabled(d, i));
	}
}

void echo_client_bring_up(struct echo_client *c, unsigned how)
{
	struct fake_driver *d = &c->rig->driver;
	uint64_t base;

	if (c->pci)
		set_function(c, !(how & CLIENT_NO_MASTER));
	cr_assert(echo_client_find(c, &base));
	/* Of a suspended device no register but the status can be written. */
	fake_driver_reset(d);
	struct features f = wanted_features(c, how);
	cr_assert(fake_driver_negotiate(d, f));
	set_queues(c, &f);
	c->has_ring = c->keeps_rules = true;
	c->n_resets = c->rig->echo->n_resets;
	echo_watch_driver_wrote(c->watch);
	if (how & CLIENT_NO_DRIVER_OK)
		return;
	fake_driver_set_status(d, echo_rig_running(c->rig));
	cr_assert(!(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET) ||
		  c->rig->echo->refuse_start);
}

/* --- requests -------------------------------------------------------------------------------- */

/* A request has two descriptors: half as many fit as the ring has places. */
static bool has_room(const struct fake_ring *ring)
{
	return ring->layout == FAKE_PACKED ? fake_ring_room(ring) >= 2 :
					     fake_ring_room(ring) > ECHO_QUEUE_SIZE / 2;
}

bool echo_client_ask(struct echo_client *c, unsigned index)
{
	struct echo_rig *rig = c->rig;
	struct fake_ring *ring = &rig->ring[index];
	uint64_t slot = RIG_DATA + 256ull * (rig->n_echoed % 64);
	struct fake_buf buf[] = { { slot, ANSWER_LEN, false },
				  { slot + ANSWER_LEN, REPLY_LEN, true } };

	if (!c->has_ring)
		return false;
	if (ring->layout == FAKE_PACKED && (!is_good(c) || !has_room(ring)))
		return false;
	/* Over a request that is out. */
	if (!has_room(ring))
		echo_client_spoil(c);
	fake_ring_want_call(ring, 0);
	fake_ring_add(ring, buf, ARRAY_SIZE(buf));
	rig->n_echoed++;
	echo_watch_driver_wrote(c->watch);
	return true;
}

unsigned echo_client_reap(struct echo_client *c, unsigned index)
{
	uint32_t id, len;
	unsigned n = 0;

	for (; is_good(c) && fake_ring_reap(&c->rig->ring[index], &id, &len); n++)
		cr_assert_eq(len, ANSWER_LEN);
	echo_watch_driver_wrote(c->watch);
	return n;
}

static bool can_be_served(struct echo_client *c, unsigned index)
{
	const struct virtio_device *dev = c->rig->dev;
	const struct negotiation *n = &dev->negotiation;
	const struct virtio_queue *q = &dev->queue[index];
	uint64_t base;

	return is_good(c) && dev->state == VIRTIO_STARTED && dev->dma_allowed && q->enabled &&
	       q->ending == VIRTIO_QUEUE_STAYS && !n->resetting && !n->suspending &&
	       !negotiation_is_suspended(n) && !c->rig->echo->hold &&
	       c->rig->echo->queue[index].n_held == 0 && echo_client_find(c, &base);
}

void echo_client_round_trip(struct echo_client *c, unsigned index)
{
	echo_client_reap(c, index);
	if (!can_be_served(c, index) || !has_room(&c->rig->ring[index]) ||
	    !echo_client_ask(c, index))
		return;
	fake_driver_kick(&c->rig->driver, index);
	loop_pump(c->rig->loop);
	cr_assert_gt(echo_client_reap(c, index), 0);
	cr_assert_eq(c->rig->dev->state, VIRTIO_STARTED);
}

void echo_client_init(struct echo_client *c, struct echo_rig *rig, struct echo_watch *watch)
{
	*c = (struct echo_client){ .rig = rig, .watch = watch, .pci = watch->pci };
	c->has_other = rig->driver.transport == FAKE_TRANSITIONAL;
	if (c->has_other)
		echo_rig_find_legacy(rig, &c->other);
}
