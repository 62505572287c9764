#include "tests/vmm/test_results_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/temp_tree.h"

static void set(char **field, const char *text)
{
	cr_assert_eq(result_set_text(field, "%s", text), 0);
}

struct test_result *results_rig_test(const char *name, enum verdict verdict)
{
	struct test_result *r;

	cr_assert_eq(test_result_create(&r), 0);
	set(&r->file, "boot.yaml");
	set(&r->name, name);
	r->verdict = verdict;
	return r;
}

static struct test_step *add_step(struct test_result *r, const char *text, enum verdict verdict,
				  const char *why)
{
	struct test_step *step;

	cr_assert_eq(test_result_add_step(r, text, 10 + r->n_steps, &step), 0);
	step->verdict = verdict;
	step->start_ns = r->n_steps * UINT64_C(400000000);
	step->duration_ns = UINT64_C(350000000);
	if (why)
		set(&step->why, why);
	return step;
}

static struct test_result *add(struct test_results *out, const char *name, enum verdict verdict,
			       const char *why)
{
	struct test_result *r = results_rig_test(name, verdict);

	r->line = 3 + out->n_tests;
	if (out->n_tests && !strcmp(out->test[out->n_tests - 1]->name, name))
		r->line = out->test[out->n_tests - 1]->line;
	r->exit_status = verdict == VERDICT_PASSED ? 0 : 120;
	r->started_ns = INT64_C(1795638022123456000);
	r->duration_ns = UINT64_C(1234567000);
	r->shard = 1;
	r->n_shards = 2;
	cr_assert_eq(result_set_text(&r->dir, "runs/%u", out->n_tests + 1), 0);
	set(&r->command, "vireo run runs/1/vm.json");
	set(&r->host, "builder");
	if (why)
		set(&r->why, why);
	cr_assert_eq(test_results_add(out, r), 0);
	return r;
}

void results_rig_make(struct test_results *out)
{
	struct test_result *r;
	struct test_step *step;

	*out = (struct test_results){ .complete = true, .shard = 1, .n_shards = 2 };
	set(&out->command, "vireo test boot.yaml --shard 1/2");
	set(&out->host, "builder");
	out->started_ns = INT64_C(1795638022123456000);
	out->duration_ns = UINT64_C(9876543000);
	cr_assert_eq(test_results_add_note(out, "shard 2/2 is <missing>"), 0);

	r = add(out, "boots", VERDICT_PASSED, NULL);
	cr_assert_eq(test_result_add_axis(r, "vm.transport", "pci"), 0);
	cr_assert_eq(test_result_add_axis(r, "vm.cpus", "4"), 0);
	step = add_step(r, "expect: \"login:\"", VERDICT_PASSED, NULL);
	step->console_from = 6;
	step->console_to = 12;
	add_step(r, "poweroff", VERDICT_PASSED, NULL);

	r = add(out, "boots", VERDICT_FAILED, "the guest's kernel panicked\nKernel panic <now>");
	cr_assert_eq(test_result_add_axis(r, "vm.transport", "mmio"), 0);
	cr_assert_eq(test_result_add_axis(r, "vm.cpus", "4"), 0);
	step = add_step(r, "expect: \"login:\"", VERDICT_FAILED, "the guest's kernel panicked");
	step->console_from = 0;
	step->console_to = 5;
	add_step(r, "poweroff", VERDICT_NOT_RUN, NULL);

	add(out, "hangs", VERDICT_TIMED_OUT, "no \"login:\" within 60 s");
	add(out, "breaks", VERDICT_BROKEN, "vireo: cannot open 'x' # & \"y\"");
	add(out, "skips", VERDICT_SKIPPED, "it needs /dev/vhost-net");
	add(out, "waits", VERDICT_NOT_RUN, NULL);
	add(out, "sometimes", VERDICT_PASSED, NULL);
	add(out, "sometimes", VERDICT_FAILED, "status 1")->attempt = 2;
	cr_assert_eq(test_results_mark_flaky(out), 0);
}

static char dir[TEMP_TREE_SIZE];

const char *results_rig_dir(void)
{
	temp_tree_make(dir);
	return dir;
}

void results_rig_remove_dir(void)
{
	cr_assert_eq(temp_tree_remove(dir), 0);
}

void results_rig_write(const char *name, const char *text)
{
	char path[512];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (char *p = path + strlen(dir); (p = strchr(p + 1, '/'));) {
		*p = 0;
		cr_assert(mkdir(path, 0777) == 0 || errno == EEXIST);
		*p = '/';
	}
	out = fopen(path, "w");
	cr_assert(out, "%s", path);
	fputs(text, out);
	fclose(out);
}

char *results_rig_read(const char *name)
{
	char path[512], *text = NULL;
	size_t len;
	int c;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *in = fopen(path, "r"), *out = in ? open_memstream(&text, &len) : NULL;
	if (!in)
		return NULL;
	while ((c = fgetc(in)) != EOF)
		fputc(c, out);
	fclose(in);
	fclose(out);
	return text;
}
