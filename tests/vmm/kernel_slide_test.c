#include "vmm/report/kernel_slide.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/fd.h"

static struct guest_memory mem;
static struct symbols *symbols;
static struct cpu_look look = { .bits = 64, .idt_base = 0x1000, .idt_limit = 0xfff };
static uint64_t linked;
static int64_t slide;

static void setup(void)
{
	const struct memory_extent extent = { 0, 1 << 20 };
	char path[] = "/tmp/slide-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");

	fputs("ffffffff81000000 T _stext\nffffffff81a00230 T asm_exc_divide_error\n", f);
	fclose(f);
	mem = (struct guest_memory)GUEST_MEMORY_INIT;
	cr_assert_eq(guest_memory_create(&mem, &extent, 1), 0);
	cr_assert_eq(symbols_open(&symbols, path), 0);
	unlink(path);
	cr_assert(kernel_slide_handler(symbols, &linked));
}

static void teardown(void)
{
	symbols_close(symbols);
	guest_memory_destroy(&mem);
}

TestSuite(kernel_slide, .init = setup, .fini = teardown);

/* Paging is off: the table is where its base says. */
static bool with_handler(uint64_t at)
{
	uint8_t *gate = guest_memory_at(&mem, 0x1000, 16);

	memset(gate, 0xcc, 16);
	memcpy(gate, &at, 2);
	memcpy(gate + 6, (uint8_t *)&at + 2, 6);
	return kernel_slide(linked, &mem, &look, &slide);
}

Test(kernel_slide, is_told_by_the_first_handler)
{
	cr_assert(with_handler(0xffffffff81a00230));
	cr_expect_eq(slide, 0);
	cr_assert(with_handler(0xffffffff81a00230 + 0x2e600000));
	cr_expect_eq(slide, 0x2e600000);
}

Test(kernel_slide, of_what_no_kernel_does_is_unknown)
{
	cr_expect_not(with_handler(0));
	cr_expect_not(with_handler(0xffffffff81a00231));
	cr_expect_not(with_handler(0xffffffff81a00230 - 0x200000));
	cr_expect_not(with_handler(0xffffffff81a00230 + 0x60000000));
	cr_assert(with_handler(0xffffffff81a00230));
	look.idt_base = UINT64_MAX - 3;
	cr_expect_not(kernel_slide(linked, &mem, &look, &slide));
	look.idt_base = 0x1000;
	look.idt_limit = 8;
	cr_expect_not(kernel_slide(linked, &mem, &look, &slide));
}
