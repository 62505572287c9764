#include "vmm/vm_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/file/config_json.h"
#include "vmm/time_limit.h"

enum {
	PIPE_SIZE = 1 << 20,	/* a guest that prints much needs no turn of the loop per 64 KiB */
	MAX_WORDS = 64,
	/* Descriptors are made from here on: none of them is in the way of those handed over. */
	FIRST_FD = VM_PROCESS_FD + VM_PROCESS_MAX_FDS,
};

struct vm_process {
	struct event_loop *loop;
	const struct vm_process_ops *ops;
	void *arg;
	pid_t pid;			/* 0: not started, or waited for */
	uint64_t started_ns;
	struct event_source exit;	/* its pidfd */
	struct event_source out, in;	/* its console, our ends */
	struct event_post drain;	/* it is over: look for the rest of the console */
	struct time_limit patience;
	struct vm_process_end end;
	bool over, stopping, was_full, in_ending;
	size_t left_to_drain;
	size_t in_start, in_len;
	char input[VM_PROCESS_INPUT];
	char chunk[VM_PROCESS_CHUNK];
};

static void close_source(struct event_source *source)
{
	event_loop_remove(source);
	fd_close(&source->fd);
}

/* --- Its output and its end ------------------------------------------------------------------ */

/* Pass on what is there.  False: it is at its end, or nothing is there now. */
static bool read_console(struct vm_process *p)
{
	ssize_t n;

	if (p->out.fd == FD_NONE)
		return false;
	while ((n = read(p->out.fd, p->chunk, sizeof(p->chunk))) < 0 && errno == EINTR)
		;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		close_source(&p->out);
		return false;
	}
	if (p->over)
		p->left_to_drain -= min_u64(p->left_to_drain, (uint64_t)n);
	p->ops->output(p->arg, p->chunk, (size_t)n);
	return true;
}

static void console_readable(struct event_source *source, uint32_t events)
{
	(void)events;
	read_console(container_of(source, struct vm_process, out));
}

/*
 * Nobody of ours writes any more, so what is in the pipe is all that there will be.  (A helper that
 * outlived it may hold the pipe open, and is not waited for.)
 */
static void drain(struct event_post *post)
{
	struct vm_process *p = container_of(post, struct vm_process, drain);
	struct event_loop *loop = p->loop;

	/* The callee may destroy us in 'output', too: then the post is taken back. */
	if (p->left_to_drain > 0) {
		event_loop_post(loop, post);
		if (read_console(p))
			return;
		event_loop_unpost(loop, post);
	}
	close_source(&p->out);
	close_source(&p->in);
	p->ops->ended(p->arg, &p->end);
}

static void exited(struct event_source *source, uint32_t events)
{
	struct vm_process *p = container_of(source, struct vm_process, exit);
	siginfo_t info = { 0 };

	(void)events;
	if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return;
	p->pid = 0;
	p->over = true;
	p->end.duration_ns = clock_now_ns() - p->started_ns;
	p->end.status = info.si_code == CLD_EXITED ? info.si_status : -1;
	p->end.signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
	close_source(&p->exit);
	time_limit_stop(&p->patience);
	event_loop_remove(&p->out);
	p->left_to_drain = PIPE_SIZE + VM_PROCESS_CHUNK;
	event_loop_post(p->loop, &p->drain);
}

size_t vm_process_output_left(const struct vm_process *p)
{
	int n = 0;

	return p->out.fd != FD_NONE && ioctl(p->out.fd, FIONREAD, &n) == 0 ? (size_t)n : 0;
}

/* --- Its input ------------------------------------------------------------------------------- */

static void lose_input(struct vm_process *p)
{
	p->in_len = 0;
	p->in_ending = true;
	close_source(&p->in);
}

static void write_input(struct vm_process *p)
{
	while (p->in_len > 0 && p->in.fd != FD_NONE) {
		size_t len = min_u64(p->in_len, VM_PROCESS_INPUT - p->in_start);
		ssize_t n = write(p->in.fd, p->input + p->in_start, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			lose_input(p);
			return;
		}
		p->in_start = (p->in_start + (size_t)n) % VM_PROCESS_INPUT;
		p->in_len -= (size_t)n;
	}
	if (p->in_len == 0 && p->in_ending)
		close_source(&p->in);
	else
		event_loop_modify(&p->in, p->in_len > 0 ? EPOLLOUT : 0);
}

static void input_writable(struct event_source *source, uint32_t events)
{
	struct vm_process *p = container_of(source, struct vm_process, in);

	if (events & (EPOLLERR | EPOLLHUP))
		lose_input(p);	/* its end is closed */
	else
		write_input(p);
	if (p->was_full && p->in_len < VM_PROCESS_INPUT / 2 && p->ops->writable) {
		p->was_full = false;
		p->ops->writable(p->arg);
	}
}

