/* The ways in which a machine can end, one for each value of end=. */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/interrupt.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/run.h"
#include "vmm/machine/layout.h"

enum { PVPANIC_PANICKED = 1, SLEEP_ENABLE = 0x2000, RESET_COMMAND = 0xfe };

int main(void)
{
	uint64_t until;

	print("now: %s\n", boot_info.cmdline);
	if (!option_given("end"))
		return EXIT_ALIVE;
	if (option_is("end", "triple-fault"))
		call_kernel(kernel_triple_fault);
	if (option_is("end", "halt"))
		call_kernel(kernel_halt_for_ever);
	if (option_is("end", "poweroff"))
		out16(PORT_PM1_CONTROL, SLEEP_ENABLE | ACPI_S5_TYPE << 10);
	if (option_is("end", "reboot"))
		out8(PORT_ACPI_RESET, ACPI_RESET_VALUE);
	if (option_is("end", "i8042"))
		out8(PORT_I8042_COMMAND, RESET_COMMAND);
	if (option_is("end", "panic"))
		out8(PORT_PVPANIC, PVPANIC_PANICKED);
	if (option_is("end", "spin")) {
		for (;;)
			pause();
	}
	/* The machine may need a moment to end; longer means that it does not. */
	until = cycles() + WAIT_LONG;
	while (cycles() < until)
		pause();
	return EXIT_ALIVE;
}
