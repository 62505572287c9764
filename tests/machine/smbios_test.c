#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/smbios.h"
#include "vmm/machine/smbios_tables.h"

static struct guest_memory mem;
static struct smbios_config config;
static struct smbios_entry_point entry;

static void setup(void)
{
	static const struct memory_extent extent[] = { { 0, MIB(2) }, { GIB(4), MIB(6) } };

	mem = (struct guest_memory)GUEST_MEMORY_INIT;
	cr_assert_eq(guest_memory_create(&mem, extent, 2), 0);
	config = (struct smbios_config){ .manufacturer = "Vireo", .product = "Virtual Machine",
					 .n_vcpus = 6, .threads_per_core = 2,
					 .cores_per_socket = 2 };
}

static void teardown(void)
{
	guest_memory_destroy(&mem);
}

TestSuite(smbios, .init = setup, .fini = teardown);

static const uint8_t *at(uint64_t gpa, size_t len)
{
	const uint8_t *p = guest_memory_at(&mem, gpa, len);

	cr_assert_not_null(p);
	return p;
}

/* The way Linux looks for it. */
static void build(void)
{
	const uint8_t *p = NULL;
	uint8_t sum = 0;

	cr_assert_eq(smbios_build(&mem, &config), 0, "%s", error_text());
	for (uint64_t gpa = 0xf0000; gpa < 0x100000 && !p; gpa += 16)
		if (!memcmp(at(gpa, 16), "_SM3_", 5))
			p = at(gpa, sizeof(entry));
	cr_assert_not_null(p);
	memcpy(&entry, p, sizeof(entry));
	for (unsigned i = 0; i < entry.length; i++)
		sum = (uint8_t)(sum + p[i]);
	cr_assert_eq(sum, 0);
	cr_assert_eq(entry.length, sizeof(entry));
	cr_assert_eq(entry.major, 3);
	cr_assert_leq(entry.address + entry.max_size, LAYOUT_SMBIOS_END);
	cr_assert_geq(entry.address, LAYOUT_SMBIOS + sizeof(entry));
}

/* The end of the structure at 'p': behind the two NULs that end its strings. */
static const uint8_t *skip(const uint8_t *p)
{
	const uint8_t *end = at(entry.address, entry.max_size) + entry.max_size;

	for (p += p[1]; p + 2 <= end; p++)
		if (p[0] == 0 && p[1] == 0)
			return p + 2;
	cr_assert(false, "a structure does not end");
	return NULL;
}

/* Structure number 'index' of 'type', or NULL. */
static const uint8_t *find(uint8_t type, unsigned index)
{
	const uint8_t *p = at(entry.address, entry.max_size), *end = p + entry.max_size;

	while (p < end) {
		if (p[0] == type && index-- == 0)
			return p;
		p = skip(p);
	}
	return NULL;
}

static const char *text(const uint8_t *structure, unsigned number)
{
	const char *s = (const char *)structure + structure[1];

	cr_assert_gt(number, 0);
	while (--number > 0) {
		cr_assert_neq(*s, '\0');
		s += strlen(s) + 1;
	}
	return s;
}

Test(smbios, every_structure_is_there_once_and_the_last_one_ends_the_table)
{
	static const struct { uint8_t type; unsigned n; } expected[] = {
		{ SMBIOS_FIRMWARE, 1 }, { SMBIOS_SYSTEM, 1 }, { SMBIOS_BOARD, 1 },
		{ SMBIOS_CHASSIS, 1 }, { SMBIOS_PROCESSOR, 2 }, { SMBIOS_OEM_STRINGS, 0 },
		{ SMBIOS_MEMORY_ARRAY, 1 }, { SMBIOS_MEMORY_DEVICE, 1 },
		{ SMBIOS_MEMORY_RANGE, 2 }, { SMBIOS_BOOT, 1 }, { SMBIOS_END, 1 },
	};
	bool used[65536] = { false };
	const uint8_t *p, *end;

	build();
	for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
		for (unsigned n = 0; n < expected[i].n; n++)
			cr_expect_not_null(find(expected[i].type, n), "type %u",
					   expected[i].type);
		cr_expect_null(find(expected[i].type, expected[i].n), "type %u",
			       expected[i].type);
	}
	p = at(entry.address, entry.max_size);
	end = p + entry.max_size;
	for (; p < end; p = skip(p)) {
		unsigned handle = p[2] | (unsigned)p[3] << 8;

		cr_expect_not(used[handle], "handle 0x%x", handle);
		used[handle] = true;
		cr_expect_eq(p[0] == SMBIOS_END, skip(p) == end);
	}
}

