/*
 * The JSON Schema of VM files (draft 2020-12).  It describes the values as YAML 1.2 and JSON type
 * them: what Vireo reads as text anyway may be a number or a boolean for an editor.
 */
#include <errno.h>

#include "vmm/base/error.h"
#include "vmm/file/config_json.h"

#if HAVE_JANSSON

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/file/config_view.h"
#include "vmm/option.h"
#include "vmm/option_text.h"

#define SIZE_PATTERN "^(0[xX][0-9a-fA-F]+|[0-9]+)([KMGTkmgt]([iI]?[bB])?)?$"
#define TIME_PATTERN "^[0-9]+(\\.[0-9]*)?(ms|s|m|h)?$"
#define VARIABLE_PATTERN "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}"

/* What could not be made is missing, and 'lost' says that it is. */
struct maker {
	bool lost;
};

/* --- Pieces ---------------------------------------------------------------------------------- */

static void put(struct maker *m, json_t *object, const char *key, json_t *value)
{
	if (!value || json_object_set_new(object, key, value) < 0)
		m->lost = true;
}

static void append(struct maker *m, json_t *array, json_t *value)
{
	if (!value || json_array_append_new(array, value) < 0)
		m->lost = true;
}

static void put_text(struct maker *m, json_t *object, const char *key, const char *text)
{
	put(m, object, key, json_string(text));
}

static json_t *typed(struct maker *m, const char *type)
{
	json_t *schema = json_object();

	put_text(m, schema, "type", type);
	return schema;
}

static json_t *pattern(struct maker *m, const char *regex)
{
	json_t *schema = typed(m, "string");

	put_text(m, schema, "pattern", regex);
	return schema;
}

/* A value that the environment has a part in is checked when it is read. */
static json_t *variable(struct maker *m)
{
	json_t *schema = json_object();

	put_text(m, schema, "$ref", "#/$defs/variable");
	return schema;
}

/* Any scalar is text; the name of a file is not empty. */
static json_t *any_text(struct maker *m, bool may_be_empty)
{
	static const char *const types[] = { "string", "number", "boolean" };
	json_t *schema = json_object(), *list = json_array();

	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		append(m, list, json_string(types[i]));
	put(m, schema, "type", list);
	if (!may_be_empty)
		put(m, schema, "minLength", json_integer(1));
	return schema;
}

/* --- Types ----------------------------------------------------------------------------------- */

static json_t *integer(struct maker *m, const struct option *o)
{
	json_t *schema = typed(m, "integer");

	put(m, schema, "minimum", json_integer((json_int_t)o->min));
	put(m, schema, "maximum", json_integer((json_int_t)o->max));
	if (!o->power_of_two)
		return schema;
	json_t *allowed = json_array();
	if (o->min == 0)
		append(m, allowed, json_integer(0));
	for (uint64_t v = 1; v <= o->max; v <<= 1)
		if (v >= o->min)
			append(m, allowed, json_integer((json_int_t)v));
	put(m, schema, "enum", allowed);
	return schema;
}

static json_t *boolean(struct maker *m)
{
	static const char *const words[] = { "yes", "no", "on", "off" };
	json_t *schema = json_object(), *allowed = json_array();

	append(m, allowed, json_true());
	append(m, allowed, json_false());
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		append(m, allowed, json_string(words[i]));
	put(m, schema, "enum", allowed);
	return schema;
}

static json_t *choice(struct maker *m, const struct option *o)
{
	json_t *schema = json_object(), *allowed = json_array();

	for (const struct option_choice *c = o->choice; c->name; c++)
		append(m, allowed, json_string(c->name));
	put(m, schema, "enum", allowed);
	return schema;
}

/* In YAML a plain null is no string. */
static json_t *target(struct maker *m, const struct option *o)
{
	json_t *schema = json_object(), *allowed = json_array();

	for (const struct option_choice *c = o->choice; c->name; c++)
		append(m, allowed, json_string(c->name));
	append(m, allowed, json_null());
	put(m, schema, "enum", allowed);
	return schema;
}

