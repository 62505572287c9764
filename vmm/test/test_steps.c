/*
 * Steps: a single word ("poweroff"), or a map of one step and what belongs to it
 * ("run: make check", "timeout: 5m").
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/outcome.h"
#include "vmm/test/pattern.h"
#include "vmm/test/test_reader.h"

/* Reads the value of the step's own key. */
typedef void step_fn(struct step_spec *step, struct test_value v);

static void read_expect(struct step_spec *step, struct test_value v);
static void read_send(struct step_spec *step, struct test_value v);
static void read_run(struct step_spec *step, struct test_value v);
static void read_from(struct step_spec *step, struct test_value v);
static void read_wait(struct step_spec *step, struct test_value v);
static void read_sleep(struct step_spec *step, struct test_value v);

static const struct step_key {
	const char *name;
	enum step_kind kind;
	step_fn *read;		/* NULL: it has no value */
	bool is_word;		/* may stand alone */
	const char *options[8];
} step_keys[] = {
	{ "expect", STEP_EXPECT, read_expect, false, { "not", "timeout" } },
	{ "send", STEP_SEND, read_send, false, { "timeout" } },
	{ "run", STEP_RUN, read_run, false,
	  { "stdout", "stderr", "status", "stdin", "env", "cwd", "timeout" } },
	{ "copy_in", STEP_COPY_IN, read_from, false, { "to", "timeout" } },
	{ "copy_out", STEP_COPY_OUT, read_from, false, { "to", "timeout" } },
	{ "wait", STEP_WAIT, read_wait, true, { "timeout" } },
	{ "sleep", STEP_SLEEP, read_sleep, false, { NULL } },
	{ "poweroff", STEP_POWEROFF, NULL, true, { "timeout" } },
	{ "power_button", STEP_POWER_BUTTON, NULL, true, { NULL } },
	{ "pause", STEP_PAUSE, NULL, true, { NULL } },
	{ "resume", STEP_RESUME, NULL, true, { NULL } },
	{ "reset", STEP_RESET, NULL, true, { NULL } },
	{ "nmi", STEP_NMI, NULL, true, { NULL } },
};

/* --- What a step does ------------------------------------------------------------------------ */

static void add_pattern(struct step_spec *step, struct test_value v)
{
	struct pattern *pattern;

	/* There is room for as many as the list has. */
	if (test_read_pattern(v, true, &pattern))
		step->pattern[step->n_patterns++] = pattern;
}

static void read_expect(struct step_spec *step, struct test_value v)
{
	bool is_list = v.node->kind == YAML_LIST;

	if (is_list && v.node->n_items == 0) {
		test_mistake(v, "the list is empty");
		return;
	}
	step->pattern = calloc(is_list ? v.node->n_items : 1, sizeof(struct pattern *));
	if (!step->pattern)
		test_mistake(v, "no memory");
	else if (!is_list)
		add_pattern(step, v);
	else
		for (const struct yaml_node *i = v.node->first; i; i = i->next)
			add_pattern(step, (struct test_value){ v.file, i });
}

static void read_send(struct step_spec *step, struct test_value v)
{
	step->text = test_text(v, false);
	if (step->text && !*step->text)
		test_mistake(v, "there is nothing to send");
}

static void read_run(struct step_spec *step, struct test_value v)
{
	if (v.node->kind != YAML_LIST) {
		step->text = test_text(v, false);
		if (step->text && !*step->text)
			test_mistake(v, "there is nothing to run");
		return;
	}
	for (const struct yaml_node *i = v.node->first; i; i = i->next)
		test_list_add(v, &step->argv, test_text((struct test_value){ v.file, i }, false));
	if (v.node->n_items == 0 || (step->argv.n > 0 && !*step->argv.item[0]))
		test_mistake(v, "there is nothing to run");
}

static void read_from(struct step_spec *step, struct test_value v)
{
	char *path = test_text(v, true);

	if (path && !*path)
		test_mistake(v, "the name of a file belongs here");
	if (path && step->kind == STEP_COPY_OUT && *path != '/')
		test_mistake(v, "'%.80s': in the guest, names of files begin with '/'", path);
	step->from = path && step->kind == STEP_COPY_IN ? vm_file_resolve(v.file, path) : path;
	if (step->from != path)
		free(path);
}

static void read_wait(struct step_spec *step, struct test_value v)
{
	char *text = v.node->is_empty ? NULL : test_text(v, true);

	if (text && !strcmp(text, "end"))
		step->kind = STEP_END;
	else if (text && strcmp(text, "ready"))
		test_mistake(v, "'%.60s' is none of ready (the agent is there), end (the guest "
			     "ends)", text);
	free(text);
}

