/*
 * Text of anybody, written so that it is only text: in HTML and XML, in TAP, in YAML, on a
 * terminal.  All go through plain_text.h first, so that what none of these may have is gone.
 * Pure; any thread.
 */
#ifndef TEST_ESCAPE_H
#define TEST_ESCAPE_H

#include <stdio.h>

#include "vmm/base/util.h"

/*
 * One character of a plain text, for the content of an element or a quoted attribute.  Returns how
 * many bytes that took.
 */
unsigned escape_html_char(FILE *out, uint32_t c);
/* NULL is nothing. */
void escape_html(FILE *out, const char *text);

/* As a description of TAP 14: one line, '#' and '\' escaped. */
void escape_tap(FILE *out, const char *text);

/* As a double-quoted scalar of YAML or JSON, with its quotes. */
void escape_yaml(FILE *out, const char *text);

/*
 * As one line on a terminal, of at most 'most' columns; what is too long ends with "...".  Returns
 * the columns.
 */
unsigned escape_line(FILE *out, const char *text, unsigned most);

/* As a word of a POSIX shell. */
void escape_shell(FILE *out, const char *word);

#endif