/* The bits of this device by name, so that editors offer them. */
static json_t *feature_names(struct maker *m, const struct option *o)
{
	json_t *schema = json_object(), *allowed = json_array();

	for (unsigned bit = 0; bit < FEATURES_BITS; bit++) {
		const struct feature_info *info = feature_info((enum feature_bit)bit, o->device);
		char word[80];
		if (!info || info->owner == FEATURE_INTERNAL)
			continue;
		snprintf(word, sizeof(word), "+%s", feature_short_name(info));
		for (char *p = word; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		append(m, allowed, json_string(word));
		word[0] = '-';
		append(m, allowed, json_string(word));
	}
	put(m, schema, "enum", allowed);
	return schema;
}

/* The forms of a word that is more than any text. */
static void put_forms(struct maker *m, json_t *forms, const struct option *o)
{
	json_t *number;

	switch (o->type) {
	case OPTION_TEXT:
	case OPTION_TEXTS:
	case OPTION_PATH:
	case OPTION_CONTENT:
		break;
	case OPTION_BOOL:
		append(m, forms, boolean(m));
		break;
	case OPTION_NUMBER:
		append(m, forms, integer(m, o));
		append(m, forms, pattern(m, "^0[xX][0-9a-fA-F]+$"));
		break;
	case OPTION_SIZE:
		append(m, forms, integer(m, o));
		append(m, forms, pattern(m, SIZE_PATTERN));
		break;
	case OPTION_DURATION:
		number = typed(m, "number");
		put(m, number, "minimum", json_integer(0));
		append(m, forms, number);
		append(m, forms, pattern(m, TIME_PATTERN));
		break;
	case OPTION_CHOICE:
		append(m, forms, choice(m, o));
		break;
	case OPTION_TARGET:
		append(m, forms, target(m, o));
		append(m, forms, pattern(m, "^file=."));
		break;
	case OPTION_FEATURES:
		append(m, forms, feature_names(m, o));
		append(m, forms, pattern(m, "^[+-].+"));
		break;
	}
	append(m, forms, variable(m));
}

/* What one word of the value can be. */
static json_t *word_schema(struct maker *m, const struct option *o)
{
	json_t *forms, *schema;

	if (o->type == OPTION_TEXT || o->type == OPTION_TEXTS)
		return any_text(m, true);
	if (o->type == OPTION_PATH || o->type == OPTION_CONTENT)
		return any_text(m, false);
	forms = json_array();
	schema = json_object();
	put_forms(m, forms, o);
	put(m, schema, "anyOf", forms);
	return schema;
}

/* The default as the type that it has in JSON: what config_write_json() would write. */
static json_t *initial_value(struct maker *m, const struct option *o)
{
	uint64_t number = 0;
	bool yes = false;

	switch (o->type) {
	case OPTION_BOOL:
		m->lost |= text_parse_bool(o->initial, &yes) < 0;
		return json_boolean(yes);
	case OPTION_NUMBER:
		m->lost |= text_parse_u64(o->initial, &number) < 0;
		return json_integer((json_int_t)number);
	default:
		return json_string(o->initial);
	}
}

static void put_description(struct maker *m, json_t *schema, const struct option *o)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (out) {
		fprintf(out, "%s (", o->help);
		option_put_allowed(o, out);
		fputc(')', out);
		if (!o->initial)
			fputs("; no default", out);
		m->lost |= fclose(out) != 0;
	}
	put(m, schema, "description", text ? json_string(text) : NULL);
	free(text);
}

static json_t *setting_schema(struct maker *m, const struct option *o)
{
	json_t *schema = word_schema(m, o);

	if (option_is_list(o)) {
		json_t *list = typed(m, "array"), *forms = json_array();
		put(m, list, "items", json_incref(schema));
		append(m, forms, list);
		append(m, forms, schema);	/* a single one needs no brackets */
		schema = json_object();
		put(m, schema, "anyOf", forms);
	}
	put_description(m, schema, o);
	if (o->initial)
		put(m, schema, "default", initial_value(m, o));
	return schema;
}

