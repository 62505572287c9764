/*
 * The console device with several ports: what there is, told by control messages, and bytes both
 * ways.  Options, after which it ends:
 *
 *   echo=NAME    whatever comes from that port goes back to it, until the host's end hangs up
 *   serve=NAME   wait for the host's end, then the same
 *   flood=NAME   256 KiB, of which nobody waits for the end
 *   say=NAME     a line
 *   status=N     to the port called 'status', and then nothing until the end
 *
 * virtio-v1.4 5.3.6.2 "Multiport Device Operation"
 */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/ring.h"
#include "virtio/features.h"

enum {
	CONTROL_RX = 2,
	CONTROL_TX = 3,
	MAX_PORTS = 32,
	MESSAGE_SIZE = 128,
	N_BUFFERS = 16,
	PIECE = 4096,
	FLOOD = 64,		/* pieces */
	CONFIG_MAX_PORTS = 4,
};

enum { DEVICE_READY, DEVICE_ADD, DEVICE_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };

struct message {
	uint32_t id;
	uint16_t event, value;
	char text[MESSAGE_SIZE - 8];
};

struct port {
	struct ring rx, tx;
	char name[MESSAGE_SIZE];
	bool is_there, is_console, is_open;
	unsigned n_hang_ups, n_served;	/* the next one may be there before the last is missed */
	uint8_t *buf;		/* of input, once it is open */
};

static struct virtio device;
static struct ring control_rx, control_tx;
static struct message *message;		/* N_BUFFERS of them */
static unsigned next_message;
static struct port port[MAX_PORTS];
static uint32_t n_ports;

static void tell(uint32_t id, uint16_t event, uint16_t value)
{
	struct message *m = heap_alloc(sizeof(*m), 8);

	*m = (struct message){ .id = id, .event = event, .value = value };
	ring_add(&control_tx, &(struct piece){ m, 8 }, 1, 0);
	ring_publish(&control_tx);
	check(ring_wait(&control_tx) >= 0, "a control message was not taken");
	check_equal(control_tx.taken_len, 0, "used length of a control message");
}

static void offer(unsigned i)
{
	ring_add(&control_rx, &(struct piece){ &message[i], sizeof(*message) }, 0, 1);
	ring_publish(&control_rx);
}

/* covers: CONSOLE-MP-04 CONSOLE-MP-05 CONSOLE-MP-06 CONSOLE-MP-07 */
static void hear(const struct message *m, uint32_t len)
{
	struct port *p = &port[m->id];

	if (!check(len >= 8 && m->id < n_ports, "a message of %u bytes about port %u", len, m->id))
		return;
	switch (m->event) {
	case DEVICE_ADD:
		check(!p->is_there, "port %u was added twice", m->id);
		p->is_there = true;
		tell(m->id, PORT_READY, 1);
		break;
	case CONSOLE_PORT:
		p->is_console = true;
		tell(m->id, PORT_OPEN, 1);
		break;
	case PORT_NAME:
		memcpy(p->name, m->text, len - 8);
		break;
	case PORT_OPEN:
		p->is_open = m->value != 0;
		p->n_hang_ups += !p->is_open;
		break;
	case RESIZE:
		check_equal(len, 12, "length of a size");
		break;
	default:
		check(false, "message %u about port %u", m->event, m->id);
	}
}

/* Whatever has come by now. */
static void listen(void)
{
	while (ring_take(&control_rx) >= 0) {
		unsigned i = next_message++ % N_BUFFERS;

		hear(&message[i], control_rx.taken_len);
		memset(&message[i], 0, sizeof(*message));
		offer(i);
	}
}

static bool all_known(void)
{
	for (uint32_t i = 0; i < n_ports; i++)
		if (!port[i].is_there || (i > 0 && port[i].name[0] == '\0'))
			return false;
	return true;
}

static struct port *find(const char *name)
{
	for (uint32_t i = 1; i < n_ports; i++) {
		size_t len = strlen(port[i].name);

		/* Options end with a blank. */
		if (!memcmp(port[i].name, name, len) && (name[len] == '\0' || name[len] == ' '))
			return &port[i];
	}
	check(false, "no port of that name");
	return NULL;
}

static void send(struct port *p, const void *data, uint32_t len)
{
	ring_add(&p->tx, &(struct piece){ (void *)(uintptr_t)data, len }, 1, 0);
	ring_publish(&p->tx);
}

