/*
 * "vireo ctl": a client of the control socket.  One table has the commands; each is a request and a
 * way to show its answer.
 */
#include "vmm/control/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/text.h"
#include "vmm/command.h"
#include "vmm/control/http_client.h"
#include "vmm/control/show.h"
#include "vmm/outcome.h"

enum ctl_show {
	SHOW_RAW,		/* as it comes */
	SHOW_STATE,		/* one word */
	SHOW_PEOPLE,		/* show.h */
	SHOW_JSON,
	SHOW_TEXT,		/* as text, which is asked for */
};

struct ctl_command {
	const char *name;
	const char *args;	/* as help shows them */
	const char *help;
	enum http_method method;
	const char *path;	/* "{}" is the first argument */
	const char *member;	/* of PUT: the body's, what 'convert' makes of the last argument */
	/* Returns NULL for an argument that cannot be. */
	const char *(*convert)(const char *arg, char buf[32]);
	enum ctl_show show;
	unsigned n_args;	/* that it must have */
	bool may_follow;	/* -f */
	bool may_tail;		/* a number: that many lines */
};

static const char *convert_link(const char *arg, char buf[32])
{
	bool up;

	if (!strcmp(arg, "up") || !strcmp(arg, "down"))
		up = !strcmp(arg, "up");
	else if (text_parse_bool(arg, &up) < 0)
		return NULL;
	snprintf(buf, 32, "%s", up ? "true" : "false");
	return buf;
}

static const char *convert_size(const char *arg, char buf[32])
{
	uint64_t size;

	if (text_parse_size(arg, &size) < 0 || size > INT64_MAX)
		return NULL;
	snprintf(buf, 32, "%llu", (unsigned long long)size);
	return buf;
}

static const struct ctl_command ctl_commands[] = {
	{ "state", "", "running, paused, ...", HTTP_GET, "/v1/vm", .show = SHOW_STATE },
	{ "info", "", "name, process, uptime, CPUs, memory, run directory", HTTP_GET, "/v1/vm",
	  .show = SHOW_PEOPLE },
	{ "pause", "", "let no CPU run; the time limit stands still", HTTP_POST, "/v1/vm/pause",
	  .show = SHOW_STATE },
	{ "resume", "", "let them run again", HTTP_POST, "/v1/vm/resume", .show = SHOW_STATE },
	{ "power", "", "press the power button: the guest is asked to end", HTTP_POST,
	  "/v1/vm/power-button", .show = SHOW_STATE },
	{ "reset", "", "reset the machine: the guest is not asked", HTTP_POST, "/v1/vm/reset",
	  .show = SHOW_STATE },
	{ "nmi", "", "send the first CPU a non-maskable interrupt", HTTP_POST, "/v1/vm/nmi",
	  .show = SHOW_STATE },
	{ "quit", "", "end Vireo: the guest is not asked", HTTP_POST, "/v1/vm/quit",
	  .show = SHOW_STATE },
	{ "config", "", "the effective configuration, as JSON", HTTP_GET, "/v1/config",
	  .show = SHOW_JSON },
	{ "devices", "", "the virtio devices", HTTP_GET, "/v1/devices", .show = SHOW_PEOPLE },
	{ "explain", "[DEVICE]", "what became of their feature bits", HTTP_GET, "/v1/devices",
	  .show = SHOW_TEXT },
	{ "queues", "DEVICE", "its queues, and where they stand", HTTP_GET,
	  "/v1/devices/{}/queues", .show = SHOW_PEOPLE, .n_args = 1 },
	{ "switch", "DEVICE", "have its other datapath move its buffers", HTTP_POST,
	  "/v1/devices/{}/switch", .show = SHOW_PEOPLE, .n_args = 1 },
	{ "link", "NET up|down", "plug the cable of an interface in or out", HTTP_PUT,
	  "/v1/devices/{}/link", "up", convert_link, SHOW_PEOPLE, .n_args = 2 },
	{ "balloon", "SIZE", "memory that the guest shall give back", HTTP_PUT,
	  "/v1/devices/balloon/balloon", "size", convert_size, SHOW_PEOPLE,
	  .n_args = 1 },
	{ "memory", "", "memory of Vireo itself and of the guest, in bytes", HTTP_GET, "/v1/memory",
	  .show = SHOW_PEOPLE },
	{ "threads", "", "Vireo's threads and their CPU time", HTTP_GET, "/v1/threads",
	  .show = SHOW_PEOPLE },
	{ "report", "", "what everything is at, for a guest that hangs", HTTP_GET, "/v1/report",
	  .show = SHOW_TEXT },
	{ "console", "[-f] [LINES]", "what the guest said last; -f: go on", HTTP_GET,
	  "/v1/console", .show = SHOW_RAW, .may_follow = true, .may_tail = true },
	{ "events", "[-f]", "what happened, a line of JSON each; -f: go on", HTTP_GET, "/v1/events",
	  .show = SHOW_RAW, .may_follow = true },
	{ "metrics", "", "for Prometheus", HTTP_GET, "/metrics", .show = SHOW_RAW },
	{ "get", "/PATH", "any resource, as it is; /v1/openapi tells which there are", HTTP_GET,
	  "{}", .show = SHOW_RAW, .n_args = 1 },
};

