/*
 * A boot timeline as a picture: one SVG file that needs nothing else, for light and dark pages.
 */
#ifndef REPORT_TIMELINE_SVG_H
#define REPORT_TIMELINE_SVG_H

#include "vmm/report/timeline.h"

/*
 * Read what timeline_write_trace() wrote, or what another program made of it.  'text' is 'len'
 * bytes of anything.  Returns 0; -EINVAL with an error chain: it is no such trace; -EOPNOTSUPP:
 * this build has no libjansson.
 */
MUST_USE int timeline_read_trace(struct timeline *out, const char *text, size_t len);

/* Draw it: a row for each mark, in order. */
void timeline_write_svg(FILE *out, const struct timeline *t);

#endif
