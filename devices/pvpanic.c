/*
 * pvpanic: a kernel that panics says so.  The port and its bits are those of QEMU's ISA device
 * (docs/specs/pvpanic), for which Linux has a driver (ACPI QEMU0001).
 */
#include "devices/platform.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/base/event_log.h"
#include "vmm/base/log.h"
#include "vmm/machine/layout.h"

enum {
	PVPANIC_PANICKED = 0x01,
	PVPANIC_CRASH_LOADED = 0x02,	/* the guest goes on in its crash kernel */
};

struct pvpanic {
	struct platform_device dev;
	struct machine *machine;
	struct region region;
	struct log_limit crash_loaded;
};

/* A read tells which events can be reported. */
static uint64_t pvpanic_read(void *arg, uint64_t offset, unsigned size)
{
	(void)arg;
	(void)offset;
	(void)size;
	return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void note_crash_kernel(struct pvpanic *pv)
{
	event_note(EVENT_PANIC, NULL, 0, "it goes on in its crash kernel");
	log_guest(&pv->crash_loaded, LOG_WARNING, "guest panicked and goes on in its crash kernel");
}

static void pvpanic_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct pvpanic *pv = arg;

	(void)offset;
	(void)size;
	if (value & PVPANIC_PANICKED)
		machine_report(pv->machine, MACHINE_PANIC, 0, NULL);
	else if (value & PVPANIC_CRASH_LOADED)
		note_crash_kernel(pv);
}

static const struct region_ops pvpanic_region_ops = {
	.read = pvpanic_read,
	.write = pvpanic_write,
};

static void pvpanic_destroy(struct platform_device *dev)
{
	struct pvpanic *pv = container_of(dev, struct pvpanic, dev);

	bus_remove(&pv->machine->pio, &pv->region);
	free(pv);
}

static const struct platform_device_ops pvpanic_ops = { .destroy = pvpanic_destroy };

int pvpanic_create(struct platform_device **out, struct machine *m)
{
	struct pvpanic *pv = calloc(1, sizeof(*pv));

	*out = NULL;
	if (!pv)
		return error_set(ENOMEM, "pvpanic");
	pv->dev = (struct platform_device){ .name = "pvpanic", .ops = &pvpanic_ops };
	pv->machine = m;
	pv->region = (struct region){
		.name = "pvpanic", .base = PORT_PVPANIC, .size = 1,
		.ops = &pvpanic_region_ops, .arg = pv,
	};
	int r = bus_add(&m->pio, &pv->region);
	if (r < 0) {
		free(pv);
		return error_add(r, "pvpanic");
	}
	*out = &pv->dev;
	return 0;
}
