/* "${NAME}" in the values of a VM file: what the environment says. */
#ifndef VMM_FILE_EXPAND_H
#define VMM_FILE_EXPAND_H

#include "vmm/base/util.h"

enum { EXPAND_MAX = 1 << 20, EXPAND_WHY_SIZE = 160 };

/*
 * Copy 'text' with "${NAME}" replaced by that variable's value, "${NAME:-DEFAULT}" by DEFAULT
 * (expanded, too) where the variable is not set or empty, and "$$" by "$".  '*budget' is what all
 * results together may still have, bytes.
 *
 * Returns 0 and an owned text; -EINVAL with a sentence in 'why' (a variable that is not set,
 * another '$', more than the budget); -ENOMEM, likewise.
 */
MUST_USE int expand_text(char **out, const char *text, size_t *budget, char why[EXPAND_WHY_SIZE]);

#endif
