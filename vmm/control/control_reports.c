/* What Vireo knows of itself and of its guest: memory, threads, console, events, metrics. */
#include "vmm/control/control_impl.h"

#if HAVE_JANSSON

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/thread_list.h"
#include "vmm/control/openapi.h"
#include "vmm/vm_control.h"

/* --- Memory ---------------------------------------------------------------------------------- */

/* What a line of /proc/self/status says, "RssAnon:  1234 kB", in bytes. */
static uint64_t status_bytes(const char *status, const char *key)
{
	const char *line = strstr(status, key);

	return line ? strtoull(line + strlen(key), NULL, 10) * 1024 : 0;
}

struct memory_use {
	uint64_t own, mapped, guest, guest_resident;
};

static void take_memory(struct control *c, struct memory_use *use)
{
	char status[4096];
	ssize_t n = pread(c->status_fd, status, sizeof(status) - 1, 0);

	status[n > 0 ? n : 0] = '\0';
	/* The guest's memory is the one that is shared. */
	use->own = status_bytes(status, "RssAnon:") + status_bytes(status, "RssFile:");
	use->mapped = status_bytes(status, "VmSize:");
	vm_guest_memory(c->vm, &use->guest, &use->guest_resident);
}

void control_get_memory(struct control_call *call)
{
	struct memory_use use;

	take_memory(call->control, &use);
	control_reply_json(call, 200,
		json_pack("{s:I, s:I, s:I, s:I}", "own", (json_int_t)use.own, "mapped",
			  (json_int_t)use.mapped, "guest", (json_int_t)use.guest,
			  "guest_resident", (json_int_t)use.guest_resident));
}

/* --- Threads --------------------------------------------------------------------------------- */

void control_get_threads(struct control_call *call)
{
	static struct thread_entry entry[THREAD_LIST_MAX];
	unsigned n = thread_list_read(entry, THREAD_LIST_MAX);
	json_t *array = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(array,
			json_pack("{s:o, s:i, s:I}", "name", control_json_text(entry[i].name),
				  "tid", entry[i].tid, "cpu_ns", (json_int_t)entry[i].cpu_ns));
	control_reply_json(call, 200, json_pack("{s:o}", "threads", array));
}

void control_get_report(struct control_call *call)
{
	const struct control_host *host = &call->control->host;
	bool as_text;

	if (!control_query_form(call, &as_text))
		return;
	if (!host->report) {
		control_reply_problem(call, 503, "nobody makes reports here");
	} else if (as_text) {
		size_t len = 0;
		char *text = host->report_text(host->arg, &len);

		if (text)
			control_reply_text(call, CONTROL_PLAIN_TEXT, text, len);
		else
			control_reply_error(call, -error_errno());
	} else {
		json_t *report = host->report(host->arg);

		if (report)
			control_reply_json(call, 200, report);
		else
			control_reply_error(call, -error_errno());
	}
}

/* --- Console and events ---------------------------------------------------------------------- */

/* A number of the query, below 2^53 as all of JSON's.  False: the call is answered. */
static bool query_number(struct control_call *call, const char *key, uint64_t *value)
{
	int r = http_query_number(call->request->query, key, value);

	if (r >= 0 && *value < UINT64_C(1) << 53)
		return true;
	control_reply_problem(call, 400, "'%s' in the query is no number, or too large", key);
	return false;
}

static size_t fill_console(struct http_stream *s, char *buf, size_t size, bool *end)
{
	struct control *c = s->arg;
	uint64_t last = s->value;
	size_t n;

	size = min_u64(size, last > s->next ? last - s->next : 0);
	n = size ? console_log_read(&c->console, &s->next, buf, size, &s->lost) : 0;
	/* Who follows until the VM ends has its last words, too. */
	*end = !s->follow && (n == 0 || s->next >= last);
	return n;
}

void control_get_console(struct control_call *call)
{
	struct control *c = call->control;
	uint64_t tail = UINT64_MAX >> 12, follow = 0;

	if (!query_number(call, "tail", &tail) || !query_number(call, "follow", &follow))
		return;
	call->reply->status = 200;
	call->reply->type = "application/octet-stream";
	call->reply->stream = (struct http_stream){
		.fill = fill_console,
		.arg = c,
		.next = console_log_tail(&c->console, tail),
		.value = follow ? UINT64_MAX : console_log_tail(&c->console, 0),
		.follow = follow,
	};
}

