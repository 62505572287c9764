/*
 * The small devices that every PC has: ACPI tables, UART, clock, PM timer, and ports that nobody
 * has.
 */
#include "images/payload/lib/acpi.h"
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/check.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/interrupt.h"
#include "images/payload/lib/print.h"
#include "vmm/machine/layout.h"

enum {
	UART_DATA = PORT_UART,
	UART_ENABLE = PORT_UART + 1,
	UART_ID = PORT_UART + 2,
	UART_LINE_CONTROL = PORT_UART + 3,
	UART_MODEM_CONTROL = PORT_UART + 4,
	UART_LINE_STATUS = PORT_UART + 5,
	UART_MODEM_STATUS = PORT_UART + 6,
	UART_SCRATCH = PORT_UART + 7,
	VECTOR_UART = 0x60,
};

static void acpi_tables(void)
{
	static const char signature[][5] = { "FACP", "APIC", "MCFG" };
	const struct acpi_header *facp;
	uint32_t dsdt;

	check(acpi_checksum_ok((const void *)boot_info.rsdp, 20), "checksum of the RSDP");
	check(acpi_checksum_ok((const void *)boot_info.rsdp, 36), "extended checksum of the RSDP");
	for (unsigned i = 0; i < 3; i++) {
		const struct acpi_header *h = acpi_find(signature[i]);

		if (check(h != NULL, "no table %s", signature[i]))
			check(acpi_checksum_ok(h, h->length), "checksum of %s", signature[i]);
	}
	facp = acpi_find("FACP");
	if (facp == NULL)
		return;
	memcpy(&dsdt, (const char *)facp + 40, 4);
	check(memcmp((const void *)(uintptr_t)dsdt, "DSDT", 4) == 0, "no DSDT at %x", dsdt);
	check(acpi_checksum_ok((const void *)(uintptr_t)dsdt,
			       ((const struct acpi_header *)(uintptr_t)dsdt)->length),
	      "checksum of the DSDT");
}

static void uart(void)
{
	out8(UART_SCRATCH, 0x5a);
	check_equal(in8(UART_SCRATCH), 0x5a, "UART scratch register");
	out8(UART_LINE_CONTROL, 0x83);
	out8(UART_DATA, 1);
	out8(UART_ENABLE, 0);
	check_equal(in8(UART_DATA), 1, "divisor");
	out8(UART_LINE_CONTROL, 3);
	check_equal(in8(UART_LINE_STATUS) & 0x60, 0x60, "transmitter empty");
	/* What is sent in loop-back is received, and the modem lines are crossed. */
	out8(UART_ID, 7);
	out8(UART_MODEM_CONTROL, 0x1f);
	check_equal(in8(UART_MODEM_STATUS) & 0xf0, 0xf0, "modem lines in loop-back");
	out8(UART_DATA, 'x');
	check(in8(UART_LINE_STATUS) & 1, "nothing received in loop-back");
	check_equal(in8(UART_DATA), 'x', "byte in loop-back");
	out8(UART_MODEM_CONTROL, 0xb);
}

/* Enabling the transmitter interrupt with an empty transmitter brings one at once. */
static void uart_interrupt(void)
{
	lapic_enable();
	ioapic_route(GSI_UART, VECTOR_UART, IOAPIC_EDGE);
	out8(UART_ENABLE, 2);
	check(interrupt_wait(VECTOR_UART, 0, WAIT_LONG), "no UART interrupt");
	check_equal(in8(UART_ID) & 0xf, 2, "interrupt identification");
	check_equal(in8(UART_ID) & 1, 1, "interrupt identification after reading it");
	out8(UART_ENABLE, 0);
	ioapic_mask(GSI_UART);
}

static uint8_t cmos(uint8_t index)
{
	out8(PORT_CMOS, index);
	return in8(PORT_CMOS + 1);
}

static void clock(void)
{
	bool is_bcd = !(cmos(0x0b) & 4);
	uint8_t month = cmos(8), year = cmos(9);

	check(cmos(0x0d) & 0x80, "the clock's battery is empty");
	check_equal(cmos(0x0a) & 0x70, 0x20, "divider of the clock");
	if (is_bcd) {
		month = (uint8_t)((month >> 4) * 10 + (month & 15));
		year = (uint8_t)((year >> 4) * 10 + (year & 15));
	}
	check(month >= 1 && month <= 12 && year >= 24, "date: month %u of year %u", month, year);
	out8(PORT_CMOS, 0x40);
	out8(PORT_CMOS + 1, 0x77);
	check_equal(cmos(0x40), 0x77, "CMOS memory");
}

static void pm_timer(void)
{
	uint32_t first = in32(PORT_PM_TIMER) & 0xffffff, moved;

	WAIT_UNTIL(false, 3000000);	/* a millisecond or so: 3580 ticks */
	moved = (in32(PORT_PM_TIMER) - first) & 0xffffff;
	check(moved > 1000 && moved < 3580 * 1000, "PM timer moved by %u", moved);
}

static void empty_ports(void)
{
	static const uint16_t port[] = { 0x2f8, 0x170, 0x5000, 0xbffe };

	for (unsigned i = 0; i < sizeof(port) / sizeof(port[0]); i++) {
		check_equal(in8(port[i]), 0xff, "port that nobody has, 1 byte");
		check_equal(in16(port[i]), 0xffff, "port that nobody has, 2 bytes");
		out32(port[i], 0);
	}
	check_equal(in32(0x5000), 0xffffffff, "port that nobody has, 4 bytes");
	check_equal(read64(LAYOUT_PCI_MMIO_END - 8), ~0ull, "address that nobody has");
	write64(LAYOUT_PCI_MMIO_END - 8, 0);
	check_equal(in8(PORT_DEBUG_CONSOLE), 0xe9, "debug console");
}

int main(void)
{
	acpi_tables();
	uart();
	uart_interrupt();
	clock();
	pm_timer();
	empty_ports();
	return check_result("platform");
}
