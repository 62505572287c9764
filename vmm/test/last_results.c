#include "vmm/test/last_results.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/test/result_read.h"

enum { MAX_KEPT = 10000 };

/* A whole file, returned owned in '*text'.  Returns 0 or -errno. */
static int read_file(int dir, const char *name, char **text, size_t *len)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = fd < 0 ? -errno : 0;
	struct stat st;

	*text = NULL;
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r == 0 && !S_ISREG(st.st_mode))
		r = -EINVAL;
	if (r == 0 && st.st_size > RESULTS_MAX_BYTES)
		r = -E2BIG;
	if (r == 0) {
		*len = (size_t)st.st_size;
		*text = malloc(*len + 1);
		r = *text ? fd_pread_all(fd, *text, *len, 0) : -ENOMEM;
	}
	fd_close(&fd);
	if (r < 0) {
		free(*text);
		*text = NULL;
	}
	return r;
}

int last_results_read(struct test_results *out, const char *dir)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), r = fd < 0 ? -errno : 0;
	bool journal = false;
	char *text = NULL;
	size_t len = 0;

	*out = (struct test_results){ 0 };
	if (r == 0)
		r = read_file(fd, "results.json", &text, &len);
	if (r == -ENOENT && fd >= 0) {
		journal = true;
		r = read_file(fd, "results.jsonl", &text, &len);
	}
	fd_close(&fd);
	if (r < 0)
		return error_set(r, "read the results in '%s'", dir);
	r = journal ? results_read_journal(out, text, len) : results_read_json(out, text, len);
	free(text);
	return r < 0 ? error_add(r, "read the results in '%s'", dir) : 0;
}

/* 'dir' without slashes at its end gets the first free number.  Returns 0 or -errno. */
static int rename_dir(const char *dir, int len, char moved[LAST_RESULTS_PATH_SIZE])
{
	for (unsigned i = 1; i <= MAX_KEPT; i++) {
		int n = snprintf(moved, LAST_RESULTS_PATH_SIZE, "%.*s.%u", len, dir, i);

		if (n >= LAST_RESULTS_PATH_SIZE)
			return error_set(ENAMETOOLONG, "keep the results in '%s'", dir);
		if (renameat2(AT_FDCWD, dir, AT_FDCWD, moved, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return error_set(errno, "keep the results in '%s' as '%s'", dir, moved);
	}
	return error_set(EEXIST, "keep the results in '%s': there are %u already", dir, MAX_KEPT);
}

int last_results_keep(const char *dir, char moved[LAST_RESULTS_PATH_SIZE])
{
	char marker[LAST_RESULTS_PATH_SIZE];
	size_t len = strlen(dir);
	int fd, r;

	moved[0] = '\0';
	while (len > 1 && dir[len - 1] == '/')
		len--;
	if (snprintf(marker, sizeof(marker), "%.*s/.vireo-results", (int)len, dir) >=
	    (int)sizeof(marker))
		return error_set(ENAMETOOLONG, "keep the results in '%s'", dir);
	if (access(marker, F_OK) < 0)
		return 0;
	/* The lock of a run that writes there (result_store.c), whose files must not move. */
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(errno, "keep the results in '%s'", dir);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		r = error_set(EBUSY, "another 'vireo test' writes to '%s'", dir);
		error_hint("give each its own directory with --results");
	} else {
		r = rename_dir(dir, (int)len, moved);
	}
	fd_close(&fd);
	if (r < 0)
		moved[0] = '\0';
	return r;
}
