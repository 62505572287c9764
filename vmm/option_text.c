#include "vmm/option_text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/config.h"
#include "vmm/option.h"

enum { WORD_SIZE = 80 };

/* --- Feature bits: first those that are demanded, then those that are forbidden -------------- */

static unsigned count_bits(const struct feature_wishes *wishes)
{
	unsigned n = 0;

	for (unsigned bit = 0; bit < FEATURES_BITS; bit++)
		n += features_has(&wishes->on, bit) || features_has(&wishes->off, bit);
	return n;
}

/* The number of wish 'i'; '*on' tells which kind it is. */
static unsigned wished_bit(const struct feature_wishes *wishes, unsigned i, bool *on)
{
	for (int kind = 0; kind < 2; kind++) {
		const struct features *set = kind == 0 ? &wishes->on : &wishes->off;
		*on = kind == 0;
		for (unsigned bit = 0; bit < FEATURES_BITS; bit++)
			if (features_has(set, bit) && i-- == 0)
				return bit;
	}
	return 0;
}

/* "+ring_packed": by its name if that leads back to it, else by its number. */
static void format_wish(const struct option *o, const struct feature_wishes *wishes, unsigned i,
			char word[WORD_SIZE])
{
	char why[FEATURE_WHY_SIZE];
	unsigned again;
	bool on;
	unsigned bit = wished_bit(wishes, i, &on);
	const struct feature_info *info = feature_info((enum feature_bit)bit, o->device);

	if (info) {
		int len = snprintf(word, WORD_SIZE, "%c%s", on ? '+' : '-',
				   feature_short_name(info));
		for (char *p = word; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		if (len < WORD_SIZE &&
		    feature_find(word + 1, strlen(word + 1), o->device, &again, why) == 0 &&
		    again == bit)
			return;
	}
	snprintf(word, WORD_SIZE, "%c%u", on ? '+' : '-', bit);
}

/* --- Words ----------------------------------------------------------------------------------- */

static void format_duration(uint64_t ms, char word[WORD_SIZE])
{
	static const struct {
		uint64_t ms;
		const char *unit;
	} units[] = { { 3600000, "h" }, { 60000, "m" }, { 1000, "s" }, { 1, "ms" } };
	unsigned i = 0;

	while (ms % units[i].ms)
		i++;
	snprintf(word, WORD_SIZE, "%" PRIu64 "%s", ms / units[i].ms, ms ? units[i].unit : "");
}

static const char *choice_name(const struct option *o, const void *field)
{
	int value;

	memcpy(&value, field, sizeof(value));
	for (const struct option_choice *c = o->choice; c->name; c++)
		if (c->value == value)
			return c->name;
	return "";
}

static int format_target(const struct target *target, char **out)
{
	static const char *const names[] = {
		[TARGET_OFF] = "off", [TARGET_NULL] = "null", [TARGET_STDIO] = "stdio",
		[TARGET_STATUS] = "status",
	};

	if (target->kind != TARGET_FILE)
		*out = strdup(names[target->kind]);
	else if (asprintf(out, "file=%s", target->path) < 0)
		*out = NULL;
	return *out ? 0 : -ENOMEM;
}

unsigned option_count(const struct option *o, const void *object)
{
	const void *field = (const char *)object + o->offset;

	switch (o->type) {
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_CONTENT:
		return *(char *const *)field != NULL;
	case OPTION_FEATURES:
		return count_bits(field);
	case OPTION_TEXTS:
		return ((const struct text_list *)field)->n;
	case OPTION_NUMBER:
		return o->initial || *(const unsigned *)field != 0;
	case OPTION_BOOL:
	case OPTION_SIZE:
	case OPTION_DURATION:
	case OPTION_CHOICE:
	case OPTION_TARGET:
		break;
	}
	return 1;
}

int option_format(const struct option *o, const void *object, unsigned i, char **out)
{
	const void *field = (const char *)object + o->offset;
	char word[WORD_SIZE];
	const char *text = word;

	switch (o->type) {
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_CONTENT:
		text = *(char *const *)field;
		break;
	case OPTION_BOOL:
		text = *(const bool *)field ? "yes" : "no";
		break;
	case OPTION_NUMBER:
		snprintf(word, sizeof(word), "%u", *(const unsigned *)field);
		break;
	case OPTION_SIZE:
		text_format_size(word, *(const uint64_t *)field);
		break;
	case OPTION_DURATION:
		format_duration(*(const uint64_t *)field, word);
		break;
	case OPTION_CHOICE:
		text = choice_name(o, field);
		break;
	case OPTION_TARGET:
		return format_target(field, out);
	case OPTION_FEATURES:
		format_wish(o, field, i, word);
		break;
	case OPTION_TEXTS:
		text = ((const struct text_list *)field)->item[i];
		break;
	}
	*out = strdup(text);
	return *out ? 0 : -ENOMEM;
}

/* --- What is allowed ------------------------------------------------------------------------- */

static void put_range(const struct option *o, FILE *out)
{
	char min[24], max[24];
	bool is_size = o->type == OPTION_SIZE;

	snprintf(min, sizeof(min), "%" PRIu64, o->min);
	snprintf(max, sizeof(max), "%" PRIu64, o->max);
	if (is_size) {
		text_format_size(min, o->min);
		text_format_size(max, o->max);
	}
	fprintf(out, "%s from %s to %s", is_size ? "a size" : "a number", min, max);
	if (o->unit)
		fprintf(out, " %s", o->unit);
	if (o->power_of_two)
		fputs(o->min == 0 ? ", 0 or a power of two" : ", a power of two", out);
}

void option_put_allowed(const struct option *o, FILE *out)
{
	char words[80];

	switch (o->type) {
	case OPTION_TEXT:
		fputs("a text", out);
		break;
	case OPTION_PATH:
		fputs("the name of a file", out);
		break;
	case OPTION_CONTENT:
		fputs("a text of several lines, or the name of a file that has it", out);
		break;
	case OPTION_BOOL:
		fputs("yes or no", out);
		break;
	case OPTION_NUMBER:
	case OPTION_SIZE:
		put_range(o, out);
		break;
	case OPTION_DURATION:
		fputs("a time: a number, then ms, s, m or h", out);
		break;
	case OPTION_CHOICE:
		fputs("one of ", out);
		for (const struct option_choice *c = o->choice; c->name; c++)
			fprintf(out, "%s%s", c == o->choice ? "" : ", ", c->name);
		break;
	case OPTION_TARGET:
		fprintf(out, "one of %s", option_target_words(o, words));
		break;
	case OPTION_FEATURES:
		fputs("a list of feature bits, + or - before each", out);
		break;
	case OPTION_TEXTS:
		fprintf(out, "a list of %s", o->value);
		break;
	}
}

/* --- Comparison ------------------------------------------------------------------------------ */

static bool is_same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool is_same_list(const struct text_list *a, const struct text_list *b)
{
	bool same = a->n == b->n;

	for (unsigned i = 0; same && i < a->n; i++)
		same = !strcmp(a->item[i], b->item[i]);
	return same;
}

static bool is_same_wishes(const struct feature_wishes *a, const struct feature_wishes *b)
{
	bool same = true;

	for (unsigned bit = 0; same && bit < FEATURES_BITS; bit++)
		same = features_has(&a->on, bit) == features_has(&b->on, bit) &&
		       features_has(&a->off, bit) == features_has(&b->off, bit);
	return same;
}

static bool is_same_target(const struct target *a, const struct target *b)
{
	return a->kind == b->kind && (a->kind != TARGET_FILE || is_same_text(a->path, b->path));
}

bool option_equal(const struct option *o, const void *a, const void *b)
{
	const void *x = (const char *)a + o->offset, *y = (const char *)b + o->offset;

	switch (o->type) {
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_CONTENT:
		return is_same_text(*(char *const *)x, *(char *const *)y);
	case OPTION_BOOL:
		return *(const bool *)x == *(const bool *)y;
	case OPTION_NUMBER:
		return *(const unsigned *)x == *(const unsigned *)y;
	case OPTION_SIZE:
	case OPTION_DURATION:
		return *(const uint64_t *)x == *(const uint64_t *)y;
	case OPTION_CHOICE:
		return !memcmp(x, y, sizeof(int));
	case OPTION_TARGET:
		return is_same_target(x, y);
	case OPTION_FEATURES:
		return is_same_wishes(x, y);
	case OPTION_TEXTS:
		return is_same_list(x, y);
	}
	return false;
}
