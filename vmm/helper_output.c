#include "vmm/helper_output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/fd.h"

enum { CHUNK_SIZE = 4096, MAX_REST_CHUNKS = 64 };

void helper_output_begin(struct helper_output *o, int fd)
{
	fd_close(&o->fd);
	o->fd = fd;
	o->len = 0;
	o->last[0] = '\0';
}

static void end_line(struct helper_output *o)
{
	o->line[o->len] = '\0';
	if (o->len > 0) {
		memcpy(o->last, o->line, o->len + 1);
		log_guest(&o->log, LOG_INFO, "%s: %s", o->name, o->last);
	}
	o->len = 0;
}

/* A line that is too long goes on without what does not fit. */
static void take(struct helper_output *o, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '\n' || c == '\r')
			end_line(o);
		else if (o->len < HELPER_LINE_SIZE - 1)
			o->line[o->len++] = c < ' ' || c > '~' ? '?' : c;
	}
}

bool helper_output_read(struct helper_output *o)
{
	char chunk[CHUNK_SIZE];
	ssize_t n;

	if (o->fd < 0)
		return false;
	do {
		n = read(o->fd, chunk, sizeof(chunk));
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return true;
	if (n > 0) {
		take(o, chunk, (size_t)n);
		return true;
	}
	return false;
}

void helper_output_end(struct helper_output *o)
{
	char chunk[CHUNK_SIZE];
	ssize_t n;

	/* Whom it started may have the pipe, too, and go on: no end is waited for. */
	for (unsigned i = 0; o->fd >= 0 && i < MAX_REST_CHUNKS; i++) {
		n = read(o->fd, chunk, sizeof(chunk));
		if (n <= 0 && errno != EINTR)
			break;
		if (n > 0)
			take(o, chunk, (size_t)n);
	}
	end_line(o);
	fd_close(&o->fd);
}
