/*
 * virtio-mmio: the page on the bus, its interrupt, and the registers that both versions have.
 * virtio-v1.4 4.2 "Virtio Over MMIO".
 *
 * The interrupt is an edge, as the ACPI tables and the command line say it is: every signal of a
 * queue's or of the configuration's eventfd raises it, after the bit in InterruptStatus was set.
 * Where a level would stay up because a bit is left after an acknowledgement, another edge is
 * sent.
 */
#include "virtio/transport_mmio.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"
#include "vmm/machine/layout.h"

enum {
	MAGIC = 0x74726976,		/* "virt" */
	VENDOR = 0x45524956,		/* "VIRE" */
	INTERRUPT_QUEUE = 1,
	INTERRUPT_CONFIG = 2,
};

static struct virtio_mmio *from_base(struct virtio_transport *base)
{
	return container_of(base, struct virtio_mmio, base);
}

static void mmio_config_changed(struct virtio_transport *base)
{
	struct virtio_mmio *t = from_base(base);

	atomic_fetch_or(&t->interrupt_status, INTERRUPT_CONFIG);
	fd_signal(base->device->config_call_fd);
}

static struct virtqueue_call mmio_queue_call(struct virtio_transport *base, unsigned index)
{
	return (struct virtqueue_call){
		.fd = base->device->queue[index].call_fd,
		.isr = &from_base(base)->interrupt_status,
		.isr_bits = INTERRUPT_QUEUE,
	};
}

static void acknowledge(struct virtio_mmio *t, uint32_t bits)
{
	uint32_t before = atomic_fetch_and(&t->interrupt_status, ~bits);

	if (bits & ~before)
		virtio_device_mistake(t->base.device, MISTAKE_INTERRUPT_ACK);
	/* An event whose edge the driver took for the acknowledged one. */
	if (before & ~bits)
		fd_signal(t->base.device->config_call_fd);
}

/* --- doorbells ------------------------------------------------------------------------------- */

static void detach_bell(struct virtio_mmio *t, unsigned index)
{
	struct virtio_mmio_queue *q = &t->queue[index];

	if (q->bell_attached)
		doorbell_detach(&t->machine->doorbells, &q->bell);
	q->bell_attached = false;
}

/* With NOTIFICATION_DATA the value is more than the queue's number, and every kick exits. */
static bool wants_bell(const struct virtio_device *dev, unsigned index)
{
	return virtio_device_wants_doorbell(dev, index) &&
	       !features_has(&dev->negotiation.accepted, VIRTIO_F_NOTIFICATION_DATA);
}

static void update_bell(struct virtio_mmio *t, unsigned index)
{
	struct virtio_mmio_queue *q = &t->queue[index];
	bool wanted = wants_bell(t->base.device, index);

	if (!wanted)
		detach_bell(t, index);
	if (!wanted || q->bell_attached)
		return;
	q->bell = (struct doorbell){
		.space = DOORBELL_MMIO,
		.addr = t->region.base + MMIO_QUEUE_NOTIFY,
		.len = 4,
		.match = true,
		.value = index,
		.fd = t->base.device->queue[index].kick_fd,
	};
	/* If it cannot be had, the write exits and is handled where the register is. */
	q->bell_attached = doorbell_attach(&t->machine->doorbells, &q->bell) == 0;
}

void virtio_mmio_update_bells(struct virtio_mmio *t)
{
	for (unsigned i = 0; i < t->base.device->n_queues; i++)
		update_bell(t, i);
}

/* --- registers ------------------------------------------------------------------------------- */

static uint32_t read_register(struct virtio_mmio *t, unsigned offset)
{
	struct virtio_device *dev = t->base.device;
	const struct virtio_queue *q = virtio_device_queue(dev, t->queue_sel);
	uint32_t value;

	if (t->version->read(t, offset, &value))
		return value;
	switch (offset) {
	case MMIO_MAGIC:
		return MAGIC;
	case MMIO_VERSION:
		return t->version->number;
	case MMIO_DEVICE_ID:
		return dev->id;
	case MMIO_VENDOR_ID:
		return VENDOR;
	case MMIO_QUEUE_SIZE_MAX:
		return q ? q->size_max : 0;
	case MMIO_INTERRUPT_STATUS:
		return atomic_load(&t->interrupt_status);
	case MMIO_STATUS:
		return virtio_device_read_status(dev);
	default:
		return 0;
	}
}

