#include "vmm/test/run_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/fd.h"
#include "vmm/test/result_read.h"

int run_files_open_dir(int dir, const char *path)
{
	char name[256];
	int fd;

	if (!path || !result_dir_is_inside(path))
		return -ENOENT;
	fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	while (fd >= 0 && *path) {
		size_t len = strcspn(path, "/");
		int next;
		memcpy(name, path, len);
		name[len] = 0;
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		fd_close(&fd);
		fd = next;
		path += len + (path[len] == '/');
	}
	return fd < 0 ? -errno : fd;
}

int run_files_open(int dir, const char *path, const char *name, uint64_t *size)
{
	int at = run_files_open_dir(dir, path), fd, r;
	struct stat st;

	if (at < 0)
		return at;
	fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	r = fd < 0 || fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	fd_close(&at);
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	*size = (uint64_t)st.st_size;
	return fd;
}

char *run_files_read(int dir, const char *path, const char *name, size_t most, bool tail,
		     size_t *len)
{
	uint64_t size;
	int fd = run_files_open(dir, path, name, &size);
	char *bytes;

	if (fd < 0)
		return NULL;
	*len = min_u64(size, most);
	bytes = *len ? malloc(*len + 1) : NULL;
	if (bytes && fd_pread_all(fd, bytes, *len, tail ? (off_t)(size - *len) : 0) < 0) {
		free(bytes);
		bytes = NULL;
	}
	fd_close(&fd);
	if (bytes)
		bytes[*len] = 0;
	return bytes;
}

static void write_encoded(FILE *out, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-_./";

	for (; *s; s++)
		if (strchr(plain, *s))
			fputc(*s, out);
		else
			fprintf(out, "%%%02X", (unsigned char)*s);
}

void run_files_write_url(FILE *out, const char *path, const char *name)
{
	/* Else "a:b" were a scheme. */
	fputs("./", out);
	write_encoded(out, path);
	fputc('/', out);
	write_encoded(out, name);
}
