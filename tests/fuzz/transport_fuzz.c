/*
 * A driver that does anything at the registers of an echo device, over virtio-pci (the BAR, the
 * configuration space, the window in it) or virtio-mmio.  The input is a list of operations; after
 * each of them the rules below must hold.
 */
#include <string.h>

#include "tests/fuzz/fuzz_input.h"
#include "tests/support/echo_rig.h"
#include "tests/support/loop_pump.h"
#include "virtio/transport_pci.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/machine/msix_internal.h"

enum { MAX_STEPS = 300 };

/* Operations, by number: new ones are added at the end. */
enum op {
	OP_STATUS, OP_FEATURES, OP_SELECT, OP_SIZE, OP_ADDRESS, OP_ENABLE, OP_KICK, OP_PUMP,
	OP_WRITE, OP_READ, OP_CONFIG_WRITE, OP_CONFIG_READ, OP_WINDOW, OP_BRING_UP, OP_ASK,
	OP_RAM, OP_DEVICE, OP_HOST, OP_SYSTEM_RESET, OP_VECTOR, OP_NEXT_STATUS, N_OPS
};

struct world {
	struct echo_rig *rig;
	struct virtio_device *dev;
	struct virtio_pci *pci;		/* NULL: virtio-mmio */
	uint64_t bar;			/* where BAR 4 is after a system reset */
	bool has_ring;			/* ring[] is laid out */
	bool bells_refused;		/* the host once had no doorbell: any may be missing */

	/* What may not change until a reset. */
	unsigned n_resets;
	struct features accepted;
	bool was_sealed;
	struct virtio_queue frozen[ECHO_QUEUES];
	uint8_t config[ECHO_CONFIG_LEN];	/* as the device has set it */
};

static bool is_started(const struct world *w)
{
	return w->dev->state == VIRTIO_STARTED;
}

static void check_negotiation(struct world *w)
{
	const struct negotiation *n = &w->dev->negotiation;
	uint8_t bit, needs;

	CHECK(n->sealed == ((n->status & VIRTIO_STATUS_FEATURES_OK) != 0));
	CHECK(features_is_empty(features_minus(n->accepted, n->offered)));
	if (n->sealed) {
		CHECK(features_has(&n->accepted, VIRTIO_F_VERSION_1));
		CHECK(!features_find_unmet(&n->accepted, n->device_id, &bit, &needs));
	}
	if (w->was_sealed && w->n_resets == w->rig->echo->n_resets)
		CHECK(n->sealed && features_equal(n->accepted, w->accepted));
	w->was_sealed = n->sealed;
	w->accepted = n->accepted;
}

/* Status and state tell the same, and nothing runs outside of it. */
static void check_state(const struct world *w)
{
	const struct echo_device *echo = w->rig->echo;
	unsigned status = w->dev->negotiation.status, n_running = 0;
	bool over = status & (VIRTIO_STATUS_NEEDS_RESET | VIRTIO_STATUS_FAILED);

	CHECK(over == (w->dev->state == VIRTIO_BROKEN));
	if (is_started(w))
		CHECK(status & VIRTIO_STATUS_DRIVER_OK && w->dev->negotiation.sealed);
	else
		CHECK(!(status & VIRTIO_STATUS_DRIVER_OK) || over || !w->dev->dma_allowed);
	if (status & VIRTIO_STATUS_DRIVER_OK)
		CHECK(status & VIRTIO_STATUS_FEATURES_OK);
	CHECK(echo->n_starts == echo->n_stops + is_started(w));
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		if (!echo->queue[i].vq) {
			CHECK(echo->queue[i].n_held == 0);
			continue;
		}
		n_running++;
		CHECK(is_started(w) && w->dev->queue[i].enabled);
	}
	CHECK(echo->n_queue_starts == echo->n_queue_stops + n_running);
	if (is_started(w))
		CHECK(features_equal(echo->started_with, w->dev->negotiation.accepted));
}

static void check_queues(struct world *w)
{
	bool reset = w->n_resets != w->rig->echo->n_resets;

	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		const struct virtio_queue *q = &w->dev->queue[i];

		CHECK(q->size == 0 || (is_power_of_two(q->size) && q->size <= q->size_max));
		CHECK(!q->enabled || q->size > 0);
		if (!reset && q->enabled && w->frozen[i].enabled)
			CHECK(q->size == w->frozen[i].size && q->desc == w->frozen[i].desc &&
			      q->driver == w->frozen[i].driver && q->device == w->frozen[i].device);
		w->frozen[i] = *q;
	}
	w->n_resets = w->rig->echo->n_resets;
}