Test(smbios, the_identity_is_told)
{
	static const uint8_t uuid[16] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
					  0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	static const uint8_t wire[16] = { 0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
					  0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	const struct smbios_system *s;

	config.version = "7";
	config.serial = "S1";
	config.sku = "K";
	config.family = "F";
	memcpy(config.uuid, uuid, sizeof(uuid));
	build();
	s = (const struct smbios_system *)find(SMBIOS_SYSTEM, 0);
	cr_expect_str_eq(text((const uint8_t *)s, s->manufacturer), "Vireo");
	cr_expect_str_eq(text((const uint8_t *)s, s->product), "Virtual Machine");
	cr_expect_str_eq(text((const uint8_t *)s, s->version), "7");
	cr_expect_str_eq(text((const uint8_t *)s, s->serial), "S1");
	cr_expect_str_eq(text((const uint8_t *)s, s->sku), "K");
	cr_expect_str_eq(text((const uint8_t *)s, s->family), "F");
	cr_expect_arr_eq(s->uuid, wire, sizeof(wire));
}

Test(smbios, what_is_not_told_has_no_string)
{
	const struct smbios_system *s;

	config.manufacturer = NULL;
	config.product = "";
	build();
	s = (const struct smbios_system *)find(SMBIOS_SYSTEM, 0);
	cr_expect_eq(s->manufacturer, 0);
	cr_expect_eq(s->product, 0);
	cr_expect_eq(s->serial, 0);
	cr_expect_eq(skip((const uint8_t *)s) - (const uint8_t *)s, s->header.length + 2);
}

Test(smbios, sockets_have_the_cpus_of_the_topology)
{
	const struct smbios_processor *p;

	build();
	p = (const struct smbios_processor *)find(SMBIOS_PROCESSOR, 0);
	cr_expect_eq(p->cores, 2);
	cr_expect_eq(p->threads, 4);
	p = (const struct smbios_processor *)find(SMBIOS_PROCESSOR, 1);
	cr_expect_eq(p->cores, 1);
	cr_expect_eq(p->threads, 2);
	cr_expect_str_eq(text((const uint8_t *)p, p->socket), "CPU 1");
}

Test(smbios, memory_is_told_with_its_ranges)
{
	const struct smbios_memory_device *device;
	const struct smbios_memory_array *array;
	const struct smbios_memory_range *range;

	build();
	array = (const struct smbios_memory_array *)find(SMBIOS_MEMORY_ARRAY, 0);
	device = (const struct smbios_memory_device *)find(SMBIOS_MEMORY_DEVICE, 0);
	cr_expect_eq(array->capacity_kib, 8192);
	cr_expect_eq(device->array, array->header.handle);
	cr_expect_eq(device->size, 0x8000 | 8192);
	range = (const struct smbios_memory_range *)find(SMBIOS_MEMORY_RANGE, 1);
	cr_expect_eq(range->start_kib, GIB(4) >> 10);
	cr_expect_eq(range->end_kib, ((GIB(4) + MIB(6)) >> 10) - 1);
}

Test(smbios, more_than_255_strings_take_several_structures)
{
	static char string[300][8];
	static const char *list[300];
	const uint8_t *p;

	for (unsigned i = 0; i < 300; i++) {
		snprintf(string[i], sizeof(string[i]), "s%u", i);
		list[i] = string[i];
	}
	config.oem_string = list;
	config.n_oem_strings = 300;
	build();
	p = find(SMBIOS_OEM_STRINGS, 0);
	cr_expect_eq(p[4], 255);
	cr_expect_str_eq(text(p, 255), "s254");
	p = find(SMBIOS_OEM_STRINGS, 1);
	cr_expect_eq(p[4], 45);
	cr_expect_str_eq(text(p, 45), "s299");
	cr_expect_null(find(SMBIOS_OEM_STRINGS, 2));
}

Test(smbios, the_largest_strings_fit_and_larger_ones_are_refused)
{
	static char large[SMBIOS_OEM_SIZE], most[SMBIOS_TEXT_MAX + 1], larger[65536];
	static const char *list[1] = { large };

	memset(large, 'x', sizeof(large) - 1);
	memset(most, 'y', sizeof(most) - 1);
	memset(larger, 'z', sizeof(larger) - 1);
	config = (struct smbios_config){
		.manufacturer = most, .product = most, .version = most, .serial = most,
		.sku = most, .family = most, .oem_string = list, .n_oem_strings = 1,
		.n_vcpus = 64, .threads_per_core = 1, .cores_per_socket = 64,
	};
	build();
	cr_expect_str_eq(text(find(SMBIOS_OEM_STRINGS, 0), 1), large);
	list[0] = larger;
	cr_expect_eq(smbios_build(&mem, &config), -ENOSPC);
	cr_expect(strstr(error_text(), "smbios.oem_strings"), "%s", error_text());
}

/* What people look at it with, where it is installed, has nothing to complain about. */
Test(smbios, dmidecode_reads_it)
{
	char name[] = "/tmp/vireo-smbios-XXXXXX", command[128], out[16384];
	static const char *const oem[] = { "io.systemd.credential:a=b" };
	struct smbios_entry_point moved;
	size_t len;
	FILE *pipe;
	int fd;

	if (system("command -v dmidecode >/dev/null 2>&1") != 0)
		cr_skip("no dmidecode here");
	config.oem_string = oem;
	config.n_oem_strings = 1;
	build();
	/* A dump has the table at offset 32; dmidecode takes its address for an offset. */
	moved = entry;
	moved.address = 32;
	moved.checksum = (uint8_t)(entry.checksum + (uint8_t)(LAYOUT_SMBIOS >> 16));
	fd = mkstemp(name);
	cr_assert_eq(pwrite(fd, &moved, sizeof(moved), 0), (ssize_t)sizeof(moved));
	cr_assert_eq(pwrite(fd, at(entry.address, entry.max_size), entry.max_size, 32),
		     (ssize_t)entry.max_size);
	snprintf(command, sizeof(command), "dmidecode --from-dump %s 2>&1", name);
	pipe = popen(command, "r");
	len = fread(out, 1, sizeof(out) - 1, pipe);
	out[len] = '\0';
	cr_expect_eq(pclose(pipe), 0, "%s", out);
	unlink(name);
	fd_close(&fd);
	cr_expect(strstr(out, "String 1: io.systemd.credential:a=b"), "%s", out);
	cr_expect(strstr(out, "Size: 8 MB") || strstr(out, "Size: 8192 kB"), "%s", out);
	cr_expect_null(strstr(out, "BROKEN"), "%s", out);
	cr_expect_null(strstr(out, "TRUNCATED"), "%s", out);
	cr_expect_null(strstr(out, "Wrong DMI"), "%s", out);
	cr_expect_null(strstr(out, "Invalid"), "%s", out);
}
