#include "vmm/file/file_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

/* --- Reading --------------------------------------------------------------------------------- */

static int read_all(struct file_text *out, int fd, const char *path)
{
	for (;;) {
		/* One byte more than allowed shows that there is more. */
		ssize_t n = read(fd, out->data + out->len, FILE_TEXT_MAX + 1 - out->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(errno, "read '%s'", path);
		out->len += (size_t)n;
		if (out->len > FILE_TEXT_MAX)
			return error_set(EFBIG, "read '%s': a VM file has at most 1 MiB", path);
		if (n == 0)
			break;
	}
	out->data[out->len] = '\0';
	return 0;
}

static int read_open(struct file_text *out, int fd, const char *path, bool regular)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(errno, "look at '%s'", path);
	if (S_ISDIR(st.st_mode))
		return error_set(EISDIR, "read '%s'", path);
	if (regular && !S_ISREG(st.st_mode))
		return error_set(EINVAL, "read '%s': it is no regular file", path);
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	out->data = malloc(FILE_TEXT_MAX + 2);
	if (!out->data)
		return error_set(ENOMEM, "read '%s'", path);
	return read_all(out, fd, path);
}

int file_text_read(struct file_text *out, const char *path, bool regular)
{
	/* To open a FIFO waits for who writes it. */
	int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular ? O_NONBLOCK : 0);
	bool is_stdin = !strcmp(path, "-");
	int fd = is_stdin ? STDIN_FILENO : open(path, flags);
	int r;

	*out = (struct file_text){ 0 };
	if (fd < 0)
		return error_set(errno, "open '%s'", path);
	r = read_open(out, fd, path, regular);
	if (!is_stdin)
		fd_close(&fd);
	if (r < 0)
		file_text_free(out);
	return r;
}

void file_text_free(struct file_text *text)
{
	free(text->data);
	*text = (struct file_text){ 0 };
}

/* --- Judging --------------------------------------------------------------------------------- */

/*
 * The length of the UTF-8 sequence at 'p' and its code point; 0: it is none (too long a form,
 * a surrogate, beyond the last one, or cut off).
 */
static unsigned decode(const unsigned char *p, size_t left, uint32_t *code)
{
	static const uint32_t first[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned n = *p < 0x80 ? 1 : *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
	uint32_t c = n == 1 ? *p : *p & (0x7fu >> n);

	if ((*p >= 0x80 && *p < 0xc0) || *p > 0xf4 || n > left)
		return 0;
	for (unsigned i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < first[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*code = c;
	return n;
}

static bool is_text(uint32_t c)
{
	if (c < 0x20)
		return c == '\t' || c == '\n' || c == '\r';
	return c != 0x7f && (c < 0x80 || c >= 0xa0 || c == 0x85) && c != 0xfeff &&
	       c != 0xfffe && c != 0xffff;
}

static bool starts_with(const struct file_text *text, const char *bytes, size_t len)
{
	return text->len >= len && !memcmp(text->data, bytes, len);
}

static void describe(struct file_flaw *flaw, const struct file_text *text, size_t at, unsigned len,
		     uint32_t code)
{
	size_t size = sizeof(flaw->text);

	if (at == 0 && (starts_with(text, "\xff\xfe", 2) || starts_with(text, "\xfe\xff", 2)))
		snprintf(flaw->text, size, "the file is UTF-16; save it as UTF-8");
	else if (at == 0 && code == 0xfeff && len)
		snprintf(flaw->text, size, "a byte order mark begins the file; save it as UTF-8 "
					   "without one");
	else if (len == 0)
		snprintf(flaw->text, size, "byte 0x%02x is no UTF-8; save the file as UTF-8",
			 (unsigned char)text->data[at]);
	else if (code == 0)
		snprintf(flaw->text, size, "a NUL byte: this is no text");
	else
		snprintf(flaw->text, size, "U+%04X is a control character and no text", code);
}

bool file_text_judge(const struct file_text *text, struct file_flaw *flaw)
{
	const unsigned char *p = (const unsigned char *)text->data;
	uint32_t code = 0, before = 0;

	flaw->line = flaw->column = 1;
	for (size_t at = 0; at < text->len;) {
		unsigned n = decode(p + at, text->len - at, &code);

		if (n == 0 || !is_text(code)) {
			describe(flaw, text, at, n, n ? code : 0);
			return false;
		}
		/* A line ends with LF, CR or both. */
		if (code == '\n' && before == '\r') {
			;
		} else if (code == '\n' || code == '\r') {
			flaw->line++;
			flaw->column = 1;
		} else {
			flaw->column++;
		}
		before = code;
		at += n;
	}
	return true;
}

bool file_text_is_binary(const struct file_text *text)
{
	return starts_with(text, "\x7f" "ELF", 4) || starts_with(text, "\x1f\x8b", 2) ||
	       memchr(text->data, '\0', text->len) != NULL;
}

/* --- JSON ------------------------------------------------------------------------------------ */

/* "\\uXXXX" at 'p' of a text that ends with a NUL; 0 if there is none. */
static uint32_t escape_at(const char *p)
{
	uint32_t code = 0;

	if (p[0] != '\\' || p[1] != 'u')
		return 0;
	for (unsigned i = 2; i < 6; i++) {
		static const char digits[] = "0123456789abcdef0123456789ABCDEF";
		const char *digit = p[i] ? strchr(digits, p[i]) : NULL;

		if (!digit)
			return 0;
		code = code << 4 | ((uint32_t)(digit - digits) & 15);
	}
	return code;
}

void file_text_adapt_json(struct file_text *text)
{
	enum { BOTH = 12 };	/* characters of two such escapes */
	const char *from = text->data;
	char *to = text->data;
	bool quoted = false;

	size_t n_space = strspn(text->data, " \t\r\n");

	if (text->data[n_space] != '{')
		return;
	for (; n_space > 0; n_space--, from++, to++)
		if (*from == '\t')
			*to = ' ';
	while (*from) {
		uint32_t high = quoted ? escape_at(from) : 0;
		uint32_t low = high >> 10 == 0xd800 >> 10 ? escape_at(from + 6) : 0;

		if (low >> 10 == 0xdc00 >> 10) {
			char buf[16];
			int n = snprintf(buf, sizeof(buf), "\\U%08X",
					 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff)));
			memcpy(to, buf, (size_t)n);
			to += n;
			from += BOTH;
			continue;
		}
		if (quoted && from[0] == '\\' && from[1])
			*to++ = *from++;
		else if (*from == '"')
			quoted = !quoted;
		*to++ = *from++;
	}
	*to = '\0';
	text->len = (size_t)(to - text->data);
}
