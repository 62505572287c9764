/*
 * Behind the begin is a ring of 'part' bytes, which is turned into order when the file is closed.
 */
#include "vmm/test/console_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"

int console_file_open(struct console_file *file, const char *path, size_t part)
{
	*file = (struct console_file){ .part = part };
	file->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return file->fd < 0 ? error_set(errno, "write '%s'", path) : 0;
}

static void put(struct console_file *file, const char *buf, size_t len, uint64_t offset)
{
	while (len > 0 && !file->err) {
		ssize_t n = pwrite(file->fd, buf, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			file->err = n < 0 ? errno : EIO;
			return;
		}
		buf += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
}

void console_file_write(struct console_file *file, const void *buf, size_t len)
{
	const char *p = buf;

	while (len > 0) {
		uint64_t at = file->total;
		size_t room;
		if (at >= file->part)
			at = file->part + (at - file->part) % file->part;
		room = file->part - at % file->part;
		room = min_u64(room, len);
		put(file, p, room, at);
		file->total += room;
		p += room;
		len -= room;
	}
}

/* The ring holds the last 'part' bytes; its oldest are at 'turn'. */
static void put_in_order(struct console_file *file)
{
	size_t part = file->part, turn = (file->total - part) % part, mark_len;
	char *ring = malloc(part), mark[96];

	mark_len = (size_t)snprintf(mark, sizeof(mark),
				    "\n[vireo: %" PRIu64 " bytes are missing here]\n",
				    file->total - 2 * part);
	file->end_at = part + mark_len;
	if (!ring) {
		file->err = ENOMEM;
		return;
	}
	if (fd_pread_all(file->fd, ring, part, (off_t)part) < 0) {
		file->err = EIO;
	} else {
		put(file, mark, mark_len, part);
		put(file, ring + turn, part - turn, file->end_at);
		put(file, ring, turn, file->end_at + part - turn);
	}
	free(ring);
}

void console_file_close(struct console_file *file)
{
	if (file->fd != FD_NONE && !file->err && file->total > 2 * (uint64_t)file->part)
		put_in_order(file);
	fd_close(&file->fd);
}

int64_t console_file_place(const struct console_file *file, uint64_t raw)
{
	if (raw > file->total)
		return -1;
	if (file->end_at == 0 || raw < file->part)
		return (int64_t)raw;
	if (raw < file->total - file->part)
		return -1;
	return (int64_t)(file->end_at + (raw - (file->total - file->part)));
}
