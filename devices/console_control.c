#include "devices/console_control.h"

#include <string.h>

#include "virtio/datapath_local.h"
#include "vmm/base/iov.h"
#include "vmm/base/le.h"

enum { MAX_CHAINS_PER_TURN = CONSOLE_QUEUE_SIZE };

/* --- What the driver is told ----------------------------------------------------------------- */

static size_t put(uint8_t *message, const struct console_port *port, enum console_event event,
		  uint16_t value)
{
	store_le32(message, port->id);
	store_le16(message + 4, (uint16_t)event);
	store_le16(message + 6, value);
	return CONSOLE_MESSAGE_LEN;
}

/*
 * The name has no terminating zero.  The specification has columns before rows; Linux has taken
 * them the other way round, which is Linux's to mend.
 */
static size_t put_size(const struct console_control *control, const struct console_port *port,
		       uint8_t *message)
{
	uint32_t size = atomic_load(&control->size);
	size_t len = put(message, port, CONSOLE_RESIZE, 0);

	store_le16(message + len, (uint16_t)size);
	store_le16(message + len + 2, (uint16_t)(size >> 16));
	return len + 4;
}

static size_t put_name(const struct console_port *port, uint8_t *message)
{
	size_t len = put(message, port, CONSOLE_PORT_NAME, 1), name_len = strlen(port->name);

	memcpy(message + len, port->name, name_len);
	return len + name_len;
}

size_t console_control_next(const struct console_control *control, const struct console_port *port,
			    uint8_t message[CONSOLE_MESSAGE_MAX])
{
	bool host_open = atomic_load(&port->host_open);

	if (!control->is_used || !control->ready)
		return 0;
	if (!port->told_add)
		return put(message, port, CONSOLE_DEVICE_ADD, 0);
	if (!port->ready)
		return 0;
	if (port->owes_console)
		return put(message, port, CONSOLE_CONSOLE_PORT, 1);
	if (port->owes_name)
		return put_name(port, message);
	if (port->owes_size)
		return put_size(control, port, message);
	/* Who hung up is gone for the guest when it has got all that he sent, not before. */
	if (host_open != port->told_open && (host_open || !console_port_has_input(port)))
		return put(message, port, CONSOLE_PORT_OPEN, host_open);
	return 0;
}

/* A host's end that hung up is over when nothing of it is left. */
static void try_close(const struct console_control *control, struct console_port *port)
{
	bool told = !port->told_open || port->failed || !control->ready;

	if (told && !atomic_load(&port->host_open) && !console_port_has_input(port) &&
	    atomic_exchange(&port->closing, false) && port->closed)
		port->closed(port->closed_arg);
}

void console_control_sent(struct console_control *control, struct console_port *port,
			  const uint8_t *message)
{
	switch ((enum console_event)load_le16(message + 4)) {
	case CONSOLE_DEVICE_ADD:
		port->told_add = true;
		break;
	case CONSOLE_CONSOLE_PORT:
		port->owes_console = false;
		break;
	case CONSOLE_PORT_NAME:
		port->owes_name = false;
		break;
	case CONSOLE_RESIZE:
		port->owes_size = false;
		break;
	case CONSOLE_PORT_OPEN:
		port->told_open = load_le16(message + 6) != 0;
		try_close(control, port);
		break;
	case CONSOLE_DEVICE_READY:
	case CONSOLE_DEVICE_REMOVE:
	case CONSOLE_PORT_READY:
		break;
	}
}

static size_t next_message(struct console_control *control, struct console_port **port,
			   uint8_t message[CONSOLE_MESSAGE_MAX])
{
	size_t len = 0;

	for (unsigned i = 0; len == 0 && i < control->n_ports; i++) {
		*port = &control->port[i];
		len = console_control_next(control, *port, message);
	}
	return len;
}

/*
 * Buffers stay in the ring until there is something to say.  One that is too small for it comes
 * back unused: a message is never cut.
 */
void console_control_send(struct console_control *control)
{
	uint8_t message[CONSOLE_MESSAGE_MAX];
	struct console_port *port;
	struct chain c;
	size_t len;

	for (unsigned n = 0; n < MAX_CHAINS_PER_TURN; n++) {
		len = next_message(control, &port, message);
		if (len == 0 || virtqueue_pop(control->rx, &c) != VQ_CHAIN)
			return;
		if (c.out_len > 0 || c.in_len < len) {
			virtqueue_push(control->rx, c.head, 0);
			continue;
		}
		iov_write(c.in, c.n_in, 0, message, len);
		virtqueue_push(control->rx, c.head, (uint32_t)len);
		console_control_sent(control, port, message);
	}
}

