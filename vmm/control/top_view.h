/* What 'vireo top' shows, as lines of text: of 80 columns, or more where names are long. */
#ifndef CONTROL_TOP_VIEW_H
#define CONTROL_TOP_VIEW_H

#include <stdio.h>

#include "vmm/control/top_sample.h"

/* The line above the VMs, and one for each; 'was' is the sample before, of the same VM or NULL. */
void top_view_head(FILE *out);
void top_view_line(FILE *out, const struct top_sample *was, const struct top_sample *now);

/* Everything about one VM: CPUs, queues, memory. */
void top_view_vm(FILE *out, const struct top_sample *was, const struct top_sample *now);

#endif