static void echo(struct port *p)
{
	if (!p->buf) {
		p->buf = heap_alloc(PIECE, 1);
		ring_add(&p->rx, &(struct piece){ p->buf, PIECE }, 0, 1);
		ring_publish(&p->rx);
		tell((uint32_t)(p - port), PORT_OPEN, 1);
	}
	for (;;) {
		/* Who hangs up is heard of when all of his is there. */
		listen();
		if (ring_take(&p->rx) >= 0) {
			send(p, p->buf, p->rx.taken_len);
			check(ring_wait(&p->tx) >= 0, "the echo was not taken");
			ring_add(&p->rx, &(struct piece){ p->buf, PIECE }, 0, 1);
			ring_publish(&p->rx);
		} else if (p->n_hang_ups > p->n_served) {
			break;
		}
	}
	p->n_served++;
	print("the host hung up\n");
}

/* Into the ring at once, and then the end. */
static void flood(struct port *p)
{
	uint8_t *data = heap_alloc(PIECE * FLOOD, 4096);

	for (unsigned i = 0; i < PIECE * FLOOD; i++)
		data[i] = (uint8_t)('a' + i / 64 % 26);
	for (unsigned i = 0; i < PIECE * FLOOD; i += 64)
		data[i + 63] = '\n';
	for (unsigned i = 0; i < FLOOD; i++)
		send(p, data + i * PIECE, PIECE);
}

static void say_status(const char *number)
{
	unsigned len = 0;
	char *text = heap_alloc(32, 1);

	for (; number[len] != '\0' && number[len] != ' ' && len < 30; len++)
		text[len] = number[len];
	text[len] = '\n';
	send(find("status"), text, len + 1);
	for (;;)
		pause();
}

static void start(uint64_t features)
{
	n_ports = device.ops->read_config(&device, CONFIG_MAX_PORTS, 4);
	if (!check(n_ports > 1 && n_ports <= MAX_PORTS, "%u ports", n_ports))
		return;
	message = heap_alloc(sizeof(*message) * N_BUFFERS, 8);
	check(ring_init(&control_rx, &device, CONTROL_RX, 0, features), "no queue 2");
	check(ring_init(&control_tx, &device, CONTROL_TX, 0, features), "no queue 3");
	/* covers: CONSOLE-VQ-01 CONSOLE-VQ-03 */
	for (uint32_t i = 0; i < n_ports; i++) {
		uint16_t index = (uint16_t)(i == 0 ? 0 : 2 + 2 * i);

		check(ring_init(&port[i].rx, &device, index, 0, features), "no queue %u", index);
		check(ring_init(&port[i].tx, &device, index + 1, 0, features), "no queue %u",
		      index + 1);
	}
	virtio_driver_ok(&device);
	for (unsigned i = 0; i < N_BUFFERS; i++)
		offer(i);
	tell(0, DEVICE_READY, 1);
	for (uint64_t spins = 0; !all_known() && spins < 1000000000; spins++)
		listen();
	check(all_known(), "not all ports were told of");
	for (uint32_t i = 0; i < n_ports; i++)
		print("port %u: '%s'%s\n", i, port[i].name, port[i].is_console ? ", the console" : "");
}

int main(void)
{
	uint64_t features;
	const char *name;

	if (!virtio_find(&device, VIRTIO_ID_CONSOLE, 0))
		check_skip("no console");
	if (!(virtio_offered(&device) >> VIRTIO_CONSOLE_F_MULTIPORT & 1))
		check_skip("no ports");
	check(virtio_negotiate(&device, ~0ull, &features), "FEATURES_OK does not stand");
	start(features);
	for (name = option_next("echo", NULL); name; name = option_next("echo", name))
		echo(find(name));
	for (name = option_next("serve", NULL); name; name = option_next("serve", name)) {
		struct port *p = find(name);

		while (!p->is_open && p->n_hang_ups == p->n_served)
			listen();
		echo(p);
	}
	name = option_next("say", NULL);
	if (name)
		send(find(name), "said\n", 5);
	for (name = option_next("flood", NULL); name; name = option_next("flood", name))
		flood(find(name));
	name = option_next("status", NULL);
	if (name)
		say_status(name);
	return check_result("ports");
}
