/* The UART as drivers use it; the sequences of Linux' 8250 probe are here by name. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "devices/platform.h"
#include "tests/support/fake_machine.h"
#include "vmm/base/fd.h"
#include "vmm/machine/layout.h"

enum {
	DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH,
	FCR = IIR,
	IIR_NONE = 1,
	LSR_READY = 0x01,
	LSR_OVERRUN = 0x02,
	LSR_EMPTY = 0x60,
	DTR_RTS = 0x03,
};

static struct fake_machine *fake;
static struct chardev *chardev;
static struct platform_device *uart;
static int in[2], out[2];

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	fake = fake_machine_create();
	cr_assert_eq(pipe2(in, O_NONBLOCK), 0);
	cr_assert_eq(pipe2(out, O_NONBLOCK), 0);
	const struct chardev_config config = {
		.in_fd = in[0], .out_fd = out[1], .main_loop = fake->m.main_loop,
	};
	cr_assert_eq(chardev_create(&chardev, &config), 0);
	cr_assert_eq(uart16550_create(&uart, &fake->m, chardev), 0);
}

static void tear_down(void)
{
	platform_device_destroy(uart);
	chardev_destroy(chardev);
	for (unsigned i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
	fake_machine_destroy(fake);
}

TestSuite(uart16550, .init = set_up, .fini = tear_down, .timeout = 20);

static uint8_t get(unsigned reg)
{
	return (uint8_t)fake_machine_in(fake, (uint16_t)(PORT_UART + reg), 1);
}

static void set(unsigned reg, unsigned value)
{
	fake_machine_out(fake, (uint16_t)(PORT_UART + reg), 1, value);
}

static bool line(void)
{
	return fake->irq.level[GSI_UART];
}

static void type(const char *text)
{
	cr_assert_eq(write(in[1], text, strlen(text)), (ssize_t)strlen(text));
	fake_machine_pump(fake);
}

static void expect_output(const char *text)
{
	char buf[64] = "";

	cr_expect_eq(read(out[0], buf, sizeof(buf) - 1), (ssize_t)strlen(text));
	cr_expect_str_eq(buf, text);
}

/* --- Registers --- */

Test(uart16550, power_on_state)
{
	cr_expect_eq(get(IER), 0);
	cr_expect_eq(get(IIR), IIR_NONE);
	cr_expect_eq(get(LCR), 0);
	cr_expect_eq(get(MCR), 0);
	cr_expect_eq(get(LSR), LSR_EMPTY);
	cr_expect_eq(get(MSR), 0xb0);
	cr_expect_not(line());
}

Test(uart16550, linux_finds_a_16550a)
{
	/* autoconfig(): IER keeps its four bits, and no others. */
	set(IER, 0);
	cr_expect_eq(get(IER), 0);
	set(IER, 0xff);
	cr_expect_eq(get(IER), 0x0f);
	set(IER, 0);
	/* Scratch register: not an 8250. */
	set(SCRATCH, 0xa5);
	cr_expect_eq(get(SCRATCH), 0xa5);
	/* Loopback: RTS and OUT2 come back as CTS and DCD. */
	set(MCR, 0x10 | 0x0a);
	cr_expect_eq(get(MSR) & 0xf0, 0x90);
	set(MCR, 0);
	/* FIFOs: IIR 11xxxxxx is a 16550A; with 64-byte FIFOs it would be a 16750. */
	set(LCR, 0xbf);
	cr_expect_neq(get(IIR), 0);
	set(LCR, 0);
	set(FCR, 0x01);
	cr_expect_eq(get(IIR) >> 6, 3);
	cr_expect_eq(get(IIR) >> 5, 6);
	set(LCR, 0x80);
	set(FCR, 0x21);
	cr_expect_eq(get(IIR) >> 5, 6);
	set(LCR, 0);
	set(FCR, 0);
	cr_expect_eq(get(IIR) >> 6, 0);
	/* autoconfig_16550a(): no XScale UUE bit. */
	set(IER, 0x40);
	cr_expect_eq(get(IER), 0);
}

Test(uart16550, the_divisor_hides_behind_dlab)
{
	set(LCR, 0x83);
	set(DATA, 0x0c);
	set(IER, 0x01);
	cr_expect_eq(get(DATA), 0x0c);
	cr_expect_eq(get(IER), 0x01);
	set(LCR, 0x03);
	cr_expect_eq(get(IER), 0);
	cr_expect_eq(get(LCR), 0x03);
	cr_expect_eq(read(out[0], &(char){ 0 }, 1), -1, "the divisor is not output");
}

