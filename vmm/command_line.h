/*
 * The options of a command that describes a VM ("vireo run"): flags from the option table, a
 * handful of switches of the command itself, nothing else.
 */
#ifndef VMM_COMMAND_LINE_H
#define VMM_COMMAND_LINE_H

#include "vmm/base/util.h"
#include "vmm/config.h"
#include "vmm/mistakes.h"

/* What is about the command and not about the VM. */
struct run_switches {
	bool help;		/* --help: nothing else counts */
	bool quiet;
	unsigned verbose;	/* number of -v */
	const char *dump_dtb;	/* write the device tree there, run nothing; borrows from argv */
};

/* A switch, as --help shows it. */
struct switch_info {
	const char *shown;	/* "-v, --verbose" */
	const char *help;
};
extern const struct switch_info command_line_switches[];
extern const unsigned command_line_switches_len;

/*
 * Read argv[0 .. argc) (without the program's and the command's name) into 'config'
 * (initialised) and 'switches' (zeroed).  Later settings override earlier ones; each --disk adds
 * a disk.  Every mistake is noted and reading goes on.
 */
void command_line_read(int argc, char *const *argv, struct vm_config *config,
		       struct run_switches *switches, struct mistakes *mistakes);

#endif
