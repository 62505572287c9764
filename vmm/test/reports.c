/* All reports of a set, each written beside the old one and put in its place. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/test/report.h"
#include "vmm/test/result_json.h"

static int write_json(FILE *out, const struct test_results *results, int dir)
{
	(void)dir;
	return results_write_json(out, results);
}

static const struct {
	const char *name;
	int (*write)(FILE *out, const struct test_results *results, int dir);
} reports[] = {
	/* The truth first: a full disk may keep the others away. */
	{ "results.json", write_json },
	{ "results.tap", report_write_tap },
	{ "junit.xml", report_write_junit },
	{ "report.html", report_write_html },
};

static int write_one(unsigned i, const struct test_results *results, int dir)
{
	char temporary[64];
	FILE *out = NULL;
	int fd, r;

	snprintf(temporary, sizeof(temporary), ".%s.new", reports[i].name);
	if (unlinkat(dir, temporary, 0) < 0 && errno != ENOENT)
		return error_set(errno, "write '%s'", reports[i].name);
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd >= 0)
		out = fdopen(fd, "w");
	if (!out) {
		r = error_set(errno, "write '%s'", reports[i].name);
		fd_close(&fd);
		return r;
	}
	r = reports[i].write(out, results, dir);
	if (r == 0 && (fflush(out) != 0 || ferror(out)))
		r = errno ? -errno : -EIO;
	if (fclose(out) != 0 && r == 0)
		r = -errno;
	if (r == 0 && renameat(dir, temporary, dir, reports[i].name) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	unlinkat(dir, temporary, 0);
	return error_add(r, "write '%s'", reports[i].name);
}

int reports_write(const struct test_results *results, int dir)
{
	struct error_chain first;
	int result = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(reports); i++) {
		int r = write_one(i, results, dir);
		if (r < 0 && result == 0) {
			error_save(&first);
			result = r;
		}
	}
	if (result < 0)
		error_restore(&first);
	return result;
}
