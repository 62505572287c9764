/*
 * A command line for QEMU while it is being put together: words, quoted for the shell, and remarks
 * about what they cannot say.  A failure is remembered and told at the end.
 */
#ifndef EXPORT_QEMU_LINE_H
#define EXPORT_QEMU_LINE_H

#include <stdio.h>

#include "vmm/base/util.h"

struct qemu_line {
	FILE *words, *remarks;
	char *words_text, *remarks_text;
	size_t words_len, remarks_len;
	/* The value that is being put together, between qemu_begin and qemu_end. */
	FILE *value;
	char *value_text;
	size_t value_len;
	bool failed;
};

void qemu_line_init(struct qemu_line *line);

/*
 * Write the remarks as comments, then the command.  Everything is freed, whatever happens.
 * Returns 0 or -ENOMEM with an error chain.
 */
MUST_USE int qemu_line_finish(struct qemu_line *line, FILE *out);

/* An option without a value, or with one that is taken as it is. */
void qemu_word(struct qemu_line *line, const char *option, const char *value);

/* An option whose value is a list, "virtio-blk-pci,drive=disk0": its beginning ... */
void qemu_begin(struct qemu_line *line, const char *option, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
/* ... any text that has no comma of a user's in it ... */
void qemu_put(struct qemu_line *line, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* ... ",key=" and a user's text, in which commas are written twice ... */
void qemu_put_text(struct qemu_line *line, const char *key, const char *text);
/* ... the name of a file, which is never taken for an address ... */
void qemu_put_path(struct qemu_line *line, const char *key, const char *path);
/* ... and its end. */
void qemu_end(struct qemu_line *line);

/* Say what has no equivalent; what is no plain text in it becomes '?'. */
void qemu_remark(struct qemu_line *line, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
