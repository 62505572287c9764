/* A file that comes in: written beside its place under another name, and then renamed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"
#include "vmm/base/le.h"

void copy_in_begin(struct op *op, const uint8_t *payload, size_t len)
{
	struct copy_in *in = &op->in;
	size_t path_len = len - 4;
	struct stat st;

	in->fd = -1;
	in->mode = load_le32(payload) & 07777;
	memcpy(in->path, payload + 4, path_len);
	in->path[path_len] = 0;
	if (strlen(in->path) != path_len) {
		op->kind = OP_NONE;
		session_complain("a path with a NUL in it");
		return;
	}
	if (stat(in->path, &st) == 0 && !S_ISREG(st.st_mode)) {
		op_fail(op, S_ISDIR(st.st_mode) ? EISDIR : EINVAL, "'%s' is %s", in->path,
			S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
		return;
	}
	const char *slash = strrchr(in->path, '/');
	int folder = slash ? (int)(slash - in->path) + 1 : 0;
	snprintf(in->temp, sizeof(in->temp), "%.*s.vireo-%d-%u", folder, in->path, (int)getpid(),
		 (unsigned)op->id);
	in->fd = open(in->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (in->fd < 0)
		op_fail(op, errno, "create '%s'", in->path);
}

void copy_in_stop(struct op *op)
{
	if (op->in.fd >= 0)
		unlink(op->in.temp);
	close_fd(&op->in.fd);
}

static void fail(struct op *op, const char *what)
{
	int err = errno;

	copy_in_stop(op);
	op_fail(op, err, "%s '%s'", what, op->in.path);
}

void copy_in_data(struct op *op, const uint8_t *payload, size_t len)
{
	op->due += (uint32_t)len;
	while (len > 0) {
		ssize_t n = write(op->in.fd, payload, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			fail(op, "write");
			return;
		}
		payload += n;
		len -= (size_t)n;
	}
}

void copy_in_end(struct op *op)
{
	struct copy_in *in = &op->in;

	if (fchmod(in->fd, in->mode) < 0 || rename(in->temp, in->path) < 0) {
		fail(op, "put in place");
		return;
	}
	close_fd(&in->fd);
	op->over = true;
}