static bool bell_is_wanted(const struct world *w, unsigned index)
{
	if (!w->dev->queue[index].enabled)
		return false;
	return !w->pci || (w->pci->pci.bar[VIRTIO_PCI_BAR].mapped &&
			   pci_device_is_master(&w->pci->pci));
}

static void check_bells(const struct world *w)
{
	const struct fake_machine *fake = w->rig->machine;
	unsigned n = 0;

	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		const struct doorbell *bell = NULL;

		for (unsigned k = 0; k < fake->n_bells; k++)
			if (fake->bell[k].fd == w->dev->queue[i].kick_fd)
				bell = &fake->bell[k];
		if (!bell) {
			CHECK(!bell_is_wanted(w, i) || w->bells_refused);
			continue;
		}
		n++;
		CHECK(bell_is_wanted(w, i));
		if (w->pci)
			CHECK(bell->addr == w->pci->pci.bar[VIRTIO_PCI_BAR].region.base +
						    VIRTIO_PCI_NOTIFY +
						    i * VIRTIO_PCI_NOTIFY_STRIDE);
		else
			CHECK(bell->match && bell->value == i &&
			      bell->addr == w->rig->driver.base + 0x50);
	}
	CHECK(n == fake->n_bells);
}

static void check_config(const struct world *w)
{
	for (unsigned i = 0; i < ECHO_CONFIG_LEN; i++)
		if (!w->dev->config_writable[i])
			CHECK(w->dev->config[i] == w->config[i]);
	CHECK(w->dev->config_len == ECHO_CONFIG_LEN);
}

static void check_interrupts(const struct world *w)
{
	const struct fake_irq_chip *irq = &w->rig->machine->irq;

	if (!w->pci) {
		CHECK(irq->n_attached == ECHO_QUEUES + 1);
		return;
	}
	/* virtio-v1.4 4.1.5.1.2: MSI-X takes the line's place. */
	if (msix_enabled(w->pci->msix))
		CHECK(!w->pci->pci.intx_level);
	else
		CHECK(irq->n_attached == 0);
	CHECK(w->pci->pci.intx_level == (w->pci->isr != 0 && !msix_enabled(w->pci->msix)));
	CHECK(w->dev->dma_allowed == pci_device_is_master(&w->pci->pci));
}

static void check(struct world *w)
{
	check_negotiation(w);
	check_state(w);
	check_queues(w);
	check_bells(w);
	check_config(w);
	check_interrupts(w);
}

/* The status was read as 0, or the machine was reset: as at power-on. */
static void check_reset(struct world *w)
{
	struct virtio_device *dev = w->dev;
	const struct negotiation *n = &dev->negotiation;

	CHECK(dev->state == VIRTIO_STOPPED && n->status == 0 && !n->sealed);
	CHECK(features_is_empty(n->draft) && features_is_empty(n->accepted));
	CHECK(n->device_feature_select == 0 && n->driver_feature_select == 0);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		const struct virtio_queue *q = &dev->queue[i];

		CHECK(!w->rig->echo->queue[i].vq);
		CHECK(q->size == q->size_max && !q->enabled);
		CHECK(!q->desc && !q->driver && !q->device);
		/* No word of the ended session comes to the next one. */
		CHECK(!fd_drain(q->kick_fd) && !fd_drain(q->call_fd));
		if (w->pci)
			CHECK(w->pci->queue[i].source.vector == MSIX_NO_VECTOR);
	}
	CHECK(!fd_drain(dev->config_call_fd));
	CHECK(w->rig->machine->n_bells == 0);
	if (w->pci)
		CHECK(w->pci->isr == 0 && w->pci->queue_select == 0 && !w->pci->pci.intx_level &&
		      w->pci->config_source.vector == MSIX_NO_VECTOR);
	else
		CHECK(fake_driver_read(&w->rig->driver, 0x60, 4) == 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(dev->config[ECHO_CONFIG_WRITABLE + i] == 0x10 + ECHO_CONFIG_WRITABLE + i);
}

