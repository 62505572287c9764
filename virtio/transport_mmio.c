/*
 * virtio-mmio, version 2.  virtio-v1.4 4.2 "Virtio Over MMIO".
 *
 * The interrupt is an edge, as the ACPI tables and the command line say it is: every signal of a
 * queue's or of the configuration's eventfd raises it, after the bit in InterruptStatus was set.
 * Where a level would stay up because a bit is left after an acknowledgement, another edge is
 * sent.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "virtio/transport.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"
#include "vmm/machine/layout.h"

enum {
	REG_MAGIC = 0x000,
	REG_VERSION = 0x004,
	REG_DEVICE_ID = 0x008,
	REG_VENDOR_ID = 0x00c,
	REG_DEVICE_FEATURES = 0x010,
	REG_DEVICE_FEATURES_SEL = 0x014,
	REG_DRIVER_FEATURES = 0x020,
	REG_DRIVER_FEATURES_SEL = 0x024,
	REG_QUEUE_SEL = 0x030,
	REG_QUEUE_SIZE_MAX = 0x034,
	REG_QUEUE_SIZE = 0x038,
	REG_QUEUE_READY = 0x044,
	REG_QUEUE_NOTIFY = 0x050,
	REG_INTERRUPT_STATUS = 0x060,
	REG_INTERRUPT_ACK = 0x064,
	REG_STATUS = 0x070,
	REG_QUEUE_DESC_LOW = 0x080,
	REG_QUEUE_DESC_HIGH = 0x084,
	REG_QUEUE_DRIVER_LOW = 0x090,
	REG_QUEUE_DRIVER_HIGH = 0x094,
	REG_QUEUE_DEVICE_LOW = 0x0a0,
	REG_QUEUE_DEVICE_HIGH = 0x0a4,
	REG_SHM_LEN_LOW = 0x0b0,
	REG_SHM_LEN_HIGH = 0x0b4,
	REG_SHM_BASE_LOW = 0x0b8,
	REG_SHM_BASE_HIGH = 0x0bc,
	REG_CONFIG_GENERATION = 0x0fc,
	REG_CONFIG = 0x100,

	MAGIC = 0x74726976,		/* "virt" */
	VERSION = 2,
	VENDOR = 0x45524956,		/* "VIRE" */
	INTERRUPT_QUEUE = 1,
	INTERRUPT_CONFIG = 2,
};

struct virtio_mmio {
	struct virtio_transport base;
	struct machine *machine;
	struct region region;
	bool on_bus;
	uint32_t gsi;
	unsigned n_attached;		/* queues whose call fd is attached */
	bool config_attached;
	_Atomic uint32_t interrupt_status;	/* bits are set on I/O threads */
	uint32_t queue_sel;
	struct {
		struct doorbell bell;
		bool attached;
	} *bell;			/* one for each queue */
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
	uint32_t left = atomic_fetch_and(&t->interrupt_status, ~bits) & ~bits;

	/* An event whose edge the driver took for the acknowledged one. */
	if (left)
		fd_signal(t->base.device->config_call_fd);
}

static void detach_bell(struct virtio_mmio *t, unsigned index)
{
	if (t->bell[index].attached)
		doorbell_detach(&t->machine->doorbells, &t->bell[index].bell);
	t->bell[index].attached = false;
}

static void attach_bell(struct virtio_mmio *t, unsigned index)
{
	if (t->bell[index].attached)
		return;
	t->bell[index].bell = (struct doorbell){
		.space = DOORBELL_MMIO,
		.addr = t->region.base + REG_QUEUE_NOTIFY,
		.len = 4,
		.match = true,
		.value = index,
		.fd = t->base.device->queue[index].kick_fd,
	};
	/* If it cannot be had, the write exits and is handled in write_register. */
	t->bell[index].attached =
		doorbell_attach(&t->machine->doorbells, &t->bell[index].bell) == 0;
}

/* Writing 0 stops the queue before the register reads 0: 4.2.2.1 "Device Requirements". */
static void write_queue_ready(struct virtio_mmio *t, uint32_t value)
{
	struct virtio_device *dev = t->base.device;
	const struct virtio_queue *q = virtio_device_queue(dev, t->queue_sel);

	if (!q || value > 1)
		return;
	if (value == 1) {
		virtio_device_enable_queue(dev, t->queue_sel);
		if (q->enabled)
			attach_bell(t, t->queue_sel);
	} else {
		detach_bell(t, t->queue_sel);
		virtio_device_disable_queue(dev, t->queue_sel);
	}
}

static uint32_t read_register(struct virtio_mmio *t, unsigned offset)
{
	struct virtio_device *dev = t->base.device;
	const struct virtio_queue *q = virtio_device_queue(dev, t->queue_sel);

	switch (offset) {
	case REG_MAGIC:
		return MAGIC;
	case REG_VERSION:
		return VERSION;
	case REG_DEVICE_ID:
		return dev->id;
	case REG_VENDOR_ID:
		return VENDOR;
	case REG_DEVICE_FEATURES:
		return negotiation_read_offered(&dev->negotiation);
	case REG_QUEUE_SIZE_MAX:
		return q ? q->size_max : 0;
	case REG_QUEUE_READY:
		return q && q->enabled;
	case REG_INTERRUPT_STATUS:
		return atomic_load(&t->interrupt_status);
	case REG_STATUS:
		return virtio_device_read_status(dev);
	case REG_SHM_LEN_LOW:
	case REG_SHM_LEN_HIGH:
	case REG_SHM_BASE_LOW:
	case REG_SHM_BASE_HIGH:
		/* There is no shared memory region, whichever was selected. */
		return UINT32_MAX;
	case REG_CONFIG_GENERATION:
		return virtio_device_config_generation(dev);
	default:
		/* QueueReset is among these: RING_RESET is not offered. */
		return 0;
	}
}

