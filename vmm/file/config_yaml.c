#include "vmm/file/config_yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/file/config_view.h"
#include "vmm/file/yaml_scalar.h"
#include "vmm/option.h"
#include "vmm/option_text.h"

struct writer {
	FILE *out;
	struct config_view view;
	bool explain;		/* comments */
	const char *hash;	/* before each line: "#" in an example, or "" */
	unsigned indent;	/* of the settings that are being written */
};

/* --- Values ---------------------------------------------------------------------------------- */

/* Does a plain word of this type mean what it says to every reader of YAML? */
static bool is_always_plain(const struct option *o)
{
	switch (o->type) {
	case OPTION_BOOL:
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
	case OPTION_CHOICE:
	case OPTION_FEATURES:
		return true;
	default:
		return false;
	}
}

static int put_word(struct writer *w, const struct option *o, const char *word)
{
	int r = 0;

	if (is_always_plain(o))
		fputs(word, w->out);
	else if (option_is_list(o))
		r = yaml_put_text(w->out, word);
	else
		r = yaml_put_block(w->out, word, w->indent);
	if (r == 0)
		return 0;
	error_set(r, "write %s.%s to a VM file: its text is not UTF-8", o->section, o->key);
	error_hint("a VM file has no way to say such bytes; rename the file, or use the option");
	return r;
}

static int put_value(struct writer *w, const struct option *o, const void *object)
{
	unsigned n = option_count(o, object);
	int r = 0;

	fputs(option_is_list(o) ? "[" : "", w->out);
	for (unsigned i = 0; i < n && r == 0; i++) {
		char *word;
		r = config_view_format(o, object, i, &word);
		if (r < 0)
			break;
		fputs(i ? ", " : "", w->out);
		r = put_word(w, o, word);
		free(word);
	}
	fputs(option_is_list(o) ? "]\n" : "\n", w->out);
	return r;
}

/* What stands where a value belongs that there is none of: "FILE". */
static int put_placeholder(struct writer *w, const struct option *o)
{
	char text[128];
	int r;

	if (o->initial || o->type == OPTION_FEATURES) {
		fprintf(w->out, "%s\n", o->initial ? o->initial : "[+BIT, -BIT]");
		return 0;
	}
	fputs(option_is_list(o) ? "[" : "", w->out);
	r = yaml_put_text(w->out, option_value_text(o, text));
	fputs(option_is_list(o) ? "]\n" : "\n", w->out);
	return r;
}

static int put_key(struct writer *w, const char *key)
{
	int r = yaml_put_key(w->out, key);

	if (r < 0)
		return error_set(r, "write the name '%s' to a VM file: it is not UTF-8", key);
	fputc(':', w->out);
	return 0;
}

/* --- Settings -------------------------------------------------------------------------------- */

static void put_explanation(struct writer *w, const struct option *o)
{
	fprintf(w->out, "%s\n%s%*s# %s\n", w->hash, w->hash, (int)w->indent, "", o->help);
	fprintf(w->out, "%s%*s# ", w->hash, (int)w->indent, "");
	option_put_allowed(o, w->out);
	if (o->initial)
		fprintf(w->out, "; default: %s\n", o->initial);
	else
		fputs("; no default\n", w->out);
}

static int put_setting(struct writer *w, const struct option *o, const void *object)
{
	fprintf(w->out, "%s%*s%s: ", w->hash, (int)w->indent, "", o->key);
	return put_value(w, o, object);
}

/* Of a setting without a value: how to give one. */
static int put_absent(struct writer *w, const struct option *o, bool in_comment)
{
	fprintf(w->out, "%s%*s%s%s: ", w->hash, (int)w->indent, "", in_comment ? "#" : "", o->key);
	return put_placeholder(w, o);
}

/* The settings of one object; comments stand with the first one only. */
static int put_settings(struct writer *w, const struct option_section *section,
			const void *object, bool explain)
{
	int r = 0;

	for (unsigned i = 0; i < option_table_len && r == 0; i++) {
		const struct option *o = &option_table[i];
		if (strcmp(o->section, section->name) || option_is_name(o))
			continue;
		bool wanted = config_view_wants(&w->view, o, object);
		if (explain)
			put_explanation(w, o);
		if (wanted)
			r = put_setting(w, o, object);
		else if (explain)
			r = put_absent(w, o, true);
	}
	return r;
}