void help_ctl(FILE *out)
{
	char left[32];

	fprintf(out, "Usage: vireo ctl [--json] VM COMMAND [ARGUMENT]...\n\n"
		     "Ask a running VM, or tell it something.  VM is its name ('vireo ps'), its\n"
		     "run directory or its control socket (with a '/' in it).  Commands:\n\n");
	for (unsigned i = 0; i < ARRAY_SIZE(ctl_commands); i++) {
		snprintf(left, sizeof(left), "%s %s", ctl_commands[i].name, ctl_commands[i].args);
		fprintf(out, "  %-22s%s\n", left, ctl_commands[i].help);
	}
	fprintf(out, "\nWith --json answers are JSON as the socket gives them.\n"
		     "Exit status: 0; 1 when the VM says no; 125 when it cannot be asked.\n");
}

#if HAVE_JANSSON

#include <jansson.h>

enum { STATUS_REFUSED = 1 };

/* What the command line asks for. */
struct ctl_order {
	const struct ctl_command *command;
	const char *vm;
	bool json;
	bool follow;
	char target[512];
	char body[96];
};

static int usage(const char *what, const char *arg)
{
	fprintf(stderr, "vireo: ctl: %s%s%s%s; see 'vireo help ctl'\n", what, arg ? " '" : "",
		arg ? arg : "", arg ? "'" : "");
	return STATUS_FAILED;
}

static const struct ctl_command *find_command(const char *name)
{
	const char *names[ARRAY_SIZE(ctl_commands)], *near;

	for (unsigned i = 0; i < ARRAY_SIZE(ctl_commands); i++) {
		names[i] = ctl_commands[i].name;
		if (!strcmp(names[i], name))
			return &ctl_commands[i];
	}
	near = text_nearest(name, names, ARRAY_SIZE(ctl_commands));
	fprintf(stderr, "vireo: ctl: unknown command '%s'%s%s%s; see 'vireo help ctl'\n", name,
		near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL;
}

/*
 * Append 'text' for a path: what is no letter, digit or one of 'also' as %XX.  False: it does not
 * fit.
 */
static bool append_encoded(char *out, size_t size, const char *text, const char *also)
{
	size_t len = strlen(out);

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
			     strchr(also, c);
		if (size - len < 4)
			return false;
		len += (size_t)snprintf(out + len, size - len, plain ? "%c" : "%%%02X", c);
	}
	return true;
}

/* What may follow an encoded argument: "/queues", "?form=text&follow=1". */
enum { TARGET_REST = 64 };

static bool make_target(struct ctl_order *order, const char *arg)
{
	const char *path = order->command->path, *hole = strstr(path, "{}");
	size_t size = sizeof(order->target);

	if (!hole) {
		snprintf(order->target, size, "%s", path);
		return true;
	}
	snprintf(order->target, size, "%.*s", (int)(hole - path), path);
	if (!append_encoded(order->target, size - TARGET_REST, arg,
			    hole == path ? "-._~/?=&%" : "-._~"))
		return false;
	size_t len = strlen(order->target);
	snprintf(order->target + len, size - len, "%s", hole + 2);
	return true;
}

