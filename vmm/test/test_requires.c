#include "vmm/test/test_requires.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/text.h"

/* Facilities are devices: opened, as mode bits say little. */
static const struct facility {
	const char *name, *path;
} facilities[] = {
	{ "kvm", "/dev/kvm" },
	{ "vhost-net", "/dev/vhost-net" },
	{ "vhost-vsock", "/dev/vhost-vsock" },
	{ "vhost-scsi", "/dev/vhost-scsi" },
	{ "tun", "/dev/net/tun" },
};

static const struct facility *find(const char *need)
{
	for (unsigned i = 0; i < ARRAY_SIZE(facilities); i++)
		if (!strcmp(facilities[i].name, need))
			return &facilities[i];
	return NULL;
}

/* What stands behind "file:", "env:" or "command:"; NULL: it begins otherwise. */
static const char *behind(const char *need, const char *start)
{
	size_t len = strlen(start);

	return !strncmp(need, start, len) && need[len] ? need + len : NULL;
}

bool test_need_judge(const char *need, char why[TEST_MISSING_SIZE])
{
	const char *names[ARRAY_SIZE(facilities)], *near;

	if (find(need) || behind(need, "file:") || behind(need, "env:") ||
	    behind(need, "command:"))
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(facilities); i++)
		names[i] = facilities[i].name;
	near = text_nearest(need, names, ARRAY_SIZE(facilities));
	snprintf(why, TEST_MISSING_SIZE,
		 "'%.40s' is none of kvm, vhost-net, vhost-vsock, vhost-scsi, tun, file:PATH, "
		 "env:NAME, command:NAME%s%s%s", need, near ? "; did you mean '" : "",
		 near ? near : "", near ? "'" : "");
	return false;
}

static bool cannot_open(const char *path, char why[TEST_MISSING_SIZE])
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0) {
		close(fd);
		return false;
	}
	snprintf(why, TEST_MISSING_SIZE, "%s: %s", path, strerror(errno));
	return true;
}

static bool is_in_path(const char *name)
{
	const char *path = getenv("PATH"), *end;
	char *file;
	bool found = false;

	if (strchr(name, '/'))
		return access(name, X_OK) == 0;
	for (const char *dir = path; dir && !found; dir = *end ? end + 1 : NULL) {
		end = strchrnul(dir, ':');
		if (asprintf(&file, "%.*s/%s", (int)(end - dir), dir, name) < 0)
			return false;
		found = access(file, X_OK) == 0;
		free(file);
	}
	return found;
}

bool test_need_is_missing(const char *need, char why[TEST_MISSING_SIZE])
{
	const struct facility *facility = find(need);
	const char *name;

	if (facility)
		return cannot_open(facility->path, why);
	name = behind(need, "file:");
	if (name) {
		if (access(name, R_OK) == 0)
			return false;
		snprintf(why, TEST_MISSING_SIZE, "%s: %s", name, strerror(errno));
		return true;
	}
	name = behind(need, "env:");
	if (name) {
		const char *value = getenv(name);
		if (value && *value)
			return false;
		snprintf(why, TEST_MISSING_SIZE, "the variable %s is not set", name);
		return true;
	}
	name = behind(need, "command:");
	if (!name || is_in_path(name))
		return false;
	snprintf(why, TEST_MISSING_SIZE, "there is no command %s", name);
	return true;
}

bool test_case_is_missing(const struct test_case *test, char why[TEST_MISSING_SIZE])
{
	for (unsigned i = 0; i < test->spec->needs.n; i++)
		if (test_need_is_missing(test->spec->needs.item[i], why))
			return true;
	return false;
}
