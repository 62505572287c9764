/*
 * The ACPI tables' layout, ACPI Specification 6.5, 5.2.  Packed, little-endian: tables are only
 * built on little-endian hosts.  Private to acpi.c and its tests.
 */
#ifndef MACHINE_ACPI_TABLES_H
#define MACHINE_ACPI_TABLES_H

#include <assert.h>

#include "vmm/base/util.h"

#define PACKED __attribute__((packed))

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ACPI tables are written in place");

/* 5.2.5.3 "Root System Description Pointer (RSDP) Structure" */
struct acpi_rsdp {
	char signature[8];
	uint8_t checksum;		/* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;	/* of all 36 */
	uint8_t reserved[3];
} PACKED;

/* 5.2.6 "System Description Table Header" */
struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} PACKED;

/* 5.2.3.2 "Generic Address Structure" */
struct acpi_address {
	uint8_t space;			/* 1: ports */
	uint8_t bit_width, bit_offset;
	uint8_t access_size;		/* 1 byte, 2 word, 3 double word */
	uint64_t address;
} PACKED;

/* 5.2.9 "Fixed ACPI Description Table (FADT)" */
struct acpi_fadt {
	struct acpi_header header;
	uint32_t firmware_ctrl, dsdt;
	uint8_t reserved1, preferred_pm_profile;
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	uint32_t pm1a_evt_blk, pm1b_evt_blk, pm1a_cnt_blk, pm1b_cnt_blk, pm2_cnt_blk, pm_tmr_blk;
	uint32_t gpe0_blk, gpe1_blk;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_blk_len, gpe1_blk_len, gpe1_base, cst_cnt;
	uint16_t p_lvl2_lat, p_lvl3_lat, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alrm, mon_alrm, century;
	uint16_t iapc_boot_arch;
	uint8_t reserved2;
	uint32_t flags;
	struct acpi_address reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_revision;
	uint64_t x_firmware_ctrl, x_dsdt;
	struct acpi_address x_pm1a_evt_blk, x_pm1b_evt_blk, x_pm1a_cnt_blk, x_pm1b_cnt_blk;
	struct acpi_address x_pm2_cnt_blk, x_pm_tmr_blk, x_gpe0_blk, x_gpe1_blk;
	struct acpi_address sleep_control_reg, sleep_status_reg;
	uint64_t hypervisor_vendor;
} PACKED;
static_assert(sizeof(struct acpi_fadt) == 276, "FADT of ACPI 6.x");

/* 5.2.10 "Firmware ACPI Control Structure (FACS)": no header, 64-byte aligned */
struct acpi_facs {
	char signature[4];
	uint32_t length, hardware_signature, waking_vector, global_lock, flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t reserved[31];
} PACKED;
static_assert(sizeof(struct acpi_facs) == 64, "FACS");

/* 5.2.12 "Multiple APIC Description Table (MADT)" and its structures */
struct acpi_madt {
	struct acpi_header header;
	uint32_t local_apic;
	uint32_t flags;
} PACKED;

struct acpi_madt_lapic {
	uint8_t type, length;		/* 0, 8 */
	uint8_t uid, apic_id;
	uint32_t flags;
} PACKED;

struct acpi_madt_ioapic {
	uint8_t type, length;		/* 1, 12 */
	uint8_t id, reserved;
	uint32_t address, gsi_base;
} PACKED;

struct acpi_madt_override {
	uint8_t type, length;		/* 2, 10 */
	uint8_t bus, source;
	uint32_t gsi;
	uint16_t flags;
} PACKED;

struct acpi_madt_lapic_nmi {
	uint8_t type, length;		/* 4, 6 */
	uint8_t uid;			/* 0xff: all */
	uint16_t flags;
	uint8_t lint;
} PACKED;

struct acpi_madt_x2apic {
	uint8_t type, length;		/* 9, 16 */
	uint16_t reserved;
	uint32_t apic_id, flags, uid;
} PACKED;

struct acpi_madt_x2apic_nmi {
	uint8_t type, length;		/* 10, 12 */
	uint16_t flags;
	uint32_t uid;
	uint8_t lint;
	uint8_t reserved[3];
} PACKED;

/* 5.2.34 "Virtual I/O Translation Table (VIOT)" and its nodes */
enum acpi_viot_type {
	ACPI_VIOT_PCI_RANGE = 1,
	ACPI_VIOT_MMIO_ENDPOINT = 2,
	ACPI_VIOT_VIRTIO_IOMMU_PCI = 3,
	ACPI_VIOT_VIRTIO_IOMMU_MMIO = 4,
};

struct acpi_viot_table {
	struct acpi_header header;
	uint16_t node_count, node_offset;
	uint8_t reserved[8];
} PACKED;

struct acpi_viot_pci_range {
	uint8_t type, reserved1;	/* 1 */
	uint16_t length;		/* 24 */
	uint32_t endpoint_start;
	uint16_t segment_start, segment_end, bdf_start, bdf_end;
	uint16_t output_node;		/* offset in the table */
	uint8_t reserved2[6];
} PACKED;

struct acpi_viot_mmio_endpoint {
	uint8_t type, reserved1;	/* 2 */
	uint16_t length;		/* 24 */
	uint32_t endpoint;
	uint64_t base;
	uint16_t output_node;
	uint8_t reserved2[6];
} PACKED;

struct acpi_viot_iommu_pci {
	uint8_t type, reserved1;	/* 3 */
	uint16_t length;		/* 16 */
	uint16_t segment, bdf;
	uint8_t reserved2[8];
} PACKED;

struct acpi_viot_iommu_mmio {
	uint8_t type, reserved1;	/* 4 */
	uint16_t length;		/* 16 */
	uint32_t reserved2;
	uint64_t base;
} PACKED;

/* 5.2.16 "System Resource Affinity Table (SRAT)" and its structures */
struct acpi_srat {
	struct acpi_header header;
	uint32_t reserved1;		/* 1, for older readers */
	uint64_t reserved2;
} PACKED;

struct acpi_srat_lapic {
	uint8_t type, length;		/* 0, 16 */
	uint8_t node, apic_id;
	uint32_t flags;
	uint8_t sapic_eid, node_high[3];
	uint32_t clock_domain;
} PACKED;

struct acpi_srat_x2apic {
	uint8_t type, length;		/* 2, 24 */
	uint16_t reserved1;
	uint32_t node, apic_id, flags, clock_domain, reserved2;
} PACKED;

struct acpi_srat_memory {
	uint8_t type, length;		/* 1, 40 */
	uint32_t node;
	uint16_t reserved1;
	uint64_t base, size;
	uint32_t reserved2, flags;
	uint64_t reserved3;
} PACKED;

/* 5.2.17 "System Locality Information Table (SLIT)"; a byte for each pair of nodes follows */
struct acpi_slit {
	struct acpi_header header;
	uint64_t n_nodes;
} PACKED;

/* PCI Firmware Specification 3.3, 4.1.2 "MCFG Table Description" */
struct acpi_mcfg {
	struct acpi_header header;
	uint64_t reserved;
	uint64_t ecam;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved2;
} PACKED;

#endif
