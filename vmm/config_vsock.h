/* The settings of vsock, beyond what their types say. */
#ifndef VMM_CONFIG_VSOCK_H
#define VMM_CONFIG_VSOCK_H

#include "vmm/config.h"

void config_validate_vsock(const struct vm_config *config, struct mistakes *mistakes);

/* The CID of validated settings; 0: auto. */
uint64_t config_vsock_cid(const struct vsock_settings *vsock);

#endif
