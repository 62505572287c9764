/* "vireo explain": what the devices of a configuration would offer, without running it. */
#include "vmm/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/log.h"
#include "vmm/outcome.h"
#include "vmm/vm.h"
#include "vmm/vm_command.h"

int explain_check(enum explain_form form)
{
	if (HAVE_JANSSON || form != EXPLAIN_JSON)
		return 0;
	error_set(EOPNOTSUPP, "write JSON: this Vireo was built without libjansson");
	error_hint("without 'json' the same is written as text; or install libjansson-dev and "
		   "build again");
	return -EOPNOTSUPP;
}

int explain_parse(const char *text, enum explain_form *form)
{
	if (text && strcmp(text, "text") && strcmp(text, "json"))
		return -EINVAL;
	*form = text && !strcmp(text, "json") ? EXPLAIN_JSON : EXPLAIN_TEXT;
	return 0;
}

int explain_write(FILE *out, enum explain_form form, const struct device_account *device,
		  unsigned n)
{
	if (form == EXPLAIN_JSON)
		return explain_write_json(out, device, n);
	explain_write_text(out, device, n);
	return 0;
}

static int write_accounts(struct vm *vm, enum explain_form form)
{
	struct device_account *device;
	unsigned n;
	int r = vm_accounts(vm, &device, &n);

	if (r == 0)
		r = explain_write(stdout, form, device, n);
	free(device);
	return r;
}

static int explain(const struct vm_config *config, const struct run_switches *switches)
{
	enum explain_form form = switches->explain ? switches->explain : EXPLAIN_TEXT;
	enum outcome_blame blame = BLAME_VIREO;
	struct event_loop *loop = NULL;
	struct vm *vm = NULL;
	int r = explain_check(form), status = STATUS_OK;

	log_set_level(switches->verbose ? LOG_INFO : switches->quiet ? LOG_WARNING : LOG_NOTICE);
	if (r == 0)
		r = event_loop_create(&loop, "main");
	if (r == 0)
		r = vm_look(&vm, config, loop, &blame);
	if (r == 0)
		r = write_accounts(vm, form);
	if (r < 0) {
		status = outcome_of_error(blame, error_errno());
		error_print(stderr);
	}
	vm_destroy(vm);
	event_loop_destroy(loop);
	return status;
}

static int explain_main(int argc, char **argv)
{
	return vm_command(&explain_command, argc, argv, NULL, explain);
}

const struct command explain_command = {
	.name = "explain",
	.summary = "tell which feature bits the devices offer, and why",
	.run = explain_main,
	.help = help_explain,
	.options = COMMAND_LINE_EXPLAIN,
};