Test(uart16550, wide_accesses_are_several_narrow_ones)
{
	fake_machine_out(fake, PORT_UART + SCRATCH - 1, 2, 0x5a00);
	cr_expect_eq(fake_machine_in(fake, PORT_UART + SCRATCH - 1, 2), 0x5ab0u);
}

/* --- Output --- */

Test(uart16550, bytes_leave_at_once)
{
	set(DATA, 'h');
	set(DATA, 'i');
	expect_output("hi");
	cr_expect_eq(get(LSR), LSR_EMPTY);
}

Test(uart16550, thr_empty_interrupts_when_enabled_and_after_each_byte)
{
	/* Linux' test for the THRE bug: enabling interrupts, each time. */
	for (unsigned i = 0; i < 2; i++) {
		set(IER, 2);
		cr_expect(line());
		cr_expect_eq(get(IIR), 2);
		set(IER, 0);
		cr_expect_not(line());
	}
	set(IER, 2);
	cr_expect_eq(get(IIR), 2);
	/* Reading IIR acknowledged it. */
	cr_expect_eq(get(IIR), IIR_NONE);
	cr_expect_not(line());
	/* A new edge for each byte, also when the last one was not acknowledged. */
	unsigned before = fake->irq.n_rises[GSI_UART];
	set(DATA, 'a');
	set(DATA, 'b');
	cr_expect_eq(fake->irq.n_rises[GSI_UART], before + 2);
	cr_expect(line());
}

static size_t fill_host(void)
{
	size_t n = 0;

	for (; get(LSR) & 0x20; n++)
		set(DATA, 'x');
	return n;
}

Test(uart16550, a_full_host_holds_the_transmitter_until_there_is_room)
{
	char buf[4096];
	size_t n = 0;
	ssize_t r;

	set(FCR, 1);
	size_t sent = fill_host();
	cr_expect_gt(sent, 65536u);
	cr_expect_eq(get(LSR), 0);
	/* 15 more fit into the FIFO; what a guest writes beyond is lost. */
	for (unsigned i = 0; i < 100; i++)
		set(DATA, 'y');
	set(IER, 2);
	cr_expect_not(line());
	for (unsigned i = 0; i < 1000; i++) {
		while ((r = read(out[0], buf, sizeof(buf))) > 0)
			n += (size_t)r;
		fake_machine_pump(fake);
	}
	cr_expect_eq(n, sent + 15);
	cr_expect_eq(get(LSR), LSR_EMPTY);
	cr_expect(line());
}

Test(uart16550, a_host_that_is_gone_holds_nothing)
{
	close(out[0]);
	for (unsigned i = 0; i < 200000; i++)
		set(DATA, 'x');
	cr_expect_eq(get(LSR), LSR_EMPTY);
	out[0] = open("/dev/null", O_RDONLY);
}

Test(uart16550, it_may_go_while_it_waits_for_the_host)
{
	fill_host();
	platform_device_destroy(uart);
	uart = NULL;
	char buf[4096];
	while (read(out[0], buf, sizeof(buf)) > 0)
		fake_machine_pump(fake);
}

/* --- Input --- */

Test(uart16550, input_interrupts_and_is_read_in_order)
{
	set(FCR, 1);
	set(IER, 1);
	type("abc");
	cr_expect(line());
	cr_expect_eq(get(LSR), LSR_EMPTY | LSR_READY);
	for (const char *p = "abc"; *p; p++)
		cr_expect_eq(get(DATA), *p);
	cr_expect_eq(get(LSR), LSR_EMPTY);
	cr_expect_not(line());
	cr_expect_eq(get(DATA), 0);
}

Test(uart16550, below_the_trigger_level_it_is_the_timeout_interrupt)
{
	set(FCR, 0x81);		/* 8 bytes */
	set(IER, 1);
	type("1234567");
	cr_expect_eq(get(IIR), 0xcc);
	type("8");
	cr_expect_eq(get(IIR), 0xc4);
	for (unsigned i = 0; i < 8; i++)
		get(DATA);
	cr_expect_eq(get(IIR), 0xc1);
}

Test(uart16550, more_than_the_fifo_holds_waits_at_the_host)
{
	const char text[] = "the quick brown fox jumps over the lazy dog";
	char got[sizeof(text)] = "";

	set(FCR, 1);
	set(MCR, DTR_RTS);
	type(text);
	for (size_t n = 0; n < strlen(text);) {
		while (n < strlen(text) && (get(LSR) & LSR_READY))
			got[n++] = (char)get(DATA);
		cr_expect_eq(get(LSR) & LSR_OVERRUN, 0);
		fake_machine_pump(fake);
	}
	cr_expect_str_eq(got, text);
}

