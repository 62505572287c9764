/*
 * A file is read whole, judged, made a tree, and then walked twice: first what it includes (that is
 * the base, which it overrides), then its own sections.  The typing of values is option_set()'s, as
 * for the command line.
 */
#include "vmm/file/vm_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/text.h"
#include "vmm/file/config_json.h"
#include "vmm/file/file_text.h"
#include "vmm/file/vm_file_impl.h"
#include "vmm/file/yaml_tree.h"
#include "vmm/option.h"
#include "vmm/outcome.h"

/* How deep includes may be, and how many files there may be, counted each time they are read. */
enum { MAX_INCLUDES = 8, MAX_FILES = 64 };

/* --- Flaws of a text ------------------------------------------------------------------------- */

static void note_flaw(void *arg, const struct yaml_node *node, const struct file_flaw *flaw)
{
	struct vm_file *f = arg;
	struct origin at = { .file = f->origin, .line = flaw->line, .column = flaw->column };
	char path[YAML_PATH_SIZE];

	yaml_node_path(node, path);
	mistakes_add_at(f->load->mistakes, &at, STATUS_FAILED, "%s%s%s", path, *path ? ": " : "",
			flaw->text);
}

static bool judge(struct vm_file *f, const struct file_text *text)
{
	struct origin whole = { .file = f->origin };
	struct file_flaw flaw;

	if (file_text_is_binary(text)) {
		mistakes_add_at(f->load->mistakes, &whole, STATUS_FAILED,
				"this is no text and so no %s; a kernel to boot is named by "
				"'--kernel FILE'", f->load->kind);
		return false;
	}
	if (file_text_judge(text, &flaw))
		return true;
	note_flaw(f, NULL, &flaw);
	return false;
}

/* --- Includes -------------------------------------------------------------------------------- */

static void read_file(struct vm_load *load, const char *path, const struct origin *at,
		      const struct vm_file *includer);

/* Which word names the file, at that place. */
static const char *named_by(const struct origin *at, const struct vm_file *includer)
{
	return !at ? "" : includer ? "include: " : "vm: ";
}

/* Note a loop, "web.yaml includes base.yaml includes web.yaml". */
static bool refuse_loop(struct vm_load *load, const struct origin *at,
			const struct vm_file *includer, const struct file_text *text,
			const char *path)
{
	const struct vm_file *names[MAX_INCLUDES + 1];
	bool found = false;
	unsigned n = 0;
	char loop[256] = "";
	size_t len = 0;

	for (const struct vm_file *f = includer; f && n < ARRAY_SIZE(names) && !found;
	     f = f->includer) {
		names[n++] = f;
		found = f->dev == text->dev && f->ino == text->ino;
	}
	if (!found)
		return false;
	while (n-- > 0 && len < sizeof(loop))
		len += (size_t)snprintf(loop + len, sizeof(loop) - len, "%.40s includes ",
					names[n]->origin->name);
	mistakes_add_at(load->mistakes, at, STATUS_FAILED, "include: a loop: %s%.40s", loop, path);
	return true;
}

static void include(struct vm_file *f, const struct yaml_node *node)
{
	struct origin at = { .file = f->origin, .line = node->line, .column = node->column };
	char *path = vm_file_value(f, node, "include");
	char *resolved;

	if (!path)
		return;
	resolved = vm_file_resolve(f, path);
	if (!*path || !strcmp(path, "-"))
		mistakes_add_at(f->load->mistakes, &at, STATUS_FAILED, *path ?
				"include: standard input cannot be included" :
				"include: the name of a file is empty");
	else if (!resolved)
		mistakes_add_at(f->load->mistakes, &at, STATUS_FAILED, "include: no memory");
	else
		read_file(f->load, resolved, &at, f);
	free(resolved);
	free(path);
}

static void read_includes(struct vm_file *f, const struct yaml_node *root)
{
	for (const struct yaml_node *node = root->first; node; node = node->next) {
		if (strcmp(node->key, "include"))
			continue;
		if (node->kind == YAML_LIST)
			for (const struct yaml_node *i = node->first; i; i = i->next)
				include(f, i);
		else
			include(f, node);
	}
}

/* --- One file -------------------------------------------------------------------------------- */

/* What config_write_json() writes, so that a later form of files can be told from this one. */
static void check_version(struct vm_file *f, const struct yaml_node *node)
{
	char *value = vm_file_value(f, node, node->key);
	uint64_t version;

	if (value && (text_parse_u64(value, &version) < 0 || version != CONFIG_SCHEMA_VERSION))
		vm_file_mistake(f, node, node->key, "'%s' is not %d, the only form of VM files "
				"that this Vireo knows", value, CONFIG_SCHEMA_VERSION);
	free(value);
}

static void read_sections(struct vm_file *f, const struct yaml_node *root)
{
	for (const struct yaml_node *node = root->first; node; node = node->next) {
		if (!strcmp(node->key, "schema_version"))
			check_version(f, node);
		else if (strcmp(node->key, "include"))
			vm_file_section(f, node);
	}
}

