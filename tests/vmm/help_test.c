/* What is written from the table has to hold all of it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/command.h"
#include "vmm/help.h"
#include "vmm/option_table.h"

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

Test(help, the_manual_page_has_every_flag_and_status)
{
	char *text = text_of(help_man_page), word[64];

	for (unsigned i = 0; i < option_table_len; i++) {
		const char *flag = option_table[i].flag;
		if (!flag)
			continue;
		size_t n = 0;
		for (const char *p = flag; *p; p++) {
			if (*p == '-')
				word[n++] = '\\';
			word[n++] = *p;
		}
		word[n] = '\0';
		cr_expect_not_null(strstr(text, word), "--%s", flag);
	}
	for (int status = 120; status <= 127; status++) {
		snprintf(word, sizeof(word), ".B %d\n", status);
		cr_expect_not_null(strstr(text, word), "%d", status);
	}
	free(text);
}

Test(help, every_command_explains_itself)
{
	for (unsigned i = 0; i < commands_len; i++) {
		char *text = text_of(commands[i]->help);
		cr_expect_eq(strncmp(text, "Usage: vireo ", 13), 0, "%s", commands[i]->name);
		free(text);
	}
}
