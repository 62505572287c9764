#include "vmm/launcher_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/fd.h"

/* Descriptors of a program that becomes another one are below, those of ours above. */
enum { FIRST_OWN_FD = 16, TERM_MS = 500 };

extern char **environ;

struct child {
	int socket;
	const struct launcher_program *program;
	unsigned n;
	pid_t pid[LAUNCHER_MAX_PROGRAMS];	/* 0: it does not run */
	int pidfd[LAUNCHER_MAX_PROGRAMS];
};

/* Why a program could not be started. */
struct failure {
	int32_t err;
	char step[24];
};

static void set_failure(struct failure *f, const char *step)
{
	f->err = errno;
	strncpy(f->step, step, sizeof(f->step) - 1);
}

/* --- In the process that becomes the program ------------------------------------------------- */

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	fd_close(&fd);
	return n < 0 ? -1 : 0;
}

static int enter_user_namespace(const struct launcher_program *p)
{
	if (unshare(CLONE_NEWUSER) < 0)
		return -1;
	/* Who has no rights may map his group only when he can have no others. */
	if (write_text("/proc/self/setgroups", "deny") < 0 && errno != ENOENT)
		return -1;
	return write_text("/proc/self/uid_map", p->uid_map) < 0 ||
	       write_text("/proc/self/gid_map", p->gid_map) < 0 ? -1 : 0;
}

/*
 * The copy is made before it is put anywhere: 'tree' can be "/".  Not every C library has functions
 * for these system calls.
 */
static int place_tree(const struct launcher_program *p)
{
	struct mount_attr attr = { .attr_set = p->tree_readonly ? MOUNT_ATTR_RDONLY : 0 };
	int tree, r;

	if (unshare(CLONE_NEWNS) < 0)
		return -1;
	attr.propagation = MS_PRIVATE;
	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE,
		    &(struct mount_attr){ .propagation = MS_PRIVATE },
		    sizeof(struct mount_attr)) < 0)
		return -1;
	tree = (int)syscall(SYS_open_tree, AT_FDCWD, p->tree,
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0)
		return -1;
	r = (int)syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
			 sizeof(attr));
	if (r == 0)
		r = (int)syscall(SYS_move_mount, tree, "", AT_FDCWD, p->tree_at,
				 MOVE_MOUNT_F_EMPTY_PATH);
	fd_close(&tree);
	return r;
}

/* 0, 1, 2 and the socket; everything else closes with exec. */
static int place_descriptors(int socket, int output)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 ||
	    dup2(socket, LAUNCHER_SOCKET) < 0)
		return -1;
	return (int)syscall(SYS_close_range, LAUNCHER_SOCKET + 1, ~0u, CLOSE_RANGE_CLOEXEC);
}

/* Becomes the program, or returns which step failed. */
static const char *become(const struct launcher_program *p, pid_t parent, int socket, int output)
{
	if (place_descriptors(socket, output) < 0)
		return "place its files";
	if (p->uid_map && enter_user_namespace(p) < 0)
		return "make a user namespace";
	if (p->tree && place_tree(p) < 0)
		return "mount its folder";
	/* Guest memory, which it has mapped, is nobody's to find in a core file. */
	if (setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) < 0)
		return "forbid core files";
	/* A new user namespace would clear it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return "watch its parent";
	execve(p->argv[0], p->argv, environ);
	return "start the program";
}

/* --- Starting one ---------------------------------------------------------------------------- */

/* Up to where the program's own descriptors do not reach. */
static int raise_fd(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_OWN_FD), err = errno;

	if (fd >= 0)
		close(fd);
	errno = err;
	return high;
}

/*
 * A socket that listens, at an address that the kernel makes up, and one that is connected to it.
 * Anybody could connect to that address; but with a backlog of 0 there is room for one, so that who
 * succeeds is the first, and is alone.
 */
static int make_sockets(int *listener, int *client)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(address.sun_family);

	*client = FD_NONE;
	*listener = raise_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (*listener < 0 || bind(*listener, (struct sockaddr *)&address, len) < 0 ||
	    listen(*listener, 0) < 0)
		return -1;
	len = sizeof(address);
	if (getsockname(*listener, (struct sockaddr *)&address, &len) < 0)
		return -1;
	*client = raise_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (*client < 0 || connect(*client, (struct sockaddr *)&address, len) < 0)
		return -1;
	return fcntl(*client, F_SETFL, 0);
}

static int make_pipe(int end[2], int flags)
{
	if (pipe2(end, O_CLOEXEC) < 0)
		return -1;
	end[0] = raise_fd(end[0]);
	end[1] = raise_fd(end[1]);
	if (end[0] < 0 || end[1] < 0)
		return -1;
	return flags ? fcntl(end[0], F_SETFL, flags) : 0;
}

/* Fork, and wait until it is the program or has said why not. */
static int spawn(struct child *c, unsigned i, int listener, int output, struct failure *failure)
{
	const struct launcher_program *p = &c->program[i];
	int report[2] = { FD_NONE, FD_NONE };
	pid_t self = getpid(), pid = -1;
	ssize_t n;

	if (make_pipe(report, 0) == 0)
		pid = fork();
	if (pid == 0) {
		set_failure(failure, become(p, self, listener, output));
		n = write(report[1], failure, sizeof(*failure));
		_exit(127);
	}
	set_failure(failure, "fork");
	fd_close(&report[1]);
	if (pid < 0) {
		fd_close(&report[0]);
		return -1;
	}
	do {
		n = read(report[0], failure, sizeof(*failure));
	} while (n < 0 && errno == EINTR);
	fd_close(&report[0]);
	if (n == 0) {
		c->pidfd[i] = raise_fd((int)syscall(SYS_pidfd_open, pid, 0));
		if (c->pidfd[i] >= 0) {
			c->pid[i] = pid;
			return 0;
		}
		set_failure(failure, "watch it");
		kill(pid, SIGKILL);
	}
	waitpid(pid, NULL, 0);
	return -1;
}