void vm_file_map(struct vm_file *f, const struct yaml_node *map)
{
	read_includes(f, map);
	read_sections(f, map);
}

static void read_tree(struct vm_file *f, const struct yaml_tree *tree)
{
	if (tree->root && tree->root->kind == YAML_MAP) {
		vm_file_map(f, tree->root);
	} else if (tree->root && !tree->root->is_empty) {
		struct origin at = { f->origin, tree->root->line, tree->root->column, NULL };
		mistakes_add_at(f->load->mistakes, &at, STATUS_FAILED,
				"a VM file is a map of sections, as 'vm: { memory: 512M }', not a "
				"%s", tree->root->kind == YAML_LIST ? "list" : "single text");
	}
}

/* How people mean what is no file: "memory=1G" is "--memory=1G". */
static void hint_option(char *hint, size_t size, const char *word)
{
	size_t name_len = strcspn(word, "="), section_len = strcspn(word, ".=");

	hint[0] = '\0';
	if (option_find_flag(word, name_len))
		snprintf(hint, size, "; did you mean '--%.80s'?", word);
	else if (word[section_len] == '.' && word[name_len] == '=' &&
		 option_find_section(word, section_len))
		snprintf(hint, size, "; did you mean '--set %.80s'?", word);
}

static void refuse_file(struct vm_load *load, const char *path, const struct origin *at,
			const struct vm_file *includer)
{
	int err = error_errno(), status = outcome_of_error(BLAME_FILE, err);
	char hint[128] = "";

	if (status == STATUS_NO_FILE && !at)
		hint_option(hint, sizeof(hint), path);
	bool is_said = err == EFBIG || err == EINVAL;
	if (err == EFBIG && !at)
		snprintf(hint, sizeof(hint), "; a kernel to boot is named by '--kernel FILE'");
	mistakes_add_at(load->mistakes, at, status, "%s%s%s%s%s", named_by(at, includer),
			error_text(), is_said ? "" : ": ", is_said ? "" : strerror(err), hint);
	error_clear();
}

static bool read_text(struct vm_file *f, struct file_text *text, const struct origin *at,
		      struct yaml_tree *tree)
{
	struct vm_load *load = f->load;

	if (refuse_loop(load, at, f->includer, text, f->path))
		return false;
	f->origin = origins_add_file(load->origins,
				     strcmp(f->path, "-") ? f->path : "<standard input>", at);
	if (!f->origin)
		mistakes_add(load->mistakes, "no memory");
	if (!f->origin || !judge(f, text))
		return false;
	file_text_adapt_json(text);
	/* What was read before a flaw is no less wrong. */
	return yaml_tree_read(tree, text, note_flaw, f);
}

bool vm_file_open(struct vm_file *f, struct vm_load *load, const char *path,
		  const struct origin *at, const struct vm_file *includer, struct yaml_tree *tree)
{
	struct file_text text;
	bool good;

	*tree = (struct yaml_tree){ 0 };
	*f = (struct vm_file){ .load = load, .path = path, .includer = includer };
	f->depth = includer ? includer->depth + 1 : 0;
	if (f->depth > MAX_INCLUDES || load->n_files == MAX_FILES) {
		mistakes_add_at(load->mistakes, at, STATUS_FAILED, f->depth > MAX_INCLUDES ?
				"include: files include each other more than %d deep" :
				"these are more than %d files", f->depth > MAX_INCLUDES ?
				MAX_INCLUDES : MAX_FILES);
		return false;
	}
	if (file_text_read(&text, path, at != NULL) < 0) {
		refuse_file(load, path, at, includer);
		return false;
	}
	load->n_files++;
	f->has_folder = text.is_regular && strcmp(path, "-") != 0;
	f->dev = text.dev;
	f->ino = text.ino;
	good = read_text(f, &text, at, tree);
	file_text_free(&text);
	return good;
}

/* 'at': the include that names it, of 'includer'; NULL: the user did. */
static void read_file(struct vm_load *load, const char *path, const struct origin *at,
		      const struct vm_file *includer)
{
	struct yaml_tree tree;
	struct vm_file f;

	if (vm_file_open(&f, load, path, at, includer, &tree))
		read_tree(&f, &tree);
	yaml_tree_free(&tree);
}

void vm_file_read_at(struct vm_load *load, const char *path, const struct origin *at)
{
	read_file(load, path, at, NULL);
}

void vm_file_read(struct vm_config *config, const char *path, struct mistakes *mistakes)
{
	struct vm_load load = {
		.config = config, .mistakes = mistakes, .budget = EXPAND_MAX,
		.origins = &config->origins, .kind = "VM file",
		/* Those of the command line count together. */
		.n_files = config->origins.n_files,
	};

	read_file(&load, path, NULL, NULL);
}
