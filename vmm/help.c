#include "vmm/help.h"

#include <string.h>

#include "vmm/command.h"
#include "vmm/command_line.h"
#include "vmm/completion.h"
#include "vmm/explain.h"
#include "vmm/option.h"
#include "vmm/outcome.h"
#include "vmm/version.h"

enum { HELP_COLUMN = 30 };

void help_program(FILE *out)
{
	fprintf(out, "Usage: vireo COMMAND [OPTION]...\n\n"
		     "A virtual machine monitor for Linux/KVM.\n\n");
	for (unsigned i = 0; i < commands_len; i++)
		fprintf(out, "  %-12s%s\n", commands[i]->name, commands[i]->summary);
	fprintf(out, "\n'vireo help COMMAND' tells more.  To begin: vireo doctor\n");
}

/* 'left' in the left column, 'help' behind it or, when it is too long, below. */
static void print_line(FILE *out, const char *left, const char *help, const char *initial)
{
	if (strlen(left) >= HELP_COLUMN - 1)
		fprintf(out, "%s\n%*s", left, HELP_COLUMN, "");
	else
		fprintf(out, "%-*s", HELP_COLUMN, left);
	fprintf(out, initial ? "%s [%s]\n" : "%s\n", help, initial);
}

static void print_item(FILE *out, const struct option *o)
{
	char left[192], value[128];

	option_value_text(o, value);
	if (o->type == OPTION_BOOL)
		snprintf(left, sizeof(left), "        %s", o->key);
	else
		snprintf(left, sizeof(left), "        %s=%s", o->key, value);
	/* A word that switches something on needs no "no" behind it. */
	bool is_off = o->type == OPTION_BOOL && !strcmp(o->initial, "no");
	print_line(out, left, o->help, is_off ? NULL : o->initial);
}

static void print_flag(FILE *out, const struct option *o)
{
	char left[192], value[128];

	option_value_text(o, value);
	if (option_flag_is_list(o->flag))
		snprintf(left, sizeof(left), "  --%s %s[,KEY=VALUE]...", o->flag, value);
	else if (o->type == OPTION_BOOL)
		snprintf(left, sizeof(left), "  --[no-]%s", o->flag);
	else
		snprintf(left, sizeof(left), "  --%s %s", o->flag, value);
	print_line(out, left, o->help, o->initial);
}

static void print_setting(FILE *out, const struct option *o)
{
	char left[256], value[128];

	snprintf(left, sizeof(left), "  --set %s%s.%s=%s", o->section,
		 option_section_of(o)->list ? ".NAME" : "", o->key, option_value_text(o, value));
	print_line(out, left, o->help, o->initial);
}

static void print_section(FILE *out, const struct option_section *section)
{
	fprintf(out, "\n%s%s:\n", section->title,
		section->list ? " (the option may be given again and again)" : "");
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		if (strcmp(o->section, section->name) || !o->flag)
			continue;
		if (option_find_flag(o->flag, strlen(o->flag)) == o)
			print_flag(out, o);
		else
			print_item(out, o);
	}
	/* Behind them all: what stands below a flag is an item of it. */
	for (unsigned i = 0; i < option_table_len; i++)
		if (!strcmp(option_table[i].section, section->name) && !option_table[i].flag)
			print_setting(out, &option_table[i]);
}

void help_switches(FILE *out, enum command_line_of command)
{
	char left[64];

	fprintf(out, "\nAbout this command:\n");
	for (unsigned i = 0; i < command_line_switches_len; i++) {
		if (!(command_line_switches[i].commands & command))
			continue;
		snprintf(left, sizeof(left), "  %s", command_line_switches[i].shown);
		print_line(out, left, command_line_switches[i].help, NULL);
	}
}

void help_run(FILE *out)
{
	fprintf(out, "Usage: vireo run [FILE.yaml]... [OPTION]...\n\n"
		     "Boot a kernel in a virtual machine, described by VM files (of several, the\n"
		     "later ones override the earlier ones; '-' is standard input) and by\n"
		     "options, which override files.  Defaults are in [brackets].\n");
	for (unsigned i = 0; i < option_sections_len; i++)
		print_section(out, &option_sections[i]);
	help_switches(out, COMMAND_LINE_RUN);
	fprintf(out, "\nOn a terminal Ctrl-A x ends the guest and Ctrl-A h lists the other keys.\n"
		     "SIGUSR1 reports the state of everything; SIGUSR2, for debugging, has kernel\n"
		     "and process take turns at moving the buffers of each device that has both.\n"
		     "Exit status: 0 the guest powered off, 1-119 its own status, 120 panic,\n"
		     "121 crash, 122 reset, 123 driver mistakes, 124 time limit, 125 error,\n"
		     "126 host, 127 no such file.\n");
}

