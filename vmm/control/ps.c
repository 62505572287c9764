/* "vireo ps": the VMs of this user that run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/command.h"
#include "vmm/control/ctl.h"
#include "vmm/control/http_client.h"
#include "vmm/control/run_dir.h"
#include "vmm/control/show.h"
#include "vmm/outcome.h"

void help_ps(FILE *out)
{
	char base[RUN_DIR_PATH_SIZE];

	run_dir_base(base);
	fprintf(out, "Usage: vireo ps [--json]\n\n"
		     "List your VMs that run and have a name ('--name', 'vm.name', or that of\n"
		     "the VM file).  'vireo ctl DIR info' tells of one that has only a\n"
		     "'--run-dir'.  What a killed VM left is cleaned up, but for its logs, which\n"
		     "stay until a VM of that name runs again.  Run directories are below\n\n"
		     "  %s\n", base);
}

#if HAVE_JANSSON

#include <jansson.h>

enum { MAX_LISTED = 1024, PS_WAIT_S = 2 };

struct listing {
	json_t *vms;
};

static json_t *ask(int fd, const char *target)
{
	struct http_answer answer;
	json_t *value = NULL;
	int r = http_client_connect(fd, "control");

	if (r >= 0)
		r = http_client_ask(r, HTTP_GET, target, NULL, PS_WAIT_S, NULL, &answer);
	if (r < 0) {
		error_clear();
		return NULL;
	}
	if (answer.status == 200)
		value = json_loadb(answer.body, answer.len, 0, NULL);
	free(answer.body);
	return value;
}

static void list(void *arg, const char *name, int fd)
{
	struct listing *listing = arg;
	pid_t pid = run_dir_owner(fd);
	json_t *vm, *memory;

	if (pid <= 0) {
		if (pid == 0 && run_dir_clean(fd))
			fprintf(stderr, "vireo: cleaned up behind '%s', which does not run any "
					"more; its logs are still there\n", name);
		return;
	}
	if (json_array_size(listing->vms) >= MAX_LISTED)
		return;
	vm = ask(fd, "/v1/vm");
	/* It lives, but does not answer: stopped, or just beginning. */
	if (!json_is_object(vm)) {
		json_decref(vm);
		vm = json_pack("{s:s, s:i, s:s}", "name", name, "pid", (int)pid, "state",
			       "no answer");
	} else if ((memory = ask(fd, "/v1/memory")))
		json_object_set_new(vm, "use", memory);
	json_array_append_new(listing->vms, vm);
}

static json_int_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *word(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "-";
}

static const char *mib(char buf[24], json_int_t bytes)
{
	long long kib = (long long)bytes >> 10;

	snprintf(buf, 24, "%lld.%lldM", kib >> 10, kib % 1024 / 103);
	return buf;
}

static void print_one(const json_t *vm)
{
	const json_t *use = json_object_get(vm, "use");
	char uptime[32], own[24], guest[24], cells[3][RUN_NAME_MAX + 1];
	static const char *const keys[] = { "name", "state", "console" };

	for (unsigned i = 0; i < 3; i++) {
		FILE *out = fmemopen(cells[i], sizeof(cells[i]), "w");
		cells[i][0] = '\0';
		if (out) {
			show_text(out, word(vm, keys[i]));
			fclose(out);
		}
	}
	printf("%-16s %7lld %-9s %-14s %8s %9s %4lld %s\n", cells[0], (long long)number(vm, "pid"),
	       cells[1], show_duration(uptime, (uint64_t)number(vm, "uptime_ms")),
	       mib(own, number(use, "own")), mib(guest, number(use, "guest_resident")),
	       (long long)number(vm, "cpus"), cells[2]);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(word(*(json_t *const *)a, "name"), word(*(json_t *const *)b, "name"));
}

static void print(const json_t *vms)
{
	static json_t *sorted[MAX_LISTED];
	size_t n = 0, i;
	json_t *vm;

	json_array_foreach(vms, i, vm)
		sorted[n++] = vm;
	qsort(sorted, n, sizeof(sorted[0]), by_name);
	if (n == 0)
		fprintf(stderr, "vireo: no VM with a name runs\n");
	else
		printf("%-16s %7s %-9s %-14s %8s %9s %4s %s\n", "NAME", "PID", "STATE", "UPTIME",
		       "OWN", "GUEST", "CPUS", "CONSOLE");
	for (i = 0; i < n; i++)
		print_one(sorted[i]);
}

static int ps_main(int argc, char **argv)
{
	struct listing listing = { 0 };
	bool json = argc == 1 && !strcmp(argv[0], "--json");

	if (argc > 0 && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"))) {
		help_ps(stdout);
		return STATUS_OK;
	}
	if (argc > 1 || (argc == 1 && !json))
		return command_unexpected(&ps_command, argv[json ? 1 : 0]);
	listing.vms = json_array();
	run_dir_each(list, &listing);
	if (json) {
		json_dumpf(listing.vms, stdout, JSON_INDENT(2));
		fputc('\n', stdout);
	} else {
		print(listing.vms);
	}
	json_decref(listing.vms);
	return fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILED;
}

#else

static int ps_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fprintf(stderr, "vireo: ps: this Vireo was built without libjansson\n");
	return STATUS_FAILED;
}

#endif

const struct command ps_command = {
	.name = "ps",
	.summary = "list the VMs that run",
	.run = ps_main,
	.help = help_ps,
};