static bool is_read_only(unsigned offset)
{
	return offset <= MMIO_DEVICE_FEATURES || offset == MMIO_QUEUE_SIZE_MAX ||
	       offset == MMIO_INTERRUPT_STATUS;
}

static void write_register(struct virtio_mmio *t, unsigned offset, uint32_t value)
{
	struct virtio_device *dev = t->base.device;

	if (t->version->write(t, offset, value))
		return;
	switch (offset) {
	case MMIO_DEVICE_FEATURES_SEL:
		dev->negotiation.device_feature_select = value;
		break;
	case MMIO_DRIVER_FEATURES_SEL:
		dev->negotiation.driver_feature_select = value;
		break;
	case MMIO_QUEUE_SEL:
		t->queue_sel = value;
		break;
	case MMIO_QUEUE_SIZE:
		virtio_device_set_queue_size(dev, t->queue_sel, value);
		break;
	case MMIO_INTERRUPT_ACK:
		acknowledge(t, value);
		break;
	default:
		virtio_device_mistake(dev, is_read_only(offset) ? MISTAKE_REGISTER_READ_ONLY :
								  MISTAKE_REGISTER_UNKNOWN);
		break;
	}
}

/* Control registers are 32 bits wide and aligned; no other access reaches them. */
static bool is_control(uint64_t offset, unsigned size)
{
	return size == 4 && offset % 4 == 0;
}

static uint64_t mmio_read(void *arg, uint64_t offset, unsigned size)
{
	struct virtio_mmio *t = arg;
	uint8_t buf[8];

	if (offset < MMIO_CONFIG && !is_control(offset, size)) {
		virtio_device_mistake(t->base.device, MISTAKE_REGISTER_WIDTH);
		return 0;
	}
	if (offset < MMIO_CONFIG)
		return read_register(t, (unsigned)offset);
	virtio_device_read_config(t->base.device, (unsigned)offset - MMIO_CONFIG, buf, size);
	return load_le(buf, size);
}

static void mmio_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_mmio *t = arg;
	uint8_t buf[8];

	if (offset < MMIO_CONFIG && !is_control(offset, size)) {
		virtio_device_mistake(t->base.device, MISTAKE_REGISTER_WIDTH);
		return;
	}
	if (offset < MMIO_CONFIG) {
		write_register(t, (unsigned)offset, (uint32_t)value);
		return;
	}
	store_le(buf, size, value);
	t->version->write_config(t->base.device, (unsigned)offset - MMIO_CONFIG, buf, size);
}

static const struct region_ops mmio_region_ops = { .read = mmio_read, .write = mmio_write };

static void mmio_update_doorbells(struct virtio_transport *base)
{
	virtio_mmio_update_bells(from_base(base));
}

static void mmio_queue_reset(struct virtio_transport *base, unsigned index)
{
	detach_bell(from_base(base), index);
}

static void mmio_device_reset(struct virtio_transport *base)
{
	struct virtio_mmio *t = from_base(base);

	for (unsigned i = 0; i < base->device->n_queues; i++) {
		detach_bell(t, i);
		t->queue[i].align = 0;
	}
	atomic_store(&t->interrupt_status, 0);
	t->queue_sel = t->shm_sel = 0;
}

static void mmio_system_reset(struct virtio_transport *base)
{
	/* A driver sets it once and resets the device then, as Linux does. */
	from_base(base)->guest_page_size = 0;
}

static void detach_interrupts(struct virtio_mmio *t)
{
	struct virtio_device *dev = t->base.device;

	while (t->n_attached > 0)
		irq_chip_detach_fd(t->machine->irq, t->gsi, dev->queue[--t->n_attached].call_fd);
	if (t->config_attached)
		irq_chip_detach_fd(t->machine->irq, t->gsi, dev->config_call_fd);
	t->config_attached = false;
}

static int attach_interrupts(struct virtio_mmio *t)
{
	struct virtio_device *dev = t->base.device;
	int r = irq_chip_attach_fd(t->machine->irq, t->gsi, dev->config_call_fd);

	t->config_attached = r == 0;
	while (r == 0 && t->n_attached < dev->n_queues) {
		r = irq_chip_attach_fd(t->machine->irq, t->gsi, dev->queue[t->n_attached].call_fd);
		if (r == 0)
			t->n_attached++;
	}
	return r < 0 ? error_set(r, "attach interrupts to GSI %u", t->gsi) : 0;
}

