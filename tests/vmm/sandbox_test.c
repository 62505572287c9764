/* Each test enters the sandbox in a child process of its own: there is no way back out of it. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/sandbox.h"
#include "vmm/syscall_names.h"

enum { SURVIVED = 7 };

static void open_a_file(void)
{
	if (open("/dev/null", O_RDONLY) >= 0)
		return;
}

static void make_a_socket(void)
{
	if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
		return;
}

static void map_code(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void fork_a_process(void)
{
	if (fork() == 0)
		_exit(0);
}

static void run_a_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
}

static void signal_the_parent(void)
{
	kill(getppid(), 0);
}

static void *nothing(void *arg)
{
	return arg;
}

static void what_a_vm_does(void)
{
	pthread_t thread;
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || munmap(p, 4096) < 0)
		_exit(1);
	if (pthread_create(&thread, NULL, nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
		_exit(2);
	if (write(STDERR_FILENO, "", 0) != 0)
		_exit(3);
}

static void *open_on_a_thread(void *arg)
{
	pthread_barrier_wait(arg);
	pthread_barrier_wait(arg);
	open_a_file();
	return NULL;
}

/* The child: enter, then do it, on this thread or on one that was there before. */
static unsigned needs;

static void enter_and_do(enum seccomp_mode mode, void (*fn)(void))
{
	pthread_barrier_t barrier;
	pthread_t thread;

	if (!fn) {
		pthread_barrier_init(&barrier, NULL, 2);
		pthread_create(&thread, NULL, open_on_a_thread, &barrier);
		pthread_barrier_wait(&barrier);
	}
	if (sandbox_forbid_privileges() < 0 || sandbox_enter(mode, needs) < 0) {
		error_print(stderr);
		_exit(99);
	}
	if (fn) {
		fn();
	} else {
		pthread_barrier_wait(&barrier);
		pthread_join(thread, NULL);
	}
	_exit(SURVIVED);
}

/*
 * Run 'fn' in the sandbox (NULL: open_a_file on another thread).  Returns the child's exit status, -1
 * for a signal; what it said in 'said'.
 */
static int in_sandbox(enum seccomp_mode mode, void (*fn)(void), char said[512])
{
	int pipe_fd[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t child;

	cr_assert_eq(pipe(pipe_fd), 0);
	child = fork();
	if (child == 0) {
		dup2(pipe_fd[1], STDERR_FILENO);
		enter_and_do(mode, fn);
	}
	close(pipe_fd[1]);
	while (len < 511 && (n = read(pipe_fd[0], said + len, 511 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	close(pipe_fd[0]);
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void need_filter(void)
{
	if (sandbox_only_logs() || !HAVE_SECCOMP)
		cr_skip_test("sandbox: this build only logs, or has no libseccomp");
}

Test(sandbox, a_forbidden_call_ends_vireo_and_is_named)
{
	static const struct {
		void (*fn)(void);
		const char *name;
	} forbidden[] = {
		{ open_a_file, "'openat'" },   { make_a_socket, "'socket'" },
		{ map_code, "'mmap'" },	       { fork_a_process, "'clone'" },
		{ run_a_program, "'execve'" }, { signal_the_parent, "'getppid'" },
	};
	char said[512];

	need_filter();
	for (unsigned i = 0; i < ARRAY_SIZE(forbidden); i++) {
		int status = in_sandbox(SECCOMP_ON, forbidden[i].fn, said);
		cr_expect_eq(status, 125, "%s: %d", forbidden[i].name, status);
		cr_expect_not_null(strstr(said, "vireo: the sandbox stopped system call"), "%s",
				   said);
		cr_expect_not_null(strstr(said, forbidden[i].name), "%s", said);
	}
}

Test(sandbox, what_a_vm_does_is_allowed)
{
	char said[512];

	need_filter();
	cr_expect_eq(in_sandbox(SECCOMP_ON, what_a_vm_does, said), SURVIVED, "%s", said);
}

/* As libslirp does; ends with a number of the step that failed. */
static void what_the_user_network_does(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct stat before = { .st_size = 77 };
	socklen_t len = sizeof(address);
	char text[INET_ADDRSTRLEN], port[8];
	int value = 1, fd = socket(AF_INET, SOCK_STREAM, 0), other;

	if (fd < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, fcntl(fd, F_GETFD) | FD_CLOEXEC) < 0)
		_exit(1);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof(value)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, 1) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		_exit(2);
	other = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(other, (struct sockaddr *)&address, len) < 0 || accept(fd, NULL, NULL) < 0 ||
	    send(other, "x", 1, 0) != 1 || ioctl(other, FIONREAD, &value) < 0 ||
	    shutdown(other, SHUT_WR) < 0 || getpeername(other, (struct sockaddr *)&address, &len) < 0)
		_exit(3);
	if (getnameinfo((struct sockaddr *)&address, len, text, sizeof(text), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		_exit(4);
	if (socket(AF_INET6, SOCK_DGRAM, 0) < 0 && errno != EAFNOSUPPORT)
		_exit(5);
	/* It must hear that nothing changed, and see no contents. */
	if (stat("/etc/resolv.conf", &before) != 0 || before.st_size != 77)
		_exit(6);
	if (open("/etc/resolv.conf", O_RDONLY) >= 0 || errno != EACCES)
		_exit(8);
}

static void make_a_unix_socket(void)
{
	if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
		return;
}

Test(sandbox, a_user_network_may_use_sockets_of_ip_and_open_nothing)
{
	char said[512];
	int status;

	need_filter();
	needs = SANDBOX_NET_USER;
	status = in_sandbox(SECCOMP_ON, what_the_user_network_does, said);
	cr_expect_eq(status, SURVIVED, "%d: %s", status, said);
	cr_expect_eq(in_sandbox(SECCOMP_ON, make_a_unix_socket, said), 125, "%s", said);
	cr_expect_eq(in_sandbox(SECCOMP_ON, run_a_program, said), 125, "%s", said);
	needs = 0;
	cr_expect_eq(in_sandbox(SECCOMP_ON, what_the_user_network_does, said), 125, "%s", said);
}

Test(sandbox, threads_that_were_there_before_are_in_it_too)
{
	char said[512];

	need_filter();
	cr_expect_eq(in_sandbox(SECCOMP_ON, NULL, said), 125);
	cr_expect_not_null(strstr(said, "'openat'"), "%s", said);
}

Test(sandbox, log_and_off_let_pass)
{
	char said[512];

	need_filter();
	cr_expect_eq(in_sandbox(SECCOMP_LOG, open_a_file, said), SURVIVED, "%s", said);
	cr_expect_eq(in_sandbox(SECCOMP_OFF, run_a_program, said), 0, "%s", said);
}

Test(sandbox, system_calls_have_names)
{
	cr_expect_str_eq(syscall_name(0), "read");
	cr_expect_str_eq(syscall_name(257), "openat");
	cr_expect_null(syscall_name(-1));
	cr_expect_null(syscall_name(100000));
}
