/*
 * What is wrong with a configuration.  Checking goes on after a mistake, so that a person sees
 * all of them at once instead of one per attempt.
 */
#ifndef VMM_MISTAKES_H
#define VMM_MISTAKES_H

#include <stdio.h>

#include "vmm/base/util.h"
#include "vmm/origins.h"

enum { MISTAKES_SHOWN = 32, MISTAKE_SIZE = 768 };

struct mistake_order {
	unsigned file, line, column;
};

struct mistakes {
	unsigned n;		/* all of them, also those beyond MISTAKES_SHOWN */
	int status;		/* what Vireo exits with: that of the first one; 0: no mistake */
	/* The first MISTAKES_SHOWN by place: those in files, in their order, then all others. */
	struct mistake_order order[MISTAKES_SHOWN];
	char line[MISTAKES_SHOWN][MISTAKE_SIZE];
};

/* Add one sentence (no newline, no "vireo:") about what is not in a file.  STATUS_FAILED. */
void mistakes_add(struct mistakes *mistakes, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Add one about a place in a file: "web.yaml:3:5: SENTENCE", and how the file came to be included.
 * 'at' may be without a file; 'status' is STATUS_FAILED, STATUS_NO_FILE or STATUS_HOST.
 */
void mistakes_add_at(struct mistakes *mistakes, const struct origin *at, int status,
		     const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Print one "vireo: ..." line each; what could steer a terminal is shown as '?'. */
void mistakes_print(const struct mistakes *mistakes, FILE *out);

#endif
