#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/machine/acpi.h"
#include "vmm/machine/acpi_tables.h"
#include "vmm/machine/layout.h"

static struct guest_memory mem;
static uint8_t apic_ids[LAYOUT_MAX_VCPUS];
static struct acpi_config config;

static void setup(void)
{
	static const struct memory_extent extent = { 0, MIB(1) };

	mem = (struct guest_memory)GUEST_MEMORY_INIT;
	cr_assert_eq(guest_memory_create(&mem, &extent, 1), 0);
	for (unsigned i = 0; i < LAYOUT_MAX_VCPUS; i++)
		apic_ids[i] = (uint8_t)i;
	config = (struct acpi_config){ .n_vcpus = 4, .apic_id = apic_ids, .n_virtio_mmio = 3,
				       .has_uart = true, .has_cmos = true, .has_pvpanic = true };
}

static void teardown(void)
{
	guest_memory_destroy(&mem);
}

TestSuite(acpi, .init = setup, .fini = teardown);

static uint8_t sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t s = 0;

	while (len-- > 0)
		s = (uint8_t)(s + *p++);
	return s;
}

/* The table at 'gpa', after the checks that every reader makes. */
static const struct acpi_header *table_at(uint64_t gpa)
{
	const struct acpi_header *h = guest_memory_at(&mem, gpa, sizeof(*h));

	cr_assert_not_null(h, "%#lx", gpa);
	cr_assert(gpa >= LAYOUT_ACPI && gpa + h->length <= LAYOUT_ACPI_END);
	cr_assert_geq(h->length, sizeof(*h));
	cr_assert_eq(sum(h, h->length), 0, "checksum of %.4s", h->signature);
	return h;
}

static const struct acpi_rsdp *rsdp(void)
{
	const struct acpi_rsdp *r = guest_memory_at(&mem, LAYOUT_RSDP, sizeof(*r));

	cr_assert_arr_eq(r->signature, "RSD PTR ", 8);
	cr_assert_eq(sum(r, 20), 0);
	cr_assert_eq(sum(r, sizeof(*r)), 0);
	return r;
}

/* A table by its name, the way an operating system finds it. */
static const void *find_table(const char *signature)
{
	const struct acpi_header *xsdt = table_at(rsdp()->xsdt);

	cr_assert_arr_eq(xsdt->signature, "XSDT", 4);
	for (size_t at = sizeof(*xsdt); at < xsdt->length; at += 8) {
		uint64_t gpa;

		memcpy(&gpa, (const uint8_t *)xsdt + at, sizeof(gpa));
		const struct acpi_header *h = table_at(gpa);
		if (memcmp(h->signature, signature, 4) == 0)
			return h;
	}
	cr_assert(false, "no table %s", signature);
	return NULL;
}

static const struct acpi_header *find_dsdt(void)
{
	const struct acpi_fadt *fadt = find_table("FACP");

	cr_assert_eq(fadt->dsdt, fadt->x_dsdt);
	return table_at(fadt->x_dsdt);
}

static bool dsdt_has(const void *bytes, size_t len)
{
	const struct acpi_header *dsdt = find_dsdt();

	return memmem(dsdt, dsdt->length, bytes, len) != NULL;
}

static void build(void)
{
	cr_assert_eq(acpi_build(&mem, &config), 0, "%s", error_text());
}

Test(acpi, every_table_is_found_and_has_a_right_checksum)
{
	build();
	find_table("FACP");
	find_table("APIC");
	find_table("MCFG");
	cr_assert_arr_eq(find_dsdt()->signature, "DSDT", 4);
}

Test(acpi, fadt_describes_the_layout)
{
	build();
	const struct acpi_fadt *fadt = find_table("FACP");

	cr_expect_eq(fadt->header.revision, 6);
	cr_expect_eq(fadt->sci_int, GSI_SCI);
	cr_expect_eq(fadt->smi_cmd, 0, "always in ACPI mode");
	cr_expect_eq(fadt->pm1a_evt_blk, PORT_PM1_EVENT);
	cr_expect_eq(fadt->x_pm1a_evt_blk.address, PORT_PM1_EVENT);
	cr_expect_eq(fadt->x_pm1a_evt_blk.bit_width, fadt->pm1_evt_len * 8);
	cr_expect_eq(fadt->pm1a_cnt_blk, PORT_PM1_CONTROL);
	cr_expect_eq(fadt->x_pm1a_cnt_blk.bit_width, fadt->pm1_cnt_len * 8);
	cr_expect_eq(fadt->pm_tmr_blk, PORT_PM_TIMER);
	cr_expect_eq(fadt->x_pm_tmr_blk.bit_width, fadt->pm_tmr_len * 8);
	cr_expect_eq(fadt->reset_reg.address, PORT_ACPI_RESET);
	cr_expect_eq(fadt->reset_value, ACPI_RESET_VALUE);
	cr_expect(fadt->flags & 1 << 10, "RESET_REG_SUP");
	cr_expect(!(fadt->flags & 1 << 20), "not HW_REDUCED_ACPI");
	cr_expect(!(fadt->flags & 1 << 4), "the power button is a fixed one");
	cr_expect(!(fadt->iapc_boot_arch & 1 << 1), "no 8042");
	cr_expect(!(fadt->iapc_boot_arch & 1 << 5), "there is a CMOS clock");
}

