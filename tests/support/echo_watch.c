#include "tests/support/echo_watch.h"

#include <criterion/criterion.h>
#include <string.h>

#include "vmm/base/fd.h"
#include "vmm/machine/msix_internal.h"

static bool is_started(const struct echo_watch *w)
{
	return w->dev->state == VIRTIO_STARTED;
}

/* A device that breaks has rings until the host is done with them. */
static bool has_rings(const struct echo_watch *w)
{
	return is_started(w) || w->dev->state == VIRTIO_BREAKING;
}

static bool is_broken(const struct echo_watch *w)
{
	return w->dev->state == VIRTIO_BREAKING || w->dev->state == VIRTIO_BROKEN;
}

static bool is_suspended(const struct echo_watch *w)
{
	return w->dev->negotiation.status & VIRTIO_STATUS_SUSPEND;
}

static bool same_session(const struct echo_watch *w)
{
	return w->n_resets == w->rig->echo->n_resets;
}

static void check_accepted(const struct negotiation *n)
{
	struct features offered = n->legacy ? n->offered_legacy : n->offered;
	uint8_t bit, needs;

	cr_assert(features_is_empty(features_minus(n->accepted, offered)));
	cr_assert(!features_find_unmet(&n->accepted, n->device_id, &bit, &needs));
	if (n->legacy)
		cr_assert(n->accepted.word[1] == 0 && n->accepted.word[0] <= UINT32_MAX);
	else
		cr_assert(features_has(&n->accepted, VIRTIO_F_VERSION_1));
}

static void check_negotiation(struct echo_watch *w)
{
	const struct negotiation *n = &w->dev->negotiation;
	bool features_ok = n->status & VIRTIO_STATUS_FEATURES_OK;

	cr_assert_eq(features_ok, n->sealed && !n->legacy);
	if (n->sealed)
		check_accepted(n);
	else
		cr_assert(features_is_empty(n->accepted) && !n->legacy);
	if (w->was_sealed && same_session(w))
		cr_assert(n->sealed && features_equal(n->accepted, w->accepted));
	/* N6: a driver that looks whether a stop is over is not told so before it is. */
	if (w->n_hard_stops != w->rig->echo->n_hard_stops)
		cr_assert(w->was_legacy || is_broken(w));
	w->n_hard_stops = w->rig->echo->n_hard_stops;
	w->was_legacy = n->legacy;
	w->was_sealed = n->sealed;
	w->accepted = n->accepted;

	if (is_suspended(w)) {
		cr_assert(!(n->status & VIRTIO_STATUS_DRIVER_OK) && !n->suspending);
		cr_assert(features_has(&n->accepted, VIRTIO_F_SUSPEND));
	}
	if (n->suspending)
		cr_assert(n->status & VIRTIO_STATUS_DRIVER_OK && !n->resetting);
	/* Only what the host has in progress keeps a reset. */
	cr_assert(!n->resetting || has_rings(w));
}

/* Status and state tell the same, and nothing runs outside of it. */
static void check_state(const struct echo_watch *w)
{
	const struct echo_device *echo = w->rig->echo;
	const struct negotiation *n = &w->dev->negotiation;
	bool over = n->status & (VIRTIO_STATUS_NEEDS_RESET | VIRTIO_STATUS_FAILED);
	bool driver_ok = n->status & VIRTIO_STATUS_DRIVER_OK;
	unsigned n_running = 0;

	cr_assert_eq(over, is_broken(w));
	if (is_started(w)) {
		/* A legacy driver starts by a kick, too. */
		cr_assert(n->sealed && (driver_ok || is_suspended(w) || n->legacy));
		cr_assert(features_equal(echo->started_with, n->accepted));
	} else {
		cr_assert(!driver_ok || over || !w->dev->dma_allowed);
	}
	cr_assert(!driver_ok || n->sealed || over);
	cr_assert_eq(echo->n_starts, echo->n_stops + has_rings(w));
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		bool runs = echo->queue[i].vq;

		cr_assert(!runs || (has_rings(w) && w->dev->queue[i].enabled));
		cr_assert(runs || !is_started(w) || !w->dev->queue[i].enabled ||
			  w->dev->queue[i].start_waits);
		cr_assert(runs || echo->queue[i].n_held == 0);
		n_running += runs;
	}
	cr_assert_eq(echo->n_queue_starts, echo->n_queue_stops + n_running);
}

