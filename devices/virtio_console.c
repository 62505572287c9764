/*
 * The virtio console device: its configuration, and which queue belongs to what.  A port is
 * console_port.c, the messages about ports are console_control.c.  Port 0 is the console; where the
 * configuration names others MULTIPORT is offered.
 *
 * virtio-v1.4 5.3 "Console Device"
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/console_control.h"
#include "devices/console_port.h"
#include "devices/virtio_models.h"
#include "virtio/datapath_local.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/le.h"

enum {
	PCI_CLASS_COMMUNICATION_OTHER = 0x078000,
	PORT_0_QUEUES = 2,
	MAX_QUEUES = 2 * (VIRTIO_MAX_PORTS + 2),
	DRAIN_STEP_MS = 10,
};

/* virtio-v1.4 5.3.4 "Device configuration layout" */
enum {
	CONFIG_COLS = 0,
	CONFIG_ROWS = 2,
	CONFIG_MAX_NR_PORTS = 4,
	CONFIG_EMERG_WR = 8,
	CONFIG_LEN = 12,
};

struct virtio_console {
	struct virtio_device dev;
	struct datapath *datapath;	/* owned by 'dev' once it is a part */
	struct event_loop *loop;
	struct console_control control;
	bool multiport, has_size;	/* what the driver accepted */
	unsigned n_ports;		/* with port 0 */
	struct console_port port[];
};

/* --- data path ---------------------------------------------------------------------------- */

static bool is_control(unsigned index)
{
	return index == CONSOLE_CONTROL_RX || index == CONSOLE_CONTROL_TX;
}

/* Of a queue that is not one of control. */
static struct console_port *port_of_queue(struct virtio_console *console, unsigned index)
{
	return &console->port[index < PORT_0_QUEUES ? 0 : (index - PORT_0_QUEUES) / 2];
}

static bool is_rx(unsigned index)
{
	return index % 2 == 0;
}

static void begin_session(void *arg)
{
	struct virtio_console *console = arg;

	console_control_begin(&console->control, console->multiport, console->has_size);
}

static int console_start(void *model, const struct datapath_start *start)
{
	struct virtio_console *console = model;

	console->multiport = features_has(&start->features, VIRTIO_CONSOLE_F_MULTIPORT);
	console->has_size = features_has(&start->features, VIRTIO_CONSOLE_F_SIZE);
	event_loop_call(console->loop, begin_session, console);
	return 0;
}

/* Without a receive queue input stays with whoever had it before. */
static int console_queue_open(void *model, unsigned index, const struct datapath_queue *dq)
{
	(void)dq;
	if (is_rx(index) && !is_control(index))
		console_port_attach(port_of_queue(model, index));
	return 0;
}

static void console_queue_close(void *model, unsigned index)
{
	if (is_rx(index) && !is_control(index))
		console_port_detach(port_of_queue(model, index));
}

static void console_queue_start(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_console *console = model;

	if (index == CONSOLE_CONTROL_RX)
		console->control.rx = q;
	else if (index == CONSOLE_CONTROL_TX)
		console->control.tx = q;
	else if (is_rx(index))
		port_of_queue(console, index)->rx = q;
	else
		console_port_start_output(port_of_queue(console, index), q);
}

static void console_handle(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_console *console = model;

	(void)q;
	if (index == CONSOLE_CONTROL_RX)
		console_control_send(&console->control);
	else if (index == CONSOLE_CONTROL_TX)
		console_control_receive(&console->control);
	else if (is_rx(index))
		console_port_serve_input(port_of_queue(console, index));
	else
		console_port_serve_output(port_of_queue(console, index));
}

static bool is_output(unsigned index)
{
	return !is_rx(index) && !is_control(index);
}

static void console_hold(void *model, unsigned index)
{
	if (is_output(index))
		console_port_hold_output(port_of_queue(model, index));
}

static void console_cancel(void *model, unsigned index)
{
	if (is_output(index))
		console_port_cancel_output(port_of_queue(model, index));
}

static bool console_waits(void *model, unsigned index)
{
	return is_output(index) && console_port_waits(port_of_queue(model, index));
}

