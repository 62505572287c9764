/*
 * The platform devices of the machine: small port devices that every PC guest expects.  Each is
 * created on the machine's buses and destroyed with the program's list (vmm/vm.c).
 *
 * Creation returns 0 and an owned device, or -errno with an error chain.  Creation, reset and
 * destruction: main thread, machine lock held or vCPUs not running.  Port accesses come with
 * the lock held.
 */
#ifndef DEVICES_PLATFORM_H
#define DEVICES_PLATFORM_H

#include "devices/chardev.h"
#include "vmm/base/util.h"
#include "vmm/machine/machine.h"

struct platform_device;

struct platform_device_ops {
	void (*reset)(struct platform_device *dev);	/* system reset; may be NULL */
	void (*destroy)(struct platform_device *dev);
};

struct platform_device {
	const char *name;
	const struct platform_device_ops *ops;
};

/*
 * 16550A UART at PORT_UART, GSI_UART.  TI PC16550D datasheet.  'chardev' is kept.  The
 * transmitter waits while the host takes nothing; a guest that writes on regardless loses
 * bytes, as on a real line.
 */
MUST_USE int uart16550_create(struct platform_device **out, struct machine *m,
			      struct chardev *chardev);
/*
 * MC146818 real-time clock and CMOS memory at PORT_CMOS, GSI_CMOS for alarm and update-ended
 * interrupts.  The clock is the host's in UTC; what the guest sets changes an offset of its
 * own.  Memory sizes are where a PC BIOS leaves them.
 */
MUST_USE int cmos_create(struct platform_device **out, struct machine *m);
/* i8042: the reset command only.  Reports MACHINE_REBOOT. */
MUST_USE int i8042_create(struct platform_device **out, struct machine *m);
/* pvpanic at PORT_PVPANIC: reports MACHINE_PANIC. */
MUST_USE int pvpanic_create(struct platform_device **out, struct machine *m);
/* Debug console at PORT_DEBUG_CONSOLE: each byte to 'chardev' (kept). */
MUST_USE int debug_console_create(struct platform_device **out, struct machine *m,
				  struct chardev *chardev);
/* Exit port at PORT_EXIT: a 4-byte write reports MACHINE_EXIT with the value. */
MUST_USE int exit_port_create(struct platform_device **out, struct machine *m);
/*
 * ACPI fixed hardware: PM1 event and control (S5 reports MACHINE_POWEROFF), PM timer, reset
 * register (MACHINE_REBOOT), SCI.
 */
MUST_USE int acpi_pm_create(struct platform_device **out, struct machine *m);
/* What the person at the machine does.  'dev' is from acpi_pm_create.  Machine lock held. */
void acpi_pm_press_power_button(struct platform_device *dev);

void platform_device_reset(struct platform_device *dev);
/* NULL is fine. */
void platform_device_destroy(struct platform_device *dev);

#endif