/* --- Sections -------------------------------------------------------------------------------- */

static json_t *object_schema(struct maker *m, const struct option_section *section)
{
	json_t *schema = typed(m, "object"), *properties = json_object();

	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		if (!strcmp(o->section, section->name) && !option_is_name(o))
			put(m, properties, o->key, setting_schema(m, o));
	}
	put(m, schema, "properties", properties);
	put(m, schema, "additionalProperties", json_false());
	return schema;
}

/* Objects under names of the user's choice. */
static json_t *names_schema(struct maker *m, json_t *value)
{
	json_t *schema = typed(m, "object"), *names = json_object();

	put(m, names, "minLength", json_integer(1));
	put(m, schema, "propertyNames", names);
	put(m, schema, "additionalProperties", value);
	return schema;
}

static json_t *section_schema(struct maker *m, const struct option_section *section)
{
	json_t *schema;

	if (section->pairs)
		schema = names_schema(m, any_text(m, true));
	else if (section->list)
		schema = names_schema(m, object_schema(m, section));
	else
		schema = object_schema(m, section);
	put_text(m, schema, "description", section->title);
	return schema;
}

/* Of a section of pairs the one row describes each pair, of a repeated one a row the names. */
static void describe_names(struct maker *m, json_t *schema, const struct option_section *section)
{
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		if (strcmp(o->section, section->name))
			continue;
		if (section->pairs)
			put_description(m, json_object_get(schema, "additionalProperties"), o);
		else if (option_is_name(o))
			put_description(m, json_object_get(schema, "propertyNames"), o);
	}
}

static json_t *include_schema(struct maker *m)
{
	json_t *schema = json_object(), *forms = json_array(), *list = typed(m, "array");

	put(m, list, "items", typed(m, "string"));
	append(m, forms, list);
	append(m, forms, typed(m, "string"));
	put(m, schema, "anyOf", forms);
	put_text(m, schema, "description",
		 "other VM files, read before this one; what stands here overrides them");
	return schema;
}

static json_t *version_schema(struct maker *m)
{
	json_t *schema = json_object();

	put(m, schema, "const", json_integer(CONFIG_SCHEMA_VERSION));
	put_text(m, schema, "description", "of the form of this file; there is only one so far");
	return schema;
}

static json_t *make_schema(struct maker *m)
{
	json_t *top = json_object(), *defs = json_object(), *properties = json_object();

	put_text(m, top, "$schema", "https://json-schema.org/draft/2020-12/schema");
	put_text(m, top, "title", "Vireo VM file");
	put_text(m, top, "type", "object");
	put(m, defs, "variable", pattern(m, VARIABLE_PATTERN));
	put(m, top, "$defs", defs);
	put(m, properties, "schema_version", version_schema(m));
	put(m, properties, "include", include_schema(m));
	for (unsigned i = 0; i < option_sections_len; i++) {
		json_t *schema = section_schema(m, &option_sections[i]);
		describe_names(m, schema, &option_sections[i]);
		put(m, properties, option_sections[i].name, schema);
	}
	put(m, top, "properties", properties);
	put(m, top, "additionalProperties", json_false());
	return top;
}

int config_write_schema(FILE *out)
{
	struct maker m = { 0 };
	json_t *top;

	json_object_seed(1);
	top = make_schema(&m);
	if (!m.lost && json_dumpf(top, out, JSON_INDENT(2)) == 0)
		fputc('\n', out);
	else
		m.lost = true;
	json_decref(top);
	return m.lost ? error_set(ENOMEM, "write the schema of VM files") : 0;
}

#else

int config_write_schema(FILE *out)
{
	(void)out;
	error_set(EOPNOTSUPP, "write the schema of VM files: this Vireo was built without "
			      "libjansson");
	error_hint("install libjansson-dev and build again");
	return -EOPNOTSUPP;
}

#endif