size_t vm_process_input(struct vm_process *p, const void *buf, size_t len)
{
	size_t taken = 0;

	if (p->over || p->in_ending)
		return 0;
	while (taken < len && p->in_len < VM_PROCESS_INPUT) {
		size_t at = (p->in_start + p->in_len) % VM_PROCESS_INPUT;
		size_t room = VM_PROCESS_INPUT - (at < p->in_start ? p->in_len : at);
		size_t n = min_u64(len - taken, room);
		memcpy(p->input + at, (const char *)buf + taken, n);
		p->in_len += n;
		taken += n;
	}
	p->was_full = taken < len;
	write_input(p);
	return taken;
}

size_t vm_process_input_left(const struct vm_process *p)
{
	return p->in_len;
}

void vm_process_input_end(struct vm_process *p)
{
	p->in_ending = true;
	write_input(p);
}

/* --- Starting -------------------------------------------------------------------------------- */

/* What the child needs between vfork and exec, made before: it may not allocate. */
struct child {
	const char *program;
	char *word[MAX_WORDS];
	int stdio[3];		/* all from FIRST_FD on, close-on-exec */
	int fd[VM_PROCESS_MAX_FDS];
	unsigned n_fds;
	pid_t parent;
	int err;		/* written by the child: until exec the memory is shared */
};

static int pass(int from, int to)
{
	int r;

	while ((r = dup2(from, to)) < 0 && errno == EINTR)
		;
	return r;
}

/*
 * In the child, whose memory is the parent's: nothing but system calls.  It has its own process
 * group, so that a Ctrl-C at the terminal goes to its parent alone, and dies with that one.
 */
static void become_vireo(struct child *child)
{
	sigset_t later;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != child->parent)
		_exit(127);
	setpgid(0, 0);
	for (int i = 0; i < 3; i++)
		if (pass(child->stdio[i], i) < 0)
			goto fail;
	for (unsigned i = 0; i < child->n_fds; i++)
		if (pass(child->fd[i], VM_PROCESS_FD + (int)i) < 0)
			goto fail;
	/* What it is asked before it listens waits, and does not end it. */
	sigemptyset(&later);
	sigaddset(&later, SIGUSR1);
	sigaddset(&later, SIGPWR);
	sigprocmask(SIG_SETMASK, &later, NULL);
	execv(child->program, child->word);
fail:
	child->err = errno;
	_exit(127);
}

/* The signal mask is full in between: a handler must not run in memory that is shared. */
static __attribute__((noinline)) pid_t start_child(struct child *child)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = vfork();
	if (pid == 0)
		become_vireo(child);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static int write_config(const struct vm_process_config *config, const char *path)
{
	FILE *out = fopen(path, "we");
	int r;

	if (!out)
		return error_set(errno, "write '%s'", path);
	r = config_write_json(out, config->vm, false);
	if (fclose(out) != 0 && r == 0)
		r = error_set(errno, "write '%s'", path);
	return r;
}

/* Move '*fd' (owned) to FIRST_FD or above, for the child to have its low numbers free. */
static int move_up(int *fd)
{
	int moved = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_FD);

	fd_close(fd);
	*fd = moved;
	return moved < 0 ? -errno : 0;
}

/* A pipe with our end not blocking; 'write_end' says which end is ours. */
static int make_pipe(int *ours, int *childs, bool write_end)
{
	int fd[2] = { FD_NONE, FD_NONE }, r;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -errno;
	*ours = fd[write_end];
	*childs = fd[!write_end];
	r = fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
	/* Not everybody may have as much: then it is as it was. */
	if (!write_end)
		(void)fcntl(*ours, F_SETPIPE_SZ, PIPE_SIZE);
	return r == 0 ? move_up(childs) : r;
}

static int open_stdio(struct vm_process *p, struct child *child, const char *log)
{
	int r = make_pipe(&p->in.fd, &child->stdio[0], true);

	if (r == 0)
		r = make_pipe(&p->out.fd, &child->stdio[1], false);
	if (r < 0)
		return error_set(r, "make the pipes of its console");
	child->stdio[2] = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
	if (child->stdio[2] < 0)
		return error_set(errno, "write '%s'", log);
	r = move_up(&child->stdio[2]);
	return r < 0 ? error_set(r, "write '%s'", log) : 0;
}

static int watch(struct vm_process *p)
{
	int r;

	p->exit.fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->exit.fd < 0)
		return error_set(errno, "watch the process");
	p->exit.fn = exited;
	p->out.fn = console_readable;
	p->in.fn = input_writable;
	p->drain.fn = drain;
	r = event_loop_add(p->loop, &p->exit, EPOLLIN);
	if (r == 0)
		r = event_loop_add(p->loop, &p->out, EPOLLIN);
	return r < 0 ? r : event_loop_add(p->loop, &p->in, 0);
}

