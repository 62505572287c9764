/*
 * The options of a kernel, as a file of kconfig has them (".config"): which are built in, which are
 * modules.  Text from anywhere is fine; where it comes from is kernel_source.h.
 */
#ifndef KERNEL_KERNEL_CONFIG_H
#define KERNEL_KERNEL_CONFIG_H

#include "vmm/base/util.h"

enum {
	KERNEL_CONFIG_MAX = 4 * 1024 * 1024,	/* bytes of text; Debian's has 260 thousand */
	KERNEL_CONFIG_FEW = 250,		/* options; no whole configuration has as few */
};

enum kernel_value {
	KERNEL_VALUE_ABSENT,		/* not mentioned: unknown to this kernel, or hidden */
	KERNEL_VALUE_OFF,
	KERNEL_VALUE_MODULE,
	KERNEL_VALUE_ON,		/* y, or a number or a text */
};

struct kernel_option {
	const char *name;		/* without "CONFIG_" */
	unsigned line;			/* of those with the same name the last one counts */
	enum kernel_value value;
};

/* Zeroed is empty. */
struct kernel_config {
	char *text;
	struct kernel_option *option;	/* by name, each once */
	unsigned n;
	char version[32];		/* "6.1.192", or "": it does not tell */
};

/*
 * Read 'len' bytes of 'text' (allocated with one byte more than that; consumed, also on failure)
 * into 'config', which is overwritten.
 *
 * Returns 0; -ENOEXEC with an error chain: it is no text, or sets no option; -ENOMEM.
 */
MUST_USE int kernel_config_parse(struct kernel_config *config, char *text, size_t len);
void kernel_config_fini(struct kernel_config *config);

/* The value of option 'name' (without "CONFIG_"). */
enum kernel_value kernel_config_get(const struct kernel_config *config, const char *name);

#endif
