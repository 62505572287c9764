/*
 * A row of the option table is a setting everywhere: in the help, in the file with all settings, in
 * the manual pages, in the schema, and where shells complete.  Its default is told, or that there
 * is none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/completion.h"
#include "vmm/file/config_json.h"
#include "vmm/file/config_yaml.h"
#include "vmm/help.h"
#include "vmm/option.h"

#if HAVE_JANSSON
#include <jansson.h>
#endif

#define FOR_EACH_ROW(o)                                                                            \
	for (const struct option *o = option_table; o < option_table + option_table_len; o++)

static char *text;
static size_t text_len;

static void done(void)
{
	free(text);
	text = NULL;
}

TestSuite(everywhere, .fini = done);

static FILE *open_text(void)
{
	FILE *out;

	free(text);
	out = open_memstream(&text, &text_len);
	cr_assert_not_null(out);
	return out;
}

/* What stands between 'start' and the next empty line (or the end), copied to 'buf'. */
static const char *paragraph(const char *start, char buf[512])
{
	const char *end = start ? strstr(start, "\n\n") : NULL;
	int len = !start ? 0 : end ? (int)(end - start) : (int)strlen(start);

	snprintf(buf, 512, "%.*s", len, start ? start : "");
	return buf;
}

/* In the file: its lines are "help / allowed; default: X / key: value". */
static void expect_in_template(const struct option *o, const char *section_start)
{
	char help[128], key[80], wanted[160], buf[512];

	snprintf(help, sizeof(help), "# %s\n", o->help);
	const char *at = strstr(section_start, help);
	cr_assert_not_null(at, "%s.%s has no line", o->section, o->key);
	paragraph(at, buf);
	if (o->initial)
		snprintf(wanted, sizeof(wanted), "; default: %s\n", o->initial);
	else
		snprintf(wanted, sizeof(wanted), "; no default\n");
	cr_expect_not_null(strstr(buf, wanted), "%s.%s: %s", o->section, o->key, buf);
	snprintf(key, sizeof(key), "%s: ", option_section_of(o)->pairs ? "NAME" : o->key);
	cr_expect_not_null(strstr(buf, key), "%s.%s: %s", o->section, o->key, buf);
}

Test(everywhere, in_the_file_with_all_settings)
{
	struct vm_config config;
	FILE *out = open_text();

	cr_assert_eq(config_init(&config), 0);
	cr_assert_eq(config_write_yaml(out, &config, true), 0);
	fclose(out);
	FOR_EACH_ROW (o) {
		char title[160];
		if (option_is_name(o))
			continue;	/* it is the key that has the others */
		snprintf(title, sizeof(title), "# --- %s\n", option_section_of(o)->title);
		cr_assert_not_null(strstr(text, title), "%s", title);
		expect_in_template(o, strstr(text, title));
	}
	config_fini(&config);
}

Test(everywhere, in_the_help_with_its_default)
{
	FILE *out = open_text();

	help_run(out);
	fclose(out);
	FOR_EACH_ROW (o) {
		char line[160];
		/* A switch that is off is only named. */
		bool is_off = o->type == OPTION_BOOL && !strcmp(o->initial, "no") &&
			      (!o->flag || option_flag_is_list(o->flag));
		if (o->initial && !is_off)
			snprintf(line, sizeof(line), "%s [%s]\n", o->help, o->initial);
		else
			snprintf(line, sizeof(line), "%s\n", o->help);
		cr_expect_not_null(strstr(text, line), "%s.%s: %s", o->section, o->key, line);
	}
}

Test(everywhere, in_the_manual_with_its_default)
{
	FILE *out = open_text();

	cr_assert_eq(help_man_part(out, "settings"), 0);
	fclose(out);
	FOR_EACH_ROW (o) {
		const struct option_section *section = option_section_of(o);
		char title[80], key[128], escaped[80], wanted[160], buf[512];
		size_t n = 0;

		for (const char *p = o->key; *p; p++) {
			if (*p == '_')
				escaped[n++] = '\\';
			escaped[n++] = *p;
		}
		escaped[n] = '\0';
		snprintf(title, sizeof(title), "## %s%s", section->name,
			 section->list || section->pairs ? ":" : "\n");
		const char *at = strstr(text, title);
		cr_assert_not_null(at, "%s", title);
		snprintf(key, sizeof(key), "\n*%s:%s*\n",
			 option_is_name(o) || section->pairs ? "NAME" : escaped,
			 section->pairs ? " VALUE" : "");
		at = strstr(at, key);
		cr_assert_not_null(at, "%s.%s", o->section, o->key);
		if (option_is_name(o) || section->pairs)
			continue;
		paragraph(at + 1, buf);
		snprintf(wanted, sizeof(wanted), o->initial ? "Default: " : "No default");
		cr_expect_not_null(strstr(buf, wanted), "%s.%s: %s", o->section, o->key, buf);
	}
}

Test(everywhere, where_shells_complete)
{
	FOR_EACH_ROW (o) {
		const char *of = option_section_of(o)->list ? ".x." : ".";
		char word[128], line[256], set[] = "--set", run[] = "run";
		FILE *out = open_text();

		snprintf(word, sizeof(word), "%s%s%s", o->section, of, o->key);
		cr_assert_eq(completion_write(out, 3, (char *[]){ run, set, word }), 0);
		fclose(out);
		snprintf(line, sizeof(line), "\n%s=\t%s\n", word, o->help);
		cr_expect_not_null(strstr(text, line), "%s", word);
	}
}

#if HAVE_JANSSON

Test(everywhere, in_the_schema_with_its_default)
{
	FILE *out = open_text();

	cr_assert_eq(config_write_schema(out), 0);
	fclose(out);
	json_t *top = json_loads(text, 0, NULL);
	cr_assert_not_null(top);
	FOR_EACH_ROW (o) {
		const struct option_section *section = option_section_of(o);
		json_t *at = json_object_get(json_object_get(top, "properties"), o->section);
		const char *part = option_is_name(o) ? "propertyNames" : "additionalProperties";

		if (section->list || section->pairs)
			at = json_object_get(at, part);
		if (!option_is_name(o) && !section->pairs)
			at = json_object_get(json_object_get(at, "properties"), o->key);
		const char *said = json_string_value(json_object_get(at, "description"));
		cr_assert_not_null(said, "%s.%s", o->section, o->key);
		cr_expect_eq(strncmp(said, o->help, strlen(o->help)), 0, "%s", said);
		cr_expect(o->initial ? json_object_get(at, "default") != NULL :
				       strstr(said, "no default") != NULL,
			  "%s.%s: %s", o->section, o->key, said);
	}
	json_decref(top);
}

#endif
