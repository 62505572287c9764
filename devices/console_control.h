/*
 * The control messages of a virtio console with several ports: which ports there are, what they
 * are called, and whether somebody is at their ends.  What the driver is still to be told is kept
 * as facts about each port, not as a queue of messages: it waits for buffers however long it takes,
 * and takes no more memory for that.
 *
 * Owner loop, unless it says otherwise.  virtio-v1.4 5.3.6.2 "Multiport Device Operation"
 */
#ifndef DEVICES_CONSOLE_CONTROL_H
#define DEVICES_CONSOLE_CONTROL_H

#include "devices/console_port.h"

enum {
	CONSOLE_CONTROL_RX = 2,
	CONSOLE_CONTROL_TX = 3,
	CONSOLE_MESSAGE_LEN = 8,		/* id, event, value */
	CONSOLE_MESSAGE_MAX = CONSOLE_MESSAGE_LEN + CONSOLE_PORT_NAME_SIZE - 1,
};

enum console_event {
	CONSOLE_DEVICE_READY = 0,
	CONSOLE_DEVICE_ADD = 1,
	CONSOLE_DEVICE_REMOVE = 2,
	CONSOLE_PORT_READY = 3,
	CONSOLE_CONSOLE_PORT = 4,
	CONSOLE_RESIZE = 5,
	CONSOLE_PORT_OPEN = 6,
	CONSOLE_PORT_NAME = 7,
};

struct console_control {
	struct console_port *port;	/* keeps; n_ports of them, by id */
	unsigned n_ports;
	struct datapath *datapath;
	struct event_loop *loop;
	struct virtqueue *rx, *tx;	/* while they run */
	bool is_used;			/* the driver accepted MULTIPORT */
	bool has_size;			/* and SIZE */
	bool ready;			/* DEVICE_READY */
	_Atomic uint32_t size;		/* of port 0: columns, rows << 16 */
	atomic_bool resized;
	struct event_post changed;	/* something that other threads set */
};

void console_control_init(struct console_control *control, struct console_port *port,
			  unsigned n_ports, struct event_loop *loop);

/* A session begins: no ring runs.  Control path. */
void console_control_begin(struct console_control *control, bool is_used, bool has_size);

/* There are buffers for messages / messages of the driver. */
void console_control_send(struct console_control *control);
void console_control_receive(struct console_control *control);

/* A message of the driver's, 'len' bytes of it; what makes no sense is ignored. */
void console_control_judge(struct console_control *control, const uint8_t *message, size_t len);

/*
 * Write the next message that is owed about 'port' to 'message'; returns its length, 0 if there is
 * none.  It is owed until console_control_sent() is called.
 */
size_t console_control_next(const struct console_control *control, const struct console_port *port,
			    uint8_t message[CONSOLE_MESSAGE_MAX]);
void console_control_sent(struct console_control *control, struct console_port *port,
			  const uint8_t *message);

/* The size of port 0 is another one.  Any thread. */
void console_control_resize(struct console_control *control, uint16_t cols, uint16_t rows);

/* Somebody is at the host's end of 'port' / has left it.  Any thread. */
void console_control_open(struct console_control *control, struct console_port *port, bool open);

/* All input of 'port' was delivered. */
void console_control_emptied(struct console_control *control, struct console_port *port);

#endif
