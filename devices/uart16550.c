/*
 * 16550A.  The line is infinitely fast: a byte that is written has left at once, unless the
 * host takes nothing; then the transmit FIFO fills, and THRE stays clear.  Received bytes come
 * as fast as the guest reads them, so there are no overruns except in loopback.
 */
#include "devices/platform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/machine/layout.h"

enum {
	FIFO_SIZE = 16,

	REG_DATA = 0,			/* RBR / THR; divisor low with DLAB */
	REG_IER = 1,			/* divisor high with DLAB */
	REG_IIR_FCR = 2,
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCRATCH = 7,
	N_REGISTERS = 8,

	IER_RECEIVED = 0x01,
	IER_THR_EMPTY = 0x02,
	IER_LINE_STATUS = 0x04,
	IER_MODEM_STATUS = 0x08,
	IER_ALL = 0x0f,

	IIR_MODEM_STATUS = 0x00,
	IIR_NONE = 0x01,
	IIR_THR_EMPTY = 0x02,
	IIR_RECEIVED = 0x04,
	IIR_LINE_STATUS = 0x06,
	IIR_TIMEOUT = 0x0c,		/* data that did not reach the trigger level */
	IIR_FIFOS_ENABLED = 0xc0,

	FCR_ENABLE = 0x01,
	FCR_CLEAR_RX = 0x02,
	FCR_CLEAR_TX = 0x04,
	FCR_TRIGGER_SHIFT = 6,

	LCR_DLAB = 0x80,

	MCR_DTR = 0x01,
	MCR_RTS = 0x02,
	MCR_OUT1 = 0x04,
	MCR_OUT2 = 0x08,
	MCR_LOOP = 0x10,
	MCR_ALL = 0x1f,

	LSR_DATA_READY = 0x01,
	LSR_OVERRUN = 0x02,
	LSR_THR_EMPTY = 0x20,
	LSR_TX_EMPTY = 0x40,

	MSR_DELTA_CTS = 0x01,
	MSR_DELTA_DSR = 0x02,
	MSR_RI_FELL = 0x04,
	MSR_DELTA_DCD = 0x08,
	MSR_DELTAS = 0x0f,
	MSR_CTS = 0x10,
	MSR_DSR = 0x20,
	MSR_RI = 0x40,
	MSR_DCD = 0x80,
};

struct fifo {
	uint8_t byte[FIFO_SIZE];
	unsigned head, len;
};

struct uart {
	struct platform_device dev;
	struct machine *machine;
	struct chardev *chardev;
	struct chardev_reader reader;
	struct event_post room;		/* the host takes output again */
	struct region region;

	struct fifo rx, tx;
	uint8_t ier, lcr, mcr, scratch;
	uint8_t fcr;			/* enable and trigger level */
	uint8_t msr;
	uint8_t divisor[2];
	bool overrun;
	bool thr_empty;			/* the interrupt condition, not the LSR bit */
	bool line;			/* level of the interrupt line */
};

static void fifo_push(struct fifo *fifo, uint8_t byte)
{
	fifo->byte[(fifo->head + fifo->len++) % FIFO_SIZE] = byte;
}

static uint8_t fifo_pop(struct fifo *fifo)
{
	uint8_t byte = fifo->byte[fifo->head];

	fifo->head = (fifo->head + 1) % FIFO_SIZE;
	fifo->len--;
	return byte;
}

/* Without FIFO mode there is one holding register each way. */
static unsigned capacity(const struct uart *u)
{
	return u->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
}

/* The highest pending interrupt that is enabled: PC16550D table IV. */
static uint8_t interrupt(const struct uart *u)
{
	static const uint8_t trigger[] = { 1, 4, 8, 14 };

	if ((u->ier & IER_LINE_STATUS) && u->overrun)
		return IIR_LINE_STATUS;
	if ((u->ier & IER_RECEIVED) && u->rx.len > 0) {
		/* Four characters' time without another one has always passed. */
		bool below = (u->fcr & FCR_ENABLE) &&
			     u->rx.len < trigger[u->fcr >> FCR_TRIGGER_SHIFT];
		return below ? IIR_TIMEOUT : IIR_RECEIVED;
	}
	if ((u->ier & IER_THR_EMPTY) && u->thr_empty)
		return IIR_THR_EMPTY;
	if ((u->ier & IER_MODEM_STATUS) && (u->msr & MSR_DELTAS))
		return IIR_MODEM_STATUS;
	return IIR_NONE;
}

