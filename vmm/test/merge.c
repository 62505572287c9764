#include "vmm/test/merge.h"

#include <errno.h>
#include <stdio.h>

#include "vmm/base/error.h"
#include "vmm/outcome.h"

int test_merge(const char *const *dirs, unsigned n_dirs, const char *out)
{
	(void)dirs;
	error_set(EOPNOTSUPP, "merge the results of %u directories into '%s'", n_dirs, out);
	error_print(stderr);
	return STATUS_FAILED;
}
