/* Files that go in, and what copies of both directions share. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/agent/agent_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

void agent_copy_fini(struct agent_op *op)
{
	struct agent_copy *copy = &op->copy;

	if (op->kind != AGENT_OP_IN && op->kind != AGENT_OP_OUT)
		return;
	if (copy->has_temp)
		unlinkat(copy->folder_fd, copy->temp, 0);
	copy->has_temp = false;
	fd_close(&copy->fd);
	fd_close(&copy->root_fd);
	fd_close(&copy->folder_fd);
}

/* CANCEL is sent when there is room; until then (and after) what comes is dropped. */
void agent_copy_send_cancel(struct agent *agent, struct agent_op *op)
{
	struct agent_copy *copy = &op->copy;

	if (copy->err == 0 || copy->cancelled || !agent_room(agent, 0, AGENT_TX_RESERVE))
		return;
	copy->cancelled = true;
	agent_put(agent, WIRE_CANCEL, 0, op->id, 0);
}

void agent_copy_cancel(struct agent *agent, struct agent_op *op, int err, const char *fmt, ...)
{
	struct agent_copy *copy = &op->copy;
	va_list args;

	if (copy->err)
		return;
	copy->err = err;
	va_start(args, fmt);
	vsnprintf(copy->why, sizeof(copy->why), fmt, args);
	va_end(args);
	fd_close(&copy->fd);
	agent_copy_send_cancel(agent, op);
}

/* One frame.  Returns whether there may be more. */
static bool send_piece(struct agent *agent, struct agent_op *op)
{
	struct agent_copy *copy = &op->copy;
	uint8_t *p = agent_room(agent, WIRE_DATA_MAX, AGENT_TX_RESERVE);

	if (!p || op->credit == 0 || !agent_data_fits(agent))
		return false;
	ssize_t n = read(copy->fd, p, min_u64(op->credit, WIRE_DATA_MAX));
	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0) {
		agent_copy_cancel(agent, op, errno, "read the file on the host");
		return false;
	}
	if (n > 0) {
		op->credit -= (uint32_t)n;
		agent_put(agent, WIRE_DATA, WIRE_STDIN, op->id, (size_t)n);
		return true;
	}
	fd_close(&copy->fd);
	op->input_closed = true;
	agent_put(agent, WIRE_END, WIRE_STDIN, op->id, 0);
	return false;
}

void agent_copy_in_pump(struct agent *agent, struct agent_op *op)
{
	agent_copy_send_cancel(agent, op);
	while (op->copy.fd >= 0 && send_piece(agent, op))
		;
}

static int judge_path(const char *path)
{
	size_t len = strlen(path);

	if (len == 0 || len > AGENT_PATH_MAX)
		return error_set(len ? ENAMETOOLONG : EINVAL,
				 "a path in the guest has 1 to %d bytes", AGENT_PATH_MAX);
	return 0;
}

/* O_NONBLOCK: a FIFO is refused, not waited for. */
static int open_regular(int *out, const char *path, unsigned *mode)
{
	struct stat st;

	*out = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*out < 0)
		return error_set(errno, "open '%s'", path);
	if (fstat(*out, &st) < 0)
		return error_set(errno, "look at '%s'", path);
	if (!S_ISREG(st.st_mode))
		return error_set(S_ISDIR(st.st_mode) ? EISDIR : EINVAL, "'%s' is no regular file",
				 path);
	if (*mode == 0)
		*mode = st.st_mode & 0777;
	return 0;
}

int agent_copy_in(struct agent *agent, const char *host_path, const char *guest_path,
		  unsigned mode, uint32_t *out)
{
	int fd = FD_NONE, r = judge_path(guest_path);
	struct agent_op *op = NULL;
	size_t len = strlen(guest_path);
	uint8_t *p = NULL;

	*out = 0;
	if (r == 0)
		r = open_regular(&fd, host_path, &mode);
	if (r == 0)
		op = agent_op_new(agent, AGENT_OP_IN, &r);
	if (op && (p = agent_room(agent, 4 + len, AGENT_TX_RESERVE)) == NULL) {
		op->kind = AGENT_OP_NONE;
		r = error_set(EAGAIN, "the guest's agent does not read");
	}
	if (r < 0) {
		fd_close(&fd);
		return error_add(r, "copy '%s' into the guest", host_path);
	}
	op->copy.fd = fd;
	*out = op->id;
	store_le32(p, mode & 07777);
	memcpy(p + 4, guest_path, len);
	agent_put(agent, WIRE_COPY_IN, 0, op->id, 4 + len);
	agent_copy_in_pump(agent, op);
	return 0;
}

/* Where 'path' is, and its last name.  The folders on the way are the caller's, links included. */
static int open_folder(struct agent_copy *copy, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	char folder[AGENT_PATH_MAX + 1];
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (!*base || !strcmp(base, ".") || !strcmp(base, "..") ||
	    strlen(base) >= sizeof(copy->base) || len >= sizeof(folder))
		return error_set(EINVAL, "'%s' does not end in a name", path);
	memcpy(folder, path, len);
	folder[len] = 0;
	snprintf(copy->base, sizeof(copy->base), "%s", base);
	copy->folder_fd = open(len ? folder : slash ? "/" : ".",
			       O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (copy->folder_fd < 0)
		return error_set(errno, "open the folder of '%s'", path);
	return 0;
}

int agent_copy_out(struct agent *agent, const char *guest_path, const char *host_path,
		   uint32_t *out)
{
	int r = judge_path(guest_path);
	struct agent_op *op = NULL;
	size_t len = strlen(guest_path);
	uint8_t *p = NULL;

	*out = 0;
	if (r == 0)
		op = agent_op_new(agent, AGENT_OP_OUT, &r);
	if (op)
		r = open_folder(&op->copy, host_path);
	if (r == 0 && (p = agent_room(agent, len, AGENT_TX_RESERVE)) == NULL)
		r = error_set(EAGAIN, "the guest's agent does not read");
	if (r < 0) {
		if (op) {
			agent_copy_fini(op);
			op->kind = AGENT_OP_NONE;
		}
		return error_add(r, "copy '%s' out of the guest", guest_path);
	}
	*out = op->id;
	memcpy(p, guest_path, len);
	agent_put(agent, WIRE_COPY_OUT, 0, op->id, len);
	return 0;
}
