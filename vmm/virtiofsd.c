#include "vmm/virtiofsd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

enum { HELP_SIZE = 32768, HELP_MS = 5000 };

extern char **environ;

/* --- Which one it is ------------------------------------------------------------------------- */

/* What comes out of 'fd' until it ends, HELP_SIZE - 1 bytes at most.  Returns 0 or -errno. */
static int read_help(int fd, char *text)
{
	uint64_t end = clock_now_ms() + HELP_MS;
	size_t len = 0;

	while (len < HELP_SIZE - 1) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_now_ms();
		int n = now < end ? poll(&wait, 1, (int)(end - now)) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -ETIMEDOUT;
		ssize_t got = read(fd, text + len, HELP_SIZE - 1 - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	text[len] = '\0';
	return 0;
}

static int spawn_help(pid_t *pid, const char *program, int output)
{
	char *const argv[] = { (char *)(uintptr_t)program, (char[]){ "--help" }, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r = posix_spawn_file_actions_init(&actions);

	if (r)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r) {
		posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, output, 1);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, output, 2);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	if (!r)
		r = posix_spawn(pid, program, &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int ask_help(const char *program, char *text)
{
	int end[2], r;
	pid_t pid;

	if (pipe2(end, O_CLOEXEC) < 0)
		return -errno;
	r = spawn_help(&pid, program, end[1]);
	fd_close(&end[1]);
	if (r == 0) {
		r = read_help(end[0], text);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	fd_close(&end[0]);
	return r;
}

static int learn(struct virtiofsd *out)
{
	char *help = malloc(HELP_SIZE);
	int r = help ? ask_help(out->path, help) : -ENOMEM;

	if (r < 0) {
		free(help);
		return error_set(r, "ask '%s' for its help", out->path);
	}
	out->is_rust = strstr(help, "--shared-dir") != NULL;
	/* The words of QEMU's are written without it, whatever its help says. */
	out->has_readonly = out->is_rust && strstr(help, "--readonly");
	out->has_announce_submounts = strstr(help, "announce-submounts") ||
				      strstr(help, "announce_submounts");
	bool is_virtiofsd = out->is_rust || strstr(help, "-o source=");
	free(help);
	if (is_virtiofsd)
		return 0;
	return error_set(ENOEXEC, "'%s' is no virtiofsd: its help tells of neither '--shared-dir' "
				  "nor '-o source='", out->path);
}

/* --- Where it is ----------------------------------------------------------------------------- */

static int found(struct virtiofsd *out, const char *path)
{
	out->path = strdup(path);
	return out->path ? learn(out) : error_set(ENOMEM, "find virtiofsd");
}

/* In $PATH.  Returns 0 and an owned path, or -ENOENT. */
static int find_in_path(char **out)
{
	const char *path = getenv("PATH");

	for (const char *p = path; p && *p; p += strspn(p, ":")) {
		size_t len = strcspn(p, ":");

		/* The current directory is nobody's choice here. */
		if (*p == '/' && asprintf(out, "%.*s/virtiofsd", (int)len, p) > 0) {
			if (access(*out, X_OK) == 0)
				return 0;
			free(*out);
		}
		p += len;
	}
	return -ENOENT;
}

int virtiofsd_find(struct virtiofsd *out, const char *program)
{
	/* Rust's, as distributions install it, then QEMU's. */
	static const char *const place[] = {
		"/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "/usr/lib/qemu/virtiofsd",
		"/usr/local/libexec/virtiofsd",
	};
	char *path;

	*out = (struct virtiofsd){ 0 };
	if (program) {
		if (access(program, X_OK) < 0)
			return error_set(errno, "start '%s'", program);
		return found(out, program);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(place); i++)
		if (access(place[i], X_OK) == 0)
			return found(out, place[i]);
	if (find_in_path(&path) == 0) {
		int r = found(out, path);
		free(path);
		return r;
	}
	error_set(ENOENT, "there is no virtiofsd on this host, which serves shared folders");
	error_hint("install it: package virtiofsd (Debian 12: qemu-system-common); or name it "
		   "with 'program'");
	return -ENOENT;
}

void virtiofsd_fini(struct virtiofsd *v)
{
	free(v->path);
	v->path = NULL;
}

int virtiofsd_check_folder(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_set(errno, "share '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(ENOTDIR, "share '%s'", path);
	if (faccessat(AT_FDCWD, path, R_OK | X_OK, AT_EACCESS) < 0)
		return error_set(errno, "share '%s'", path);
	return 0;
}
