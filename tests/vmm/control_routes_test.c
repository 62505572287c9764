/* The table of resources, its document, and the answers of a VM that only could run. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/loop_pump.h"
#include "vmm/base/error.h"
#include "vmm/control/control_impl.h"
#include "vmm/control/openapi.h"
#include "vmm/mistakes.h"

#if HAVE_JANSSON

#include <jansson.h>

static struct event_loop *loop;
static struct vm_config config;
static struct control control;
static struct http_reply reply;
static char text[] = "{}";

static void set_up(void)
{
	enum outcome_blame blame;
	struct mistakes mistakes = { 0 };

	cr_assert_eq(event_loop_create(&loop, "test"), 0);
	cr_assert_eq(config_init(&config), 0);
	config.balloon.given = true;
	config.name = strdup("web");
	config_validate(&config, &mistakes);
	cr_assert_eq(mistakes.n, 0);
	control = (struct control){ .config = &config, .loop = loop, .status_fd = FD_NONE,
				    .config_text = text };
	cr_assert_eq(vm_look(&control.vm, &config, loop, &blame), 0);
}

static void tear_down(void)
{
	free(reply.body);
	vm_destroy(control.vm);
	config_fini(&config);
	event_loop_destroy(loop);
}

TestSuite(control_routes, .init = set_up, .fini = tear_down, .timeout = 20);

/* Ask, and get the body as JSON (owned by the caller) if it is that. */
static json_t *ask(enum http_method method, const char *path, const char *query, const char *body)
{
	struct http_request rq = { .method = method, .body_len = body ? strlen(body) : 0 };
	json_t *value;

	snprintf(rq.path, sizeof(rq.path), "%s", path);
	snprintf(rq.query, sizeof(rq.query), "%s", query);
	free(reply.body);
	reply = (struct http_reply){ 0 };
	control_handle(&control, &rq, body, &reply);
	value = reply.body ? json_loadb(reply.body, reply.len, 0, NULL) : NULL;
	if (reply.status >= 400) {
		cr_expect_str_eq(reply.type, "application/problem+json");
		cr_expect_eq(json_integer_value(json_object_get(value, "status")), reply.status);
		cr_expect_gt(json_string_length(json_object_get(value, "detail")), 5);
	}
	return value;
}

static void expect(unsigned status, enum http_method method, const char *path, const char *body)
{
	json_decref(ask(method, path, "", body));
	cr_expect_eq(reply.status, status, "%s %s %s: %u %.*s", http_method_name(method), path,
		     body ? body : "", reply.status, (int)reply.len, reply.body ? reply.body : "");
}

