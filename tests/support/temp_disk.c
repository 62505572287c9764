#include "tests/support/temp_disk.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint8_t temp_disk_byte(uint64_t offset)
{
	return (uint8_t)(offset / 512 * 37 + offset * 7 + 1);
}

void temp_disk_fill(uint8_t *buf, uint64_t offset, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = temp_disk_byte(offset + i);
}

void temp_disk_create(struct temp_disk *disk, const char *where, uint64_t size)
{
	uint8_t *buf = malloc(size + 1);
	int fd;

	snprintf(disk->dir, sizeof(disk->dir), "%s/vireo-test-XXXXXX", where ? where : "/var/tmp");
	cr_assert_not_null(mkdtemp(disk->dir));
	snprintf(disk->path, sizeof(disk->path), "%s/disk.img", disk->dir);
	fd = open(disk->path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	temp_disk_fill(buf, 0, size);
	cr_assert_eq(write(fd, buf, size), (ssize_t)size);
	close(fd);
	free(buf);
}

void temp_disk_remove(struct temp_disk *disk)
{
	unlink(disk->path);
	rmdir(disk->dir);
}

bool temp_disk_has_pattern(const struct temp_disk *disk, uint64_t offset, size_t len)
{
	uint8_t *want = malloc(len), *have = malloc(len);
	int fd = open(disk->path, O_RDONLY | O_CLOEXEC);
	bool same;

	temp_disk_fill(want, offset, len);
	same = pread(fd, have, len, (off_t)offset) == (ssize_t)len && memcmp(want, have, len) == 0;
	close(fd);
	free(want);
	free(have);
	return same;
}
