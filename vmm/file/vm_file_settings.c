/* The sections of a VM file, typed by the option table. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/file/vm_file_impl.h"
#include "vmm/option.h"
#include "vmm/outcome.h"

enum { MAX_NAMES = 64, OPTION_MAX_NAMES = 256, LABEL_SIZE = YAML_PATH_SIZE, SENTENCE_SIZE = 480 };

/* Of one section, for what goes on in it. */
struct place {
	struct vm_file *file;
	const struct option_section *section;
	void *object;		/* the section's struct */
	unsigned item;
};

static struct origin origin_of(const struct vm_file *f, unsigned line, unsigned column)
{
	return (struct origin){ .file = f->origin, .line = line, .column = column };
}

static void mistake_at(const struct vm_file *f, struct origin at, const char *label,
		       const char *sentence)
{
	mistakes_add_at(f->load->mistakes, &at, STATUS_FAILED, "%s: %s", label, sentence);
}

void vm_file_mistake(const struct vm_file *f, const struct yaml_node *node, const char *label,
		     const char *fmt, ...)
{
	char sentence[SENTENCE_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	mistake_at(f, origin_of(f, node->line, node->column), label, sentence);
}

/* --- Unknown words --------------------------------------------------------------------------- */

/* "; did you mean 'x'; allowed: a, b, c" */
void vm_file_unknown(const struct vm_file *f, const struct yaml_node *node, const char *what,
		     const char *const *names, unsigned n, const char *elsewhere)
{
	const char *near = text_nearest(node->key, names, n);
	char sentence[SENTENCE_SIZE], path[YAML_PATH_SIZE];
	size_t len = (size_t)snprintf(sentence, sizeof(sentence), "unknown %s", what);

	if (near || elsewhere)
		len += (size_t)snprintf(sentence + len, sizeof(sentence) - len,
					"; did you mean '%s'", near ? near : elsewhere);
	len += (size_t)snprintf(sentence + len, sizeof(sentence) - len, "; allowed:");
	for (unsigned i = 0; i < n && len < sizeof(sentence); i++)
		len += (size_t)snprintf(sentence + len, sizeof(sentence) - len, "%s %s",
					i ? "," : "", names[i]);
	mistake_at(f, origin_of(f, node->key_line, node->key_column), yaml_node_path(node, path),
		   sentence);
}

/* A key that is known, but elsewhere: "vm.memory", or NULL. */
static const char *find_elsewhere(const char *key, char *buf, size_t size)
{
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		const struct option_section *section = option_section_of(o);

		if (strcmp(o->key, key) || option_is_name(o) || section->pairs)
			continue;
		snprintf(buf, size, "%s.%s%s", o->section, section->list ? "NAME." : "", key);
		return buf;
	}
	return NULL;
}

static void unknown_section(struct vm_file *f, const struct yaml_node *node)
{
	const char *names[MAX_NAMES];
	char elsewhere[64];
	unsigned n = 0;

	names[n++] = "include";
	for (unsigned i = 0; i < option_sections_len && n < MAX_NAMES; i++)
		names[n++] = option_sections[i].name;
	vm_file_unknown(f, node, "section", names, n,
			find_elsewhere(node->key, elsewhere, sizeof(elsewhere)));
}

static void unknown_key(const struct place *p, const struct yaml_node *node)
{
	const char *names[MAX_NAMES];
	char elsewhere[64];
	unsigned n = 0;

	for (unsigned i = 0; i < option_table_len && n < MAX_NAMES; i++)
		if (!strcmp(option_table[i].section, p->section->name) &&
		    !option_is_name(&option_table[i]))
			names[n++] = option_table[i].key;
	vm_file_unknown(p->file, node, "key", names, n,
			find_elsewhere(node->key, elsewhere, sizeof(elsewhere)));
}

/* --- Values ---------------------------------------------------------------------------------- */

char *vm_file_value(struct vm_file *f, const struct yaml_node *node, const char *label)
{
	char why[EXPAND_WHY_SIZE], *value;

	if (node->kind != YAML_TEXT) {
		vm_file_mistake(f, node, label, "one value belongs here, not a %s",
				node->kind == YAML_MAP ? "map" : "list");
		return NULL;
	}
	if (node->is_empty) {
		vm_file_mistake(f, node, label, "it has no value; '' is an empty text");
		return NULL;
	}
	if (expand_text(&value, node->text, &f->load->budget, why) < 0)
		vm_file_mistake(f, node, label, "%s", why);
	return value;
}

char *vm_file_resolve(const struct vm_file *f, const char *path)
{
	const char *slash = strrchr(f->path, '/');
	char *resolved;

	if (!slash || !f->has_folder || *path == '/' || !*path)
		return strdup(path);
	if (asprintf(&resolved, "%.*s/%s", (int)(slash - f->path), f->path, path) < 0)
		return NULL;
	return resolved;
}