/* As at power-on, and no word of what was before comes to what is next. */
static void check_queue_reset(const struct echo_watch *w, unsigned i)
{
	const struct virtio_queue *q = &w->dev->queue[i];

	cr_assert_null(w->rig->echo->queue[i].vq);
	cr_assert(q->size == q->size_max && !q->enabled && q->ending == VIRTIO_QUEUE_STAYS);
	cr_assert(!q->desc && !q->driver && !q->device && !q->pfn);
	cr_assert(!fd_drain(q->kick_fd) && !fd_drain(q->call_fd));
	if (w->pci)
		cr_assert_eq(w->pci->queue[i].source.vector, MSIX_NO_VECTOR);
	else
		cr_assert_eq(w->mmio->queue[i].align, 0);
}

static void check_queue(const struct echo_watch *w, unsigned i)
{
	const struct virtio_queue *q = &w->dev->queue[i], *before = &w->frozen[i];
	bool packed = features_has(&w->accepted, VIRTIO_F_RING_PACKED);

	cr_assert_leq(q->size, q->size_max);
	cr_assert(q->size == 0 || packed || is_power_of_two(q->size));
	cr_assert(!q->enabled || (q->size > 0 && w->dev->negotiation.sealed));
	cr_assert(q->pfn == 0 || (q->enabled && w->dev->negotiation.legacy));
	cr_assert(q->ending == VIRTIO_QUEUE_STAYS || q->enabled);
	cr_assert(!q->was_reset || (!q->enabled && features_has(&w->accepted,
								 VIRTIO_F_RING_RESET)));
	if (same_session(w) && q->enabled && before->enabled)
		cr_assert(q->size == before->size && q->desc == before->desc &&
			  q->driver == before->driver && q->device == before->device &&
			  q->pfn == before->pfn);
}

static void check_queues(struct echo_watch *w)
{
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		check_queue(w, i);
		if (w->dev->queue[i].was_reset && !w->frozen[i].was_reset)
			check_queue_reset(w, i);
		w->frozen[i] = w->dev->queue[i];
	}
}

enum wish { NO_BELL, MAY_STAY, WANTED };

/* Which doorbell KVM should listen to for a queue.  Nobody takes it from a device that broke. */
static enum wish wanted_bell(const struct echo_watch *w, unsigned i, struct doorbell *bell)
{
	const struct negotiation *n = &w->dev->negotiation;
	bool data = features_has(&n->accepted, VIRTIO_F_NOTIFICATION_DATA);
	enum wish works = !w->dev->queue[i].enabled || w->dev->state == VIRTIO_STOPPED ? NO_BELL :
			  is_started(w) ? WANTED : MAY_STAY;
	const struct pci_bar *bar;

	if (w->mmio) {
		*bell = (struct doorbell){ DOORBELL_MMIO, w->mmio->region.base + MMIO_QUEUE_NOTIFY,
					   4, true, i, w->dev->queue[i].kick_fd };
		return data ? NO_BELL : works;
	}
	bar = &w->pci->pci.bar[n->legacy ? VIRTIO_PCI_LEGACY_BAR : VIRTIO_PCI_BAR];
	if (n->legacy)
		*bell = (struct doorbell){ DOORBELL_PIO, bar->region.base + 16, 2, true, i,
					   w->dev->queue[i].kick_fd };
	else
		*bell = (struct doorbell){ DOORBELL_MMIO,
					   bar->region.base + VIRTIO_PCI_NOTIFY +
						   i * VIRTIO_PCI_NOTIFY_STRIDE,
					   0, false, 0, w->dev->queue[i].kick_fd };
	return bar->mapped && pci_device_is_master(&w->pci->pci) ? works : NO_BELL;
}

