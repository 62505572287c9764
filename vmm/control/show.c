#include "vmm/control/show.h"

#include <string.h>

unsigned show_steers(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	if ((*s && *s < ' ') || *s == 0x7f)
		return 1;
	/* U+0080 to U+009F, among them another way to begin what a terminal obeys. */
	return s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0 ? 2 : 0;
}

void show_text(FILE *out, const char *text)
{
	while (*text) {
		unsigned n = show_steers(text);
		fputc(n ? '?' : *text, out);
		text += n ? n : 1;
	}
}

const char *show_duration(char buf[32], uint64_t ms)
{
	unsigned long long s = ms / 1000;

	if (s < 60)
		snprintf(buf, 32, "%llu s", s);
	else if (s < 3600)
		snprintf(buf, 32, "%llu min %llu s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, 32, "%llu h %llu min", s / 3600, s / 60 % 60);
	else
		snprintf(buf, 32, "%llu d %llu h", s / 86400, s / 3600 % 24);
	return buf;
}

#if HAVE_JANSSON

#include <jansson.h>
#include <stdlib.h>

enum { CELL_SIZE = 48, MAX_COLUMNS = 16 };

/* A value in one line; objects and arrays as JSON. */
static void put_value(FILE *out, const json_t *value)
{
	char *text;

	if (json_is_string(value)) {
		show_text(out, json_string_value(value));
	} else if (json_is_null(value)) {
		fputc('-', out);
	} else if (json_is_boolean(value)) {
		fputs(json_is_true(value) ? "yes" : "no", out);
	} else {
		text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		show_text(out, text ? text : "?");
		free(text);
	}
}

/* What put_value() would write of 'value', or of a key if there is one, as far as it fits. */
static void cell(char buf[CELL_SIZE], const char *key, const json_t *value)
{
	FILE *out = fmemopen(buf, CELL_SIZE, "w");

	*buf = '\0';
	if (out) {
		if (key)
			show_text(out, key);
		else
			put_value(out, value);
		fclose(out);
	}
	buf[CELL_SIZE - 1] = '\0';
}

static size_t width_of(const json_t *rows, const char *key)
{
	char buf[CELL_SIZE];
	size_t width, i;
	json_t *row;

	cell(buf, key, NULL);
	width = strlen(buf);
	json_array_foreach(rows, i, row) {
		cell(buf, NULL, json_object_get(row, key));
		if (strlen(buf) > width)
			width = strlen(buf);
	}
	return width;
}

static void show_table(FILE *out, json_t *rows)
{
	json_t *first = json_array_get(rows, 0), *row, *value;
	const char *key[MAX_COLUMNS], *k;
	size_t width[MAX_COLUMNS], i;
	unsigned n = 0;
	char buf[CELL_SIZE];

	json_object_foreach(first, k, value) {
		/* What is not simple is for programs. */
		if (n == MAX_COLUMNS || json_is_object(value) || json_is_array(value))
			continue;
		key[n] = k;
		width[n++] = width_of(rows, k);
	}
	for (unsigned c = 0; c < n; c++) {
		cell(buf, key[c], NULL);
		fprintf(out, "%-*s%s", c + 1 < n ? (int)width[c] : 0, buf,
			c + 1 < n ? "  " : "\n");
	}
	json_array_foreach(rows, i, row) {
		for (unsigned c = 0; c < n; c++) {
			cell(buf, NULL, json_object_get(row, key[c]));
			fprintf(out, "%-*s%s", c + 1 < n ? (int)width[c] : 0, buf,
				c + 1 < n ? "  " : "\n");
		}
	}
}

void show_json(FILE *out, const json_t *object)
{
	json_t *o = (json_t *)object, *value;
	void *only = json_object_iter(o);
	const char *key;

	if (only && json_object_size(o) == 1 && json_is_array(json_object_iter_value(only))) {
		show_table(out, json_object_iter_value(only));
		return;
	}
	json_object_foreach(o, key, value) {
		show_text(out, key);
		fputs(": ", out);
		put_value(out, value);
		fputc('\n', out);
	}
}

#endif