/* A section that the VM does not have: how it would look. */
static int put_example(struct writer *w, const struct option_section *section)
{
	bool is_first = true;
	int r = 0;

	w->hash = "#";
	fprintf(w->out, "#%s:\n", section->name);
	if (section->list) {
		fputs("#  NAME:\n", w->out);
		w->indent += 2;
	}
	for (unsigned i = 0; i < option_table_len && r == 0; i++) {
		const struct option *o = &option_table[i];
		if (strcmp(o->section, section->name) || option_is_name(o))
			continue;
		put_explanation(w, o);
		if (section->pairs)
			fputs("#  NAME: VALUE\n", w->out);
		else
			r = put_absent(w, o, !o->initial && !is_first);
		is_first = false;
	}
	w->hash = "";
	w->indent = 2;
	return r;
}

/* --- Sections -------------------------------------------------------------------------------- */

static int put_pair(struct writer *w, const struct option_section *section, const char *pair)
{
	size_t len = strcspn(pair, "=");
	char *name = strndup(pair, len);
	int r;

	if (!name)
		return error_set(ENOMEM, "write %s", section->name);
	fputs("  ", w->out);
	r = put_key(w, name);
	free(name);
	if (r < 0)
		return r;
	fputc(' ', w->out);
	r = yaml_put_block(w->out, pair + len + 1, w->indent);
	fputc('\n', w->out);
	return r < 0 ? error_set(r, "write %s to a VM file: a value is not UTF-8", section->name) :
		       0;
}

static int put_pairs(struct writer *w, const struct option_section *section)
{
	const struct text_list *list =
		(const void *)((const char *)w->view.config + section->pairs);
	int r = 0;

	for (unsigned i = 0; i < list->n && r == 0; i++)
		r = put_pair(w, section, list->item[i]);
	return r;
}

static int put_objects(struct writer *w, const struct option_section *section)
{
	int r = 0;

	w->indent = 4;
	for (unsigned i = 0; i < config_view_count(&w->view, section) && r == 0; i++) {
		fputs("  ", w->out);
		r = put_key(w, config_name(w->view.config, section, i));
		fputc('\n', w->out);
		if (r == 0)
			r = put_settings(w, section, config_view_object(&w->view, section, i),
					 w->explain && i == 0);
	}
	w->indent = 2;
	return r;
}

static int put_section(struct writer *w, const struct option_section *section)
{
	bool present = config_view_has(&w->view, section);

	if (!present && !w->explain)
		return 0;
	if (w->explain)
		fprintf(w->out, "\n# --- %s\n", section->title);
	if (!present)
		return put_example(w, section);
	fprintf(w->out, "%s:\n", section->name);
	if (section->list)
		return put_objects(w, section);
	if (section->pairs)
		return put_pairs(w, section);
	return put_settings(w, section, w->view.config, w->explain);
}

static void put_head(FILE *out)
{
	fputs("# yaml-language-server: $schema=" VIREO_DATADIR "/vireo/vireo.schema.json\n"
	      "#\n"
	      "# A virtual machine for 'vireo run FILE', with every setting that there is.  What\n"
	      "# is at its default can as well be deleted; take the '#' away to give a value\n"
	      "# where there is none.  The order of disks and other things with names counts.\n"
	      "# A value may have ${NAME} or ${NAME:-default} in it, from the environment; $$ is\n"
	      "# a dollar.  The line at the top is for editors (that file is what\n"
	      "# 'vireo config --schema' prints).\n",
	      out);
}

int config_write_yaml(FILE *out, const struct vm_config *config, bool all)
{
	struct writer w = { .out = out, .explain = all, .hash = "", .indent = 2 };
	int r = config_view_init(&w.view, config, all);

	if (r < 0)
		return r;
	if (all)
		put_head(out);
	for (unsigned i = 0; i < option_sections_len && r == 0; i++)
		r = put_section(&w, &option_sections[i]);
	config_view_fini(&w.view);
	return r;
}