Test(acpi, fadt_says_when_there_is_no_clock)
{
	config.has_cmos = false;
	build();
	const struct acpi_fadt *fadt = find_table("FACP");

	cr_expect(fadt->iapc_boot_arch & 1 << 5);
	cr_expect_eq(fadt->century, 0);
}

Test(acpi, facs_is_aligned_and_found)
{
	build();
	const struct acpi_fadt *fadt = find_table("FACP");
	const struct acpi_facs *facs = guest_memory_at(&mem, fadt->firmware_ctrl, sizeof(*facs));

	cr_assert_eq(fadt->firmware_ctrl % 64, 0);
	cr_assert_arr_eq(facs->signature, "FACS", 4);
	cr_assert_eq(facs->length, 64);
}

Test(acpi, mcfg_names_ecam_for_bus_0_only)
{
	build();
	const struct acpi_mcfg *mcfg = find_table("MCFG");

	cr_expect_eq(mcfg->ecam, LAYOUT_ECAM);
	cr_expect_eq(mcfg->segment, 0);
	cr_expect_eq(mcfg->first_bus, 0);
	cr_expect_eq(mcfg->last_bus, 0);
	cr_expect_eq(mcfg->header.length, 60);
}

/* Count the MADT's structures of one type, and check that they fill the table exactly. */
static unsigned madt_count(unsigned type)
{
	const struct acpi_madt *madt = find_table("APIC");
	const uint8_t *p = (const uint8_t *)(madt + 1);
	const uint8_t *end = (const uint8_t *)madt + madt->header.length;
	unsigned n = 0;

	for (; p < end; p += p[1]) {
		cr_assert_geq(p[1], 2);
		n += p[0] == type;
	}
	cr_assert_eq(p, end);
	return n;
}

Test(acpi, madt_has_each_processor_once)
{
	build();
	cr_expect_eq(madt_count(0), 4);
	cr_expect_eq(madt_count(9), 0);
	cr_expect_eq(madt_count(1), 1);
	cr_expect_eq(madt_count(2), 2, "PIT and SCI");
	cr_expect_eq(madt_count(4), 1);
}

Test(acpi, madt_uses_x2apic_structures_for_large_ids)
{
	apic_ids[2] = 254;
	apic_ids[3] = 255;
	build();
	cr_expect_eq(madt_count(0), 3);
	cr_expect_eq(madt_count(9), 1);
	cr_expect_eq(madt_count(10), 1);
}

Test(acpi, dsdt_has_only_the_devices_that_exist)
{
	static const uint8_t uart[] = { 0x0c, 0x41, 0xd0, 0x05, 0x01 };	/* PNP0501 */
	static const uint8_t rtc[] = { 0x0c, 0x41, 0xd0, 0x0b, 0x00 };	/* PNP0B00 */

	build();
	cr_expect(dsdt_has(uart, sizeof(uart)));
	cr_expect(dsdt_has(rtc, sizeof(rtc)));
	cr_expect(dsdt_has("QEMU0001", 9));
	cr_expect(dsdt_has("VM02", 4));
	cr_expect(!dsdt_has("VM03", 4));
	config.has_uart = config.has_cmos = config.has_pvpanic = false;
	config.n_virtio_mmio = 0;
	build();
	cr_expect(!dsdt_has(uart, sizeof(uart)));
	cr_expect(!dsdt_has(rtc, sizeof(rtc)));
	cr_expect(!dsdt_has("QEMU0001", 9));
	cr_expect(!dsdt_has("LNRO0005", 9));
}

