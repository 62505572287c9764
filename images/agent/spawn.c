/* The start of a command: a child in a session of its own, with pipes or a terminal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "guest.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum { GET_PEER = 0x5441 };	/* TIOCGPTPEER: Linux 4.13 */

extern char **environ;

void spawn_set_size(int fd, uint16_t rows, uint16_t columns)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };

	if (fd >= 0)
		ioctl(fd, TIOCSWINSZ, &size);
}

struct report {
	int err;
	char what[120];
};

/* In the child: say why, and end. */
static _Noreturn void give_up(int report_fd, const char *what, const char *name)
{
	struct report report = { .err = errno };

	snprintf(report.what, sizeof(report.what), "%s '%s'", what, name);
	(void)!write(report_fd, &report, sizeof(report));
	_exit(127);
}

static bool has_variable(char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; *env; env++)
		if (!strncmp(*env, name, len) && (*env)[len] == '=')
			return true;
	return false;
}

static _Noreturn void child(const struct spawn *spawn, const int fd[3], int report_fd)
{
	const char *cwd = spawn->cwd[0] ? spawn->cwd : "/";
	sigset_t none;

	/* The environment's order is kept; what must not be missing comes first. */
	static char *with_defaults[(32 << 10) + 3];
	unsigned n = 0;
	if (!has_variable(spawn->env, "PATH"))
		with_defaults[n++] = (char *)"PATH=" DEFAULT_PATH;
	if (!has_variable(spawn->env, "HOME"))
		with_defaults[n++] = (char *)"HOME=/root";
	for (char *const *e = spawn->env; *e; e++)
		with_defaults[n++] = *e;
	environ = with_defaults;

	/* After it, what is signalled is its group, and it gets a terminal of its own. */
	setsid();
	for (int i = 0; i < 3; i++)
		if (dup2(fd[i], i) < 0)
			give_up(report_fd, "connect", "standard input and output");
	if (spawn->tty)
		ioctl(0, TIOCSCTTY, 0);
	for (int i = 1; i < _NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	if (chdir(cwd) < 0)
		give_up(report_fd, "enter the folder", cwd);
	execvp(spawn->argv[0], spawn->argv);
	give_up(report_fd, "start", spawn->argv[0]);
}

/* Both ends, closed at exec; above 2, so that dup2 in the child does not hit them. */
static int make_pipe(int *read_end, int *write_end)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return errno;
	*read_end = fd[0];
	*write_end = fd[1];
	return 0;
}

static int open_terminal(int *master, int *slave)
{
	int zero = 0;
	unsigned number;
	char path[32];

	*master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*master < 0 || ioctl(*master, TIOCSPTLCK, &zero) < 0)
		return errno;
	*slave = ioctl(*master, GET_PEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*slave < 0 && ioctl(*master, TIOCGPTN, &number) == 0) {
		snprintf(path, sizeof(path), "/dev/pts/%u", number);
		*slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	}
	return *slave < 0 ? errno : 0;
}

static int connect_terminal(struct run *run, const struct spawn *spawn, int theirs[3])
{
	int r = open_terminal(&run->out_fd[0], &theirs[0]);

	if (r)
		return r;
	spawn_set_size(run->out_fd[0], spawn->rows, spawn->columns);
	theirs[1] = fcntl(theirs[0], F_DUPFD_CLOEXEC, 3);
	theirs[2] = fcntl(theirs[0], F_DUPFD_CLOEXEC, 3);
	if (spawn->has_stdin)
		run->in_fd = fcntl(run->out_fd[0], F_DUPFD_CLOEXEC, 3);
	return theirs[1] < 0 || theirs[2] < 0 || (spawn->has_stdin && run->in_fd < 0) ? errno : 0;
}

static int connect_pipes(struct run *run, const struct spawn *spawn, int theirs[3])
{
	int r = 0;

	if (spawn->has_stdin) {
		r = make_pipe(&theirs[0], &run->in_fd);
	} else {
		theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		/* A guest without devices: a pipe that has ended reads the same. */
		if (theirs[0] < 0) {
			int other = -1;
			r = make_pipe(&theirs[0], &other);
			close_fd(&other);
		}
	}
	for (int i = 0; i < 2 && r == 0; i++)
		r = make_pipe(&run->out_fd[i], &theirs[1 + i]);
	return r;
}

static void set_nonblocking(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int spawn_start(struct op *op, const struct spawn *spawn)
{
	struct run *run = &op->run;
	int theirs[3] = { -1, -1, -1 }, report_fd = -1;
	int r = spawn->tty ? connect_terminal(run, spawn, theirs) :
		connect_pipes(run, spawn, theirs);

	if (r == 0)
		r = make_pipe(&run->exec_fd, &report_fd);
	if (r == 0) {
		run->pid = fork();
		if (run->pid == 0)
			child(spawn, theirs, report_fd);
		r = run->pid < 0 ? errno : 0;
	}
	for (int i = 0; i < 3; i++)
		close_fd(&theirs[i]);
	close_fd(&report_fd);
	if (r) {
		close_fd(&run->in_fd);
		close_fd(&run->out_fd[0]);
		close_fd(&run->out_fd[1]);
		close_fd(&run->exec_fd);
		op_fail(op, r, "make %s and a process", spawn->tty ? "a terminal" : "pipes");
		return r;
	}
	set_nonblocking(run->in_fd);
	set_nonblocking(run->out_fd[0]);
	set_nonblocking(run->out_fd[1]);
	set_nonblocking(run->exec_fd);
	return 0;
}
