/* Values of each row of the option table to try things with: every choice, the ends of ranges. */
#ifndef TESTS_VMM_SAMPLES_H
#define TESTS_VMM_SAMPLES_H

#include "vmm/option_table.h"

enum { SAMPLE_SIZE = 128 };

unsigned sample_count(const struct option *o);

/* Sample 'i' as a user writes it, in 'buf', which is returned.  One at least is not the default. */
const char *sample(const struct option *o, unsigned i, char buf[SAMPLE_SIZE]);

#endif
