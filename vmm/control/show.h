/* What the control socket answers, as people read it. */
#ifndef CONTROL_SHOW_H
#define CONTROL_SHOW_H

#include <stdio.h>

#include "vmm/base/util.h"

struct json_t;

/* How many bytes at 'text' are one character (of UTF-8) that could steer a terminal; 0: none. */
unsigned show_steers(const char *text);

/* Write 'text' with what could steer a terminal as '?'. */
void show_text(FILE *out, const char *text);

/*
 * Write an object: a list of objects as its only member is a table, everything else one line for
 * each member.
 */
void show_json(FILE *out, const struct json_t *object);

/* "3d 4h", "5 min 10 s": a time for people, written to 'buf' and returned. */
const char *show_duration(char buf[32], uint64_t ms);

#endif