/* Arguments behind the command's name.  Returns the status, said why, or 0. */
static int read_arguments(struct ctl_order *order, int argc, char **argv)
{
	const struct ctl_command *command = order->command;
	bool explains = !strcmp(command->name, "explain");
	const char *arg[2] = { NULL, NULL };
	uint64_t tail = 0;
	char buf[32];
	unsigned n = 0;

	for (int i = 0; i < argc; i++) {
		if (command->may_follow && (!strcmp(argv[i], "-f") || !strcmp(argv[i], "--follow")))
			order->follow = true;
		else if (n < command->n_args || ((command->may_tail || explains) && n == 0))
			arg[n++] = argv[i];
		else
			return usage("the command does not take", argv[i]);
	}
	if (n < command->n_args)
		return usage("the command needs", command->args);
	if (!make_target(order, arg[0]))
		return usage("this is too long:", arg[0]);
	if (command->convert) {
		const char *value = command->convert(arg[n - 1], buf);
		if (!value)
			return usage("this cannot be:", arg[n - 1]);
		snprintf(order->body, sizeof(order->body), "{\"%s\": %s}", command->member, value);
	}
	if (explains && n > 0) {
		strncat(order->target, "/", 2);
		if (!append_encoded(order->target, sizeof(order->target) - TARGET_REST, arg[0],
				    "-._~"))
			return usage("this is too long:", arg[0]);
	}
	if (command->show == SHOW_TEXT && !order->json)
		strncat(order->target, "?form=text", 11);
	if (command->may_tail && n > 0 && text_parse_u64(arg[0], &tail) < 0)
		return usage("this is no number of lines:", arg[0]);
	size_t len = strlen(order->target);
	if (command->may_tail && n > 0)
		len += (size_t)snprintf(order->target + len, sizeof(order->target) - len,
					"?tail=%llu", (unsigned long long)tail);
	if (order->follow)
		snprintf(order->target + len, sizeof(order->target) - len, "%sfollow=1",
			 strchr(order->target, '?') ? "&" : "?");
	return 0;
}

/* --- Answers --------------------------------------------------------------------------------- */

static int refused(const struct ctl_order *order, const struct http_answer *answer)
{
	json_t *problem = json_loadb(answer->body, answer->len, 0, NULL);
	const char *detail = json_string_value(json_object_get(problem, "detail"));

	fprintf(stderr, "vireo: %s: ", order->vm);
	if (detail)
		show_text(stderr, detail);
	else
		fprintf(stderr, "it says no (status %u)", answer->status);
	fputc('\n', stderr);
	json_decref(problem);
	return STATUS_REFUSED;
}

static void show(const struct ctl_order *order, const struct http_answer *answer)
{
	enum ctl_show how = order->command->show;
	json_t *value = NULL;

	if (order->json && how != SHOW_RAW)
		how = SHOW_JSON;
	if (how != SHOW_RAW && how != SHOW_TEXT)
		value = json_loadb(answer->body, answer->len, 0, NULL);
	const char *state = json_string_value(json_object_get(value, "state"));
	if (how == SHOW_STATE && state)
		show_text(stdout, state);
	else if (how == SHOW_PEOPLE && value)
		show_json(stdout, value);
	else if (how == SHOW_JSON && value)
		json_dumpf(value, stdout, JSON_INDENT(2));
	else
		fwrite(answer->body, 1, answer->len, stdout);
	if (how == SHOW_STATE || how == SHOW_JSON)
		fputc('\n', stdout);
	json_decref(value);
}

static int carry_out(const struct ctl_order *order)
{
	struct http_answer answer;
	int status = STATUS_OK, r = ctl_connect(order->vm);

	if (r >= 0)
		r = http_client_ask(r, order->command->method, order->target,
				    *order->body ? order->body : NULL,
				    order->follow ? 0 : HTTP_CLIENT_WAIT_S,
				    order->follow ? stdout : NULL, &answer);
	if (r == -EPIPE && order->follow) {
		/* Whoever reads has had enough. */
		error_clear();
		return STATUS_OK;
	}
	if (r < 0) {
		error_print(stderr);
		return STATUS_FAILED;
	}
	if (answer.status >= 300)
		status = refused(order, &answer);
	else if (!order->follow)
		show(order, &answer);
	free(answer.body);
	if (fflush(stdout) != 0) {
		fprintf(stderr, "vireo: write the answer: %s\n", strerror(errno));
		return STATUS_FAILED;
	}
	return status;
}

static int ctl_main(int argc, char **argv)
{
	struct ctl_order order = { 0 };
	int r;

	for (; argc > 0 && !strncmp(*argv, "-", 1); argc--, argv++) {
		if (!strcmp(*argv, "--help") || !strcmp(*argv, "-h")) {
			help_ctl(stdout);
			return STATUS_OK;
		}
		if (strcmp(*argv, "--json") != 0)
			return usage("unknown option", *argv);
		order.json = true;
	}
	if (argc < 2)
		return usage("which VM and what? Give a name and a command", NULL);
	order.vm = argv[0];
	order.command = find_command(argv[1]);
	if (!order.command)
		return STATUS_FAILED;
	r = read_arguments(&order, argc - 2, argv + 2);
	return r ? r : carry_out(&order);
}

#else

static int ctl_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fprintf(stderr, "vireo: ctl: this Vireo was built without libjansson\n");
	return STATUS_FAILED;
}

#endif

const struct command ctl_command = {
	.name = "ctl",
	.summary = "ask a running VM, or tell it something",
	.run = ctl_main,
	.help = help_ctl,
};
