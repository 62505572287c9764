/*
 * What is wrong with a configuration.  Checking goes on after a mistake, so that a person sees
 * all of them at once instead of one per attempt.
 */
#ifndef VMM_MISTAKES_H
#define VMM_MISTAKES_H

#include <stdio.h>

#include "vmm/base/util.h"

enum { MISTAKES_SHOWN = 20, MISTAKE_SIZE = 512 };

struct mistakes {
	unsigned n;		/* all of them, also those beyond MISTAKES_SHOWN */
	char line[MISTAKES_SHOWN][MISTAKE_SIZE];
};

/* Add one sentence (no newline, no "vireo:"). */
void mistakes_add(struct mistakes *mistakes, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Print one "vireo: ..." line each. */
void mistakes_print(const struct mistakes *mistakes, FILE *out);

#endif
