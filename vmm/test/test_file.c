#include "vmm/test/test_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/text.h"
#include "vmm/outcome.h"
#include "vmm/test/pattern.h"
#include "vmm/test/test_reader.h"

/* --- Words for mistakes ---------------------------------------------------------------------- */

enum { SENTENCE_SIZE = 512 };

static void say(struct test_value v, unsigned line, unsigned column, const char *fmt, va_list ap)
	PRINTF_LIKE(4, 0);
static void say(struct test_value v, unsigned line, unsigned column, const char *fmt, va_list ap)
{
	struct origin at = { .file = v.file->origin, .line = line, .column = column };
	char sentence[SENTENCE_SIZE], path[YAML_PATH_SIZE];

	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	mistakes_add_at(v.file->load->mistakes, &at, STATUS_FAILED, "%s: %s",
			yaml_node_path(v.node, path), sentence);
}

void test_mistake(struct test_value v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(v, v.node->line, v.node->column, fmt, ap);
	va_end(ap);
}

void test_key_mistake(struct test_value v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(v, v.node->key ? v.node->key_line : v.node->line,
	    v.node->key ? v.node->key_column : v.node->column, fmt, ap);
	va_end(ap);
}

int test_know_key(struct vm_file *file, const struct yaml_node *node, const char *what,
		  const char *const *names, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(node->key, names[i]))
			return (int)i;
	vm_file_unknown(file, node, what, names, n, NULL);
	return -1;
}

bool test_is_map(struct test_value v, const char *what)
{
	if (v.node->kind == YAML_MAP)
		return true;
	test_mistake(v, "a map belongs here, as '%s', not a %s", what,
		     v.node->kind == YAML_LIST ? "list" : "single value");
	return false;
}

/* --- Single values --------------------------------------------------------------------------- */

char *test_text(struct test_value v, bool expand)
{
	char path[YAML_PATH_SIZE], *text;

	yaml_node_path(v.node, path);
	if (expand || v.node->kind != YAML_TEXT || v.node->is_empty)
		return vm_file_value(v.file, v.node, path);
	text = strdup(v.node->text);
	if (!text)
		test_mistake(v, "no memory");
	return text;
}

bool test_read_duration(struct test_value v, uint64_t *out)
{
	char *text = test_text(v, true);
	bool good = text && text_parse_duration_ms(text, out) == 0;

	if (text && !good)
		test_mistake(v, "'%s' is no time, as 500ms, 10s, 5m or 1h", text);
	free(text);
	return good;
}

bool test_read_number(struct test_value v, uint64_t min, uint64_t max, unsigned *out)
{
	char *text = test_text(v, true);
	uint64_t n = 0;
	bool good = text && text_parse_u64(text, &n) == 0 && n >= min && n <= max;

	if (good)
		*out = (unsigned)n;
	else if (text)
		test_mistake(v, "'%s' is not a number from %u to %u", text, (unsigned)min,
			     (unsigned)max);
	free(text);
	return good;
}

bool test_read_bool(struct test_value v, bool *out)
{
	char *text = test_text(v, true);
	bool good = text && text_parse_bool(text, out) == 0;

	if (text && !good)
		test_mistake(v, "'%s' is neither yes nor no", text);
	free(text);
	return good;
}

bool test_read_pattern(struct test_value v, bool of_stream, struct pattern **out)
{
	char why[PATTERN_WHY_SIZE], *text = test_text(v, false);
	int r = text ? pattern_create(out, text, of_stream, why) : -EINVAL;

	if (text && r < 0)
		test_mistake(v, "'%.100s': %s", text, why);
	free(text);
	return r == 0;
}

void test_list_add(struct test_value v, struct text_list *list, char *text)
{
	char **item;

	if (!text)
		return;
	item = reallocarray(list->item, list->n + 1, sizeof(*item));
	if (!item) {
		test_mistake(v, "no memory");
		free(text);
		return;
	}
	list->item = item;
	list->item[list->n++] = text;
}

static void add_pair(struct test_value v, struct text_list *list)
{
	size_t name_len = strlen(v.node->key);
	char *value, *pair = NULL;

	if (name_len == 0 || strchr(v.node->key, '=')) {
		test_key_mistake(v, "a name is not empty and has no '='");
		return;
	}
	value = test_text(v, true);
	if (!value)
		return;
	if (asprintf(&pair, "%s=%s", v.node->key, value) < 0) {
		pair = NULL;
		test_mistake(v, "no memory");
	}
	free(value);
	for (unsigned i = 0; pair && i < list->n; i++) {
		if (strncmp(list->item[i], pair, name_len + 1))
			continue;
		free(list->item[i]);
		list->item[i] = pair;
		return;
	}
	test_list_add(v, list, pair);
}

void test_read_pairs(struct test_value v, struct text_list *list)
{
	if (v.node->is_empty || !test_is_map(v, "{ NAME: VALUE }"))
		return;
	for (const struct yaml_node *node = v.node->first; node; node = node->next)
		add_pair((struct test_value){ v.file, node }, list);
}

