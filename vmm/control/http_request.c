#include "vmm/control/http_request.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "vmm/base/text.h"

static const char *const methods[HTTP_METHODS] = {
	[HTTP_GET] = "GET",
	[HTTP_HEAD] = "HEAD",
	[HTTP_PUT] = "PUT",
	[HTTP_POST] = "POST",
};

const char *http_method_name(enum http_method method)
{
	return methods[method];
}

const char *http_status_text(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} table[] = {
		{ 200, "OK" },
		{ 202, "Accepted" },
		{ 400, "Bad Request" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 417, "Expectation Failed" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].status == status)
			return table[i].text;
	return "Error";
}

/* --- Pieces of a line ------------------------------------------------------------------------ */

struct judge {
	struct http_request *rq;
	unsigned status;
	const char *why;
	bool has_host, has_length;
};

static bool refuse(struct judge *j, unsigned status, const char *why)
{
	j->status = status;
	j->why = why;
	return false;
}

static bool is(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && !strncasecmp(s, word, len);
}

/* RFC 9110 5.6.2 "Tokens" */
static bool is_token(const char *s, size_t len)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
		if (!letter && !(c >= '0' && c <= '9') && (c == 0 || !strchr(others, c)))
			return false;
	}
	return len > 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode "%2F" and the like into 'out'; false for what is none, and for control characters. */
static bool decode_path(const char *s, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)s[i];
		if (c == '%') {
			int high = len - i > 2 ? hex_digit(s[i + 1]) : -1;
			int low = len - i > 2 ? hex_digit(s[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = high << 4 | low;
			i += 2;
		}
		if (c < 0x20 || c == 0x7f)
			return false;
		*out++ = (char)c;
	}
	*out = '\0';
	return true;
}

static bool read_target(struct judge *j, const char *s, size_t len)
{
	const char *mark = memchr(s, '?', len);
	size_t path_len = mark ? (size_t)(mark - s) : len;
	size_t query_len = mark ? len - path_len - 1 : 0;

	if (path_len >= HTTP_PATH_SIZE || query_len >= HTTP_PATH_SIZE)
		return refuse(j, 414, "the path or the query is longer than 255 bytes");
	if (len == 0 || *s != '/' || !decode_path(s, path_len, j->rq->path))
		return refuse(j, 400, "the request's target is no path");
	for (size_t i = 0; i < query_len; i++) {
		char c = mark[1 + i];
		if (c <= ' ' || c == 0x7f)
			return refuse(j, 400, "the query has characters that it may not have");
		j->rq->query[i] = c;
	}
	j->rq->query[query_len] = '\0';
	return true;
}

/* "GET /path?query HTTP/1.1".  RFC 9112 3 "Request Line" */
static bool read_request_line(struct judge *j, const char *s, size_t len)
{
	const char *space = memchr(s, ' ', len);
	const char *last = memrchr(s, ' ', len);
	unsigned m = 0;

	if (!space || last == space || !is_token(s, (size_t)(space - s)))
		return refuse(j, 400, "this is no request line of HTTP");
	const char *version = last + 1;
	size_t version_len = len - (size_t)(version - s);
	if (version_len != 8 || memcmp(version, "HTTP/", 5) != 0)
		return refuse(j, 400, "this is no request line of HTTP");
	if (memcmp(version + 5, "1.1", 3) != 0 && memcmp(version + 5, "1.0", 3) != 0)
		return refuse(j, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	j->rq->keep_alive = version[7] == '1';
	j->has_host = version[7] == '0';	/* it need not have one */
	while (m < HTTP_METHODS && (strlen(methods[m]) != (size_t)(space - s) ||
				    memcmp(methods[m], s, (size_t)(space - s)) != 0))
		m++;
	if (m == HTTP_METHODS)
		return refuse(j, 501, "the method is none of GET, HEAD, PUT, POST");
	j->rq->method = (enum http_method)m;
	return read_target(j, space + 1, (size_t)(last - space - 1));
}

/* RFC 9112 6.3 "Message Body Length" */
static bool read_length(struct judge *j, const char *s, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return refuse(j, 400, "Content-Length is no number");
		n = min_u64(n * 10 + (uint64_t)(s[i] - '0'), UINT32_MAX);
	}
	if (len == 0 || (j->has_length && n != j->rq->body_len))
		return refuse(j, 400, "Content-Length is empty, or there are two");
	j->has_length = true;
	if (n > HTTP_BODY_MAX)
		return refuse(j, 413, "the body is longer than 65536 bytes");
	j->rq->body_len = n;
	return true;
}

