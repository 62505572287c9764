/* The table of resources, and the way of a request to its row.  docs/openapi.yaml says the same. */
#include "vmm/control/control_impl.h"

#if HAVE_JANSSON

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/json_depth.h"

const struct control_route control_routes[] = {
	{ HTTP_GET, "/v1/vm", control_get_vm },
	{ HTTP_POST, "/v1/vm/pause", control_post_pause },
	{ HTTP_POST, "/v1/vm/resume", control_post_resume },
	{ HTTP_POST, "/v1/vm/power-button", control_post_power },
	{ HTTP_POST, "/v1/vm/reset", control_post_reset },
	{ HTTP_POST, "/v1/vm/nmi", control_post_nmi },
	{ HTTP_POST, "/v1/vm/quit", control_post_quit },
	{ HTTP_GET, "/v1/config", control_get_config },
	{ HTTP_GET, "/v1/devices", control_get_devices },
	{ HTTP_GET, "/v1/devices/{name}", control_get_device },
	{ HTTP_GET, "/v1/devices/{name}/queues", control_get_queues },
	{ HTTP_POST, "/v1/devices/{name}/switch", control_post_switch },
	{ HTTP_PUT, "/v1/devices/{name}/link", control_put_link },
	{ HTTP_GET, "/v1/devices/{name}/balloon", control_get_balloon },
	{ HTTP_PUT, "/v1/devices/{name}/balloon", control_put_balloon },
	{ HTTP_GET, "/v1/vcpus", control_get_vcpus },
	{ HTTP_GET, "/v1/memory", control_get_memory },
	{ HTTP_GET, "/v1/threads", control_get_threads },
	{ HTTP_GET, "/v1/report", control_get_report },
	{ HTTP_GET, "/v1/console", control_get_console },
	{ HTTP_GET, "/v1/events", control_get_events },
	{ HTTP_GET, "/v1/openapi", control_get_openapi },
	{ HTTP_GET, "/metrics", control_get_metrics },
};
const unsigned control_routes_len = ARRAY_SIZE(control_routes);

/* A body of ours has two levels; the parser recurses. */
enum { MAX_DEPTH = 8 };

/* --- Answers --------------------------------------------------------------------------------- */

json_t *control_json_text(const char *text)
{
	json_t *value = json_string(text);
	char *plain;

	if (value)
		return value;
	plain = strdup(text);
	for (char *p = plain; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	value = plain ? json_string(plain) : NULL;
	free(plain);
	return value;
}

void control_reply_text(struct control_call *call, const char *type, char *text, size_t len)
{
	call->reply->status = 200;
	call->reply->type = type;
	call->reply->body = text;
	call->reply->len = text ? len : 0;
	if (!text)
		call->reply->status = 500;
}

static void reply_dump(struct control_call *call, unsigned status, const char *type, json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

	json_decref(value);
	control_reply_text(call, type, text, text ? strlen(text) : 0);
	if (text)
		call->reply->status = status;
}

void control_reply_json(struct control_call *call, unsigned status, json_t *value)
{
	reply_dump(call, status, "application/json", value);
}

static void reply_problem(struct control_call *call, unsigned status, const char *detail)
{
	json_t *text = control_json_text(detail);

	/* RFC 9457 "Problem Details for HTTP APIs" */
	reply_dump(call, status, "application/problem+json",
		   json_pack("{s:s, s:i, s:o}", "title", http_status_text(status), "status",
			     (int)status, "detail", text ? text : json_null()));
}

void control_reply_problem(struct control_call *call, unsigned status, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	reply_problem(call, status, text);
}

/* What kind of failure an errno of vm_control.h is. */
static unsigned status_of(int err)
{
	switch (-err) {
	case ENOENT:
		return 404;
	case EINVAL:
		return 400;
	case EAGAIN:
	case ENOMEM:
		return 503;
	case ECHILD:
	case EBUSY:
	case EOPNOTSUPP:
		return 409;
	default:
		return 500;
	}
}

void control_reply_error(struct control_call *call, int err)
{
	reply_problem(call, status_of(err), error_text());
	error_clear();
}

bool control_query_form(struct control_call *call, bool *as_text)
{
	const char *query = call->request->query;

	*as_text = !strcmp(query, "form=text");
	if (*as_text || !*query || !strcmp(query, "form=json"))
		return true;
	control_reply_problem(call, 400, "the query can be form=json or form=text");
	return false;
}

void control_refuse(void *control, unsigned status, const char *why, struct http_reply *reply)
{
	struct control_call call = { .control = control, .reply = reply };

	reply_problem(&call, status, why);
}

/* --- The way in ------------------------------------------------------------------------------ */

/* Does 'path' fit 'pattern'?  What stands for {name} goes to 'name' (of the path's size). */
static bool matches(const char *pattern, const char *path, char *name)
{
	while (*pattern) {
		if (*pattern == '{') {
			size_t len = strcspn(path, "/");
			if (len == 0)
				return false;
			memcpy(name, path, len);
			name[len] = '\0';
			path += len;
			pattern = strchr(pattern, '}') + 1;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return *path == '\0';
}

static const struct control_route *find_route(struct control_call *call)
{
	/* Whoever may look may look at the head alone. */
	enum http_method method = call->request->method == HTTP_HEAD ? HTTP_GET :
								       call->request->method;
	char *allow = call->reply->allow;
	size_t size = sizeof(call->reply->allow);

	for (unsigned i = 0; i < control_routes_len; i++) {
		const struct control_route *r = &control_routes[i];
		if (!matches(r->path, call->request->path, call->name))
			continue;
		if (r->method == method) {
			*allow = '\0';
			return r;
		}
		size_t len = strlen(allow);
		snprintf(allow + len, size - len, "%s%s", len ? ", " : "",
			 r->method == HTTP_GET ? "GET, HEAD" : http_method_name(r->method));
	}
	if (*allow)
		control_reply_problem(call, 405, "%s takes %s", call->request->path, allow);
	else
		control_reply_problem(call, 404, "there is no '%s' here; /v1/openapi tells what "
				      "there is", call->request->path);
	return NULL;
}

static bool read_body(struct control_call *call, const char *body)
{
	size_t len = call->request->body_len;
	json_error_t error;

	if (len == 0)
		return true;
	if (json_is_deeper(body, len, MAX_DEPTH)) {
		control_reply_problem(call, 400, "the body has more than %d levels", MAX_DEPTH);
		return false;
	}
	call->body = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
	if (!call->body) {
		control_reply_problem(call, 400, "the body is no JSON: line %d, column %d: %s",
				      error.line, error.column, error.text);
		return false;
	}
	if (json_is_object(call->body))
		return true;
	control_reply_problem(call, 400, "the body is not an object of JSON");
	return false;
}

void control_handle(void *control, const struct http_request *rq, const char *body,
		    struct http_reply *reply)
{
	struct control_call call = { .control = control, .request = rq, .reply = reply };
	const struct control_route *route;

	/* Of its own accord Jansson would open /dev/urandom. */
	json_object_seed(1);
	route = find_route(&call);
	if (route && read_body(&call, body))
		route->handle(&call);
	json_decref(call.body);
}

#endif