Test(acpi, largest_machine_fits)
{
	config.n_vcpus = LAYOUT_MAX_VCPUS;
	config.n_virtio_mmio = LAYOUT_MAX_VIRTIO_MMIO;
	build();
	cr_assert_eq(madt_count(0), LAYOUT_MAX_VCPUS);
	cr_assert(dsdt_has("VM7F", 4));
	cr_assert(dsdt_has("CP3F", 4));
}

Test(acpi, too_many_devices_are_an_error)
{
	config.n_virtio_mmio = 10000;
	cr_assert_eq(acpi_build(&mem, &config), -ENOSPC);
	cr_assert(strstr(error_text(), "10000"));
}

Test(acpi, nothing_is_written_outside_the_area)
{
	uint8_t *low = guest_memory_at(&mem, 0, LAYOUT_RSDP);

	config.n_vcpus = LAYOUT_MAX_VCPUS;
	config.n_virtio_mmio = LAYOUT_MAX_VIRTIO_MMIO;
	build();
	for (size_t i = 0; i < LAYOUT_RSDP; i++)
		cr_assert_eq(low[i], 0, "%#zx", i);
}

/* --- Intel's compiler as the second opinion ------------------------------------------------ */

static void save(const char *dir, const char *name, const void *data, size_t len)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s.dat", dir, name);
	FILE *f = fopen(path, "wb");
	cr_assert_not_null(f);
	cr_assert_eq(fwrite(data, len, 1, f), 1);
	fclose(f);
}

/* A PCI function, a virtio-mmio device, and an IOMMU on either bus. */
static struct acpi_endpoint endpoints[] = {
	{ { .is_pci = true, .bdf = 0x18 }, 0x18 }, { { .base = LAYOUT_VIRTIO_MMIO }, 0x10000 },
};
static struct acpi_viot viot = {
	.iommu = { .is_pci = true, .bdf = 0x20 },
	.endpoint = endpoints,
	.n_endpoints = 2,
};

Test(acpi, viot_names_the_iommu_and_who_is_behind_it)
{
	config.viot = &viot;
	build();
	const struct acpi_viot_table *t = find_table("VIOT");
	const struct acpi_viot_iommu_pci *iommu = (const void *)(t + 1);
	const struct acpi_viot_pci_range *range = (const void *)(iommu + 1);
	const struct acpi_viot_mmio_endpoint *mmio = (const void *)(range + 1);

	cr_expect_eq(t->node_count, 3);
	cr_expect_eq(t->node_offset, 48);
	cr_expect_eq(t->header.length, 48 + 16 + 24 + 24);
	cr_expect(iommu->type == 3 && iommu->length == 16 && iommu->bdf == 0x20);
	cr_expect(range->type == 1 && range->length == 24 && range->output_node == 48);
	cr_expect(range->bdf_start == 0x18 && range->bdf_end == 0x18);
	cr_expect_eq(range->endpoint_start, 0x18);
	cr_expect(mmio->type == 2 && mmio->length == 24 && mmio->output_node == 48);
	cr_expect(mmio->endpoint == 0x10000 && mmio->base == LAYOUT_VIRTIO_MMIO);
	viot.iommu = (struct acpi_place){ .base = LAYOUT_VIRTIO_MMIO };
	build();
	const struct acpi_viot_iommu_mmio *other = (const void *)(t + 1);

	cr_expect(other->type == 4 && other->length == 16 && other->base == LAYOUT_VIRTIO_MMIO);
}

static int run(const char *dir, const char *command)
{
	char line[256];

	snprintf(line, sizeof(line), "cd '%s' && %s >log 2>&1", dir, command);
	return system(line);
}

/* Disassemble the table, compile the source again, and compare all but the header. */
static void round_trip(const char *dir, const char *name, const struct acpi_header *table)
{
	static uint8_t again[1 << 17];
	char command[128], path[128];

	save(dir, name, table, table->length);
	snprintf(command, sizeof(command), "iasl -d %s.dat", name);
	cr_assert_eq(run(dir, command), 0, "%s", command);
	snprintf(command, sizeof(command), "iasl -p again %s.dsl", name);
	cr_assert_eq(run(dir, command), 0, "%s", command);
	/* Remarks ("control method should be ...") are matters of taste; warnings are not. */
	cr_assert_eq(run(dir, "grep -qE '(Warning|Error) +[0-9]+' log && exit 1 || exit 0"), 0,
		     "iasl complains about %s", name);

	snprintf(path, sizeof(path), "%s/again.aml", dir);
	FILE *f = fopen(path, "rb");
	cr_assert_not_null(f);
	size_t n = fread(again, 1, sizeof(again), f);
	fclose(f);
	cr_assert_eq(n, table->length, "%s: iasl makes %zu bytes, we %u", name, n, table->length);
	cr_assert_arr_eq(again + sizeof(*table), table + 1, n - sizeof(*table), "%s differs", name);
	unlink(path);
}

