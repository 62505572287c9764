#include "vmm/machine/fdt.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/machine/layout.h"

static _Alignas(8) uint8_t blob[LAYOUT_ACPI_END - LAYOUT_FDT];
static const uint8_t apic_ids[LAYOUT_MAX_VCPUS] = { 0, 1, 4, 5 };
static const struct memory_extent memory[] = { { 0, LAYOUT_RAM_HOLE }, { GIB(4), GIB(1) } };
static struct acpi_config board;
static struct fdt_config config;
static size_t len;

static void setup(void)
{
	board = (struct acpi_config){ .n_vcpus = 4, .apic_id = apic_ids, .n_virtio_mmio = 3,
				      .has_uart = true, .has_cmos = true, .has_pvpanic = true };
	config = (struct fdt_config){ .board = &board, .memory = memory, .n_memory = 2,
				      .cmdline = "console=hvc0 quiet" };
	memset(blob, 0xa5, sizeof(blob));
}

TestSuite(fdt, .init = setup);

#if HAVE_FDT

#include <libfdt.h>

static void build(void)
{
	cr_assert_eq(fdt_build(blob, sizeof(blob), &config, &len), 0, "%s", error_text());
	cr_assert_eq(fdt_check_header(blob), 0);
	cr_assert_eq(fdt_check_full(blob, len), 0);
	cr_assert_eq(fdt_totalsize(blob), len);
}

static int node(const char *path)
{
	int offset = fdt_path_offset(blob, path);

	cr_assert_geq(offset, 0, "no %s: %s", path, fdt_strerror(offset));
	return offset;
}

static bool has_node(const char *path)
{
	return fdt_path_offset(blob, path) >= 0;
}

static void expect_text(const char *path, const char *name, const char *text)
{
	int n;
	const char *p = fdt_getprop(blob, node(path), name, &n);

	cr_assert_not_null(p, "%s has no %s", path, name);
	cr_expect_eq(n, (int)strlen(text) + 1);
	cr_expect_str_eq(p, text, "%s, %s", path, name);
}

static void expect_cells(const char *path, const char *name, const uint32_t *want, unsigned n_want)
{
	int n;
	const fdt32_t *p = fdt_getprop(blob, node(path), name, &n);

	cr_assert_not_null(p, "%s has no %s", path, name);
	cr_assert_eq(n, (int)(n_want * sizeof(*p)), "%s, %s", path, name);
	for (unsigned i = 0; i < n_want; i++)
		cr_expect_eq(fdt32_to_cpu(p[i]), want[i], "%s, %s, cell %u", path, name, i);
}
#define CELLS(path, name, ...) \
	expect_cells(path, name, (const uint32_t[]){ __VA_ARGS__ }, \
		     ARRAY_SIZE(((const uint32_t[]){ __VA_ARGS__ })))

static unsigned count_compatible(const char *what)
{
	unsigned n = 0;

	for (int at = fdt_node_offset_by_compatible(blob, -1, what); at >= 0;
	     at = fdt_node_offset_by_compatible(blob, at, what))
		n++;
	return n;
}

Test(fdt, describes_processors_and_memory)
{
	build();
	CELLS("/", "#address-cells", 2);
	CELLS("/", "#size-cells", 2);
	expect_text("/chosen", "bootargs", "console=hvc0 quiet");
	CELLS("/memory@0", "reg", 0, 0, 0, 0xc0000000);
	CELLS("/memory@100000000", "reg", 1, 0, 0, 0x40000000);
	expect_text("/memory@0", "device_type", "memory");
	CELLS("/cpus", "#address-cells", 1);
	CELLS("/cpus", "#size-cells", 0);
	for (unsigned i = 0; i < 4; i++) {
		char path[32];
		snprintf(path, sizeof(path), "/cpus/cpu@%x", apic_ids[i]);
		CELLS(path, "reg", apic_ids[i]);
		expect_text(path, "device_type", "cpu");
	}
	cr_expect(!has_node("/cpus/cpu@2"));
}

/* What arch/x86/kernel/devicetree.c looks for, and the controller that every interrupt names. */
Test(fdt, describes_the_interrupt_controllers_as_linux_knows_them)
{
	const char *ioapic = "/interrupt-controller@fec00000";

	build();
	expect_text(ioapic, "compatible", "intel,ce4100-ioapic");
	CELLS(ioapic, "reg", 0, 0xfec00000, 0, 0x1000);
	CELLS(ioapic, "#interrupt-cells", 2);
	cr_expect_not_null(fdt_getprop(blob, node(ioapic), "interrupt-controller", NULL));
	CELLS("/", "interrupt-parent", fdt_get_phandle(blob, node(ioapic)));
	expect_text("/interrupt-controller@fee00000", "compatible", "intel,ce4100-lapic");
	CELLS("/interrupt-controller@fee00000", "reg", 0, 0xfee00000, 0, 0x1000);
}

