#include "vmm/test/result_store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "vmm/base/error.h"

struct result_store {
	char *path;
	struct test_results results;
};

int result_store_create(struct result_store **out, const char *dir, struct test_results *plan)
{
	struct result_store *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (!s || result_set_text(&s->path, "%s", dir) < 0) {
		free(s);
		test_results_fini(plan);
		return error_set(ENOMEM, "make a place for results");
	}
	s->results = *plan;
	*plan = (struct test_results){ 0 };
	*out = s;
	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		return error_set(errno, "make the directory '%s'", dir);
	return 0;
}

void result_store_destroy(struct result_store *store)
{
	if (!store)
		return;
	test_results_fini(&store->results);
	free(store->path);
	free(store);
}

int result_store_make_dir(struct result_store *store, struct test_result *result, char **path)
{
	*path = NULL;
	if (result_set_text(&result->dir, "%s", result->name) < 0 ||
	    result_set_text(path, "%s/%s", store->path, result->dir) < 0)
		return error_set(ENOMEM, "make a directory for a test");
	return mkdir(*path, 0777) < 0 && errno != EEXIST ? error_set(errno, "make '%s'", *path) : 0;
}

int result_store_add(struct result_store *store, struct test_result *result)
{
	return test_results_add(&store->results, result);
}

int result_store_note(struct result_store *store, const char *text)
{
	return test_results_add_note(&store->results, "%s", text);
}

const struct test_results *result_store_results(const struct result_store *store)
{
	return &store->results;
}

int result_store_finish(struct result_store *store, bool complete)
{
	store->results.complete = complete;
	return 0;
}
