/*
 * Test files.  The input is up to three files, t.yaml, a.yaml and b.yaml, with bytes 0xff between
 * them, which no text has; they may include each other, and name each other as VMs.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_input.h"
#include "vmm/base/error.h"
#include "vmm/outcome.h"
#include "vmm/test/pattern.h"
#include "vmm/test/test_plan.h"
#include "vmm/test/test_requires.h"

static const char *const names[] = { "t.yaml", "a.yaml", "b.yaml" };

static char directory[] = "/dev/shm/vireo-fuzz-XXXXXX";

static const char *path_of(unsigned file)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", directory, names[file]);
	return path;
}

static void remove_directory(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		unlink(path_of(i));
	rmdir(directory);
}

static void make_directory(void)
{
	static bool done;

	if (done)
		return;
	CHECK(mkdtemp(directory) && atexit(remove_directory) == 0);
	CHECK(setenv("A", "alpha", 1) == 0 && setenv("E", "", 1) == 0);
	done = true;
}

static void write_files(const uint8_t *data, size_t len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		const uint8_t *end = len ? memchr(data, 0xff, len) : NULL;
		size_t n = end ? (size_t)(end - data) : len;
		int fd = open(path_of(i), O_WRONLY | O_CREAT | O_TRUNC, 0600);

		CHECK(fd >= 0 && write(fd, data, n) == (ssize_t)n);
		close(fd);
		n += end != NULL;
		data += n;
		len -= n;
	}
}

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

	make_directory();
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
