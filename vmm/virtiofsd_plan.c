/* How a virtiofsd is started: as confined as it can be here, and unable to write if so wanted. */
#include <errno.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/virtiofsd.h"

/* --- What this host permits ------------------------------------------------------------------ */

/* In a process of its own, which exits with 0 if 'fn' can be done. */
static bool can(bool (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn() ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static bool mount_proc(void)
{
	return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0;
}

/* The same as virtiofsd does, /proc of the new processes included, which containers refuse. */
static bool make_namespaces(void)
{
	return unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && can(mount_proc);
}

static bool make_user_namespaces(void)
{
	return unshare(CLONE_NEWUSER) == 0 && make_namespaces();
}

static bool change_root(void)
{
	return chroot("/") == 0;
}

void confinement_probe(struct confinement *out)
{
	*out = (struct confinement){ .namespaces = geteuid() == 0 && can(make_namespaces) };
	if (!out->namespaces) {
		out->user_namespace = can(make_user_namespaces);
		out->namespaces = out->user_namespace;
	}
	out->chroot = geteuid() == 0 && can(change_root);
}

/* --- The plan -------------------------------------------------------------------------------- */

static char *format(const char *fmt, ...) PRINTF_LIKE(1, 2);
static char *format(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	return text;
}

/* QEMU's options are a list: a comma or a backslash of a path is written with a backslash. */
static char *escape_path(const char *path)
{
	char *text = malloc(2 * strlen(path) + 1), *to = text;

	for (const char *p = path; text && *p; p++) {
		if (*p == ',' || *p == '\\')
			*to++ = '\\';
		*to++ = *p;
	}
	if (text)
		*to = '\0';
	return text;
}

/* A place for the tree that the program itself has no use for. */
static const char *find_place(const char *program)
{
	static const char *const place[] = { "/mnt", "/srv", "/media", "/opt", "/home", "/tmp" };

	for (unsigned i = 0; i < ARRAY_SIZE(place); i++)
		if (access(place[i], X_OK) == 0 &&
		    strncmp(program, place[i], strlen(place[i])) != 0)
			return place[i];
	return NULL;
}

static int add(struct virtiofsd_plan *plan, unsigned *n, char *word)
{
	plan->argv[(*n)++] = word;
	return word ? 0 : -ENOMEM;
}

/* Words of QEMU's virtiofsd / of the one in Rust.  Return 0 or -ENOMEM. */
static int write_c_words(struct virtiofsd_plan *plan, const struct virtiofsd *v, const char *path,
			 const char *sandbox, unsigned n)
{
	char *escaped = escape_path(path);
	int r = escaped ? 0 : -ENOMEM;

	if (r == 0)
		r = add(plan, &n, strdup("-o"));
	if (r == 0)
		r = add(plan, &n, format("source=%s", escaped));
	if (r == 0)
		r = add(plan, &n, strdup("-o"));
	if (r == 0)
		r = add(plan, &n, format("sandbox=%s,cache=auto,log_level=warn%s", sandbox,
					 v->has_announce_submounts ? ",announce_submounts" : ""));
	if (r == 0)
		r = add(plan, &n, format("--fd=%d", LAUNCHER_SOCKET));
	free(escaped);
	return r;
}

static int write_rust_words(struct virtiofsd_plan *plan, const struct virtiofsd *v,
			    const char *path, const char *sandbox, bool readonly, unsigned n)
{
	int r = add(plan, &n, format("--shared-dir=%s", path));

	if (r == 0)
		r = add(plan, &n, format("--sandbox=%s", sandbox));
	if (r == 0)
		r = add(plan, &n, strdup("--seccomp=kill"));
	if (r == 0)
		r = add(plan, &n, strdup("--log-level=warn"));
	if (r == 0 && v->has_announce_submounts)
		r = add(plan, &n, strdup("--announce-submounts"));
	if (r == 0 && readonly)
		r = add(plan, &n, strdup("--readonly"));
	if (r == 0)
		r = add(plan, &n, format("--fd=%d", LAUNCHER_SOCKET));
	return r;
}

static int no_confinement(const struct virtiofsd *v)
{
	error_set(EPERM, "confine '%s': neither namespaces nor chroot are permitted here",
		  v->path);
	error_hint("permit user namespaces (sysctl user.max_user_namespaces), run Vireo as root, "
		   "or start a virtiofsd yourself and give its 'socket'");
	return -EPERM;
}

static int no_readonly(const struct virtiofsd *v)
{
	error_set(EPERM, "keep the guest from writing: '%s' has no option for it, and a read-only "
			 "mount is not permitted here", v->path);
	error_hint("permit user namespaces (sysctl user.max_user_namespaces), run Vireo as root, "
		   "or install a virtiofsd that has --readonly");
	return -EPERM;
}

/* 'path' is absolute. */
static int plan(struct virtiofsd_plan *out, const struct virtiofsd *v,
		const struct confinement *host, const char *path, bool readonly)
{
	/* The root cannot be made another's root: it is shared from a copy of its mounts. */
	bool is_root = !strcmp(path, "/");
	bool mounts = is_root || (readonly && !v->has_readonly);
	const char *place = mounts ? find_place(v->path) : NULL;
	const char *sandbox = host->namespaces ? "namespace" : host->chroot ? "chroot" : "none";
	const char *shared = place ? place : path;
	int r;

	out->sandbox = host->namespaces ? "namespaces" : host->chroot ? "chroot" : "nothing";
	if (mounts && (!host->namespaces || !place))
		return readonly && !v->has_readonly ? no_readonly(v) : no_confinement(v);
	if (!v->is_rust && !host->namespaces && !host->chroot)
		return no_confinement(v);
	out->argv[0] = strdup(v->path);
	r = !out->argv[0] ? -ENOMEM :
	    v->is_rust ? write_rust_words(out, v, shared, sandbox, readonly && v->has_readonly, 1) :
			 write_c_words(out, v, shared, sandbox, 1);
	if (r < 0)
		return error_set(r, "start '%s'", v->path);
	out->launch.argv = out->argv;
	if (mounts) {
		out->launch.tree = path;
		out->launch.tree_at = place;
		out->launch.tree_readonly = readonly;
	}
	/* The one in Rust makes its own, unless there is something to mount before. */
	if (host->user_namespace && (!v->is_rust || mounts)) {
		snprintf(out->uid_map, sizeof(out->uid_map), "0 %u 1", geteuid());
		snprintf(out->gid_map, sizeof(out->gid_map), "0 %u 1", getegid());
		out->launch.uid_map = out->uid_map;
		out->launch.gid_map = out->gid_map;
	}
	return 0;
}

int virtiofsd_plan(struct virtiofsd_plan *out, const struct virtiofsd *v,
		   const struct confinement *host, const char *path, bool readonly)
{
	int r;

	*out = (struct virtiofsd_plan){ 0 };
	/* The program does not stay in our directory. */
	out->folder = realpath(path, NULL);
	if (!out->folder)
		return error_set(errno, "share '%s'", path);
	r = plan(out, v, host, out->folder, readonly);
	if (r < 0)
		virtiofsd_plan_fini(out);
	return r;
}

void virtiofsd_plan_fini(struct virtiofsd_plan *p)
{
	for (unsigned i = 0; i < ARRAY_SIZE(p->argv); i++)
		free(p->argv[i]);
	free(p->folder);
	*p = (struct virtiofsd_plan){ 0 };
}
