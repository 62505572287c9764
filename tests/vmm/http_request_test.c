#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "vmm/control/http_request.h"

static struct http_request rq;
static unsigned status;
static const char *why;

static enum http_verdict judge(const char *text)
{
	return http_request_judge(&rq, text, strlen(text), &status, &why);
}

static void expect_refused(const char *text, unsigned wanted)
{
	cr_expect_eq(judge(text), HTTP_REFUSED, "%s", text);
	cr_expect_eq(status, wanted, "%s: %u, %s", text, status, why);
}

Test(http_request, is_read)
{
	const char *text = "PUT /v1/devices/a%20b%2Fc/link?x=1&y HTTP/1.1\r\nHost: x\r\n"
			   "content-length:  12 \r\nExpect: 100-Continue\r\n\r\nbody";

	cr_assert_eq(judge(text), HTTP_COMPLETE);
	cr_expect_eq(rq.method, HTTP_PUT);
	cr_expect_str_eq(rq.path, "/v1/devices/a b/c/link");
	cr_expect_str_eq(rq.query, "x=1&y");
	cr_expect_eq(rq.head_len, strlen(text) - 4);
	cr_expect_eq(rq.body_len, 12);
	cr_expect(rq.keep_alive);
	cr_expect(rq.expects_continue);
}

Test(http_request, says_whether_the_connection_stays)
{
	cr_assert_eq(judge("GET / HTTP/1.0\r\n\r\n"), HTTP_COMPLETE);
	cr_expect_not(rq.keep_alive);
	cr_assert_eq(judge("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), HTTP_COMPLETE);
	cr_expect(rq.keep_alive);
	cr_assert_eq(judge("GET / HTTP/1.1\r\nHost:\r\nConnection: Close\r\n\r\n"), HTTP_COMPLETE);
	cr_expect_not(rq.keep_alive);
}

Test(http_request, is_incomplete_at_every_length_before_its_end)
{
	const char *text = "GET /v1/vm HTTP/1.1\r\nHost: x\r\n\r\n";

	for (size_t len = 0; len < strlen(text); len++)
		cr_assert_eq(http_request_judge(&rq, text, len, &status, &why), HTTP_INCOMPLETE,
			     "%zu", len);
	cr_assert_eq(judge(text), HTTP_COMPLETE);
}

Test(http_request, that_breaks_a_rule_is_refused)
{
	expect_refused("hello\n", 400);
	expect_refused("\r\n\r\n", 400);
	expect_refused("GET /\r\n\r\n", 400);
	expect_refused("GET / HTTP/1.1\n", 400);
	expect_refused("GET / HTTP/1.1\r\n\r\n", 400);		/* no Host */
	expect_refused("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505);
	expect_refused("GET / XTTP/1.1\r\nHost: x\r\n\r\n", 400);
	expect_refused("get / HTTP/1.1\r\nHost: x\r\n\r\n", 501);
	expect_refused("BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501);
	expect_refused("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400);
	expect_refused("GET /%0 HTTP/1.1\r\nHost: x\r\n\r\n", 400);
	expect_refused("GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400);
	expect_refused("GET /%g1 HTTP/1.1\r\nHost: x\r\n\r\n", 400);
	expect_refused("GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n", 400);
	expect_refused("GET /?a b HTTP/1.1\r\nHost: x\r\n\r\n", 400);
	expect_refused("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400);
	expect_refused("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400);
	expect_refused("GET / HTTP/1.1\r\nHost: \x01\r\n\r\n", 400);
	expect_refused("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400);
	expect_refused("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400);
	expect_refused("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
		       "Content-Length: 2\r\n\r\n", 400);
	expect_refused("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n", 413);
	expect_refused("PUT / HTTP/1.1\r\nHost: x\r\n"
		       "Content-Length: 99999999999999999999999999\r\n\r\n", 413);
	expect_refused("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 501);
	expect_refused("PUT / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n", 417);
}

Test(http_request, that_is_too_long_is_refused)
{
	static char text[HTTP_HEAD_MAX + 1];

	memset(text, 'a', HTTP_HEAD_MAX);
	expect_refused(text, 431);
	memcpy(text, "GET /", 5);
	strcpy(text + 5 + 255, " HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_refused(text, 414);
	memset(text + 5, 'a', 254);
	strcpy(text + 5 + 254, " HTTP/1.1\r\nHost: x\r\n\r\n");
	cr_assert_eq(judge(text), HTTP_COMPLETE);
	cr_assert_eq(strlen(rq.path), 255);
}

Test(http_request, has_numbers_in_its_query)
{
	uint64_t n = 7;

	cr_assert_eq(http_query_number("a=1&tail=20", "tail", &n), 1);
	cr_assert_eq(n, 20);
	cr_assert_eq(http_query_number("tail=0x10&a", "tail", &n), 1);
	cr_assert_eq(n, 16);
	cr_assert_eq(http_query_number("xtail=3&tails=4&&", "tail", &n), 0);
	cr_assert_eq(http_query_number("", "tail", &n), 0);
	cr_assert_eq(http_query_number("tail=", "tail", &n), -EINVAL);
	cr_assert_eq(http_query_number("tail=x", "tail", &n), -EINVAL);
	cr_assert_eq(http_query_number("tail=99999999999999999999999999999", "tail", &n), -EINVAL);
	cr_assert_eq(n, 16);
}
