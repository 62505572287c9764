/* The last lines of a console, for whoever wants to know at once what went wrong. */
#ifndef TEST_CONSOLE_END_H
#define TEST_CONSOLE_END_H

#include "vmm/base/util.h"

/*
 * The last lines of the file 'path' that have something on them, at most 'most', each returned
 * owned in 'line'; sequences for terminals are still in them (escape.h).  Returns how many.
 */
unsigned console_end_read(const char *path, char **line, unsigned most);

#endif
