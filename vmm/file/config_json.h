/* A configuration and its rules as JSON, for programs.  A VM file may be JSON, too. */
#ifndef FILE_CONFIG_JSON_H
#define FILE_CONFIG_JSON_H

#include <stdio.h>

#include "vmm/config.h"

/* The number goes up when a program that reads the old form would misread the new one. */
enum { CONFIG_SCHEMA_VERSION = 1 };

/*
 * Write what config_write_yaml() writes as one JSON object, with "schema_version" and without
 * comments.  Sizes are numbers of bytes, times are text ("1500ms"); names keep their order.
 *
 * Returns 0; -EILSEQ for a text that is not UTF-8, -EOPNOTSUPP in a build without libjansson,
 * -ENOMEM, with an error chain.
 */
MUST_USE int config_write_json(FILE *out, const struct vm_config *config, bool all);

/*
 * Write the JSON Schema (draft 2020-12) of VM files: every section and setting with its type, what
 * is allowed, its default and what it means.  Returns 0, -EOPNOTSUPP or -ENOMEM, likewise.
 */
MUST_USE int config_write_schema(FILE *out);

#endif