/* Two nodes; the second one's memory is on both sides of the hole. */
static struct numa numa = { .n_nodes = 2, .memory = { MIB(1) / 2, MIB(1) / 2 + MIB(2) },
			    .node_of = { 0, 1, 0, 1 } };

static void add_high_memory(void)
{
	static const struct memory_extent extent[] = { { 0, MIB(1) }, { GIB(4), MIB(2) } };

	guest_memory_destroy(&mem);
	cr_assert_eq(guest_memory_create(&mem, extent, 2), 0);
}

Test(acpi, srat_says_which_node_cpus_and_memory_belong_to)
{
	static const uint64_t expected[3][3] = {	/* node, base, size */
		{ 0, 0, MIB(1) / 2 }, { 1, MIB(1) / 2, MIB(1) / 2 }, { 1, GIB(4), MIB(2) },
	};
	unsigned cpus = 0, pieces = 0;

	add_high_memory();
	apic_ids[3] = 255;
	config.numa = &numa;
	build();
	const uint8_t *srat = find_table("SRAT");
	size_t len = ((const struct acpi_header *)srat)->length;

	for (size_t at = sizeof(struct acpi_srat); at < len; at += srat[at + 1]) {
		const struct acpi_srat_memory *m = (const void *)(srat + at);
		const struct acpi_srat_lapic *lapic = (const void *)(srat + at);
		const struct acpi_srat_x2apic *x2apic = (const void *)(srat + at);

		cr_assert_gt(srat[at + 1], 0);
		if (m->type == 1) {
			cr_assert_lt(pieces, 3);
			cr_expect_eq(m->node, expected[pieces][0]);
			cr_expect_eq(m->base, expected[pieces][1]);
			cr_expect_eq(m->size, expected[pieces++][2]);
			cr_expect_eq(m->flags, 1);
		} else if (lapic->type == 0) {
			cr_expect_eq(lapic->apic_id, cpus);
			cr_expect_eq(lapic->node, cpus++ % 2);
		} else {
			cr_expect_eq(x2apic->type, 2);
			cr_expect_eq(x2apic->apic_id, 255);
			cr_expect_eq(x2apic->node, cpus++ % 2);
		}
	}
	cr_expect_eq(cpus, 4);
	cr_expect_eq(pieces, 3);
}

Test(acpi, slit_says_that_other_nodes_are_farther)
{
	static const uint8_t expected[] = { 10, 20, 20, 10 };

	add_high_memory();
	config.numa = &numa;
	build();
	const struct acpi_slit *slit = find_table("SLIT");

	cr_expect_eq(slit->n_nodes, 2);
	cr_expect_eq(slit->header.length, sizeof(*slit) + 4);
	cr_expect_arr_eq(slit + 1, expected, 4);
}

Test(acpi, iasl_compiles_its_disassembly_to_the_same_bytes, .timeout = 60)
{
	char where[64], command[80];
	const char *tmp = getenv("TMPDIR");

	if (system("iasl -v >/dev/null 2>&1") != 0)
		cr_skip_test("iasl: not installed (acpica-tools)");
	snprintf(where, sizeof(where), "%.32s/acpi_test.XXXXXX", tmp ? tmp : P_tmpdir);
	cr_assert_not_null(mkdtemp(where));
	apic_ids[LAYOUT_MAX_VCPUS - 1] = 255;
	config.n_vcpus = LAYOUT_MAX_VCPUS;
	config.n_virtio_mmio = LAYOUT_MAX_VIRTIO_MMIO;
	config.viot = &viot;
	config.numa = &numa;
	build();
	/* Older ones (before 2021) know no VIOT. */
	if (run(where, "iasl -T VIOT") == 0)
		round_trip(where, "viot", find_table("VIOT"));
	round_trip(where, "dsdt", find_dsdt());
	round_trip(where, "facp", find_table("FACP"));
	round_trip(where, "apic", find_table("APIC"));
	round_trip(where, "mcfg", find_table("MCFG"));
	round_trip(where, "srat", find_table("SRAT"));
	round_trip(where, "slit", find_table("SLIT"));
	snprintf(command, sizeof(command), "rm -r '%s'", where);
	cr_expect_eq(system(command), 0);
}
