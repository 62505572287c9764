/*
 * Files that come out.  Their names were made by a guest: each is judged as text, and then opened
 * in a way that the kernel holds below the copy's own folder and follows no link.  A single file
 * appears under its name when it is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/agent/agent_impl.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

#define COPY_BYTES GIB(4)

/* Is it one name after the other, none of which leads anywhere else? */
static bool is_inside(const char *name)
{
	for (;;) {
		size_t n = strcspn(name, "/");
		if (n == 0 || n > 255 || (n == 1 && name[0] == '.') ||
		    (n == 2 && name[0] == '.' && name[1] == '.'))
			return false;
		if (!name[n])
			return true;
		name += n + 1;
	}
}

static int open_below(int folder_fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, folder_fd, path, &how, sizeof(how));
}

static int create(int folder_fd, const char *name, unsigned mode)
{
	unlinkat(folder_fd, name, 0);	/* what cannot be removed cannot be created, either */
	return openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		      (mode & 0777) | 0600);
}

/* The first entry, without a name: is it a file or a folder? */
static int make_top(const struct agent *agent, struct agent_op *op, uint32_t kind, unsigned mode)
{
	struct agent_copy *copy = &op->copy;

	copy->has_top = true;
	if (kind == WIRE_KIND_FILE) {
		/* Others copy to this folder, too: from this process, or from another machine. */
		snprintf(copy->temp, sizeof(copy->temp), ".vireo-copy-%016" PRIx64 "-%u",
			 agent->host_id, op->id);
		copy->fd = create(copy->folder_fd, copy->temp, mode);
		copy->has_temp = copy->fd >= 0;
		return copy->fd < 0 ? -errno : 0;
	}
	if (mkdirat(copy->folder_fd, copy->base, 0777) < 0 && errno != EEXIST)
		return -errno;
	copy->root_fd = open_below(copy->folder_fd, copy->base, O_RDONLY | O_DIRECTORY);
	return copy->root_fd < 0 ? -errno : 0;
}

static int make_below(struct agent_copy *copy, const char *name, uint32_t kind, unsigned mode)
{
	const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
	char folder[WIRE_PATH_MAX + 1];
	int fd, r = 0;

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - name) : 1,
		 slash ? name : ".");
	fd = open_below(copy->root_fd, folder, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return -errno;
	if (kind == WIRE_KIND_FILE) {
		copy->fd = create(fd, base, mode);
		r = copy->fd < 0 ? -errno : 0;
	} else if (mkdirat(fd, base, (mode & 0777) | 0700) < 0 && errno != EEXIST) {
		r = -errno;
	}
	fd_close(&fd);
	return r;
}

static void lie(struct agent *agent, const char *what)
{
	agent_fail(agent, EPROTO, "the agent sent %s in a copy", what);
}

void agent_copy_out_entry(struct agent *agent, struct agent_op *op, const uint8_t *payload,
			  size_t len)
{
	struct agent_copy *copy = &op->copy;
	uint32_t kind = load_le32(payload), mode = load_le32(payload + 4);
	char name[WIRE_PATH_MAX + 1];
	int r;

	len -= 8;
	memcpy(name, payload + 8, len);
	name[len] = 0;
	if (kind < WIRE_KIND_FILE || kind > WIRE_KIND_SKIPPED || mode > 0777) {
		lie(agent, "neither a file nor a folder");
		return;
	}
	/* A name for all but the first, and more than one only in a folder. */
	if (copy->err == 0 && (len == 0) == copy->has_top) {
		lie(agent, "a file where none can be");
		return;
	}
	if (strlen(name) != len || (len > 0 && !is_inside(name))) {
		lie(agent, "a name that leads elsewhere");
		return;
	}
	if (copy->err)
		return;
	if (len > 0 && copy->root_fd < 0) {
		lie(agent, "a file in what is no folder");
		return;
	}
	if (len == 0 && kind == WIRE_KIND_SKIPPED) {
		lie(agent, "nothing at all");
		return;
	}
	fd_close(&copy->fd);
	if (kind == WIRE_KIND_SKIPPED) {
		copy->n_skipped += copy->n_skipped < UINT32_MAX;
		return;
	}
	if (++copy->n_files > AGENT_COPY_FILES) {
		agent_copy_cancel(agent, op, E2BIG, "there are more than %d files",
				  AGENT_COPY_FILES);
		return;
	}
	r = len == 0 ? make_top(agent, op, kind, mode) : make_below(copy, name, kind, mode);
	if (r < 0) {
		wire_make_printable(name, len);
		agent_copy_cancel(agent, op, -r, "create '%.120s%s%.120s' on the host", copy->base,
				  len ? "/" : "", name);
	}
}

void agent_copy_out_data(struct agent *agent, struct agent_op *op, const uint8_t *payload,
			 size_t len)
{
	struct agent_copy *copy = &op->copy;
	int r;

	if (copy->err)
		return;
	if (copy->fd < 0) {
		lie(agent, "bytes of no file");
		return;
	}
	copy->n_bytes += len;
	if (copy->n_bytes > COPY_BYTES) {
		agent_copy_cancel(agent, op, EFBIG, "there are more than 4 GiB");
		return;
	}
	r = fd_write_all(copy->fd, payload, len);
	if (r < 0)
		agent_copy_cancel(agent, op, -r, "write to the host's file");
}

void agent_copy_out_done(struct agent_op *op)
{
	struct agent_copy *copy = &op->copy;

	if (copy->err)
		return;
	if (!copy->has_top) {
		copy->err = EPROTO;
		snprintf(copy->why, sizeof(copy->why), "the agent sent nothing");
		return;
	}
	if (copy->has_temp &&
	    renameat(copy->folder_fd, copy->temp, copy->folder_fd, copy->base) < 0) {
		copy->err = errno;
		snprintf(copy->why, sizeof(copy->why), "rename the copy to '%.200s'", copy->base);
		return;
	}
	copy->has_temp = false;
	if (copy->n_skipped > 0)
		snprintf(copy->why, sizeof(copy->why), "%u left out: links, special files, what "
			 "could not be opened or is too deep", copy->n_skipped);
}
