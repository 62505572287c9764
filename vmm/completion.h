/*
 * What a word of a command line can become: from the commands, the option table and the switches.
 * Shells ask by 'vireo completion --for WORD...'; their scripts only show the answer.
 */
#ifndef VMM_COMPLETION_H
#define VMM_COMPLETION_H

#include <stdio.h>

#include "vmm/base/util.h"
#include "vmm/command_line.h"

/* The answer while it is made. */
struct completion {
	FILE *candidates;	/* lines of "WORD<tab>DESCRIPTION" */
	const char *word;	/* what has been typed of the last word */
	/* The names of files, too, behind what stands before them in the word; NULL: none. */
	char *files;
	bool more;		/* something follows: no space behind the word */
};

/*
 * Write what the last of 'words' (those after "vireo", 'n' of them; it may be empty) can become: a
 * line "files<tab>PREFIX", "more" or "", then the candidates.  Names of files complete what stands
 * behind PREFIX.  Nothing is opened or run.  Returns 0 or -ENOMEM with an error chain.
 */
MUST_USE int completion_write(FILE *out, unsigned n, char *const *words);

/* --- For the commands' own words ------------------------------------------------------------- */

/* Offer 'word' if what has been typed leads to it. */
void completion_add(struct completion *c, const char *word, const char *description);

/* Offer the names of files behind the first 'prefix_len' characters of the word. */
void completion_add_files(struct completion *c, size_t prefix_len);

/* A command that describes a VM: its options, their values, VM files. */
void completion_options(struct completion *c, enum command_line_of command, unsigned n,
			char *const *words);

#endif
