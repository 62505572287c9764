/* The settings of shared folders, beyond what their types say. */
#ifndef VMM_CONFIG_SHARE_H
#define VMM_CONFIG_SHARE_H

#include "vmm/config.h"

/* 'whole': nothing that may be missing was a mistake somewhere else. */
void config_validate_shares(const struct vm_config *config, bool whole, struct mistakes *mistakes);

#endif