/* Where the registers are now; false if they cannot be reached. */
static bool find_registers(const struct world *w, uint64_t *base)
{
	*base = w->rig->driver.base;
	if (w->pci) {
		const struct pci_bar *bar = &w->pci->pci.bar[VIRTIO_PCI_BAR];
		*base = bar->region.base;
		w->rig->driver.common.addr = *base + VIRTIO_PCI_COMMON;
		w->rig->driver.notify.addr = *base + VIRTIO_PCI_NOTIFY;
		return bar->mapped;
	}
	return true;
}

static void write_status(struct world *w, uint8_t value)
{
	struct fake_driver *d = &w->rig->driver;

	fake_driver_set_status(d, value);
	uint8_t status = fake_driver_status(d);
	CHECK(status == w->dev->negotiation.status);
	if (value == 0) {
		CHECK(status == 0);
		check_reset(w);
	}
}

static void accept(struct world *w, struct fuzz_input *in)
{
	struct fake_driver *d = &w->rig->driver;
	uint8_t how = fuzz_u8(in);
	unsigned half = how & 7;

	if (how & 0x80)
		fake_driver_accept_half(d, half < 7 ? half : 0x80000000u, fuzz_u32(in));
	else	/* Mostly what is offered. */
		fake_driver_accept_half(d, half, fake_driver_offered_half(d, half) &
							 ~(uint32_t)fuzz_u8(in));
}

static void set_size(struct world *w, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	uint64_t value = how & 0x80 ? fuzz_u16(in) : 1u << (how & 15);

	fake_driver_write(&w->rig->driver, w->pci ? 24 : 0x38, w->pci ? 2 : 4, value);
}

static void set_address(struct world *w, struct fuzz_input *in)
{
	static const unsigned mmio[] = { 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4 };
	uint8_t how = fuzz_u8(in);
	unsigned which = (how & 7) % 6;
	uint32_t value = how & 0x80 ? fuzz_u32(in) : RIG_RINGS + fuzz_u16(in);

	if (how & 0x40 && w->pci)
		fake_driver_write(&w->rig->driver, 32 + 8 * (which / 2), 8, fuzz_u64(in));
	else
		fake_driver_write(&w->rig->driver, w->pci ? 32 + 4 * which : mmio[which], 4,
				  which & 1 && !(how & 0x80) ? 0 : value);
}

/* What a good driver does, so that the rest begins with a device that runs. */
static void bring_up(struct world *w, struct fuzz_input *in)
{
	struct echo_rig *rig = w->rig;
	struct fake_driver *d = &rig->driver;
	uint8_t how = fuzz_u8(in);
	uint64_t base;

	if (w->pci) {
		fake_driver_pci_write(d, 0x10 + 4 * VIRTIO_PCI_BAR, 4, (uint32_t)w->bar);
		fake_driver_pci_write(d, 0x14 + 4 * VIRTIO_PCI_BAR, 4, (uint32_t)(w->bar >> 32));
		fake_driver_pci_write(d, 4, 2, how & 0x80 ? 2 : 6);
	}
	CHECK(find_registers(w, &base));
	w->has_ring = true;
	echo_rig_prepare(rig, how & 1 ? fake_driver_offered(d) : echo_rig_ring_features());
	if (how & 2)
		return;
	fake_driver_set_status(d, 0xf);
	CHECK(!(fake_driver_status(d) & VIRTIO_STATUS_NEEDS_RESET) || rig->echo->refuse_start);
}

static void write_ram(struct world *w, struct fuzz_input *in)
{
	uint32_t at = RIG_RINGS + (fuzz_u8(in) & 3) * 0x10000u + fuzz_u16(in) % 0x2000;
	unsigned n = fuzz_u8(in) % 32;
	uint8_t *p = fake_machine_driver_at(w->rig->machine, at, n + 1);

	for (unsigned i = 0; i < n; i++)
		p[i] = fuzz_u8(in);
}

static void window(struct world *w, struct fuzz_input *in)
{
	struct fake_driver *d = &w->rig->driver;
	uint8_t how = fuzz_u8(in);

	if (!w->pci)
		return;
	fake_driver_pci_write(d, w->pci->window + 4, 1, how & 0x80 ? fuzz_u8(in) : VIRTIO_PCI_BAR);
	fake_driver_pci_write(d, w->pci->window + 8, 4, how & 0x40 ? fuzz_u32(in) : fuzz_u16(in));
	fake_driver_pci_write(d, w->pci->window + 12, 4,
			      how & 0x20 ? fuzz_u32(in) : fuzz_width(how));
	if (how & 0x10)
		fake_driver_pci_write(d, w->pci->window + 16, 1u << (how >> 2) % 3, fuzz_u32(in));
	else
		fake_driver_pci_read(d, w->pci->window + 16, 1u << (how >> 2) % 3);
}

