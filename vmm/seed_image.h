/*
 * A small disk in memory: an ISO 9660 image, as cloud-init looks for one (its NoCloud source).
 * Made by libisofs, which is loaded when it is needed.
 */
#ifndef VMM_SEED_IMAGE_H
#define VMM_SEED_IMAGE_H

#include "vmm/base/util.h"

struct seed_file {
	const char *name;
	char *content;		/* owned, from malloc; NULL: there is no such file */
	size_t size;
};

/*
 * Write an image with that label and these files, with Rock Ridge and Joliet names, into a memfd
 * that nobody can change any more.  Before the sandbox; the contents are consumed.
 *
 * Returns 0 and an owned descriptor; -ENOTSUP if this Vireo was built without libisofs, -ENOENT if
 * it is not installed, -EIO if it fails, -errno; with an error chain.
 */
MUST_USE int seed_image_create(int *fd, const char *label, struct seed_file *file, unsigned n);

#endif
