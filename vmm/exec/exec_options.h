/*
 * The command line of "vireo exec": options of its own, options of a VM (as "vireo run" takes
 * them), and behind "--" the command.
 */
#ifndef EXEC_OPTIONS_H
#define EXEC_OPTIONS_H

#include "vmm/base/util.h"
#include "vmm/config.h"
#include "vmm/exec/exec_guest.h"
#include "vmm/mistakes.h"

enum exec_tty { EXEC_TTY_AUTO, EXEC_TTY_YES, EXEC_TTY_NO };

enum {
	EXEC_BOOT_MS = 60000,		/* the agent is to be there by then */
};
#define EXEC_MEMORY "1G"
enum { EXEC_MAX_CPUS = 4 };

struct exec_options {
	bool help;
	bool quiet;
	unsigned verbose;
	struct exec_wish wish;
	struct text_list env;		/* "NAME" or "NAME=VALUE" */
	const char *keep;		/* a directory for its files; NULL: a temporary one */
	uint64_t boot_ms;
	enum exec_tty tty;
	struct text_list files;		/* VM files */
	struct text_list words;		/* options of a VM, as they were written */
	char **command;			/* borrowed from argv, ends with NULL; or NULL: none */
};

/* An option of its own, as help shows it. */
struct exec_option {
	const char *name;		/* without "--" */
	const char *value;		/* NULL: it takes none */
	const char *help;
	bool is_path;			/* its value is a file or a directory */
};
extern const struct exec_option exec_option_table[];
extern const unsigned exec_option_table_len;

/*
 * Read argv[0 .. argc), which ends with NULL.  Every mistake that shows here is noted; those in the
 * options of the VM are found by who reads 'words'.  Texts are borrowed from 'argv' but for the
 * lists, which exec_options_fini() frees.
 */
void exec_options_read(struct exec_options *options, int argc, char **argv,
		       struct mistakes *mistakes);
void exec_options_fini(struct exec_options *options);

/* Append a copy of 'text'.  Returns 0 or -ENOMEM with an error chain. */
MUST_USE int exec_list_add(struct text_list *list, const char *text);
void exec_list_free(struct text_list *list);

#endif
