/*
 * A configuration as those see it who write it down: which sections and settings are worth a word,
 * and what the words are.
 */
#ifndef FILE_CONFIG_VIEW_H
#define FILE_CONFIG_VIEW_H

#include "vmm/config.h"
#include "vmm/option_table.h"

struct config_view {
	const struct vm_config *config;	/* borrowed */
	bool all;			/* what is at its default, too */
	struct vm_config defaults;	/* an object in each repeated section */
};

/*
 * View 'config' (validated: its objects have names; borrowed until config_view_fini).  Returns 0,
 * or -ENOMEM with an error chain.
 */
MUST_USE int config_view_init(struct config_view *view, const struct vm_config *config, bool all);
void config_view_fini(struct config_view *view);

/* The objects of 'section': of one that is not repeated, the configuration itself. */
unsigned config_view_count(const struct config_view *view, const struct option_section *section);
const void *config_view_object(const struct config_view *view,
			       const struct option_section *section, unsigned index);

/* Is there something of this section to be written? */
bool config_view_has(const struct config_view *view, const struct option_section *section);

/*
 * Is this setting to be written?  It has a value, and that is not the default or all are wanted.
 * The name of an object is none: it stands before the others.  Of an object or a device that is all
 * defaults the first setting is wanted, as something has to say that it is there.
 */
bool config_view_wants(const struct config_view *view, const struct option *o, const void *object);

/*
 * Word 'i' of the value, as option_format() has it, but wherever the reader is: names of files
 * begin at the root.  Returned owned in '*out'.  Returns 0; -ENOMEM or what getcwd(3) says, with an
 * error chain.
 */
MUST_USE int config_view_format(const struct option *o, const void *object, unsigned i,
				char **out);

#endif
