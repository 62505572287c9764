#include "vmm/test/result_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/test/result_json_impl.h"

const struct result_text result_texts[RESULT_TEXTS] = {
	{ "file", offsetof(struct test_result, file) },
	{ "name", offsetof(struct test_result, name) },
	{ "why", offsetof(struct test_result, why) },
	{ "dir", offsetof(struct test_result, dir) },
	{ "command", offsetof(struct test_result, command) },
	{ "host", offsetof(struct test_result, host) },
};
const struct result_text result_step_texts[RESULT_STEP_TEXTS] = {
	{ "text", offsetof(struct test_step, text) },
	{ "why", offsetof(struct test_step, why) },
};
const struct result_text result_head_texts[RESULT_HEAD_TEXTS] = {
	{ "command", offsetof(struct test_results, command) },
	{ "host", offsetof(struct test_results, host) },
};

#if HAVE_JANSSON

#include <jansson.h>

#include "vmm/test/plain_text.h"

/* Of bytes that may be no UTF-8. */
static json_t *text_value(const char *text)
{
	size_t len = strlen(text), at = 0, n = 0;
	char *good = malloc(3 * len + 4);
	json_t *value = NULL;
	uint32_t c;

	while (good && at < len) {
		at += char_decode(text + at, len - at, &c);
		n += char_encode(good + n, c);
	}
	if (good)
		value = json_stringn(good, n);
	free(good);
	return value;
}

/* Each returns whether there was memory. */
static bool put(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

static bool put_number(json_t *object, const char *key, int64_t value)
{
	return put(object, key, json_integer(value));
}

static bool put_texts(json_t *object, const struct result_text *field, unsigned n, const void *from)
{
	for (unsigned i = 0; i < n; i++) {
		const char *text = *(char *const *)((const char *)from + field[i].offset);
		if (text && !put(object, field[i].key, text_value(text)))
			return false;
	}
	return true;
}

static bool put_axes(json_t *object, const struct test_result *result)
{
	json_t *axes = json_object();

	for (unsigned i = 0; i < result->n_axes; i++) {
		json_t *key = text_value(result->axis[i].name);
		bool fine = key && put(axes, json_string_value(key),
				       text_value(result->axis[i].value));
		json_decref(key);
		if (!fine) {
			json_decref(axes);
			return false;
		}
	}
	return put(object, "axes", axes);
}

static json_t *step_value(const struct test_step *step)
{
	json_t *o = json_object();
	bool fine = put_texts(o, result_step_texts, RESULT_STEP_TEXTS, step) &&
		    (!step->line || put_number(o, "line", step->line)) &&
		    put(o, "verdict", json_string(verdict_name(step->verdict))) &&
		    put_number(o, "start_us", (int64_t)(step->start_ns / 1000)) &&
		    put_number(o, "duration_us", (int64_t)(step->duration_ns / 1000));

	if (fine && step->console_from >= 0 && step->console_to >= step->console_from)
		fine = put(o, "console", json_pack("[I, I]", (json_int_t)step->console_from,
						   (json_int_t)step->console_to));
	if (fine)
		return o;
	json_decref(o);
	return NULL;
}

static bool put_steps(json_t *object, const struct test_result *result)
{
	json_t *steps = json_array();

	for (unsigned i = 0; i < result->n_steps; i++)
		if (json_array_append_new(steps, step_value(&result->step[i])) < 0) {
			json_decref(steps);
			return false;
		}
	return put(object, "steps", steps);
}

static bool put_shard(json_t *o, unsigned shard, unsigned n_shards)
{
	return n_shards == 0 ||
	       (put_number(o, "shard", shard) && put_number(o, "shards", n_shards));
}

static json_t *result_value(const struct test_result *r)
{
	json_t *o = json_object();
	char *title = test_result_title(r);
	bool fine = title && put(o, "title", text_value(title)) &&
		    put_texts(o, result_texts, RESULT_TEXTS, r) &&
		    put_number(o, "line", r->line) && put_axes(o, r) &&
		    put(o, "verdict", json_string(verdict_name(r->verdict))) &&
		    put(o, "flaky", json_boolean(r->flaky)) &&
		    (r->exit_status < 0 || put_number(o, "exit_status", r->exit_status)) &&
		    put_number(o, "attempt", r->attempt) &&
		    (!r->retried || put(o, "retried", json_true())) &&
		    put_number(o, "started_us", r->started_ns / 1000) &&
		    put_number(o, "duration_us", (int64_t)(r->duration_ns / 1000)) &&
		    put_shard(o, r->shard, r->n_shards) && put_steps(o, r);

	free(title);
	if (fine)
		return o;
	json_decref(o);
	return NULL;
}

static json_t *head_value(const struct test_results *results)
{
	json_t *o = json_object();

	if (put_number(o, "version", RESULTS_VERSION) &&
	    put(o, "complete", json_boolean(results->complete)) &&
	    put_texts(o, result_head_texts, RESULT_HEAD_TEXTS, results) &&
	    put_number(o, "started_us", results->started_ns / 1000) &&
	    put_number(o, "duration_us", (int64_t)(results->duration_ns / 1000)) &&
	    put_shard(o, results->shard, results->n_shards))
		return o;
	json_decref(o);
	return NULL;
}

typedef json_t *nth_value(const struct test_results *results, unsigned i);

static bool put_list(json_t *o, const char *key, nth_value *value,
		     const struct test_results *results, unsigned n)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++)
		if (json_array_append_new(list, value(results, i)) < 0) {
			json_decref(list);
			return false;
		}
	return put(o, key, list);
}

static json_t *nth_note(const struct test_results *results, unsigned i)
{
	return text_value(results->note[i]);
}

static json_t *nth_test(const struct test_results *results, unsigned i)
{
	return result_value(results->test[i]);
}

int results_write_json(FILE *out, const struct test_results *results)
{
	json_t *o = head_value(results);
	int r = 0;

	if (!o || !put_list(o, "notes", nth_note, results, results->n_notes) ||
	    !put_list(o, "tests", nth_test, results, results->n_tests))
		r = -ENOMEM;
	else if (json_dumpf(o, out, JSON_INDENT(1)) < 0 || fputc('\n', out) == EOF)
		r = -EIO;
	json_decref(o);
	return r;
}

/* {"key": value} as a line; 'value' is consumed. */
static char *journal_line(const char *key, json_t *value)
{
	json_t *o = json_object();
	char *text = NULL, *line = NULL;

	if (put(o, key, value))
		text = json_dumps(o, JSON_COMPACT);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	json_decref(o);
	return line;
}

char *journal_head(const struct test_results *results)
{
	return journal_line("run", head_value(results));
}

char *journal_planned(const struct test_result *planned)
{
	return journal_line("planned", result_value(planned));
}

char *journal_result(const struct test_result *result)
{
	return journal_line("test", result_value(result));
}

char *journal_note(const char *note)
{
	return journal_line("note", text_value(note));
}

#else

int results_write_json(FILE *out, const struct test_results *results)
{
	(void)out;
	(void)results;
	error_set(EOPNOTSUPP, "write results: this Vireo was built without libjansson");
	error_hint("install libjansson-dev and build again");
	return -EOPNOTSUPP;
}

char *journal_head(const struct test_results *results)
{
	(void)results;
	return NULL;
}

char *journal_planned(const struct test_result *planned)
{
	(void)planned;
	return NULL;
}

char *journal_result(const struct test_result *result)
{
	(void)result;
	return NULL;
}

char *journal_note(const char *note)
{
	(void)note;
	return NULL;
}

#endif
