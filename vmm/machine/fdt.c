#include "vmm/machine/fdt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/error.h"

#if HAVE_FDT

#include <libfdt.h>

#include "vmm/machine/layout.h"

enum {
	PHANDLE_IOAPIC = 1,
	SENSE_EDGE_RISING = 0,	/* second cell of an interrupt, intel,ce4100-ioapic.txt */
	IOAPIC_SIZE = 0x1000,
	LAPIC_SIZE = 0x1000,
	ISA_FIRST = PORT_CMOS,	/* the bus has the ports from here on: address 0 is memory's */
	ISA_END = 0x10000,
	ISA_IO = 1,		/* first cell of an ISA address: a port */
	UART_CLOCK_HZ = 1843200,
};

/* A tree being written.  The first error stays; what follows it has no effect. */
struct tree {
	void *buf;
	int error;
};

static void keep_error(struct tree *t, int r)
{
	if (r < 0 && t->error == 0)
		t->error = r;
}

static void begin(struct tree *t, const char *name)
{
	keep_error(t, fdt_begin_node(t->buf, name));
}

/* "name@1f": the address is the unit's own. */
static void begin_at(struct tree *t, const char *name, uint64_t address)
{
	char text[48];

	snprintf(text, sizeof(text), "%s@%llx", name, (unsigned long long)address);
	begin(t, text);
}

/* "name@i3f8": a port of the ISA bus. */
static void begin_at_port(struct tree *t, const char *name, unsigned port)
{
	char text[48];

	snprintf(text, sizeof(text), "%s@i%x", name, port);
	begin(t, text);
}

static void end(struct tree *t)
{
	keep_error(t, fdt_end_node(t->buf));
}

static void put_empty(struct tree *t, const char *name)
{
	keep_error(t, fdt_property(t->buf, name, NULL, 0));
}

static void put_text(struct tree *t, const char *name, const char *text)
{
	keep_error(t, fdt_property_string(t->buf, name, text));
}

static void put_cell(struct tree *t, const char *name, uint32_t value)
{
	keep_error(t, fdt_property_u32(t->buf, name, value));
}

static void put_cells(struct tree *t, const char *name, const uint32_t *value, unsigned n)
{
	fdt32_t *cell = NULL;

	keep_error(t, fdt_property_placeholder(t->buf, name, (int)(n * sizeof(*cell)),
					       (void **)&cell));
	if (t->error != 0)
		return;
	for (unsigned i = 0; i < n; i++)
		cell[i] = cpu_to_fdt32(value[i]);
}

/* How many cells the addresses and sizes of a node's children have. */
static void put_cell_counts(struct tree *t, uint32_t address, uint32_t size)
{
	put_cell(t, "#address-cells", address);
	put_cell(t, "#size-cells", size);
}

/* A range of the machine's address space: two cells each. */
static void put_reg(struct tree *t, uint64_t base, uint64_t size)
{
	const uint32_t cell[] = { (uint32_t)(base >> 32), (uint32_t)base, (uint32_t)(size >> 32),
				  (uint32_t)size };

	put_cells(t, "reg", cell, ARRAY_SIZE(cell));
}

static void put_ports(struct tree *t, uint32_t port, uint32_t n)
{
	const uint32_t cell[] = { ISA_IO, port, n };

	put_cells(t, "reg", cell, ARRAY_SIZE(cell));
}

static void put_interrupt(struct tree *t, uint32_t gsi)
{
	const uint32_t cell[] = { gsi, SENSE_EDGE_RISING };

	put_cells(t, "interrupts", cell, ARRAY_SIZE(cell));
}

static void write_chosen(struct tree *t, const struct fdt_config *config)
{
	begin(t, "chosen");
	put_text(t, "bootargs", config->cmdline);
	if (config->board->has_uart)
		put_text(t, "stdout-path", "/isa@70/serial@i3f8");
	end(t);
}

static void write_memory(struct tree *t, const struct fdt_config *config)
{
	for (unsigned i = 0; i < config->n_memory; i++) {
		begin_at(t, "memory", config->memory[i].base);
		put_text(t, "device_type", "memory");
		put_reg(t, config->memory[i].base, config->memory[i].size);
		end(t);
	}
}

/* A processor is known by its APIC id. */
static void write_cpus(struct tree *t, const struct acpi_config *board)
{
	begin(t, "cpus");
	put_cell_counts(t, 1, 0);
	for (unsigned i = 0; i < board->n_vcpus; i++) {
		begin_at(t, "cpu", board->apic_id[i]);
		put_text(t, "device_type", "cpu");
		put_cell(t, "reg", board->apic_id[i]);
		end(t);
	}
	end(t);
}

