/*
 * The virtio console device.  Everything that a port needs is in struct console_port; today there
 * is port 0, with queues 0 and 1, on a chardev.
 *
 * Output goes from the ring to the chardev on the I/O loop; when the chardev is full the chain that
 * did not fit waits, and no further one is taken.  Input comes on the main loop and crosses to the
 * I/O loop through a ring buffer with one writer and one reader, which needs no lock.
 *
 * virtio-v1.4 5.3 "Console Device"
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio_models.h"
#include "virtio/datapath_local.h"
#include "vmm/base/error.h"
#include "vmm/base/iov.h"
#include "vmm/base/le.h"

enum {
	QUEUE_SIZE = 64,
	PCI_CLASS_COMMUNICATION_OTHER = 0x078000,
	INPUT_SIZE = 4096,		/* power of two */
	OUTPUT_PIECE = 4096,
	MAX_CHAINS_PER_TURN = QUEUE_SIZE,
	MAX_BYTES_PER_TURN = 1 << 20,
	N_PORTS = 1,
	QUEUES_PER_PORT = 2,
};

/* virtio-v1.4 5.3.4 "Device configuration layout" */
enum {
	CONFIG_COLS = 0,
	CONFIG_ROWS = 2,
	CONFIG_MAX_NR_PORTS = 4,
	CONFIG_EMERG_WR = 8,
	CONFIG_LEN = 12,
};

struct console_port {
	struct virtio_console *console;
	struct chardev *chardev;
	struct event_loop *loop;
	unsigned rx_index, tx_index;
	struct virtqueue *rx, *tx;	/* while they run; owner loop */
	bool attached;			/* control path: input comes to us */

	/* output, owner loop */
	struct chain unsent;		/* while has_unsent: not with the chardev yet */
	size_t sent;			/* bytes of it that are */
	bool has_unsent;
	struct event_post room;

	/* input: the main loop moves 'head', the owner loop 'tail'; both run freely */
	struct chardev_reader reader;
	struct event_post arrived;
	_Atomic uint32_t head, tail;
	atomic_bool starved;		/* the main loop has more than fits */
	uint8_t input[INPUT_SIZE];
};

struct virtio_console {
	struct virtio_device dev;
	struct datapath *datapath;	/* owned by 'dev' once it is a part */
	struct console_port port[N_PORTS];
};

/* --- output --------------------------------------------------------------- */

enum send_result { SEND_DONE, SEND_NO_ROOM, SEND_NO_TIME };

/* Write on with the unsent chain, at most '*budget' bytes. */
static enum send_result send_on(struct console_port *port, size_t *budget)
{
	const struct chain *c = &port->unsent;
	uint8_t piece[OUTPUT_PIECE];

	while (port->sent < c->out_len) {
		size_t len = iov_read(c->out, c->n_out, port->sent, piece,
				      min_u64(sizeof(piece), *budget));
		size_t taken = chardev_write(port->chardev, piece, len);

		port->sent += taken;
		*budget -= taken;
		if (taken < len)
			return SEND_NO_ROOM;
		if (len == 0)
			return SEND_NO_TIME;
	}
	return SEND_DONE;
}

static void output_done(struct console_port *port)
{
	port->has_unsent = false;
	virtqueue_push(port->tx, port->unsent.head, 0);
}

/* Writable buffers do not belong here; they come back unused. */
static bool next_output(struct console_port *port)
{
	if (port->has_unsent)
		return true;
	if (virtqueue_pop(port->tx, &port->unsent) != VQ_CHAIN)
		return false;
	port->has_unsent = true;
	port->sent = port->unsent.in_len > 0 ? port->unsent.out_len : 0;
	return true;
}

/* A driver that offers gigabytes of output, in one chain or many, gets turns like everybody. */
static void serve_output(struct console_port *port)
{
	size_t budget = MAX_BYTES_PER_TURN;

	for (unsigned n = 0; n < MAX_CHAINS_PER_TURN && budget > 0; n++) {
		if (!next_output(port))
			return;
		switch (send_on(port, &budget)) {
		case SEND_DONE:
			output_done(port);
			break;
		case SEND_NO_ROOM:
			chardev_notify_room(port->chardev, port->loop, &port->room);
			return;
		case SEND_NO_TIME:
			break;
		}
	}
}

static void on_room(struct event_post *post)
{
	struct console_port *port = container_of(post, struct console_port, room);

	if (port->tx)
		local_queue_resume(port->console->datapath, port->tx_index);
}

/* --- input ---------------------------------------------------------------- */

