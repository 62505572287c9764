#include "vmm/exec/exec_env.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/exec/exec_options.h"

/* Names that go along; one that ends with '*' is a beginning. */
static const char *const passed[] = {
	"PATH", "HOME", "TERM", "COLORTERM", "NO_COLOR", "LANG", "LANGUAGE", "LC_*", "TZ", "EDITOR",
	"PAGER", "SHELL",
};

/* The guest knows one user. */
static const char *const given[] = { "USER=root", "LOGNAME=root" };

static const char usual_path[] =
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static bool is_passed(const char *variable)
{
	size_t len = strcspn(variable, "=");

	for (unsigned i = 0; i < ARRAY_SIZE(passed); i++) {
		size_t known = strlen(passed[i]);
		bool is_beginning = passed[i][known - 1] == '*';

		if (is_beginning ? len >= known : len == known)
			if (!strncmp(variable, passed[i], is_beginning ? known - 1 : known))
				return true;
	}
	return false;
}

/* The entry with the name that 'variable' begins with, or NULL. */
static char **find(char *const *list, unsigned n, const char *variable)
{
	size_t len = strcspn(variable, "=");

	for (unsigned i = 0; i < n; i++)
		if (!strncmp(list[i], variable, len) && list[i][len] == '=')
			return (char **)&list[i];
	return NULL;
}

static int put(struct text_list *out, const char *variable)
{
	char **old = out->item ? find(out->item, out->n, variable) : NULL;
	char *copy;

	if (!old)
		return exec_list_add(out, variable);
	copy = strdup(variable);
	if (!copy)
		return error_set(ENOMEM, "keep the environment");
	free(*old);
	*old = copy;
	return 0;
}

int exec_env(struct text_list *out, char *const *host, const struct text_list *wanted)
{
	unsigned n_host = 0;
	int r = put(out, usual_path);

	for (; host[n_host]; n_host++)
		if (r == 0 && is_passed(host[n_host]) && strchr(host[n_host], '='))
			r = put(out, host[n_host]);
	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(given); i++)
		r = put(out, given[i]);
	for (unsigned i = 0; r == 0 && i < wanted->n; i++) {
		const char *variable = wanted->item[i];
		char **found = strchr(variable, '=') ? NULL : find(host, n_host, variable);

		if (found || strchr(variable, '='))
			r = put(out, found ? *found : variable);
	}
	if (r == 0) {
		char **item = reallocarray(out->item, out->n + 1, sizeof(*item));

		if (!item)
			return error_set(ENOMEM, "keep the environment");
		out->item = item;
		item[out->n] = NULL;
	}
	return r;
}
