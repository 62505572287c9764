/*
 * The event log (vmm/base/event_log.h) as lines of JSON, for clients and for a file.  A line:
 *
 *   {"number":7,"time_ms":1234.567,"kind":"driver-ok","subject":"disk0","value":0,"text":""}
 *
 * Who is too slow is told in between: {"lost":12}.
 */
#ifndef CONTROL_EVENT_STREAM_H
#define CONTROL_EVENT_STREAM_H

#include "vmm/base/event_log.h"
#include "vmm/base/util.h"
#include "vmm/control/http_server.h"

/* A line at its longest: every byte of subject and text as \u00XX. */
enum { EVENT_LINE_SIZE = 160 + 6 * (EVENT_SUBJECT_SIZE + EVENT_TEXT_SIZE) };

/*
 * Write 'e' as one line; 'since_ns' is where its time begins.  What is no UTF-8 becomes "?", as a
 * guest may have said it.  Returns its length.
 */
size_t event_line(char line[EVENT_LINE_SIZE], const struct event *e, uint64_t since_ns);

/*
 * As many whole lines as fit from event '*next' on ('*lost' is said, then 0).  Returns their
 * length.  Any thread.
 */
size_t event_lines(char *buf, size_t size, uint64_t *next, uint64_t *lost, uint64_t since_ns);

#endif
