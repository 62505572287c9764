/*
 * Values as text: the way back from what option_set() reads.  Everything that writes a
 * configuration (files, JSON, the schema's defaults) asks here.
 */
#ifndef VMM_OPTION_TEXT_H
#define VMM_OPTION_TEXT_H

#include <stdio.h>

#include "vmm/base/util.h"
#include "vmm/option_table.h"

/*
 * How many words the value of 'o' in 'object' (the section's struct) has: 0 if there is none (a
 * text that nobody gave, a number without a default that is 0, an empty list), 1, or the length of
 * the list.
 */
unsigned option_count(const struct option *o, const void *object);

/*
 * Word 'i', below option_count(), as a user would write it; returned owned in '*out'.  Given to
 * option_set() one after the other, the words make an equal value.  Returns 0 or -ENOMEM.
 */
MUST_USE int option_format(const struct option *o, const void *object, unsigned i, char **out);

/* Say what is allowed: "a number from 1 to 64", "one of pci, mmio". */
void option_put_allowed(const struct option *o, FILE *out);

/* Do 'a' and 'b' have the same value of 'o'? */
bool option_equal(const struct option *o, const void *a, const void *b);

#endif