/* Main loop.  Copy what fits; returns how much. */
static size_t take_input(struct console_port *port, const uint8_t *buf, size_t len)
{
	uint32_t head = atomic_load_explicit(&port->head, memory_order_relaxed);
	uint32_t room = INPUT_SIZE - (head - atomic_load(&port->tail));
	size_t n = min_u64(len, room);

	for (size_t i = 0; i < n; i++)
		port->input[(head + i) % INPUT_SIZE] = buf[i];
	atomic_store_explicit(&port->head, head + (uint32_t)n, memory_order_release);
	return n;
}

static size_t on_input(struct chardev_reader *reader, const uint8_t *buf, size_t len)
{
	struct console_port *port = container_of(reader, struct console_port, reader);
	size_t n = take_input(port, buf, len);

	if (n < len) {
		/* Say so first and look once more: the other side makes room first and then looks
		 * whether someone said so.  One of the two sees the other. */
		atomic_store(&port->starved, true);
		n += take_input(port, buf + n, len - n);
	}
	if (n > 0)
		event_loop_post(port->loop, &port->arrived);
	return n;
}

/* Owner loop.  Move buffered input into 'c'; returns how much. */
static uint32_t deliver(struct console_port *port, const struct chain *c)
{
	uint32_t tail = atomic_load_explicit(&port->tail, memory_order_relaxed);
	uint32_t held = atomic_load_explicit(&port->head, memory_order_acquire) - tail;
	uint32_t len = (uint32_t)min_u64(held, c->in_len);
	uint32_t at = tail % INPUT_SIZE;
	uint32_t first = (uint32_t)min_u64(len, INPUT_SIZE - at);

	iov_write(c->in, c->n_in, 0, port->input + at, first);
	iov_write(c->in, c->n_in, first, port->input, len - first);
	atomic_store(&port->tail, tail + len);
	return len;
}

static bool has_input(struct console_port *port)
{
	return atomic_load_explicit(&port->head, memory_order_acquire) !=
	       atomic_load_explicit(&port->tail, memory_order_relaxed);
}

/*
 * Buffers stay in the ring until there is something to put in.  Readable ones do not belong here
 * and empty ones are of no use: both come back unused and swallow nothing.
 */
static void serve_input(struct console_port *port)
{
	struct chain c;

	for (unsigned n = 0; n < MAX_CHAINS_PER_TURN && has_input(port); n++) {
		if (virtqueue_pop(port->rx, &c) != VQ_CHAIN)
			break;
		virtqueue_push(port->rx, c.head, c.out_len > 0 ? 0 : deliver(port, &c));
	}
	if (atomic_load(&port->starved) && atomic_exchange(&port->starved, false))
		chardev_reader_ready(port->chardev);
}

static void on_arrived(struct event_post *post)
{
	struct console_port *port = container_of(post, struct console_port, arrived);

	if (port->rx)
		local_queue_resume(port->console->datapath, port->rx_index);
}

/* --- data path ------------------------------------------------------------ */

static struct console_port *port_of_queue(struct virtio_console *console, unsigned index)
{
	return &console->port[index / QUEUES_PER_PORT];
}

static bool is_rx(unsigned index)
{
	return index % QUEUES_PER_PORT == 0;
}

static void attach(struct console_port *port)
{
	if (port->attached)
		return;
	/* What was typed for an earlier driver is not for this one. */
	atomic_store(&port->tail, atomic_load(&port->head));
	atomic_store(&port->starved, false);
	chardev_attach(port->chardev, &port->reader);
	port->attached = true;
}

static void detach(struct console_port *port)
{
	if (!port->attached)
		return;
	chardev_detach(port->chardev, &port->reader);
	port->attached = false;
}

/* Without a receive queue input stays with whoever had it before. */
static int console_queue_open(void *model, unsigned index, const struct datapath_queue *dq)
{
	(void)dq;
	if (is_rx(index))
		attach(port_of_queue(model, index));
	return 0;
}

static void console_queue_close(void *model, unsigned index)
{
	if (is_rx(index))
		detach(port_of_queue(model, index));
}

static void console_queue_start(void *model, unsigned index, struct virtqueue *q)
{
	struct console_port *port = port_of_queue(model, index);

	if (is_rx(index)) {
		port->rx = q;
	} else {
		port->tx = q;
		port->has_unsent = false;
	}
}

static void console_handle(void *model, unsigned index, struct virtqueue *q)
{
	struct console_port *port = port_of_queue(model, index);

	(void)q;
	if (is_rx(index))
		serve_input(port);
	else
		serve_output(port);
}