static void console_queue_stop(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_console *console = model;

	(void)q;
	if (index == CONSOLE_CONTROL_RX)
		console->control.rx = NULL;
	else if (index == CONSOLE_CONTROL_TX)
		console->control.tx = NULL;
	else if (is_rx(index))
		port_of_queue(console, index)->rx = NULL;
	else
		console_port_stop_output(port_of_queue(console, index));
}

static const struct local_ops console_local_ops = {
	.start = console_start,
	.queue_open = console_queue_open,
	.queue_start = console_queue_start,
	.handle = console_handle,
	.queue_stop = console_queue_stop,
	.queue_close = console_queue_close,
	.hold = console_hold,
	.cancel = console_cancel,
	.waits = console_waits,
};

/* --- device -------------------------------------------------------------------------------- */

/* The emergency port works in every state of the device, and reads as 0. */
static void console_config_written(struct virtio_device *dev, unsigned offset, unsigned len)
{
	struct virtio_console *console = container_of(dev, struct virtio_console, dev);
	struct features offered = virtio_device_offered(dev);
	uint8_t byte = dev->config[CONFIG_EMERG_WR];

	memset(dev->config + CONFIG_EMERG_WR, 0, CONFIG_LEN - CONFIG_EMERG_WR);
	if (!features_has(&offered, VIRTIO_CONSOLE_F_EMERG_WRITE))
		return;
	if (range_inside(CONFIG_EMERG_WR - offset, 1, len))
		chardev_write(console->port[0].chardev, &byte, 1);
}

/* Without MULTIPORT there is port 0 and nothing else. */
static void show_queues(struct virtio_device *dev, bool all)
{
	for (unsigned i = PORT_0_QUEUES; i < dev->n_queues; i++)
		dev->queue[i].size = dev->queue[i].size_max = all ? CONSOLE_QUEUE_SIZE : 0;
}

static void console_sealed(struct virtio_device *dev)
{
	if (!features_has(&dev->negotiation.accepted, VIRTIO_CONSOLE_F_MULTIPORT))
		show_queues(dev, false);
}

