/* Disk images for tests: files with a known pattern in a temporary directory of the test's own. */
#ifndef TESTS_TEMP_DISK_H
#define TESTS_TEMP_DISK_H

#include "vmm/base/util.h"

struct temp_disk {
	char dir[64];
	char path[80];
};

/*
 * Make a file of 'size' bytes whose byte at 'offset' is temp_disk_byte(offset).  'where' is the
 * directory to use, NULL for one on a real file system.  Failure ends the test.
 */
void temp_disk_create(struct temp_disk *disk, const char *where, uint64_t size);
void temp_disk_remove(struct temp_disk *disk);

/* The pattern: neither the same for neighbouring sectors nor for neighbouring bytes. */
uint8_t temp_disk_byte(uint64_t offset);
void temp_disk_fill(uint8_t *buf, uint64_t offset, size_t len);

/* Does the file hold the pattern (still) in [offset, offset + len)? */
bool temp_disk_has_pattern(const struct temp_disk *disk, uint64_t offset, size_t len);

#endif
