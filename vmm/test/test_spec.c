#include "vmm/test/test_spec.h"

#include <stdlib.h>

#include "vmm/test/pattern.h"

static void free_list(struct text_list *list)
{
	for (unsigned i = 0; i < list->n; i++)
		free(list->item[i]);
	free(list->item);
}

static void free_patterns(struct pattern **pattern, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		pattern_destroy(pattern[i]);
	free(pattern);
}

static void free_step(struct step_spec *step)
{
	free(step->shown);
	free(step->text);
	free_list(&step->argv);
	free_list(&step->env);
	free(step->cwd);
	free(step->input);
	free(step->from);
	free(step->to);
	free_patterns(step->pattern, step->n_patterns);
	pattern_destroy(step->without);
	pattern_destroy(step->out);
	pattern_destroy(step->err);
}

void test_spec_destroy(struct test_spec *spec)
{
	if (!spec)
		return;
	free(spec->file);
	free(spec->name);
	free(spec->folder);
	free(spec->root);
	free(spec->modules);
	free_list(&spec->copy);
	free_patterns(spec->fail_pattern, spec->n_fail_patterns);
	free_list(&spec->tags);
	free_list(&spec->needs);
	free_list(&spec->env);
	for (unsigned i = 0; i < spec->n_steps; i++)
		free_step(&spec->step[i]);
	free(spec->step);
	free(spec);
}

bool test_step_uses_agent(enum step_kind kind)
{
	return kind == STEP_RUN || kind == STEP_COPY_IN || kind == STEP_COPY_OUT ||
	       kind == STEP_WAIT;
}

bool test_spec_uses_agent(const struct test_spec *spec)
{
	if (spec->is_made)
		return true;
	for (unsigned i = 0; i < spec->n_steps; i++)
		if (test_step_uses_agent(spec->step[i].kind))
			return true;
	return false;
}
