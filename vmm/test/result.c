#include "vmm/test/result.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *words;
} verdicts[N_VERDICTS] = {
	[VERDICT_PASSED] = { "passed", "passed" },
	[VERDICT_FAILED] = { "failed", "failed" },
	[VERDICT_TIMED_OUT] = { "timed_out", "timed out" },
	[VERDICT_BROKEN] = { "broken", "broken" },
	[VERDICT_SKIPPED] = { "skipped", "skipped" },
	[VERDICT_NOT_RUN] = { "not_run", "not run" },
};

const char *verdict_name(enum verdict verdict)
{
	return verdicts[verdict].name;
}

const char *verdict_words(enum verdict verdict)
{
	return verdicts[verdict].words;
}

int verdict_from_name(enum verdict *out, const char *name)
{
	for (unsigned i = 0; i < N_VERDICTS; i++)
		if (!strcmp(verdicts[i].name, name)) {
			*out = (enum verdict)i;
			return 0;
		}
	return -EINVAL;
}

bool verdict_is_bad(enum verdict verdict)
{
	return verdict == VERDICT_FAILED || verdict == VERDICT_TIMED_OUT ||
	       verdict == VERDICT_BROKEN;
}

int test_result_create(struct test_result **out)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->verdict = VERDICT_NOT_RUN;
	(*out)->exit_status = -1;
	(*out)->attempt = 1;
	return 0;
}

void test_result_destroy(struct test_result *result)
{
	if (!result)
		return;
	for (unsigned i = 0; i < result->n_axes; i++) {
		free(result->axis[i].name);
		free(result->axis[i].value);
	}
	for (unsigned i = 0; i < result->n_steps; i++) {
		free(result->step[i].text);
		free(result->step[i].why);
	}
	free(result->axis);
	free(result->step);
	free(result->file);
	free(result->name);
	free(result->why);
	free(result->dir);
	free(result->command);
	free(result->host);
	free(result);
}

int result_set_bytes(char **field, const char *bytes, size_t len)
{
	char *text;

	len = len < RESULT_MAX_TEXT ? len : RESULT_MAX_TEXT;
	text = malloc(len + 1);
	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++)
		text[i] = bytes[i] ? bytes[i] : '?';
	text[len] = 0;
	free(*field);
	*field = text;
	return 0;
}

static PRINTF_LIKE(2, 0) int set_formatted(char **field, const char *fmt, va_list args)
{
	char *text = NULL;
	int len = vasprintf(&text, fmt, args);

	if (len < 0)
		return -ENOMEM;
	if (len > RESULT_MAX_TEXT)
		text[RESULT_MAX_TEXT] = 0;
	free(*field);
	*field = text;
	return 0;
}

int result_set_text(char **field, const char *fmt, ...)
{
	va_list args;
	int r;

	va_start(args, fmt);
	r = set_formatted(field, fmt, args);
	va_end(args);
	return r;
}

int test_result_add_axis(struct test_result *result, const char *name, const char *value)
{
	struct test_axis *axis, new = { 0 };

	if (result->n_axes == RESULT_MAX_AXES)
		return -E2BIG;
	axis = realloc(result->axis, (result->n_axes + 1) * sizeof(*axis));
	if (!axis)
		return -ENOMEM;
	result->axis = axis;
	if (result_set_text(&new.name, "%s", name) < 0 ||
	    result_set_text(&new.value, "%s", value) < 0) {
		free(new.name);
		return -ENOMEM;
	}
	axis[result->n_axes++] = new;
	return 0;
}

/* Room for one more in an array of 'n' of 'room' things; it doubles. */
static int reserve(void **array, unsigned n, unsigned *room, size_t size)
{
	unsigned more = *room ? *room * 2 : 8;
	void *new;

	if (n < *room)
		return 0;
	new = realloc(*array, more * size);
	if (!new)
		return -ENOMEM;
	*array = new;
	*room = more;
	return 0;
}

int test_result_add_step(struct test_result *result, const char *text, unsigned line,
			 struct test_step **out)
{
	struct test_step new = {
		.line = line,
		.verdict = VERDICT_NOT_RUN,
		.console_from = CONSOLE_NOWHERE,
		.console_to = CONSOLE_NOWHERE,
	};
	void *array = result->step;

