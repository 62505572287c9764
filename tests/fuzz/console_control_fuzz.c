/*
 * What a driver of a console with ports may say and the host's ends may do, in any order, and what
 * the driver is told then.  The oracle is a driver's own book: which ports it was told of, which it
 * called ready, whether their ends are open.
 */
#include <string.h>

#include "devices/console_control.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/loop_pump.h"
#include "vmm/base/error.h"

enum { PORTS = 4, MAX_STEPS = 400, MESSAGES_EACH = 6 };

/* A driver's book of a port. */
struct book {
	bool added, ready, open;
	unsigned n_named, n_console;
};

struct world {
	struct event_loop *loop;
	struct console_control control;
	struct console_port port[PORTS];
	struct book book[PORTS];
	bool is_used, ready, has_size;
	bool host_open[PORTS], closing[PORTS];
};

static struct world world;

static void closed(void *arg)
{
	struct console_port *port = arg;
	unsigned i = port->id;

	/* Once for each hang-up, when nothing of it is left. */
	CHECK(world.closing[i] && !world.host_open[i]);
	CHECK(!console_port_has_input(port));
	CHECK(!world.book[i].open || port->failed || !world.ready);
	world.closing[i] = false;
}

static void create(struct world *w)
{
	if (event_loop_create(&w->loop, "fuzz") < 0)
		abort();
	for (unsigned i = 0; i < PORTS; i++) {
		struct console_port *port = &w->port[i];

		console_port_init(port, i, NULL, w->loop);
		memset(port->name, 'a' + (int)i, i == PORTS - 1 ? CONSOLE_PORT_NAME_SIZE - 1 : i);
		port->closed = closed;
		port->closed_arg = port;
	}
	console_control_init(&w->control, w->port, PORTS, w->loop);
}

static void begin(struct world *w, uint8_t how)
{
	w->is_used = how & 1;
	w->has_size = how & 2;
	w->ready = false;
	memset(w->book, 0, sizeof(w->book));
	console_control_begin(&w->control, w->is_used, w->has_size);
	loop_pump(w->loop);
}

static void check_message(struct world *w, const uint8_t *m, size_t len)
{
	uint32_t id = load_le32(m);
	uint16_t event = load_le16(m + 4), value = load_le16(m + 6);

	CHECK(w->is_used && w->ready && len >= 8 && len <= CONSOLE_MESSAGE_MAX && id < PORTS);
	struct book *b = &w->book[id];
	const struct console_port *port = &w->port[id];

	if (event == CONSOLE_DEVICE_ADD) {
		CHECK(!b->added && len == 8);
		b->added = true;
		return;
	}
	CHECK(b->added && b->ready);
	switch (event) {
	case CONSOLE_CONSOLE_PORT:
		CHECK(id == 0 && value == 1 && len == 8);
		break;
	case CONSOLE_PORT_NAME:
		CHECK(id != 0 && len == 8 + strlen(port->name));
		CHECK(memcmp(m + 8, port->name, len - 8) == 0);
		break;
	case CONSOLE_RESIZE:
		CHECK(id == 0 && w->has_size && len == 12);
		CHECK(load_le32(m + 8) == w->control.size);
		break;
	case CONSOLE_PORT_OPEN:
		CHECK(len == 8 && value == !b->open && value == w->host_open[id]);
		CHECK(value || !console_port_has_input(port));
		b->open = value;
		break;
	default:
		CHECK(false);
	}
}

/* As console_control_send() does, with at most 'n' buffers; true when nothing is left to say. */
static bool hear(struct world *w, unsigned n)
{
	uint8_t message[CONSOLE_MESSAGE_MAX];

	for (unsigned i = 0; i < PORTS; i++) {
		size_t len;

		while ((len = console_control_next(&w->control, &w->port[i], message)) > 0) {
			if (n-- == 0)
				return false;
			CHECK(load_le32(message) == i);
			check_message(w, message, len);
			console_control_sent(&w->control, &w->port[i], message);
		}
	}
	return true;
}

static void say(struct world *w, struct fuzz_input *in)
{
	uint8_t message[16], len = fuzz_u8(in) % 17, likely = fuzz_u8(in);

	for (unsigned i = 0; i < sizeof(message); i++)
		message[i] = likely & 0x80 ? fuzz_u8(in) : 0;
	if (!(likely & 0x80)) {
		message[0] = likely & 7;
		message[4] = likely >> 3 & 7;
		message[6] = likely >> 6 & 1;
	}
	uint32_t id = load_le32(message);
	uint16_t event = load_le16(message + 4), value = load_le16(message + 6);

	/* The book first: 'closed' looks at it. */
	if (len >= 8 && event == CONSOLE_DEVICE_READY)
		w->ready = value == 1;
	else if (len >= 8 && w->ready && id < PORTS && event == CONSOLE_PORT_READY &&
		 w->book[id].added)
		w->book[id].ready = value == 1;
	console_control_judge(&w->control, message, len);
	if (len >= 8 && w->ready && id < PORTS && event == CONSOLE_PORT_OPEN)
		CHECK(w->port[id].guest_open == (value == 1));
}

static void host(struct world *w, uint8_t what)
{
	unsigned i = what % PORTS;
	struct console_port *port = &w->port[i];

	switch (what >> 2 & 3) {
	case 0:
		/* Port 0 is always there; another one comes when the last is forgotten. */
		if (i == 0 || w->closing[i])
			return;
		w->host_open[i] = !w->host_open[i];
		w->closing[i] = !w->host_open[i];
		console_control_open(&w->control, port, w->host_open[i]);
		break;
	case 1:
		atomic_fetch_add(&port->head, 1 + (what >> 4));
		break;
	case 2:
		atomic_store(&port->tail, atomic_load(&port->head));
		console_control_emptied(&w->control, port);
		break;
	case 3:
		console_control_resize(&w->control, what, (uint16_t)(what * 7));
		break;
	}
	loop_pump(w->loop);
}

/* When the driver listens and the guest reads, all is said in few words, and who left is gone. */
static void settle(struct world *w)
{
	CHECK(hear(w, MESSAGES_EACH * PORTS));
	for (unsigned i = 0; i < PORTS; i++) {
		atomic_store(&w->port[i].tail, atomic_load(&w->port[i].head));
		console_control_emptied(&w->control, &w->port[i]);
	}
	CHECK(hear(w, MESSAGES_EACH * PORTS));
	loop_pump(w->loop);
	for (unsigned i = 0; i < PORTS; i++) {
		CHECK(!w->closing[i] || (w->book[i].open && !w->book[i].ready));
		if (w->ready && w->is_used && w->book[i].ready)
			CHECK(w->book[i].open == w->host_open[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct world *w = &world;
	struct fuzz_input in = { data, len };

	if (!w->loop)
		create(w);
	for (unsigned i = 0; i < PORTS; i++) {
		w->host_open[i] = i == 0;
		w->closing[i] = false;
		atomic_store(&w->port[i].host_open, i == 0);
		atomic_store(&w->port[i].closing, false);
		atomic_store(&w->port[i].tail, atomic_load(&w->port[i].head));
	}
	begin(w, 3);
	for (unsigned step = 0; step < MAX_STEPS && in.len > 0; step++) {
		uint8_t what = fuzz_u8(&in);

		switch (what & 3) {
		case 0: say(w, &in); break;
		case 1: hear(w, what >> 2); break;
		case 2: host(w, what >> 2); break;
		case 3:
			if (what == 0xff)
				begin(w, fuzz_u8(&in));
			else
				settle(w);
			break;
		}
	}
	settle(w);
	return 0;
}
