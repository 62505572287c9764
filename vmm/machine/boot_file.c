#include "vmm/machine/boot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/error.h"

static int judge(struct boot_file *file)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return error_set(errno, "stat %s '%s'", file->what, file->path);
	if (S_ISDIR(st.st_mode))
		return error_set(EISDIR, "%s '%s' is a directory", file->what, file->path);
	if (!S_ISREG(st.st_mode))
		return error_set(EINVAL, "%s '%s' is not a regular file", file->what, file->path);
	if (st.st_size == 0)
		return error_set(EINVAL, "%s '%s' is empty", file->what, file->path);
	file->size = (uint64_t)st.st_size;
	return 0;
}

int boot_file_open(struct boot_file *file, const char *what, const char *path)
{
	int r;

	*file = (struct boot_file)BOOT_FILE_INIT;
	file->what = what;
	file->path = strdup(path);
	if (!file->path)
		return error_set(ENOMEM, "remember the path of the %s", what);
	/* O_NONBLOCK: a FIFO is refused below instead of being waited for. */
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0) {
		file->fd = FD_NONE;
		r = error_set(errno, "open %s '%s'", what, path);
	} else {
		r = judge(file);
	}
	if (r < 0)
		boot_file_close(file);
	return r;
}

void boot_file_close(struct boot_file *file)
{
	fd_close(&file->fd);
	free(file->path);
	file->path = NULL;
}

int boot_file_read(const struct boot_file *file, uint64_t offset, void *buf, size_t len)
{
	int r;

	/*
	 * Judged before the call: off_t is signed, and offsets come out of the file's own header.
	 */
	if (!range_inside(offset, len, file->size))
		r = -ENODATA;
	else
		r = fd_pread_all(file->fd, buf, len, (off_t)offset);
	if (r == -ENODATA)
		return error_set(ENODATA, "%s '%s' ends before byte %#llx", file->what, file->path,
				 (unsigned long long)(offset + len));
	if (r < 0)
		return error_set(-r, "read %zu bytes of %s '%s'", len, file->what, file->path);
	return 0;
}
