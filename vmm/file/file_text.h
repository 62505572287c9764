/*
 * The text of a VM file: read whole, with a limit, and judged before any parser sees it.  What
 * passes is UTF-8 without NUL, byte order mark and control characters (tabs and line ends are
 * fine).
 */
#ifndef VMM_FILE_FILE_TEXT_H
#define VMM_FILE_FILE_TEXT_H

#include <sys/types.h>

#include "vmm/base/util.h"

enum { FILE_TEXT_MAX = 1 << 20 };

struct file_text {
	char *data;		/* owned, ends with a NUL that 'len' does not count */
	size_t len;
	dev_t dev;		/* which file it was, however it is called */
	ino_t ino;
};

/*
 * Read file 'path', "-": standard input.  With 'regular' nothing else than a regular file is read,
 * as others might not end.  Returns 0 and an owned text, or with an error chain -ENOENT and others
 * of open and read, -EISDIR, -EINVAL (not regular), -EFBIG (more than FILE_TEXT_MAX), -ENOMEM.
 */
MUST_USE int file_text_read(struct file_text *out, const char *path, bool regular);
void file_text_free(struct file_text *text);

/* What is wrong at one place. */
struct file_flaw {
	unsigned line, column;	/* from 1, in characters */
	char text[200];		/* a sentence */
};

/* Is it what is promised above?  If not, 'flaw' says where the first other byte is. */
bool file_text_judge(const struct file_text *text, struct file_flaw *flaw);

/* Does it begin as a kernel or another program would, or hold NUL bytes as no text does? */
bool file_text_is_binary(const struct file_text *text);

/*
 * In a text that begins as a JSON object, write what YAML does not know as it does: JSON has two
 * escapes for a character beyond U+FFFF ("\ud83d\ude00"), and tabs before its first brace.  The
 * text may become shorter.
 */
void file_text_adapt_json(struct file_text *text);

#endif
