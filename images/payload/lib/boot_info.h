/*
 * What the loader left: PVH start info with command line, memory map and the address of the ACPI
 * root. Xen: arch-x86/hvm/start_info.h
 */
#ifndef PAYLOAD_BOOT_INFO_H
#define PAYLOAD_BOOT_INFO_H

#include <stdbool.h>
#include <stdint.h>

enum { MEMORY_RAM = 1, MEMORY_MAX_RANGES = 32 };

struct memory_range {
	uint64_t base, size;
	uint32_t type;
	uint32_t reserved;
};

struct boot_info {
	uint32_t version;
	uint32_t n_modules;
	uint64_t rsdp;
	char cmdline[2048];
	struct memory_range range[MEMORY_MAX_RANGES];
	unsigned n_ranges;
};

extern struct boot_info boot_info;

/* Copy everything out of the loader's memory. */
void boot_info_init(void);

/* Options are words of the command line: "name" or "name=value". */
bool option_given(const char *name);
uint64_t option_number(const char *name, uint64_t otherwise);	/* decimal or 0x */
bool option_is(const char *name, const char *value);

/*
 * For options that are given more than once: the value behind '=' of the first one / of the next
 * one behind 'after'; NULL at the end.
 */
const char *option_next(const char *name, const char *after);
/* A number (decimal or 0x, then K, M or nothing), and past it. */
uint64_t option_parse(const char **text);

#endif
