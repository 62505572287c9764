/* /v1/vm, what it can be told, and /v1/config. */
#include "vmm/control/control_impl.h"

#if HAVE_JANSSON

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/vm_control.h"

static const char *console_place(const struct target *target)
{
	static const char *const names[] = {
		[TARGET_OFF] = "off",
		[TARGET_NULL] = "null",
		[TARGET_STDIO] = "stdio",
		[TARGET_FILE] = "file",
		[TARGET_STATUS] = "status",
	};

	return names[target->kind];
}

void control_get_vm(struct control_call *call)
{
	struct control *c = call->control;
	uint64_t ms = (clock_now_ns() - c->since_ns) / 1000000;
	const char *name = c->config->name;

	control_reply_json(call, 200,
		json_pack("{s:o, s:i, s:s, s:s, s:I, s:I, s:i, s:I, s:s, s:s, s:o}",
			  "name", name ? control_json_text(name) : json_null(),
			  "pid", (int)getpid(),
			  "version", VIREO_VERSION,
			  "state", vm_state_name(vm_state(c->vm)),
			  "since", (json_int_t)c->since,
			  "uptime_ms", (json_int_t)ms,
			  "cpus", (int)c->config->cpus,
			  "memory", (json_int_t)c->config->memory,
			  "console", console_place(&c->config->console),
			  "serial", console_place(&c->config->serial),
			  "run_dir", control_json_text(c->dir.path)));
}

static void reply_state(struct control_call *call, unsigned status)
{
	control_reply_json(call, status,
			   json_pack("{s:s}", "state", vm_state_name(vm_state(call->control->vm))));
}

void control_post_pause(struct control_call *call)
{
	struct control *c = call->control;
	int r = vm_pause(c->vm);

	if (r < 0 && r != -EINPROGRESS) {
		control_reply_error(call, r);
		return;
	}
	error_clear();
	if (c->host.held)
		c->host.held(c->host.arg, true);
	reply_state(call, r < 0 ? 202 : 200);
}

void control_post_resume(struct control_call *call)
{
	struct control *c = call->control;
	int r = vm_continue(c->vm);

	if (r < 0) {
		control_reply_error(call, r);
		return;
	}
	if (c->host.held)
		c->host.held(c->host.arg, false);
	reply_state(call, 200);
}

void control_post_power(struct control_call *call)
{
	int r = vm_push_power_button(call->control->vm);

	if (r < 0)
		control_reply_error(call, r);
	else
		reply_state(call, 200);
}

void control_post_nmi(struct control_call *call)
{
	int r = vm_send_nmi(call->control->vm);

	if (r < 0)
		control_reply_error(call, r);
	else
		reply_state(call, 200);
}

/* Both take their time: the answer goes first. */
static void order(struct control_call *call, bool *wants)
{
	struct control *c = call->control;

	*wants = true;
	event_loop_post(c->loop, &c->order);
	reply_state(call, 202);
}

void control_post_reset(struct control_call *call)
{
	if (vm_state(call->control->vm) == VM_ENDED)
		control_reply_problem(call, 409, "the guest's run is over");
	else
		order(call, &call->control->wants_reset);
}

void control_post_quit(struct control_call *call)
{
	order(call, &call->control->wants_quit);
}

void control_get_config(struct control_call *call)
{
	if (!call->control->config_text) {
		control_reply_problem(call, 500, "it has a text that JSON cannot hold");
		return;
	}
	call->reply->status = 200;
	call->reply->type = "application/json";
	call->reply->constant = call->control->config_text;
	call->reply->len = strlen(call->control->config_text);
}

#endif