static void check_bells(const struct echo_watch *w)
{
	const struct fake_machine *fake = w->rig->machine;
	unsigned n = 0;

	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		const struct doorbell *bell = NULL;
		struct doorbell want;
		enum wish wish = wanted_bell(w, i, &want);

		for (unsigned k = 0; k < fake->n_bells; k++)
			if (fake->bell[k].fd == want.fd)
				bell = &fake->bell[k];
		if (!bell) {
			cr_assert(wish != WANTED || w->bells_refused);
			continue;
		}
		n++;
		cr_assert_neq(wish, NO_BELL);
		cr_assert(bell->space == want.space && bell->addr == want.addr &&
			  bell->len == want.len && bell->match == want.match &&
			  bell->value == want.value);
	}
	cr_assert_eq(n, fake->n_bells);
}

/* Nothing is changed but what the driver may write; of a suspended device not even that. */
static void check_config(struct echo_watch *w)
{
	const struct virtio_device *dev = w->dev;

	cr_assert_eq(dev->config_len, ECHO_CONFIG_LEN);
	cr_assert(!dev->config_is_held || is_suspended(w));
	if (is_suspended(w) && w->was_suspended && same_session(w)) {
		cr_assert_eq(memcmp(dev->config, w->shown, ECHO_CONFIG_LEN), 0);
		return;
	}
	for (unsigned i = 0; i < ECHO_CONFIG_LEN; i++)
		if (!dev->config_writable[i])
			cr_assert_eq(dev->config[i], w->config[i]);
	memcpy(w->shown, dev->config, ECHO_CONFIG_LEN);
}

static void check_interrupts(const struct echo_watch *w)
{
	const struct fake_irq_chip *irq = &w->rig->machine->irq;

	if (w->mmio) {
		cr_assert_eq(irq->n_attached, ECHO_QUEUES + 1);
		return;
	}
	/* virtio-v1.4 4.1.5.1.2: MSI-X takes the line's place. */
	bool msix = msix_enabled(w->pci->msix);
	cr_assert(msix || irq->n_attached == 0);
	cr_assert_eq(w->pci->pci.intx_level, w->pci->isr != 0 && !msix);
	cr_assert_eq(w->dev->dma_allowed, pci_device_is_master(&w->pci->pci));
}

/* --- memory ---------------------------------------------------------------------------------- */

struct piece {
	uint64_t addr;
	unsigned len;
};

static struct piece piece(unsigned i)
{
	if (i < ECHO_QUEUES)
		return (struct piece){ RIG_RINGS + i * (uint64_t)WATCH_RING_STRIDE,
				       WATCH_RING_LEN };
	return (struct piece){ RIG_DATA, WATCH_DATA_LEN };
}

void echo_watch_driver_wrote(struct echo_watch *w)
{
	unsigned at = 0;

	for (unsigned i = 0; i <= ECHO_QUEUES; i++) {
		struct piece p = piece(i);

		memcpy(w->memory + at, fake_machine_driver_at(w->rig->machine, p.addr, p.len),
		       p.len);
		at += p.len;
	}
}

static bool memory_is_as_before(const struct echo_watch *w)
{
	unsigned at = 0;

	for (unsigned i = 0; i <= ECHO_QUEUES; i++) {
		struct piece p = piece(i);

		if (memcmp(w->memory + at, fake_machine_driver_at(w->rig->machine, p.addr, p.len),
			   p.len) != 0)
			return false;
		at += p.len;
	}
	return true;
}

/* Does any queue tell the driver of buffers?  What it told is taken. */
static bool takes_calls(const struct echo_watch *w)
{
	bool called = false;

	for (unsigned i = 0; i < ECHO_QUEUES; i++)
		called |= fd_drain(w->dev->queue[i].call_fd);
	return called;
}

/* A device that does not run, or is suspended, writes nothing and calls nobody. */
static void check_quiet(struct echo_watch *w)
{
	bool quiet = !has_rings(w) || is_suspended(w);
	bool stays = quiet && w->was_quiet && w->n_starts == w->rig->echo->n_starts;

	if (stays)
		cr_assert(memory_is_as_before(w));
	else if (quiet)
		echo_watch_driver_wrote(w);
	if (is_suspended(w)) {
		bool called = takes_calls(w);

		cr_assert(!called || !w->was_suspended);
	}
	w->was_quiet = quiet;
	w->was_suspended = is_suspended(w);
	w->n_starts = w->rig->echo->n_starts;
}

