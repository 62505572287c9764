/* Writing a configuration to standard output, in the form that was asked for. */
#ifndef FILE_CONFIG_PRINT_H
#define FILE_CONFIG_PRINT_H

#include "vmm/base/util.h"

struct vm_config;

enum config_form { CONFIG_NOT_PRINTED, CONFIG_YAML, CONFIG_JSON, CONFIG_SCHEMA };

/* "yaml", "json", or NULL: YAML.  Returns 0 or -EINVAL. */
MUST_USE int config_form_parse(const char *text, enum config_form *form);

/*
 * Print 'config' (validated) whole, or nothing.  Returns the exit status; what went wrong has been
 * said.
 */
int config_print(const struct vm_config *config, enum config_form form, bool all);

#endif