static size_t fill_events(struct http_stream *s, char *buf, size_t size, bool *end)
{
	struct control *c = s->arg;
	size_t n = event_lines(buf, size, &s->next, &s->lost, c->since_ns);

	*end = n == 0 && !s->follow;
	return n;
}

void control_get_events(struct control_call *call)
{
	uint64_t since = 0, follow = 0;

	if (!query_number(call, "since", &since) || !query_number(call, "follow", &follow))
		return;
	call->reply->status = 200;
	call->reply->type = "application/x-ndjson";
	call->reply->stream = (struct http_stream){
		.fill = fill_events, .arg = call->control, .next = since, .follow = follow,
	};
}

/* --- Metrics --------------------------------------------------------------------------------- */

/* Prometheus, "Exposition formats": quotes, backslashes and line ends of labels are escaped. */
void control_put_label(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n') {
			fputs("\\n", out);
		} else {
			if (*text == '"' || *text == '\\')
				fputc('\\', out);
			fputc(*text, out);
		}
	}
}

void control_put_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_number(FILE *out, const char *name, const char *type, const char *help,
		       uint64_t value)
{
	control_put_head(out, name, type, help);
	fprintf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void put_state(FILE *out, struct control *c)
{
	control_put_head(out, "vireo_vm_state", "gauge", "1 for the state that the VM is in.");
	for (unsigned s = VM_RUNNING; s <= VM_ENDED; s++)
		fprintf(out, "vireo_vm_state{state=\"%s\"} %d\n",
			vm_state_name((enum vm_state)s), vm_state(c->vm) == (enum vm_state)s);
}

static void put_memory(FILE *out, struct control *c)
{
	struct memory_use use;

	take_memory(c, &use);
	put_number(out, "vireo_own_memory_bytes", "gauge",
		   "Resident memory of Vireo without the guest's.", use.own);
	put_number(out, "vireo_guest_memory_bytes", "gauge", "Memory that the guest has.",
		   use.guest);
	put_number(out, "vireo_guest_memory_resident_bytes", "gauge",
		   "Of that, what the host has given so far.", use.guest_resident);
}

static void put_threads(FILE *out)
{
	static struct thread_entry entry[THREAD_LIST_MAX];
	unsigned n = thread_list_read(entry, THREAD_LIST_MAX);

	control_put_head(out, "vireo_thread_cpu_seconds_total", "counter",
			 "CPU time of each thread.");
	for (unsigned i = 0; i < n; i++) {
		fputs("vireo_thread_cpu_seconds_total{thread=\"", out);
		control_put_label(out, entry[i].name);
		fprintf(out, "\",tid=\"%d\"} %llu.%09llu\n", entry[i].tid,
			(unsigned long long)(entry[i].cpu_ns / 1000000000),
			(unsigned long long)(entry[i].cpu_ns % 1000000000));
	}
}

static void put_metrics(FILE *out, struct control *c)
{
	control_put_head(out, "vireo_info", "gauge", "Version and name, as labels.");
	fprintf(out, "vireo_info{version=\"%s\",name=\"", VIREO_VERSION);
	control_put_label(out, c->config->name ? c->config->name : "");
	fputs("\"} 1\n", out);
	put_number(out, "vireo_start_time_seconds", "gauge",
		   "When the VM began, in seconds since 1970.", (uint64_t)c->since);
	put_number(out, "vireo_vcpus", "gauge", "Virtual CPUs of the guest.", c->config->cpus);
	put_state(out, c);
	put_memory(out, c);
	put_threads(out);
	control_put_counters(out, c);
	put_number(out, "vireo_events_total", "counter", "Lines of /v1/events so far.",
		   c->event_next);
}

void control_get_metrics(struct control_call *call)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out) {
		put_metrics(out, call->control);
		if (fclose(out) != 0) {
			free(text);
			text = NULL;
		}
	}
	control_reply_text(call, "text/plain; version=0.0.4; charset=utf-8", text, len);
}

void control_get_openapi(struct control_call *call)
{
	call->reply->status = 200;
	call->reply->type = "application/yaml";
	call->reply->constant = openapi_text;
	call->reply->len = openapi_len();
}

#endif
