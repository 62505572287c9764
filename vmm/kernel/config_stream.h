/*
 * Looking for a kernel configuration in bytes that come by in pieces: they are one, as text, or a
 * kernel is among them that has its own inside (CONFIG_IKCONFIG: a gzip stream between "IKCFG_ST"
 * and "IKCFG_ED").  Bounded, whatever comes.
 */
#ifndef KERNEL_CONFIG_STREAM_H
#define KERNEL_CONFIG_STREAM_H

#include "vmm/base/util.h"

/* What a kernel packs its configuration into; that of Debian's would have 60 thousand bytes. */
enum { CONFIG_STREAM_PACKED_MAX = 1024 * 1024 };

enum config_stream_state { CONFIG_STREAM_SEARCH, CONFIG_STREAM_COLLECT, CONFIG_STREAM_FOUND };

/* Zeroed, it has seen nothing. */
struct config_stream {
	char *text;		/* all bytes, with room for one more, while they may be text */
	size_t text_len, text_room;
	bool is_no_text;
	enum config_stream_state state;
	unsigned matched;	/* characters of the mark that is waited for */
	uint8_t *packed;	/* the gzip stream, with the end mark when it was found */
	size_t packed_len;
};

/*
 * Look at the next 'len' bytes; 'stream' is a struct config_stream.  Returns 0; -ECANCELED (a
 * configuration was found: no more is needed) or -ENOMEM, with an error chain.
 */
MUST_USE int config_stream_write(void *stream, const uint8_t *data, size_t len);
void config_stream_fini(struct config_stream *stream);

#endif