void echo_watch_check(struct echo_watch *w)
{
	check_negotiation(w);
	check_state(w);
	check_queues(w);
	check_bells(w);
	check_config(w);
	check_interrupts(w);
	check_quiet(w);
	w->n_resets = w->rig->echo->n_resets;
}

/* --- reset ----------------------------------------------------------------------------------- */

void echo_watch_check_reset(const struct echo_watch *w)
{
	const struct virtio_device *dev = w->dev;
	const struct negotiation *n = &dev->negotiation;

	cr_assert(dev->state == VIRTIO_STOPPED && n->status == 0 && !n->sealed);
	cr_assert(!n->resetting && !n->suspending && !n->legacy && !n->draft_beyond_words);
	cr_assert(features_is_empty(n->draft) && features_is_empty(n->accepted));
	cr_assert(n->device_feature_select == 0 && n->driver_feature_select == 0);
	cr_assert(!dev->start_waits && !dev->config_is_held);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		check_queue_reset(w, i);
		cr_assert(!dev->queue[i].was_reset);
	}
	cr_assert(!fd_drain(dev->config_call_fd));
	cr_assert_eq(w->rig->machine->n_bells, 0);
	if (w->pci)
		cr_assert(w->pci->isr == 0 && w->pci->queue_select == 0 &&
			  !w->pci->pci.intx_level &&
			  w->pci->config_source.vector == MSIX_NO_VECTOR);
	else
		cr_assert(w->mmio->interrupt_status == 0 && w->mmio->queue_sel == 0 &&
			  w->mmio->shm_sel == 0);
	for (unsigned i = ECHO_CONFIG_WRITABLE; i < ECHO_CONFIG_WRITABLE + 4; i++)
		cr_assert_eq(dev->config[i], 0x10 + i);
}

void echo_watch_system_reset(struct echo_watch *w)
{
	struct machine *m = &w->rig->machine->m;

	machine_lock(m);
	if (w->pci)
		pci_root_reset(&m->pci);
	else
		virtio_transport_reset(w->rig->transport);
	machine_unlock(m);
	echo_watch_check_reset(w);
	/* It does not ask the driver, and waits for the host. */
	w->n_hard_stops = w->rig->echo->n_hard_stops;
	if (w->mmio) {
		cr_assert_eq(w->mmio->guest_page_size, 0);
		return;
	}
	cr_assert(!msix_enabled(w->pci->msix));
	for (unsigned i = 0; i < PCI_N_BARS; i++)
		cr_assert_eq(w->pci->pci.bar[i].region.base, w->bar[i]);
}

void echo_watch_unplug(struct echo_watch *w)
{
	struct fake_machine *fake = w->rig->machine;
	struct machine *m = &fake->m;
	unsigned n_regions = m->mmio.n_regions + m->pio.n_regions;

	fake->irq.refuse_attach = false;
	for (unsigned i = 0; w->pci && i < PCI_N_BARS; i++)
		n_regions -= w->pci->pci.bar[i].mapped;
	if (w->mmio)
		n_regions -= 1 + w->mmio->n_shm;
	machine_lock(m);
	virtio_transport_destroy(w->rig->transport);
	machine_unlock(m);
	w->rig->transport = NULL;
	cr_assert(fake->irq.n_attached == 0 && fake->n_bells == 0);
	cr_assert_eq(m->mmio.n_regions + m->pio.n_regions, n_regions);
}

void echo_watch_init(struct echo_watch *w, struct echo_rig *rig)
{
	*w = (struct echo_watch){ .rig = rig, .dev = rig->dev };
	w->n_resets = rig->echo->n_resets;
	memcpy(w->config, rig->dev->config, sizeof(w->config));
	if (fake_transport_is_mmio(rig->driver.transport))
		w->mmio = container_of(rig->transport, struct virtio_mmio, base);
	else
		w->pci = container_of(rig->transport, struct virtio_pci, base);
	for (unsigned i = 0; w->pci && i < PCI_N_BARS; i++)
		w->bar[i] = w->pci->pci.bar[i].region.base;
	echo_watch_check(w);
}
