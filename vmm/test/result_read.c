#include "vmm/test/result_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"

bool result_dir_is_inside(const char *dir)
{
	size_t len;

	if (strlen(dir) > 1024)
		return false;
	do {
		len = strcspn(dir, "/");
		if (len == 0 || len > 255 || (len == 1 && *dir == '.') ||
		    (len == 2 && dir[0] == '.' && dir[1] == '.'))
			return false;
		dir += len;
	} while (*dir++ == '/');
	return true;
}

#if HAVE_JANSSON

#include <jansson.h>

#include "vmm/json_depth.h"
#include "vmm/test/result_json.h"
#include "vmm/test/result_json_impl.h"

enum { MAX_DEPTH = 12 };

static int wrong(const char *key, const char *what)
{
	return error_set(EINVAL, "\"%s\" is no %s", key, what);
}

static int get_texts(const json_t *object, const struct result_text *field, unsigned n, void *to)
{
	for (unsigned i = 0; i < n; i++) {
		const json_t *value = json_object_get(object, field[i].key);
		char **text = (char **)((char *)to + field[i].offset);
		if (!value || json_is_null(value))
			continue;
		if (!json_is_string(value))
			return wrong(field[i].key, "text");
		if (result_set_bytes(text, json_string_value(value), json_string_length(value)) < 0)
			return error_set(ENOMEM, "read a text");
	}
	return 0;
}

/* A number from 0 to 'most'; 'out' is left alone where there is none. */
static int get_number(const json_t *object, const char *key, int64_t most, int64_t *out)
{
	const json_t *value = json_object_get(object, key);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    json_integer_value(value) > most)
		return wrong(key, "number that it can be");
	*out = json_integer_value(value);
	return 0;
}

static int get_unsigned(const json_t *object, const char *key, unsigned *out)
{
	int64_t number = *out;
	int r = get_number(object, key, INT32_MAX, &number);

	*out = (unsigned)number;
	return r;
}

/* 2^53 - 1 microseconds as nanoseconds are below 2^63. */
static int get_time(const json_t *object, const char *key, int64_t *out_ns)
{
	int64_t us = 0;
	int r = get_number(object, key, (INT64_C(1) << 53) - 1, &us);

	*out_ns = us * 1000;
	return r;
}

static int get_duration(const json_t *object, const char *key, uint64_t *out_ns)
{
	int64_t ns;
	int r = get_time(object, key, &ns);

	*out_ns = (uint64_t)ns;
	return r;
}

static int get_verdict(const json_t *object, enum verdict *out)
{
	const char *name = json_string_value(json_object_get(object, "verdict"));

	return name && verdict_from_name(out, name) == 0 ? 0 : wrong("verdict", "verdict");
}

static int get_shard(const json_t *o, unsigned *shard, unsigned *n_shards)
{
	int r = get_unsigned(o, "shard", shard);

	if (r == 0)
		r = get_unsigned(o, "shards", n_shards);
	if (r == 0 && (*n_shards > RESULT_MAX_TESTS || *shard > *n_shards ||
		       (*n_shards > 0) != (*shard > 0)))
		r = wrong("shard", "shard of that many");
	return r;
}

static int get_axes(const json_t *object, struct test_result *result)
{
	json_t *axes = json_object_get(object, "axes"), *value;
	const char *name;
	int r = 0;

	if (axes && !json_is_object(axes))
		return wrong("axes", "object");
	json_object_foreach(axes, name, value) {
		if (!json_is_string(value))
			return wrong(name, "text");
		r = test_result_add_axis(result, name, json_string_value(value));
		if (r < 0)
			return error_set(r, "read \"axes\"");
	}
	return 0;
}

static int get_console(const json_t *object, struct test_step *step)
{
	const json_t *range = json_object_get(object, "console");
	const json_t *from = json_array_get(range, 0), *to = json_array_get(range, 1);

	if (!range)
		return 0;
	if (json_array_size(range) != 2 || !json_is_integer(from) || !json_is_integer(to) ||
	    json_integer_value(from) < 0 || json_integer_value(to) < json_integer_value(from))
		return wrong("console", "range");
	step->console_from = json_integer_value(from);
	step->console_to = json_integer_value(to);
	return 0;
}

static int read_step(struct test_result *result, const json_t *object)
{
	struct test_step *step;
	int r;

	if (!json_is_object(object))
		return wrong("steps", "list of objects");
	r = test_result_add_step(result, "", 0, &step);
	if (r < 0)
		return error_set(r, "read \"steps\"");
	r = get_texts(object, result_step_texts, RESULT_STEP_TEXTS, step);
	if (r == 0)
		r = get_unsigned(object, "line", &step->line);
	if (r == 0)
		r = get_verdict(object, &step->verdict);
	if (r == 0)
		r = get_duration(object, "start_us", &step->start_ns);
	if (r == 0)
		r = get_duration(object, "duration_us", &step->duration_ns);
	return r == 0 ? get_console(object, step) : r;
}

