#include "vmm/control/top_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/control/http_client.h"
#include "vmm/control/show.h"

enum { TOP_WAIT_S = 2, MAX_LABELS = 4 };

/* A line of the text format: name{key="value",...} number */
struct line {
	const char *name;
	struct {
		const char *key, *value;
	} label[MAX_LABELS];
	unsigned n_labels;
	double value;
};

/* Take escapes out in place; returns what is behind the closing quote, or NULL. */
static char *take_quoted(char *s)
{
	char *to = s;

	for (; *s && *s != '"'; s++) {
		if (*s == '\\' && s[1])
			s++;
		/* It goes to a terminal. */
		unsigned n = show_steers(s);
		*to++ = n ? '?' : *s;
		s += n > 1;
	}
	if (!*s)
		return NULL;
	*to = '\0';
	return s + 1;
}

static bool split_line(struct line *line, char *s)
{
	*line = (struct line){ .name = s };
	s += strcspn(s, "{ ");
	bool labels = *s == '{';

	if (!*s)
		return false;
	*s++ = '\0';
	while (labels && *s != '}') {
		char *key = s, *equals = strchr(s, '=');
		if (!equals || equals[1] != '"' || line->n_labels == MAX_LABELS)
			return false;
		*equals = '\0';
		line->label[line->n_labels].key = key;
		line->label[line->n_labels++].value = equals + 2;
		s = take_quoted(equals + 2);
		if (!s)
			return false;
		s += *s == ',';
	}
	line->value = strtod(labels ? s + 1 : s, NULL);
	return line->value >= 0;
}

static const char *label(const struct line *line, const char *key)
{
	for (unsigned i = 0; i < line->n_labels; i++)
		if (!strcmp(line->label[i].key, key))
			return line->label[i].value;
	return "";
}

static struct top_queue *queue_of(struct top_sample *s, const struct line *line)
{
	const char *device = label(line, "device");
	unsigned index = (unsigned)strtoul(label(line, "queue"), NULL, 10);
	struct top_queue *q = s->queue;

	for (; q < s->queue + s->n_queues; q++)
		if (q->index == index && !strncmp(q->device, device, sizeof(q->device) - 1))
			return q;
	if (s->n_queues == TOP_MAX_QUEUES)
		return NULL;
	s->n_queues++;
	*q = (struct top_queue){ .index = index };
	snprintf(q->device, sizeof(q->device), "%s", device);
	return q;
}

static struct top_vcpu *vcpu_of(struct top_sample *s, const struct line *line)
{
	unsigned long index = strtoul(label(line, "vcpu"), NULL, 10);

	if (index >= LAYOUT_MAX_VCPUS)
		return NULL;
	if (index >= s->n_vcpus)
		s->n_vcpus = (unsigned)index + 1;
	return &s->vcpu[index];
}

static void take_exits(struct top_vcpu *vcpu, const struct line *line)
{
	for (unsigned k = 0; k < VCPU_EXIT_KINDS; k++)
		if (!strcmp(label(line, "kind"), vcpu_exit_name((enum vcpu_exit_kind)k)))
			vcpu->exits[k] = line->value;
}

static void take_state(struct top_sample *s, const struct line *line)
{
	if (line->value > 0)
		snprintf(s->state, sizeof(s->state), "%s", label(line, "state"));
}

static void take_info(struct top_queue *q, const struct line *line)
{
	q->enabled = line->value > 0;
	snprintf(q->datapath, sizeof(q->datapath), "%s", label(line, "datapath"));
}

/* Numbers of the VM, and of a queue, by the metric's name. */
static const struct number {
	const char *name;
	size_t offset;
} vm_numbers[] = {
	{ "vireo_start_time_seconds", offsetof(struct top_sample, start) },
	{ "vireo_own_memory_bytes", offsetof(struct top_sample, own) },
	{ "vireo_guest_memory_bytes", offsetof(struct top_sample, guest) },
	{ "vireo_guest_memory_resident_bytes", offsetof(struct top_sample, guest_resident) },
}, queue_numbers[] = {
	{ "vireo_queue_requests_total", offsetof(struct top_queue, requests) },
	{ "vireo_queue_out_bytes_total", offsetof(struct top_queue, bytes_out) },
	{ "vireo_queue_in_bytes_total", offsetof(struct top_queue, bytes_in) },
	{ "vireo_queue_in_flight", offsetof(struct top_queue, in_flight) },
	{ "vireo_queue_request_seconds_count", offsetof(struct top_queue, samples) },
	{ "vireo_queue_request_seconds_sum", offsetof(struct top_queue, seconds) },
};

static double *find_number(const struct number *numbers, unsigned n, const struct line *line,
			   void *object)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(numbers[i].name, line->name))
			return (void *)((char *)object + numbers[i].offset);
	return NULL;
}

static void take_queue_line(struct top_sample *s, const struct line *line)
{
	struct top_queue *q = queue_of(s, line);
	double *number;

	if (!q)
		return;
	if (!strcmp(line->name, "vireo_queue_info"))
		take_info(q, line);
	number = find_number(queue_numbers, ARRAY_SIZE(queue_numbers), line, q);
	if (number) {
		*number = line->value;
		q->counts = true;
	}
}

static void take_line(struct top_sample *s, const struct line *line)
{
	double *number = find_number(vm_numbers, ARRAY_SIZE(vm_numbers), line, s);
	struct top_vcpu *vcpu;

	if (number) {
		*number = line->value;
	} else if (!strcmp(line->name, "vireo_vm_state")) {
		take_state(s, line);
	} else if (!strcmp(line->name, "vireo_thread_cpu_seconds_total")) {
		s->cpu_s += line->value;
	} else if (!strncmp(line->name, "vireo_queue_", 12)) {
		take_queue_line(s, line);
	} else if (!strncmp(line->name, "vireo_vcpu_", 11) && (vcpu = vcpu_of(s, line))) {
		if (!strcmp(line->name, "vireo_vcpu_cpu_seconds_total"))
			vcpu->cpu_s = line->value;
		else if (!strcmp(line->name, "vireo_vcpu_exits_total"))
			take_exits(vcpu, line);
	}
}

void top_sample_parse(struct top_sample *s, char *text)
{
	char name[TOP_NAME_SIZE], *save = NULL;
	struct line line;

	memcpy(name, s->name, sizeof(name));
	memset(s, 0, sizeof(*s));
	memcpy(s->name, name, sizeof(name));
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		/* Buckets are most of it, and nobody here wants them. */
		if (*l != '#' && strncmp(l, "vireo_queue_request_seconds_b", 29) != 0 &&
		    split_line(&line, l))
			take_line(s, &line);
}

static double now_s(void)
{
	return (double)clock_now_ns() / 1e9;
}

void top_sample_take(struct top_sample *s, const char *name, int fd)
{
	struct http_answer answer = { 0 };
	int r = fd;

	if (r >= 0)
		r = http_client_ask(fd, HTTP_GET, "/metrics", NULL, TOP_WAIT_S, NULL, &answer);
	snprintf(s->name, sizeof(s->name), "%s", name);
	if (r < 0 || answer.status != 200) {
		error_clear();
		top_sample_parse(s, (char[]){ "" });
	} else {
		top_sample_parse(s, answer.body);
		s->answers = true;
	}
	s->when = now_s();
	if (r >= 0)
		free(answer.body);
}
