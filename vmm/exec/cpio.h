/*
 * A writer of cpio archives in the "newc" form, as Linux unpacks an initramfs.  Names have no '/'
 * in front; directories that lead to an entry are made by themselves; everything belongs to root
 * and has the same date, so that the same content gives the same bytes.
 *
 * Linux: Documentation/driver-api/early-userspace/buffer-format.rst
 */
#ifndef EXEC_CPIO_H
#define EXEC_CPIO_H

#include <stdio.h>
#include <sys/types.h>

#include "vmm/base/util.h"
#include "vmm/config.h"

struct cpio {
	FILE *out;		/* borrowed; its position is that of 'written' */
	uint64_t written;
	unsigned n_entries;
	struct text_list dirs;	/* which there are already */
};

/* Begin an archive; 'out' is kept until cpio_end().  A zeroed one is fine for cpio_fini(). */
void cpio_init(struct cpio *cpio, FILE *out);
void cpio_fini(struct cpio *cpio);

/*
 * Add an entry called 'name' ("vireo/boot"): a directory; a file with 'len' bytes of 'data'
 * (borrowed) and permissions 'mode'; a symbolic link to 'target'; a device node (S_IFCHR or S_IFBLK
 * in 'mode'). A directory that is there already is no mistake, any other name comes once.
 *
 * Return 0; -EINVAL for a name that is empty, absolute, or has "." or ".." in it; -ENAMETOOLONG,
 * -EFBIG (4 GiB in one file), -ENOMEM, or -errno of the write, with an error chain.
 */
MUST_USE int cpio_add_dir(struct cpio *cpio, const char *name, mode_t mode);
MUST_USE int cpio_add_file(struct cpio *cpio, const char *name, mode_t mode, const void *data,
			   size_t len);
MUST_USE int cpio_add_link(struct cpio *cpio, const char *name, const char *target);
MUST_USE int cpio_add_node(struct cpio *cpio, const char *name, mode_t mode, unsigned major,
			   unsigned minor);

/*
 * Write the end.  Returns 0 or -errno with an error chain: the archive is on its way to the disk.
 */
MUST_USE int cpio_end(struct cpio *cpio);

#endif
