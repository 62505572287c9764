#include "vmm/mistakes.h"

#include <stdarg.h>
#include <string.h>

#include "vmm/outcome.h"

/* How many includes lead to a file is told up to this many. */
enum { INCLUDERS_SHOWN = 3, SENTENCE_SIZE = 512 };

static bool is_before(const struct mistake_order *a, const struct mistake_order *b)
{
	if (a->file != b->file)
		return a->file < b->file;
	if (a->line != b->line)
		return a->line < b->line;
	return a->column < b->column;
}

/* Where the next mistake is written to, those behind it moved; NULL: behind all that are shown. */
static char *make_place(struct mistakes *mistakes, const struct mistake_order *order)
{
	unsigned n = mistakes->n < MISTAKES_SHOWN ? mistakes->n : MISTAKES_SHOWN;
	unsigned at = n;

	mistakes->n++;
	while (at > 0 && is_before(order, &mistakes->order[at - 1]))
		at--;
	if (at == MISTAKES_SHOWN)
		return NULL;
	unsigned n_moved = n - at - (n == MISTAKES_SHOWN);
	memmove(&mistakes->order[at + 1], &mistakes->order[at], n_moved * sizeof(*order));
	memmove(mistakes->line[at + 1], mistakes->line[at], n_moved * sizeof(mistakes->line[0]));
	mistakes->order[at] = *order;
	return mistakes->line[at];
}

static size_t add_text(char *line, size_t len, const char *fmt, ...) PRINTF_LIKE(3, 4);
static size_t add_text(char *line, size_t len, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line + len, MISTAKE_SIZE - len, fmt, ap);
	va_end(ap);
	return len + (size_t)n < MISTAKE_SIZE ? len + (size_t)n : MISTAKE_SIZE - 1;
}

static void write_line(char *line, const struct origin *at, const char *sentence)
{
	const struct origin_file *file = at ? at->file : NULL;
	size_t len = 0;

	if (file && at->line)
		len = add_text(line, len, "%.100s:%u:%u: ", file->name, at->line, at->column);
	else if (file)
		len = add_text(line, len, "%.100s: ", file->name);
	len = add_text(line, len, "%s", sentence);
	if (!file || !file->includer)
		return;
	len = add_text(line, len, " (in %.40s", file->name);
	for (unsigned i = 0; file->includer && i < INCLUDERS_SHOWN; i++, file = file->includer)
		len = add_text(line, len, ", included from %.40s:%u:%u", file->includer->name,
			       file->line, file->column);
	add_text(line, len, ")");
}

static void add(struct mistakes *mistakes, const struct origin *at, int status, const char *fmt,
		va_list ap)
{
	/* What is in no file stands behind all that is. */
	struct mistake_order order = { .file = UINT32_MAX };
	char sentence[SENTENCE_SIZE];

	if (at && at->file)
		order = (struct mistake_order){ at->file->number, at->line, at->column };
	if (mistakes->n == 0)
		mistakes->status = status;
	char *line = make_place(mistakes, &order);
	if (!line)
		return;
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	write_line(line, at, sentence);
}

void mistakes_add(struct mistakes *mistakes, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(mistakes, NULL, STATUS_FAILED, fmt, ap);
	va_end(ap);
}

void mistakes_add_at(struct mistakes *mistakes, const struct origin *at, int status,
		     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(mistakes, at, status, fmt, ap);
	va_end(ap);
}

/* Files and arguments can hold any byte. */
static void print_line(const char *line, FILE *out)
{
	fputs("vireo: ", out);
	for (const char *p = line; *p; p++)
		putc((unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p, out);
	putc('\n', out);
}

void mistakes_print(const struct mistakes *mistakes, FILE *out)
{
	unsigned shown = mistakes->n < MISTAKES_SHOWN ? mistakes->n : MISTAKES_SHOWN;

	for (unsigned i = 0; i < shown; i++)
		print_line(mistakes->line[i], out);
	if (mistakes->n > shown)
		fprintf(out, "vireo: and %u more mistakes\n", mistakes->n - shown);
}