/* --- Defaults -------------------------------------------------------------------------------- */

static const struct yaml_node *child_of(const struct yaml_node *map, const char *key)
{
	if (map && map->kind == YAML_MAP)
		for (const struct yaml_node *node = map->first; node; node = node->next)
			if (!strcmp(node->key, key))
				return node;
	return NULL;
}

static struct test_value find_default(const struct test_source *source, const char *key)
{
	struct test_value v = { source->defaults.file, child_of(source->defaults.node, key) };

	for (unsigned i = source->n_included; !v.node && i > 0; i--)
		v = find_default(source->included[i - 1], key);
	return v;
}

struct test_value test_find(const struct test_draft *draft, const char *key)
{
	struct test_value v = { draft->test.file, child_of(draft->test.node, key) };

	return v.node ? v : find_default(draft->source, key);
}

typedef void each_fn(const struct test_draft *draft, struct test_value value, void *arg);

static void each_default(const struct test_draft *draft, const struct test_source *source,
			 const char *key, each_fn *fn, void *arg)
{
	struct test_value v = { source->defaults.file, child_of(source->defaults.node, key) };

	for (unsigned i = 0; i < source->n_included; i++)
		each_default(draft, source->included[i], key, fn, arg);
	if (v.node)
		fn(draft, v, arg);
}

void test_each(const struct test_draft *draft, const char *key, each_fn *fn, void *arg)
{
	struct test_value v = { draft->test.file, child_of(draft->test.node, key) };

	each_default(draft, draft->source, key, fn, arg);
	if (v.node)
		fn(draft, v, arg);
}

/* --- Tests ----------------------------------------------------------------------------------- */

/* It is part of names of folders and of lines that programs read. */
static bool is_good_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > 100 || *name == '.' || *name == ' ' || name[len - 1] == ' ')
		return false;
	for (const unsigned char *p = (const unsigned char *)name; *p; p++)
		if (*p < 0x20 || *p == 0x7f || strchr("/[]#", *p))
			return false;
	return true;
}

static char *folder_of(const struct vm_file *file)
{
	const char *slash = file->has_folder ? strrchr(file->path, '/') : NULL;

	return slash ? strndup(file->path, slash > file->path ? (size_t)(slash - file->path) : 1) :
		       strdup(".");
}

static struct test_spec *add_spec(struct test_plan *plan, struct test_value test)
{
	struct test_spec **list = reallocarray(plan->spec, plan->n_specs + 1, sizeof(*list));
	struct test_spec *spec = list ? calloc(1, sizeof(*spec)) : NULL;

	if (list)
		plan->spec = list;
	if (!spec)
		return NULL;
	plan->spec[plan->n_specs++] = spec;
	spec->file = strdup(test.file->origin->name);
	spec->line = test.node->key_line;
	spec->name = strdup(test.node->key);
	spec->folder = folder_of(test.file);
	return spec->file && spec->name && spec->folder ? spec : NULL;
}

static bool is_double(const struct test_plan *plan, unsigned first, struct test_value test)
{
	for (unsigned i = first; i < plan->n_specs; i++)
		if (!strcmp(plan->spec[i]->name, test.node->key)) {
			test_key_mistake(test, "there is a test of that name already, at %s:%u",
					 plan->spec[i]->file, plan->spec[i]->line);
			return true;
		}
	return false;
}

static void read_test(struct test_reader *rd, const struct test_source *source,
		      struct test_value test, unsigned first_spec)
{
	struct test_draft draft = { .reader = rd, .source = source, .test = test };

	if (!is_good_name(test.node->key)) {
		test_key_mistake(test, "a test's name has 1 to 100 characters, none of / [ ] #, "
				 "and does not begin with a dot");
		return;
	}
	if (is_double(rd->plan, first_spec, test) ||
	    !test_is_map(test, "{ vm: ..., steps: [...] }"))
		return;
	draft.spec = add_spec(rd->plan, test);
	if (!draft.spec) {
		mistakes_add(rd->mistakes, "no memory");
		return;
	}
	test_check_keys(test.file, test.node);
	test_read_keys(&draft);
	test_expand(&draft);
}

static void read_tests(struct test_reader *rd, struct test_source *source, unsigned first_spec)
{
	const struct yaml_node *tests = child_of(source->tree.root, "tests");
	struct test_value v = { &source->file, tests };

	for (unsigned i = 0; i < source->n_included; i++)
		read_tests(rd, source->included[i], first_spec);
	if (!tests || (!tests->is_empty && !test_is_map(v, "{ boots: { vm: web.yaml } }")))
		return;
	for (const struct yaml_node *node = tests->first; node; node = node->next)
		read_test(rd, source, (struct test_value){ &source->file, node }, first_spec);
}

/* --- Files ----------------------------------------------------------------------------------- */

