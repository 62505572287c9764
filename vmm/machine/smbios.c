#include "vmm/machine/smbios.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/smbios_tables.h"

enum {
	TABLE_OFFSET = 32,		/* behind the entry point */
	STRINGS_PER_STRUCTURE = 255,	/* their number is a byte */

	/* Handles are any numbers, each once. */
	HANDLE_BOARD = 0x200,
	HANDLE_CHASSIS = 0x300,
	HANDLE_MEMORY_ARRAY = 0x1000,

	FIRMWARE_CHARACTERISTICS_UNKNOWN = 1 << 3,
	FIRMWARE_ACPI = 1 << 0,		/* of the first extension byte */
	FIRMWARE_VIRTUAL = 1 << 4,	/* of the second one */
	CONTROLLER_NONE = 0xff,
	WAKE_UP_POWER_SWITCH = 6,
	BOARD_HOSTING = 1,
	BOARD_MOTHERBOARD = 10,
	OTHER = 1, UNKNOWN = 2, SAFE = 3, NONE = 3,
	PROCESSOR_CENTRAL = 3,
	PROCESSOR_ENABLED = 0x41,	/* and the socket is populated */
	PROCESSOR_64_BIT = 1 << 2,
	CACHE_NOT_TOLD = 0xffff,
	MEMORY_OF_SYSTEM = 3,
	MEMORY_NO_ERRORS = 0xfffe,
	MEMORY_WIDTH_UNKNOWN = 0xffff,
	MEMORY_DIMM = 9,
	MEMORY_RAM = 7,
	MEMORY_SIZE_KIB = 0x8000,	/* the unit of the other bits, instead of MiB */
	MEMORY_SIZE_EXTENDED = 0x7fff,	/* or: look at the longer field */
};
#define MEMORY_CAPACITY_EXTENDED 0x80000000u
#define MEMORY_RANGE_EXTENDED UINT32_MAX

/* Where structures go, filled from its beginning. */
struct table {
	uint8_t *at;
	size_t size, used;
	bool failed;
	uint8_t n_strings;		/* of the structure that is the last one */
};

static void append(struct table *t, const void *data, size_t len)
{
	if (!range_inside(t->used, len, t->size)) {
		t->failed = true;
		return;
	}
	memcpy(t->at + t->used, data, len);
	t->used += len;
}

/*
 * A structure and its strings: begin() takes room for 'len' bytes, string() appends strings, end()
 * has the bytes with all their numbers.
 */
static size_t begin(struct table *t, size_t len)
{
	static const uint8_t zero[64];
	size_t start = t->used;

	append(t, zero, len);
	t->n_strings = 0;
	return start;
}

static uint8_t string(struct table *t, const char *text)
{
	if (!text || !*text)
		return 0;
	append(t, text, strlen(text) + 1);
	return ++t->n_strings;
}

static void end(struct table *t, size_t start, enum smbios_type type, uint16_t handle,
		const void *structure, size_t len)
{
	const struct smbios_header header = { (uint8_t)type, (uint8_t)len, handle };

	append(t, "\0", t->n_strings ? 1 : 2);
	if (t->failed)
		return;
	memcpy(t->at + start, structure, len);
	memcpy(t->at + start, &header, sizeof(header));
}

static void write_firmware(struct table *t, const struct smbios_config *config)
{
	size_t start = begin(t, sizeof(struct smbios_firmware));
	const struct smbios_firmware s = {
		.vendor = string(t, "Vireo"),
		.version = string(t, config->firmware_version),
		.date = string(t, "01/01/2025"),
		.segment = 0xf000,
		.characteristics = FIRMWARE_CHARACTERISTICS_UNKNOWN,
		.extension = { FIRMWARE_ACPI, FIRMWARE_VIRTUAL },
		.controller_major = CONTROLLER_NONE,
		.controller_minor = CONTROLLER_NONE,
	};

	end(t, start, SMBIOS_FIRMWARE, 0, &s, sizeof(s));
}

/* The first three fields of a UUID are numbers, which are little-endian here (7.2.1). */
static void swap_uuid(uint8_t to[16], const uint8_t from[16])
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	for (unsigned i = 0; i < 16; i++)
		to[i] = from[order[i]];
}

