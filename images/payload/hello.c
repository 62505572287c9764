/* The least useful thing: prove that the machine runs code, prints and ends as told. */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/print.h"
#include "images/payload/lib/run.h"
#include "vmm/machine/layout.h"

int main(void)
{
	static const char serial[] = "hello from COM1\n";

	print("hello from the debug console\n");
	print("command line: '%s'\n", boot_info.cmdline);
	print("start info version %u, root at %lx, %u ranges\n", boot_info.version, boot_info.rsdp,
	      boot_info.n_ranges);
	for (const char *s = serial; *s != '\0'; s++)
		out8(PORT_UART, (uint8_t)*s);
	return 0;
}
