#include "vmm/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"

static void readable(struct event_source *source, uint32_t events)
{
	struct signals *signals = container_of(source, struct signals, source);
	struct signalfd_siginfo info;

	(void)events;
	while (read(source->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if ((int)info.ssi_signo != VM_ORDER_SIGNAL)
			signals->received(signals->arg, (int)info.ssi_signo);
		else if (info.ssi_code == SI_QUEUE && (pid_t)info.ssi_pid == signals->parent)
			signals->ordered(signals->arg, info.ssi_int);
}

int signals_init(struct signals *signals, struct event_loop *loop,
		 void (*received)(void *arg, int sig), void *arg)
{
	static const int caught[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH, SIGUSR1,
		SIGUSR2, SIGPWR,
	};
	sigset_t set;

	/* The sandbox has no use for this call later. */
	signals->parent = getppid();
	signals->received = received;
	signals->arg = arg;
	signal(SIGPIPE, SIG_IGN);
	/* A file that may not grow ('ulimit -f') is an error of who writes, not everybody's end. */
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(caught); i++)
		sigaddset(&set, caught[i]);
	if (signals->ordered)
		sigaddset(&set, VM_ORDER_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signals->source.fn = readable;
	signals->source.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (signals->source.fd < 0)
		return error_set(errno, "create the signal file descriptor");
	return event_loop_add(loop, &signals->source, EPOLLIN);
}

void signals_fini(struct signals *signals)
{
	event_loop_remove(&signals->source);
	fd_close(&signals->source.fd);
}

void signals_die_by(int sig)
{
	sigset_t set;

	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
