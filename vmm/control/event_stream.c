#include "vmm/control/event_stream.h"

#include <stdio.h>
#include <string.h>

/* How many bytes of UTF-8 begin at 's' (1 for ASCII), 0 if none do.  Unicode 15, table 3-7. */
static unsigned utf8_length(const unsigned char *s)
{
	unsigned n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (n == 1)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	for (unsigned i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static char *put_text(char *out, const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		unsigned n = utf8_length(s);
		if (n == 0) {
			*out++ = '?';
			s++;
		} else if (*s < 0x20 || *s == 0x7f) {
			out += snprintf(out, 7, "\\u%04x", *s++);
		} else {
			if (*s == '"' || *s == '\\')
				*out++ = '\\';
			memcpy(out, s, n);
			out += n;
			s += n;
		}
	}
	return out;
}

size_t event_line(char line[EVENT_LINE_SIZE], const struct event *e, uint64_t since_ns)
{
	uint64_t us = e->ns > since_ns ? (e->ns - since_ns) / 1000 : 0;
	char *p = line;

	p += snprintf(p, 128, "{\"number\":%llu,\"time_ms\":%llu.%03u,",
		      (unsigned long long)e->number, (unsigned long long)(us / 1000),
		      (unsigned)(us % 1000));
	p += snprintf(p, 64, "\"kind\":\"%s\",\"subject\":\"", event_kind_name(e->kind));
	p = put_text(p, e->subject);
	p += snprintf(p, 48, "\",\"value\":%lld,\"text\":\"", (long long)e->value);
	p = put_text(p, e->text);
	memcpy(p, "\"}\n", 3);
	return (size_t)(p + 3 - line);
}

size_t event_lines(char *buf, size_t size, uint64_t *next, uint64_t *lost, uint64_t since_ns)
{
	size_t len = 0;
	struct event e;

	while (size - len >= EVENT_LINE_SIZE + 48 && event_log_read(next, &e, 1, lost) == 1) {
		if (*lost > 0)
			len += (size_t)snprintf(buf + len, 48, "{\"lost\":%llu}\n",
						(unsigned long long)*lost);
		*lost = 0;
		len += event_line(buf + len, &e, since_ns);
	}
	return len;
}
