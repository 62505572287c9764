#include "vmm/report/kernel_slide.h"

#include <string.h>

#include "vmm/machine/x86/page_walk.h"

enum {
	GATE_SIZE = 16,			/* of the IDT in 64-bit mode */
	SLIDE_UNIT = 1 << 21,		/* Linux moves by multiples of it ... */
	SLIDE_MAX = 1 << 30,		/* ... within this range */
};

bool kernel_slide_handler(const struct symbols *symbols, uint64_t *linked)
{
	return symbols_find(symbols, "asm_exc_divide_error", linked) ||
	       symbols_find(symbols, "divide_error", linked);
}

bool kernel_slide(uint64_t linked, const struct guest_memory *mem, const struct cpu_look *look,
		  int64_t *out)
{
	const struct paging paging = { look->cr0, look->cr3, look->cr4, look->efer };
	uint64_t handler = 0, slide;
	uint8_t gate[GATE_SIZE];

	if (look->bits != 64 || look->idt_limit < GATE_SIZE - 1)
		return false;
	if (page_read(mem, &paging, look->idt_base, gate, GATE_SIZE) != GATE_SIZE)
		return false;
	/* Intel SDM volume 3, 7.14.1 "64-Bit Mode IDT": the offset is in two pieces. */
	memcpy(&handler, gate, 2);
	memcpy((uint8_t *)&handler + 2, gate + 6, 6);
	slide = handler - linked;
	if (slide > SLIDE_MAX || slide % SLIDE_UNIT)
		return false;
	*out = (int64_t)slide;
	return true;
}
