#include "vmm/test/test_choice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/command_line.h"
#include "vmm/test/test_filter.h"

/* --- What the command line says of every test ------------------------------------------------ */

/* "--set=..." for each, as the command line of a VM has them.  Owned; NULL without memory. */
static char **set_words(const struct word_list *set)
{
	char **words = calloc(set->n + 1, sizeof(*words));

	for (unsigned i = 0; words && i < set->n; i++) {
		if (asprintf(&words[i], "--set=%s", set->word[i]) >= 0)
			continue;
		words[i] = NULL;
		while (i-- > 0)
			free(words[i]);
		free(words);
		return NULL;
	}
	return words;
}

static void free_words(char **words)
{
	for (char **w = words; w && *w; w++)
		free(*w);
	free(words);
}

/* Every test has its own VM, so that each has to be changed; a mistake is said once. */
static int apply_set(struct test_choice *choice, const struct word_list *set,
		     struct mistakes *mistakes)
{
	char **words = set_words(set);
	unsigned before = mistakes->n;

	if (!words)
		return error_set(ENOMEM, "read --set");
	for (unsigned i = 0; i < choice->n && mistakes->n == before; i++) {
		struct vm_config *vm = &choice->test[i]->vm;
		struct run_switches switches = { .command = COMMAND_LINE_RUN };

		command_line_read((int)set->n, words, vm, &switches, mistakes);
		if (mistakes->n == before)
			config_validate(vm, mistakes);
	}
	free_words(words);
	return 0;
}

static void apply_timeout(struct test_plan *plan, uint64_t timeout_ms)
{
	for (unsigned i = 0; i < plan->n_specs && timeout_ms; i++)
		plan->spec[i]->timeout_ms = timeout_ms;
}

/* --- Which ----------------------------------------------------------------------------------- */

static void drop(struct test_choice *choice, unsigned i)
{
	free(choice->key[i]);
	choice->key[i] = NULL;
	choice->test[i] = NULL;
}

/* Close the gaps that drop() left. */
static void close_gaps(struct test_choice *choice)
{
	unsigned n = 0;

	for (unsigned i = 0; i < choice->n; i++) {
		if (!choice->key[i])
			continue;
		choice->key[n] = choice->key[i];
		choice->test[n++] = choice->test[i];
	}
	choice->n = n;
}

static int take_all(struct test_choice *choice)
{
	unsigned n = choice->plan.n;

	choice->test = calloc(n + 1, sizeof(*choice->test));
	choice->key = calloc(n + 1, sizeof(*choice->key));
	if (!choice->test || !choice->key)
		return error_set(ENOMEM, "choose tests");
	for (unsigned i = 0; i < n; i++) {
		struct test_case *test = choice->plan.item[i];

		if (asprintf(&choice->key[i], "%s: %s", test->spec->file, test->title) < 0) {
			choice->key[i] = NULL;
			return error_set(ENOMEM, "choose tests");
		}
		choice->test[i] = test;
		choice->n = i + 1;
	}
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const char *const *x = *(const char *const *const *)a;
	const char *const *y = *(const char *const *const *)b;
	int r = strcmp(*x, *y);

	return r ? r : x < y ? -1 : x > y;
}

/* Of the same test that two words name the first one stays. */
static int drop_doubles(struct test_choice *choice)
{
	char ***order = calloc(choice->n + 1, sizeof(*order));
	unsigned kept = 0;

	if (!order)
		return error_set(ENOMEM, "choose tests");
	for (unsigned i = 0; i < choice->n; i++)
		order[i] = &choice->key[i];
	qsort(order, choice->n, sizeof(*order), by_key);
	for (unsigned i = 1; i < choice->n; i++) {
		if (strcmp(*order[i], *order[kept]))
			kept = i;
		else
			drop(choice, (unsigned)(order[i] - choice->key));
	}
	free(order);
	close_gaps(choice);
	return 0;
}

int test_choice_read(struct test_choice *out, const struct test_arguments *args,
		     struct mistakes *mistakes)
{
	struct test_filter *filter;
	int r;

	*out = (struct test_choice){ 0 };
	for (unsigned i = 0; i < args->path.n; i++)
		test_plan_read(&out->plan, args->path.word[i], mistakes);
	r = test_filter_create(&filter, &args->filter, mistakes);
	if (r == 0)
		r = take_all(out);
	if (r == 0)
		r = drop_doubles(out);
	if (r == 0 && mistakes->n == 0) {
		for (unsigned i = 0; i < out->n; i++)
			if (!test_filter_takes(filter, out->test[i], out->key[i]))
				drop(out, i);
		close_gaps(out);
		apply_timeout(&out->plan, args->timeout_ms);
		if (args->set.n > 0)
			r = apply_set(out, &args->set, mistakes);
	}
	test_filter_destroy(filter);
	return r;
}

void test_choice_fini(struct test_choice *choice)
{
	for (unsigned i = 0; i < choice->n; i++)
		free(choice->key[i]);
	free(choice->key);
	free(choice->test);
	test_plan_fini(&choice->plan);
	*choice = (struct test_choice){ 0 };
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int test_choice_keep_failed(struct test_choice *choice, const struct test_results *last)
{
	char **failed = calloc(last->n_tests + 1, sizeof(*failed));
	unsigned n = 0;
	int r = failed ? 0 : -ENOMEM;

	for (unsigned i = 0; r == 0 && i < last->n_tests; i++) {
		const struct test_result *result = last->test[i];
		char *title;

		if (result->verdict == VERDICT_PASSED || result->verdict == VERDICT_SKIPPED ||
		    result->retried)
			continue;
		title = test_result_title(result);
		if (!title || asprintf(&failed[n], "%s: %s", result->file ? result->file : "",
				       title) < 0) {
			failed[n] = NULL;
			r = -ENOMEM;
		} else {
			n++;
		}
		free(title);
	}
	if (r == 0) {
		qsort(failed, n, sizeof(*failed), by_text);
		for (unsigned i = 0; i < choice->n; i++)
			if (!bsearch(&choice->key[i], failed, n, sizeof(*failed), by_text))
				drop(choice, i);
		close_gaps(choice);
	}
	while (n > 0)
		free(failed[--n]);
	free(failed);
	return r < 0 ? error_set(r, "choose the tests that failed") : 0;
}

int test_choice_keep_shard(struct test_choice *choice, const struct shard *shard,
			   const struct durations *durations)
{
	struct shard_item *items;
	int r;

	if (shard->of == 0)
		return 0;
	items = calloc(choice->n + 1, sizeof(*items));
	if (!items)
		return error_set(ENOMEM, "divide the tests");
	for (unsigned i = 0; i < choice->n; i++) {
		items[i].key = choice->key[i];
		items[i].expected_ns = durations ? durations_get(durations, choice->key[i]) : 0;
	}
	r = shard_divide(items, choice->n, shard->of);
	for (unsigned i = 0; r == 0 && i < choice->n; i++)
		if (items[i].shard != shard->index)
			drop(choice, i);
	close_gaps(choice);
	free(items);
	return r;
}
