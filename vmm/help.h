/*
 * Everything that explains the program, written from the option table: --help and the manual
 * page.
 */
#ifndef VMM_HELP_H
#define VMM_HELP_H

#include <stdio.h>

/* "vireo help": the commands. */
void help_program(FILE *out);

/* "vireo run --help": every option. */
void help_run(FILE *out);

/* "vireo config --help". */
void help_config(FILE *out);

/* "vireo help --man": the manual page, in roff (man_page.c). */
void help_man_page(FILE *out);

#endif