static void read_sleep(struct step_spec *step, struct test_value v)
{
	test_read_duration(v, &step->sleep_ms);
}

/* --- And its options ------------------------------------------------------------------------- */

/* A name of a file below the result's folder, and nowhere else. */
static bool is_inside(const char *name)
{
	if (!*name || *name == '/')
		return false;
	for (const char *p = name; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
		size_t len = strcspn(p, "/");
		if (len == 0 || (len == 1 && *p == '.') || (len == 2 && !strncmp(p, "..", 2)))
			return false;
	}
	return true;
}

static void read_to(struct step_spec *step, struct test_value v)
{
	step->to = test_text(v, true);
	if (!step->to)
		return;
	if (step->kind == STEP_COPY_IN && *step->to != '/')
		test_mistake(v, "'%.80s': in the guest, names of files begin with '/'", step->to);
	if (step->kind == STEP_COPY_OUT && !is_inside(step->to))
		test_mistake(v, "'%.80s' is not the name of a file below the result's folder",
			     step->to);
}

static void read_option(struct step_spec *step, const struct test_draft *draft,
			struct test_value v)
{
	const char *key = v.node->key;
	uint64_t ms;

	(void)draft;
	if (!strcmp(key, "timeout")) {
		if (test_read_duration(v, &ms) && ms == 0)
			test_mistake(v, "a time above 0 belongs here");
		else
			step->timeout_ms = ms;
	} else if (!strcmp(key, "not")) {
		test_read_pattern(v, true, &step->without);
	} else if (!strcmp(key, "stdout")) {
		test_read_pattern(v, false, &step->out);
	} else if (!strcmp(key, "stderr")) {
		test_read_pattern(v, false, &step->err);
	} else if (!strcmp(key, "status")) {
		test_read_number(v, 0, 255, &step->status);
	} else if (!strcmp(key, "stdin")) {
		step->input = test_text(v, false);
	} else if (!strcmp(key, "env")) {
		test_read_pairs(v, &step->env);
	} else if (!strcmp(key, "cwd")) {
		step->cwd = test_text(v, true);
	} else {
		read_to(step, v);
	}
}

/* Where a copy goes if nobody says so, and what is missing. */
static void complete_copy(struct step_spec *step, struct test_value v)
{
	const char *base;

	if (!step->from || step->to)
		return;
	if (step->kind == STEP_COPY_IN) {
		test_key_mistake(v, "it needs 'to', the name that the file gets in the guest");
		return;
	}
	base = strrchr(step->from, '/');
	step->to = strdup(base ? base + 1 : step->from);
	if (!step->to || !is_inside(step->to))
		test_key_mistake(v, "it needs 'to', the name that the copy gets");
}

/* --- How it is shown ------------------------------------------------------------------------- */

static void put_value(FILE *out, const struct yaml_node *node)
{
	bool is_word = *node->text != '\0';

	for (const char *p = node->text; *p; p++)
		is_word &= *p > 0x20 && *p < 0x7f && !strchr("\"'\\#:,[]{}", *p);
	if (is_word) {
		fputs(node->text, out);
		return;
	}
	fputc('"', out);
	for (const char *p = node->text; *p && p - node->text < 160; p++) {
		if (*p == '\n')
			fputs("\\n", out);
		else if (*p == '\t')
			fputs("\\t", out);
		else if ((unsigned char)*p < 0x20 || *p == 0x7f)
			fprintf(out, "\\x%02x", (unsigned char)*p);
		else
			fprintf(out, *p == '"' ? "\\%c" : "%c", *p);
	}
	fputc('"', out);
}

static char *show(const char *name, const struct yaml_node *value)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fputs(name, out);
	if (value && value->kind == YAML_TEXT && !value->is_empty) {
		fputs(": ", out);
		put_value(out, value);
	} else if (value && value->kind == YAML_LIST) {
		fputs(": [", out);
		for (const struct yaml_node *i = value->first; i; i = i->next) {
			fputs(i == value->first ? "" : ", ", out);
			if (i->kind == YAML_TEXT)
				put_value(out, i);
		}
		fputc(']', out);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* --- One step -------------------------------------------------------------------------------- */

static int find_step(struct test_value v, const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(step_keys); i++)
		if (!strcmp(step_keys[i].name, name))
			return (int)i;
	(void)v;
	return -1;
}

static bool is_option(const struct step_key *key, const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(key->options) && key->options[i]; i++)
		if (!strcmp(key->options[i], name))
			return true;
	return false;
}

/* "expect, send, run ..." */
static void list_steps(char *buf, size_t size)
{
	size_t len = 0;

	*buf = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(step_keys) && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? ", " : "",
					step_keys[i].name);
}

