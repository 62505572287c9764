/*
 * What a file is, told from its first bytes: for the sentence "'disk.img' is a qcow2 disk image,
 * not a kernel".  Only used on files that no loader wants.
 */
#ifndef MACHINE_FILE_KIND_H
#define MACHINE_FILE_KIND_H

#include "vmm/base/util.h"

/* The beginning of a file that is worth showing to file_kind(): reaches an ISO image's magic. */
enum { FILE_KIND_HEAD = 40 * 1024 };

/*
 * A phrase with its article ("a gzip file", "an ELF file for AArch64"), or NULL when the first
 * 'len' bytes look like nothing known.  The string is static.
 */
const char *file_kind(const uint8_t *head, size_t len);

#endif
