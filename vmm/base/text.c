#include "vmm/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Digits only (no sign, no space), decimal or 0x; '*end' is what follows. */
static int parse_digits(const char *text, uint64_t *out, const char **end)
{
	int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
	const char *digits = base == 16 ? text + 2 : text;
	char *stop;

	if (base == 16 ? !isxdigit((unsigned char)*digits) : !isdigit((unsigned char)*digits))
		return -EINVAL;
	errno = 0;
	unsigned long long v = strtoull(digits, &stop, base);
	if (errno == ERANGE)
		return -ERANGE;
	*out = v;
	*end = stop;
	return 0;
}

int text_parse_u64(const char *text, uint64_t *out)
{
	const char *end;
	uint64_t v;
	int r = parse_digits(text, &v, &end);

	if (r < 0)
		return r;
	if (*end)
		return -EINVAL;
	*out = v;
	return 0;
}

int text_parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *end;
	unsigned shift = 0;
	uint64_t v;
	int r = parse_digits(text, &v, &end);

	if (r < 0)
		return r;
	if (*end) {
		const char *unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || (strcasecmp(end + 1, "") && strcasecmp(end + 1, "B") &&
			      strcasecmp(end + 1, "iB")))
			return -EINVAL;
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (v > UINT64_MAX >> shift)
		return -ERANGE;
	*out = v << shift;
	return 0;
}

int text_parse_bool(const char *text, bool *out)
{
	static const char *const yes[] = { "yes", "on", "true", "1" };
	static const char *const no[] = { "no", "off", "false", "0" };

	for (unsigned i = 0; i < ARRAY_SIZE(yes); i++) {
		if (!strcasecmp(text, yes[i])) {
			*out = true;
			return 0;
		}
		if (!strcasecmp(text, no[i])) {
			*out = false;
			return 0;
		}
	}
	return -EINVAL;
}

int text_parse_duration_ms(const char *text, uint64_t *out)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "", 1e3 }, { "s", 1e3 }, { "ms", 1 }, { "m", 60e3 }, { "h", 3600e3 } };
	char *end;

	if (!isdigit((unsigned char)text[0]) || (text[1] == 'x' || text[1] == 'X'))
		return -EINVAL;
	double v = strtod(text, &end);
	for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(end, units[i].unit))
			continue;
		v *= units[i].ms;
		if (!(v < 1e15))
			return -ERANGE;
		*out = (uint64_t)(v + 0.5);
		return 0;
	}
	return -EINVAL;
}

enum { DISTANCE_MAX = 64 };

unsigned text_distance(const char *a, const char *b)
{
	/* Three rows of the classic table (optimal string alignment). */
	unsigned row[3][DISTANCE_MAX + 1];
	size_t n = strnlen(a, DISTANCE_MAX), m = strnlen(b, DISTANCE_MAX);

	for (size_t j = 0; j <= m; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *now = row[i % 3], *above = row[(i + 2) % 3], *two = row[(i + 1) % 3];
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    two[j - 2] + 1 < best)
				best = two[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[n % 3][m];
}

const char *text_nearest(const char *word, const char *const *names, unsigned n)
{
	const char *best = NULL;
	unsigned best_distance = (unsigned)strlen(word) / 3 + 1;

	for (unsigned i = 0; i < n; i++) {
		unsigned d = text_distance(word, names[i]);
		if (d <= best_distance && (!best || d < best_distance)) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}

const char *text_format_size(char buf[24], uint64_t bytes)
{
	static const char units[] = "KMGT";
	unsigned i = 0;

	while (i < 4 && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		i++;
	}
	snprintf(buf, 24, i ? "%" PRIu64 "%c" : "%" PRIu64, bytes, i ? units[i - 1] : 0);
	return buf;
}
