#include "vmm/option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/text.h"
#include "vmm/config.h"

static bool is_word(const char *word, const char *text, size_t len)
{
	return strlen(word) == len && !memcmp(word, text, len);
}

const struct option *option_find(const char *section, size_t section_len, const char *key,
				 size_t key_len)
{
	for (unsigned i = 0; i < option_table_len; i++)
		if (is_word(option_table[i].section, section, section_len) &&
		    is_word(option_table[i].key, key, key_len))
			return &option_table[i];
	return NULL;
}

const struct option_section *option_find_section(const char *name, size_t len)
{
	for (unsigned i = 0; i < option_sections_len; i++)
		if (is_word(option_sections[i].name, name, len))
			return &option_sections[i];
	return NULL;
}

const struct option *option_find_flag(const char *name, size_t len)
{
	for (unsigned i = 0; i < option_table_len; i++)
		if (option_table[i].flag && is_word(option_table[i].flag, name, len))
			return &option_table[i];
	return NULL;
}

const struct option *option_find_item(const char *flag, const char *key, size_t key_len)
{
	for (unsigned i = 0; i < option_table_len; i++)
		if (option_table[i].flag && !strcmp(option_table[i].flag, flag) &&
		    is_word(option_table[i].key, key, key_len))
			return &option_table[i];
	return NULL;
}

bool option_flag_is_list(const char *flag)
{
	unsigned rows = 0;

	for (unsigned i = 0; i < option_table_len; i++)
		rows += option_table[i].flag && !strcmp(option_table[i].flag, flag);
	return rows > 1;
}

const struct option_section *option_section_of(const struct option *o)
{
	return option_find_section(o->section, strlen(o->section));
}

static void list_choices(const struct option *o, const char *separator, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (const struct option_choice *c = o->choice; c->name && len < size; c++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? separator : "",
					c->name);
}

const char *option_target_words(const struct option *o, char buf[80])
{
	int len = snprintf(buf, 80, "%s, file=PATH, ", o->choice->name);

	list_choices(&(struct option){ .choice = o->choice + 1 }, ", ", buf + len,
		     80 - (size_t)len);
	return buf;
}

const char *option_value_text(const struct option *o, char buf[128])
{
	if (o->type == OPTION_CHOICE)
		list_choices(o, "|", buf, 128);
	else
		snprintf(buf, 128, "%s", o->value ? o->value : "yes|no");
	return buf;
}

