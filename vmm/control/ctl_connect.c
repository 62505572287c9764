/* Finding the VM that somebody means. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/error.h"
#include "vmm/base/text.h"
#include "vmm/control/ctl.h"
#include "vmm/control/http_client.h"
#include "vmm/control/run_dir.h"

enum { MAX_NAMES = 64 };

struct running {
	char name[MAX_NAMES][RUN_NAME_MAX + 1];
	unsigned n;
};

static void note_running(void *arg, const char *name, int fd)
{
	struct running *running = arg;

	if (running->n < MAX_NAMES && run_dir_owner(fd) > 0)
		snprintf(running->name[running->n++], sizeof(running->name[0]), "%s", name);
}

static int no_such_vm(const char *name)
{
	static struct running running;
	const char *names[MAX_NAMES], *near;
	char list[400] = "";

	running.n = 0;
	run_dir_each(note_running, &running);
	for (unsigned i = 0; i < running.n; i++) {
		size_t len = strlen(list);
		names[i] = running.name[i];
		snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "", names[i]);
	}
	error_set(ENOENT, "there is no VM '%.80s'", name);
	near = text_nearest(name, names, running.n);
	if (running.n == 0)
		error_hint("no VM with a name runs; 'vireo run --name NAME' gives it one");
	else if (near)
		error_hint("did you mean '%s'? Running are: %s", near, list);
	else
		error_hint("running are: %s", list);
	return -ENOENT;
}

/* The socket in directory 'fd' (consumed) of a VM that lives. */
static int connect_in(int fd, const char *name)
{
	pid_t pid = run_dir_owner(fd);
	int r = pid > 0 ? http_client_connect(fd, "control") : -ENOENT;

	fd_close(&fd);
	if (pid > 0 || r != -ENOENT)
		return r < 0 ? error_add(r, "ask '%s'", name) : r;
	return error_set(ECONNREFUSED, "ask '%s': its VM does not run any more", name);
}

int ctl_connect(const char *name)
{
	struct stat st;
	int fd;

	if (strchr(name, '/')) {
		if (stat(name, &st) < 0)
			return error_set(errno, "ask '%s'", name);
		if (!S_ISDIR(st.st_mode))
			return http_client_connect(AT_FDCWD, name);
		fd = run_dir_open(name);
		return fd < 0 ? fd : connect_in(fd, name);
	}
	fd = run_dir_open(name);
	if (fd >= 0 && run_dir_owner(fd) > 0)
		return connect_in(fd, name);
	if (fd >= 0)
		fd_close(&fd);
	else if (fd != -ENOENT && fd != -EINVAL)
		return fd;
	error_clear();
	return no_such_vm(name);
}