static void console_reset(struct virtio_device *dev)
{
	show_queues(dev, true);
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static void console_destroy(struct virtio_device *dev)
{
	struct virtio_console *console = container_of(dev, struct virtio_console, dev);

	virtio_device_fini(dev);
	/* Posts that are still in a loop's list: let them pass. */
	event_loop_call(console->loop, do_nothing, NULL);
	free(console);
}

static const struct virtio_device_ops console_ops = {
	.sealed = console_sealed,
	.config_written = console_config_written,
	.reset = console_reset,
	.destroy = console_destroy,
};

static void port_emptied(struct console_port *port)
{
	struct virtio_console *console =
		container_of(port - port->id, struct virtio_console, port[0]);

	console_control_emptied(&console->control, port);
}

static void init_ports(struct virtio_console *console, const struct virtio_console_config *config)
{
	console_port_init(&console->port[0], 0, config->chardev, config->loop);
	atomic_init(&console->port[0].host_open, true);
	for (unsigned i = 1; i < console->n_ports; i++) {
		const struct virtio_port_config *from = &config->port[i - 1];
		struct console_port *port = &console->port[i];

		console_port_init(port, i, from->chardev, config->loop);
		snprintf(port->name, sizeof(port->name), "%s", from->name);
		atomic_init(&port->host_open, from->open);
		port->closed = from->closed;
		port->closed_arg = from->closed_arg;
		port->emptied = port_emptied;
	}
	console_control_init(&console->control, console->port, console->n_ports, config->loop);
	atomic_init(&console->control.size, config->cols | (uint32_t)config->rows << 16);
}

static int create_device(struct virtio_console *console, const struct virtio_console_config *config)
{
	struct event_loop *loop[MAX_QUEUES];
	uint16_t queue_size[MAX_QUEUES];
	uint8_t bytes[CONFIG_LEN] = { 0 };
	struct virtio_device_config dev = {
		.name = config->name,
		.id = VIRTIO_ID_CONSOLE,
		.pci_class = PCI_CLASS_COMMUNICATION_OTHER,
		.config = bytes,
		.config_len = CONFIG_LEN,
		.n_queues = console->n_ports > 1 ? 2 * (console->n_ports + 1) : PORT_0_QUEUES,
		.queue_size = queue_size,
	};
	int r;

	for (unsigned i = 0; i < dev.n_queues; i++) {
		loop[i] = config->loop;
		queue_size[i] = CONSOLE_QUEUE_SIZE;
	}
	if (config->cols > 0 && config->rows > 0)
		features_add(&dev.features, VIRTIO_CONSOLE_F_SIZE);
	if (console->n_ports > 1)
		features_add(&dev.features, VIRTIO_CONSOLE_F_MULTIPORT);
	features_add(&dev.features, VIRTIO_CONSOLE_F_EMERG_WRITE);
	store_le16(bytes + CONFIG_COLS, config->cols);
	store_le16(bytes + CONFIG_ROWS, config->rows);
	store_le32(bytes + CONFIG_MAX_NR_PORTS, console->n_ports);

	r = virtio_device_init(&console->dev, &console_ops, &dev);
	if (r < 0)
		return r;
	memset(console->dev.config_writable + CONFIG_EMERG_WR, 0xff, CONFIG_LEN - CONFIG_EMERG_WR);
	console->dev.config_early = true;	/* the emergency port is for emergencies */
	r = local_create(&console->datapath, &console_local_ops, console, loop, dev.n_queues);
	if (r < 0)
		return r;
	virtio_device_add_part(&console->dev, console->datapath, 0, dev.n_queues);
	console->control.datapath = console->datapath;
	for (unsigned i = 0; i < console->n_ports; i++)
		console->port[i].datapath = console->datapath;
	return 0;
}

int virtio_console_create(struct virtio_device **out, const struct virtio_console_config *config)
{
	unsigned n_ports = 1 + config->n_ports;
	struct virtio_console *console;
	int r;

	assert(config->n_ports <= VIRTIO_MAX_PORTS);
	*out = NULL;
	console = calloc(1, sizeof(*console) + n_ports * sizeof(console->port[0]));
	if (!console)
		return error_set(ENOMEM, "create '%s'", config->name);
	console->loop = config->loop;
	console->n_ports = n_ports;
	init_ports(console, config);
	r = create_device(console, config);
	if (r < 0) {
		console_destroy(&console->dev);
		return r;
	}
	*out = &console->dev;
	return 0;
}

void virtio_console_resize(struct virtio_device *dev, uint16_t cols, uint16_t rows)
{
	struct virtio_console *console = container_of(dev, struct virtio_console, dev);
	struct features offered = virtio_device_offered(dev);
	uint8_t size[4];

	store_le16(size, cols);
	store_le16(size + 2, rows);
	if (!features_has(&offered, VIRTIO_CONSOLE_F_SIZE))
		return;
	virtio_device_update_config(dev, CONFIG_COLS, size, sizeof(size));
	console_control_resize(&console->control, cols, rows);
}

void virtio_console_port_open(struct virtio_device *dev, unsigned index, bool open)
{
	struct virtio_console *console = container_of(dev, struct virtio_console, dev);

	console_control_open(&console->control, &console->port[index], open);
}

/* --- the end --- */

struct drain {
	struct virtio_console *console;
	bool busy;
};

static void flush_ports(void *arg)
{
	struct drain *drain = arg;

	for (unsigned i = 0; i < drain->console->n_ports; i++)
		drain->busy |= console_port_flush(&drain->console->port[i]);
}

void virtio_console_drain(struct virtio_device *dev, uint64_t deadline_ms)
{
	struct drain drain = { .console = container_of(dev, struct virtio_console, dev) };
	struct virtio_console *console = drain.console;

	do {
		bool waited = false;

		drain.busy = false;
		event_loop_call(console->loop, flush_ports, &drain);
		for (unsigned i = 0; drain.busy && i < console->n_ports; i++)
			if (!chardev_drain(console->port[i].chardev, 0) && !waited) {
				chardev_drain(console->port[i].chardev, DRAIN_STEP_MS);
				waited = true;
			}
	} while (drain.busy && clock_now_ms() < deadline_ms);
}