static int refuse(char *why, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, OPTION_WHY_SIZE, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int set_text(char **field, const char *text, char *why)
{
	char *copy = strdup(text);

	if (!copy) {
		refuse(why, "no memory");
		return -ENOMEM;
	}
	free(*field);
	*field = copy;
	return 0;
}

static int set_path(char **field, const char *text, char *why)
{
	return *text ? set_text(field, text, why) : refuse(why, "the name of a file is empty");
}

/* The limits as their reader would write them. */
static const char *limit_text(const struct option *o, uint64_t limit, char buf[24])
{
	if (o->type == OPTION_SIZE)
		return text_format_size(buf, limit);
	snprintf(buf, 24, "%" PRIu64, limit);
	return buf;
}

static int check_range(const struct option *o, uint64_t v, const char *text, char *why)
{
	const char *gap = o->unit ? " " : "", *unit = o->unit ? o->unit : "";
	char min[24], max[24];

	if (v < o->min || v > o->max)
		return refuse(why, "'%s' is too %s: allowed are %s to %s%s%s", text,
			      v < o->min ? "small" : "large", limit_text(o, o->min, min),
			      limit_text(o, o->max, max), gap, unit);
	if (o->power_of_two && v != 0 && !is_power_of_two(v))
		return refuse(why, "'%s' is not a power of two", text);
	return 0;
}

static int set_number(const struct option *o, void *field, const char *text, char *why)
{
	bool is_size = o->type == OPTION_SIZE;
	uint64_t v;
	int r = is_size ? text_parse_size(text, &v) : text_parse_u64(text, &v);

	if (r == -ERANGE)
		v = UINT64_MAX;	/* whatever it is, it is beyond the maximum */
	else if (r < 0)
		return refuse(why, "'%s' is not a %swhole number%s", text,
			      is_size ? "size (a " : "", is_size ? ", then K, M, G or T)" : "");
	r = check_range(o, v, text, why);
	if (r < 0)
		return r;
	if (is_size)
		*(uint64_t *)field = v;
	else
		*(unsigned *)field = (unsigned)v;
	return 0;
}

static int set_choice(const struct option *o, void *field, const char *text, char *why)
{
	const char *names[16], *near;
	unsigned n = 0;
	char list[128];

	for (const struct option_choice *c = o->choice; c->name; c++) {
		if (!strcmp(c->name, text)) {
			memcpy(field, &c->value, sizeof(c->value));
			return 0;
		}
		if (n < ARRAY_SIZE(names))
			names[n++] = c->name;
	}
	list_choices(o, ", ", list, sizeof(list));
	near = text_nearest(text, names, n);
	if (near)
		return refuse(why, "'%s' is not one of %s; did you mean '%s'?", text, list, near);
	return refuse(why, "'%s' is not one of %s", text, list);
}

static int set_target(const struct option *o, struct target *target, const char *text, char *why)
{
	char allowed[80];

	if (!strncmp(text, "file=", 5)) {
		int r = set_path(&target->path, text + 5, why);
		if (r == 0)
			target->kind = TARGET_FILE;
		return r;
	}
	for (const struct option_choice *c = o->choice; c->name; c++) {
		if (!strcmp(c->name, text)) {
			target->kind = (enum target_kind)c->value;
			return 0;
		}
	}
	return refuse(why, "'%s' is not one of %s", text, option_target_words(o, allowed));
}

/* The place of the pair with the name of 'pair' ("NAME=..."), or NULL. */
static char **find_pair(const struct text_list *list, const char *pair)
{
	size_t len = strcspn(pair, "=") + 1;

	for (unsigned i = 0; i < list->n; i++)
		if (!strncmp(list->item[i], pair, len))
			return &list->item[i];
	return NULL;
}

static int add_text(struct text_list *list, const char *text, char *why)
{
	char **grown = reallocarray(list->item, list->n + 1, sizeof(*grown));

	if (grown)
		list->item = grown;
	if (!grown || !(grown[list->n] = strdup(text))) {
		refuse(why, "no memory");
		return -ENOMEM;
	}
	list->n++;
	return 0;
}

/* "NAME=VALUE": another one, or another value for a name that is there. */
static int set_pair(struct text_list *list, const char *text, char *why)
{
	char **pair;

	if (!strchr(text, '='))
		return refuse(why, "'%s' is not NAME=VALUE", text);
	if (*text == '=')
		return refuse(why, "'%s' has no name before the '='", text);
	pair = find_pair(list, text);
	return pair ? set_text(pair, text, why) : add_text(list, text, why);
}

static int set_texts(const struct option *o, struct text_list *list, const char *text, char *why)
{
	const struct option_section *section = option_section_of(o);

	return section && section->pairs ? set_pair(list, text, why) : add_text(list, text, why);
}

static int set_features(const struct option *o, struct feature_wishes *wishes, const char *text,
			char *why)
{
	char reason[FEATURE_WHY_SIZE];

	if (feature_wishes_add(wishes, text, o->device, reason) == 0)
		return 0;
	return refuse(why, "%s", reason);
}

int option_set(const struct option *o, void *object, const char *text, char why[OPTION_WHY_SIZE])
{
	void *field = (char *)object + o->offset;
	int r = 0;

	switch (o->type) {
	case OPTION_TEXT:
		return set_text(field, text, why);
	case OPTION_PATH:
	case OPTION_CONTENT:
		return set_path(field, text, why);
	case OPTION_BOOL:
		r = text_parse_bool(text, field);
		return r < 0 ? refuse(why, "'%s' is neither yes nor no", text) : 0;
	case OPTION_NUMBER:
	case OPTION_SIZE:
		return set_number(o, field, text, why);
	case OPTION_DURATION:
		r = text_parse_duration_ms(text, field);
		if (r < 0)
			return refuse(why, "'%s' is not a time (a number, then ms, s, m or h)",
				      text);
		return 0;
	case OPTION_CHOICE:
		return set_choice(o, field, text, why);
	case OPTION_TARGET:
		return set_target(o, field, text, why);
	case OPTION_FEATURES:
		return set_features(o, field, text, why);
	case OPTION_TEXTS:
		return set_texts(o, field, text, why);
	}
	return r;
}

int option_set_defaults(const char *section, void *object)
{
	char why[OPTION_WHY_SIZE];

	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		if (strcmp(o->section, section) || !o->initial)
			continue;
		int r = option_set(o, object, o->initial, why);
		if (r < 0)
			return r;
	}
	return 0;
}

static void free_texts(struct text_list *list)
{
	while (list->n > 0)
		free(list->item[--list->n]);
	free(list->item);
	list->item = NULL;
}

bool option_is_list(const struct option *o)
{
	return o->type == OPTION_TEXTS || o->type == OPTION_FEATURES;
}

bool option_is_name(const struct option *o)
{
	const struct option_section *section = option_section_of(o);

	return section->list && o->offset == section->list->name;
}

void option_clear(const struct option *o, void *object)
{
	void *field = (char *)object + o->offset;

	if (o->type == OPTION_TEXTS)
		free_texts(field);
	else if (o->type == OPTION_FEATURES)
		*(struct feature_wishes *)field = (struct feature_wishes){ 0 };
}

/* The field of a row whose value is one owned text, or NULL. */
static char **text_of(const struct option *o, void *field)
{
	switch (o->type) {
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_CONTENT:
		return field;
	case OPTION_TARGET:
		return &((struct target *)field)->path;
	default:
		return NULL;
	}
}

void option_free_all(const char *section, void *object)
{
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		void *field = (char *)object + o->offset;
		char **text = text_of(o, field);

		if (strcmp(o->section, section))
			continue;
		if (o->type == OPTION_TEXTS)
			free_texts(field);
		if (text) {
			free(*text);
			*text = NULL;
		}
	}
}
