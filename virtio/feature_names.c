#include "virtio/feature_names.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/text.h"

enum { WORD_SIZE = 64 };

const char *feature_short_name(const struct feature_info *info)
{
	const char *f = strstr(info->name, "_F_");

	return f ? f + 3 : info->name;
}

static int refuse(char *why, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, FEATURE_WHY_SIZE, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Are the words of 'part' a run of the words of 'name'?  "event" in "EVENT_IDX". */
static bool has_words(const char *name, const char *part)
{
	size_t len = strlen(part);

	for (const char *p = strstr(name, part); p && len > 0; p = strstr(p + 1, part))
		if ((p == name || p[-1] == '_') && (p[len] == '_' || p[len] == '\0'))
			return true;
	return false;
}

/* Each row that 'device' has, in the order of the bits. */
static const struct feature_info *next_row(unsigned *bit, unsigned device)
{
	while (*bit < FEATURES_BITS) {
		const struct feature_info *info = feature_info((enum feature_bit)(*bit)++, device);
		if (info)
			return info;
	}
	return NULL;
}

/* Each that a guest may see: others answer to their whole name only ("ALL" is not LOG_ALL). */
static const struct feature_info *next_guest_row(unsigned *bit, unsigned device)
{
	const struct feature_info *info = next_row(bit, device);

	while (info && info->owner == FEATURE_INTERNAL)
		info = next_row(bit, device);
	return info;
}

/* The only row that has these words; NULL, and all of them in 'list', if there are several. */
static const struct feature_info *find_words(const char *word, unsigned device, char *list,
					     size_t size)
{
	const struct feature_info *info, *found = NULL;
	unsigned bit = 0, n = 0;
	size_t used = 0;

	list[0] = '\0';
	while ((info = next_guest_row(&bit, device)) != NULL) {
		const char *name = feature_short_name(info);
		if (!has_words(name, word))
			continue;
		if (used < size)
			used += (size_t)snprintf(list + used, size - used, "%s%s", n ? ", " : "",
						 name);
		found = info;
		n++;
	}
	return n == 1 ? found : NULL;
}

static const struct feature_info *find_name(const char *word, unsigned device)
{
	const struct feature_info *info;
	unsigned bit = 0;

	while ((info = next_row(&bit, device)) != NULL)
		if (!strcmp(info->name, word) || !strcmp(feature_short_name(info), word))
			return info;
	return NULL;
}

/* The name of which one word is nearest: "PAKED" is a slip for RING_PACKED.  Or NULL. */
static const char *nearest_word(const char *word, unsigned device)
{
	const struct feature_info *info;
	unsigned bit = 0;

	while ((info = next_guest_row(&bit, device)) != NULL) {
		char name[WORD_SIZE], *rest = name;
		const char *part;

		snprintf(name, sizeof(name), "%s", feature_short_name(info));
		while ((part = strsep(&rest, "_")) != NULL)
			if (text_distance(word, part) <= strlen(word) / 4)
				return feature_short_name(info);
	}
	return NULL;
}

static int unknown(const char *text, int len, const char *word, unsigned device, char *why)
{
	const char *names[2 * FEATURES_BITS], *near;
	const struct feature_info *info;
	unsigned bit = 0, n = 0;

	while ((info = next_guest_row(&bit, device)) != NULL) {
		names[n++] = feature_short_name(info);
		names[n++] = info->name;
	}
	near = text_nearest(word, names, n);
	if (!near)
		near = nearest_word(word, device);
	if (near)
		return refuse(why, "'%.*s' is no feature bit%s; did you mean '%s'?", len, text,
			      device ? " of this device" : " that all devices have", near);
	return refuse(why, "'%.*s' is no feature bit%s", len, text,
		      device ? " of this device" : " that all devices have");
}

int feature_find(const char *text, size_t len, unsigned device, unsigned *bit,
		 char why[FEATURE_WHY_SIZE])
{
	char word[WORD_SIZE], list[160];
	int shown = len < WORD_SIZE ? (int)len : WORD_SIZE - 1;
	const struct feature_info *info = NULL;
	uint64_t number;

	for (int i = 0; i < shown; i++)
		word[i] = text[i] == '-' ? '_' : (char)toupper((unsigned char)text[i]);
	word[shown] = '\0';
	if (len == 0)
		return refuse(why, "the name of a feature bit is missing");
	if (isdigit((unsigned char)word[0]) && text_parse_u64(word, &number) == 0) {
		if (number < FEATURES_BITS)
			info = feature_info((enum feature_bit)number, device);
		if (!info)
			return refuse(why, "bit %.*s is not known for %s", shown, text,
				      device ? "this device" : "every device");
		*bit = info->bit;
		return 0;
	}
	if (len < WORD_SIZE)
		info = find_name(word, device);
	if (!info && len < WORD_SIZE) {
		info = find_words(word, device, list, sizeof(list));
		if (!info && list[0])
			return refuse(why, "'%.*s' can be any of %s", shown, text, list);
	}
	if (!info)
		return unknown(text, shown, word, device, why);
	*bit = info->bit;
	return 0;
}

int feature_wishes_add(struct feature_wishes *wishes, const char *list, unsigned device,
		       char why[FEATURE_WHY_SIZE])
{
	struct feature_wishes w = *wishes;
	const char *p = list;
	unsigned bit;

	do {
		size_t len = strcspn(p, ",");
		if (*p != '+' && *p != '-')
			return refuse(why, "'%.*s': write '+' or '-' before each feature bit",
				      len < WORD_SIZE ? (int)len : WORD_SIZE, p);
		int r = feature_find(p + 1, len - 1, device, &bit, why);
		if (r < 0)
			return r;
		features_remove(*p == '+' ? &w.off : &w.on, bit);
		features_add(*p == '+' ? &w.on : &w.off, bit);
		p += len;
	} while (*p++ == ',');
	*wishes = w;
	return 0;
}

struct feature_wishes feature_wishes_merge(struct feature_wishes general,
					   struct feature_wishes special)
{
	return (struct feature_wishes){
		.on = features_or(special.on, features_minus(general.on, special.off)),
		.off = features_or(special.off, features_minus(general.off, special.on)),
	};
}
