/*
 * Output goes from the ring to the chardev on the I/O loop; when the chardev is full the chain that
 * did not fit waits, and no further one is taken.  Input comes on the main loop and crosses to the
 * I/O loop through a ring buffer with one writer and one reader, which needs no lock.
 */
#include "devices/console_port.h"

#include <string.h>

#include "virtio/datapath_local.h"
#include "vmm/base/clock.h"
#include "vmm/base/iov.h"

enum {
	OUTPUT_PIECE = 4096,
	MAX_CHAINS_PER_TURN = CONSOLE_QUEUE_SIZE,
	MAX_BYTES_PER_TURN = 1 << 20,
	ENDING_MS = 2000,	/* how long a ring that ends waits for the host's end of a port */
};

/* --- output ------------------------------------------------------------------------------- */

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

static bool is_ending(const struct console_port *port)
{
	return port->ending_until_ms != 0;
}

static bool take_chain(struct console_port *port, struct chain *c)
{
	if (!is_ending(port))
		return virtqueue_pop(port->tx, c) == VQ_CHAIN;
	if (port->ending_next == port->n_ending)
		return false;
	*c = port->ending[port->ending_next++];
	return true;
}

/* Writable buffers do not belong here; they come back unused. */
static bool next_output(struct console_port *port)
{
	if (port->has_unsent)
		return true;
	if (!take_chain(port, &port->unsent))
		return false;
	port->has_unsent = true;
	port->sent = port->unsent.in_len > 0 ? port->unsent.out_len : 0;
	if (port->is_held && port->unsent.head == port->held_head)
		port->sent = min_u64(port->held_sent, port->unsent.out_len);
	port->is_held = false;
	return true;
}

/* A driver that offers gigabytes of output, in one chain or many, gets turns like everybody. */
void console_port_serve_output(struct console_port *port)
{
	size_t budget = MAX_BYTES_PER_TURN;

	for (unsigned n = 0; n < MAX_CHAINS_PER_TURN && budget > 0; n++) {
		if (!next_output(port))
			return;
		switch (send_on(port, &budget)) {
		case SEND_DONE:
			port->has_unsent = false;
			virtqueue_push(port->tx, port->unsent.head, 0);
			break;
		case SEND_NO_ROOM:
			chardev_notify_room(port->chardev, port->loop, &port->room);
			return;
		case SEND_NO_TIME:
			break;
		}
	}
	/* Nobody calls again for a ring that ends. */
	if (is_ending(port))
		event_loop_post(port->loop, &port->room);
}

bool console_port_flush(struct console_port *port)
{
	if (!port->tx)
		return false;
	console_port_serve_output(port);
	virtqueue_flush(port->tx);
	return port->has_unsent || port->ending_next < port->n_ending ||
	       virtqueue_has_work(port->tx);
}

static void on_room(struct event_post *post)
{
	struct console_port *port = container_of(post, struct console_port, room);

	if (port->tx && is_ending(port))
		console_port_flush(port);
	else if (port->tx)
		local_queue_resume(port->datapath, port->tx_index);
}

static void forget_output(struct console_port *port)
{
	port->has_unsent = false;
	port->is_held = false;
	port->ending_next = port->n_ending = 0;
	port->ending_until_ms = 0;
}

void console_port_start_output(struct console_port *port, struct virtqueue *q)
{
	forget_output(port);
	port->tx = q;
}

void console_port_hold_output(struct console_port *port)
{
	if (!port->has_unsent)
		return;
	virtqueue_unpop(port->tx, &port->unsent);
	port->is_held = true;
	port->held_head = port->unsent.head;
	port->held_sent = port->sent;
	port->has_unsent = false;
}

/*
 * Last words: a guest that writes and ends at once is read to the end.  A terminal's reader may
 * take its time (whole screens are lost on nobody); who reads a named port needs all of it.
 */
