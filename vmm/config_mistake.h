/*
 * Mistakes about settings: called by where the user wrote them.  In a file that is the place and
 * the path of keys ("web.yaml:7:5: disks.root.serial: ..."), on the command line the flag
 * ("--memory: ...") or the object ("disk 'root': ...").
 */
#ifndef VMM_CONFIG_MISTAKE_H
#define VMM_CONFIG_MISTAKE_H

#include "vmm/base/util.h"
#include "vmm/config.h"

/*
 * Add one sentence about setting 'key' of 'section', of object number 'item' where the section is
 * repeated (else 0).  'key' NULL: about the section or the object as a whole, which is also where a
 * setting is looked for that nobody gave.
 */
void config_mistake(const struct vm_config *config, struct mistakes *mistakes, const char *section,
		    unsigned item, const char *key, const char *fmt, ...) PRINTF_LIKE(6, 7);

/* Where that setting was written; without file and flag if nobody gave it. */
struct origin config_origin(const struct vm_config *config, const char *section, unsigned item,
			    const char *key);

enum { CONFIG_LABEL_SIZE = 160 };

/* What to call it, written to 'buf' and returned. */
const char *config_label(char buf[CONFIG_LABEL_SIZE], const struct vm_config *config,
			 const char *section, unsigned item, const char *key);

#endif
