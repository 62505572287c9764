/*
 * A file or a folder that goes out: an ENTRY for each, the bytes of files after theirs.  Folders
 * are walked by descriptors, so that nobody who renames things in between leads the walk elsewhere,
 * and in a depth that is bounded.  Links and special files are named, not opened: opening some devices
 * has effects.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"
#include "vmm/base/le.h"

enum { OPEN = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

/* As getdents64 writes it. */
struct entry {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

static void put_entry(struct op *op, unsigned kind, unsigned mode)
{
	size_t len = strlen(op->out.name);
	uint8_t *p = session_room(8 + WIRE_PATH_MAX);

	/* There is room: whoever calls has looked. */
	store_le32(p, kind);
	store_le32(p + 4, mode & 0777);
	memcpy(p + 8, op->out.name, len);
	session_put(WIRE_ENTRY, 0, op->id, 8 + len);
}

static void push(struct copy_out *out, int fd, size_t name_len)
{
	struct walk_level *level = &out->level[out->depth++];

	level->fd = fd;
	level->name_len = name_len;
	level->at = level->len = 0;
}

void copy_out_stop(struct op *op)
{
	struct copy_out *out = &op->out;

	close_fd(&out->fd);
	while (out->depth > 0)
		close_fd(&out->level[--out->depth].fd);
}

static void fail(struct op *op, const char *what, const char *name)
{
	int err = errno;

	copy_out_stop(op);
	op_fail(op, err, "%s '%s'", what, name);
}

/* Open what has just been found to be a file or folder; it may be something else by now. */
static int open_found(int at, const char *name, int flags, struct stat *st)
{
	int fd;

	if (fstatat(at, name, st, flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0) < 0)
		return -errno;
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		return -EINVAL;
	fd = openat(at, name, OPEN | flags);
	if (fd < 0)
		return -errno;
	if (fstat(fd, st) == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)))
		return fd;
	close(fd);
	return -EINVAL;
}

void copy_out_begin(struct op *op, const uint8_t *payload, size_t len)
{
	struct copy_out *out = &op->out;
	struct stat st;

	out->fd = -1;
	out->depth = 0;
	/* The path is needed once; its place is that of the names below it. */
	memcpy(out->name, payload, len);
	out->name[len] = 0;
	if (strlen(out->name) != len) {
		op->kind = OP_NONE;
		session_complain("a path with a NUL in it");
		return;
	}
	int fd = open_found(AT_FDCWD, out->name, 0, &st);
	if (fd == -EINVAL) {
		op_fail(op, EINVAL, "'%s' is neither a file nor a folder", out->name);
		return;
	}
	if (fd < 0) {
		op_fail(op, -fd, "open '%s'", out->name);
		return;
	}
	out->name[0] = 0;
	if (!session_room(8 + WIRE_PATH_MAX)) {
		/* As good as never: a frame has just been read from a host that does not read. */
		close(fd);
		op_fail(op, ENOBUFS, "begin");
		return;
	}
	put_entry(op, S_ISDIR(st.st_mode) ? WIRE_KIND_FOLDER : WIRE_KIND_FILE, st.st_mode);
	if (S_ISDIR(st.st_mode))
		push(out, fd, 0);
	else
		out->fd = fd;
}

/* Append a name to that of its folder.  Returns false if it gets too long. */
static bool append(struct copy_out *out, size_t folder_len, const char *name)
{
	size_t len = strlen(name), slash = folder_len > 0;

	if (folder_len + slash + len > WIRE_PATH_MAX)
		return false;
	if (slash)
		out->name[folder_len] = '/';
	memcpy(out->name + folder_len + slash, name, len + 1);
	return true;
}

static void take_entry(struct op *op, struct walk_level *level, const char *name)
{
	struct copy_out *out = &op->out;
	struct stat st;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return;
	if (!append(out, level->name_len, name)) {
		out->name[level->name_len] = 0;
		put_entry(op, WIRE_KIND_SKIPPED, 0);
		return;
	}
	int fd = open_found(level->fd, name, O_NOFOLLOW, &st);
	if (fd == -ENOENT)
		return;		/* removed meanwhile */
	if (fd < 0 || (S_ISDIR(st.st_mode) && out->depth == WALK_DEPTH)) {
		close_fd(&fd);
		put_entry(op, WIRE_KIND_SKIPPED, 0);
		return;
	}
	put_entry(op, S_ISDIR(st.st_mode) ? WIRE_KIND_FOLDER : WIRE_KIND_FILE, st.st_mode);
	if (S_ISDIR(st.st_mode))
		push(out, fd, strlen(out->name));
	else
		out->fd = fd;
}

/* The next name of the innermost folder. */
static void walk(struct op *op)
{
	struct copy_out *out = &op->out;
	struct walk_level *level = &out->level[out->depth - 1];

	if (level->at == level->len) {
		long n = syscall(SYS_getdents64, level->fd, level->dents, DENTS);
		if (n < 0) {
			fail(op, "read the folder", out->name);
			return;
		}
		if (n == 0) {
			close_fd(&level->fd);
			out->depth--;
			return;
		}
		level->at = 0;
		level->len = (int)n;
	}
	const struct entry *entry = (const void *)(level->dents + level->at);
	level->at += entry->len;
	take_entry(op, level, entry->name);
}

/* Returns false when there is no more credit. */
static bool send_bytes(struct op *op)
{
	uint32_t *credit = &op->credit[WIRE_STDOUT];
	uint8_t *p = session_room(WIRE_DATA_MAX);

	if (*credit == 0)
		return false;
	ssize_t n = read(op->out.fd, p, *credit < WIRE_DATA_MAX ? *credit : WIRE_DATA_MAX);
	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0) {
		fail(op, "read", op->out.name);
		return false;
	}
	if (n == 0) {
		close_fd(&op->out.fd);
		return true;
	}
	session_put(WIRE_DATA, WIRE_STDOUT, op->id, (size_t)n);
	*credit -= (uint32_t)n;
	return true;
}

void copy_out_pump(struct op *op)
{
	struct copy_out *out = &op->out;

	while (!op->over && session_room(WIRE_DATA_MAX)) {
		if (out->fd >= 0) {
			if (!send_bytes(op))
				return;
		} else if (out->depth > 0) {
			walk(op);
		} else {
			op->over = true;
		}
	}
}