static void update_line(struct uart *u)
{
	bool line = interrupt(u) != IIR_NONE;

	if (line == u->line)
		return;
	u->line = line;
	irq_chip_set_line(u->machine->irq, GSI_UART, line);
}

static void receive(struct uart *u, uint8_t byte)
{
	if (u->rx.len >= capacity(u))
		u->overrun = true;
	else
		fifo_push(&u->rx, byte);
}

/* Hand the host what it takes. */
static void transmit(struct uart *u)
{
	while (u->tx.len > 0) {
		if (chardev_write(u->chardev, &u->tx.byte[u->tx.head], 1) == 0) {
			chardev_notify_room(u->chardev, u->machine->main_loop, &u->room);
			return;
		}
		fifo_pop(&u->tx);
	}
	u->thr_empty = true;
}

static void room_fn(struct event_post *post)
{
	struct uart *u = container_of(post, struct uart, room);

	machine_lock(u->machine);
	if (u->tx.len > 0)
		transmit(u);
	update_line(u);
	machine_unlock(u->machine);
}

/*
 * Is there somebody who reads?  A driver that opens the port asks for receive interrupts, or
 * raises DTR and RTS and polls.  Without either, what people type waits at the host, for this
 * driver or for that of another console; in loopback the line is disconnected, too.
 */
static bool is_listening(const struct uart *u)
{
	const uint8_t ready = MCR_DTR | MCR_RTS;

	return !(u->mcr & MCR_LOOP) && ((u->ier & IER_RECEIVED) || (u->mcr & ready) == ready);
}

static size_t input(struct chardev_reader *reader, const uint8_t *buf, size_t len)
{
	struct uart *u = container_of(reader, struct uart, reader);
	size_t n = 0;

	machine_lock(u->machine);
	while (n < len && u->rx.len < capacity(u) && is_listening(u))
		receive(u, buf[n++]);
	update_line(u);
	machine_unlock(u->machine);
	return n;
}

static void write_data(struct uart *u, uint8_t byte)
{
	/* The interrupt goes away and comes back: an edge each time. */
	u->thr_empty = false;
	update_line(u);
	if (u->mcr & MCR_LOOP) {
		receive(u, byte);
		u->thr_empty = u->tx.len == 0;
		return;
	}
	if (u->tx.len < capacity(u))
		fifo_push(&u->tx, byte);
	transmit(u);
}

static uint8_t read_data(struct uart *u)
{
	uint8_t byte = 0;

	if (u->rx.len > 0)
		byte = fifo_pop(&u->rx);
	if (u->rx.len == 0)
		chardev_reader_ready(u->chardev);
	return byte;
}

static void write_ier(struct uart *u, uint8_t value)
{
	/* Enabling it with an empty THR interrupts at once; Linux tests for that. */
	if ((value & IER_THR_EMPTY) && !(u->ier & IER_THR_EMPTY) && u->tx.len == 0)
		u->thr_empty = true;
	u->ier = value & IER_ALL;
	if (is_listening(u))
		chardev_reader_ready(u->chardev);
}

static void write_fcr(struct uart *u, uint8_t value)
{
	bool switched = (value ^ u->fcr) & FCR_ENABLE;

	if (switched || (value & FCR_CLEAR_RX))
		u->rx.len = 0;
	if ((switched || (value & FCR_CLEAR_TX)) && u->tx.len > 0) {
		u->tx.len = 0;
		u->thr_empty = true;
	}
	u->fcr = value & (FCR_ENABLE | 3 << FCR_TRIGGER_SHIFT);
	chardev_reader_ready(u->chardev);
}

