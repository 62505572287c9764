/*
 * The keyboard controller, as far as a machine without a keyboard has one: its reset command.
 * Status and data read 0 (nothing to fetch, ready for a command), so that a loop that waits for
 * either ends.
 */
#include "devices/platform.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/machine/layout.h"

enum { I8042_PULSE_RESET = 0xfe };

struct i8042 {
	struct platform_device dev;
	struct machine *machine;
	struct region data, command;
};

static uint64_t i8042_read(void *arg, uint64_t offset, unsigned size)
{
	(void)arg;
	(void)offset;
	(void)size;
	return 0;
}

static void i8042_write_data(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	(void)arg;
	(void)offset;
	(void)size;
	(void)value;
}

static void i8042_write_command(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct i8042 *i8042 = arg;

	(void)offset;
	(void)size;
	if (value == I8042_PULSE_RESET)
		machine_report(i8042->machine, MACHINE_REBOOT, 0, NULL);
}

static const struct region_ops data_ops = { .read = i8042_read, .write = i8042_write_data };
static const struct region_ops command_ops = { .read = i8042_read, .write = i8042_write_command };

static void i8042_destroy(struct platform_device *dev)
{
	struct i8042 *i8042 = container_of(dev, struct i8042, dev);

	bus_remove(&i8042->machine->pio, &i8042->data);
	bus_remove(&i8042->machine->pio, &i8042->command);
	free(i8042);
}

static const struct platform_device_ops i8042_ops = { .destroy = i8042_destroy };

int i8042_create(struct platform_device **out, struct machine *m)
{
	struct i8042 *i8042 = calloc(1, sizeof(*i8042));

	*out = NULL;
	if (!i8042)
		return error_set(ENOMEM, "i8042");
	i8042->dev = (struct platform_device){ .name = "i8042", .ops = &i8042_ops };
	i8042->machine = m;
	i8042->data = (struct region){
		.name = "i8042-data", .base = PORT_I8042_DATA, .size = 1,
		.ops = &data_ops, .arg = i8042,
	};
	i8042->command = (struct region){
		.name = "i8042-command", .base = PORT_I8042_COMMAND, .size = 1,
		.ops = &command_ops, .arg = i8042,
	};
	int r = bus_add(&m->pio, &i8042->data);
	if (r == 0)
		r = bus_add(&m->pio, &i8042->command);
	if (r < 0) {
		i8042_destroy(&i8042->dev);
		return error_add(r, "i8042");
	}
	*out = &i8042->dev;
	return 0;
}
