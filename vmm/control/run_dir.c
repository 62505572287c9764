#include "vmm/control/run_dir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "vmm/base/error.h"

enum { LOCK_TRIES = 5 };

static const char *const files[] = {
	"config.json", "console.log", "console.log.1", "events.jsonl", "events.jsonl.1",
	"report.txt", "report.txt.1",
};

bool run_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > RUN_NAME_MAX || *name == '.' || *name == '-')
		return false;
	for (const char *p = name; *p; p++)
		if (!isascii((unsigned char)*p) ||
		    (!isalnum((unsigned char)*p) && !strchr("._-", *p)))
			return false;
	return true;
}

void run_dir_base(char path[RUN_DIR_PATH_SIZE])
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	if (xdg && *xdg == '/')
		snprintf(path, RUN_DIR_PATH_SIZE, "%s/vireo", xdg);
	else if (geteuid() == 0)
		snprintf(path, RUN_DIR_PATH_SIZE, "/run/vireo");
	else
		snprintf(path, RUN_DIR_PATH_SIZE, "/tmp/vireo-%u", (unsigned)geteuid());
}

/*
 * Open directory 'path' (relative to 'at'), made with mode 0700 if it is not there; it must be
 * ours, and nobody else may write to it.  Returns the descriptor or -errno with an error chain.
 */
static int open_own(int at, const char *path, bool make)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct stat st;
	int fd;

	if (make && mkdirat(at, path, 0700) < 0 && errno != EEXIST)
		return error_set(errno, "make the directory '%s'", path);
	fd = openat(at, path, flags);
	if (fd < 0 && errno == ENOTDIR)
		return error_set(EPERM, "use '%s' as a run directory: it is no directory, or a "
				 "symbolic link", path);
	if (fd < 0)
		return error_set(errno, "open the directory '%s'", path);
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & 022))
		return fd;
	fd_close(&fd);
	return error_set(EPERM, "use '%s' as a run directory: it belongs to somebody else, or "
			 "others may write to it", path);
}

/* --- The lock -------------------------------------------------------------------------------- */

