/* /v1/devices and what can be told to one of them. */
#include "vmm/control/control_impl.h"

#if HAVE_JANSSON

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/device_account.h"
#include "vmm/base/error.h"
#include "vmm/explain.h"
#include "vmm/vm_control.h"

/* The accounts as text in memory, those of all devices or of one.  Returns 0 or -errno, chained. */
static int write_accounts(struct control_call *call, const char *name, enum explain_form form,
			  char **text, size_t *len)
{
	struct device_account *device;
	unsigned n, first = 0;
	FILE *out;
	int r = vm_accounts(call->control->vm, &device, &n);

	if (r < 0)
		return r;
	while (name && first < n && strcmp(device[first].name, name) != 0)
		first++;
	if (name && first == n) {
		free(device);
		return error_set(ENOENT, "there is no device '%.64s'", name);
	}
	out = open_memstream(text, len);
	r = out ? explain_write(out, form, device + first, name ? 1 : n) :
		  error_set(errno, "explain the devices");
	if (out && fclose(out) != 0 && r == 0)
		r = error_set(ENOMEM, "explain the devices");
	free(device);
	return r;
}

static void reply_accounts(struct control_call *call, const char *name)
{
	char *text = NULL;
	size_t len = 0;
	bool as_text;
	int r;

	if (!control_query_form(call, &as_text))
		return;
	r = write_accounts(call, name, as_text ? EXPLAIN_TEXT : EXPLAIN_JSON, &text, &len);
	if (r < 0) {
		free(text);
		control_reply_error(call, r);
		return;
	}
	control_reply_text(call, as_text ? CONTROL_PLAIN_TEXT : "application/json", text,
			   len);
}

void control_get_devices(struct control_call *call)
{
	reply_accounts(call, NULL);
}

void control_get_device(struct control_call *call)
{
	reply_accounts(call, call->name);
}

static json_t *queue_object(const struct vm_queue *q)
{
	json_t *o = json_pack("{s:i, s:i, s:i, s:b, s:o}", "index", (int)q->index, "size",
			      (int)q->size, "size_max", (int)q->size_max, "enabled",
			      (int)q->enabled, "datapath", control_json_text(q->datapath));
	json_t *available = q->has_indexes ? json_integer(q->made_available) : json_null();
	json_t *used = q->has_indexes ? json_integer(q->used) : json_null();
	json_t *counters = control_queue_counters(q);

	if (json_object_set_new(o, "made_available", available) < 0 ||
	    json_object_set_new(o, "used", used) < 0 ||
	    json_object_set_new(o, "counters", counters) < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

void control_get_queues(struct control_call *call)
{
	static struct vm_queue queue[VM_CONTROL_MAX_QUEUES];
	json_t *array = json_array();
	unsigned n;
	int r = vm_queues(call->control->vm, call->name, queue, &n);

	if (r < 0) {
		json_decref(array);
		control_reply_error(call, r);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		if (json_array_append_new(array, queue_object(&queue[i])) < 0)
			n = 0;
	control_reply_json(call, 200, json_pack("{s:o}", "queues", array));
}

void control_post_switch(struct control_call *call)
{
	int r = vm_switch_device(call->control->vm, call->name);

	/* It may be that it would take too long just now: the sentence says so. */
	if (r < 0)
		control_reply_error(call, r == -EINVAL ? -EOPNOTSUPP : r);
	else
		control_get_queues(call);
}

/* The one member that a body must have, of the type that the caller wants; else a problem. */
static json_t *only_member(struct control_call *call, const char *key, bool is_bool)
{
	json_t *value = call->body ? json_object_get(call->body, key) : NULL;
	bool fits = value && (is_bool ? json_is_boolean(value) : json_is_integer(value));

	if (fits && json_object_size(call->body) == 1)
		return value;
	control_reply_problem(call, 400, "the body is to be {\"%s\": %s}", key,
			      is_bool ? "true or false" : "a number");
	return NULL;
}

void control_put_link(struct control_call *call)
{
	json_t *up = only_member(call, "up", true);
	int r;

	if (!up)
		return;
	r = vm_set_link(call->control->vm, call->name, json_is_true(up));
	if (r < 0)
		control_reply_error(call, r);
	else
		control_reply_json(call, 200, json_pack("{s:b}", "up", json_is_true(up)));
}

void control_get_balloon(struct control_call *call)
{
	struct virtio_balloon_info info;
	int r = vm_balloon(call->control->vm, call->name, &info);

	if (r < 0)
		control_reply_error(call, r);
	else
		control_reply_json(call, 200,
			json_pack("{s:I, s:I, s:I, s:I}", "size", (json_int_t)info.target, "actual",
				  (json_int_t)info.actual, "discarded", (json_int_t)info.discarded,
				  "hinted", (json_int_t)info.hinted));
}

void control_put_balloon(struct control_call *call)
{
	json_t *size = only_member(call, "size", false);
	int r;

	if (!size)
		return;
	if (json_integer_value(size) < 0) {
		control_reply_problem(call, 400, "the size is less than 0");
		return;
	}
	r = vm_set_balloon(call->control->vm, call->name, (uint64_t)json_integer_value(size));
	if (r < 0)
		control_reply_error(call, r);
	else
		control_get_balloon(call);
}

#endif
