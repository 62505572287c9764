/*
 * The one table of settings.  A row is pure data: from it come the command-line flag, the key
 * for --set, the parsing and its error messages, --help and the manual page.  To add a setting,
 * add a field to config.h and a row to option_table.c.
 */
#ifndef VMM_OPTION_TABLE_H
#define VMM_OPTION_TABLE_H

#include "vmm/base/util.h"

/* What the text of a value means, and the type of the field behind it. */
enum option_type {
	OPTION_TEXT,		/* char *, owned */
	OPTION_PATH,		/* char *, owned */
	OPTION_BOOL,		/* bool */
	OPTION_NUMBER,		/* unsigned */
	OPTION_SIZE,		/* uint64_t, bytes */
	OPTION_DURATION,	/* uint64_t, milliseconds */
	OPTION_CHOICE,		/* an enum */
	OPTION_TARGET,		/* struct target */
	OPTION_FEATURES,	/* struct feature_wishes; each use adds to it */
	OPTION_TEXTS,		/* struct text_list, owned; each use adds one */
	/*
	 * char *, owned: a text with a newline in it is the content itself, any other one the
	 * name of a file that has it.
	 */
	OPTION_CONTENT,
};

struct option_choice {
	const char *name;	/* NULL ends the list */
	int value;
};

struct option {
	const char *section;	/* names a row of option_sections */
	const char *key;
	enum option_type type;
	size_t offset;		/* of the field, in the section's struct */
	const char *initial;	/* the default as a user would write it; NULL: none */
	const char *unit;	/* of a NUMBER, for people; or NULL */
	uint64_t min, max;	/* NUMBER and SIZE, both allowed */
	bool power_of_two;	/* NUMBER: 0 or a power of two */
	const struct option_choice *choice;	/* of CHOICE; of TARGET: words beside file=PATH */
	unsigned device;	/* FEATURES: the type whose bits have names; 0: those of all */
	/*
	 * The long option without "--"; NULL: only by --set.  Rows that share a flag are the items
	 * of one comma-separated value ("--disk FILE,readonly"): the first such row takes an item
	 * without a key, the others are named by their 'key'.
	 */
	const char *flag;
	const char *value;	/* what --help calls the value: "FILE" */
	const char *help;	/* one line, no full stop */
};

/* Where the objects of a repeated section are. */
struct option_list {
	const char *noun;	/* "disk": unnamed ones are disk0, disk1, ... */
	size_t items, count;	/* in struct vm_config: a pointer to them, an unsigned */
	size_t item_size, name;	/* of one; where its char *name is */
};

struct option_section {
	const char *name;	/* "vm"; in a repeated section settings are "disks.NAME.key" */
	const char *title;	/* in --help */
	const struct option_list *list;	/* repeated: each use of the flag makes one more; or NULL */
	/*
	 * Of a device for which it matters whether any of its settings was given: where, in struct
	 * vm_config, the bool that says so is.  0: no such thing.
	 */
	size_t given;
	/*
	 * Of free pairs, "credentials: { NAME: VALUE }" in a VM file: where, in struct vm_config,
	 * the struct text_list of "NAME=VALUE" is.  The section's one row is OPTION_TEXTS for the
	 * same field; a name has one value, the last.  0: no such thing.
	 */
	size_t pairs;
};

extern const struct option option_table[];
extern const unsigned option_table_len;
extern const struct option_section option_sections[];
extern const unsigned option_sections_len;

#endif
