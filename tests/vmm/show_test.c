/* What a VM answers, as it goes to a terminal. */
#include <criterion/criterion.h>

#if HAVE_JANSSON

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/control/show.h"

static char *shown(const char *json)
{
	json_t *value = json_loads(json, 0, NULL);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert_not_null(value);
	show_json(out, value);
	fclose(out);
	json_decref(value);
	return text;
}

static void expect(const char *json, const char *wanted)
{
	char *text = shown(json);

	cr_expect_str_eq(text, wanted, "%s: %s", json, text);
	free(text);
}

Test(show, nothing_in_a_line_steers_the_terminal)
{
	expect("{\"a\": \"x\\u001b[2Jy\\u007f\", \"b\": 1}", "a: x?[2Jy?\nb: 1\n");
	expect("{\"a\": \"x\\u009b2J \\u00e4\\u00a0\", \"b\": 1}", "a: x?2J \u00e4\u00a0\nb: 1\n");
	expect("{\"a\": [\"\\u009b2J\\u007f\"], \"b\": 1}", "a: [\"?2J?\"]\nb: 1\n");
	expect("{\"\\u001bc\\u009b\": 1, \"b\": true}", "?c?: 1\nb: yes\n");
}

Test(show, nor_in_a_table)
{
	expect("{\"t\": [{\"\\u001bc\": \"\\u009b1\", \"b\": 1}]}", "?c  b\n?1  1\n");
}

/* The width of a column is that of each of its lines. */
Test(show, columns_are_not_as_wide_as_anybody_likes)
{
	char json[8192], *text;

	snprintf(json, sizeof(json), "{\"t\": [{\"%04000d\": 1, \"b\": 1}, {\"b\": 2}]}", 0);
	text = shown(json);
	cr_expect_lt(strlen(text), 200);
	free(text);
}

#endif
