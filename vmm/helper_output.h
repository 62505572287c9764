/*
 * What a helper program says, from the pipe that is its standard output and error: shown as it
 * comes at -v, and its last line kept for the message about its end.  It may have been made to say
 * anything: lines are plain text when they leave here, of bounded length, and what is shown is
 * limited.
 */
#ifndef VMM_HELPER_OUTPUT_H
#define VMM_HELPER_OUTPUT_H

#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum { HELPER_LINE_SIZE = 200 };

struct helper_output {
	int fd;				/* owned; does not block; FD_NONE: nothing comes any more */
	char name[64];			/* whose it is, "virtiofsd of share 'src'" */
	char line[HELPER_LINE_SIZE];	/* that is not complete yet */
	size_t len;
	char last[HELPER_LINE_SIZE];	/* the last one that said something */
	struct log_limit log;
};

/* From now on read 'fd' (consumed); what was said before is forgotten. */
void helper_output_begin(struct helper_output *o, int fd);
/* Read some of what there is.  Returns false at its end. */
bool helper_output_read(struct helper_output *o);
/* Read the rest, a bounded amount, and close 'fd'; fine when there is none. */
void helper_output_end(struct helper_output *o);

#endif