/* The value with its path relative to here, if it has one; consumes it. */
static char *resolve_value(const struct vm_file *f, const struct option *o, char *value)
{
	static const char file[] = "file=";
	size_t prefix = o->type == OPTION_TARGET && !strncmp(value, file, 5) ? 5 : 0;
	bool is_path = o->type == OPTION_PATH || prefix ||
		       (o->type == OPTION_CONTENT && !strchr(value, '\n'));
	char *path, *resolved = NULL;

	if (!is_path)
		return value;
	path = vm_file_resolve(f, value + prefix);
	if (path && prefix && asprintf(&resolved, "%s%s", file, path) < 0)
		resolved = NULL;
	if (prefix) {
		free(path);
		path = resolved;
	}
	free(value);
	return path;
}

static void set_value(const struct place *p, const struct option *o, const struct yaml_node *node,
		      const char *label)
{
	char why[OPTION_WHY_SIZE], *value = vm_file_value(p->file, node, label);

	if (!value)
		return;
	value = resolve_value(p->file, o, value);
	if (!value)
		vm_file_mistake(p->file, node, label, "no memory");
	else if (option_set(o, p->object, value, why) < 0)
		vm_file_mistake(p->file, node, label, "%s", why);
	free(value);
}

static void note_origin(const struct place *p, const struct option *o, unsigned line,
			unsigned column)
{
	struct origin at = origin_of(p->file, line, column);

	if (origins_note(&p->file->load->config->origins, p->section, p->item, o, &at) < 0)
		mistakes_add(p->file->load->mistakes, "no memory");
}

static void set_values(const struct place *p, const struct option *o,
		       const struct yaml_node *node, const char *label)
{
	note_origin(p, o, node->line, node->column);
	/* A list is one value: it takes the place of an earlier file's. */
	option_clear(o, p->object);
	if (node->kind == YAML_LIST && option_is_list(o))
		for (const struct yaml_node *i = node->first; i; i = i->next)
			set_value(p, o, i, label);
	else
		set_value(p, o, node, label);
}

static void read_setting(const struct place *p, const struct yaml_node *node)
{
	const struct option *o = option_find(p->section->name, strlen(p->section->name), node->key,
					     strlen(node->key));
	char label[LABEL_SIZE];

	if (o && option_is_name(o)) {
		struct origin at = origin_of(p->file, node->key_line, node->key_column);
		mistake_at(p->file, at, yaml_node_path(node, label),
			   "the name is the key above; rename that");
		return;
	}
	if (!o) {
		unknown_key(p, node);
		return;
	}
	set_values(p, o, node, yaml_node_path(node, label));
}

/* --- Sections -------------------------------------------------------------------------------- */

/* What belongs where something else is: "{ to: ... }" for the section that begins with 'to'. */
static void refuse_kind(const struct vm_file *f, const struct yaml_node *node,
			const struct option_section *section, bool of_names)
{
	const char *what = node->kind == YAML_LIST ? "list" : "single value";
	const char *key = "KEY";
	char path[YAML_PATH_SIZE];

	for (unsigned i = option_table_len; i > 0; i--)
		if (!strcmp(option_table[i - 1].section, section->name))
			key = option_table[i - 1].key;
	yaml_node_path(node, path);
	if (section->pairs)
		vm_file_mistake(f, node, path, "a map belongs here, as '{ NAME: VALUE }', not a %s",
				what);
	else if (of_names)
		vm_file_mistake(f, node, path, "a map of names belongs here, as '{ %s0: { %s: ... "
				"} }', not a %s", section->list->noun, key, what);
	else
		vm_file_mistake(f, node, path, "a map of settings belongs here, as '{ %s: %s }', "
				"not a %s", key,
				node->kind == YAML_TEXT && strlen(node->text) < 40 ? node->text :
				"...", what);
}

/* Is it a map?  Nothing at all is an empty one. */
static bool is_map(const struct vm_file *f, const struct yaml_node *node,
		   const struct option_section *section, bool of_names)
{
	if (node->kind == YAML_MAP || node->is_empty)
		return true;
	refuse_kind(f, node, section, of_names);
	return false;
}

static void read_settings(const struct place *p, const struct yaml_node *node)
{
	for (const struct yaml_node *child = node->first; child; child = child->next)
		read_setting(p, child);
}

static void read_object(struct place *p, const struct yaml_node *node)
{
	struct vm_config *config = p->file->load->config;
	char label[LABEL_SIZE];

	if (!is_map(p->file, node, p->section, false))
		return;
	p->object = config_find(config, p->section, node->key, strlen(node->key));
	if (!p->object)
		p->object = config_add_named(config, p->section, node->key, strlen(node->key));
	if (!p->object) {
		vm_file_mistake(p->file, node, yaml_node_path(node, label), "no memory");
		return;
	}
	p->item = config_index(config, p->section, p->object);
	note_origin(p, NULL, node->key_line, node->key_column);
	read_settings(p, node);
}

