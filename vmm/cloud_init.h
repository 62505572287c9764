/* What cloud-init in the guest is told: section 'cloud_init' as an image of a disk. */
#ifndef VMM_CLOUD_INIT_H
#define VMM_CLOUD_INIT_H

#include "vmm/base/util.h"
#include "vmm/config.h"

/*
 * Make the image (seed_image.h), with label CIDATA: user-data, meta-data, and network-config if it
 * was given.  Without meta_data it has an instance-id and the VM's name.
 *
 * Returns 0 and an owned descriptor; -ENOENT for a file that does not exist, -EFBIG for one beyond
 * 16 MiB, and what seed_image_create returns; with an error chain.
 */
MUST_USE int cloud_init_image(int *fd, const struct vm_config *config);

#endif
