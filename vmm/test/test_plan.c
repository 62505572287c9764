#include "vmm/test/test_plan.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/outcome.h"
#include "vmm/test/test_file.h"

void test_case_destroy(struct test_case *test)
{
	if (!test)
		return;
	for (unsigned i = 0; i < test->n_axes; i++) {
		free(test->axis[i].name);
		free(test->axis[i].value);
	}
	free(test->axis);
	free(test->title);
	config_fini(&test->vm);
	free(test);
}

void test_plan_fini(struct test_plan *plan)
{
	for (unsigned i = 0; i < plan->n; i++)
		test_case_destroy(plan->item[i]);
	for (unsigned i = 0; i < plan->n_specs; i++)
		test_spec_destroy(plan->spec[i]);
	free(plan->item);
	free(plan->spec);
	origins_fini(&plan->origins);
	*plan = (struct test_plan){ 0 };
}

static int is_test_file(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"));
}

static void refuse(struct mistakes *mistakes, const char *path, int err)
{
	const struct origin nowhere = { 0 };

	mistakes_add_at(mistakes, &nowhere, outcome_of_error(BLAME_FILE, err), "'%s': %s", path,
			strerror(err));
}

static void read_folder(struct test_plan *plan, const char *path, struct mistakes *mistakes)
{
	const char *slash = path[strlen(path) - 1] == '/' ? "" : "/";
	struct dirent **entry = NULL;
	int n = scandir(path, &entry, is_test_file, alphasort);
	unsigned n_read = 0;
	char *file;

	if (n < 0) {
		refuse(mistakes, path, errno);
		return;
	}
	for (int i = 0; i < n; i++) {
		if (asprintf(&file, "%s%s%s", path, slash, entry[i]->d_name) < 0) {
			mistakes_add(mistakes, "no memory");
		} else {
			if (test_file_has_tests(file)) {
				test_file_read(plan, file, mistakes);
				n_read++;
			}
			free(file);
		}
		free(entry[i]);
	}
	free(entry);
	if (n_read == 0)
		mistakes_add(mistakes, "'%s' has no test files: *.yaml or *.yml with 'tests'",
			     path);
}

void test_plan_read(struct test_plan *plan, const char *path, struct mistakes *mistakes)
{
	struct stat st;

	if (*path && strcmp(path, "-") && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		read_folder(plan, path, mistakes);
	else
		test_file_read(plan, path, mistakes);
}