static struct test_source *read_source(struct test_reader *rd, const char *path,
				       const struct origin *at, const struct vm_file *includer);

static void include_one(struct test_reader *rd, struct test_source *source,
			const struct yaml_node *node)
{
	struct test_value v = { &source->file, node };
	struct origin at = { .file = source->file.origin, .line = node->line,
			     .column = node->column };
	char *path = test_text(v, true), *resolved = NULL;
	struct test_source *included;

	if (path && (!*path || !strcmp(path, "-"))) {
		test_mistake(v, "the name of a file belongs here");
	} else if (path) {
		resolved = vm_file_resolve(&source->file, path);
		included = resolved ? read_source(rd, resolved, &at, &source->file) : NULL;
		if (included)
			source->included[source->n_included++] = included;
	}
	free(path);
	free(resolved);
}

static void read_includes(struct test_reader *rd, struct test_source *source)
{
	const struct yaml_node *node = child_of(source->tree.root, "include");

	if (!node)
		return;
	if (node->kind != YAML_LIST) {
		include_one(rd, source, node);
		return;
	}
	for (const struct yaml_node *i = node->first;
	     i && source->n_included < TEST_MAX_SOURCES; i = i->next)
		include_one(rd, source, i);
}

static void read_top(struct test_reader *rd, struct test_source *source)
{
	static const char *const keys[] = { "tests", "defaults", "include" };
	const struct yaml_node *root = source->tree.root;

	for (const struct yaml_node *node = root->first; node; node = node->next)
		test_know_key(&source->file, node, "key", keys, ARRAY_SIZE(keys));
	read_includes(rd, source);
	source->defaults = (struct test_value){ &source->file, child_of(root, "defaults") };
	if (!source->defaults.node || source->defaults.node->is_empty)
		return;
	if (test_is_map(source->defaults, "{ timeout: 60s }"))
		test_check_keys(&source->file, source->defaults.node);
}

static struct test_source *read_source(struct test_reader *rd, const char *path,
				       const struct origin *at, const struct vm_file *includer)
{
	struct test_source *source;

	if (rd->n_sources == TEST_MAX_SOURCES) {
		mistakes_add_at(rd->mistakes, at, STATUS_FAILED, "these are more than %d files",
				TEST_MAX_SOURCES);
		return NULL;
	}
	source = calloc(1, sizeof(*source));
	if (source)
		source->path = strdup(path);
	if (!source || !source->path) {
		mistakes_add(rd->mistakes, "no memory");
		free(source);
		return NULL;
	}
	rd->source[rd->n_sources++] = source;
	if (!vm_file_open(&source->file, &rd->load, source->path, at, includer, &source->tree))
		return NULL;
	if (!source->tree.root || source->tree.root->kind != YAML_MAP) {
		struct origin whole = { .file = source->file.origin };
		mistakes_add_at(rd->mistakes, &whole, STATUS_FAILED,
				"a test file is a map with tests, as 'tests: { boots: { vm: "
				"web.yaml } }'");
		return NULL;
	}
	read_top(rd, source);
	return source;
}

static void free_sources(struct test_reader *rd)
{
	for (unsigned i = 0; i < rd->n_sources; i++) {
		yaml_tree_free(&rd->source[i]->tree);
		free(rd->source[i]->path);
		free(rd->source[i]);
	}
	free(rd->kernel);
}

void test_file_read(struct test_plan *plan, const char *path, struct mistakes *mistakes)
{
	struct test_reader rd = {
		.plan = plan,
		.mistakes = mistakes,
		.load = { .mistakes = mistakes, .budget = EXPAND_MAX, .origins = &plan->origins,
			  .kind = "test file" },
	};
	unsigned first_spec = plan->n_specs, before = mistakes->n;
	struct test_source *source = read_source(&rd, path, NULL, NULL);

	if (source)
		read_tests(&rd, source, first_spec);
	if (source && plan->n_specs == first_spec && mistakes->n == before) {
		struct origin whole = { .file = source->file.origin };
		mistakes_add_at(mistakes, &whole, STATUS_FAILED, "there are no tests in it");
	}
	free_sources(&rd);
}

static void ignore_flaw(void *arg, const struct yaml_node *node, const struct file_flaw *flaw)
{
	(void)arg;
	(void)node;
	(void)flaw;
}

bool test_file_has_tests(const char *path)
{
	struct yaml_tree tree = { 0 };
	struct file_text text;
	struct file_flaw flaw;
	bool has = true;

	if (file_text_read(&text, path, true) < 0) {
		error_clear();
		return true;
	}
	if (!file_text_is_binary(&text) && file_text_judge(&text, &flaw)) {
		file_text_adapt_json(&text);
		if (yaml_tree_read(&tree, &text, ignore_flaw, NULL))
			has = child_of(tree.root, "tests") != NULL;
		else
			has = !tree.root || child_of(tree.root, "tests") != NULL;
		yaml_tree_free(&tree);
	}
	file_text_free(&text);
	return has;
}
