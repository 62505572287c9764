#include "vmm/machine/acpi.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/machine/acpi_dsdt.h"
#include "vmm/machine/acpi_tables.h"
#include "vmm/machine/layout.h"

/* FADT, table 5.10 "Fixed ACPI Description Table Fixed Feature Flags". */
enum {
	FADT_WBINVD = 1 << 0,
	FADT_PROC_C1 = 1 << 2,
	/* bit 4 clear: the power button is a fixed feature (PM1 status bit 8) */
	FADT_NO_FIXED_SLEEP_BUTTON = 1 << 5,
	FADT_NO_FIXED_RTC_WAKE = 1 << 6,
	FADT_RESET_REG = 1 << 10,
};

/*
 * Table 5.11 "IA-PC Boot Architecture Flags".  Bit 1 clear: no 8042, so that nobody probes for
 * one.
 */
enum {
	IAPC_LEGACY_DEVICES = 1 << 0,
	IAPC_NO_VGA = 1 << 2,
	IAPC_NO_ASPM = 1 << 4,
	IAPC_NO_CMOS_RTC = 1 << 5,
};

enum {
	SPACE_PORTS = 1,
	ACCESS_BYTE = 1, ACCESS_WORD = 2, ACCESS_DWORD = 3,
	MADT_PCAT_COMPAT = 1,		/* there are two 8259 as well */
	MADT_ENABLED = 1,
	MADT_LEVEL_HIGH = 3 << 2 | 1,	/* 5.2.12.5, MPS INTI flags */
	LINT_NMI = 1,
	LAPIC_MAX_ID = 254,		/* 255 is the broadcast id: x2APIC structures from there */
	CMOS_CENTURY = 0x32,
	SRAT_ENABLED = 1,
	SLIT_HERE = 10, SLIT_ELSEWHERE = 20,
	MAX_LATENCY = 0xffff,		/* C2 and C3 are not supported */
};

/* The area that the tables go to, filled from its beginning. */
struct area {
	gpa_t base;
	uint8_t *host;
	size_t size, used;
	bool failed;
};

/* Append 'len' bytes; returns their guest address. */
static gpa_t append(struct area *area, const void *data, size_t len)
{
	gpa_t gpa = area->base + area->used;

	if (!range_inside(area->used, len, area->size)) {
		area->failed = true;
		return 0;
	}
	memcpy(area->host + area->used, data, len);
	area->used += len;
	return gpa;
}

static void align(struct area *area, size_t alignment)
{
	size_t used = align_up(area->base + area->used, alignment) - area->base;

	if (used > area->size)
		area->failed = true;
	else
		area->used = used;
}

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	while (len-- > 0)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

static struct acpi_header make_header(const char *signature, uint8_t revision, size_t length)
{
	struct acpi_header h = {
		.length = (uint32_t)length,
		.revision = revision,
		.oem_revision = 1,
		.creator_revision = 1,
	};

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_id, "VIREO ", sizeof(h.oem_id));
	memcpy(h.oem_table_id, "VIREO   ", sizeof(h.oem_table_id));
	memcpy(h.creator_id, "VIRE", sizeof(h.creator_id));
	return h;
}

/*
 * Make everything from 'gpa' to the end of the area one table: its header gets length and
 * checksum.
 */
static void finish(const struct area *area, gpa_t gpa)
{
	uint8_t *p;
	uint32_t length;

	if (area->failed)
		return;
	p = area->host + (gpa - area->base);
	length = (uint32_t)(area->base + area->used - gpa);
	memcpy(p + offsetof(struct acpi_header, length), &length, sizeof(length));
	p[offsetof(struct acpi_header, checksum)] = 0;
	p[offsetof(struct acpi_header, checksum)] = checksum(p, length);
}

static gpa_t write_facs(struct area *area)
{
	struct acpi_facs facs = { .length = sizeof(facs), .version = 2 };

	memcpy(facs.signature, "FACS", sizeof(facs.signature));
	align(area, 64);
	return append(area, &facs, sizeof(facs));
}

static gpa_t write_dsdt(struct area *area, const struct acpi_config *config)
{
	/* Revision 2: integers have 64 bits. */
	struct acpi_header header = make_header("DSDT", 2, sizeof(header));
	struct aml aml;
	gpa_t gpa;

	align(area, 16);
	gpa = append(area, &header, sizeof(header));
	aml_init(&aml, area->host + area->used, area->size - area->used);
	acpi_dsdt_write(&aml, config);
	if (aml_failed(&aml))
		area->failed = true;
	area->used += aml.len;
	finish(area, gpa);
	return gpa;
}

