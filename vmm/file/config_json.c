#include "vmm/file/config_json.h"

#include <errno.h>

#include "vmm/base/error.h"

#if HAVE_JANSSON

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/file/config_view.h"
#include "vmm/file/yaml_scalar.h"
#include "vmm/option.h"
#include "vmm/option_text.h"

/* Text as a string in which no '$' names a variable.  Returns 0, -EILSEQ or -ENOMEM. */
static int make_text(const char *text, json_t **out)
{
	char *doubled;

	if (!yaml_is_utf8(text))
		return -EILSEQ;
	doubled = yaml_double_dollars(text);
	*out = doubled ? json_string(doubled) : NULL;
	free(doubled);
	return *out ? 0 : -ENOMEM;
}

/* One word of a value, as the type that it has in JSON. */
static int make_word(const struct option *o, const void *object, unsigned i, json_t **out)
{
	const void *field = (const char *)object + o->offset;
	char *word;
	int r = 0;

	*out = NULL;
	switch (o->type) {
	case OPTION_BOOL:
		*out = json_boolean(*(const bool *)field);
		break;
	case OPTION_NUMBER:
		*out = json_integer(*(const unsigned *)field);
		break;
	case OPTION_SIZE:
		*out = json_integer((json_int_t)*(const uint64_t *)field);
		break;
	default:
		r = config_view_format(o, object, i, &word);
		if (r < 0)
			return r;
		r = make_text(word, out);
		free(word);
	}
	return r < 0 ? r : *out ? 0 : -ENOMEM;
}

static int make_value(const struct option *o, const void *object, json_t **out)
{
	unsigned n = option_count(o, object);
	int r = 0;

	if (!option_is_list(o))
		return make_word(o, object, 0, out);
	*out = json_array();
	for (unsigned i = 0; i < n && r == 0; i++) {
		json_t *word;
		r = make_word(o, object, i, &word);
		if (r == 0 && json_array_append_new(*out, word) < 0)
			r = -ENOMEM;
	}
	return r < 0 ? r : *out ? 0 : -ENOMEM;
}

static int put_setting(json_t *to, const struct option *o, const void *object)
{
	json_t *value = NULL;
	int r = make_value(o, object, &value);

	if (r == 0 && json_object_set_new(to, o->key, value) < 0)
		r = -ENOMEM;
	else if (r < 0)
		json_decref(value);
	return r < 0 ? error_add(r, "write %s.%s as JSON", o->section, o->key) : 0;
}

static int put_settings(json_t *to, const struct config_view *view,
			const struct option_section *section, const void *object)
{
	int r = 0;

	for (unsigned i = 0; i < option_table_len && r == 0; i++)
		if (!strcmp(option_table[i].section, section->name) &&
		    config_view_wants(view, &option_table[i], object))
			r = put_setting(to, &option_table[i], object);
	return r;
}

/* 'name' is a user's, as the key of 'value' (consumed). */
static int put_named(json_t *to, const char *name, json_t *value)
{
	bool is_text = yaml_is_utf8(name);

	if (is_text && json_object_set_new(to, name, value) == 0)
		return 0;
	if (!is_text)
		json_decref(value);
	return error_set(is_text ? ENOMEM : EILSEQ, "write the name '%s' as JSON", name);
}

static int put_objects(json_t *to, const struct config_view *view,
		       const struct option_section *section)
{
	int r = 0;

	for (unsigned i = 0; i < config_view_count(view, section) && r == 0; i++) {
		json_t *object = json_object();
		if (object)
			r = put_settings(object, view, section,
					 config_view_object(view, section, i));
		if (r == 0)
			r = put_named(to, config_name(view->config, section, i), object);
		else
			json_decref(object);
	}
	return r;
}

static int put_pairs(json_t *to, const struct vm_config *config,
		     const struct option_section *section)
{
	const struct text_list *list = (const void *)((const char *)config + section->pairs);
	int r = 0;

	for (unsigned i = 0; i < list->n && r == 0; i++) {
		size_t len = strcspn(list->item[i], "=");
		char *name = strndup(list->item[i], len);
		json_t *value = NULL;
		r = name ? make_text(list->item[i] + len + 1, &value) : -ENOMEM;
		if (r == 0)
			r = put_named(to, name, value);
		free(name);
	}
	return r < 0 ? error_add(r, "write %s as JSON", section->name) : 0;
}

static int put_section(json_t *top, const struct config_view *view,
		       const struct option_section *section)
{
	json_t *to;

	if (!config_view_has(view, section))
		return 0;
	to = json_object();
	if (!to || json_object_set_new(top, section->name, to) < 0)
		return error_set(ENOMEM, "write %s as JSON", section->name);
	if (section->list)
		return put_objects(to, view, section);
	if (section->pairs)
		return put_pairs(to, view->config, section);
	return put_settings(to, view, section, view->config);
}

int config_write_json(FILE *out, const struct vm_config *config, bool all)
{
	struct config_view view;
	json_t *top;
	int r = config_view_init(&view, config, all);

	if (r < 0)
		return r;
	/* Of its own accord Jansson would open /dev/urandom. */
	json_object_seed(1);
	top = json_object();
	if (!top || json_object_set_new(top, "schema_version",
					json_integer(CONFIG_SCHEMA_VERSION)) < 0)
		r = error_set(ENOMEM, "write the configuration as JSON");
	for (unsigned i = 0; i < option_sections_len && r == 0; i++)
		r = put_section(top, &view, &option_sections[i]);
	char *text = r == 0 ? json_dumps(top, JSON_INDENT(2)) : NULL;
	if (text) {
		yaml_put_json(out, text);
		fputc('\n', out);
	} else if (r == 0) {
		r = error_set(ENOMEM, "write the configuration as JSON");
	}
	free(text);
	json_decref(top);
	config_view_fini(&view);
	return r;
}

#else

int config_write_json(FILE *out, const struct vm_config *config, bool all)
{
	(void)out;
	(void)config;
	(void)all;
	error_set(EOPNOTSUPP, "write JSON: this Vireo was built without libjansson");
	error_hint("without '--json' the same is written as YAML; or install libjansson-dev and "
		   "build again");
	return -EOPNOTSUPP;
}

#endif
