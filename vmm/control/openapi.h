/* docs/openapi.yaml, which is part of the program: what the control socket serves of itself. */
#ifndef CONTROL_OPENAPI_H
#define CONTROL_OPENAPI_H

#include "vmm/base/util.h"

extern const char openapi_text[];

/* In bytes; it is not terminated. */
size_t openapi_len(void);

#endif
