#include "images/payload/lib/second_cpu.h"

#include "images/payload/lib/acpi.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/interrupt.h"
#include "images/payload/lib/smp.h"

static void (*volatile current)(void);
static volatile bool is_idle;

static void second_main(uint64_t cpu)
{
	(void)cpu;
	for (;;) {
		void (*f)(void) = current;

		if (f != NULL)
			f();
		else
			is_idle = true;
		pause();
	}
}

bool second_cpu_start(void)
{
	static bool is_running;
	uint32_t id[MAX_CPUS];

	if (is_running)
		return true;
	if (acpi_processors(id, MAX_CPUS) < 2)
		return false;
	lapic_enable();
	smp_start(id + 1, 1, second_main);
	is_running = WAIT_UNTIL(is_idle, WAIT_LONG);
	return is_running;
}

void second_cpu_do(void (*job)(void))
{
	current = job;
}

bool second_cpu_stop(void)
{
	current = NULL;
	is_idle = false;
	return WAIT_UNTIL(is_idle, WAIT_LONG);
}
