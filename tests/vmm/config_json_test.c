/* The configuration and its schema as programs read them. */
#include "vmm/file/config_json.h"

#include <criterion/criterion.h>

#if HAVE_JANSSON

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/option.h"
#include "vmm/option_text.h"

static struct vm_config config;
static json_t *top;

static void start(void)
{
	cr_assert_eq(config_init(&config), 0);
}

static void done(void)
{
	config_fini(&config);
	json_decref(top);
}

TestSuite(config_json, .init = start, .fini = done);

static void parse(char *text)
{
	json_error_t why;

	top = json_loads(text, JSON_REJECT_DUPLICATES, &why);
	cr_assert_not_null(top, "%s", why.text);
	free(text);
}

static void write_it(bool all)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert_eq(config_write_json(out, &config, all), 0);
	fclose(out);
	parse(text);
}

static void set(const char *section, const char *key, void *object, const char *value)
{
	const struct option *o = option_find(section, strlen(section), key, strlen(key));
	char why[OPTION_WHY_SIZE];

	cr_assert_eq(option_set(o, object, value, why), 0, "%s", why);
}

static json_t *get(const char *section, const char *key)
{
	return json_object_get(json_object_get(top, section), key);
}

Test(config_json, values_have_types)
{
	set("vm", "memory", &config, "1G");
	set("vm", "cpus", &config, "3");
	set("vm", "prefault", &config, "yes");
	set("vm", "timeout", &config, "1500ms");
	set("vm", "on_halt", &config, "fail");
	set("vm", "features", &config, "+packed");
	set("serial", "to", &config, "null");
	set("boot", "append", &config, "$a");
	write_it(false);
	cr_expect_eq(json_integer_value(json_object_get(top, "schema_version")), 1);
	cr_expect_eq(json_integer_value(get("vm", "memory")), 1 << 30);
	cr_expect_eq(json_integer_value(get("vm", "cpus")), 3);
	cr_expect(json_is_true(get("vm", "prefault")));
	cr_expect_str_eq(json_string_value(get("vm", "timeout")), "1500ms");
	cr_expect_str_eq(json_string_value(get("vm", "on_halt")), "fail");
	cr_expect_str_eq(json_string_value(json_array_get(get("vm", "features"), 0)),
			 "+ring_packed");
	cr_expect_str_eq(json_string_value(get("serial", "to")), "null");
	cr_expect_str_eq(json_string_value(get("boot", "append")), "$$a");
	cr_expect_eq(json_object_size(top), 4);
	cr_expect_eq(json_object_size(json_object_get(top, "vm")), 6);
}

Test(config_json, all_has_every_setting_that_has_a_value)
{
	for (unsigned i = 0; i < option_sections_len; i++) {
		const struct option_section *section = &option_sections[i];
		if (section->list)
			cr_assert_not_null(config_add(&config, section));
		if (section->given)
			*(bool *)((char *)&config + section->given) = true;
	}
	struct mistakes mistakes = { 0 };
	config_validate(&config, &mistakes);	/* names; paths are missing */
	write_it(true);
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		const struct option_section *section = option_section_of(o);
		json_t *object = json_object_get(top, o->section);
		const void *from = section->list ? config_object(&config, section, 0) : &config;

		if (section->list)
			object = json_object_get(object, config_name(&config, section, 0));
		if (option_is_name(o))
			continue;
		cr_expect_eq(json_object_get(object, o->key) != NULL, option_count(o, from) > 0,
			     "%s.%s", o->section, o->key);
	}
}

Test(config_json, what_is_not_utf8_is_refused)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	set("boot", "append", &config, "\xff");
	cr_expect_eq(config_write_json(out, &config, false), -EILSEQ);
	cr_expect_str_eq(error_text(), "write boot.append as JSON");
	error_clear();
	fclose(out);
	cr_expect_eq(len, 0);
	free(text);
}

/* --- The schema ------------------------------------------------------------------------------ */

static void write_schema(void)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert_eq(config_write_schema(out), 0);
	fclose(out);
	parse(text);
}

/* Where the settings of a section are described. */
static json_t *properties_of(const struct option_section *section)
{
	json_t *schema = json_object_get(json_object_get(top, "properties"), section->name);

	cr_expect_not_null(json_object_get(schema, "description"), "%s", section->name);
	if (section->list)
		schema = json_object_get(schema, "additionalProperties");
	cr_expect(json_is_false(json_object_get(schema, "additionalProperties")), "%s",
		  section->name);
	return json_object_get(schema, "properties");
}

Test(config_json, the_schema_describes_every_setting)
{
	write_schema();
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		const struct option_section *section = option_section_of(o);
		if (section->pairs || option_is_name(o))
			continue;
		json_t *schema = json_object_get(properties_of(section), o->key);
		const char *text = json_string_value(json_object_get(schema, "description"));
		cr_assert_not_null(text, "%s.%s", o->section, o->key);
		cr_expect_eq(strncmp(text, o->help, strlen(o->help)), 0, "%s", text);
		cr_expect_eq(json_object_get(schema, "default") != NULL, o->initial != NULL,
			     "%s.%s", o->section, o->key);
	}
}

Test(config_json, the_schema_has_nothing_else)
{
	write_schema();
	for (unsigned i = 0; i < option_sections_len; i++) {
		const struct option_section *section = &option_sections[i];
		unsigned rows = 0;

		if (section->pairs)
			continue;
		for (unsigned k = 0; k < option_table_len; k++)
			rows += !strcmp(option_table[k].section, section->name);
		cr_expect_eq(json_object_size(properties_of(section)),
			     rows - (section->list ? 1 : 0), "%s", section->name);
	}
	cr_expect(json_is_false(json_object_get(top, "additionalProperties")));
	cr_expect_eq(json_object_size(json_object_get(top, "properties")), option_sections_len + 2);
}

Test(config_json, the_schema_allows_every_choice)
{
	write_schema();
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		if (o->type != OPTION_CHOICE)
			continue;
		json_t *schema = json_object_get(properties_of(option_section_of(o)), o->key);
		json_t *allowed = json_object_get(json_array_get(json_object_get(schema, "anyOf"), 0),
						  "enum");
		size_t n = 0;
		for (const struct option_choice *c = o->choice; c->name; c++, n++)
			cr_expect_str_eq(json_string_value(json_array_get(allowed, n)), c->name);
		cr_expect_eq(json_array_size(allowed), n, "%s.%s", o->section, o->key);
	}
}

Test(config_json, the_schema_has_the_ranges)
{
	write_schema();
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		if (o->type != OPTION_NUMBER && o->type != OPTION_SIZE)
			continue;
		json_t *schema = json_object_get(properties_of(option_section_of(o)), o->key);
		json_t *form = json_array_get(json_object_get(schema, "anyOf"), 0);
		cr_expect_eq(json_integer_value(json_object_get(form, "minimum")), o->min);
		cr_expect_eq(json_integer_value(json_object_get(form, "maximum")), o->max);
		cr_expect_eq(json_object_get(form, "enum") != NULL, o->power_of_two);
	}
}

#endif
