#include "vmm/dump_dtb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/guest_cmdline.h"
#include "vmm/machine/fdt.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/ram_layout.h"
#include "vmm/machine/x86/topology.h"

/* As much as there is in the guest. */
enum { TREE_SIZE = LAYOUT_ACPI_END - LAYOUT_FDT };
/* More than any processor has; whether this host's can do it shows when the guest is run. */
enum { PHYS_BITS = 52 };

static int write_file(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "we");
	int r = 0;

	if (!f)
		return error_set(errno, "open '%s'", path);
	if (fwrite(data, 1, len, f) != len)
		r = error_set(errno, "write '%s'", path);
	if (fclose(f) != 0 && r == 0)
		r = error_set(errno, "write '%s'", path);
	return r;
}

static int build(const struct vm_config *c, const char *cmdline, void *tree, size_t *len)
{
	struct memory_extent memory[RAM_LAYOUT_MAX_EXTENTS];
	uint8_t apic_id[LAYOUT_MAX_VCPUS];
	struct topology topology;
	const struct acpi_config board = {
		.n_vcpus = c->cpus,
		.apic_id = apic_id,
		.n_virtio_mmio = config_count_mmio(c),
		.has_uart = c->serial.kind != TARGET_OFF,
		.has_cmos = true,
		.has_pvpanic = true,
	};
	struct fdt_config config = { .board = &board, .memory = memory, .cmdline = cmdline };
	int r = topology_init(&topology, c->cpus, c->threads, c->cores);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < c->cpus; i++)
		apic_id[i] = (uint8_t)topology_apic_id(&topology, i);
	r = ram_layout(memory, c->memory, PHYS_BITS);
	if (r < 0)
		return r;
	config.n_memory = (unsigned)r;
	return fdt_build(tree, TREE_SIZE, &config, len);
}

int dump_dtb(const struct vm_config *config, const char *path)
{
	char *cmdline = NULL;
	void *tree = malloc(TREE_SIZE);
	size_t len;
	int r;

	if (!tree)
		return error_set(ENOMEM, "write the device tree");
	r = guest_cmdline_build(&cmdline, config, config_count_mmio(config));
	if (r == 0)
		r = build(config, cmdline, tree, &len);
	if (r == 0)
		r = write_file(path, tree, len);
	free(cmdline);
	free(tree);
	return r;
}
