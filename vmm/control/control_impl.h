/* The inside of the control socket, shared by the files of its resources, and by nobody else. */
#ifndef CONTROL_CONTROL_IMPL_H
#define CONTROL_CONTROL_IMPL_H

#include <stdio.h>

#include "vmm/control/console_log.h"
#include "vmm/control/control.h"
#include "vmm/control/event_stream.h"
#include "vmm/control/http_server.h"
#include "vmm/control/log_file.h"
#include "vmm/control/run_dir.h"
#include "vmm/vm.h"

struct json_t;
struct vm_queue;

struct control {
	const struct vm_config *config;	/* keeps */
	struct event_loop *loop;
	struct vm *vm;			/* NULL before control_serve */
	struct control_host host;
	struct run_dir dir;
	char *config_text;		/* JSON, made at first: it names paths from the root */
	int listen_fd;			/* until the server has it */
	int status_fd;			/* /proc/self/status, as nothing can be opened later */
	struct http_server *server;
	struct console_log console;
	uint64_t since_ns;		/* when it was made, CLOCK_MONOTONIC */
	int64_t since;			/* the same in seconds since 1970 */

	struct event_source event_source;	/* its eventfd: the event log has grown */
	struct log_file report_file;
	struct log_file event_file;
	uint64_t event_next, event_lost;	/* of the file */

	/* Orders that are carried out when their answer has left. */
	struct event_post order;
	bool wants_reset, wants_quit;
};

/* A request on its way through a handler. */
struct control_call {
	struct control *control;
	const struct http_request *request;
	char name[HTTP_PATH_SIZE];	/* what stands for {name} in the path */
	struct json_t *body;		/* an object; NULL: there is none */
	struct http_reply *reply;
};

/* A row of the table of resources. */
struct control_route {
	enum http_method method;
	const char *path;		/* "/v1/devices/{name}/link" */
	void (*handle)(struct control_call *call);
};
extern const struct control_route control_routes[];
extern const unsigned control_routes_len;

/* Find the resource, read the body, let it answer: the form of http_server_config.handle. */
void control_handle(void *control, const struct http_request *rq, const char *body,
		    struct http_reply *reply);
/* Answer a request that is none; likewise. */
void control_refuse(void *control, unsigned status, const char *why, struct http_reply *reply);

/* What can be answered: 'value' (consumed; NULL: memory was short) as JSON ... */
void control_reply_json(struct control_call *call, unsigned status, struct json_t *value);
/* ... 'text' (consumed) of media type 'type' ... */
void control_reply_text(struct control_call *call, const char *type, char *text, size_t len);
/* ... a problem (RFC 9457) with one sentence, or this thread's error chain, which is cleared. */
void control_reply_problem(struct control_call *call, unsigned status, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
void control_reply_error(struct control_call *call, int err);

#define CONTROL_PLAIN_TEXT "text/plain; charset=utf-8"
/* Does the query want text (form=text) or JSON?  False: neither, and that was replied. */
bool control_query_form(struct control_call *call, bool *as_text);

/* Text as JSON, whatever its bytes are. */
struct json_t *control_json_text(const char *text);

/* What was counted at a queue, as an object or null (control_counters.c). */
struct json_t *control_queue_counters(const struct vm_queue *q);

/*
 * Pieces of /metrics: what is counted (control_counters.c); for who writes one: the
 * times of a queue, a label's value, the lines before a metric.
 */
void control_put_counters(FILE *out, struct control *c);
void control_put_histogram(FILE *out, const char *name, const struct vm_queue *q);
void control_put_label(FILE *out, const char *text);
void control_put_head(FILE *out, const char *name, const char *type, const char *help);

/* The handlers, by file. */
void control_get_vm(struct control_call *call);		/* control_vm.c */
void control_post_pause(struct control_call *call);
void control_post_resume(struct control_call *call);
void control_post_power(struct control_call *call);
void control_post_reset(struct control_call *call);
void control_post_nmi(struct control_call *call);
void control_post_quit(struct control_call *call);
void control_get_config(struct control_call *call);
void control_get_devices(struct control_call *call);	/* control_devices.c */
void control_get_device(struct control_call *call);
void control_get_queues(struct control_call *call);
void control_post_switch(struct control_call *call);
void control_put_link(struct control_call *call);
void control_get_balloon(struct control_call *call);
void control_put_balloon(struct control_call *call);
void control_get_vcpus(struct control_call *call);	/* control_counters.c */
void control_get_memory(struct control_call *call);	/* control_reports.c */
void control_get_threads(struct control_call *call);
void control_get_report(struct control_call *call);
void control_get_console(struct control_call *call);
void control_get_events(struct control_call *call);
void control_get_metrics(struct control_call *call);
void control_get_openapi(struct control_call *call);

#endif
