/* The agent: its arguments, and the loop that all of it is driven by. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

const char *boot_trouble = "";
static int signal_fd = -1;

static void reap(void)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		ops_reap(pid, status);
}

/* What people and programs send to process 1 when the guest shall end, as busybox's init has it. */
static void take_signals(void)
{
	struct signalfd_siginfo info;

	while (read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (!is_init)
			continue;
		if (info.ssi_signo == SIGUSR2)
			power_end((int)RB_POWER_OFF);
		else if (info.ssi_signo == SIGUSR1)
			power_end((int)RB_HALT_SYSTEM);
		else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			power_end(RB_AUTOBOOT);
	}
	reap();
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (is_init) {
		sigaddset(&set, SIGUSR1);
		sigaddset(&set, SIGUSR2);
		sigaddset(&set, SIGTERM);
		sigaddset(&set, SIGINT);
		reboot(RB_DISABLE_CAD);		/* Ctrl-Alt-Del is SIGINT */
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return signal_fd < 0 ? -errno : 0;
}

/* 0 to 2 are open: who is started first may find them closed, and would hand out its own. */
static void open_standard(void)
{
	int fd;

	do {
		fd = open(is_init ? "/dev/console" : "/dev/null", O_RDWR | O_NOCTTY);
		if (fd < 0)
			fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	close_fd(&fd);
}

/* What runs here gets none of what whoever started us has left open. */
static void close_at_exec(void)
{
	for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void serve(int fd)
{
	struct pollfd fds[2 + 3 * WIRE_OPS];

	session_begin(fd, boot_trouble);
	for (;;) {
		ops_pump();
		session_write();
		if (session_is_lost())
			break;
		fds[0] = (struct pollfd){ .fd = fd, .events = session_wants() };
		fds[1] = (struct pollfd){ .fd = signal_fd, .events = POLLIN };
		unsigned n = 2 + ops_poll(fds + 2);
		if (poll(fds, n, ops_timeout()) < 0)
			continue;
		if (fds[1].revents)
			take_signals();
		if (fds[0].revents & ~POLLOUT)
			session_read();
	}
	session_end();
}

static int usage(void)
{
	static const char text[] =
		"Usage: vireo-agent [--port NAME | --vsock PORT | --fd N] [--once]\n\n"
		"Carries out what the host of this virtual machine asks for, as root.\n"
		"  --port NAME   over the virtio-console port of that name [vireo.agent]\n"
		"  --vsock PORT  over that port of the host\n"
		"  --fd N        over a descriptor that is open\n"
		"  --once        ends when the host goes away, instead of waiting for the next\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	return 2;
}

static bool read_number(long *out, const char *text, long max)
{
	char *end = NULL;

	errno = 0;
	*out = text ? strtol(text, &end, 10) : -1;
	return text && *text && !*end && errno == 0 && *out >= 0 && *out <= max;
}

/*
 * Returns 0, or the exit status.  Process 1 gets all words of the kernel's command line that nobody
 * else takes, and looks for its own among them.
 */
static int read_arguments(struct port *port, bool *once, char **argv)
{
	long fd;

	for (char **a = argv + 1; *a; a++) {
		if (!strcmp(*a, "--once")) {
			*once = true;
		} else if (!strcmp(*a, "--port") && a[1]) {
			port->name = *++a;
		} else if (!strcmp(*a, "--vsock") && read_number(&port->vsock, a[1], UINT32_MAX)) {
			a++;
		} else if (!strcmp(*a, "--fd") && read_number(&fd, a[1], 1 << 20)) {
			port->fd = (int)fd;
			port->name = NULL;
			a++;
		} else if (!is_init) {
			return usage();
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct port port = { .name = "vireo.agent", .vsock = -1, .fd = -1 };
	const struct timespec pause_between = { .tv_nsec = 100000000 };
	bool once = false;
	int r, fd;

	(void)argc;
	is_init = getpid() == 1;
	r = read_arguments(&port, &once, argv);
	if (r)
		return r;
	if (is_init)
		boot_trouble = boot_all(&port);
	else
		close_at_exec();
	open_standard();
	r = open_signals();
	if (r < 0) {
		say("listen to signals: %s", strerror(-r));
		return 1;
	}
	while ((fd = port_open(&port, take_signals)) >= 0) {
		serve(fd);
		/* A guest that was made for one host has nothing to do without it. */
		if (is_init && session_was_open())
			power_end((int)RB_POWER_OFF);
		if (once)
			break;
		/* One that breaks the protocol again and again does not keep this guest busy. */
		nanosleep(&pause_between, NULL);
	}
	return 0;
}
