#include "vmm/file/config_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/option.h"
#include "vmm/option_text.h"

int config_view_init(struct config_view *view, const struct vm_config *config, bool all)
{
	int r = config_init(&view->defaults);

	if (r < 0)
		return r;
	view->config = config;
	view->all = all;
	for (unsigned i = 0; i < option_sections_len; i++) {
		if (option_sections[i].list && !config_add(&view->defaults, &option_sections[i])) {
			config_view_fini(view);
			return error_set(ENOMEM, "look at the configuration");
		}
	}
	return 0;
}

void config_view_fini(struct config_view *view)
{
	config_fini(&view->defaults);
}

unsigned config_view_count(const struct config_view *view, const struct option_section *section)
{
	return section->list ? config_count(view->config, section) : 1;
}

static const void *object_in(const struct vm_config *config, const struct option_section *section,
			     unsigned index)
{
	return section->list ? config_object(config, section, index) : config;
}

const void *config_view_object(const struct config_view *view,
			       const struct option_section *section, unsigned index)
{
	return object_in(view->config, section, index);
}

static bool is_given(const struct config_view *view, const struct option_section *section)
{
	return *(const bool *)((const char *)view->config + section->given);
}

/* Does it have a value that is not the default? */
static bool differs(const struct config_view *view, const struct option *o, const void *object)
{
	const struct option_section *section = option_section_of(o);

	return !option_is_name(o) && option_count(o, object) > 0 &&
	       !option_equal(o, object, object_in(&view->defaults, section, 0));
}

/* Is 'o' the first setting with a value of an object that is all defaults? */
static bool is_mention(const struct config_view *view, const struct option_section *section,
		       const struct option *o, const void *object)
{
	const struct option *first = NULL;

	if (!section->list && !section->given)
		return false;
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *row = &option_table[i];
		if (strcmp(row->section, section->name))
			continue;
		if (differs(view, row, object))
			return false;
		if (!first && !option_is_name(row) && option_count(row, object) > 0)
			first = row;
	}
	return first == o;
}

bool config_view_wants(const struct config_view *view, const struct option *o, const void *object)
{
	const struct option_section *section = option_section_of(o);

	if ((section->given && !is_given(view, section)) || option_is_name(o) ||
	    option_count(o, object) == 0)
		return false;
	return view->all || differs(view, o, object) || is_mention(view, section, o, object);
}

bool config_view_has(const struct config_view *view, const struct option_section *section)
{
	if (section->list)
		return config_view_count(view, section) > 0;
	if (section->given)
		return is_given(view, section);
	for (unsigned i = 0; i < option_table_len; i++)
		if (!strcmp(option_table[i].section, section->name) &&
		    config_view_wants(view, &option_table[i], view->config))
			return true;
	return false;
}

/* Put the working directory before a name that begins nowhere; '*text' is owned, and replaced. */
static int make_absolute(char **text, bool is_target)
{
	const char *path = is_target ? *text + strlen("file=") : *text;
	char *dir, *longer;

	if (*path == '/')
		return 0;
	dir = getcwd(NULL, 0);
	if (!dir)
		return error_set(errno, "find the working directory");
	if (asprintf(&longer, "%s%s%s%s", is_target ? "file=" : "", dir, dir[1] ? "/" : "",
		     path) < 0)
		longer = NULL;
	free(dir);
	if (!longer)
		return error_set(ENOMEM, "write '%s'", path);
	free(*text);
	*text = longer;
	return 0;
}

static bool is_path(const struct option *o, const char *text)
{
	return o->type == OPTION_PATH || (o->type == OPTION_CONTENT && !strchr(text, '\n')) ||
	       (o->type == OPTION_TARGET && !strncmp(text, "file=", 5));
}

int config_view_format(const struct option *o, const void *object, unsigned i, char **out)
{
	int r = option_format(o, object, i, out);

	if (r < 0)
		return error_set(r, "write %s.%s", o->section, o->key);
	if (is_path(o, *out))
		r = make_absolute(out, o->type == OPTION_TARGET);
	if (r < 0) {
		free(*out);
		*out = NULL;
	}
	return r;
}