	if (result->n_steps == RESULT_MAX_STEPS)
		return -E2BIG;
	if (reserve(&array, result->n_steps, &result->steps_room, sizeof(new)) < 0)
		return -ENOMEM;
	result->step = array;
	if (result_set_text(&new.text, "%s", text) < 0)
		return -ENOMEM;
	result->step[result->n_steps] = new;
	if (out)
		*out = &result->step[result->n_steps];
	result->n_steps++;
	return 0;
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

char *test_result_title(const struct test_result *result)
{
	char *title = NULL;
	size_t len;
	FILE *out = open_memstream(&title, &len);

	if (!out)
		return NULL;
	fputs(or_empty(result->name), out);
	for (unsigned i = 0; i < result->n_axes; i++)
		fprintf(out, "%s%s=%s", i ? " " : " [", result->axis[i].name,
			result->axis[i].value);
	if (result->n_axes)
		fputc(']', out);
	if (fclose(out) != 0) {
		free(title);
		return NULL;
	}
	return title;
}

int test_result_compare(const struct test_result *a, const struct test_result *b)
{
	int order = strcmp(or_empty(a->file), or_empty(b->file));

	if (!order)
		order = strcmp(or_empty(a->name), or_empty(b->name));
	if (!order && a->n_axes != b->n_axes)
		order = a->n_axes < b->n_axes ? -1 : 1;
	for (unsigned i = 0; i < a->n_axes && !order; i++) {
		order = strcmp(a->axis[i].name, b->axis[i].name);
		if (!order)
			order = strcmp(a->axis[i].value, b->axis[i].value);
	}
	return order;
}

bool test_result_is_same_test(const struct test_result *a, const struct test_result *b)
{
	return test_result_compare(a, b) == 0;
}

void test_results_fini(struct test_results *results)
{
	for (unsigned i = 0; i < results->n_tests; i++)
		test_result_destroy(results->test[i]);
	for (unsigned i = 0; i < results->n_notes; i++)
		free(results->note[i]);
	free(results->test);
	free(results->note);
	free(results->command);
	free(results->host);
	*results = (struct test_results){ 0 };
}

int test_results_add(struct test_results *results, struct test_result *test)
{
	void *array = results->test;
	int r = results->n_tests == RESULT_MAX_TESTS ? -E2BIG :
		reserve(&array, results->n_tests, &results->tests_room, sizeof(test));

	if (r < 0) {
		test_result_destroy(test);
		return r;
	}
	results->test = array;
	results->test[results->n_tests++] = test;
	return 0;
}

int test_results_add_note(struct test_results *results, const char *fmt, ...)
{
	char **notes = realloc(results->note, (results->n_notes + 1) * sizeof(*notes));
	va_list args;
	int r;

	if (!notes)
		return -ENOMEM;
	results->note = notes;
	notes[results->n_notes] = NULL;
	va_start(args, fmt);
	r = set_formatted(&notes[results->n_notes], fmt, args);
	va_end(args);
	if (r == 0)
		results->n_notes++;
	return r;
}

static int by_test(const void *a, const void *b)
{
	struct test_result *const *x = a, *const *y = b;

	return test_result_compare(*x, *y);
}

/* The tests, attempts of the same one in a row; returned owned, NULL without memory or tests. */
static struct test_result **sorted(const struct test_results *results)
{
	struct test_result **list;

	if (!results->n_tests)
		return NULL;
	list = malloc(results->n_tests * sizeof(struct test_result *));
	if (!list)
		return NULL;
	memcpy(list, results->test, results->n_tests * sizeof(struct test_result *));
	qsort(list, results->n_tests, sizeof(struct test_result *), by_test);
	return list;
}

bool test_result_is_bad(const struct test_result *result)
{
	return verdict_is_bad(result->verdict) && !result->retried;
}

int test_results_mark_flaky(struct test_results *results)
{
	struct test_result **list = sorted(results);

	if (!list)
		return results->n_tests ? -ENOMEM : 0;
	for (unsigned i = 0, next; i < results->n_tests; i = next) {
		bool passed = false, bad = false, counts = false;
		for (next = i; next < results->n_tests && !test_result_compare(list[i], list[next]);
		     next++) {
			passed |= list[next]->verdict == VERDICT_PASSED;
			bad |= verdict_is_bad(list[next]->verdict);
			counts |= !list[next]->retried;
		}
		for (unsigned k = i; k < next; k++) {
			list[k]->flaky = passed && bad;
			list[k]->retried &= counts;
		}
	}
	free(list);
	return 0;
}

int test_results_count(const struct test_results *results, struct result_counts *out)
{
	struct test_result **list = sorted(results);

	*out = (struct result_counts){ .attempts = results->n_tests };
	if (!list)
		return results->n_tests ? -ENOMEM : 0;
	for (unsigned i = 0; i < results->n_tests; i++) {
		bool is_new = i == 0 || test_result_compare(list[i - 1], list[i]) != 0;
		if (list[i]->retried)
			out->attempts--;
		else
			out->verdict[list[i]->verdict]++;
		out->tests += is_new;
		out->flaky += is_new && list[i]->flaky;
	}
	free(list);
	return 0;
}

int test_results_status(const struct test_results *results)
{
	bool has[N_VERDICTS] = { false };

	for (unsigned i = 0; i < results->n_tests; i++)
		has[results->test[i]->verdict] |= !results->test[i]->retried;
	if (has[VERDICT_BROKEN])
		return 125;
	if (has[VERDICT_FAILED])
		return 123;
	if (has[VERDICT_TIMED_OUT])
		return 124;
	return has[VERDICT_NOT_RUN] ? 125 : 0;
}
