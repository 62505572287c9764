/*
 * A check of a kernel as programs read it: {"file", "inside", "version", "options", "fits",
 * "needs": [{"option", "value", "verdict", "why", "for"}]}, every row that the VM asks for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/explain.h"
#include "vmm/kernel/kernel_report.h"

#if HAVE_JANSSON

#include <jansson.h>

static const char *const verdict_names[] = {
	[VERDICT_UNASKED] = "unasked",
	[VERDICT_THERE] = "there",
	[VERDICT_LATER] = "module",
	[VERDICT_EARLY] = "module-for-initrd",
	[VERDICT_POORER] = "better-with",
	[VERDICT_MISSING] = "missing",
};

static const char *const value_names[] = {
	[KERNEL_VALUE_ABSENT] = "absent",
	[KERNEL_VALUE_OFF] = "n",
	[KERNEL_VALUE_MODULE] = "m",
	[KERNEL_VALUE_ON] = "y",
};

/* Names come from the user and may hold bytes that are no UTF-8. */
static json_t *text(const char *s, size_t len)
{
	char plain[512];
	json_t *value = json_stringn(s, len);

	if (value)
		return value;
	snprintf(plain, sizeof(plain), "%.*s", (int)len, s);
	for (char *p = plain; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return json_string(plain);
}

static json_t *things(const struct kernel_need *need, const struct kernel_vm *vm)
{
	json_t *array = json_array();

	for (unsigned i = 0; array && i < vm->n; i++) {
		char *name = NULL;
		size_t len;
		FILE *out;

		if (!kernel_need_helps(need, &vm->thing[i]))
			continue;
		out = open_memstream(&name, &len);
		if (out)
			kernel_thing_put(out, &vm->thing[i], true);
		if (!out || fclose(out) != 0 ||
		    json_array_append_new(array, text(name, len)) < 0) {
			json_decref(array);
			array = NULL;
		}
		free(name);
	}
	return array;
}

static json_t *needs(const struct kernel_vm *vm, const struct kernel_config *config)
{
	json_t *array = json_array();

	for (unsigned i = 0; array && i < kernel_needs_len; i++) {
		const struct kernel_need *need = &kernel_needs[i];
		enum kernel_verdict verdict = kernel_need_judge(need, vm, config);
		enum kernel_value value = kernel_config_get(config, need->option);
		char option[64];

		if (verdict == VERDICT_UNASKED)
			continue;
		snprintf(option, sizeof(option), "CONFIG_%s", need->option);
		if (json_array_append_new(
			    array, json_pack("{s:s, s:s, s:s, s:s, s:o}", "option", option, "value",
					     value_names[value], "verdict", verdict_names[verdict],
					     "why", need->why, "for", things(need, vm))) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

int kernel_report_json(FILE *out, const struct kernel_vm *vm, const struct kernel_source *source)
{
	const struct kernel_config *config = &source->config;
	bool fits = kernel_report_count(vm, config, VERDICT_MISSING) == 0;
	json_t *root = json_pack("{s:o, s:b, s:s?, s:i, s:b, s:o}",
				 "file", text(source->path, strlen(source->path)),
				 "inside", source->is_inside,
				 "version", *config->version ? config->version : NULL,
				 "options", (int)config->n, "fits", fits,
				 "needs", needs(vm, config));
	int r = root && json_dumpf(root, out, JSON_INDENT(2)) == 0
			? 0
			: error_set(ENOMEM, "write the answer as JSON");

	json_decref(root);
	fputc('\n', out);
	return r;
}

#else

int kernel_report_json(FILE *out, const struct kernel_vm *vm, const struct kernel_source *source)
{
	(void)out;
	(void)vm;
	(void)source;
	return explain_check(EXPLAIN_JSON);
}

#endif
