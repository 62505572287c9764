/* The manual page: fixed text around what the option table says. */
#include <string.h>

#include "vmm/command_line.h"
#include "vmm/help.h"
#include "vmm/option.h"
#include "vmm/version.h"

/* Text as roff: a hyphen that people copy, no accidental requests or escapes. */
static void put(FILE *out, const char *text)
{
	bool line_start = true;

	for (const char *p = text; *p; p++) {
		if (line_start && (*p == '.' || *p == '\''))
			fputs("\\&", out);
		if (*p == '\\')
			fputs("\\e", out);
		else if (*p == '-')
			fputs("\\-", out);
		else
			fputc(*p, out);
		line_start = *p == '\n';
	}
}

static void put_tag(FILE *out, const char *before, const char *name, const char *after)
{
	fputs(".TP\n.B ", out);
	put(out, before);
	put(out, name);
	put(out, after);
	fputc('\n', out);
}

static void put_help(FILE *out, const char *help, const char *initial)
{
	put(out, help);
	fputs(".\n", out);
	if (initial) {
		fputs("Default: ", out);
		put(out, initial);
		fputs(".\n", out);
	}
}

static void put_option(FILE *out, const struct option *o)
{
	char value[128], after[160], name[64];

	option_value_text(o, value);
	snprintf(name, sizeof(name), "%s.%s%s", o->section,
		 option_section_of(o)->list ? "NAME." : "", o->key);
	if (!o->flag) {
		snprintf(after, sizeof(after), "=%s", value);
		put_tag(out, "--set ", name, after);
	} else if (option_find_flag(o->flag, strlen(o->flag)) != o) {
		snprintf(after, sizeof(after), "%s%s", o->type == OPTION_BOOL ? "" : "=",
			 o->type == OPTION_BOOL ? "" : value);
		snprintf(name, sizeof(name), "--%s ...,%s", o->flag, o->key);
		put_tag(out, "", name, after);
	} else if (o->type == OPTION_BOOL) {
		put_tag(out, "--[no-]", o->flag, "");
	} else {
		snprintf(after, sizeof(after), " %s%s", value,
			 option_flag_is_list(o->flag) ? "[,KEY=VALUE]..." : "");
		put_tag(out, "--", o->flag, after);
	}
	put_help(out, o->help, o->initial);
}

static void put_options(FILE *out)
{
	fputs(".SH OPTIONS OF RUN\n"
	      "A value follows its option as the next word or behind \"=\".\n"
	      "Every option is also a setting SECTION.KEY for\n.BR \\-\\-set .\n"
	      "A comma inside of an item of a list is written twice.\n", out);
	for (unsigned s = 0; s < option_sections_len; s++) {
		fprintf(out, ".SS %s\n", option_sections[s].title);
		for (unsigned i = 0; i < option_table_len; i++)
			if (!strcmp(option_table[i].section, option_sections[s].name))
				put_option(out, &option_table[i]);
	}
	fputs(".SS The command itself\n", out);
	for (unsigned i = 0; i < command_line_switches_len; i++) {
		const struct switch_info *info = &command_line_switches[i];
		put_tag(out, info->shown, "",
			info->commands == COMMAND_LINE_EXPLAIN ? " (vireo explain)" :
			info->commands == COMMAND_LINE_RUN     ? " (vireo run)"     : "");
		put_help(out, info->help, NULL);
	}
}

static void put_commands(FILE *out)
{
	static const char *const synopsis[][2] = {
		{ "vireo run [FILE.yaml]... [OPTION]...",
		  "Boot a kernel in a virtual machine, described by VM files and options; the "
		  "status tells how it ended" },
		{ "vireo explain [--json] [FILE.yaml]... [OPTION OF RUN]...",
		  "Tell which feature bits the virtio devices of such a VM offer, and why not "
		  "more; nothing is run, and disks that another VM uses are not disturbed" },
		{ "vireo check [FILE.yaml]... [OPTION OF RUN]...",
		  "Tell everything that would keep such a VM from running here, each with its "
		  "place; nothing is run.  The status is the one that run would have, or 0" },
		{ "vireo timeline TRACE.json",
		  "Draw what 'run --trace TRACE.json' wrote, as SVG to standard output" },
		{ "vireo doctor [-q] [--kvm PATH]",
		  "Tell what of this host works, and how to mend the rest" },
		{ "vireo help [COMMAND]", "Explain the program or a command" },
		{ "vireo version", "Print the version" },
	};

	fputs(".SH COMMANDS\n", out);
	for (unsigned i = 0; i < ARRAY_SIZE(synopsis); i++) {
		put_tag(out, synopsis[i][0], "", "");
		put_help(out, synopsis[i][1], NULL);
	}
}