Test(fdt, describes_each_virtio_mmio_device)
{
	static const unsigned counts[] = { 0, 1, 32, LAYOUT_MAX_VIRTIO_MMIO };

	for (unsigned k = 0; k < ARRAY_SIZE(counts); k++) {
		board.n_virtio_mmio = counts[k];
		build();
		cr_expect_eq(count_compatible("virtio,mmio"), counts[k]);
		for (unsigned i = 0; i < counts[k]; i++) {
			uint32_t base = 0xfe000000 + i * 0x1000;
			char path[32];
			snprintf(path, sizeof(path), "/virtio_mmio@%x", base);
			expect_text(path, "compatible", "virtio,mmio");
			CELLS(path, "reg", 0, base, 0, 0x1000);
			/* Edge-triggered, as the DSDT says. */
			CELLS(path, "interrupts", layout_virtio_mmio_gsi(i), 0);
			cr_expect_not_null(fdt_getprop(blob, node(path), "dma-coherent", NULL));
		}
	}
}

Test(fdt, describes_the_board_s_own_devices_when_they_are_there)
{
	build();
	CELLS("/isa@70", "ranges", 1, 0x70, 0, 0x70, 0xff90);
	CELLS("/isa@70/serial@i3f8", "reg", 1, 0x3f8, 8);
	CELLS("/isa@70/serial@i3f8", "interrupts", 4, 0);
	expect_text("/isa@70/serial@i3f8", "compatible", "ns16550a");
	expect_text("/chosen", "stdout-path", "/isa@70/serial@i3f8");
	CELLS("/isa@70/rtc@i70", "reg", 1, 0x70, 2);
	CELLS("/isa@70/rtc@i70", "interrupts", 8, 0);
	expect_text("/isa@70/rtc@i70", "compatible", "motorola,mc146818");
	CELLS("/isa@70/pvpanic@i505", "reg", 1, 0x505, 1);
	expect_text("/isa@70/pvpanic@i505", "compatible", "qemu,pvpanic-mmio");

	board.has_uart = board.has_pvpanic = false;
	build();
	cr_expect(!has_node("/isa@70/serial@i3f8"));
	cr_expect(!has_node("/isa@70/pvpanic@i505"));
	cr_expect(has_node("/isa@70/rtc@i70"));
	cr_expect_null(fdt_getprop(blob, node("/chosen"), "stdout-path", NULL));
	board.has_cmos = false;
	build();
	cr_expect(!has_node("/isa@70"));
}

Test(fdt, the_largest_machine_fits_and_the_same_machine_gives_the_same_bytes)
{
	static uint8_t other[sizeof(blob)] __attribute__((aligned(8)));
	static char cmdline[2048];
	static uint8_t ids[LAYOUT_MAX_VCPUS];
	size_t other_len;

	for (unsigned i = 0; i < LAYOUT_MAX_VCPUS; i++)
		ids[i] = (uint8_t)(i * 2);
	memset(cmdline, 'x', sizeof(cmdline) - 1);
	board.n_vcpus = LAYOUT_MAX_VCPUS;
	board.apic_id = ids;
	board.n_virtio_mmio = LAYOUT_MAX_VIRTIO_MMIO;
	config.cmdline = cmdline;
	build();
	cr_expect_eq(count_compatible("virtio,mmio"), LAYOUT_MAX_VIRTIO_MMIO);
	/* Another place, size and filling of the buffer. */
	cr_assert_eq(fdt_build(other, sizeof(other) - 4096, &config, &other_len), 0);
	cr_expect_eq(other_len, len);
	cr_expect_arr_eq(other, blob, len);
}

Test(fdt, what_does_not_fit_is_refused_wherever_the_room_ends)
{
	build();
	const size_t needed = len;

	for (size_t size = 0; size < needed; size += 8) {
		memset(blob, 0xa5, sizeof(blob));
		cr_assert_eq(fdt_build(blob, size, &config, &len), -ENOSPC, "%zu bytes", size);
		for (size_t i = size; i < size + 64; i++)
			cr_assert_eq(blob[i], 0xa5, "byte %zu of %zu was written", i, size);
	}
	cr_expect(strstr(error_text(), "3 virtio-mmio devices"), "%s", error_text());
	cr_expect_eq(fdt_build(blob, sizeof(blob), &config, &len), 0);
}

#else

Test(fdt, a_build_without_libfdt_says_so)
{
	cr_expect_eq(fdt_build(blob, sizeof(blob), &config, &len), -ENOSYS);
	cr_expect(strstr(error_text(), "libfdt"), "%s", error_text());
}

#endif