void help_explain(FILE *out)
{
	fprintf(out, "Usage: vireo explain [--json] [FILE.yaml]... [OPTION OF RUN]...\n\n"
		     "Tell which feature bits the virtio devices of a VM offer to a driver, and\n"
		     "for each bit that they do not offer the reason.  Takes VM files and options\n"
		     "as 'vireo run' does (see 'vireo run --help'), but runs nothing: no kernel,\n"
		     "no KVM, and disks that another VM uses are not disturbed.  What a driver\n"
		     "then takes 'vireo run --explain' tells.\n\n"
		     "Bits are switched for all devices or for one:\n\n"
		     "  vireo explain --features -event_idx --transport mmio \\\n"
		     "        --disk path=root.img,features=+suspend,-indirect\n");
	help_switches(out, COMMAND_LINE_EXPLAIN);
}

void help_config(FILE *out)
{
	fprintf(out, "Usage: vireo config [--all] [--json] [FILE.yaml]... [OPTION OF RUN]...\n"
		     "       vireo config --schema\n\n"
		     "Write a VM as one VM file that 'vireo run' reads: what these files and\n"
		     "options (see 'vireo run --help') say, wherever it differs from the\n"
		     "defaults.  The file describes the same VM wherever it lies.  To begin a\n"
		     "file of your own:\n\n"
		     "  vireo config --all >web.yaml\n");
	help_switches(out, COMMAND_LINE_CONFIG);
}

void help_export(FILE *out)
{
	fprintf(out, "Usage: vireo export --qemu [FILE.yaml]... [OPTION OF RUN]...\n\n"
		     "Write a VM as a command line for qemu-system-x86_64, for hosts without KVM,\n"
		     "for comparisons and for bug reports.  What has no equivalent there is named\n"
		     "in comments before the command.\n\n"
		     "  vireo export --qemu web.yaml >web.sh && sh web.sh\n");
	help_switches(out, COMMAND_LINE_EXPORT);
}

void help_completion(FILE *out)
{
	fprintf(out, "Usage: vireo completion bash|zsh|fish\n"
		     "       vireo completion --for WORD...\n\n"
		     "Write the script that has a shell complete commands, options, their values\n"
		     "and names of files.  For this session:\n\n"
		     "  source <(vireo completion bash)\n\n"
		     "The scripts ask by '--for': the words so far, the last of which is not\n"
		     "complete.  The answer is one line about what follows (files or more), and a\n"
		     "line for each word with what it means.\n");
}

static void complete_help(struct completion *c, unsigned n, char *const *words)
{
	(void)words;
	for (unsigned i = 0; i < commands_len && n == 1; i++)
		completion_add(c, commands[i]->name, commands[i]->summary);
}

void help_check(FILE *out)
{
	fprintf(out, "Usage: vireo check [FILE.yaml]... [OPTION OF RUN]...\n\n"
		     "Tell everything that would keep a VM from running here, with the place in\n"
		     "its files: mistakes of the configuration first, and if there are none files\n"
		     "that are missing or unfit, devices and KVM that cannot be used, memory that\n"
		     "is not there.  Nothing is run, locked or written.  Takes what 'vireo run'\n"
		     "takes.\n");
	help_switches(out, COMMAND_LINE_CHECK);
	fprintf(out, "\nExit status: that of 'vireo run' where it would fail (125, 126, 127), else "
		     "0.\n");
}

static void help_help(FILE *out)
{
	fprintf(out, "Usage: vireo help [COMMAND]\n"
		     "       vireo help --man commands|options|settings|switches\n\n"
		     "Explain the program or one command.  --man writes a part of the manual\n"
		     "pages (in scdoc), from which they are made when Vireo is built.\n");
}

static int write_man_part(const char *name)
{
	if (help_man_part(stdout, name) == 0)
		return STATUS_OK;
	fprintf(stderr, "vireo: the manual has no part '%s'; see 'vireo help help'\n", name);
	return STATUS_FAILED;
}

static int help_main(int argc, char **argv)
{
	const struct command *command;

	if (argc == 2 && !strcmp(argv[0], "--man"))
		return write_man_part(argv[1]);
	if (argc > 1)
		return command_unexpected(&help_command, argv[1]);
	if (argc == 0) {
		help_program(stdout);
		return STATUS_OK;
	}
	command = command_find(!strcmp(argv[0], "--help") ? "help" : argv[0]);
	if (!command)
		return command_unknown(argv[0]);
	command->help(stdout);
	return STATUS_OK;
}

static void version_help(FILE *out)
{
	fprintf(out, "Usage: vireo version\n\nPrint the version.\n");
}

static int version_main(int argc, char **argv)
{
	if (argc > 0 && !strcmp(argv[0], "--help")) {
		version_help(stdout);
		return STATUS_OK;
	}
	if (argc > 0)
		return command_unexpected(&version_command, argv[0]);
	printf("vireo %s\n", VIREO_VERSION);
	return STATUS_OK;
}

const struct command help_command = {
	.name = "help",
	.summary = "explain the program or a command",
	.run = help_main,
	.help = help_help,
	.complete = complete_help,
};

const struct command version_command = {
	.name = "version",
	.summary = "print the version",
	.run = version_main,
	.help = version_help,
};
