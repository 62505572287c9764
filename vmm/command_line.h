/*
 * The arguments of a command that describes a VM ("vireo run"): VM files, flags from the option
 * table, a handful of switches of the command itself, nothing else.
 */
#ifndef VMM_COMMAND_LINE_H
#define VMM_COMMAND_LINE_H

#include "vmm/base/util.h"
#include "vmm/config.h"
#include "vmm/explain.h"
#include "vmm/file/config_print.h"
#include "vmm/mistakes.h"

/* The commands that describe a VM. */
enum command_line_of {
	COMMAND_LINE_RUN = 1,
	COMMAND_LINE_EXPLAIN = 2,
	COMMAND_LINE_CHECK = 4,
	COMMAND_LINE_CONFIG = 8,
	COMMAND_LINE_EXPORT = 16,
	COMMAND_LINE_KERNEL = 32,
};

/* What is about the command and not about the VM. */
struct run_switches {
	enum command_line_of command;	/* set by the caller */
	bool help;		/* --help: nothing else counts */
	bool quiet;
	unsigned verbose;	/* number of -v */
	const char *dump_dtb;	/* write the device tree there, run nothing; borrows from argv */
	enum explain_form explain;	/* OFF unless it was asked for */
	enum config_form print;		/* write the configuration, run nothing */
	bool all;			/* --all: with every setting */
	bool qemu;			/* --qemu */
	bool no_run_dir;		/* --no-run-dir */
	bool exec;			/* --exec: what that command needs, too */
	bool fragment;			/* --fragment */
	const char *kernel_file;	/* COMMAND_LINE_KERNEL: its own word; borrows from argv */
};

/* A switch, as --help shows it. */
struct switch_info {
	const char *shown;	/* "-v, --verbose" */
	const char *help;
	unsigned commands;	/* enum command_line_of: whose help shows it */
};
extern const struct switch_info command_line_switches[];
extern const unsigned command_line_switches_len;

/* Its long name without "--", written to 'buf' and returned. */
const char *switch_name(const struct switch_info *info, char buf[32]);

/* Does 'command' take it?  Who describes a VM takes the switches of run, too. */
bool switch_is_of(const struct switch_info *info, enum command_line_of command);

/* Is it a VM file by its name: "web.yaml"? */
bool command_line_is_vm_file(const char *word);

/*
 * Read argv[0 .. argc) (without the program's and the command's name) into 'config'
 * (initialised) and 'switches' (zeroed but for 'command').  Words that belong to no option are VM
 * files: they are read first, one on top of the other (then what 'config' had before is lost), and
 * flags override them.  Later settings override earlier ones; each --disk adds a disk, unless it
 * names one that a file has.  Every mistake is noted and reading goes on.
 *
 * COMMAND_LINE_KERNEL: the first such word that has not the name of a VM file is 'kernel_file'.
 */
void command_line_read(int argc, char *const *argv, struct vm_config *config,
		       struct run_switches *switches, struct mistakes *mistakes);

#endif