/* The other end is always there; in loopback our own outputs are the inputs. */
static uint8_t modem_inputs(const struct uart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	return (uint8_t)((u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
			 (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void write_mcr(struct uart *u, uint8_t value)
{
	u->mcr = value & MCR_ALL;

	uint8_t inputs = modem_inputs(u);
	uint8_t changed = (inputs ^ u->msr) & (uint8_t)~MSR_DELTAS;
	uint8_t delta = (uint8_t)((changed & MSR_CTS ? MSR_DELTA_CTS : 0) |
				  (changed & MSR_DSR ? MSR_DELTA_DSR : 0) |
				  (changed & MSR_DCD ? MSR_DELTA_DCD : 0));
	if ((changed & MSR_RI) && !(inputs & MSR_RI))
		delta |= MSR_RI_FELL;
	u->msr = (uint8_t)(inputs | (u->msr & MSR_DELTAS) | delta);
	if (is_listening(u))
		chardev_reader_ready(u->chardev);
}

static uint8_t read_register(struct uart *u, unsigned reg)
{
	uint8_t value = 0;

	switch (reg) {
	case REG_DATA:
		return u->lcr & LCR_DLAB ? u->divisor[0] : read_data(u);
	case REG_IER:
		return u->lcr & LCR_DLAB ? u->divisor[1] : u->ier;
	case REG_IIR_FCR:
		value = interrupt(u);
		/* Reading it acknowledges this source, and no other. */
		if (value == IIR_THR_EMPTY)
			u->thr_empty = false;
		return value | (u->fcr & FCR_ENABLE ? IIR_FIFOS_ENABLED : 0);
	case REG_LCR:
		return u->lcr;
	case REG_MCR:
		return u->mcr;
	case REG_LSR:
		value = u->tx.len == 0 ? LSR_THR_EMPTY | LSR_TX_EMPTY : 0;
		value |= u->rx.len > 0 ? LSR_DATA_READY : 0;
		value |= u->overrun ? LSR_OVERRUN : 0;
		u->overrun = false;
		return value;
	case REG_MSR:
		value = u->msr;
		u->msr &= (uint8_t)~MSR_DELTAS;
		return value;
	default:
		return u->scratch;
	}
}

static void write_register(struct uart *u, unsigned reg, uint8_t value)
{
	switch (reg) {
	case REG_DATA:
		if (u->lcr & LCR_DLAB)
			u->divisor[0] = value;
		else
			write_data(u, value);
		return;
	case REG_IER:
		if (u->lcr & LCR_DLAB)
			u->divisor[1] = value;
		else
			write_ier(u, value);
		return;
	case REG_IIR_FCR:
		write_fcr(u, value);
		return;
	case REG_LCR:
		u->lcr = value;
		return;
	case REG_MCR:
		write_mcr(u, value);
		return;
	case REG_SCRATCH:
		u->scratch = value;
		return;
	default:
		return;		/* LSR and MSR: writing them is for factory tests */
	}
}

static uint64_t uart_read(void *arg, uint64_t offset, unsigned size)
{
	struct uart *u = arg;
	uint64_t value = 0;

	/* An 8-bit device: the bus makes wider accesses into several. */
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)read_register(u, (unsigned)offset + i) << (8 * i);
	update_line(u);
	return value;
}

static void uart_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct uart *u = arg;

	for (unsigned i = 0; i < size; i++)
		write_register(u, (unsigned)offset + i, (uint8_t)(value >> (8 * i)));
	update_line(u);
}

static const struct region_ops uart_region_ops = { .read = uart_read, .write = uart_write };

static void uart_reset(struct platform_device *dev)
{
	struct uart *u = container_of(dev, struct uart, dev);

	u->rx.len = 0;
	u->tx.len = 0;
	u->ier = u->lcr = u->mcr = u->fcr = u->scratch = 0;
	u->divisor[0] = 1;		/* 115200 baud */
	u->divisor[1] = 0;
	u->msr = modem_inputs(u);
	u->overrun = false;
	u->thr_empty = false;
	update_line(u);
	chardev_reader_ready(u->chardev);
}

static void uart_destroy(struct platform_device *dev)
{
	struct uart *u = container_of(dev, struct uart, dev);

	chardev_detach(u->chardev, &u->reader);
	chardev_cancel_room(u->chardev, &u->room);
	event_loop_unpost(u->machine->main_loop, &u->room);
	bus_remove(&u->machine->pio, &u->region);
	free(u);
}

static const struct platform_device_ops uart_ops = {
	.reset = uart_reset,
	.destroy = uart_destroy,
};

int uart16550_create(struct platform_device **out, struct machine *m, struct chardev *chardev)
{
	struct uart *u = calloc(1, sizeof(*u));

	*out = NULL;
	if (!u)
		return error_set(ENOMEM, "UART");
	u->dev = (struct platform_device){ .name = "uart", .ops = &uart_ops };
	u->machine = m;
	u->chardev = chardev;
	u->reader.input = input;
	u->room.fn = room_fn;
	u->region = (struct region){
		.name = "uart", .base = PORT_UART, .size = N_REGISTERS,
		.ops = &uart_region_ops, .arg = u,
	};
	int r = bus_add(&m->pio, &u->region);
	if (r < 0) {
		free(u);
		return error_add(r, "UART");
	}
	uart_reset(&u->dev);
	chardev_attach(chardev, &u->reader);
	*out = &u->dev;
	return 0;
}