static void send_soon(struct console_control *control)
{
	if (control->rx)
		local_queue_resume(control->datapath, CONSOLE_CONTROL_RX);
}

/* --- What the driver says -------------------------------------------------------------------- */

static void port_ready(struct console_control *control, struct console_port *port, bool ready)
{
	port->failed = !ready;
	if (port->ready == ready || !port->told_add)
		return;
	port->ready = ready;
	port->owes_console = ready && port->id == 0;
	port->owes_name = ready && port->id != 0;
	port->owes_size = ready && port->id == 0 && control->has_size;
	if (!ready)
		try_close(control, port);
}

static void port_open(struct console_port *port, bool open)
{
	port->guest_open = open;
	if (open && port->rx)
		local_queue_resume(port->datapath, port->rx_index);
}

void console_control_judge(struct console_control *control, const uint8_t *message, size_t len)
{
	if (len < CONSOLE_MESSAGE_LEN)
		return;
	uint32_t id = load_le32(message);
	uint16_t event = load_le16(message + 4), value = load_le16(message + 6);

	if (event == CONSOLE_DEVICE_READY) {
		control->ready = value == 1;
		for (unsigned i = 0; i < control->n_ports; i++)
			try_close(control, &control->port[i]);
		return;
	}
	/* All others are about a port; what only devices say is not a driver's to say. */
	if (!control->ready || id >= control->n_ports)
		return;
	if (event == CONSOLE_PORT_READY)
		port_ready(control, &control->port[id], value == 1);
	else if (event == CONSOLE_PORT_OPEN)
		port_open(&control->port[id], value == 1);
}

void console_control_receive(struct console_control *control)
{
	uint8_t message[CONSOLE_MESSAGE_LEN];
	struct chain c;

	for (unsigned n = 0; n < MAX_CHAINS_PER_TURN; n++) {
		if (virtqueue_pop(control->tx, &c) != VQ_CHAIN)
			break;
		size_t len = iov_read(c.out, c.n_out, 0, message, sizeof(message));
		if (c.in_len == 0)
			console_control_judge(control, message, len);
		virtqueue_push(control->tx, c.head, 0);
	}
	send_soon(control);
}

/* --- What the host does ---------------------------------------------------------------------- */

static void on_changed(struct event_post *post)
{
	struct console_control *control = container_of(post, struct console_control, changed);

	if (atomic_exchange(&control->resized, false))
		control->port[0].owes_size = control->has_size && control->port[0].ready;
	for (unsigned i = 0; i < control->n_ports; i++)
		try_close(control, &control->port[i]);
	send_soon(control);
}

void console_control_resize(struct console_control *control, uint16_t cols, uint16_t rows)
{
	atomic_store(&control->size, cols | (uint32_t)rows << 16);
	atomic_store(&control->resized, true);
	event_loop_post(control->loop, &control->changed);
}

void console_control_open(struct console_control *control, struct console_port *port, bool open)
{
	atomic_store(&port->host_open, open);
	if (!open)
		atomic_store(&port->closing, true);
	event_loop_post(control->loop, &control->changed);
}

void console_control_emptied(struct console_control *control, struct console_port *port)
{
	if (atomic_load(&port->host_open))
		return;
	try_close(control, port);
	if (port->told_open)
		send_soon(control);
}

/* --- Sessions -------------------------------------------------------------------------------- */

void console_control_begin(struct console_control *control, bool is_used, bool has_size)
{
	control->is_used = is_used;
	control->has_size = has_size;
	control->ready = false;
	for (unsigned i = 0; i < control->n_ports; i++) {
		struct console_port *port = &control->port[i];

		port->told_add = port->ready = port->failed = port->told_open = false;
		port->owes_console = port->owes_name = port->owes_size = false;
		/* A driver that knows of no ports says nothing about the one that it has. */
		port->guest_open = !is_used && i == 0;
	}
	event_loop_post(control->loop, &control->changed);
}

void console_control_init(struct console_control *control, struct console_port *port,
			  unsigned n_ports, struct event_loop *loop)
{
	control->port = port;
	control->n_ports = n_ports;
	control->loop = loop;
	control->changed.fn = on_changed;
}
