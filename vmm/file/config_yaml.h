/* A configuration as a VM file, for people and for 'vireo run' to read again. */
#ifndef FILE_CONFIG_YAML_H
#define FILE_CONFIG_YAML_H

#include <stdio.h>

#include "vmm/config.h"

/*
 * Write 'config' (validated) as a VM file that describes the same VM wherever it lies.  Settings at
 * their default are left out, unless 'all': then every setting stands there with what it means and
 * what is allowed; what the VM does not have is a comment.
 *
 * Returns 0; -EILSEQ for a text that is not UTF-8, -ENOMEM, with an error chain; what was written
 * until then is of no use.
 */
MUST_USE int config_write_yaml(FILE *out, const struct vm_config *config, bool all);

#endif
