#include "vmm/launcher.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/launcher_impl.h"

enum { N_DESCRIPTORS = 2, END_MS = 3 * LAUNCHER_GRACE_MS };

struct launcher {
	int socket;
	pid_t pid;
	unsigned n;
};

int launcher_create(struct launcher **out, const struct launcher_program *program, unsigned n)
{
	struct launcher *l;
	int pair[2];

	*out = NULL;
	if (n > LAUNCHER_MAX_PROGRAMS)
		return error_set(E2BIG, "start %u helper programs: %d are the most", n,
				 LAUNCHER_MAX_PROGRAMS);
	l = calloc(1, sizeof(*l));
	if (!l)
		return error_set(ENOMEM, "make a launcher of helper programs");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		free(l);
		return error_set(errno, "make a launcher of helper programs");
	}
	l->socket = pair[0];
	l->n = n;
	l->pid = fork();
	if (l->pid == 0)
		launcher_child_run(pair[1], program, n);
	int err = errno;
	fd_close(&pair[1]);
	if (l->pid < 0) {
		launcher_destroy(l);
		return error_set(err, "make a launcher of helper programs");
	}
	*out = l;
	return 0;
}

void launcher_destroy(struct launcher *l)
{
	if (!l)
		return;
	if (l->pid > 0) {
		struct pollfd end = { .fd = l->socket };

		/* It ends when all that it started has, and its own end hangs up then. */
		shutdown(l->socket, SHUT_WR);
		int n = poll(&end, 1, END_MS);
		bool is_gone = n == 1 && end.revents & (POLLHUP | POLLERR);
		fd_close(&l->socket);
		waitpid(l->pid, NULL, is_gone ? 0 : WNOHANG);
	}
	fd_close(&l->socket);
	free(l);
}

static int ask(struct launcher *l, enum launcher_verb verb, unsigned program)
{
	const struct launcher_request request = { verb, program };
	ssize_t n;

	do {
		n = write(l->socket, &request, sizeof(request));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? error_set(errno, "ask the launcher for a helper program") : 0;
}

int launcher_start(struct launcher *l, unsigned program)
{
	return ask(l, LAUNCHER_START, program);
}

int launcher_kill(struct launcher *l, unsigned program)
{
	return ask(l, LAUNCHER_KILL, program);
}

int launcher_fd(const struct launcher *l)
{
	return l->socket;
}

/* The descriptors that came with a message, FD_NONE where there are less; no more can come. */
static void take_descriptors(struct msghdr *msg, int fd[N_DESCRIPTORS])
{
	for (unsigned i = 0; i < N_DESCRIPTORS; i++)
		fd[i] = FD_NONE;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t len = min_u64(c->cmsg_len - CMSG_LEN(0), N_DESCRIPTORS * sizeof(int));
		memcpy(fd, CMSG_DATA(c), len);
	}
}

static ssize_t receive(struct launcher *l, struct launcher_message *message, int fd[N_DESCRIPTORS])
{
	union {
		char bytes[CMSG_SPACE(N_DESCRIPTORS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { message, sizeof(*message) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.bytes, .msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;

	do {
		n = recvmsg(l->socket, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	take_descriptors(&msg, fd);
	return n;
}

/* It runs, and cannot be reached: the descriptors that came found no room here. */
static void refuse_started(struct launcher *l, struct launcher_news *news)
{
	fd_close(&news->socket);
	fd_close(&news->output);
	/* Where there is no launcher any more that is found out next. */
	if (launcher_kill(l, news->program) < 0)
		error_clear();
	news->kind = LAUNCHER_FAILED;
	news->status = EMFILE;
	snprintf(news->step, sizeof(news->step), "take its files");
}

int launcher_next(struct launcher *l, struct launcher_news *news, int timeout_ms)
{
	struct pollfd wait = { .fd = l->socket, .events = POLLIN };
	struct launcher_message m;
	int fd[N_DESCRIPTORS];

	if (timeout_ms > 0 && poll(&wait, 1, timeout_ms) < 0 && errno != EINTR)
		return -errno;
	ssize_t n = receive(l, &m, fd);
	if (n < 0)
		return n == -EAGAIN ? -EAGAIN : -EPIPE;
	if (n != sizeof(m) || m.program >= l->n || m.kind > LAUNCHER_ENDED) {
		fd_close(&fd[0]);
		fd_close(&fd[1]);
		return -EPIPE;
	}
	*news = (struct launcher_news){
		.kind = (enum launcher_kind)m.kind, .program = m.program, .pid = m.pid,
		.status = m.status, .socket = fd[0], .output = fd[1],
	};
	memcpy(news->step, m.step, sizeof(news->step));
	news->step[sizeof(news->step) - 1] = '\0';
	if (news->kind == LAUNCHER_STARTED &&
	    (news->socket == FD_NONE || news->output == FD_NONE))
		refuse_started(l, news);
	return 0;
}
