/* "vireo export --qemu": the same VM as a command line for another machine monitor. */
#ifndef EXPORT_EXPORT_QEMU_H
#define EXPORT_EXPORT_QEMU_H

#include <stdio.h>

#include "vmm/config.h"

/*
 * Write the command line for qemu-system-x86_64 (7.2 or later) that makes the machine of 'config'
 * (validated), as a shell script: comments that name each setting without an equivalent, then the
 * command.  Names of files are those of the configuration.
 *
 * Returns 0 or -ENOMEM with an error chain.
 */
MUST_USE int export_qemu(FILE *out, const struct vm_config *config);

#endif
