#include "vmm/export/qemu_line.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"

static FILE *open_text(struct qemu_line *line, char **text, size_t *len)
{
	FILE *out = open_memstream(text, len);

	line->failed |= !out;
	return out;
}

static void close_text(struct qemu_line *line, FILE **out)
{
	if (*out && (ferror(*out) | (fclose(*out) != 0)))
		line->failed = true;
	*out = NULL;
}

void qemu_line_init(struct qemu_line *line)
{
	memset(line, 0, sizeof(*line));
	line->words = open_text(line, &line->words_text, &line->words_len);
	line->remarks = open_text(line, &line->remarks_text, &line->remarks_len);
}

int qemu_line_finish(struct qemu_line *line, FILE *out)
{
	close_text(line, &line->words);
	close_text(line, &line->remarks);
	if (!line->failed)
		fprintf(out, "%sqemu-system-x86_64%s\n", line->remarks_text, line->words_text);
	free(line->words_text);
	free(line->remarks_text);
	return line->failed ? error_set(ENOMEM, "write a command line for QEMU") : 0;
}

/* One word for a POSIX shell.  POSIX.1-2017, Shell Command Language, 2.2.2 "Single-Quotes" */
static void put_quoted(FILE *out, const char *text)
{
	bool is_plain = *text != '\0';

	for (const char *p = text; *p; p++)
		is_plain &= isalnum((unsigned char)*p) || strchr("/_.,:=+-@%", *p);
	if (is_plain) {
		fputs(text, out);
		return;
	}
	fputc('\'', out);
	for (const char *p = text; *p; p++) {
		if (*p == '\'')
			fputs("'\\''", out);
		else
			fputc(*p, out);
	}
	fputc('\'', out);
}

void qemu_word(struct qemu_line *line, const char *option, const char *value)
{
	if (line->failed)
		return;
	fprintf(line->words, " \\\n\t%s", option);
	if (value) {
		fputc(' ', line->words);
		put_quoted(line->words, value);
	}
}

void qemu_begin(struct qemu_line *line, const char *option, const char *fmt, ...)
{
	va_list ap;

	line->value = open_text(line, &line->value_text, &line->value_len);
	if (line->failed)
		return;
	fprintf(line->words, " \\\n\t%s ", option);
	va_start(ap, fmt);
	vfprintf(line->value, fmt, ap);
	va_end(ap);
}

void qemu_put(struct qemu_line *line, const char *fmt, ...)
{
	va_list ap;

	if (line->failed)
		return;
	va_start(ap, fmt);
	vfprintf(line->value, fmt, ap);
	va_end(ap);
}

static void put_doubled(struct qemu_line *line, const char *text)
{
	for (const char *p = text; *p; p++) {
		if (*p == ',')
			fputc(',', line->value);
		fputc(*p, line->value);
	}
}

void qemu_put_text(struct qemu_line *line, const char *key, const char *text)
{
	if (line->failed)
		return;
	fprintf(line->value, ",%s=", key);
	put_doubled(line, text);
}

void qemu_put_path(struct qemu_line *line, const char *key, const char *path)
{
	if (line->failed)
		return;
	fprintf(line->value, ",%s=%s", key, *path == '/' ? "" : "./");
	put_doubled(line, path);
}

void qemu_end(struct qemu_line *line)
{
	close_text(line, &line->value);
	if (!line->failed)
		put_quoted(line->words, line->value_text);
	free(line->value_text);
	line->value_text = NULL;
}

void qemu_remark(struct qemu_line *line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (line->failed)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	fprintf(line->remarks, "# %s\n", text);
}