static int borrow_fds(struct child *child, const struct vm_process_config *config)
{
	if (config->n_fds > VM_PROCESS_MAX_FDS)
		return error_set(E2BIG, "hand over %u descriptors", config->n_fds);
	for (unsigned i = 0; i < config->n_fds; i++) {
		child->fd[i] = fcntl(config->fds[i], F_DUPFD_CLOEXEC, FIRST_FD);
		if (child->fd[i] < 0)
			return error_set(errno, "hand descriptor %d over", config->fds[i]);
		child->n_fds++;
	}
	return 0;
}

static int list_words(struct child *child, const struct vm_process_config *config, char *json)
{
	unsigned n = 0;

	child->program = config->program ? config->program : "/proc/self/exe";
	child->word[n++] = (char *)"vireo";
	child->word[n++] = (char *)"run";
	child->word[n++] = json;
	child->word[n++] = (char *)"--no-run-dir";
	for (const char *const *arg = config->args; arg && *arg; arg++) {
		if (n == MAX_WORDS - 1)
			return error_set(E2BIG, "give it so many arguments");
		child->word[n++] = (char *)*arg;	/* exec does not write to them */
	}
	child->word[n] = NULL;
	return 0;
}

static int spawn(struct vm_process *p, const struct vm_process_config *config, char *json,
		 const char *log)
{
	struct child child = { .stdio = { FD_NONE, FD_NONE, FD_NONE }, .parent = getpid() };
	int r = list_words(&child, config, json);

	if (r == 0)
		r = borrow_fds(&child, config);
	if (r == 0)
		r = open_stdio(p, &child, log);
	if (r == 0) {
		p->started_ns = clock_now_ns();
		p->pid = start_child(&child);
		r = p->pid < 0 ? error_set(errno, "start a process") :
		    child.err ? error_set(child.err, "start '%s'", child.program) : 0;
	}
	if (p->pid < 0)
		p->pid = 0;
	for (unsigned i = 0; i < 3; i++)
		fd_close(&child.stdio[i]);
	for (unsigned i = 0; i < child.n_fds; i++)
		fd_close(&child.fd[i]);
	return r;
}

int vm_process_start(struct vm_process **out, const struct vm_process_config *config,
		     struct event_loop *loop, const struct vm_process_ops *ops, void *arg)
{
	struct vm_process *p = calloc(1, sizeof(*p));
	char *json = NULL, *log = NULL;
	int r = -ENOMEM;

	*out = NULL;
	if (!p || asprintf(&json, "%s/vm.json", config->dir) < 0 ||
	    asprintf(&log, "%s/stderr.log", config->dir) < 0) {
		r = error_set(ENOMEM, "start a VM");
		goto out;
	}
	p->loop = loop;
	p->ops = ops;
	p->arg = arg;
	p->exit.fd = p->in.fd = p->out.fd = FD_NONE;
	p->patience = (struct time_limit)TIME_LIMIT_INIT;
	r = write_config(config, json);
	if (r == 0)
		r = spawn(p, config, json, log);
	if (r == 0)
		r = watch(p);
	if (r < 0)
		r = error_add(r, "start a VM in '%s'", config->dir);
out:
	if (r < 0)
		vm_process_destroy(p);
	else
		*out = p;
	free(json);
	free(log);
	return r;
}

/* --- Ending ---------------------------------------------------------------------------------- */

void vm_process_destroy(struct vm_process *p)
{
	if (!p)
		return;
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (p->loop) {
		event_loop_unpost(p->loop, &p->drain);
		close_source(&p->exit);
		close_source(&p->out);
		close_source(&p->in);
		time_limit_stop(&p->patience);
	}
	free(p);
}

void vm_process_report(struct vm_process *p)
{
	if (p->pid > 0)
		kill(p->pid, SIGUSR1);
}

void vm_process_press_power_button(struct vm_process *p)
{
	if (p->pid > 0)
		kill(p->pid, SIGPWR);
}

static void out_of_patience(void *arg)
{
	struct vm_process *p = arg;

	if (p->pid > 0)
		kill(p->pid, SIGKILL);
}

/* Of the signals that wait the child takes the lowest first: SIGUSR1 comes before SIGTERM. */
void vm_process_stop(struct vm_process *p)
{
	if (p->pid <= 0 || p->stopping)
		return;
	p->stopping = true;
	kill(p->pid, SIGTERM);
	/* Without a timer it is at once what it would be later. */
	if (time_limit_start(&p->patience, p->loop, VM_PROCESS_PATIENCE_MS, out_of_patience, p) <
	    0) {
		error_clear();
		out_of_patience(p);
	}
}

int vm_process_id(const struct vm_process *p)
{
	return (int)p->pid;
}
