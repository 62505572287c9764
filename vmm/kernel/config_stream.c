#include "vmm/kernel/config_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/kernel/kernel_config.h"

/*
 * A mark begins with its only 'I', so that after a mismatch it can only begin anew at that byte.
 * The first has the beginning of a gzip stream with it: programs that look for it have the words.
 */
static const char begin_mark[] = "IKCFG_ST\x1f\x8b\x08";
static const char end_mark[] = "IKCFG_ED";
enum { BEGIN_LEN = sizeof(begin_mark) - 1, END_LEN = sizeof(end_mark) - 1, GZIP_LEN = 3 };

static void forget_text(struct config_stream *stream)
{
	free(stream->text);
	stream->text = NULL;
	stream->text_len = stream->text_room = 0;
	stream->is_no_text = true;
}

static int keep_text(struct config_stream *stream, const uint8_t *data, size_t len)
{
	if (stream->is_no_text)
		return 0;
	if (len > KERNEL_CONFIG_MAX - stream->text_len || memchr(data, '\0', len)) {
		forget_text(stream);
		return 0;
	}
	if (stream->text_room - stream->text_len < len + 1) {
		size_t room = 2 * (stream->text_len + len + 1);
		char *text = realloc(stream->text, room);

		if (!text)
			return error_set(ENOMEM, "read a kernel configuration");
		stream->text = text;
		stream->text_room = room;
	}
	memcpy(stream->text + stream->text_len, data, len);
	stream->text_len += len;
	return 0;
}

/* Does this byte complete the mark? */
static bool match(struct config_stream *stream, const char *mark, unsigned len, uint8_t byte)
{
	if (byte != (uint8_t)mark[stream->matched]) {
		stream->matched = byte == (uint8_t)mark[0];
		return false;
	}
	if (++stream->matched < len)
		return false;
	stream->matched = 0;
	return true;
}

/* Returns how many bytes were looked at, up to and with the last one of the mark. */
static size_t search(struct config_stream *stream, const uint8_t *data, size_t len)
{
	size_t i = 0;

	while (i < len) {
		if (stream->matched == 0) {
			const uint8_t *next = memchr(data + i, begin_mark[0], len - i);

			if (!next)
				return len;
			i = (size_t)(next - data);
		}
		if (match(stream, begin_mark, BEGIN_LEN, data[i++])) {
			stream->state = CONFIG_STREAM_COLLECT;
			memcpy(stream->packed, begin_mark + BEGIN_LEN - GZIP_LEN, GZIP_LEN);
			stream->packed_len = GZIP_LEN;
			break;
		}
	}
	return i;
}

static size_t collect(struct config_stream *stream, const uint8_t *data, size_t len)
{
	size_t i = 0;

	while (i < len) {
		/* Without an end it was none. */
		if (stream->packed_len == CONFIG_STREAM_PACKED_MAX) {
			stream->state = CONFIG_STREAM_SEARCH;
			stream->matched = 0;
			break;
		}
		stream->packed[stream->packed_len++] = data[i];
		if (match(stream, end_mark, END_LEN, data[i++])) {
			stream->state = CONFIG_STREAM_FOUND;
			break;
		}
	}
	return i;
}

int config_stream_write(void *arg, const uint8_t *data, size_t len)
{
	struct config_stream *stream = arg;
	int r = keep_text(stream, data, len);

	if (r == 0 && !stream->packed && !(stream->packed = malloc(CONFIG_STREAM_PACKED_MAX)))
		r = error_set(ENOMEM, "look for a kernel configuration");
	while (r == 0 && len && stream->state != CONFIG_STREAM_FOUND) {
		size_t n = stream->state == CONFIG_STREAM_SEARCH ? search(stream, data, len)
								 : collect(stream, data, len);
		data += n;
		len -= n;
	}
	if (r == 0 && stream->state == CONFIG_STREAM_FOUND)
		r = error_set(ECANCELED, "found");
	return r;
}

void config_stream_fini(struct config_stream *stream)
{
	free(stream->text);
	free(stream->packed);
	*stream = (struct config_stream){ 0 };
}