static void write_address(struct virtio_mmio *t, unsigned offset, uint32_t value)
{
	enum virtio_queue_area area = offset < REG_QUEUE_DRIVER_LOW ? VIRTIO_QUEUE_DESC :
				      offset < REG_QUEUE_DEVICE_LOW ? VIRTIO_QUEUE_DRIVER :
								      VIRTIO_QUEUE_DEVICE;

	virtio_device_set_queue_address(t->base.device, t->queue_sel, area, offset & 4, value);
}

static void write_register(struct virtio_mmio *t, unsigned offset, uint32_t value)
{
	struct virtio_device *dev = t->base.device;

	switch (offset) {
	case REG_DEVICE_FEATURES_SEL:
		dev->negotiation.device_feature_select = value;
		break;
	case REG_DRIVER_FEATURES:
		negotiation_write_driver(&dev->negotiation, value);
		break;
	case REG_DRIVER_FEATURES_SEL:
		dev->negotiation.driver_feature_select = value;
		break;
	case REG_QUEUE_SEL:
		t->queue_sel = value;
		break;
	case REG_QUEUE_SIZE:
		virtio_device_set_queue_size(dev, t->queue_sel, value);
		break;
	case REG_QUEUE_READY:
		write_queue_ready(t, value);
		break;
	case REG_QUEUE_NOTIFY:
		virtio_device_kick(dev, value);
		break;
	case REG_INTERRUPT_ACK:
		acknowledge(t, value);
		break;
	case REG_STATUS:
		virtio_device_write_status(dev, (uint8_t)value);
		break;
	case REG_QUEUE_DESC_LOW:
	case REG_QUEUE_DESC_HIGH:
	case REG_QUEUE_DRIVER_LOW:
	case REG_QUEUE_DRIVER_HIGH:
	case REG_QUEUE_DEVICE_LOW:
	case REG_QUEUE_DEVICE_HIGH:
		write_address(t, offset, value);
		break;
	default:
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

	if (offset < REG_CONFIG)
		return is_control(offset, size) ? read_register(t, (unsigned)offset) : 0;
	virtio_device_read_config(t->base.device, (unsigned)offset - REG_CONFIG, buf, size);
	return load_le(buf, size);
}

static void mmio_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_mmio *t = arg;
	uint8_t buf[8];

	if (offset < REG_CONFIG) {
		if (is_control(offset, size))
			write_register(t, (unsigned)offset, (uint32_t)value);
		return;
	}
	store_le(buf, size, value);
	virtio_device_write_config(t->base.device, (unsigned)offset - REG_CONFIG, buf, size);
}

static const struct region_ops mmio_region_ops = { .read = mmio_read, .write = mmio_write };

static void mmio_device_reset(struct virtio_transport *base)
{
	struct virtio_mmio *t = from_base(base);

	for (unsigned i = 0; i < base->device->n_queues; i++)
		detach_bell(t, i);
	atomic_store(&t->interrupt_status, 0);
	t->queue_sel = 0;
}

static void mmio_system_reset(struct virtio_transport *base)
{
	(void)base;	/* nothing here survives the reset of the device */
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

static void mmio_destroy(struct virtio_transport *base)
{
	struct virtio_mmio *t = from_base(base);

	if (t->on_bus)
		bus_remove(&t->machine->mmio, &t->region);
	detach_interrupts(t);
	free(t->bell);
	free(t);
}

static const struct virtio_transport_ops mmio_ops = {
	.queue_call = mmio_queue_call,
	.config_changed = mmio_config_changed,
	.device_reset = mmio_device_reset,
	.system_reset = mmio_system_reset,
	.destroy = mmio_destroy,
};

int virtio_mmio_create(struct virtio_transport **out, struct machine *m, struct virtio_device *dev,
		       unsigned index)
{
	struct virtio_mmio *t = calloc(1, sizeof(*t));
	int r = -ENOMEM;

	*out = NULL;
	if (!t)
		goto fail;
	t->base.ops = &mmio_ops;
	t->base.device = dev;
	t->machine = m;
	if (index >= LAYOUT_MAX_VIRTIO_MMIO) {
		r = error_set(ENOSPC, "there are %d virtio-mmio places", LAYOUT_MAX_VIRTIO_MMIO);
		goto fail;
	}
	t->gsi = layout_virtio_mmio_gsi(index);
	t->bell = calloc(dev->n_queues, sizeof(*t->bell));
	if (!t->bell)
		goto fail;
	r = attach_interrupts(t);
	if (r < 0)
		goto fail;
	t->region = (struct region){
		.name = dev->name,
		.base = LAYOUT_VIRTIO_MMIO + index * LAYOUT_VIRTIO_MMIO_STRIDE,
		.size = LAYOUT_VIRTIO_MMIO_STRIDE,
		.ops = &mmio_region_ops,
		.arg = t,
	};
	r = bus_add(&m->mmio, &t->region);
	if (r < 0)
		goto fail;
	t->on_bus = true;
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