/* Last words: a guest that writes and ends at once is read to the end. */
static void console_cancel(void *model, unsigned index)
{
	struct console_port *port = port_of_queue(model, index);

	if (!is_rx(index))
		serve_output(port);
}

static void console_queue_stop(void *model, unsigned index, struct virtqueue *q)
{
	struct console_port *port = port_of_queue(model, index);

	(void)q;
	if (is_rx(index)) {
		port->rx = NULL;
	} else {
		/* What the chardev had no room for, or all of it if there was no cancel. */
		serve_output(port);
		chardev_cancel_room(port->chardev, &port->room);
		port->has_unsent = false;
		port->tx = NULL;
	}
}

static const struct local_ops console_local_ops = {
	.queue_open = console_queue_open,
	.queue_start = console_queue_start,
	.handle = console_handle,
	.queue_stop = console_queue_stop,
	.queue_close = console_queue_close,
	.cancel = console_cancel,
};

/* --- device --------------------------------------------------------------- */

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

static void do_nothing(void *arg)
{
	(void)arg;
}

static void console_destroy(struct virtio_device *dev)
{
	struct virtio_console *console = container_of(dev, struct virtio_console, dev);

	virtio_device_fini(dev);
	/* Posts that are still in a loop's list: let them pass. */
	for (unsigned i = 0; i < N_PORTS; i++)
		event_loop_call(console->port[i].loop, do_nothing, NULL);
	free(console);
}

static const struct virtio_device_ops console_ops = {
	.config_written = console_config_written,
	.destroy = console_destroy,
};

static void init_port(struct virtio_console *console, unsigned index,
		      const struct virtio_console_config *config)
{
	struct console_port *port = &console->port[index];

	port->console = console;
	port->chardev = config->chardev;
	port->loop = config->loop;
	port->rx_index = index * QUEUES_PER_PORT;
	port->tx_index = port->rx_index + 1;
	port->room.fn = on_room;
	port->arrived.fn = on_arrived;
	port->reader.input = on_input;
}

static int create_device(struct virtio_console *console, const struct virtio_console_config *config)
{
	struct event_loop *loop[N_PORTS * QUEUES_PER_PORT];
	uint16_t queue_size[N_PORTS * QUEUES_PER_PORT];
	uint8_t bytes[CONFIG_LEN] = { 0 };
	struct virtio_device_config dev = {
		.name = config->name,
		.id = VIRTIO_ID_CONSOLE,
		.pci_class = PCI_CLASS_COMMUNICATION_OTHER,
		.config = bytes,
		.config_len = CONFIG_LEN,
		.n_queues = N_PORTS * QUEUES_PER_PORT,
		.queue_size = queue_size,
	};
	int r;

	for (unsigned i = 0; i < dev.n_queues; i++) {
		loop[i] = config->loop;
		queue_size[i] = QUEUE_SIZE;
	}
	if (config->cols > 0 && config->rows > 0)
		features_add(&dev.features, VIRTIO_CONSOLE_F_SIZE);
	features_add(&dev.features, VIRTIO_CONSOLE_F_EMERG_WRITE);
	store_le16(bytes + CONFIG_COLS, config->cols);
	store_le16(bytes + CONFIG_ROWS, config->rows);
	store_le32(bytes + CONFIG_MAX_NR_PORTS, N_PORTS);

	r = virtio_device_init(&console->dev, &console_ops, &dev);
	if (r < 0)
		return r;
	memset(console->dev.config_writable + CONFIG_EMERG_WR, 0xff, CONFIG_LEN - CONFIG_EMERG_WR);
	console->dev.config_early = true;	/* the emergency port is for emergencies */
	r = local_create(&console->datapath, &console_local_ops, console, loop, dev.n_queues);
	if (r == 0)
		virtio_device_add_part(&console->dev, console->datapath, 0, dev.n_queues);
	return r;
}

int virtio_console_create(struct virtio_device **out, const struct virtio_console_config *config)
{
	struct virtio_console *console = calloc(1, sizeof(*console));
	int r;

	*out = NULL;
	if (!console)
		return error_set(ENOMEM, "create '%s'", config->name);
	for (unsigned i = 0; i < N_PORTS; i++)
		init_port(console, i, config);
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
	struct features offered = virtio_device_offered(dev);
	uint8_t size[4];

	store_le16(size, cols);
	store_le16(size + 2, rows);
	if (features_has(&offered, VIRTIO_CONSOLE_F_SIZE))
		virtio_device_update_config(dev, CONFIG_COLS, size, sizeof(size));
}
