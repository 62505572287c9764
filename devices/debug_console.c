/*
 * The debug console of Bochs and QEMU: a byte written to the port is printed.  It has no state,
 * so that the earliest code can use it.  A byte for which the host has no room is lost; the
 * guest never waits.
 */
#include "devices/platform.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/machine/layout.h"

enum { DEBUG_CONSOLE_PRESENT = 0xe9 };

struct debug_console {
	struct platform_device dev;
	struct machine *machine;
	struct chardev *chardev;
	struct region region;
};

static uint64_t debug_console_read(void *arg, uint64_t offset, unsigned size)
{
	(void)arg;
	(void)offset;
	(void)size;
	return DEBUG_CONSOLE_PRESENT;
}

static void debug_console_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct debug_console *console = arg;
	uint8_t byte = (uint8_t)value;

	(void)offset;
	(void)size;
	chardev_write(console->chardev, &byte, 1);
}

static const struct region_ops debug_console_region_ops = {
	.read = debug_console_read,
	.write = debug_console_write,
};

static void debug_console_destroy(struct platform_device *dev)
{
	struct debug_console *console = container_of(dev, struct debug_console, dev);

	bus_remove(&console->machine->pio, &console->region);
	free(console);
}

static const struct platform_device_ops debug_console_ops = { .destroy = debug_console_destroy };

int debug_console_create(struct platform_device **out, struct machine *m, struct chardev *chardev)
{
	struct debug_console *console = calloc(1, sizeof(*console));

	*out = NULL;
	if (!console)
		return error_set(ENOMEM, "debug console");
	console->dev = (struct platform_device){
		.name = "debug-console", .ops = &debug_console_ops,
	};
	console->machine = m;
	console->chardev = chardev;
	console->region = (struct region){
		.name = "debug-console", .base = PORT_DEBUG_CONSOLE, .size = 1,
		.ops = &debug_console_region_ops, .arg = console,
	};
	int r = bus_add(&m->pio, &console->region);
	if (r < 0) {
		free(console);
		return error_add(r, "debug console");
	}
	*out = &console->dev;
	return 0;
}
