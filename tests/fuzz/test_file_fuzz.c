/*
 * Test files.  The input is up to three files, t.yaml, a.yaml and b.yaml, with bytes 0xff between
 * them, which no text has; they may include each other, and name each other as VMs.
 */
#include "tests/fuzz/fuzz_files.h"
#include "vmm/base/error.h"
#include "vmm/outcome.h"
#include "vmm/test/pattern.h"
#include "vmm/test/test_plan.h"
#include "vmm/test/test_requires.h"

static const char *const names[FUZZ_FILES] = { "t.yaml", "a.yaml", "b.yaml" };

static void check_mistakes(const struct mistakes *m)
{
	unsigned shown = m->n < MISTAKES_SHOWN ? m->n : MISTAKES_SHOWN;

	CHECK((m->n > 0) == (m->status != 0));
	CHECK(m->n == 0 || m->status == STATUS_FAILED || m->status == STATUS_NO_FILE);
	for (unsigned i = 0; i < shown; i++) {
		size_t len = strnlen(m->line[i], MISTAKE_SIZE);

		CHECK(len > 0 && len < MISTAKE_SIZE);
	}
}

static void check_step(const struct step_spec *step)
{
	CHECK(step->kind < N_STEP_KINDS && step->shown && step->line > 0);
	CHECK(step->kind != STEP_EXPECT || step->n_patterns > 0);
	CHECK(step->kind != STEP_SEND || step->text);
	CHECK(step->kind != STEP_RUN || step->text || step->argv.n > 0);
	if (step->kind == STEP_COPY_IN)
		CHECK(step->from && step->to && *step->to == '/');
	if (step->kind == STEP_COPY_OUT)
		CHECK(step->from && *step->from == '/' && step->to && *step->to != '/' &&
		      !strstr(step->to, "../"));
	/* None of them matches what is not there yet. */
	for (unsigned i = 0; i < step->n_patterns; i++) {
		struct pattern_place place;

		CHECK(pattern_find(step->pattern[i], "", 0, 0, false, &place) != PATTERN_FOUND);
	}
}

static void check_case(const struct test_case *test)
{
	const struct test_spec *spec = test->spec;
	char why[TEST_MISSING_SIZE];

	CHECK(test->title && !strncmp(test->title, spec->name, strlen(spec->name)));
	CHECK(test->vm.kernel && spec->timeout_ms > 0 && spec->repeat > 0 && spec->file);
	for (unsigned i = 0; i < test->n_axes; i++)
		CHECK(test->axis[i].name && test->axis[i].value);
	for (unsigned i = 0; i < spec->n_steps; i++)
		check_step(&spec->step[i]);
	for (unsigned i = 0; i < spec->needs.n; i++)
		CHECK(test_need_judge(spec->needs.item[i], why));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct mistakes once, twice;
	struct test_plan a = { 0 }, b = { 0 };

	make_directory(names);
	write_files(data, len);
	once.n = twice.n = 0;
	once.status = twice.status = 0;
	test_plan_read(&a, path_of(0), &once);
	check_mistakes(&once);
	CHECK(error_errno() == 0);
	CHECK(a.n <= PLAN_MAX_CASES && (a.n > 0 || once.n > 0));
	for (unsigned i = 0; once.n == 0 && i < a.n; i++)
		check_case(a.item[i]);
	if (a.n < 1000) {
		test_plan_read(&b, path_of(0), &twice);
		CHECK(a.n == b.n && once.n == twice.n && a.n_specs == b.n_specs);
		for (unsigned i = 0; i < a.n; i++)
			CHECK(!strcmp(a.item[i]->title, b.item[i]->title));
	}
	test_plan_fini(&a);
	test_plan_fini(&b);
	return 0;
}