static int get_steps(const json_t *object, struct test_result *result)
{
	const json_t *steps = json_object_get(object, "steps");
	int r = steps && !json_is_array(steps) ? wrong("steps", "list") : 0;

	for (size_t i = 0; i < json_array_size(steps) && r == 0; i++) {
		r = read_step(result, json_array_get(steps, i));
		if (r < 0)
			error_add(r, "read step %zu", i);
	}
	return r;
}

static int fill_result(struct test_result *result, const json_t *o)
{
	int64_t status = -1;
	int r = get_texts(o, result_texts, RESULT_TEXTS, result);

	if (r == 0 && (!result->name || !*result->name))
		r = wrong("name", "name");
	if (r == 0 && result->dir && !result_dir_is_inside(result->dir))
		r = wrong("dir", "directory below that of the results");
	if (r == 0)
		r = get_unsigned(o, "line", &result->line);
	if (r == 0)
		r = get_axes(o, result);
	if (r == 0)
		r = get_verdict(o, &result->verdict);
	if (r == 0)
		r = get_number(o, "exit_status", 255, &status);
	result->exit_status = (int)status;
	if (r == 0)
		r = get_unsigned(o, "attempt", &result->attempt);
	if (r == 0 && result->attempt == 0)
		r = wrong("attempt", "number from 1");
	if (r == 0)
		r = get_time(o, "started_us", &result->started_ns);
	if (r == 0)
		r = get_duration(o, "duration_us", &result->duration_ns);
	result->retried = json_is_true(json_object_get(o, "retried")) &&
			  verdict_is_bad(result->verdict);
	if (r == 0)
		r = get_shard(o, &result->shard, &result->n_shards);
	return r == 0 ? get_steps(o, result) : r;
}

static int read_result(struct test_results *results, const json_t *o)
{
	struct test_result *result;
	int r;

	if (!json_is_object(o))
		return error_set(EINVAL, "a test is no object");
	if (test_result_create(&result) < 0)
		return error_set(ENOMEM, "read a test");
	r = fill_result(result, o);
	if (r < 0) {
		if (result->name)
			error_add(r, "read test '%.80s'", result->name);
		test_result_destroy(result);
		return r;
	}
	r = test_results_add(results, result);
	return r < 0 ? error_set(r, "keep more than %u tests", results->n_tests) : 0;
}

static int read_head(struct test_results *out, const json_t *root)
{
	int64_t version = 0;
	int r;

	if (!json_is_object(root))
		return error_set(EINVAL, "it is no object");
	r = get_number(root, "version", INT32_MAX, &version);
	if (r == 0 && version != RESULTS_VERSION) {
		error_set(EINVAL, "it has version %lld, and this Vireo reads version %d",
			  (long long)version, RESULTS_VERSION);
		return -EINVAL;
	}
	if (r == 0)
		r = get_texts(root, result_head_texts, RESULT_HEAD_TEXTS, out);
	if (r == 0)
		r = get_time(root, "started_us", &out->started_ns);
	if (r == 0)
		r = get_duration(root, "duration_us", &out->duration_ns);
	out->complete = json_is_true(json_object_get(root, "complete"));
	return r == 0 ? get_shard(root, &out->shard, &out->n_shards) : r;
}

static int read_note(struct test_results *out, const json_t *note)
{
	if (!json_is_string(note))
		return wrong("notes", "list of texts");
	if (out->n_notes == RESULT_MAX_TESTS)
		return error_set(E2BIG, "keep more notes");
	return test_results_add_note(out, "%s", json_string_value(note)) < 0 ?
	       error_set(ENOMEM, "read a note") : 0;
}

static int read_lists(struct test_results *out, const json_t *root)
{
	const json_t *tests = json_object_get(root, "tests");
	const json_t *notes = json_object_get(root, "notes");
	int r = 0;

	if (!json_is_array(tests))
		return wrong("tests", "list");
	for (size_t i = 0; i < json_array_size(notes) && r == 0; i++)
		r = read_note(out, json_array_get(notes, i));
	for (size_t i = 0; i < json_array_size(tests) && r == 0; i++)
		r = read_result(out, json_array_get(tests, i));
	return r;
}

