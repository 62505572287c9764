/*
 * A file that is booted from: opened once and judged, then read by offset for as long as the
 * machine lives.  Reading is pread(2) only, so a reset can read again inside the sandbox, and a
 * file that shrinks meanwhile is an error and not a SIGBUS.
 */
#ifndef MACHINE_BOOT_FILE_H
#define MACHINE_BOOT_FILE_H

#include "vmm/base/fd.h"
#include "vmm/base/util.h"

struct boot_file {
	int fd;
	const char *what;	/* "kernel", "initrd": for messages */
	char *path;		/* owned */
	uint64_t size;		/* when it was opened */
};
#define BOOT_FILE_INIT { .fd = FD_NONE }

/*
 * Open 'path' (copied) for reading.  'what' is kept.
 *
 * Returns 0; -errno of open(2), -EISDIR, -EINVAL (no regular file, or empty), -ENOMEM, with an
 * error chain that names the path; '*file' is then closed.
 */
MUST_USE int boot_file_open(struct boot_file *file, const char *what, const char *path);
void boot_file_close(struct boot_file *file);

/*
 * Read exactly [offset, offset + len) into 'buf'.
 *
 * Returns 0; -ENODATA when the file is shorter, -errno, with an error chain.
 */
MUST_USE int boot_file_read(const struct boot_file *file, uint64_t offset, void *buf, size_t len);

#endif
