#include "devices/status_port.h"

static void forget_line(struct status_port *port)
{
	port->number = 0;
	port->has_digits = false;
	port->ended = false;
	port->wrong = false;
}

static void end_line(struct status_port *port)
{
	if (port->wrong || !port->has_digits)
		log_guest(&port->log, LOG_WARNING,
			  "the guest's status is a decimal number and a newline; a line that is "
			  "none was ignored");
	else
		machine_report(port->machine, MACHINE_EXIT, (uint32_t)port->number, NULL);
	forget_line(port);
}

static void add_digit(struct status_port *port, unsigned digit)
{
	port->wrong |= port->ended;
	port->has_digits = true;
	port->number = min_u64(port->number * 10 + digit, UINT32_MAX);
}

void status_port_write(void *arg, const uint8_t *buf, size_t len)
{
	struct status_port *port = arg;

	for (size_t i = 0; i < len; i++) {
		if (buf[i] == '\n')
			end_line(port);
		else if (buf[i] >= '0' && buf[i] <= '9')
			add_digit(port, buf[i] - '0');
		else if (buf[i] == ' ' || buf[i] == '\t' || buf[i] == '\r')
			port->ended = port->has_digits;
		else
			port->wrong = true;
	}
}