static void put_columns(FILE *out)
{
	static const char *const column[][2] = {
		{ "owner", "Which part of Vireo answers for the bit: the device, the transport, or "
			   "the ring (the back end, who moves the data)" },
		{ "has", "Its owner can do it" },
		{ "ask", "The configuration demands (+) or forbids (-) it" },
		{ "offer", "A driver sees it: yes, no, or at which of two register interfaces" },
		{ "taken", "The driver accepted it; - while there is no answer" },
		{ "told", "The back end was told that it was accepted" },
		{ "why not", "The reason for the first no" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(column); i++) {
		put_tag(out, column[i][0], "", "");
		put_help(out, column[i][1], NULL);
	}
}

static void put_statuses(FILE *out)
{
	static const char *const status[][2] = {
		{ "0", "The guest powered off, or reported 0" },
		{ "1-119", "The status that the guest reported; a larger one is reported as 119" },
		{ "120", "The guest's kernel panicked" },
		{ "121", "The guest crashed: triple fault, KVM error, failed entry" },
		{ "122", "The guest reset itself, and --on-reboot is fail" },
		{ "123", "An expectation was not met: with --strict-driver, a driver's mistakes" },
		{ "124", "The time limit passed" },
		{ "125", "Vireo failed, or the configuration is wrong" },
		{ "126", "A facility of the host is missing or not permitted" },
		{ "127", "A file that was named does not exist" },
	};

	fputs(".SH EXIT STATUS\n", out);
	for (unsigned i = 0; i < ARRAY_SIZE(status); i++) {
		put_tag(out, status[i][0], "", "");
		put_help(out, status[i][1], NULL);
	}
	fputs(".PP\nA guest reports a status by writing 4 bytes to port 0xf4.\n"
	      "A signal or the escape key ends the guest first, and then Vireo by that signal\n"
	      "(the escape key: SIGINT).\n", out);
}

void help_man_page(FILE *out)
{
	fprintf(out, ".TH VIREO 1 \"\" \"vireo %s\" \"User Commands\"\n", VIREO_VERSION);
	fputs(".SH NAME\nvireo \\- virtual machine monitor for Linux/KVM\n"
	      ".SH SYNOPSIS\n.B vireo\n.I COMMAND\n[\\fIOPTION\\fR]...\n"
	      ".SH DESCRIPTION\n"
	      "Vireo runs Linux and other kernels in a virtual machine whose devices are virtio.\n"
	      "To begin:\n.PP\n.nf\n"
	      "    vireo doctor\n"
	      "    vireo run \\-\\-kernel bzImage \\-\\-disk root.img\n.fi\n", out);
	put_commands(out);
	put_options(out);
	fputs(".SH EXPLAIN\n"
	      "Each device is followed by a line for each feature bit that somebody has, asks for\n"
	      "or took.  The columns:\n", out);
	put_columns(out);
	fputs(".PP\nA bit of a feature list is its name (VIRTIO_F_RING_PACKED), in any case, that\n"
	      "without its prefix (ring_packed), words of it that no other bit has (packed), or\n"
	      "its number (34).  For each bit the last word counts, and that of the device\n"
	      "before that of the VM.\n"
	      ".PP\nOf a VM that runs, SIGUSR1 prints the same to standard error.\n", out);
	fputs(".SH CORE FILES\n"
	      "With \\-\\-on\\-panic dump or \\-\\-on\\-crash dump a guest that ends so is\n"
	      "kept in the file that \\-\\-dump\\-to names: an ELF core with all of its memory\n"
	      "and the registers of each virtual CPU.  Try\n.PP\n.nf\n    gdb vmlinux guest.core\n"
	      "    crash vmlinux guest.core\n.fi\n.PP\n"
	      "The file is made, empty, at the start of the run, because nothing can be made\n"
	      "in the sandbox; one that exists is left as it is until there is something to be\n"
	      "kept.\n"
	      "Pages of zeros take no room.\n"
	      ".SH TIMELINE\n"
	      "\\-\\-timing tells the phases of the start, in milliseconds since the program's\n"
	      "first instruction, the first exit, the first byte on a console, and how far the\n"
	      "guest is: init when Linux prints \"Run /init as init process\", and ready when a\n"
	      "line begins with \"vireo: ready\", as by\n.PP\n.nf\n"
	      "    echo vireo: ready >/dev/console\n.fi\n", out);
	fputs(".SH SIGNALS\n"
	      ".TP\n.B SIGUSR1\n"
	      "Print a state report to standard error: registers and stack of each\n"
	      "virtual CPU (with names, given \\-\\-symbols), interrupts, queues, the last words\n"
	      "on the consoles, what happened; and what became of the feature bits (see EXPLAIN).\n"
	      "The guest goes on.  The same is printed at the time limit, unless \\-q is given.\n"
	      ".TP\n.B SIGUSR2\n"
	      "For debugging: devices whose buffers can be moved by the host's kernel and by\n"
	      "Vireo (a network on a tap with vhost) change from the one to the other, or\n"
	      "back, while the guest uses them.\n"
	      ".TP\n.B SIGTERM, SIGINT, SIGHUP, SIGQUIT\nEnd the guest; the status is 128 and the\n"
	      "signal's number.\n", out);
	fputs(".SH KEYS\nOn a terminal, Ctrl\\-A is for Vireo:\n"
	      ".TP\n.B Ctrl\\-A x\nEnd the guest.\n"
	      ".TP\n.B Ctrl\\-A p\nPress its power button.\n"
	      ".TP\n.B Ctrl\\-A h\nList the keys.\n"
	      ".TP\n.B Ctrl\\-A Ctrl\\-A\nType Ctrl\\-A.\n", out);
	put_statuses(out);
}
