/* The allow-list of the sandbox: data only. */
#ifndef VMM_SANDBOX_RULES_H
#define VMM_SANDBOX_RULES_H

#if HAVE_SECCOMP

#include <seccomp.h>

#include "vmm/base/util.h"

/* A call that is allowed; with 'n' conditions on its arguments that must all hold. */
struct sandbox_rule {
	int call;
	unsigned n;
	struct scmp_arg_cmp when[2];
};

extern const struct sandbox_rule sandbox_rules[];
extern const unsigned sandbox_rules_len;

#endif
#endif
