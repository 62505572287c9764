/* The JSON Schema of test files, for editors: what test_file.h reads, as far as a schema tells. */
#ifndef TEST_TEST_SCHEMA_H
#define TEST_TEST_SCHEMA_H

#include <stdio.h>

#include "vmm/base/util.h"

/*
 * Write it (draft 2020-12); that of VM files (config_json.h) is part of it.  Returns 0;
 * -EOPNOTSUPP in a build without libjansson; -ENOMEM; with an error chain.
 */
MUST_USE int test_schema_write(FILE *out);

#endif
