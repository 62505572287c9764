/*
 * Names for a guest kernel's addresses, from its System.map or its vmlinux (an ELF file that has
 * not been stripped).  Read at the start, before the sandbox; a file is hostile as any, and
 * bounded.
 */
#ifndef REPORT_SYMBOLS_H
#define REPORT_SYMBOLS_H

#include "vmm/base/util.h"

enum {
	SYMBOLS_MAX = 1 << 20,		/* a Linux kernel has 200000 */
	SYMBOLS_NAME_SIZE = 96,		/* longer ones are cut off */
	SYMBOLS_TEXT_SIZE = SYMBOLS_NAME_SIZE + 48,
};

struct symbols;

/*
 * Read 'path'.  Returns 0 and an owned table; -ENOEXEC (neither of the two kinds), -ENODATA (no
 * symbols in it), -E2BIG, -errno of open(2), with an error chain that names the path.
 */
MUST_USE int symbols_open(struct symbols **out, const char *path);
void symbols_close(struct symbols *symbols);

/* The address of 'name'; false if there is none. */
bool symbols_find(const struct symbols *symbols, const char *name, uint64_t *address);

/* Is it where the kernel's code is, as far as the table tells? */
bool symbols_is_text(const struct symbols *symbols, uint64_t address);

/*
 * "schedule+0x1a/0x90" to 'buf'; "" if no name fits, also with 'symbols' NULL.  Returns 'buf'.
 */
const char *symbols_name(const struct symbols *symbols, uint64_t address,
			 char buf[SYMBOLS_TEXT_SIZE]);

unsigned symbols_count(const struct symbols *symbols);

#endif