static bool read_field(struct judge *j, const char *s, size_t len)
{
	const char *colon = memchr(s, ':', len);
	size_t name_len = colon ? (size_t)(colon - s) : 0;

	if (!colon || !is_token(s, name_len))
		return refuse(j, 400, "a header line has no name");
	const char *value = colon + 1;
	size_t value_len = len - name_len - 1;
	while (value_len > 0 && (*value == ' ' || *value == '\t')) {
		value++;
		value_len--;
	}
	while (value_len > 0 && (value[value_len - 1] == ' ' || value[value_len - 1] == '\t'))
		value_len--;
	if (is(s, name_len, "Content-Length"))
		return read_length(j, value, value_len);
	if (is(s, name_len, "Transfer-Encoding"))
		return refuse(j, 501, "bodies in chunks are not taken: give Content-Length");
	if (is(s, name_len, "Host")) {
		j->has_host = true;
	} else if (is(s, name_len, "Connection")) {
		if (is(value, value_len, "close"))
			j->rq->keep_alive = false;
		else if (is(value, value_len, "keep-alive"))
			j->rq->keep_alive = true;
	} else if (is(s, name_len, "Expect")) {
		if (!is(value, value_len, "100-continue"))
			return refuse(j, 417, "the only expectation that can be met is "
					      "100-continue");
		j->rq->expects_continue = true;
	}
	return true;
}

/* --- The head -------------------------------------------------------------------------------- */

/* Lines end with CR LF; nothing below a space but tabs stands in them. */
static bool is_clean(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f)
			return false;
	return true;
}

static bool read_lines(struct judge *j, const char *buf, size_t len)
{
	bool first = true;

	for (const char *s = buf, *end = buf + len; s < end;) {
		const char *nl = memchr(s, '\n', (size_t)(end - s));
		if (!nl || nl == s || nl[-1] != '\r' || !is_clean(s, (size_t)(nl - 1 - s)))
			return refuse(j, 400, "a line of the head does not end with CR LF, or has "
					      "control characters");
		size_t line_len = (size_t)(nl - 1 - s);
		if (line_len == 0)
			break;
		if (!(first ? read_request_line(j, s, line_len) : read_field(j, s, line_len)))
			return false;
		first = false;
		s = nl + 1;
	}
	if (first)
		return refuse(j, 400, "there is no request line");
	if (!j->has_host)
		return refuse(j, 400, "HTTP/1.1 wants a Host line");
	return true;
}

enum http_verdict http_request_judge(struct http_request *rq, const char *buf, size_t len,
				     unsigned *status, const char **why)
{
	struct judge j = { .rq = rq };
	const char *end = memmem(buf, len, "\r\n\r\n", 4);

	memset(rq, 0, sizeof(*rq));
	if (!end) {
		/* Who does not speak HTTP is told at once, not when his 8 KiB are full. */
		const char *nl = memchr(buf, '\n', len);
		if (nl && (nl == buf || nl[-1] != '\r')) {
			refuse(&j, 400, "a line of the head does not end with CR LF");
		} else if (len >= HTTP_HEAD_MAX) {
			refuse(&j, 431, "the head is longer than 8192 bytes");
		} else {
			return HTTP_INCOMPLETE;
		}
	} else if (read_lines(&j, buf, (size_t)(end + 4 - buf))) {
		rq->head_len = (size_t)(end + 4 - buf);
		return HTTP_COMPLETE;
	}
	*status = j.status;
	*why = j.why;
	return HTTP_REFUSED;
}

int http_query_number(const char *query, const char *key, uint64_t *out)
{
	size_t key_len = strlen(key);

	while (*query) {
		size_t len = strcspn(query, "&");
		if (len > key_len && query[key_len] == '=' && !strncmp(query, key, key_len)) {
			char text[24];
			size_t value_len = len - key_len - 1;
			if (value_len >= sizeof(text))
				return -EINVAL;
			memcpy(text, query + key_len + 1, value_len);
			text[value_len] = '\0';
			return text_parse_u64(text, out) < 0 ? -EINVAL : 1;
		}
		query += len;
		query += *query == '&';
	}
	return 0;
}
