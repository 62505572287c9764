#include "vmm/file/expand.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Defaults in defaults. */
enum { MAX_DEPTH = 8, NAME_SIZE = 128 };

struct expansion {
	FILE *out;
	size_t *budget;
	char *why;
};

static int refuse(struct expansion *x, int r, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int refuse(struct expansion *x, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(x->why, EXPAND_WHY_SIZE, fmt, ap);
	va_end(ap);
	return r;
}

static int put(struct expansion *x, const char *text, size_t len)
{
	if (len > *x->budget)
		return refuse(x, -EINVAL, "the values of this file become too large (more than %d "
					  "MiB)", EXPAND_MAX >> 20);
	*x->budget -= len;
	fwrite(text, 1, len, x->out);
	return 0;
}

static size_t name_length(const char *p)
{
	size_t len = 0;

	while (isalpha((unsigned char)p[len]) || p[len] == '_' ||
	       (len > 0 && isdigit((unsigned char)p[len])))
		len++;
	return len;
}

/* The '}' that belongs to a "${" before 'p', or NULL. */
static const char *find_end(const char *p)
{
	unsigned depth = 0;

	for (; *p; p++) {
		if (p[0] == '$' && p[1] == '$') {
			p++;
		} else if (p[0] == '$' && p[1] == '{') {
			depth++;
			p++;
		} else if (*p == '}' && depth-- == 0) {
			return p;
		}
	}
	return NULL;
}

static int expand(struct expansion *x, const char *text, const char *end, unsigned depth);

/* "NAME}" or "NAME:-DEFAULT}" at 'p', which moves behind it. */
static int expand_variable(struct expansion *x, const char **p, const char *limit, unsigned depth)
{
	const char *from = *p, *end = find_end(from);
	size_t len = name_length(from);
	char name[NAME_SIZE];

	if (!end || end >= limit)
		return refuse(x, -EINVAL, "'${%.40s' has no '}'", from);
	*p = end + 1;
	bool has_default = from[len] == ':' && from[len + 1] == '-';
	if (len == 0 || len >= sizeof(name) || (!has_default && from + len != end))
		return refuse(x, -EINVAL, "'${%.*s}' is not ${NAME} or ${NAME:-DEFAULT}",
			      (int)(end - from > 60 ? 60 : end - from), from);
	memcpy(name, from, len);
	name[len] = '\0';
	const char *value = getenv(name);
	if (has_default && (!value || !*value))
		return expand(x, from + len + 2, end, depth + 1);
	if (!value)
		return refuse(x, -EINVAL, "the environment has no variable '%.60s'; "
					  "${%.60s:-DEFAULT} has a default", name, name);
	return put(x, value, strlen(value));
}

static int expand(struct expansion *x, const char *text, const char *end, unsigned depth)
{
	int r = 0;

	if (depth > MAX_DEPTH)
		return refuse(x, -EINVAL, "defaults are more than %d deep", MAX_DEPTH);
	while (r == 0 && text < end) {
		const char *dollar = memchr(text, '$', (size_t)(end - text));

		r = put(x, text, (size_t)((dollar ? dollar : end) - text));
		if (r < 0 || !dollar)
			return r;
		text = dollar + 2;
		if (dollar[1] == '{')
			r = expand_variable(x, &text, end, depth);
		else if (dollar[1] == '$')
			r = put(x, "$", 1);
		else
			r = refuse(x, -EINVAL, "'%.20s': write '$$' for a dollar, ${NAME} for a "
					       "variable", dollar);
	}
	return r;
}

int expand_text(char **out, const char *text, size_t *budget, char why[EXPAND_WHY_SIZE])
{
	struct expansion x = { .budget = budget, .why = why };
	size_t size;
	int r;

	*out = NULL;
	if (!strchr(text, '$')) {
		*out = strdup(text);
		return *out ? 0 : refuse(&x, -ENOMEM, "no memory");
	}
	x.out = open_memstream(out, &size);
	if (!x.out)
		return refuse(&x, -ENOMEM, "no memory");
	r = expand(&x, text, text + strlen(text), 0);
	if (fclose(x.out) != 0 && r == 0)
		r = refuse(&x, -ENOMEM, "no memory");
	if (r < 0) {
		free(*out);
		*out = NULL;
	}
	return r;
}