static void write_controller(struct tree *t, const char *compatible, uint64_t base, uint64_t size)
{
	begin_at(t, "interrupt-controller", base);
	put_text(t, "compatible", compatible);
	put_reg(t, base, size);
	put_empty(t, "interrupt-controller");
	put_cell(t, "#interrupt-cells", 2);
	put_cell(t, "#address-cells", 0);
}

static void write_controllers(struct tree *t)
{
	write_controller(t, "intel,ce4100-ioapic", LAYOUT_IOAPIC, IOAPIC_SIZE);
	put_cell(t, "phandle", PHANDLE_IOAPIC);
	end(t);
	write_controller(t, "intel,ce4100-lapic", LAYOUT_LAPIC, LAPIC_SIZE);
	end(t);
}

/* Edge-triggered and shared, as the DSDT has it. */
static void write_virtio_mmio(struct tree *t, unsigned index)
{
	uint64_t base = LAYOUT_VIRTIO_MMIO + index * LAYOUT_VIRTIO_MMIO_STRIDE;

	begin_at(t, "virtio_mmio", base);
	put_text(t, "compatible", "virtio,mmio");
	put_reg(t, base, LAYOUT_VIRTIO_MMIO_STRIDE);
	put_interrupt(t, layout_virtio_mmio_gsi(index));
	put_empty(t, "dma-coherent");
	end(t);
}

static void write_uart(struct tree *t)
{
	begin_at_port(t, "serial", PORT_UART);
	put_text(t, "device_type", "serial");
	put_text(t, "compatible", "ns16550a");
	put_ports(t, PORT_UART, 8);
	put_cell(t, "clock-frequency", UART_CLOCK_HZ);
	put_interrupt(t, GSI_UART);
	end(t);
}

static void write_cmos(struct tree *t)
{
	begin_at_port(t, "rtc", PORT_CMOS);
	put_text(t, "compatible", "motorola,mc146818");
	put_ports(t, PORT_CMOS, 2);
	put_interrupt(t, GSI_CMOS);
	end(t);
}

static void write_pvpanic(struct tree *t)
{
	begin_at_port(t, "pvpanic", PORT_PVPANIC);
	put_text(t, "compatible", "qemu,pvpanic-mmio");
	put_ports(t, PORT_PVPANIC, 1);
	end(t);
}

/* Everything that has ports; the bus shows them at the same numbers. */
static void write_isa(struct tree *t, const struct acpi_config *board)
{
	static const uint32_t ranges[] = { ISA_IO, ISA_FIRST, 0, ISA_FIRST, ISA_END - ISA_FIRST };

	if (!board->has_uart && !board->has_cmos && !board->has_pvpanic)
		return;
	begin_at(t, "isa", ISA_FIRST);
	put_text(t, "device_type", "isa");
	put_text(t, "compatible", "isa");
	put_cell_counts(t, 2, 1);
	put_cells(t, "ranges", ranges, ARRAY_SIZE(ranges));
	if (board->has_uart)
		write_uart(t);
	if (board->has_cmos)
		write_cmos(t);
	if (board->has_pvpanic)
		write_pvpanic(t);
	end(t);
}

static void write_root(struct tree *t, const struct fdt_config *config)
{
	begin(t, "");
	put_text(t, "compatible", "vireo,x86");
	put_text(t, "model", "Vireo");
	put_cell_counts(t, 2, 2);
	put_cell(t, "interrupt-parent", PHANDLE_IOAPIC);
	write_chosen(t, config);
	write_memory(t, config);
	write_cpus(t, config->board);
	write_controllers(t);
	write_isa(t, config->board);
	for (unsigned i = 0; i < config->board->n_virtio_mmio; i++)
		write_virtio_mmio(t, i);
	end(t);
}

int fdt_build(void *buf, size_t size, const struct fdt_config *config, size_t *len)
{
	struct tree t = { .buf = buf };

	keep_error(&t, fdt_create(buf, (int)min_u64(size, INT32_MAX)));
	keep_error(&t, fdt_finish_reservemap(buf));
	write_root(&t, config);
	keep_error(&t, fdt_finish(buf));
	if (t.error == -FDT_ERR_NOSPACE)
		return error_set(ENOSPC, "the device tree for %u CPUs and %u virtio-mmio devices "
				 "does not fit into %zu bytes", config->board->n_vcpus,
				 config->board->n_virtio_mmio, size);
	if (t.error != 0)
		return error_set(EINVAL, "write the device tree: %s", fdt_strerror(t.error));
	*len = fdt_totalsize(buf);
	return 0;
}

#else

int fdt_build(void *buf, size_t size, const struct fdt_config *config, size_t *len)
{
	(void)buf;
	(void)size;
	(void)config;
	(void)len;
	int r = error_set(ENOSYS, "describe the machine in a device tree: this build has no "
			  "libfdt");
	error_hint("install libfdt-dev, then ./configure and make");
	return r;
}

#endif