static struct acpi_address port(uint16_t address, uint8_t bits, uint8_t access)
{
	return (struct acpi_address){
		.space = SPACE_PORTS,
		.bit_width = bits,
		.access_size = access,
		.address = address,
	};
}

/*
 * SMI_CMD 0 means that the machine is in ACPI mode for good (5.2.9): SCI_EN reads as set.  The PM
 * timer has 24 bits that count.
 */
static gpa_t write_fadt(struct area *area, const struct acpi_config *config, gpa_t facs, gpa_t dsdt)
{
	struct acpi_fadt fadt = {
		.header = make_header("FACP", 6, sizeof(fadt)),
		.minor_revision = 5,
		.firmware_ctrl = (uint32_t)facs,
		.dsdt = (uint32_t)dsdt,
		.x_dsdt = dsdt,
		.sci_int = GSI_SCI,
		.pm1a_evt_blk = PORT_PM1_EVENT,
		.pm1_evt_len = 4,
		.x_pm1a_evt_blk = port(PORT_PM1_EVENT, 32, ACCESS_WORD),
		.pm1a_cnt_blk = PORT_PM1_CONTROL,
		.pm1_cnt_len = 2,
		.x_pm1a_cnt_blk = port(PORT_PM1_CONTROL, 16, ACCESS_WORD),
		.pm_tmr_blk = PORT_PM_TIMER,
		.pm_tmr_len = 4,
		.x_pm_tmr_blk = port(PORT_PM_TIMER, 32, ACCESS_DWORD),
		.p_lvl2_lat = MAX_LATENCY,
		.p_lvl3_lat = MAX_LATENCY,
		.century = config->has_cmos ? CMOS_CENTURY : 0,
		.iapc_boot_arch = (uint16_t)(IAPC_NO_VGA | IAPC_NO_ASPM |
					     (config->has_uart ? IAPC_LEGACY_DEVICES : 0) |
					     (config->has_cmos ? 0 : IAPC_NO_CMOS_RTC)),
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_FIXED_SLEEP_BUTTON |
			 FADT_NO_FIXED_RTC_WAKE | FADT_RESET_REG,
		.reset_reg = port(PORT_ACPI_RESET, 8, ACCESS_BYTE),
		.reset_value = ACPI_RESET_VALUE,
	};
	gpa_t gpa;

	memcpy(&fadt.hypervisor_vendor, "Vireo\0\0", sizeof(fadt.hypervisor_vendor));
	align(area, 16);
	gpa = append(area, &fadt, sizeof(fadt));
	finish(area, gpa);
	return gpa;
}

static bool write_madt_cpus(struct area *area, const struct acpi_config *config)
{
	bool has_x2apic = false;

	for (unsigned i = 0; i < config->n_vcpus; i++) {
		struct acpi_madt_lapic lapic = { 0, sizeof(lapic), (uint8_t)i, config->apic_id[i],
						 MADT_ENABLED };
		struct acpi_madt_x2apic x2apic = { .type = 9, .length = sizeof(x2apic),
						   .apic_id = config->apic_id[i],
						   .flags = MADT_ENABLED, .uid = i };

		if (config->apic_id[i] <= LAPIC_MAX_ID) {
			append(area, &lapic, sizeof(lapic));
		} else {
			append(area, &x2apic, sizeof(x2apic));
			has_x2apic = true;
		}
	}
	return has_x2apic;
}

