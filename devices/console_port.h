/*
 * One port of a virtio console: bytes from the ring to a chardev and back.  The control messages
 * about it are console_control.h; what a port tells or is told there is in this struct, too.
 *
 * virtio-v1.4 5.3.6 "Device Operation"
 */
#ifndef DEVICES_CONSOLE_PORT_H
#define DEVICES_CONSOLE_PORT_H

#include <stdatomic.h>

#include "devices/chardev.h"
#include "virtio/virtqueue.h"
#include "vmm/base/event_loop.h"

enum {
	CONSOLE_QUEUE_SIZE = 64,
	CONSOLE_INPUT_SIZE = 4096,	/* power of two */
	CONSOLE_PORT_NAME_SIZE = 65,
};

struct console_port {
	unsigned id;
	char name[CONSOLE_PORT_NAME_SIZE];	/* "": port 0, which is the console */
	struct datapath *datapath;
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
	/* given back to the ring while 'is_held': whose first bytes are with the chardev */
	bool is_held;
	uint16_t held_head;
	size_t held_sent;
	/* taken from a ring that ends, for the chardev still */
	struct chain ending[CONSOLE_QUEUE_SIZE];
	unsigned ending_next, n_ending;
	uint64_t ending_until_ms;	/* 0: it does not end */

	/* input: the main loop moves 'head', the owner loop 'tail'; both run freely */
	struct chardev_reader reader;
	struct event_post arrived;
	_Atomic uint32_t head, tail;
	atomic_bool starved;		/* the main loop has more than fits */
	uint8_t input[CONSOLE_INPUT_SIZE];
	bool guest_open;		/* owner loop: somebody reads it there */
	void (*emptied)(struct console_port *port);	/* owner loop: input was delivered */

	/* what console_control.c knows of it, owner loop; of one session */
	bool told_add, ready, failed, told_open;
	bool owes_console, owes_name, owes_size;
	/* the host's end */
	atomic_bool host_open;
	atomic_bool closing;		/* it hung up, and 'closed' is still to be called */
	void (*closed)(void *arg);
	void *closed_arg;
};

/* What all ports are made of; the rest is zero.  'index' is that of the receive queue. */
void console_port_init(struct console_port *port, unsigned id, struct chardev *chardev,
		       struct event_loop *loop);

/* The queues of port 'id'.  virtio-v1.4 5.3.2 "Virtqueues" */
static inline unsigned console_port_rx_index(unsigned id)
{
	return id == 0 ? 0 : 2 + 2 * id;
}

/* --- the verbs of struct local_ops, for this port's two queues --- */

/* Control path: input comes to this port / to whoever had it before. */
void console_port_attach(struct console_port *port);
void console_port_detach(struct console_port *port);

/* Owner loop. */
void console_port_serve_input(struct console_port *port);
void console_port_serve_output(struct console_port *port);
void console_port_start_output(struct console_port *port, struct virtqueue *q);
void console_port_hold_output(struct console_port *port);
/*
 * The ring ends: what is in it is output still.  A named port waits for its host's end for a
 * bounded time (console_port_waits).
 */
void console_port_cancel_output(struct console_port *port);
bool console_port_waits(struct console_port *port);
void console_port_stop_output(struct console_port *port);

/* Write on, if there is something to write; true while there is.  Owner loop. */
bool console_port_flush(struct console_port *port);

/* Is there input that the guest has not got?  Owner loop. */
bool console_port_has_input(const struct console_port *port);

#endif
