/*
 * The exit port: a guest that has done its work says how it went.  4 bytes only, so that a
 * probe of the port by a byte is not taken for an exit.
 */
#include "devices/platform.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/machine/layout.h"

struct exit_port {
	struct platform_device dev;
	struct machine *machine;
	struct region region;
};

static uint64_t exit_port_read(void *arg, uint64_t offset, unsigned size)
{
	(void)arg;
	(void)offset;
	(void)size;
	return 0;
}

static void exit_port_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct exit_port *port = arg;

	(void)offset;
	if (size == 4)
		machine_report(port->machine, MACHINE_EXIT, (uint32_t)value, NULL);
}

static const struct region_ops exit_port_region_ops = {
	.read = exit_port_read,
	.write = exit_port_write,
};

static void exit_port_destroy(struct platform_device *dev)
{
	struct exit_port *port = container_of(dev, struct exit_port, dev);

	bus_remove(&port->machine->pio, &port->region);
	free(port);
}

static const struct platform_device_ops exit_port_ops = { .destroy = exit_port_destroy };

int exit_port_create(struct platform_device **out, struct machine *m)
{
	struct exit_port *port = calloc(1, sizeof(*port));

	*out = NULL;
	if (!port)
		return error_set(ENOMEM, "exit port");
	port->dev = (struct platform_device){ .name = "exit-port", .ops = &exit_port_ops };
	port->machine = m;
	port->region = (struct region){
		.name = "exit-port", .base = PORT_EXIT, .size = 4,
		.ops = &exit_port_region_ops, .arg = port,
	};
	int r = bus_add(&m->pio, &port->region);
	if (r < 0) {
		free(port);
		return error_add(r, "exit port");
	}
	*out = &port->dev;
	return 0;
}
