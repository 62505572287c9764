/* What a test is, beside its VM: one row of a table for each key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/outcome.h"
#include "vmm/test/console_scan.h"
#include "vmm/test/pattern.h"
#include "vmm/test/test_reader.h"
#include "vmm/test/test_requires.h"

typedef void read_fn(struct test_draft *draft, struct test_value v);

static void read_timeout(struct test_draft *draft, struct test_value v)
{
	uint64_t ms;

	if (!test_read_duration(v, &ms))
		return;
	if (ms == 0)
		test_mistake(v, "a test without limit could hang for ever; give a long time");
	else
		draft->spec->timeout_ms = ms;
}

/* --- What must not be on the console ------------------------------------------------------- */

static void add_fail_pattern(struct test_draft *draft, struct test_value v, const char *text)
{
	struct test_spec *spec = draft->spec;
	size_t len = strlen(text);
	char why[PATTERN_WHY_SIZE], *regex = strndup(text + 1, len - 2);
	struct pattern **list, *pattern = NULL;

	if (!regex || pattern_create(&pattern, regex, true, why) < 0)
		test_mistake(v, "%s: %s", text, regex ? why : "no memory");
	free(regex);
	if (!pattern)
		return;
	list = reallocarray(spec->fail_pattern, spec->n_fail_patterns + 1, sizeof(*list));
	if (!list) {
		test_mistake(v, "no memory");
		pattern_destroy(pattern);
		return;
	}
	spec->fail_pattern = list;
	spec->fail_pattern[spec->n_fail_patterns++] = pattern;
}

static void add_fail_on(struct test_draft *draft, struct test_value v)
{
	static const char *const words[] = { "panic", "oops", "bug", "warn", "lockup" };
	char *text = test_text(v, false);
	size_t len = text ? strlen(text) : 0;
	enum kernel_trouble kind = text ? console_trouble_parse(text) : 0;
	const char *near;

	if (kind) {
		draft->spec->fail_on |= kind;
	} else if (len > 2 && text[0] == '/' && text[len - 1] == '/') {
		add_fail_pattern(draft, v, text);
	} else if (text) {
		near = text_nearest(text, words, ARRAY_SIZE(words));
		test_mistake(v, "'%.60s' is none of panic, oops, bug, warn, lockup, /REGEX/%s%s%s",
			     text, near ? "; did you mean '" : "", near ? near : "",
			     near ? "'" : "");
	}
	free(text);
}

static void read_fail_on(struct test_draft *draft, struct test_value v)
{
	draft->spec->fail_on = 0;
	if (v.node->kind != YAML_LIST)
		add_fail_on(draft, v);
	else
		for (const struct yaml_node *i = v.node->first; i; i = i->next)
			add_fail_on(draft, (struct test_value){ v.file, i });
}

/* --- How the guest is to end ----------------------------------------------------------------- */

static void read_expect(struct test_draft *draft, struct test_value v)
{
	static const char *const words[] = { "poweroff", "panic", "reset", "crash" };
	static const enum guest_end ends[] = { END_POWEROFF, END_PANIC, END_RESET, END_CRASH };
	char *text = test_text(v, true);
	const char *near = text ? text_nearest(text, words, ARRAY_SIZE(words)) : NULL;

	for (unsigned i = 0; text && i < ARRAY_SIZE(words); i++) {
		if (strcmp(text, words[i]))
			continue;
		draft->spec->end = ends[i];
		free(text);
		return;
	}
	if (text)
		test_mistake(v, "'%.60s' is none of poweroff, panic, reset, crash%s%s%s; what the "
			     "console shall show is a step, 'steps: [ expect: ... ]'", text,
			     near ? "; did you mean '" : "", near ? near : "", near ? "'" : "");
	free(text);
}

static void read_status(struct test_draft *draft, struct test_value v)
{
	unsigned status;

	if (!test_read_number(v, 0, STATUS_GUEST_MAX, &status))
		return;
	if (draft->spec->end != END_ANY) {
		test_key_mistake(v, "there is 'expect' already, and a guest ends only once");
		return;
	}
	draft->spec->end = END_STATUS;
	draft->spec->status = status;
}

/* --- A guest that Vireo makes --------------------------------------------------------------- */

static void read_root(struct test_draft *draft, struct test_value v)
{
	static const char *const words[] = { "host", "none" };
	char *text = test_text(v, true);
	const char *near;

	if (!text)
		return;
	draft->spec->is_made = true;
	if (!strcmp(text, "host")) {
		draft->spec->root = strdup("/");
		if (!draft->spec->root)
			test_mistake(v, "no memory");
	} else if (strchr(text, '/') || !strcmp(text, ".")) {
		draft->spec->root = vm_file_resolve(v.file, text);
		if (!draft->spec->root)
			test_mistake(v, "no memory");
	} else if (strcmp(text, "none")) {
		near = text_nearest(text, words, ARRAY_SIZE(words));
		test_mistake(v, "'%.60s' is none of host, none, DIR (a name with a '/', as "
			     "./DIR)%s%s%s", text, near ? "; did you mean '" : "",
			     near ? near : "", near ? "'" : "");
	}
	free(text);
}

static void read_modules(struct test_draft *draft, struct test_value v)
{
	char *text = test_text(v, true);

	if (!text)
		return;
	if (!draft->spec->is_made)
		test_key_mistake(v, "this is for a test with 'root'");
	else
		draft->spec->modules = vm_file_resolve(v.file, text);
	free(text);
}