static gpa_t write_madt(struct area *area, const struct acpi_config *config)
{
	static const struct acpi_madt_ioapic ioapic = { 1, sizeof(ioapic), 0, 0, LAYOUT_IOAPIC, 0 };
	/*
	 * The PIT reaches input 2 of the IOAPIC; the SCI is level-triggered, other ISA lines are
	 * not.
	 */
	static const struct acpi_madt_override pit = { 2, sizeof(pit), 0, 0, 2, 0 };
	static const struct acpi_madt_override sci = { 2, sizeof(sci), 0, GSI_SCI, GSI_SCI,
						       MADT_LEVEL_HIGH };
	static const struct acpi_madt_lapic_nmi nmi = { 4, sizeof(nmi), UINT8_MAX, 0, LINT_NMI };
	static const struct acpi_madt_x2apic_nmi x2apic_nmi = {
		.type = 10, .length = sizeof(x2apic_nmi), .uid = UINT32_MAX, .lint = LINT_NMI,
	};
	struct acpi_madt madt = {
		.header = make_header("APIC", 6, sizeof(madt)),
		.local_apic = (uint32_t)LAYOUT_LAPIC,
		.flags = MADT_PCAT_COMPAT,
	};
	gpa_t gpa;

	align(area, 16);
	gpa = append(area, &madt, sizeof(madt));
	bool has_x2apic = write_madt_cpus(area, config);
	append(area, &ioapic, sizeof(ioapic));
	append(area, &pit, sizeof(pit));
	append(area, &sci, sizeof(sci));
	append(area, &nmi, sizeof(nmi));
	if (has_x2apic)
		append(area, &x2apic_nmi, sizeof(x2apic_nmi));
	finish(area, gpa);
	return gpa;
}

static gpa_t write_mcfg(struct area *area)
{
	struct acpi_mcfg mcfg = {
		.header = make_header("MCFG", 1, sizeof(mcfg)),
		.ecam = LAYOUT_ECAM,
	};
	gpa_t gpa;

	align(area, 16);
	gpa = append(area, &mcfg, sizeof(mcfg));
	finish(area, gpa);
	return gpa;
}

static void write_viot_iommu(struct area *area, const struct acpi_place *place)
{
	const struct acpi_viot_iommu_pci pci = {
		.type = ACPI_VIOT_VIRTIO_IOMMU_PCI, .length = sizeof(pci), .bdf = place->bdf,
	};
	const struct acpi_viot_iommu_mmio mmio = {
		.type = ACPI_VIOT_VIRTIO_IOMMU_MMIO, .length = sizeof(mmio), .base = place->base,
	};

	if (place->is_pci)
		append(area, &pci, sizeof(pci));
	else
		append(area, &mmio, sizeof(mmio));
}

/* The IOMMU's node is the first one. */
static void write_viot_endpoint(struct area *area, const struct acpi_endpoint *endpoint)
{
	const struct acpi_viot_pci_range pci = {
		.type = ACPI_VIOT_PCI_RANGE,
		.length = sizeof(pci),
		.endpoint_start = endpoint->id,
		.bdf_start = endpoint->place.bdf,
		.bdf_end = endpoint->place.bdf,
		.output_node = sizeof(struct acpi_viot_table),
	};
	const struct acpi_viot_mmio_endpoint mmio = {
		.type = ACPI_VIOT_MMIO_ENDPOINT,
		.length = sizeof(mmio),
		.endpoint = endpoint->id,
		.base = endpoint->place.base,
		.output_node = sizeof(struct acpi_viot_table),
	};

	if (endpoint->place.is_pci)
		append(area, &pci, sizeof(pci));
	else
		append(area, &mmio, sizeof(mmio));
}

static gpa_t write_viot(struct area *area, const struct acpi_viot *viot)
{
	struct acpi_viot_table table = {
		.header = make_header("VIOT", 0, sizeof(table)),
		.node_count = (uint16_t)(viot->n_endpoints + 1),
		.node_offset = sizeof(table),
	};
	gpa_t gpa;

	align(area, 16);
	gpa = append(area, &table, sizeof(table));
	write_viot_iommu(area, &viot->iommu);
	for (unsigned i = 0; i < viot->n_endpoints; i++)
		write_viot_endpoint(area, &viot->endpoint[i]);
	finish(area, gpa);
	return gpa;
}

static void write_srat_cpu(struct area *area, uint8_t apic_id, uint8_t node)
{
	const struct acpi_srat_lapic lapic = {
		.length = sizeof(lapic), .node = node, .apic_id = apic_id, .flags = SRAT_ENABLED,
	};
	const struct acpi_srat_x2apic x2apic = {
		.type = 2, .length = sizeof(x2apic), .node = node, .apic_id = apic_id,
		.flags = SRAT_ENABLED,
	};

	if (apic_id <= LAPIC_MAX_ID)
		append(area, &lapic, sizeof(lapic));
	else
		append(area, &x2apic, sizeof(x2apic));
}