/* What the device's side does by itself. */
static void device_side(struct world *w, struct fuzz_input *in)
{
	struct echo_device *echo = w->rig->echo;
	struct machine *m = &w->rig->machine->m;
	uint8_t what = fuzz_u8(in), index = fuzz_u8(in);
	unsigned queue = index % ECHO_QUEUES, at = index % ECHO_CONFIG_LEN;

	switch (what % 4) {
	case 0:
		echo->hold = index & 1;
		break;
	case 1:
		if (echo->queue[queue].vq)
			echo_device_release(echo, queue);
		break;
	case 2:
		w->config[at] = fuzz_u8(in);
		machine_lock(m);
		virtio_device_update_config(w->dev, at, &w->config[at], 1);
		machine_unlock(m);
		break;
	case 3:
		if (is_started(w))
			virtio_device_fail(w->dev, queue, "the fuzzer says so");
		break;
	}
}

/* What the host refuses from now on. */
static void host_side(struct world *w, uint8_t what)
{
	w->rig->machine->refuse_bells = what & 1;
	w->bells_refused |= what & 1;
	/* virtio-mmio attaches once, when it is created. */
	w->rig->machine->irq.refuse_attach = what & 2;
	w->rig->echo->refuse_start = what & 4;
	w->rig->machine->irq.refused_addr = what & 8 ? 0xfee00000 : 0;
}

static void system_reset(struct world *w)
{
	struct machine *m = &w->rig->machine->m;
	uint64_t base;

	machine_lock(m);
	if (w->pci)
		pci_root_reset(&m->pci);
	else
		virtio_transport_reset(w->rig->transport);
	machine_unlock(m);
	CHECK(find_registers(w, &base));
	check_reset(w);
	if (w->pci)
		CHECK(base == w->bar && !msix_enabled(w->pci->msix));
}

/* Route a queue or the configuration to a vector, with a message or masked. */
static void set_vector(struct world *w, struct fuzz_input *in)
{
	struct fake_driver *d = &w->rig->driver;
	uint8_t how = fuzz_u8(in), vector = fuzz_u8(in);
	uint64_t base, entry;

	if (!w->pci || !find_registers(w, &base))
		return;
	entry = base + VIRTIO_PCI_MSIX_TABLE + 16 * (vector % 8);
	fake_machine_mmio_write(w->rig->machine, entry, 4, 0xfee00000u + (how & 0x20 ? 0x1000 : 0));
	fake_machine_mmio_write(w->rig->machine, entry + 8, 4, 0x4000 + vector);
	fake_machine_mmio_write(w->rig->machine, entry + 12, 4, how & 0x40 ? 1 : 0);
	if (how & 4) {
		fake_driver_write(d, 16, 2, vector);
	} else {
		fake_driver_write(d, 22, 2, how & 3);
		fake_driver_write(d, 26, 2, vector & 0x80 ? 0xffff : vector & 7);
	}
	if (how & 8)	/* MSI-X Enable, and perhaps Function Mask */
		fake_driver_pci_write(d, w->pci->msix->capability + 2, 2,
				      how & 0x10 ? 0xc000 : 0x8000);
}

