/* The allow-list of the sandbox: data only. */
#ifndef VMM_SANDBOX_RULES_H
#define VMM_SANDBOX_RULES_H

#if HAVE_SECCOMP

#include <seccomp.h>

#include "vmm/base/util.h"

/*
 * A call that is allowed, where the VM has what needs it (SANDBOX_...; 0: always); with 'n'
 * conditions on its arguments that must all hold.
 * 'refusal' is not 0: it is answered with this error number instead, or with SANDBOX_PRETEND: as if
 * it had been done.
 */
enum { SANDBOX_PRETEND = -1 };

struct sandbox_rule {
	int call;
	unsigned need;
	int refusal;
	unsigned n;
	struct scmp_arg_cmp when[2];
};

extern const struct sandbox_rule sandbox_rules[];
extern const unsigned sandbox_rules_len;

#endif
#endif