static pid_t read_pid(int fd)
{
	char text[16];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

pid_t run_dir_owner(int fd)
{
	int lock = openat(fd, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	pid_t pid = 0;

	if (lock < 0)
		return errno == ENOENT ? 0 : -errno;
	if (flock(lock, LOCK_SH | LOCK_NB) < 0)
		pid = errno == EWOULDBLOCK ? read_pid(lock) : -errno;
	fd_close(&lock);
	return pid;
}

/* Did the one who had it before take it away from 'dir', while we waited for his lock? */
static bool is_still_there(int dir, int lock)
{
	struct stat mine, there;

	return fstat(lock, &mine) == 0 &&
	       fstatat(dir, "lock", &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

static int take_lock(struct run_dir *rd)
{
	const struct timespec wait = { .tv_nsec = 3000000 };
	unsigned n_tries = 0;
	char text[16];

	for (;;) {
		rd->lock_fd = openat(rd->fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
				     0600);
		if (rd->lock_fd < 0)
			return error_set(errno, "make the lock of '%s'", rd->path);
		if (flock(rd->lock_fd, LOCK_EX | LOCK_NB) < 0) {
			/* It may be somebody who only looks whether it is held. */
			if (errno != EWOULDBLOCK || ++n_tries > LOCK_TRIES)
				break;
			fd_close(&rd->lock_fd);
			nanosleep(&wait, NULL);
			continue;
		}
		if (is_still_there(rd->fd, rd->lock_fd)) {
			int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
			if (ftruncate(rd->lock_fd, 0) < 0)
				return error_set(errno, "write the lock of '%s'", rd->path);
			int r = fd_write_all(rd->lock_fd, text, (size_t)len);
			return r < 0 ? error_set(r, "write the lock of '%s'", rd->path) : 0;
		}
		fd_close(&rd->lock_fd);
	}
	int err = errno;
	pid_t pid = read_pid(rd->lock_fd);
	fd_close(&rd->lock_fd);
	if (err != EWOULDBLOCK)
		return error_set(err, "lock '%s'", rd->path);
	error_set(EBUSY, "use the run directory '%s': the VM of process %d has it", rd->path,
		  (int)pid);
	error_hint("'vireo ps' lists the VMs that run; '--name' gives this one another name");
	return -EBUSY;
}

/* --- Life ------------------------------------------------------------------------------------ */

/* What a dead VM left: ours to remove, as the lock is ours. */
static void remove_files(const struct run_dir *rd)
{
	unlinkat(rd->fd, "control", 0);
	for (unsigned i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(rd->fd, files[i], 0);
}

int run_dir_create(struct run_dir *rd, const char *name, const char *path)
{
	char base[RUN_DIR_PATH_SIZE];
	int r;

	if (path) {
		if (strlen(path) >= sizeof(rd->path))
			return error_set(ENAMETOOLONG, "use '%.40s...' as a run directory", path);
		snprintf(rd->path, sizeof(rd->path), "%s", path);
		rd->fd = open_own(AT_FDCWD, path, true);
	} else {
		run_dir_base(base);
		rd->base_fd = open_own(AT_FDCWD, base, true);
		if (rd->base_fd < 0) {
			r = rd->base_fd;
			rd->base_fd = FD_NONE;
			return error_add(r, "make the run directory of '%s'", name);
		}
		r = snprintf(rd->path, sizeof(rd->path), "%s/%s", base, name);
		if (r >= (int)sizeof(rd->path))
			return error_set(ENAMETOOLONG, "make the run directory of '%s'", name);
		snprintf(rd->name, sizeof(rd->name), "%s", name);
		rd->fd = open_own(rd->base_fd, name, true);
	}
	if (rd->fd < 0) {
		r = rd->fd;
		rd->fd = FD_NONE;
		return error_add(r, "make the run directory '%s'", rd->path);
	}
	r = take_lock(rd);
	if (r == 0)
		remove_files(rd);
	return r;
}

void run_dir_close(struct run_dir *rd, bool keep)
{
	/* Who has not got the lock removes nothing. */
	if (rd->lock_fd != FD_NONE) {
		if (!keep && rd->base_fd != FD_NONE)
			remove_files(rd);
		unlinkat(rd->fd, "control", 0);
		unlinkat(rd->fd, "lock", 0);
		if (!keep && rd->base_fd != FD_NONE)
			unlinkat(rd->base_fd, rd->name, AT_REMOVEDIR);
	}
	fd_close(&rd->lock_fd);
	fd_close(&rd->fd);
	fd_close(&rd->base_fd);
}

int run_dir_open(const char *name)
{
	char base[RUN_DIR_PATH_SIZE];
	int at = FD_NONE, fd;

	if (strchr(name, '/'))
		return open_own(AT_FDCWD, name, false);
	if (!run_name_is_valid(name))
		return error_set(EINVAL, "'%.80s' is no name of a VM", name);
	run_dir_base(base);
	at = open_own(AT_FDCWD, base, false);
	if (at < 0)
		return at;
	fd = open_own(at, name, false);
	fd_close(&at);
	return fd;
}

unsigned run_dir_each(void (*each)(void *arg, const char *name, int fd), void *arg)
{
	char base[RUN_DIR_PATH_SIZE];
	const struct dirent *entry;
	unsigned n = 0;
	int at, fd;
	DIR *dir;

	run_dir_base(base);
	at = open_own(AT_FDCWD, base, false);
	dir = at < 0 ? NULL : fdopendir(at);
	if (!dir) {
		/* Nobody has run anything yet, or it is not ours to look at. */
		error_clear();
		if (at >= 0)
			fd_close(&at);
		return 0;
	}
	while ((entry = readdir(dir))) {
		if (!run_name_is_valid(entry->d_name))
			continue;
		fd = open_own(at, entry->d_name, false);
		if (fd < 0) {
			error_clear();
			continue;
		}
		each(arg, entry->d_name, fd);
		n++;
		fd_close(&fd);
	}
	closedir(dir);
	return n;
}

bool run_dir_clean(int fd)
{
	int lock = openat(fd, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	bool any = false;

	if (lock < 0)
		return false;
	/* With the lock held, so that it is not that of a VM which begins now, or has since. */
	if (flock(lock, LOCK_EX | LOCK_NB) == 0 && is_still_there(fd, lock)) {
		any = unlinkat(fd, "control", 0) == 0;
		any |= unlinkat(fd, "lock", 0) == 0;
	}
	fd_close(&lock);
	return any;
}
