#include "vmm/test/escape.h"

#include <string.h>

#include "vmm/test/plain_text.h"

static unsigned put_char(FILE *out, uint32_t c)
{
	char bytes[4];
	unsigned len = char_encode(bytes, c);

	fwrite(bytes, 1, len, out);
	return len;
}

static unsigned put(FILE *out, const char *entity)
{
	fputs(entity, out);
	return (unsigned)strlen(entity);
}

unsigned escape_html_char(FILE *out, uint32_t c)
{
	switch (c) {
	case '<': return put(out, "&lt;");
	case '>': return put(out, "&gt;");
	case '&': return put(out, "&amp;");
	case '"': return put(out, "&quot;");
	case '\'': return put(out, "&#39;");
	default: return put_char(out, c);
	}
}

void escape_html(FILE *out, const char *text)
{
	struct plain_text t = { .bytes = text, .len = text ? strlen(text) : 0 };
	struct plain_char c;

	while (plain_text_next(&t, &c))
		escape_html_char(out, c.c);
}

void escape_tap(FILE *out, const char *text)
{
	struct plain_text t = { .bytes = text, .len = text ? strlen(text) : 0 };
	struct plain_char c;

	while (plain_text_next(&t, &c)) {
		if (c.c == '#' || c.c == '\\')
			fputc('\\', out);
		put_char(out, c.c == '\n' || c.c == '\t' ? ' ' : c.c);
	}
}

void escape_yaml(FILE *out, const char *text)
{
	struct plain_text t = { .bytes = text, .len = text ? strlen(text) : 0 };
	struct plain_char c;

	fputc('"', out);
	while (plain_text_next(&t, &c)) {
		switch (c.c) {
		case '\n': fputs("\\n", out); break;
		case '\t': fputs("\\t", out); break;
		case '"': fputs("\\\"", out); break;
		case '\\': fputs("\\\\", out); break;
		default: put_char(out, c.c);
		}
	}
	fputc('"', out);
}

/* Would the text up to its end fit into 'most' columns? */
static bool fits(struct plain_text t, unsigned most)
{
	struct plain_char c;
	unsigned width = 0;

	while (width <= most && plain_text_next(&t, &c))
		width += char_width(c.c);
	return width <= most;
}

unsigned escape_line(FILE *out, const char *text, unsigned most)
{
	struct plain_text t = { .bytes = text, .len = text ? strlen(text) : 0 };
	bool whole = fits(t, most);
	unsigned room = whole ? most : most > 3 ? most - 3 : 0, width = 0, signs = 0;
	struct plain_char c;

	/* Signs of no width are bounded, too: a line may have more of them than memory. */
	while (plain_text_next(&t, &c) && width + char_width(c.c) <= room && signs++ < 2 * most) {
		put_char(out, c.c == '\n' || c.c == '\t' ? ' ' : c.c);
		width += char_width(c.c);
	}
	for (unsigned i = 0; !whole && i < 3 && width < most; i++, width++)
		fputc('.', out);
	return width;
}

void escape_shell(FILE *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-./:,=+@%";

	if (*word && word[strspn(word, plain)] == 0) {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	}
	fputc('\'', out);
}
