#include "vmm/test/test_key.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "vmm/base/error.h"
#include "vmm/file/config_json.h"
#include "vmm/option.h"
#include "vmm/test/pattern.h"
#include "vmm/version.h"

/* A text that a function writes, as a part of the key. */
static int add_written(struct run_cache_key *key, const char *what, const struct test_case *test,
		       int (*write)(FILE *out, const struct test_case *test))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r = out ? write(out, test) : error_set(ENOMEM, "make the key of a test");

	if (out && fclose(out) != 0 && r == 0)
		r = error_set(ENOMEM, "make the key of a test");
	if (r == 0)
		run_cache_key_add_text(key, what, text);
	free(text);
	return r;
}

/* --- What runs it ---------------------------------------------------------------------------- */

/* Vireo, the host's kernel and its CPU: another one may behave in another way. */
static int write_host(FILE *out, const struct test_case *test)
{
	struct utsname name;
	char line[256];
	FILE *cpus = fopen("/proc/cpuinfo", "re");

	(void)test;
	if (uname(&name) == 0)
		fprintf(out, "%s %s %s %s\n", VIREO_VERSION, name.release, name.version,
			name.machine);
	while (cpus && fgets(line, sizeof(line), cpus)) {
		if (!strncmp(line, "model name", 10)) {
			fputs(line, out);
			break;
		}
	}
	if (cpus)
		fclose(cpus);
	return 0;
}

/* --- The test -------------------------------------------------------------------------------- */

/* With its length: no two lists of texts look the same. */
static void put(FILE *out, const char *text)
{
	if (text)
		fprintf(out, "%zu:%s\n", strlen(text), text);
	else
		fputs("-\n", out);
}

static void put_list(FILE *out, const struct text_list *list)
{
	fprintf(out, "%u\n", list->n);
	for (unsigned i = 0; i < list->n; i++)
		put(out, list->item[i]);
}

static void put_pattern(FILE *out, const struct pattern *pattern)
{
	put(out, pattern ? pattern_text(pattern) : NULL);
}

static void put_step(FILE *out, const struct step_spec *step)
{
	fprintf(out, "%d %lu %u %lu %u\n", (int)step->kind, step->timeout_ms, step->status,
		step->sleep_ms, step->n_patterns);
	put(out, step->text);
	put_list(out, &step->argv);
	put_list(out, &step->env);
	put(out, step->cwd);
	put(out, step->input);
	put(out, step->from);
	put(out, step->to);
	for (unsigned i = 0; i < step->n_patterns; i++)
		put_pattern(out, step->pattern[i]);
	put_pattern(out, step->without);
	put_pattern(out, step->out);
	put_pattern(out, step->err);
}

static int write_spec(FILE *out, const struct test_case *test)
{
	const struct test_spec *spec = test->spec;

	put(out, test->title);
	fprintf(out, "%lu %u %d %u %d %u\n", spec->timeout_ms, spec->fail_on, (int)spec->end,
		spec->status, spec->strict_kernel, spec->n_fail_patterns);
	for (unsigned i = 0; i < spec->n_fail_patterns; i++)
		put_pattern(out, spec->fail_pattern[i]);
	put_list(out, &spec->needs);
	put_list(out, &spec->env);
	for (unsigned i = 0; i < spec->n_steps; i++)
		put_step(out, &spec->step[i]);
	return 0;
}

/* The files that steps take. */
static int add_step_files(struct run_cache *cache, struct run_cache_key *key,
			  const struct test_spec *spec)
{
	for (unsigned i = 0; i < spec->n_steps; i++) {
		const struct step_spec *step = &spec->step[i];
		int r;

		if (step->kind != STEP_COPY_IN)
			continue;
		r = run_cache_key_add_file(cache, key, "copy_in", step->from);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- The VM ---------------------------------------------------------------------------------- */

static int write_vm(FILE *out, const struct test_case *test)
{
	return config_write_json(out, &test->vm, true);
}

/* What leads out of the VM can answer in another way today. */
static int judge_vm(const struct vm_config *vm)
{
	static const char *const outside[] = { "nets", "scsis", "shares" };

	for (unsigned i = 0; i < ARRAY_SIZE(outside); i++) {
		const struct option_section *section =
			option_find_section(outside[i], strlen(outside[i]));

		if (section && config_count(vm, section) > 0)
			return error_set(EINVAL, "it has '%s'", outside[i]);
	}
	for (unsigned i = 0; i < vm->n_disks; i++)
		if (!vm->disk[i].readonly && !vm->disk[i].ephemeral)
			return error_set(EINVAL, "its disk '%s' keeps what is written",
					 vm->disk[i].name);
	return 0;
}

static int add_file(struct run_cache *cache, struct run_cache_key *key, const char *what,
		    const char *path)
{
	return path ? run_cache_key_add_file(cache, key, what, path) : 0;
}

/* Its name, or itself, which the VM's text has. */
static int add_content(struct run_cache *cache, struct run_cache_key *key, const char *what,
		       const char *content)
{
	return content && !strchr(content, '\n') ? add_file(cache, key, what, content) : 0;
}

static int add_vm_files(struct run_cache *cache, struct run_cache_key *key,
			const struct vm_config *vm)
{
	int r = add_file(cache, key, "kernel", vm->kernel);

	if (r == 0)
		r = add_file(cache, key, "initrd", vm->initrd);
	if (r == 0)
		r = add_content(cache, key, "user_data", vm->cloud_init.user_data);
	if (r == 0)
		r = add_content(cache, key, "meta_data", vm->cloud_init.meta_data);
	if (r == 0)
		r = add_content(cache, key, "network_config", vm->cloud_init.network_config);
	for (unsigned i = 0; r == 0 && i < vm->n_disks; i++)
		r = add_file(cache, key, "disk", vm->disk[i].path);
	return r;
}

int test_key_make(struct run_cache *cache, const struct test_case *test,
		  struct run_cache_key *key)
{
	int r = test->spec->is_made ? error_set(EINVAL, "its guest is made of this host's files") :
		judge_vm(&test->vm);

	*key = (struct run_cache_key){ 0 };
	if (r == 0)
		r = run_cache_key_add_file(cache, key, "vireo", "/proc/self/exe");
	if (r == 0)
		r = run_cache_key_add_file(cache, key, "file", test->spec->file);
	if (r == 0)
		r = add_written(key, "host", test, write_host);
	if (r == 0)
		r = add_written(key, "test", test, write_spec);
	if (r == 0)
		r = add_written(key, "vm", test, write_vm);
	if (r == 0)
		r = add_step_files(cache, key, test->spec);
	if (r == 0)
		r = add_vm_files(cache, key, &test->vm);
	if (r == 0)
		run_cache_key_end(key);
	return r;
}
