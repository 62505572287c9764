/*
 * Everything that explains the program, written from the option table: --help and the manual
 * page.
 */
#ifndef VMM_HELP_H
#define VMM_HELP_H

#include <stdio.h>

#include "vmm/base/util.h"
#include "vmm/command_line.h"

/* "vireo help": the commands. */
void help_program(FILE *out);

/* "vireo run --help": every option. */
void help_run(FILE *out);

/* The switches of a command, for its own help. */
void help_switches(FILE *out, enum command_line_of command);

/* "vireo config --help". */
void help_config(FILE *out);

/* "vireo export --help". */
void help_export(FILE *out);

/* "vireo completion --help". */
void help_completion(FILE *out);

/* "vireo check --help". */
void help_check(FILE *out);

/*
 * "vireo help --man PART": a part of the manual pages, in scdoc(5) (man_page.c): "commands",
 * "options", "switches", "settings", or "help-NAME", the help of one command.  Returns 0, or
 * -ENOENT if there is no such part.
 */
MUST_USE int help_man_part(FILE *out, const char *name);

#endif