/* The nodes' shares of RAM, each in as many pieces as the holes make of it. */
static void write_srat_memory(struct area *area, const struct guest_memory *mem,
			      const struct numa *numa)
{
	unsigned region = 0;
	uint64_t used = 0;		/* of the region */

	for (unsigned node = 0; node < numa->n_nodes; node++) {
		uint64_t left = numa->memory[node];

		while (left > 0 && region < mem->n_regions) {
			uint64_t piece = min_u64(left, mem->region[region].size - used);
			const struct acpi_srat_memory memory = {
				.type = 1, .length = sizeof(memory), .node = node,
				.base = mem->region[region].base + used, .size = piece,
				.flags = SRAT_ENABLED,
			};

			append(area, &memory, sizeof(memory));
			left -= piece;
			used += piece;
			if (used == mem->region[region].size)
				region++, used = 0;
		}
	}
}

static gpa_t write_srat(struct area *area, const struct guest_memory *mem,
			const struct acpi_config *config)
{
	const struct acpi_srat srat = {
		.header = make_header("SRAT", 3, sizeof(srat)), .reserved1 = 1,
	};
	gpa_t gpa;

	align(area, 16);
	gpa = append(area, &srat, sizeof(srat));
	for (unsigned i = 0; i < config->n_vcpus; i++)
		write_srat_cpu(area, config->apic_id[i], config->numa->node_of[i]);
	write_srat_memory(area, mem, config->numa);
	finish(area, gpa);
	return gpa;
}

static gpa_t write_slit(struct area *area, unsigned n_nodes)
{
	const struct acpi_slit slit = {
		.header = make_header("SLIT", 1, sizeof(slit)), .n_nodes = n_nodes,
	};
	gpa_t gpa;

	align(area, 16);
	gpa = append(area, &slit, sizeof(slit));
	for (unsigned i = 0; i < n_nodes * n_nodes; i++) {
		uint8_t distance = i / n_nodes == i % n_nodes ? SLIT_HERE : SLIT_ELSEWHERE;
		append(area, &distance, 1);
	}
	finish(area, gpa);
	return gpa;
}

static gpa_t write_xsdt(struct area *area, const gpa_t *table, unsigned n)
{
	struct acpi_header header = make_header("XSDT", 1, sizeof(header));
	gpa_t gpa;

	align(area, 16);
	gpa = append(area, &header, sizeof(header));
	append(area, table, n * sizeof(*table));
	finish(area, gpa);
	return gpa;
}

static void write_rsdp(uint8_t *host, gpa_t xsdt)
{
	struct acpi_rsdp rsdp = { .revision = 2, .length = sizeof(rsdp), .xsdt = xsdt };

	memcpy(rsdp.signature, "RSD PTR ", sizeof(rsdp.signature));
	memcpy(rsdp.oem_id, "VIREO ", sizeof(rsdp.oem_id));
	rsdp.checksum = checksum(&rsdp, offsetof(struct acpi_rsdp, length));
	rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
	memcpy(host, &rsdp, sizeof(rsdp));
}

int acpi_build(const struct guest_memory *mem, const struct acpi_config *config)
{
	struct area area = {
		.base = LAYOUT_ACPI,
		.size = LAYOUT_ACPI_END - LAYOUT_ACPI,
		.host = guest_memory_at(mem, LAYOUT_ACPI, LAYOUT_ACPI_END - LAYOUT_ACPI),
	};
	uint8_t *rsdp = guest_memory_at(mem, LAYOUT_RSDP, sizeof(struct acpi_rsdp));
	gpa_t table[6];
	unsigned n = 0;

	if (!area.host || !rsdp)
		return error_set(ENOSPC, "no memory where the ACPI tables go");
	gpa_t facs = write_facs(&area);
	gpa_t dsdt = write_dsdt(&area, config);
	table[n++] = write_fadt(&area, config, facs, dsdt);
	table[n++] = write_madt(&area, config);
	table[n++] = write_mcfg(&area);
	if (config->viot)
		table[n++] = write_viot(&area, config->viot);
	if (config->numa) {
		table[n++] = write_srat(&area, mem, config);
		table[n++] = write_slit(&area, config->numa->n_nodes);
	}
	gpa_t xsdt = write_xsdt(&area, table, n);
	if (area.failed)
		return error_set(ENOSPC, "the ACPI tables for %u CPUs and %u virtio-mmio devices "
				 "do not fit into %zu bytes", config->n_vcpus,
				 config->n_virtio_mmio, area.size);
	write_rsdp(rsdp, xsdt);
	return 0;
}