/* Shared memory has a place of its own for each device, beside its page. */
static int add_shared_memory(struct virtio_mmio *t, unsigned index)
{
	const struct virtio_device *dev = t->base.device;
	uint64_t base = LAYOUT_VIRTIO_SHM + index * LAYOUT_VIRTIO_SHM_STRIDE;
	uint64_t end = base + LAYOUT_VIRTIO_SHM_STRIDE;

	for (unsigned i = 0; i < dev->n_shm; i++) {
		if (dev->shm[i].len > end - base)
			return error_set(ENOSPC, "virtio-mmio has no room for 0x%llx bytes of "
						 "shared memory; virtio-pci has",
					 (unsigned long long)dev->shm[i].len);
		t->shm[i] = (struct region){
			.name = dev->name,
			.base = base,
			.size = dev->shm[i].len,
			.ops = dev->shm[i].ops,
			.arg = dev->shm[i].arg,
		};
		int r = bus_add(&t->machine->mmio, &t->shm[i]);
		if (r < 0)
			return r;
		t->n_shm++;
		base += dev->shm[i].len;
	}
	return 0;
}

static void mmio_destroy(struct virtio_transport *base)
{
	struct virtio_mmio *t = from_base(base);

	while (t->n_shm > 0)
		bus_remove(&t->machine->mmio, &t->shm[--t->n_shm]);
	if (t->on_bus)
		bus_remove(&t->machine->mmio, &t->region);
	detach_interrupts(t);
	free(t->queue);
	free(t);
}

static struct virtio_place mmio_place(const struct virtio_transport *base)
{
	const struct virtio_mmio *t = container_of(base, const struct virtio_mmio, base);

	return (struct virtio_place){ false, t->region.base };
}

static const struct virtio_transport_ops mmio_ops = {
	.place = mmio_place,
	.queue_call = mmio_queue_call,
	.config_changed = mmio_config_changed,
	.update_doorbells = mmio_update_doorbells,
	.queue_reset = mmio_queue_reset,
	.device_reset = mmio_device_reset,
	.system_reset = mmio_system_reset,
	.destroy = mmio_destroy,
};

static int put_on_bus(struct virtio_mmio *t, unsigned index)
{
	int r;

	if (index >= LAYOUT_MAX_VIRTIO_MMIO)
		return error_set(ENOSPC, "there are %d virtio-mmio places", LAYOUT_MAX_VIRTIO_MMIO);
	t->gsi = layout_virtio_mmio_gsi(index);
	r = attach_interrupts(t);
	if (r < 0)
		return r;
	t->region = (struct region){
		.name = t->base.device->name,
		.base = LAYOUT_VIRTIO_MMIO + index * LAYOUT_VIRTIO_MMIO_STRIDE,
		.size = LAYOUT_VIRTIO_MMIO_STRIDE,
		.ops = &mmio_region_ops,
		.arg = t,
	};
	r = bus_add(&t->machine->mmio, &t->region);
	t->on_bus = r == 0;
	return r < 0 ? r : add_shared_memory(t, index);
}

int virtio_mmio_create(struct virtio_transport **out, struct machine *m, struct virtio_device *dev,
		       enum virtio_transport_kind kind, unsigned index)
{
	struct virtio_mmio *t = calloc(1, sizeof(*t));
	int r = -ENOMEM;

	*out = NULL;
	if (!t)
		goto fail;
	t->base.ops = &mmio_ops;
	t->base.device = dev;
	t->version = kind == VIRTIO_MMIO_LEGACY ? &virtio_mmio_legacy : &virtio_mmio_modern;
	t->machine = m;
	t->queue = calloc(dev->n_queues, sizeof(*t->queue));
	if (!t->queue)
		goto fail;
	r = virtio_transport_settle_features(dev, kind);
	if (r == 0)
		r = put_on_bus(t, index);
	if (r < 0)
		goto fail;
	dev->transport = &t->base;
	dev->machine = m;
	*out = &t->base;
	return 0;
fail:
	r = error_add(r, "put '%s' at virtio-mmio place %u", dev->name, index);
	if (t)
		mmio_destroy(&t->base);
	dev->ops->destroy(dev);
	return r;
}