static void write_system(struct table *t, const struct smbios_config *config)
{
	size_t start = begin(t, sizeof(struct smbios_system));
	struct smbios_system s = {
		.manufacturer = string(t, config->manufacturer),
		.product = string(t, config->product),
		.version = string(t, config->version),
		.serial = string(t, config->serial),
		.wake_up = WAKE_UP_POWER_SWITCH,
		.sku = string(t, config->sku),
		.family = string(t, config->family),
	};

	swap_uuid(s.uuid, config->uuid);
	end(t, start, SMBIOS_SYSTEM, 0x100, &s, sizeof(s));
}

static void write_board(struct table *t, const struct smbios_config *config)
{
	size_t start = begin(t, sizeof(struct smbios_board));
	const struct smbios_board s = {
		.manufacturer = string(t, config->manufacturer),
		.product = string(t, config->product),
		.version = string(t, config->version),
		.features = BOARD_HOSTING,
		.chassis = HANDLE_CHASSIS,
		.type = BOARD_MOTHERBOARD,
	};

	end(t, start, SMBIOS_BOARD, HANDLE_BOARD, &s, sizeof(s));
}

static void write_chassis(struct table *t, const struct smbios_config *config)
{
	size_t start = begin(t, sizeof(struct smbios_chassis));
	const struct smbios_chassis s = {
		.manufacturer = string(t, config->manufacturer),
		.type = OTHER,
		.version = string(t, config->version),
		.serial = string(t, config->serial),
		.boot_state = SAFE,
		.power_state = SAFE,
		.thermal_state = SAFE,
		.security = UNKNOWN,
		.sku = string(t, config->sku),
	};

	end(t, start, SMBIOS_CHASSIS, HANDLE_CHASSIS, &s, sizeof(s));
}

/* 'n': how many of the vCPUs it has. */
static void write_processor(struct table *t, const struct smbios_config *config, unsigned index,
			    unsigned n)
{
	uint8_t cores = (uint8_t)((n + config->threads_per_core - 1) / config->threads_per_core);
	size_t start = begin(t, sizeof(struct smbios_processor));
	char name[24];

	snprintf(name, sizeof(name), "CPU %u", index);
	const struct smbios_processor s = {
		.socket = string(t, name),
		.type = PROCESSOR_CENTRAL,
		.family = OTHER,
		.manufacturer = string(t, config->manufacturer),
		.status = PROCESSOR_ENABLED,
		.upgrade = OTHER,
		.l1 = CACHE_NOT_TOLD,
		.l2 = CACHE_NOT_TOLD,
		.l3 = CACHE_NOT_TOLD,
		.cores = cores,
		.cores_enabled = cores,
		.threads = (uint8_t)n,
		.characteristics = PROCESSOR_64_BIT,
		.family2 = OTHER,
		.cores2 = cores,
		.cores_enabled2 = cores,
		.threads2 = (uint16_t)n,
	};
	end(t, start, SMBIOS_PROCESSOR, (uint16_t)(0x400 + index), &s, sizeof(s));
}

static void write_processors(struct table *t, const struct smbios_config *config)
{
	unsigned per_socket = config->threads_per_core * config->cores_per_socket, index = 0;

	for (unsigned left = config->n_vcpus; left > 0; index++) {
		unsigned n = left < per_socket ? left : per_socket;

		write_processor(t, config, index, n);
		left -= n;
	}
}

static void write_oem_strings(struct table *t, const struct smbios_config *config)
{
	unsigned done = 0;

	for (uint16_t number = 0; done < config->n_oem_strings && !t->failed; number++) {
		size_t start = begin(t, sizeof(struct smbios_oem_strings));

		while (done < config->n_oem_strings && t->n_strings < STRINGS_PER_STRUCTURE)
			string(t, config->oem_string[done++]);
		const struct smbios_oem_strings s = { .count = t->n_strings };
		end(t, start, SMBIOS_OEM_STRINGS, (uint16_t)(0xe00 + number), &s, sizeof(s));
	}
}

static void write_memory_array(struct table *t, uint64_t size)
{
	bool extended = size >> 10 >= MEMORY_CAPACITY_EXTENDED;
	size_t start = begin(t, sizeof(struct smbios_memory_array));
	const struct smbios_memory_array s = {
		.location = OTHER,
		.use = MEMORY_OF_SYSTEM,
		.correction = NONE,
		.capacity_kib = extended ? MEMORY_CAPACITY_EXTENDED : (uint32_t)(size >> 10),
		.error = MEMORY_NO_ERRORS,
		.n_devices = 1,
		.capacity = extended ? size : 0,
	};

	end(t, start, SMBIOS_MEMORY_ARRAY, HANDLE_MEMORY_ARRAY, &s, sizeof(s));
}

