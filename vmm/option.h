/* Settings by row: finding one, reading a value as its row says, saying what is allowed. */
#ifndef VMM_OPTION_H
#define VMM_OPTION_H

#include "vmm/base/util.h"
#include "vmm/option_table.h"

enum { OPTION_WHY_SIZE = 320 };

/*
 * Read 'text' as a value of 'o' into its field of 'object' (the section's struct); an owned text
 * that was there is freed.
 *
 * Returns 0; -EINVAL with a sentence about 'text' and what is allowed in 'why'; -ENOMEM,
 * likewise.  The field is unchanged then.
 */
MUST_USE int option_set(const struct option *o, void *object, const char *text,
			char why[OPTION_WHY_SIZE]);

/* Give every field of 'section' in 'object' (zeroed) its default.  Returns 0 or -ENOMEM. */
MUST_USE int option_set_defaults(const char *section, void *object);

/* Does it take several values, of which option_set adds one? */
bool option_is_list(const struct option *o);

/* Is it the name of the object that it belongs to, which a VM file has as a key? */
bool option_is_name(const struct option *o);

/* Forget the values of a list or of wishes for feature bits; any other row is left alone. */
void option_clear(const struct option *o, void *object);

/* Free what 'object' owns. */
void option_free_all(const char *section, void *object);

/* The row of "section" / "key" (the lengths are given: both are often parts of longer words). */
const struct option *option_find(const char *section, size_t section_len, const char *key,
				 size_t key_len);

/* The section of that name, or NULL. */
const struct option_section *option_find_section(const char *name, size_t len);

/* The first row of flag 'name' ('len' characters, without "--"), or NULL. */
const struct option *option_find_flag(const char *name, size_t len);

/* The row of item 'key' of 'flag', or NULL. */
const struct option *option_find_item(const char *flag, const char *key, size_t key_len);

/* Does the flag take a comma-separated list of items? */
bool option_flag_is_list(const char *flag);

const struct option_section *option_section_of(const struct option *o);

/* "stdio, file=PATH, null": what a target can be, written to 'buf' and returned. */
const char *option_target_words(const struct option *o, char buf[80]);

/* "FILE", "pci|mmio", "SIZE": the value as --help shows it, written to 'buf' and returned. */
const char *option_value_text(const struct option *o, char buf[128]);

#endif