Test(uart16550, input_waits_for_somebody_who_reads)
{
	type("ab");
	set(MCR, 1);	/* what Linux does for a console that nobody has opened */
	fake_machine_pump(fake);
	cr_expect_eq(get(LSR) & LSR_READY, 0);
	set(MCR, DTR_RTS);
	fake_machine_pump(fake);
	cr_expect_eq(get(DATA), 'a');
	set(MCR, 0);
	set(IER, 1);
	fake_machine_pump(fake);
	cr_expect_eq(get(DATA), 'b');
}

Test(uart16550, without_fifo_mode_there_is_one_byte)
{
	set(IER, 1);
	type("ab");
	cr_expect_eq(get(IIR), 0x04);
	cr_expect_eq(get(DATA), 'a');
	cr_expect_eq(get(LSR) & LSR_READY, 0);
	fake_machine_pump(fake);
	cr_expect_eq(get(DATA), 'b');
}

Test(uart16550, clearing_the_receive_fifo_empties_it)
{
	set(FCR, 1);
	set(MCR, DTR_RTS);
	type("old");
	set(FCR, 3);
	cr_expect_eq(get(LSR) & LSR_READY, 0);
	type("new");
	cr_expect_eq(get(DATA), 'n');
}

/* --- Modem and loopback --- */

Test(uart16550, loopback_returns_what_is_sent_and_overruns)
{
	set(FCR, 1);
	set(MCR, 0x10);
	for (unsigned i = 0; i < 17; i++)
		set(DATA, 'a' + i);
	cr_expect_eq(get(LSR), LSR_EMPTY | LSR_READY | LSR_OVERRUN);
	cr_expect_eq(get(LSR), LSR_EMPTY | LSR_READY, "reading clears the error");
	for (unsigned i = 0; i < 16; i++)
		cr_expect_eq(get(DATA), 'a' + i);
	cr_expect_eq(read(out[0], &(char){ 0 }, 1), -1, "nothing leaves");
	/* The line is disconnected: input waits. */
	type("x");
	cr_expect_eq(get(LSR) & LSR_READY, 0);
	set(MCR, DTR_RTS);
	fake_machine_pump(fake);
	cr_expect_eq(get(DATA), 'x');
}

Test(uart16550, overrun_has_the_highest_interrupt)
{
	set(MCR, 0x10);
	set(IER, 0x0f);
	set(DATA, 'a');
	set(DATA, 'b');
	cr_expect_eq(get(IIR), 0x06);
	get(LSR);
	cr_expect_eq(get(IIR), 0x04);
	get(DATA);
	cr_expect_eq(get(IIR), 0x02);
	/* Loopback itself took CTS, DSR and DCD away. */
	cr_expect_eq(get(IIR), 0x00);
	cr_expect_eq(get(MSR), 0x0b);
	cr_expect_eq(get(IIR), IIR_NONE);
	cr_expect_not(line());
}

Test(uart16550, modem_changes_set_deltas_until_read)
{
	set(MCR, 0x10 | 0x0f);
	cr_expect_eq(get(MSR), 0xf0, "inputs were high but for RI");
	set(MCR, 0x10);
	cr_expect_eq(get(MSR), 0x0f);
	cr_expect_eq(get(MSR), 0x00);
}

/* --- Reset and misuse --- */

Test(uart16550, system_reset_is_power_on)
{
	set(FCR, 1);
	set(IER, 0x0f);
	set(LCR, 0x9b);
	set(MCR, 0x1f);
	type("abc");
	platform_device_reset(uart);
	cr_expect_eq(get(IER), 0);
	cr_expect_eq(get(IIR), IIR_NONE);
	cr_expect_eq(get(LCR), 0);
	cr_expect_eq(get(LSR), LSR_EMPTY);
	cr_expect_eq(get(MSR), 0xb0);
	cr_expect_not(line());
}

Test(uart16550, no_guest_write_upsets_it)
{
	char buf[4096];
	uint32_t seed = 5;

	for (unsigned n = 0; n < 200000; n++) {
		seed = seed * 1664525 + 1013904223;
		unsigned reg = seed >> 8 & 7, size = 1u << (seed >> 11) % 3;
		fake_machine_out(fake, (uint16_t)(PORT_UART + reg), size, seed >> 13);
		fake_machine_in(fake, (uint16_t)(PORT_UART + (seed >> 27 & 7)), size);
		if (n % 500 == 0) {
			cr_assert_gt(write(in[1], "input", 5) + 6, 0);
			fake_machine_pump(fake);
		}
		if (n % 50000 == 0)
			while (read(out[0], buf, sizeof(buf)) > 0)
				;
	}
}