static void read_word(struct step_spec *step, struct test_value v)
{
	int i = find_step(v, v.node->text);
	char steps[240];

	if (i >= 0 && step_keys[i].is_word) {
		step->kind = step_keys[i].kind;
		step->shown = show(step_keys[i].name, NULL);
		return;
	}
	list_steps(steps, sizeof(steps));
	if (i >= 0)
		test_mistake(v, "'%s' needs a value: '%s: ...'", v.node->text, v.node->text);
	else
		test_mistake(v, "'%.60s' is no step; there are %s", v.node->text, steps);
}

static const char *const *names_of(const struct step_key *key, unsigned *n)
{
	*n = 0;
	while (*n < ARRAY_SIZE(key->options) && key->options[*n])
		++*n;
	return key->options;
}

static void read_map(struct step_spec *step, const struct test_draft *draft, struct test_value v)
{
	const struct step_key *key = NULL;
	struct test_value own = { v.file, NULL };
	const char *names[ARRAY_SIZE(step_keys)];
	unsigned n_options;

	for (const struct yaml_node *node = v.node->first; node; node = node->next) {
		struct test_value child = { v.file, node };
		int i = find_step(v, node->key);
		if (i >= 0 && key) {
			test_key_mistake(child, "this step is '%s' already; the next one begins "
					 "with '-'", key->name);
			return;
		}
		if (i < 0)
			continue;
		key = &step_keys[i];
		own = child;
	}
	if (!key) {
		for (unsigned i = 0; i < ARRAY_SIZE(step_keys); i++)
			names[i] = step_keys[i].name;
		if (v.node->first)
			vm_file_unknown(v.file, v.node->first, "step", names,
					ARRAY_SIZE(step_keys), NULL);
		else
			test_mistake(v, "this step is empty");
		return;
	}
	step->kind = key->kind;
	step->shown = show(key->name, own.node);
	if (key->read)
		key->read(step, own);
	else if (!own.node->is_empty)
		test_mistake(own, "it has no value");
	for (const struct yaml_node *node = v.node->first; node; node = node->next) {
		struct test_value child = { v.file, node };
		if (node == own.node)
			continue;
		if (is_option(key, node->key)) {
			read_option(step, draft, child);
			continue;
		}
		const char *const *options = names_of(key, &n_options);
		vm_file_unknown(v.file, node, "key of this step", options, n_options, NULL);
	}
	if (key->kind == STEP_COPY_IN || key->kind == STEP_COPY_OUT)
		complete_copy(step, own);
}

/* When the guest is at its end, only its last words are there to look at. */
static bool needs_guest(enum step_kind kind)
{
	return kind != STEP_EXPECT && kind != STEP_SLEEP && kind != STEP_END;
}

/* What earlier steps have done to the guest. */
struct so_far {
	bool has_ended, is_paused, was_reset;
};

static void check_order(struct so_far *so_far, const struct step_spec *step, struct test_value v)
{
	enum step_kind kind = step->kind;

	if (so_far->has_ended && needs_guest(kind))
		test_mistake(v, "the guest has been ended by an earlier step");
	if (kind == STEP_RESUME && !so_far->is_paused)
		test_mistake(v, "no earlier step has paused the guest");
	if (so_far->was_reset && test_step_uses_agent(kind))
		test_mistake(v, "an earlier step is 'reset', after which the agent is not heard");
	so_far->has_ended |= kind == STEP_POWEROFF || kind == STEP_END;
	so_far->is_paused = kind == STEP_PAUSE || (so_far->is_paused && kind != STEP_RESUME);
	so_far->was_reset |= kind == STEP_RESET;
}

void test_read_steps(struct test_draft *draft, struct test_value steps)
{
	struct test_spec *spec = draft->spec;
	struct so_far so_far = { 0 };

	if (steps.node->kind != YAML_LIST) {
		test_mistake(steps, "a list belongs here, as '[ expect: \"login:\", poweroff ]'");
		return;
	}
	spec->step = calloc(steps.node->n_items ? steps.node->n_items : 1, sizeof(*spec->step));
	if (!spec->step) {
		test_mistake(steps, "no memory");
		return;
	}
	for (const struct yaml_node *node = steps.node->first; node; node = node->next) {
		struct step_spec *step = &spec->step[spec->n_steps++];
		struct test_value v = { steps.file, node };
		step->line = node->line;
		if (node->kind == YAML_MAP)
			read_map(step, draft, v);
		else if (node->kind == YAML_TEXT && !node->is_empty)
			read_word(step, v);
		else
			test_mistake(v, "a step belongs here, as 'expect: \"login:\"'");
		check_order(&so_far, step, v);
	}
}