/* The size in KiB where that fits, else in MiB, else in the longer field. */
static void write_memory_device(struct table *t, uint64_t size)
{
	bool extended = size >> 20 >= MEMORY_SIZE_EXTENDED;
	size_t start = begin(t, sizeof(struct smbios_memory_device));
	struct smbios_memory_device s = {
		.array = HANDLE_MEMORY_ARRAY,
		.error = MEMORY_NO_ERRORS,
		.total_width = MEMORY_WIDTH_UNKNOWN,
		.data_width = MEMORY_WIDTH_UNKNOWN,
		.size = (uint16_t)(size >> 20),
		.form = MEMORY_DIMM,
		.locator = string(t, "DIMM 0"),
		.type = MEMORY_RAM,
		.detail = 1 << OTHER,
		.manufacturer = string(t, "Vireo"),
		.size_mib = extended ? (uint32_t)(size >> 20) : 0,
	};

	if (extended)
		s.size = MEMORY_SIZE_EXTENDED;
	else if (size >> 10 < MEMORY_SIZE_EXTENDED)
		s.size = (uint16_t)(MEMORY_SIZE_KIB | size >> 10);
	end(t, start, SMBIOS_MEMORY_DEVICE, 0x1100, &s, sizeof(s));
}

static void write_memory_range(struct table *t, unsigned index, const struct memory_region *region)
{
	uint64_t last = region->base + region->size - 1;
	bool extended = last >> 10 >= MEMORY_RANGE_EXTENDED;
	size_t start = begin(t, sizeof(struct smbios_memory_range));
	const struct smbios_memory_range s = {
		.start_kib = extended ? MEMORY_RANGE_EXTENDED : (uint32_t)(region->base >> 10),
		.end_kib = extended ? MEMORY_RANGE_EXTENDED : (uint32_t)(last >> 10),
		.array = HANDLE_MEMORY_ARRAY,
		.width = 1,
		.start = extended ? region->base : 0,
		.end = extended ? last : 0,
	};

	end(t, start, SMBIOS_MEMORY_RANGE, (uint16_t)(0x1300 + index), &s, sizeof(s));
}

static void write_end(struct table *t)
{
	static const struct smbios_boot boot;
	static const struct smbios_header last;

	end(t, begin(t, sizeof(boot)), SMBIOS_BOOT, 0x2000, &boot, sizeof(boot));
	end(t, begin(t, sizeof(last)), SMBIOS_END, 0x7f00, &last, sizeof(last));
}

static void write_entry_point(uint8_t *at, size_t table_size)
{
	struct smbios_entry_point entry = {
		.length = sizeof(entry),
		.major = 3,
		.revision = 1,
		.max_size = (uint32_t)table_size,
		.address = LAYOUT_SMBIOS + TABLE_OFFSET,
	};
	uint8_t bytes[sizeof(entry)], sum = 0;

	memcpy(entry.anchor, "_SM3_", sizeof(entry.anchor));
	memcpy(bytes, &entry, sizeof(entry));
	for (size_t i = 0; i < sizeof(bytes); i++)
		sum = (uint8_t)(sum + bytes[i]);
	entry.checksum = (uint8_t)-sum;
	memcpy(at, &entry, sizeof(entry));
}

int smbios_build(const struct guest_memory *mem, const struct smbios_config *config)
{
	enum { SIZE = LAYOUT_SMBIOS_END - LAYOUT_SMBIOS };
	uint8_t *at = guest_memory_at(mem, LAYOUT_SMBIOS, SIZE);
	struct table t = { .size = SIZE - TABLE_OFFSET };

	if (!at)
		return error_set(ENOSPC, "no memory where the SMBIOS tables go");
	t.at = at + TABLE_OFFSET;
	write_firmware(&t, config);
	write_system(&t, config);
	write_board(&t, config);
	write_chassis(&t, config);
	write_processors(&t, config);
	write_oem_strings(&t, config);
	write_memory_array(&t, guest_memory_size(mem));
	write_memory_device(&t, guest_memory_size(mem));
	for (unsigned i = 0; i < mem->n_regions; i++)
		write_memory_range(&t, i, &mem->region[i]);
	write_end(&t);
	if (t.failed)
		return error_set(ENOSPC, "the SMBIOS tables do not fit into %zu bytes: shorten "
				 "'smbios.oem_strings' or 'credentials'", t.size);
	write_entry_point(at, t.used);
	return 0;
}
