#include "vmm/file/yaml_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * The character at '*p', which moves behind it; UINT32_MAX if that is no UTF-8.
 * Unicode 15, 3.9 "Unicode Encoding Forms", table 3-7
 */
static uint32_t next_character(const char **p)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} forms[] = { { 0x80, 0, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 },
		      { 0xf8, 0xf0, 0x10000 } };
	const unsigned char *s = (const unsigned char *)*p;

	for (unsigned n = 0; n < ARRAY_SIZE(forms); n++) {
		if ((*s & forms[n].mask) != forms[n].lead)
			continue;
		uint32_t c = *s++ & ~forms[n].mask & 0xffu;
		for (unsigned i = 0; i < n; i++, s++) {
			if ((*s & 0xc0) != 0x80)	/* the end of the text, too */
				return UINT32_MAX;
			c = c << 6 | (*s & 0x3f);
		}
		*p = (const char *)s;
		bool is_surrogate = c >= 0xd800 && c <= 0xdfff;
		return c < forms[n].least || is_surrogate || c > 0x10ffff ? UINT32_MAX : c;
	}
	return UINT32_MAX;
}

bool yaml_is_utf8(const char *text)
{
	while (*text)
		if (next_character(&text) == UINT32_MAX)
			return false;
	return true;
}

/*
 * Shall it be seen as it is?  Controls shall not; line separators, marks of byte order and what
 * turns the direction of text around would deceive who reads the file.
 */
static bool is_printable(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && !(c >= 0x200b && c <= 0x200f) &&
	       !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2060 && c <= 0x206f) && c != 0xfeff &&
	       (c & 0xfffe) != 0xfffe && !(c >= 0xfdd0 && c <= 0xfdef);
}

/* Words and numbers that some reader takes for another type than text. */
static bool is_special(const char *text)
{
	static const char *const words[] = {
		"null", "yes", "no", "on", "off", "true", "false", "y", "n", "nan", "inf",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcasecmp(text, words[i]))
			return true;
	return false;
}

/* Letters, digits and a few signs that mean nothing in YAML, single spaces between words. */
static bool is_plain(const char *text)
{
	if (!isalpha((unsigned char)*text) && *text != '/' && *text != '_')
		return false;
	for (const char *p = text; *p; p++) {
		bool is_gap = *p == ' ' && p[1] != ' ' && p[1] != '\0';
		if (!isalnum((unsigned char)*p) && !strchr("/_.-+=@%", *p) && !is_gap)
			return false;
	}
	return !is_special(text);
}

static void put_escaped(FILE *out, uint32_t c)
{
	switch (c) {
	case '\n': fputs("\\n", out); break;
	case '\t': fputs("\\t", out); break;
	case '\r': fputs("\\r", out); break;
	case '"': fputs("\\\"", out); break;
	case '\\': fputs("\\\\", out); break;
	default:
		/* JSON has 16 bits only, and YAML no pairs of them: those above stay. */
		fprintf(out, "\\u%04x", c);
	}
}

static void put_quoted(FILE *out, const char *text, bool double_dollars)
{
	fputc('"', out);
	while (*text) {
		const char *from = text;
		uint32_t c = next_character(&text);
		if ((is_printable(c) && c != '"' && c != '\\') || c > 0xffff)
			fwrite(from, 1, (size_t)(text - from), out);
		else
			put_escaped(out, c);
		if (c == '$' && double_dollars)
			fputc('$', out);
	}
	fputc('"', out);
}

static int put_text(FILE *out, const char *text, bool double_dollars)
{
	if (!yaml_is_utf8(text))
		return -EILSEQ;
	if (is_plain(text))
		fputs(text, out);
	else
		put_quoted(out, text, double_dollars);
	return 0;
}

int yaml_put_text(FILE *out, const char *text)
{
	return put_text(out, text, true);
}

int yaml_put_key(FILE *out, const char *text)
{
	return put_text(out, text, false);
}

/*
 * Can it be a literal block?  It begins with a line that has no space before it, no line is only
 * spaces, and there is nothing in it that would have to be escaped.  YAML 1.2, 8.1.2 "Literal
 * Style"
 */
static bool is_literal(const char *text)
{
	bool only_space = true;
	size_t len = strlen(text);

	if (!strchr(text, '\n') || isspace((unsigned char)*text) ||
	    (len > 1 && text[len - 1] == '\n' && text[len - 2] == '\n'))
		return false;
	while (*text) {
		uint32_t c = next_character(&text);
		if (!is_printable(c) && c != '\n')
			return false;
		if (c == '\n' && only_space && text[-2] == ' ')
			return false;
		only_space = c == '\n' || (only_space && c == ' ');
	}
	return text[-1] != ' ';
}

int yaml_put_block(FILE *out, const char *text, unsigned indent)
{
	bool is_start = true;

	if (!yaml_is_utf8(text))
		return -EILSEQ;
	if (!is_literal(text))
		return yaml_put_text(out, text);
	bool has_end = text[strlen(text) - 1] == '\n';
	fputs(has_end ? "|\n" : "|-\n", out);
	for (const char *p = text; *p; p++) {
		if (is_start && *p != '\n')
			fprintf(out, "%*s", (int)indent + 2, "");
		if (p[1] || *p != '\n')	/* the caller ends the line */
			fputc(*p, out);
		if (*p == '$')
			fputc('$', out);
		is_start = *p == '\n';
	}
	return 0;
}

void yaml_put_json(FILE *out, const char *json)
{
	while (*json) {
		const char *from = json;
		uint32_t c = next_character(&json);
		if (c == UINT32_MAX)
			return;		/* it is no UTF-8, against what was promised */
		if (is_printable(c) || c == '\n' || c > 0xffff)
			fwrite(from, 1, (size_t)(json - from), out);
		else
			put_escaped(out, c);
	}
}

char *yaml_double_dollars(const char *text)
{
	char *copy = malloc(2 * strlen(text) + 1), *to = copy;

	for (const char *p = text; copy && *p; p++) {
		if (*p == '$')
			*to++ = '$';
		*to++ = *p;
	}
	if (copy)
		*to = '\0';
	return copy;
}
