/*
 * The environment of a command in the guest: what is useful of the host's, and what was asked for.
 */
#ifndef EXEC_EXEC_ENV_H
#define EXEC_EXEC_ENV_H

#include "vmm/base/util.h"
#include "vmm/config.h"

/*
 * Append to 'out' those variables of 'host' ("NAME=VALUE", ends with NULL; borrowed) that mean the
 * same in the guest, those that have to be there, and each of 'wanted': "NAME=VALUE", or "NAME" for
 * the host's value (none there: it is left out).  A later one replaces an earlier one; the list
 * ends with a NULL that is not counted.  Returns 0 or -ENOMEM with an error chain.
 */
MUST_USE int exec_env(struct text_list *out, char *const *host, const struct text_list *wanted);

#endif