void console_port_cancel_output(struct console_port *port)
{
	if (port->id == 0 || is_ending(port)) {
		console_port_serve_output(port);
		return;
	}
	while (port->n_ending < CONSOLE_QUEUE_SIZE &&
	       virtqueue_pop(port->tx, &port->ending[port->n_ending]) == VQ_CHAIN)
		port->n_ending++;
	port->ending_until_ms = clock_now_ms() + ENDING_MS;
	console_port_serve_output(port);
}

bool console_port_waits(struct console_port *port)
{
	if (!port->tx || !is_ending(port) || virtqueue_fault(port->tx) != VQ_FAULT_NONE)
		return false;
	return console_port_flush(port) && clock_now_ms() < port->ending_until_ms;
}

void console_port_stop_output(struct console_port *port)
{
	/* What the chardev had no room for, or all of it if there was no cancel. */
	console_port_serve_output(port);
	chardev_cancel_room(port->chardev, &port->room);
	event_loop_unpost(port->loop, &port->room);
	forget_output(port);
	port->tx = NULL;
}

/* --- input ---------------------------------------------------------------- */

/* Main loop.  Copy what fits; returns how much. */
static size_t take_input(struct console_port *port, const uint8_t *buf, size_t len)
{
	uint32_t head = atomic_load_explicit(&port->head, memory_order_relaxed);
	uint32_t room = CONSOLE_INPUT_SIZE - (head - atomic_load(&port->tail));
	size_t n = min_u64(len, room);

	for (size_t i = 0; i < n; i++)
		port->input[(head + i) % CONSOLE_INPUT_SIZE] = buf[i];
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
	uint32_t at = tail % CONSOLE_INPUT_SIZE;
	uint32_t first = (uint32_t)min_u64(len, CONSOLE_INPUT_SIZE - at);

	iov_write(c->in, c->n_in, 0, port->input + at, first);
	iov_write(c->in, c->n_in, first, port->input, len - first);
	atomic_store(&port->tail, tail + len);
	return len;
}

bool console_port_has_input(const struct console_port *port)
{
	return atomic_load_explicit(&port->head, memory_order_acquire) !=
	       atomic_load_explicit(&port->tail, memory_order_relaxed);
}

/*
 * Buffers stay in the ring until there is something to put in.  Readable ones do not belong here
 * and empty ones are of no use: both come back unused and swallow nothing.  What comes for a port
 * that nobody in the guest has open waits, and its sender with it.
 */
void console_port_serve_input(struct console_port *port)
{
	struct chain c;

	if (!port->guest_open)
		return;
	for (unsigned n = 0; n < MAX_CHAINS_PER_TURN && console_port_has_input(port); n++) {
		if (virtqueue_pop(port->rx, &c) != VQ_CHAIN)
			break;
		virtqueue_push(port->rx, c.head, c.out_len > 0 ? 0 : deliver(port, &c));
	}
	if (atomic_load(&port->starved) && atomic_exchange(&port->starved, false))
		chardev_reader_ready(port->chardev);
	if (port->emptied && !console_port_has_input(port))
		port->emptied(port);
}

static void on_arrived(struct event_post *post)
{
	struct console_port *port = container_of(post, struct console_port, arrived);

	if (port->rx)
		local_queue_resume(port->datapath, port->rx_index);
}

/* What was typed for an earlier driver is not for this one; a named port is a stream. */
void console_port_attach(struct console_port *port)
{
	if (port->attached)
		return;
	if (port->id == 0)
		atomic_store(&port->tail, atomic_load(&port->head));
	atomic_store(&port->starved, false);
	chardev_attach(port->chardev, &port->reader);
	port->attached = true;
}

void console_port_detach(struct console_port *port)
{
	if (!port->attached)
		return;
	chardev_detach(port->chardev, &port->reader);
	port->attached = false;
}

void console_port_init(struct console_port *port, unsigned id, struct chardev *chardev,
		       struct event_loop *loop)
{
	port->id = id;
	port->chardev = chardev;
	port->loop = loop;
	port->rx_index = console_port_rx_index(id);
	port->tx_index = port->rx_index + 1;
	port->room.fn = on_room;
	port->arrived.fn = on_arrived;
	port->reader.input = on_input;
}
