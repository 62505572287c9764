/*
 * What only the program knows of its manual pages: commands, options, settings.  docs/man has the
 * pages, in scdoc(5), with a line "@commands@" where such a part belongs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/command.h"
#include "vmm/command_line.h"
#include "vmm/help.h"
#include "vmm/option.h"
#include "vmm/option_text.h"

/* One line as scdoc: nothing in it means anything. */
static void put(FILE *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		if (strchr("\\*_~+`", *p))
			fputc('\\', out);
		fputc(*p, out);
	}
}

/* The same at the beginning of a line, where more could mean something. */
static void put_start(FILE *out, const char *text)
{
	if (*text && strchr("-#.:|[]; \t", *text))
		fputc('\\', out);
	put(out, text);
}

/* "*before name after*" on a line of its own, the explanation comes below it. */
static void put_tag(FILE *out, const char *before, const char *name, const char *after)
{
	fputc('*', out);
	put(out, before);
	put(out, name);
	put(out, after);
	fputs("*\n", out);
}

static void put_help(FILE *out, const char *help, const char *initial)
{
	fputc('\t', out);
	put_start(out, help);
	fputs(".\n", out);
	if (initial) {
		fputs("\tDefault: ", out);
		put(out, initial);
		fputs(".\n", out);
	}
	fputc('\n', out);
}

static bool is_of(const struct option *o, const struct option_section *section)
{
	return !strcmp(o->section, section->name);
}

/* --- Options of the command line ------------------------------------------------------------- */

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
	for (unsigned s = 0; s < option_sections_len; s++) {
		fprintf(out, "## %s\n\n", option_sections[s].title);
		for (unsigned i = 0; i < option_table_len; i++)
			if (is_of(&option_table[i], &option_sections[s]))
				put_option(out, &option_table[i]);
	}
}

/* Which commands take a switch: "(vireo config, vireo run)". */
static void put_commands_of(FILE *out, const struct switch_info *info)
{
	const char *gap = "\t(";

	for (unsigned i = 0; i < commands_len; i++) {
		if (!(commands[i]->options & info->commands))
			continue;
		fprintf(out, "%svireo %s", gap, commands[i]->name);
		gap = ", ";
	}
	fputs(*gap == ',' ? ")\n" : "", out);
}

static void put_switches(FILE *out)
{
	for (unsigned i = 0; i < command_line_switches_len; i++) {
		const struct switch_info *info = &command_line_switches[i];
		put_tag(out, info->shown, "", "");
		put_commands_of(out, info);
		put_help(out, info->help, NULL);
	}
}

/* --- Settings of a VM file ------------------------------------------------------------------- */

static void put_setting(FILE *out, const struct option *o)
{
	char *allowed = NULL;
	size_t len;
	FILE *text = open_memstream(&allowed, &len);

	put_tag(out, "", o->key, ":");
	fputc('\t', out);
	put_start(out, o->help);
	fputs(".\n\tAllowed: ", out);
	if (text) {
		option_put_allowed(o, text);
		fclose(text);
	}
	put(out, allowed ? allowed : "");
	free(allowed);
	fputs(o->initial ? ". Default: " : ". No default", out);
	put(out, o->initial ? o->initial : "");
	fputs(".\n\n", out);
}

static void put_section(FILE *out, const struct option_section *section)
{
	fprintf(out, "## %s", section->name);
	fputs(section->list ? ": { NAME: { ... } }\n\n" :
	      section->pairs ? ": { NAME: VALUE }\n\n" : "\n\n", out);
	put_start(out, section->title);
	fputs(".\n\n", out);
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		if (!is_of(o, section))
			continue;
		if (section->pairs || option_is_name(o)) {
			put_tag(out, "", "NAME", section->pairs ? ": VALUE" : ":");
			put_help(out, o->help, NULL);
		} else {
			put_setting(out, o);
		}
	}
}

static void put_settings(FILE *out)
{
	for (unsigned s = 0; s < option_sections_len; s++)
		put_section(out, &option_sections[s]);
}

/* --- Commands -------------------------------------------------------------------------------- */

/* Each begins its help with how it is called. */
static void put_usage(FILE *out, const struct command *command)
{
	static const char usage[] = "Usage: ";
	char *help = NULL, *line, *rest;
	size_t len;
	FILE *text = open_memstream(&help, &len);

	if (!text)
		return;
	command->help(text);
	fclose(text);
	rest = help;
	for (const char *gap = ""; rest && (line = strsep(&rest, "\n")) != NULL && *line;
	     gap = "++\n") {
		fprintf(out, "%s*", gap);
		put(out, strlen(line) > strlen(usage) ? line + strlen(usage) : line);
		fputc('*', out);
	}
	fputc('\n', out);
	free(help);
}

static void put_commands(FILE *out)
{
	for (unsigned i = 0; i < commands_len; i++) {
		put_usage(out, commands[i]);
		put_help(out, commands[i]->summary, NULL);
	}
}

/* The help of one command as it is. */
static void put_command_help(FILE *out, const char *name)
{
	const struct command *command = command_find(name);

	if (!command) {
		fprintf(out, "This build of Vireo has no *vireo %s*.\n", name);
		return;
	}
	fputs("```\n", out);
	command->help(out);
	fputs("```\n", out);
}

static const struct {
	const char *name;
	void (*put)(FILE *out);
} parts[] = {
	{ "commands", put_commands },
	{ "options", put_options },
	{ "switches", put_switches },
	{ "settings", put_settings },
};

int help_man_part(FILE *out, const char *name)
{
	if (!strncmp(name, "help-", 5)) {
		put_command_help(out, name + 5);
		return 0;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!strcmp(parts[i].name, name)) {
			parts[i].put(out);
			return 0;
		}
	}
	return -ENOENT;
}
