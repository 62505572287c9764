#include "images/payload/lib/acpi.h"

#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/heap.h"

enum { ACPI_HEADER_SIZE = 36 };

static uint32_t load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

bool acpi_checksum_ok(const void *table, uint32_t length)
{
	const uint8_t *p = table;
	uint8_t sum = 0;

	while (length-- > 0)
		sum = (uint8_t)(sum + *p++);
	return sum == 0;
}

const struct acpi_header *acpi_find(const char *signature)
{
	const char *rsdp = (const char *)boot_info.rsdp;
	const struct acpi_header *root;
	bool is_xsdt;

	if (rsdp == NULL || memcmp(rsdp, "RSD PTR ", 8) != 0)
		return NULL;
	is_xsdt = rsdp[15] >= 2 && load64(rsdp + 24) != 0;
	root = (const void *)(is_xsdt ? load64(rsdp + 24) : load32(rsdp + 16));
	for (uint32_t at = ACPI_HEADER_SIZE; at < root->length; at += is_xsdt ? 8 : 4) {
		const char *entry = (const char *)root + at;
		const struct acpi_header *h =
			(const void *)(is_xsdt ? load64(entry) : load32(entry));

		if (memcmp(h->signature, signature, 4) == 0)
			return h;
	}
	return NULL;
}

uint64_t acpi_ecam(void)
{
	const struct acpi_header *mcfg = acpi_find("MCFG");

	return mcfg != NULL && mcfg->length >= 60 ? load64((const char *)mcfg + 44) : 0;
}

unsigned acpi_processors(uint32_t *apic_id, unsigned max)
{
	const struct acpi_header *madt = acpi_find("APIC");
	const uint8_t *p = (const uint8_t *)madt;
	unsigned n = 0;

	if (madt == NULL)
		return 0;
	for (uint32_t at = 44; at + 2 <= madt->length && p[at + 1] >= 2; at += p[at + 1]) {
		/* Type 0: processor id, APIC id, flags; bit 0 is "enabled". */
		if (p[at] == 0 && (p[at + 4] & 1) != 0 && n < max)
			apic_id[n++] = p[at + 3];
	}
	return n;
}
