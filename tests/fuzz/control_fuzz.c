/*
 * Anything as what a client of the control socket says: one request after the other goes through
 * the judge of heads and, with its body, to the handlers of a VM that does not run.  The oracle: a
 * verdict does not change when more bytes come, what is accepted keeps its limits, and each answer
 * has a status of HTTP and, where it says so, is JSON.
 */
#include "tests/fuzz/fuzz_input.h"
#include "vmm/control/control_impl.h"

#if HAVE_JANSSON

#include <jansson.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/mistakes.h"

static struct event_loop *loop;
static struct vm_config config;
static struct control control;
static char text[] = "{}";

static void make_vm(void)
{
	struct mistakes mistakes = { 0 };
	enum outcome_blame blame;

	log_set_level(LOG_ERROR);
	CHECK(event_loop_create(&loop, "fuzz") == 0);
	CHECK(config_init(&config) == 0);
	config.balloon.given = true;
	config.name = strdup("fuzz");
	config_validate(&config, &mistakes);
	control = (struct control){
		.config = &config, .loop = loop, .status_fd = FD_NONE, .config_text = text,
	};
	CHECK(vm_look(&control.vm, &config, loop, &blame) == 0);
}

/* The verdict on 'len' bytes; what came before them must have had the same, or none. */
static enum http_verdict judge(struct http_request *rq, const char *data, size_t len)
{
	struct http_request before;
	unsigned status, early_status;
	const char *why = NULL;
	enum http_verdict early = http_request_judge(&before, data, len / 2, &early_status, &why);
	enum http_verdict verdict = http_request_judge(rq, data, len, &status, &why);

	if (early != HTTP_INCOMPLETE)
		CHECK(verdict == early);
	if (early == HTTP_COMPLETE)
		CHECK(before.head_len == rq->head_len && !strcmp(before.path, rq->path) &&
		      before.body_len == rq->body_len);
	if (verdict == HTTP_REFUSED)
		CHECK(status >= 400 && status < 600 && why && *why);
	if (verdict == HTTP_COMPLETE) {
		CHECK(rq->head_len > 0 && rq->head_len <= len && rq->body_len <= HTTP_BODY_MAX);
		CHECK(rq->method < HTTP_METHODS && rq->path[0] == '/');
		CHECK(memchr(rq->path, 0, sizeof(rq->path)) &&
		      memchr(rq->query, 0, sizeof(rq->query)));
	}
	return verdict;
}

static void check_reply(struct http_reply *reply)
{
	char buf[HTTP_CHUNK_SIZE];
	bool end = false;

	CHECK(reply->status >= 200 && reply->status < 600);
	CHECK(strcmp(http_status_text(reply->status), "Error") != 0);
	CHECK(reply->type != NULL);
	if (reply->body && strstr(reply->type, "json")) {
		json_t *value = json_loadb(reply->body, reply->len, 0, NULL);
		CHECK(json_is_object(value));
		json_decref(value);
	}
	for (unsigned i = 0; reply->stream.fill && !end && i < 100; i++)
		CHECK(reply->stream.fill(&reply->stream, buf, sizeof(buf), &end) <= sizeof(buf));
	CHECK(!reply->stream.fill || end || reply->stream.follow);
	free(reply->body);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const char *data = (const char *)bytes;
	struct http_request rq;

	if (!loop)
		make_vm();
	while (judge(&rq, data, min_u64(len, HTTP_HEAD_MAX)) == HTTP_COMPLETE) {
		struct http_reply reply = { 0 };

		data += rq.head_len;
		len -= rq.head_len;
		/* A body that was cut short is a shorter one. */
		rq.body_len = min_u64(rq.body_len, len);
		char *body = malloc(rq.body_len + 1);
		memcpy(body, data, rq.body_len);
		control_handle(&control, &rq, rq.body_len ? body : NULL, &reply);
		free(body);
		check_reply(&reply);
		CHECK(error_errno() == 0);
		data += rq.body_len;
		len -= rq.body_len;
	}
	event_loop_unpost(loop, &control.order);
	return 0;
}

#else

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	(void)bytes;
	(void)len;
	return 0;
}

#endif
