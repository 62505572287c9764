/* Finding ACPI tables from the RSDP that the loader names.  ACPI Specification 6.5, 5.2. */
#ifndef PAYLOAD_ACPI_H
#define PAYLOAD_ACPI_H

#include <stdbool.h>
#include <stdint.h>

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision, creator_id, creator_revision;
} __attribute__((packed));

/* The table with this signature, or NULL. */
const struct acpi_header *acpi_find(const char *signature);

/* Do the bytes add up to zero, as those of every table must? */
bool acpi_checksum_ok(const void *table, uint32_t length);

/* Address of bus 0's configuration space (MCFG), or 0. */
uint64_t acpi_ecam(void);

/* The local APICs of the MADT that are enabled; returns how many, at most 'max'. */
unsigned acpi_processors(uint32_t *apic_id, unsigned max);

#endif