/* "FILE" or "FILE=PATH", where FILE is beside the test file. */
static void add_copy(struct test_draft *draft, struct test_value v)
{
	char *text = test_text(v, true), *equals = text ? strchr(text, '=') : NULL;
	char *from = NULL, *copy = NULL;

	if (!text)
		return;
	if (equals)
		*equals = '\0';
	if (!*text || (equals && !equals[1]))
		test_mistake(v, "FILE or FILE=PATH belongs here");
	else if (!(from = vm_file_resolve(v.file, text)) ||
		 asprintf(&copy, "%s=%s", from, equals ? equals + 1 : text) < 0)
		test_mistake(v, "no memory");
	else
		test_list_add(v, &draft->spec->copy, copy);
	free(from);
	free(text);
}

static void read_copy(struct test_draft *draft, struct test_value v)
{
	if (!draft->spec->is_made)
		test_key_mistake(v, "this is for a test with 'root'");
	else if (v.node->kind != YAML_LIST)
		add_copy(draft, v);
	else
		for (const struct yaml_node *i = v.node->first; i; i = i->next)
			add_copy(draft, (struct test_value){ v.file, i });
}

/* --- The others ------------------------------------------------------------------------------ */

static void read_strict_kernel(struct test_draft *draft, struct test_value v)
{
	test_read_bool(v, &draft->spec->strict_kernel);
}

static void read_repeat(struct test_draft *draft, struct test_value v)
{
	test_read_number(v, 1, 10000, &draft->spec->repeat);
}

static void read_retries(struct test_draft *draft, struct test_value v)
{
	test_read_number(v, 0, 100, &draft->spec->retries);
}

static void add_need(struct test_draft *draft, struct test_value v)
{
	static const char file[] = "file:";
	char *text = test_text(v, true), why[TEST_MISSING_SIZE], *path, *need;

	if (!text)
		return;
	if (!test_need_judge(text, why)) {
		test_mistake(v, "%s", why);
		free(text);
		return;
	}
	if (strncmp(text, file, strlen(file))) {
		test_list_add(v, &draft->spec->needs, text);
		return;
	}
	path = vm_file_resolve(v.file, text + strlen(file));
	free(text);
	if (!path || asprintf(&need, "%s%s", file, path) < 0)
		test_mistake(v, "no memory");
	else
		test_list_add(v, &draft->spec->needs, need);
	free(path);
}

static void read_needs(struct test_draft *draft, struct test_value v)
{
	if (v.node->kind != YAML_LIST)
		add_need(draft, v);
	else
		for (const struct yaml_node *i = v.node->first; i; i = i->next)
			add_need(draft, (struct test_value){ v.file, i });
}

static void add_tag(const struct test_draft *draft, struct test_value v)
{
	char *text = test_text(v, true);

	if (text && (!*text || strpbrk(text, ", \t\n"))) {
		test_mistake(v, "a tag is one word without commas");
		free(text);
	} else {
		test_list_add(v, &draft->spec->tags, text);
	}
}

static void read_tags(const struct test_draft *draft, struct test_value v, void *arg)
{
	(void)arg;
	if (v.node->kind != YAML_LIST)
		add_tag(draft, v);
	else
		for (const struct yaml_node *i = v.node->first; i; i = i->next)
			add_tag(draft, (struct test_value){ v.file, i });
}

static void read_env(const struct test_draft *draft, struct test_value v, void *arg)
{
	(void)arg;
	test_read_pairs(v, &draft->spec->env);
}

/* Those without 'read' are read in another order, or by the VM's side. */
static const struct test_key {
	const char *name;
	read_fn *read;
} keys[] = {
	{ "vm", NULL },
	{ "set", NULL },
	{ "matrix", NULL },
	{ "exclude", NULL },
	{ "steps", NULL },
	{ "tags", NULL },
	{ "env", NULL },
	{ "root", read_root },
	{ "modules", read_modules },
	{ "copy", read_copy },
	{ "timeout", read_timeout },
	{ "expect", read_expect },
	{ "status", read_status },
	{ "fail_on", read_fail_on },
	{ "strict_kernel", read_strict_kernel },
	{ "requires", read_needs },
	{ "repeat", read_repeat },
	{ "retries", read_retries },
};

void test_check_keys(struct vm_file *file, const struct yaml_node *map)
{
	const char *names[ARRAY_SIZE(keys)];

	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		names[i] = keys[i].name;
	for (const struct yaml_node *node = map->first; node; node = node->next)
		test_know_key(file, node, "key", names, ARRAY_SIZE(names));
}

void test_read_keys(struct test_draft *draft)
{
	struct test_spec *spec = draft->spec;
	struct test_value v;

	spec->timeout_ms = TEST_TIMEOUT_MS;
	spec->fail_on = TROUBLE_PANIC | TROUBLE_OOPS;
	spec->strict_kernel = true;
	spec->repeat = 1;
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		v = test_find(draft, keys[i].name);
		if (v.node && keys[i].read)
			keys[i].read(draft, v);
	}
	/* Who panics on purpose says so on the console, and mostly after an oops. */
	if (spec->end == END_PANIC && !test_find(draft, "fail_on").node)
		spec->fail_on = 0;
	test_each(draft, "tags", read_tags, NULL);
	test_each(draft, "env", read_env, NULL);
	v = test_find(draft, "steps");
	if (v.node && !v.node->is_empty)
		test_read_steps(draft, v);
	if (spec->is_made && spec->n_steps == 0 && spec->end == END_ANY)
		test_key_mistake(draft->test, "a guest with 'root' waits for what it is told: give "
				 "it 'steps'");
}