static void read_pair(const struct place *p, const struct option *o, const struct yaml_node *node)
{
	char label[LABEL_SIZE], why[OPTION_WHY_SIZE], *pair = NULL, *value;

	yaml_node_path(node, label);
	if (strchr(node->key, '=')) {
		vm_file_mistake(p->file, node, label, "a name has no '='");
		return;
	}
	value = vm_file_value(p->file, node, label);
	if (!value)
		return;
	if (asprintf(&pair, "%s=%s", node->key, value) < 0)
		vm_file_mistake(p->file, node, label, "no memory");
	else if (option_set(o, p->object, pair, why) < 0)
		vm_file_mistake(p->file, node, label, "%s", why);
	else
		note_origin(p, o, node->line, node->column);
	free(value);
	free(pair);
}

/* The one row of a section of pairs. */
static const struct option *pair_row(const struct option_section *section)
{
	for (unsigned i = 0; i < option_table_len; i++)
		if (!strcmp(option_table[i].section, section->name))
			return &option_table[i];
	return NULL;
}

/* A device that is there when it is mentioned: an empty mention is more likely a slip. */
static bool is_given(const struct place *p, const struct yaml_node *node)
{
	bool *given = (bool *)((char *)p->file->load->config + p->section->given);

	if (node->is_empty) {
		vm_file_mistake(p->file, node, p->section->name,
				"nothing follows; '%s: {}' has it at its defaults, without this "
				"line there is none", p->section->name);
		return false;
	}
	*given = true;
	return true;
}

void vm_file_section(struct vm_file *f, const struct yaml_node *node)
{
	struct place p = { .file = f, .object = f->load->config };

	p.section = option_find_section(node->key, strlen(node->key));
	if (!p.section) {
		unknown_section(f, node);
		return;
	}
	if (!is_map(f, node, p.section, p.section->list != NULL))
		return;
	if (p.section->given && !is_given(&p, node))
		return;
	if (!p.section->list)
		note_origin(&p, NULL, node->key_line, node->key_column);
	if (p.section->list)
		for (const struct yaml_node *child = node->first; child; child = child->next)
			read_object(&p, child);
	else if (p.section->pairs)
		for (const struct yaml_node *child = node->first; child; child = child->next)
			read_pair(&p, pair_row(p.section), child);
	else
		read_settings(&p, node);
}

/* --- One setting, from elsewhere ------------------------------------------------------------- */

static void unknown_setting(const struct vm_file *f, const struct yaml_node *node,
			    const char *setting, const struct place *p, const char *key)
{
	char known[OPTION_MAX_NAMES][64];
	const char *names[OPTION_MAX_NAMES], *near;
	char elsewhere[64], label[LABEL_SIZE];
	unsigned n = 0;

	for (unsigned i = 0; i < option_table_len && n < ARRAY_SIZE(names); i++) {
		const struct option *o = &option_table[i];
		if (option_is_name(o) || option_section_of(o)->pairs)
			continue;
		if (p->section && strcmp(o->section, p->section->name))
			continue;
		snprintf(known[n], sizeof(known[n]), "%s.%s%s", o->section,
			 option_section_of(o)->list ? "NAME." : "", o->key);
		names[n] = known[n];
		n++;
	}
	near = text_nearest(setting, names, n);
	if (!near)
		near = find_elsewhere(key, elsewhere, sizeof(elsewhere));
	vm_file_mistake(f, node, yaml_node_path(node, label),
			"unknown setting '%.80s'%s%s%s; 'vireo config --all' has all of them",
			setting, near ? "; did you mean '" : "", near ? near : "", near ? "'" : "");
}

void vm_file_set(struct vm_file *f, const char *setting, const struct yaml_node *node)
{
	const char *first = strchr(setting, '.'), *dot = strrchr(setting, '.');
	struct vm_config *config = f->load->config;
	struct place p = { .file = f, .object = config };
	const struct option *o = NULL;
	char label[LABEL_SIZE];

	if (first)
		p.section = option_find_section(setting, (size_t)(first - setting));
	if (p.section && !p.section->pairs)
		o = option_find(p.section->name, strlen(p.section->name), dot + 1, strlen(dot + 1));
	if (!o || option_is_name(o) || (p.section->list == NULL && first != dot)) {
		unknown_setting(f, node, setting, &p, dot ? dot + 1 : setting);
		return;
	}
	yaml_node_path(node, label);
	if (p.section->list && (first == dot || dot == first + 1)) {
		vm_file_mistake(f, node, label, "give a name: '%s.NAME.%s'", p.section->name,
				o->key);
		return;
	}
	if (p.section->list) {
		size_t len = (size_t)(dot - first - 1);
		p.object = config_find(config, p.section, first + 1, len);
		if (!p.object)
			p.object = config_add_named(config, p.section, first + 1, len);
		if (!p.object) {
			vm_file_mistake(f, node, label, "no memory");
			return;
		}
		p.item = config_index(config, p.section, p.object);
	}
	if (p.section->given)
		*(bool *)((char *)config + p.section->given) = true;
	set_values(&p, o, node, label);
}
