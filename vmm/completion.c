#include "vmm/completion.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/feature_names.h"
#include "vmm/base/error.h"
#include "vmm/command.h"
#include "vmm/option.h"

enum { WORD_SIZE = 1024 };

void completion_add(struct completion *c, const char *word, const char *description)
{
	if (strncmp(word, c->word, strlen(c->word)))
		return;
	fprintf(c->candidates, "%s\t%s\n", word, description ? description : "");
	c->more |= strchr("=.", word[strlen(word) - 1]) != NULL;
}

void completion_add_files(struct completion *c, size_t prefix_len)
{
	free(c->files);
	c->files = strndup(c->word, prefix_len);
}

/* A candidate behind the first 'at' characters of the word. */
static void add_at(struct completion *c, size_t at, const char *start, const char *end,
		   const char *description)
{
	char word[WORD_SIZE];

	if (snprintf(word, sizeof(word), "%.*s%s%s", (int)at, c->word, start, end) < WORD_SIZE)
		completion_add(c, word, description);
}

/* --- Values ---------------------------------------------------------------------------------- */

/* Bits with '+' or '-' before them, after what has been typed of the sign. */
static void add_features(struct completion *c, size_t at, const struct option *o)
{
	for (unsigned bit = 0; bit < FEATURES_BITS; bit++) {
		const struct feature_info *info = feature_info((enum feature_bit)bit, o->device);
		char name[64];

		if (!info || info->owner == FEATURE_INTERNAL)
			continue;
		snprintf(name, sizeof(name), "%s", feature_short_name(info));
		for (char *p = name; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		add_at(c, at, "+", name, "demand it");
		add_at(c, at, "-", name, "forbid it");
	}
}

static void add_target(struct completion *c, size_t at, const struct option *o)
{
	static const char file[] = "file=";
	static const char *const help[] = {
		[TARGET_STDIO] = "the terminal",
		[TARGET_NULL] = "nobody listens",
		[TARGET_OFF] = "no such device",
		[TARGET_STATUS] = "the guest's exit status",
	};

	for (const struct option_choice *word = o->choice; word->name; word++)
		add_at(c, at, word->name, "", help[word->value]);
	if (!strncmp(c->word + at, file, strlen(file)))
		completion_add_files(c, at + strlen(file));
	else
		add_at(c, at, file, "", "a file");
}

/* The values of a row, behind the first 'at' characters of the word. */
static void add_values(struct completion *c, size_t at, const struct option *o)
{
	switch (o->type) {
	case OPTION_BOOL:
		add_at(c, at, "yes", "", o->help);
		add_at(c, at, "no", "", o->help);
		break;
	case OPTION_CHOICE:
		for (const struct option_choice *choice = o->choice; choice->name; choice++)
			add_at(c, at, choice->name, "", o->help);
		break;
	case OPTION_TARGET:
		add_target(c, at, o);
		break;
	case OPTION_FEATURES:
		add_features(c, at, o);
		break;
	case OPTION_PATH:
	case OPTION_CONTENT:
		completion_add_files(c, at);
		break;
	case OPTION_TEXT:
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
	case OPTION_TEXTS:
		if (o->initial)
			add_at(c, at, o->initial, "", "the default");
		break;
	}
}

/* Where the last item of a list begins; a comma written twice separates nothing. */
static size_t last_item(const char *word, size_t at)
{
	for (size_t i = at; word[i]; i++) {
		if (word[i] != ',')
			continue;
		if (word[i + 1] == ',')
			i++;
		else
			at = i + 1;
	}
	return at;
}

/* "--disk FILE,key=value": what the item that is being typed can be. */
static void add_list(struct completion *c, size_t at, const struct option *first)
{
	size_t item = last_item(c->word, at), key_len = strcspn(c->word + item, "=");
	const struct option *o = option_find_item(first->flag, c->word + item, key_len);

	if (o && c->word[item + key_len] == '=') {
		add_values(c, item + key_len + 1, o);
		return;
	}
	if (item == at)
		add_values(c, item, first);
	for (unsigned i = 0; i < option_table_len; i++) {
		o = &option_table[i];
		if (!o->flag || strcmp(o->flag, first->flag))
			continue;
		if (item > at && strchr("+-", c->word[item]) && c->word[item] &&
		    o->type == OPTION_FEATURES)
			add_features(c, item, o);	/* the list of bits goes on */
		else
			add_at(c, item, o->key, o->type == OPTION_BOOL ? "" : "=", o->help);
	}
}

static void add_flag_value(struct completion *c, size_t at, const struct option *o)
{
	if (option_flag_is_list(o->flag))
		add_list(c, at, o);
	else
		add_values(c, at, o);
}

/* --- --set ----------------------------------------------------------------------------------- */

static void add_setting(struct completion *c, size_t at)
{
	const char *text = c->word + at;
	size_t name_len = strcspn(text, "="), section_len = strcspn(text, ".=");
	const struct option_section *section = option_find_section(text, section_len);
	const char *dot = memrchr(text, '.', name_len);

	if (!section || !dot || (section->list && dot == text + section_len)) {
		for (unsigned i = 0; i < option_sections_len; i++)
			add_at(c, at, option_sections[i].name, ".", option_sections[i].title);
		return;
	}
	size_t key = (size_t)(dot + 1 - c->word), key_len = name_len - (size_t)(dot + 1 - text);
	const struct option *o = option_find(section->name, section_len, c->word + key, key_len);
	if (text[name_len] == '=') {
		if (o)
			add_values(c, at + name_len + 1, o);
		return;
	}
	for (unsigned i = 0; i < option_table_len; i++)
		if (!strcmp(option_table[i].section, section->name))
			add_at(c, key, option_table[i].key, "=", option_table[i].help);
}

/* --- Options --------------------------------------------------------------------------------- */

static void add_flags(struct completion *c, enum command_line_of command)
{
	char word[WORD_SIZE], name[32];

	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		if (!o->flag || option_find_flag(o->flag, strlen(o->flag)) != o)
			continue;
		snprintf(word, sizeof(word), "--%s", o->flag);
		completion_add(c, word, o->help);
		snprintf(word, sizeof(word), "--no-%s", o->flag);
		if (o->type == OPTION_BOOL && !option_flag_is_list(o->flag))
			completion_add(c, word, o->help);
	}
	for (unsigned i = 0; i < command_line_switches_len; i++) {
		const struct switch_info *info = &command_line_switches[i];
		if (!switch_is_of(info, command))
			continue;
		snprintf(word, sizeof(word), "--%s", switch_name(info, name));
		completion_add(c, word, info->help);
	}
}

