#include "vmm/test/copy_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

struct copy {
	unsigned depth, entries, *left_out;
};

static int copy_bytes(int from, int to, uint64_t left)
{
	char buf[16384];
	bool fast = true;

	while (left > 0) {
		ssize_t n = fast ? copy_file_range(from, NULL, to, NULL, left, 0) :
			    read(from, buf, min_u64(left, sizeof(buf)));
		if (fast && n <= 0) {
			/* Another file system, or an old kernel: that call copied nothing. */
			fast = false;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		if (!fast) {
			int r = fd_write_all(to, buf, (size_t)n);
			if (r < 0)
				return r;
		}
		left -= (uint64_t)n;
	}
	return 0;
}

/* 'in' is a regular file. */
static int copy_file(struct copy *c, int in, uint64_t size, int to, const char *name)
{
	int out, r;

	if (size > COPY_MAX_FILE) {
		++*c->left_out;
		return 0;
	}
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	r = out < 0 ? -errno : copy_bytes(in, out, size);
	fd_close(&out);
	return r < 0 ? error_set(r, "copy '%.100s'", name) : 0;
}

static int copy_all(struct copy *c, int from, int to);

static int copy_entry(struct copy *c, int from, int to, const char *name)
{
	int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int r = 0, below;

	if (in < 0 || fstat(in, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) ||
	    c->depth == COPY_MAX_DEPTH) {
		++*c->left_out;
	} else if (S_ISREG(st.st_mode)) {
		r = copy_file(c, in, (uint64_t)st.st_size, to, name);
	} else {
		if (mkdirat(to, name, 0777) < 0)
			r = error_set(errno, "make the directory '%.100s'", name);
		below = r == 0 ? openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) :
			FD_NONE;
		if (r == 0 && below < 0)
			r = error_set(errno, "open the directory '%.100s'", name);
		if (r == 0) {
			c->depth++;
			r = copy_all(c, in, below);
			c->depth--;
			in = FD_NONE;
		}
		fd_close(&below);
	}
	fd_close(&in);
	return r;
}

/* 'from' is consumed. */
static int copy_all(struct copy *c, int from, int to)
{
	DIR *list = fdopendir(from);
	struct dirent *entry;
	int r = 0;

	if (!list) {
		r = error_set(errno, "read a directory");
		fd_close(&from);
		return r;
	}
	while (r == 0 && (entry = readdir(list))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (c->entries == COPY_MAX_ENTRIES) {
			++*c->left_out;
			break;
		}
		c->entries++;
		r = copy_entry(c, dirfd(list), to, entry->d_name);
	}
	closedir(list);
	return r;
}

int copy_tree(int from, int to, unsigned *left_out)
{
	struct copy c = { .left_out = left_out };

	return copy_all(&c, from, to);
}
