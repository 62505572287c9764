#include "tests/support/memory_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "vmm/base/fd.h"

void memory_file_create(struct memory_file *file, const void *data, size_t len)
{
	file->fd = memfd_create("test", MFD_CLOEXEC);
	if (file->fd < 0 || fd_write_all(file->fd, data, len) < 0)
		abort();
	snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
}

void memory_file_destroy(struct memory_file *file)
{
	fd_close(&file->fd);
}