/* The last of every reading. */
static int finish_reading(struct test_results *out, int r)
{
	if (r == 0 && test_results_mark_flaky(out) < 0)
		r = error_set(ENOMEM, "look for flaky tests");
	if (r < 0)
		test_results_fini(out);
	return r;
}

int results_read_json(struct test_results *out, const char *text, size_t len)
{
	json_error_t error;
	json_t *root;
	int r;

	*out = (struct test_results){ 0 };
	if (len > RESULTS_MAX_BYTES)
		return error_set(E2BIG, "it is larger than %d MiB", RESULTS_MAX_BYTES >> 20);
	if (json_is_deeper(text, len, MAX_DEPTH))
		return error_set(EINVAL, "it has more than %d levels", MAX_DEPTH);
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		return error_set(EINVAL, "it is no JSON: line %d, column %d: %s", error.line,
				 error.column, error.text);
	r = read_head(out, root);
	if (r == 0)
		r = read_lists(out, root);
	json_decref(root);
	return finish_reading(out, r);
}

static int read_line(struct test_results *out, const json_t *root, bool *has_head)
{
	const json_t *head = json_object_get(root, "run"), *note = json_object_get(root, "note");
	const json_t *test = json_object_get(root, "test");

	if (head || !*has_head) {
		if (!head || *has_head)
			return error_set(EINVAL, "it does not begin with the run");
		*has_head = true;
		return read_head(out, head);
	}
	if (note)
		return read_note(out, note);
	if (!test)
		test = json_object_get(root, "planned");
	return test ? read_result(out, test) : 0;
}

/* Attempts of a test, results before what was only planned. */
static int by_attempt(const void *a, const void *b)
{
	const struct test_result *x = **(struct test_result **const *)a;
	const struct test_result *y = **(struct test_result **const *)b;
	int order = test_result_compare(x, y);

	if (order)
		return order;
	if (x->attempt != y->attempt)
		return x->attempt < y->attempt ? -1 : 1;
	return (x->verdict == VERDICT_NOT_RUN) - (y->verdict == VERDICT_NOT_RUN);
}

/* Results take the places of what was planned. */
static int drop_planned(struct test_results *out)
{
	struct test_result ***place = malloc((out->n_tests + 1) * sizeof(*place)), **result = NULL;
	unsigned kept = 0;

	if (!place)
		return error_set(ENOMEM, "read a journal");
	for (unsigned i = 0; i < out->n_tests; i++)
		place[i] = &out->test[i];
	qsort(place, out->n_tests, sizeof(*place), by_attempt);
	for (unsigned i = 0; i < out->n_tests; i++) {
		struct test_result *test = *place[i];
		if (!result || test->attempt != (*result)->attempt ||
		    !test_result_is_same_test(test, *result)) {
			result = place[i];
		} else if (test->verdict == VERDICT_NOT_RUN) {
			test_result_destroy(test);
			*place[i] = *result;
			*result = NULL;
			result = place[i];
		}
	}
	free(place);
	for (unsigned i = 0; i < out->n_tests; i++)
		if (out->test[i])
			out->test[kept++] = out->test[i];
	out->n_tests = kept;
	return 0;
}

int results_read_journal(struct test_results *out, const char *text, size_t len)
{
	const char *end = text + len, *next;
	bool has_head = false;
	json_error_t error;
	int r = 0;

	*out = (struct test_results){ 0 };
	if (len > RESULTS_MAX_BYTES)
		return error_set(E2BIG, "it is larger than %d MiB", RESULTS_MAX_BYTES >> 20);
	for (unsigned n = 1; r == 0 && (next = memchr(text, '\n', (size_t)(end - text)));
	     n++, text = next + 1) {
		size_t line_len = (size_t)(next - text);
		json_t *root = json_is_deeper(text, line_len, MAX_DEPTH) ? NULL :
			       json_loadb(text, line_len, JSON_REJECT_DUPLICATES, &error);
		r = root ? read_line(out, root, &has_head) : error_set(EINVAL, "it is no JSON");
		if (r < 0)
			error_add(r, "read line %u", n);
		json_decref(root);
	}
	if (r == 0 && !has_head)
		r = error_set(EINVAL, "it is empty");
	out->complete = false;
	if (r == 0)
		r = drop_planned(out);
	return finish_reading(out, r);
}

#else

int results_read_json(struct test_results *out, const char *text, size_t len)
{
	(void)text;
	(void)len;
	*out = (struct test_results){ 0 };
	error_set(EOPNOTSUPP, "read results: this Vireo was built without libjansson");
	error_hint("install libjansson-dev and build again");
	return -EOPNOTSUPP;
}

int results_read_journal(struct test_results *out, const char *text, size_t len)
{
	return results_read_json(out, text, len);
}

#endif