/* The value of "--name", behind the first 'at' characters.  False if it takes none. */
static bool add_value_of(struct completion *c, const char *name, size_t len, size_t at)
{
	const struct option *o = option_find_flag(name, len);

	if (o && (o->type != OPTION_BOOL || option_flag_is_list(o->flag)))
		add_flag_value(c, at, o);
	else if (len == 3 && !memcmp(name, "set", len))
		add_setting(c, at);
	else if (len == 8 && !memcmp(name, "dump-dtb", len))
		completion_add_files(c, at);
	else
		return false;
	return true;
}

/* "--print=json": values that only stand behind '='. */
static void add_inline_value(struct completion *c, size_t name_len)
{
	const struct option *o = option_find_flag(c->word + 2, name_len - 2);

	if (o && o->type == OPTION_BOOL)
		add_values(c, name_len + 1, o);
	completion_add(c, "--print=yaml", "a VM file");
	completion_add(c, "--print=json", "for programs");
	completion_add(c, "--explain=text", "for people");
	completion_add(c, "--explain=json", "for programs");
}

void completion_options(struct completion *c, enum command_line_of command, unsigned n,
			char *const *words)
{
	size_t name_len = strcspn(c->word, "=");
	const char *before = n > 1 ? words[n - 2] : "";

	if (!strncmp(before, "--", 2) && !strchr(before, '=') &&
	    add_value_of(c, before + 2, strlen(before + 2), 0))
		return;
	if (!strncmp(c->word, "--", 2) && c->word[name_len] == '=') {
		if (!add_value_of(c, c->word + 2, name_len - 2, name_len + 1))
			add_inline_value(c, name_len);
	} else if (*c->word == '-') {
		add_flags(c, command);
	} else {
		completion_add_files(c, 0);
	}
}

/* --- Commands -------------------------------------------------------------------------------- */

static void add_commands(struct completion *c)
{
	for (unsigned i = 0; i < commands_len; i++)
		completion_add(c, commands[i]->name, commands[i]->summary);
	if (*c->word != '-')
		return;
	completion_add(c, "--help", help_command.summary);
	completion_add(c, "--version", version_command.summary);
}

static void complete(struct completion *c, unsigned n, char *const *words)
{
	const struct command *command = n > 1 ? command_find(words[0]) : NULL;

	if (n == 1)
		add_commands(c);
	else if (command && command->complete)
		command->complete(c, n - 1, words + 1);
	else if (command && command->options)
		completion_options(c, command->options, n - 1, words + 1);
	if (command && !command->options && *c->word == '-')
		completion_add(c, "--help", "what the command does");
}

int completion_write(FILE *out, unsigned n, char *const *words)
{
	struct completion c = { .word = n ? words[n - 1] : "" };
	char *text = NULL;
	size_t len;

	c.candidates = open_memstream(&text, &len);
	if (!c.candidates)
		return error_set(errno, "complete a word");
	complete(&c, n ? n : 1, words);
	bool failed = ferror(c.candidates) != 0;
	if (fclose(c.candidates) != 0 || failed) {
		free(text);
		free(c.files);
		return error_set(ENOMEM, "complete a word");
	}
	if (c.files)
		fprintf(out, "files\t%s\n%s", c.files, text);
	else
		fprintf(out, "%s\n%s", c.more ? "more" : "", text);
	free(c.files);
	free(text);
	return 0;
}
