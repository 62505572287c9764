#include "vhost/vhost_worker.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/fd.h"

/* The name of the thread in 'directory'/'id', without the line's end; or "". */
static void read_name(char buf[32], const char *directory, const char *id)
{
	char path[64];
	ssize_t n = -1;

	snprintf(path, sizeof(path), "%s/%.20s/comm", directory, id);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		n = read(fd, buf, 31);
	fd_close(&fd);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

/* Threads in 'directory' whose name is 'name', or only begins with it. */
static void list(struct vhost_workers *out, const char *directory, const char *name, bool prefix)
{
	char comm[32];
	DIR *dir = opendir(directory);
	const struct dirent *e;

	while (dir && (e = readdir(dir)) && out->n < VHOST_WORKERS_SEEN) {
		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		read_name(comm, directory, e->d_name);
		if (prefix ? !strncmp(comm, name, strlen(name)) : !strcmp(comm, name))
			out->id[out->n++] = (pid_t)atoi(e->d_name);
	}
	if (dir)
		closedir(dir);
}

void vhost_workers_list(struct vhost_workers *out)
{
	char name[24];

	out->n = 0;
	/* The number in the name is that of the outermost PID namespace. */
	list(out, "/proc/self/task", "vhost-", true);
	if (out->n > 0)
		return;
	snprintf(name, sizeof(name), "vhost-%d", (int)getpid());
	list(out, "/proc", name, false);
}

static bool has(const struct vhost_workers *w, pid_t id)
{
	for (unsigned i = 0; i < w->n; i++)
		if (w->id[i] == id)
			return true;
	return false;
}

unsigned vhost_workers_new(const struct vhost_workers *before, const struct vhost_workers *now,
			   pid_t *out, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < now->n && n < max; i++)
		if (!has(before, now->id[i]))
			out[n++] = now->id[i];
	return n;
}
