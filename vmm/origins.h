/*
 * Where the settings of a configuration came from: a place in a VM file, or a flag.  For messages
 * that point at what is wrong, and for whoever prints the configuration.  What has no entry is at
 * its default.
 */
#ifndef VMM_ORIGINS_H
#define VMM_ORIGINS_H

#include "vmm/base/util.h"
#include "vmm/option_table.h"

/* A VM file that was read. */
struct origin_file {
	char *name;			/* as messages call it: "vms/web.yaml" */
	unsigned number;		/* in the order in which they were opened, from 0 */
	/* Where it is included; NULL: the user named it. */
	const struct origin_file *includer;
	unsigned line, column;
};

struct origin {
	const struct origin_file *file;	/* NULL: not from a file */
	unsigned line, column;		/* from 1, in characters; 0: the file as a whole */
	const char *flag;		/* without "--", "set" too; lives for ever; or NULL */
};

struct origin_entry {
	const struct option_section *section;
	const struct option *option;	/* NULL: the section or the object itself */
	unsigned item;			/* in a repeated section: which object */
	struct origin origin;
};

/* Zeroed is empty. */
struct origins {
	struct origin_file **file;
	unsigned n_files;
	struct origin_entry *entry;	/* the last one for a setting counts */
	unsigned n_entries, room;
};

/* Frees it all; whoever still has an origin of it must not use that any more. */
void origins_fini(struct origins *origins);

/*
 * Enter a file by its name (copied), 'at': the include that names it, or NULL.  Returns it,
 * borrowed from 'origins', or NULL when memory is short.
 */
const struct origin_file *origins_add_file(struct origins *origins, const char *name,
					   const struct origin *at);

/*
 * Note where a setting (of object 'item', 0 where there is only one) comes from; 'option' NULL:
 * where the section or object itself stands.  Returns 0 or -ENOMEM.
 */
MUST_USE int origins_note(struct origins *origins, const struct option_section *section,
			  unsigned item, const struct option *option, const struct origin *origin);

/* Where that setting comes from; NULL: nobody gave it.  Valid until the next origins_note. */
const struct origin *origins_find(const struct origins *origins,
				  const struct option_section *section, unsigned item,
				  const struct option *option);

#endif