/* Operations that need the registers. */
static void step_registers(struct world *w, enum op op, struct fuzz_input *in)
{
	struct fake_driver *d = &w->rig->driver;
	uint64_t base;

	if (!find_registers(w, &base))
		return;
	switch (op) {
	case OP_STATUS:
		write_status(w, fuzz_u8(in));
		break;
	case OP_NEXT_STATUS: {
		/* The next bit in the usual order. */
		static const uint8_t next[] = { 1, 2, 8, 4 };
		uint8_t status = fake_driver_status(d);
		unsigned i = 0;
		while (i < 3 && status & next[i])
			i++;
		write_status(w, status | next[i]);
		break;
	}
	case OP_FEATURES:
		accept(w, in);
		break;
	case OP_SELECT:
		fake_driver_write(d, w->pci ? 22 : 0x30, w->pci ? 2 : 4, fuzz_u8(in) % 5);
		break;
	case OP_SIZE:
		set_size(w, in);
		break;
	case OP_ADDRESS:
		set_address(w, in);
		break;
	case OP_ENABLE:
		fake_driver_write(d, w->pci ? 28 : 0x44, w->pci ? 2 : 4, fuzz_u8(in) % 3);
		break;
	case OP_KICK:
		fake_driver_kick(d, fuzz_u8(in) % 5);
		break;
	case OP_WRITE: {
		uint16_t at = fuzz_u16(in);
		fake_machine_mmio_write(w->rig->machine, base + at % VIRTIO_PCI_BAR_SIZE,
					fuzz_width(at >> 14), fuzz_u64(in));
		break;
	}
	case OP_READ: {
		uint16_t at = fuzz_u16(in);
		fake_machine_mmio_read(w->rig->machine, base + at % VIRTIO_PCI_BAR_SIZE,
				       fuzz_width(at >> 14));
		break;
	}
	default:
		break;
	}
}

static void step(struct world *w, struct fuzz_input *in)
{
	struct fake_driver *d = &w->rig->driver;
	enum op op = fuzz_u8(in) % N_OPS;

	switch (op) {
	case OP_PUMP:
		if (fuzz_u8(in) & 1)
			fake_machine_pump(w->rig->machine);
		else
			loop_pump(w->rig->loop);
		break;
	case OP_CONFIG_WRITE: {
		uint8_t at = fuzz_u8(in), width = fuzz_u8(in);
		if (w->pci)
			fake_driver_pci_write(d, at, fuzz_width(width), fuzz_u32(in));
		break;
	}
	case OP_CONFIG_READ: {
		uint8_t at = fuzz_u8(in);
		if (w->pci)
			fake_driver_pci_read(d, at, fuzz_width(fuzz_u8(in)));
		break;
	}
	case OP_WINDOW:
		window(w, in);
		break;
	case OP_BRING_UP:
		bring_up(w, in);
		break;
	case OP_ASK:
		if (w->has_ring)
			echo_rig_ask(w->rig, fuzz_u8(in) % ECHO_QUEUES);
		break;
	case OP_RAM:
		write_ram(w, in);
		break;
	case OP_DEVICE:
		device_side(w, in);
		break;
	case OP_HOST:
		host_side(w, fuzz_u8(in));
		break;
	case OP_SYSTEM_RESET:
		system_reset(w);
		break;
	case OP_VECTOR:
		set_vector(w, in);
		break;
	default:
		step_registers(w, op, in);
		break;
	}
}

static void create(struct world *w, bool pci)
{
	*w = (struct world){ .rig = echo_rig_create(pci ? FAKE_PCI : FAKE_MMIO) };
	w->dev = w->rig->dev;
	w->n_resets = w->rig->echo->n_resets;
	memcpy(w->config, w->dev->config, sizeof(w->config));
	if (pci) {
		w->pci = container_of(w->rig->transport, struct virtio_pci, base);
		w->bar = w->pci->pci.bar[VIRTIO_PCI_BAR].region.base;
	}
}

/* Unplugged, whatever it was doing: nothing of it is left, on no bus and in no loop. */
static void destroy(struct world *w)
{
	struct echo_rig *rig = w->rig;
	struct machine *m = &rig->machine->m;
	unsigned n_regions = m->mmio.n_regions;

	rig->machine->irq.refuse_attach = false;
	n_regions -= w->pci ? w->pci->pci.bar[VIRTIO_PCI_BAR].mapped : 1;
	machine_lock(m);
	virtio_transport_destroy(rig->transport);
	machine_unlock(m);
	CHECK(rig->machine->irq.n_attached == 0 && rig->machine->n_bells == 0);
	CHECK(m->mmio.n_regions == n_regions);
	rig->transport = NULL;
	echo_rig_pump(rig);
	echo_rig_destroy(rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	struct world w;

	log_set_level(LOG_ERROR);
	create(&w, fuzz_u8(&in) & 1);
	check(&w);
	for (unsigned i = 0; i < MAX_STEPS && in.len > 0; i++) {
		step(&w, &in);
		check(&w);
	}
	destroy(&w);
	error_clear();
	return 0;
}