/* --- Telling --------------------------------------------------------------------------------- */

/* With two files, or none.  Vireo may read slowly: it is waited for, and its end noticed. */
static void tell(struct child *c, const struct launcher_message *m, const int *files)
{
	union {
		char bytes[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)m, sizeof(*m) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (files) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(2 * sizeof(int));
		memcpy(CMSG_DATA(header), files, 2 * sizeof(int));
	}
	while (sendmsg(c->socket, &msg, MSG_NOSIGNAL) < 0) {
		struct pollfd room = { .fd = c->socket, .events = POLLOUT };

		if (errno != EINTR && errno != EAGAIN)
			return;
		poll(&room, 1, -1);
	}
}

static void start(struct child *c, unsigned i)
{
	struct launcher_message m = { .kind = LAUNCHER_STARTED, .program = i };
	struct failure failure = { 0 };
	int listener = FD_NONE, output[2] = { FD_NONE, FD_NONE }, fd[2] = { FD_NONE, FD_NONE };
	int r = 0;

	if (c->pid[i]) {
		errno = EBUSY;
		set_failure(&failure, "start it twice");
		r = -1;
	} else if (make_sockets(&listener, &fd[0]) < 0 || make_pipe(output, O_NONBLOCK) < 0) {
		set_failure(&failure, "make its files");
		r = -1;
	} else {
		r = spawn(c, i, listener, output[1], &failure);
	}
	fd[1] = output[0];
	if (r < 0) {
		m.kind = LAUNCHER_FAILED;
		m.status = failure.err;
		memcpy(m.step, failure.step, sizeof(m.step));
	}
	m.pid = r < 0 ? 0 : c->pid[i];
	tell(c, &m, r < 0 ? NULL : fd);
	fd_close(&listener);
	fd_close(&output[1]);
	fd_close(&fd[0]);
	fd_close(&fd[1]);
}

static void ended(struct child *c, unsigned i)
{
	struct launcher_message m = { .kind = LAUNCHER_ENDED, .program = i };
	int status = 0;

	if (waitpid(c->pid[i], &status, WNOHANG) != c->pid[i])
		return;
	c->pid[i] = 0;
	fd_close(&c->pidfd[i]);
	m.status = status;
	tell(c, &m, NULL);
}

/* --- Life ------------------------------------------------------------------------------------ */

/* Returns false when Vireo is gone. */
static bool serve(struct child *c)
{
	struct launcher_request request;
	ssize_t n = recv(c->socket, &request, sizeof(request), 0);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	if (n != sizeof(request) || request.program >= c->n)
		return true;
	if (request.verb == LAUNCHER_START)
		start(c, request.program);
	else if (request.verb == LAUNCHER_KILL && c->pid[request.program])
		kill(c->pid[request.program], SIGKILL);
	return true;
}

/* The programs that run, to 'list'; returns how many. */
static unsigned list_running(const struct child *c, struct pollfd *list, unsigned *program)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++) {
		if (!c->pid[i])
			continue;
		program[n] = i;
		list[n++] = (struct pollfd){ .fd = c->pidfd[i], .events = POLLIN };
	}
	return n;
}

/* Have those that run another 'ms' to end. */
static void wait_for_all(struct child *c, int ms)
{
	struct pollfd list[LAUNCHER_MAX_PROGRAMS];
	unsigned program[LAUNCHER_MAX_PROGRAMS], n;

	while ((n = list_running(c, list, program)) && poll(list, n, ms) > 0)
		for (unsigned i = 0; i < n; i++)
			if (list[i].revents)
				ended(c, program[i]);
}

static void kill_all(struct child *c, int sig)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->pid[i])
			kill(c->pid[i], sig);
}

/* Nothing of Vireo's: not its terminal, not its files, not how it takes signals. */
static void forget_vireo(struct child *c)
{
	/* The kernel's form of SIG_DFL: libc lets nobody touch the two signals that it keeps. */
	static const uint64_t standard[4];
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, standard, NULL, sizeof(uint64_t));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	prctl(PR_SET_NAME, "vireo-launcher");
	c->socket = raise_fd(c->socket);
	if (c->socket < 0)
		return;
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	syscall(SYS_close_range, 3, c->socket - 1, 0);
	syscall(SYS_close_range, c->socket + 1, ~0u, 0);
}

_Noreturn void launcher_child_run(int socket, const struct launcher_program *program, unsigned n)
{
	struct child c = { .socket = socket, .program = program, .n = n };
	struct pollfd list[1 + LAUNCHER_MAX_PROGRAMS];
	unsigned at[LAUNCHER_MAX_PROGRAMS];
	bool goes_on = true;

	forget_vireo(&c);
	/* Without room for its number nobody could tell when Vireo is gone. */
	if (c.socket < 0)
		_exit(1);
	while (goes_on) {
		list[0] = (struct pollfd){ .fd = c.socket, .events = POLLIN };
		unsigned running = list_running(&c, list + 1, at);

		if (poll(list, 1 + running, -1) < 0)
			continue;
		for (unsigned i = 0; i < running; i++)
			if (list[1 + i].revents)
				ended(&c, at[i]);
		if (list[0].revents)
			goes_on = serve(&c);
	}
	wait_for_all(&c, LAUNCHER_GRACE_MS);
	kill_all(&c, SIGTERM);
	wait_for_all(&c, TERM_MS);
	kill_all(&c, SIGKILL);
	wait_for_all(&c, LAUNCHER_GRACE_MS);
	_exit(0);
}
