/*
 * ACPI fixed hardware: PM1 event and control blocks, PM timer, and the reset register, as the
 * FADT says.  ACPI Specification 6.5, 4.8.3 "PM1 Event/Control Registers", 4.8.3.3 "Power
 * Management Timer", 4.8.3.6 "Reset Register".  The timer's carry is not reported (TMR_STS
 * stays 0): a 32-bit timer that is read as a clock needs none.
 */
#include "devices/platform.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/machine/layout.h"

enum {
	PM1_ENABLE_SHIFT = 16,		/* status and enable share the event block */
	PM1_POWER_BUTTON = 0x0100,
	PM1_ENABLE_WRITABLE = 0x4721,	/* timer, global lock, buttons, RTC, PCIe wake */
	CONTROL_SCI_ENABLE = 0x0001,
	CONTROL_WRITABLE = 0x1c06,	/* BM_RLD, GBL_RLS; SLP_TYP */
	CONTROL_SLEEP_TYPE_SHIFT = 10,
	CONTROL_SLEEP_TYPE = 7,
	CONTROL_SLEEP_ENABLE = 0x2000,	/* write-only */
	PM_TIMER_HZ = 3579545,
	NS_PER_SECOND = 1000000000,
};

struct acpi_pm {
	struct platform_device dev;
	struct machine *machine;
	struct region event, control, timer;
	uint16_t status, enable;
	uint16_t control_value;
	uint64_t start_ns;		/* when the timer was 0 */
};

/* The bits of a register block that an access of 'size' bytes at 'offset' covers. */
static uint32_t access_mask(uint64_t offset, unsigned size)
{
	return (uint32_t)(((UINT64_C(1) << (8 * size)) - 1) << (8 * offset));
}

static void update_sci(struct acpi_pm *pm)
{
	irq_chip_set_line(pm->machine->irq, GSI_SCI, (pm->status & pm->enable) != 0);
}

static uint64_t event_read(void *arg, uint64_t offset, unsigned size)
{
	const struct acpi_pm *pm = arg;

	(void)size;
	return (pm->status | (uint32_t)pm->enable << PM1_ENABLE_SHIFT) >> (8 * offset);
}

static void event_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct acpi_pm *pm = arg;
	uint32_t mask = access_mask(offset, size);
	uint32_t written = (uint32_t)(value << (8 * offset)) & mask;

	pm->status &= (uint16_t)~written;
	pm->enable &= (uint16_t)~(mask >> PM1_ENABLE_SHIFT);
	pm->enable |= (uint16_t)(written >> PM1_ENABLE_SHIFT) & PM1_ENABLE_WRITABLE;
	update_sci(pm);
}

static const struct region_ops event_ops = { .read = event_read, .write = event_write };

static uint64_t control_read(void *arg, uint64_t offset, unsigned size)
{
	const struct acpi_pm *pm = arg;

	(void)size;
	/* There is no legacy mode to leave: the machine is in ACPI mode from the start. */
	return (pm->control_value | CONTROL_SCI_ENABLE) >> (8 * offset);
}

static void control_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	struct acpi_pm *pm = arg;
	uint32_t mask = access_mask(offset, size);
	uint32_t written = (pm->control_value & ~mask) | ((uint32_t)(value << (8 * offset)) & mask);

	pm->control_value = written & CONTROL_WRITABLE;
	if (!(written & CONTROL_SLEEP_ENABLE))
		return;
	/* The DSDT offers no other state. */
	if ((written >> CONTROL_SLEEP_TYPE_SHIFT & CONTROL_SLEEP_TYPE) == ACPI_S5_TYPE)
		machine_report(pm->machine, MACHINE_POWEROFF, 0, NULL);
}

static const struct region_ops control_ops = { .read = control_read, .write = control_write };

static uint64_t timer_read(void *arg, uint64_t offset, unsigned size)
{
	const struct acpi_pm *pm = arg;
	uint64_t ns = clock_now_ns() - pm->start_ns;
	/* Seconds and the rest apart, so that nothing overflows. */
	uint64_t ticks = ns / NS_PER_SECOND * PM_TIMER_HZ +
			 ns % NS_PER_SECOND * PM_TIMER_HZ / NS_PER_SECOND;

	(void)size;
	return (uint32_t)ticks >> (8 * offset);
}

static void timer_write(void *arg, uint64_t offset, unsigned size, uint64_t value)
{
	(void)arg;
	(void)offset;
	(void)size;
	(void)value;
}

static const struct region_ops timer_ops = { .read = timer_read, .write = timer_write };

static void reset_requested(void *arg)
{
	struct acpi_pm *pm = arg;

	machine_report(pm->machine, MACHINE_REBOOT, 0, NULL);
}

static void acpi_pm_reset(struct platform_device *dev)
{
	struct acpi_pm *pm = container_of(dev, struct acpi_pm, dev);

	pm->status = 0;
	pm->enable = 0;
	pm->control_value = 0;
	pm->start_ns = clock_now_ns();
	update_sci(pm);
}

static void acpi_pm_destroy(struct platform_device *dev)
{
	struct acpi_pm *pm = container_of(dev, struct acpi_pm, dev);

	pci_root_on_reset_request(&pm->machine->pci, NULL, NULL);
	bus_remove(&pm->machine->pio, &pm->event);
	bus_remove(&pm->machine->pio, &pm->control);
	bus_remove(&pm->machine->pio, &pm->timer);
	free(pm);
}

static const struct platform_device_ops acpi_pm_ops = {
	.reset = acpi_pm_reset,
	.destroy = acpi_pm_destroy,
};

void acpi_pm_press_power_button(struct platform_device *dev)
{
	struct acpi_pm *pm = container_of(dev, struct acpi_pm, dev);

	pm->status |= PM1_POWER_BUTTON;
	update_sci(pm);
}

int acpi_pm_create(struct platform_device **out, struct machine *m)
{
	struct acpi_pm *pm = calloc(1, sizeof(*pm));

	*out = NULL;
	if (!pm)
		return error_set(ENOMEM, "ACPI power management");
	pm->dev = (struct platform_device){ .name = "acpi-pm", .ops = &acpi_pm_ops };
	pm->machine = m;
	pm->start_ns = clock_now_ns();
	pm->event = (struct region){
		.name = "acpi-pm1-event", .base = PORT_PM1_EVENT, .size = 4,
		.ops = &event_ops, .arg = pm,
	};
	pm->control = (struct region){
		.name = "acpi-pm1-control", .base = PORT_PM1_CONTROL, .size = 2,
		.ops = &control_ops, .arg = pm,
	};
	pm->timer = (struct region){
		.name = "acpi-pm-timer", .base = PORT_PM_TIMER, .size = 4,
		.ops = &timer_ops, .arg = pm,
	};
	pci_root_on_reset_request(&m->pci, reset_requested, pm);
	int r = bus_add(&m->pio, &pm->event);
	if (r == 0)
		r = bus_add(&m->pio, &pm->control);
	if (r == 0)
		r = bus_add(&m->pio, &pm->timer);
	if (r < 0) {
		acpi_pm_destroy(&pm->dev);
		return error_add(r, "ACPI power management");
	}
	*out = &pm->dev;
	return 0;
}
