/*
 * Explaining devices: the accounts of all of them as text for people (explain_text.c) or as JSON
 * for programs (explain_json.c).  "vireo explain" is in explain.c; a running VM is explained by
 * run.c.
 */
#ifndef VMM_EXPLAIN_H
#define VMM_EXPLAIN_H

#include <stdio.h>

#include "virtio/device_account.h"
#include "vmm/base/util.h"

enum explain_form { EXPLAIN_OFF, EXPLAIN_TEXT, EXPLAIN_JSON };

/* Can this build write JSON?  If not, says so with an error chain and returns -EOPNOTSUPP. */
MUST_USE int explain_check(enum explain_form form);

/* What form 'text' names; NULL is the text for people.  Returns 0 or -EINVAL. */
MUST_USE int explain_parse(const char *text, enum explain_form *form);

/*
 * Write the accounts of 'n' devices.  Works in the sandbox.  Returns 0; -ENOMEM or -EOPNOTSUPP
 * (explain_check) with an error chain.
 */
MUST_USE int explain_write(FILE *out, enum explain_form form, const struct device_account *device,
			   unsigned n);

/* The two forms of explain_write. */
void explain_write_text(FILE *out, const struct device_account *device, unsigned n);
MUST_USE int explain_write_json(FILE *out, const struct device_account *device, unsigned n);

/*
 * Strict drivers, at the end: "vireo: the driver of 'disk0' made 3 mistakes ..." for each device
 * that has some, or a sentence that there are none ('quiet': not even that).  Returns how many.
 */
uint64_t explain_report_mistakes(FILE *out, const struct device_account *device, unsigned n,
				 bool quiet);

/* "vireo explain --help". */
void help_explain(FILE *out);

#endif