/* "  /path:" and "    get:" below it; everything that the document has of these is in the table. */
Test(control_routes, table_and_document_say_the_same)
{
	char *document = strndup(openapi_text, openapi_len()), *save = NULL;
	bool found[64] = { false };
	char path[128] = "";
	bool in_paths = false;

	cr_assert_leq(control_routes_len, ARRAY_SIZE(found));
	for (char *line = strtok_r(document, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (*line != ' ')
			in_paths = !strcmp(line, "paths:");
		if (in_paths && !strncmp(line, "  /", 3)) {
			cr_assert_eq(line[strlen(line) - 1], ':');
			snprintf(path, sizeof(path), "%.*s", (int)strlen(line) - 3, line + 2);
		}
		for (unsigned m = 0; in_paths && m < HTTP_METHODS; m++) {
			char key[16];
			unsigned i = 0;

			snprintf(key, sizeof(key), "    %s:", http_method_name((enum http_method)m));
			if (strcasecmp(key, line) != 0)
				continue;
			while (i < control_routes_len && (control_routes[i].method != m ||
							  strcmp(control_routes[i].path, path)))
				i++;
			cr_expect_lt(i, control_routes_len, "the table has no %s%s", path, key);
			found[i] = true;
		}
	}
	for (unsigned i = 0; i < control_routes_len; i++)
		cr_expect(found[i], "the document has no %s %s",
			  http_method_name(control_routes[i].method), control_routes[i].path);
	free(document);
}

Test(control_routes, of_what_is_not_there_say_so)
{
	expect(404, HTTP_GET, "/", NULL);
	expect(404, HTTP_GET, "/v1", NULL);
	expect(404, HTTP_GET, "/v1/vm/", NULL);
	expect(404, HTTP_GET, "/v1/vmx", NULL);
	expect(404, HTTP_GET, "/v1/devices/", NULL);
	expect(404, HTTP_GET, "/v1/devices/nothing", NULL);
	expect(404, HTTP_GET, "/v1/devices/rng/queues/more", NULL);
	expect(404, HTTP_GET, "/v1/devices/../vm", NULL);
	expect(405, HTTP_POST, "/v1/vm", NULL);
	cr_expect_str_eq(reply.allow, "GET, HEAD");
	expect(405, HTTP_GET, "/v1/vm/pause", NULL);
	cr_expect_str_eq(reply.allow, "POST");
	expect(405, HTTP_POST, "/v1/devices/balloon/balloon", NULL);
	cr_expect_str_eq(reply.allow, "GET, HEAD, PUT");
}

Test(control_routes, judge_bodies)
{
	static const char path[] = "/v1/devices/balloon/balloon";
	char deep[200];

	expect(400, HTTP_PUT, path, NULL);
	expect(400, HTTP_PUT, path, "{");
	expect(400, HTTP_PUT, path, "[]");
	expect(400, HTTP_PUT, path, "{}");
	expect(400, HTTP_PUT, path, "{\"size\": \"1M\"}");
	expect(400, HTTP_PUT, path, "{\"size\": 1.5}");
	expect(400, HTTP_PUT, path, "{\"size\": -4096}");
	expect(409, HTTP_PUT, path, "{\"size\": 4096}");	/* nothing runs */
	expect(400, HTTP_PUT, path, "{\"size\": 99999999999999999999}");
	expect(400, HTTP_PUT, path, "{\"size\": 4096, \"more\": 1}");
	expect(400, HTTP_PUT, path, "{\"size\": 4096, \"size\": 8192}");
	expect(400, HTTP_PUT, path, "{\"size\": 4096} x");
	expect(400, HTTP_PUT, path, "{\"size\": \"\xff\"}");
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	expect(400, HTTP_PUT, path, deep);
	cr_expect_not_null(strstr(reply.body, "levels"));
	expect(400, HTTP_PUT, "/v1/devices/rng/link", "{\"up\": 1}");
	expect(409, HTTP_PUT, "/v1/devices/rng/link", "{\"up\": true}");
	expect(404, HTTP_PUT, "/v1/devices/lan/link", "{\"up\": true}");
}

Test(control_routes, tell_of_devices)
{
	json_t *value = ask(HTTP_GET, "/v1/devices", "", NULL);

	cr_expect_eq(reply.status, 200);
	cr_expect_eq(json_array_size(json_object_get(value, "devices")), 3);
	json_decref(value);
	value = ask(HTTP_GET, "/v1/devices/rng", "", NULL);
	cr_expect_eq(json_array_size(json_object_get(value, "devices")), 1);
	json_decref(value);
	json_decref(ask(HTTP_GET, "/v1/devices/rng", "form=text", NULL));
	cr_expect_eq(strncmp(reply.type, "text/plain", 10), 0);
	cr_expect_not_null(memmem(reply.body, reply.len, "\nrng", 4));
	json_decref(ask(HTTP_GET, "/v1/devices", "form=xml", NULL));
	cr_expect_eq(reply.status, 400);
	value = ask(HTTP_GET, "/v1/devices/rng/queues", "", NULL);
	cr_expect_eq(json_array_size(json_object_get(value, "queues")), 1);
	json_decref(value);
	expect(200, HTTP_GET, "/v1/devices/balloon/balloon", NULL);
	expect(409, HTTP_POST, "/v1/devices/rng/switch", NULL);
}

Test(control_routes, say_no_where_nothing_runs)
{
	json_t *value = ask(HTTP_GET, "/v1/vm", "", NULL);

	cr_expect_str_eq(json_string_value(json_object_get(value, "state")), "ended");
	cr_expect_str_eq(json_string_value(json_object_get(value, "name")), "web");
	json_decref(value);
	expect(409, HTTP_POST, "/v1/vm/pause", NULL);
	expect(409, HTTP_POST, "/v1/vm/resume", NULL);
	expect(409, HTTP_POST, "/v1/vm/power-button", NULL);
	expect(409, HTTP_POST, "/v1/vm/nmi", NULL);
	expect(409, HTTP_POST, "/v1/vm/reset", NULL);
}

Test(control_routes, have_queries_that_are_judged)
{
	static const char *const bad[] = { "tail=x", "tail=-1", "follow=yes", "tail=99999999999999999" };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		json_decref(ask(HTTP_GET, "/v1/console", bad[i], NULL));
		cr_expect_eq(reply.status, 400, "%s", bad[i]);
	}
	json_decref(ask(HTTP_GET, "/v1/events", "since=x", NULL));
	cr_expect_eq(reply.status, 400);
}

static void no_more(struct event_post *post)
{
	(void)post;
}

/* The server ends a stream by no longer following, while the guest has said more. */
Test(control_routes, console_that_is_followed_ends_with_the_last_words)
{
	char buf[HTTP_CHUNK_SIZE];
	bool end = false;

	/* Its file is not there: nothing is written. */
	control.console.loop = loop;
	control.console.file = (struct log_file)LOG_FILE_INIT;
	control.console.post.fn = no_more;
	json_decref(ask(HTTP_GET, "/v1/console", "follow=1", NULL));
	cr_assert_eq(reply.status, 200);
	cr_expect_eq(reply.stream.fill(&reply.stream, buf, sizeof(buf), &end), 0);
	cr_expect_not(end);
	console_log_add(&control.console, (const uint8_t *)"panic", 5);
	reply.stream.follow = false;
	cr_assert_eq(reply.stream.fill(&reply.stream, buf, sizeof(buf), &end), 5);
	cr_expect_arr_eq(buf, "panic", 5);
	if (!end)
		cr_expect_eq(reply.stream.fill(&reply.stream, buf, sizeof(buf), &end), 0);
	cr_expect(end);
	event_loop_unpost(loop, &control.console.post);
}

#endif
