/*
 * SMBIOS structures as bytes, of version 3.0: without their strings, which follow each one.  DMTF
 * DSP0134, chapters 5.2.2 "SMBIOS 3.0 (64-bit) Entry Point", 6.1 and 7.
 */
#ifndef MACHINE_SMBIOS_TABLES_H
#define MACHINE_SMBIOS_TABLES_H

#include <stdint.h>

#define PACKED __attribute__((packed))

enum smbios_type {
	SMBIOS_FIRMWARE = 0,
	SMBIOS_SYSTEM = 1,
	SMBIOS_BOARD = 2,
	SMBIOS_CHASSIS = 3,
	SMBIOS_PROCESSOR = 4,
	SMBIOS_OEM_STRINGS = 11,
	SMBIOS_MEMORY_ARRAY = 16,
	SMBIOS_MEMORY_DEVICE = 17,
	SMBIOS_MEMORY_RANGE = 19,
	SMBIOS_BOOT = 32,
	SMBIOS_END = 127,
};

struct smbios_entry_point {
	char anchor[5];
	uint8_t checksum, length, major, minor, docrev, revision, reserved;
	uint32_t max_size;
	uint64_t address;
} PACKED;

/* Numbers of strings count from 1; 0: there is none. */
struct smbios_header {
	uint8_t type, length;
	uint16_t handle;
} PACKED;

struct smbios_firmware {
	struct smbios_header header;
	uint8_t vendor, version;
	uint16_t segment;
	uint8_t date, rom_size;
	uint64_t characteristics;
	uint8_t extension[2];
	uint8_t major, minor, controller_major, controller_minor;
} PACKED;

struct smbios_system {
	struct smbios_header header;
	uint8_t manufacturer, product, version, serial;
	uint8_t uuid[16];
	uint8_t wake_up, sku, family;
} PACKED;

struct smbios_board {
	struct smbios_header header;
	uint8_t manufacturer, product, version, serial, asset, features, location;
	uint16_t chassis;
	uint8_t type, n_objects;
} PACKED;

struct smbios_chassis {
	struct smbios_header header;
	uint8_t manufacturer, type, version, serial, asset;
	uint8_t boot_state, power_state, thermal_state, security;
	uint32_t oem;
	uint8_t height, power_cords, n_elements, element_length, sku;
} PACKED;

struct smbios_processor {
	struct smbios_header header;
	uint8_t socket, type, family, manufacturer;
	uint64_t id;
	uint8_t version, voltage;
	uint16_t external_clock, max_speed, speed;
	uint8_t status, upgrade;
	uint16_t l1, l2, l3;
	uint8_t serial, asset, part;
	uint8_t cores, cores_enabled, threads;
	uint16_t characteristics, family2;
	uint16_t cores2, cores_enabled2, threads2;
} PACKED;

struct smbios_oem_strings {
	struct smbios_header header;
	uint8_t count;
} PACKED;

struct smbios_memory_array {
	struct smbios_header header;
	uint8_t location, use, correction;
	uint32_t capacity_kib;
	uint16_t error, n_devices;
	uint64_t capacity;
} PACKED;

struct smbios_memory_device {
	struct smbios_header header;
	uint16_t array, error, total_width, data_width, size;
	uint8_t form, set, locator, bank, type;
	uint16_t detail, speed;
	uint8_t manufacturer, serial, asset, part, attributes;
	uint32_t size_mib;
	uint16_t configured_speed, min_voltage, max_voltage, voltage;
} PACKED;

struct smbios_memory_range {
	struct smbios_header header;
	uint32_t start_kib, end_kib;
	uint16_t array;
	uint8_t width;
	uint64_t start, end;
} PACKED;

struct smbios_boot {
	struct smbios_header header;
	uint8_t reserved[6], status;
} PACKED;

_Static_assert(sizeof(struct smbios_entry_point) == 0x18, "5.2.2");
_Static_assert(sizeof(struct smbios_firmware) == 0x18, "7.1, version 2.4 to 3.0");
_Static_assert(sizeof(struct smbios_system) == 0x1b, "7.2");
_Static_assert(sizeof(struct smbios_board) == 0x0f, "7.3");
_Static_assert(sizeof(struct smbios_chassis) == 0x16, "7.4");
_Static_assert(sizeof(struct smbios_processor) == 0x30, "7.5, version 3.0");
_Static_assert(sizeof(struct smbios_memory_array) == 0x17, "7.17");
_Static_assert(sizeof(struct smbios_memory_device) == 0x28, "7.18, version 2.8 to 3.1");
_Static_assert(sizeof(struct smbios_memory_range) == 0x1f, "7.20");
_Static_assert(sizeof(struct smbios_boot) == 0x0b, "7.33");

#undef PACKED

#endif
