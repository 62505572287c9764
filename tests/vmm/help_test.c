/* What is written from the table has to hold all of it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/command.h"
#include "vmm/command_line.h"
#include "vmm/help.h"
#include "vmm/option.h"

static char *text_of(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert_not_null(out);
	print(out);
	fclose(out);
	return text;
}

Test(help, run_explains_every_setting)
{
	char *text = text_of(help_run);

	for (unsigned i = 0; i < option_table_len; i++)
		cr_expect_not_null(strstr(text, option_table[i].help), "%s.%s",
				   option_table[i].section, option_table[i].key);
	free(text);
}

/* "        key=" belongs to the last "  --flag" above it. */
Test(help, items_stand_below_their_own_option)
{
	char *text = text_of(help_run), flag[64] = "";
	unsigned n = 0;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char key[64];

		if (!strncmp(line, "  --", 4))
			snprintf(flag, sizeof(flag), "%.*s", (int)strcspn(line + 4, " "), line + 4);
		if (strncmp(line, "        ", 8) || line[8] == ' ')
			continue;
		bool found = false;
		snprintf(key, sizeof(key), "%.*s", (int)strcspn(line + 8, " ="), line + 8);
		for (unsigned i = 0; i < option_table_len; i++)
			found |= option_table[i].flag && !strcmp(option_table[i].flag, flag) &&
				 !strcmp(option_table[i].key, key);
		cr_expect(found, "'%s' below --%s", key, flag);
		n++;
	}
	cr_expect_gt(n, 50u);
	free(text);
	text = text_of(help_run);
	cr_expect_not_null(strstr(text, "  --set nets.NAME.vhost_path=PATH"));
	cr_expect_not_null(strstr(text, "  --set vsock.vhost_path=PATH"));
	free(text);
}

Test(help, no_line_is_wider_than_a_screen)
{
	char *text = text_of(help_run);

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		cr_expect_leq(strlen(line), 104, "%s", line);
	free(text);
}

static void put_part_options(FILE *out)
{
	cr_assert_eq(help_man_part(out, "options"), 0);
}

static void put_part_commands(FILE *out)
{
	cr_assert_eq(help_man_part(out, "commands"), 0);
}

static void put_part_switches(FILE *out)
{
	cr_assert_eq(help_man_part(out, "switches"), 0);
}

/* 'text' as scdoc has it. */
static const char *escaped(const char *text, char buf[256])
{
	size_t n = 0;

	for (const char *p = text; *p && n < 254; p++) {
		if (strchr("_*~+`\\", *p) || (p == text && *p == '-'))
			buf[n++] = '\\';
		buf[n++] = *p;
	}
	buf[n] = '\0';
	return buf;
}

Test(help, the_manual_page_has_every_option)
{
	char *options = text_of(put_part_options);
	char buf[256], word[300];

	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		snprintf(word, sizeof(word), "\n\t%s", escaped(o->help, buf));
		cr_expect_not_null(strstr(options, word), "%s.%s", o->section, o->key);
		snprintf(word, sizeof(word), "--%s", o->flag ? escaped(o->flag, buf) : "set");
		if (o->flag && o->type == OPTION_BOOL && !option_flag_is_list(o->flag))
			snprintf(word, sizeof(word), "--[no-]%s", o->flag);
		cr_expect_not_null(strstr(options, word), "%s", word);
	}
	free(options);
}

Test(help, the_manual_page_has_every_command_and_switch)
{
	char *commands_part = text_of(put_part_commands), *switches = text_of(put_part_switches);
	char buf[256];

	for (unsigned i = 0; i < commands_len; i++)
		cr_expect_not_null(strstr(commands_part, escaped(commands[i]->summary, buf)));
	for (unsigned i = 0; i < command_line_switches_len; i++)
		cr_expect_not_null(strstr(switches, escaped(command_line_switches[i].help, buf)));
	free(commands_part);
	free(switches);
}

Test(help, the_manual_has_no_other_part)
{
	cr_expect_eq(help_man_part(stdout, "nothing"), -ENOENT);
}

Test(help, every_command_explains_itself)
{
	for (unsigned i = 0; i < commands_len; i++) {
		char *text = text_of(commands[i]->help);
		cr_expect_eq(strncmp(text, "Usage: vireo ", 13), 0, "%s", commands[i]->name);
		free(text);
	}
}
