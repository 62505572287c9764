#include "images/payload/lib/run.h"

#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/interrupt.h"
#include "images/payload/lib/print.h"
#include "vmm/machine/layout.h"

void payload_exit(uint32_t status)
{
	print_flush();
	for (;;)
		out32(PORT_EXIT, status);
}

void payload_main(uint64_t cpu)
{
	(void)cpu;
	interrupt_init();
	boot_info_init();
	payload_exit((uint32_t)main());
}
