/* The launcher, with programs of the shell: what they get, what is told of them, and their end. */
#include "vmm/launcher.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/virtiofsd.h"

enum { PATIENCE_MS = 10000 };

static struct launcher *launcher;
static struct launcher_news news;

static void make(const char *script)
{
	static char *argv[4];

	argv[0] = (char[]){ "/bin/sh" };
	argv[1] = (char[]){ "-c" };
	argv[2] = strdup(script);
	const struct launcher_program program = { .argv = argv };
	cr_assert_eq(launcher_create(&launcher, &program, 1), 0, "%s", error_text());
}

static void next(enum launcher_kind kind)
{
	cr_assert_eq(launcher_next(launcher, &news, PATIENCE_MS), 0);
	cr_assert_eq(news.kind, kind, "%d: %s: %s", news.kind, news.step, strerror(news.status));
	cr_assert_eq(news.program, 0);
}

static void start(void)
{
	cr_assert_eq(launcher_start(launcher, 0), 0);
	next(LAUNCHER_STARTED);
}

/* What it says until it ends or says no more. */
static const char *hear(int fd)
{
	static char text[4096];
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < sizeof(text) - 1) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };

		cr_assert_gt(poll(&wait, 1, PATIENCE_MS), 0);
		n = read(fd, text + len, sizeof(text) - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	text[len] = '\0';
	return text;
}

static bool is_there(int pid)
{
	return kill(pid, 0) == 0;
}

static bool ends_soon(int pid)
{
	for (unsigned i = 0; i < 400 && is_there(pid); i++)
		usleep(10000);
	return !is_there(pid);
}

static void teardown(void)
{
	launcher_destroy(launcher);
}

TestSuite(launcher, .fini = teardown);

Test(launcher, what_it_says_and_how_it_ends_is_told)
{
	make("echo hello; echo error >&2; exit 3");
	start();
	cr_expect_str_eq(hear(news.output), "hello\nerror\n");
	next(LAUNCHER_ENDED);
	cr_expect(WIFEXITED(news.status));
	cr_expect_eq(WEXITSTATUS(news.status), 3);
	cr_expect_eq(launcher_next(launcher, &news, 0), -EAGAIN);
}

/* Nothing but input from nowhere, the two outputs, and the socket. */
Test(launcher, it_has_no_file_but_its_own)
{
	make("cd /proc/self/fd; for f in *; do [ -e $f ] && echo $f; done; readlink 0; cat <&0");
	start();
	cr_expect_str_eq(hear(news.output), "0\n1\n2\n3\n/dev/null\n");
}

/* With room for none or for one of the two descriptors that come with the news. */
Test(launcher, one_that_cannot_be_reached_is_no_start)
{
	for (unsigned room = 0; room < 2; room++) {
		struct rlimit limit, none;
		int first;

		make("exec sleep 1000");
		cr_assert_eq(launcher_start(launcher, 0), 0);
		cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
		first = dup(0);
		cr_assert_geq(first, 0);
		close(first);
		none = (struct rlimit){ (rlim_t)first + room, limit.rlim_max };
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
		int r = launcher_next(launcher, &news, PATIENCE_MS);
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		cr_assert_eq(r, 0);
		cr_expect_eq(news.kind, LAUNCHER_FAILED, "room for %u", room);
		cr_expect_eq(news.status, EMFILE);
		cr_expect_str_eq(news.step, "take its files");
		cr_expect(news.socket == FD_NONE && news.output == FD_NONE);
		cr_expect_eq(dup(0), first, "nothing is left");
		close(first);
		next(LAUNCHER_ENDED);
		cr_expect(WIFSIGNALED(news.status));
		launcher_destroy(launcher);
		launcher = NULL;
	}
}

/* One connection is in the queue already, and no other has room. */
Test(launcher, its_socket_listens_and_is_ours)
{
	struct sockaddr_un address;
	socklen_t len = sizeof(address);

	make("sleep 100");
	start();
	cr_assert_eq(getpeername(news.socket, (struct sockaddr *)&address, &len), 0);
	int other = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_expect_eq(connect(other, (struct sockaddr *)&address, len), -1);
	cr_expect_eq(errno, EAGAIN);
	fd_close(&other);
}

/* Vireo blocks signals and ignores SIGPIPE; who started it may ignore some of libc's own. */
Test(launcher, signals_are_as_usual)
{
	const uint64_t ignored[4] = { (uintptr_t)SIG_IGN };
	sigset_t all;

	cr_assert_eq(syscall(SYS_rt_sigaction, 32, ignored, NULL, sizeof(uint64_t)), 0);

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	signal(SIGPIPE, SIG_IGN);
	make("grep -E 'Sig(Blk|Ign)' /proc/self/status");
	start();
	cr_expect_str_eq(hear(news.output), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

Test(launcher, what_cannot_be_started_is_told)
{
	char *argv[] = { (char[]){ "/nowhere/virtiofsd" }, NULL };
	const struct launcher_program program = { .argv = argv };

	cr_assert_eq(launcher_create(&launcher, &program, 1), 0);
	cr_assert_eq(launcher_start(launcher, 0), 0);
	next(LAUNCHER_FAILED);
	cr_expect_eq(news.status, ENOENT);
	cr_expect_str_eq(news.step, "start the program");
}

Test(launcher, it_can_be_killed_and_started_again)
{
	make("echo up; sleep 100");
	for (unsigned i = 0; i < 3; i++) {
		start();
		int pid = news.pid;
		cr_assert_eq(launcher_start(launcher, 0), 0);
		next(LAUNCHER_FAILED);
		cr_expect_eq(news.status, EBUSY);
		cr_assert_eq(launcher_kill(launcher, 0), 0);
		next(LAUNCHER_ENDED);
		cr_expect(WIFSIGNALED(news.status));
		cr_expect_eq(WTERMSIG(news.status), SIGKILL);
		cr_expect_not(is_there(pid));
	}
}

/* Somebody took Vireo over: what it may say is little, and the rest is no harm. */
Test(launcher, nonsense_is_not_heard)
{
	const uint32_t nonsense[][2] = { { 0, 1 }, { 0, UINT32_MAX }, { 7, 0 }, { 1, 0 } };

	make("sleep 100");
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(write(launcher_fd(launcher), nonsense[i], 8), 8);
	cr_assert_eq(write(launcher_fd(launcher), "x", 1), 1);
	cr_expect_eq(launcher_next(launcher, &news, 100), -EAGAIN);
	start();
}

Test(launcher, they_end_with_it)
{
	make("trap '' TERM; while :; do sleep 1; done");
	start();
	launcher_destroy(launcher);
	launcher = NULL;
	cr_expect_not(is_there(news.pid));
}

/* However Vireo ends. */
Test(launcher, they_end_when_vireo_is_killed)
{
	int pair[2], pid;

	cr_assert_eq(pipe(pair), 0);
	pid_t vireo = fork();
	if (vireo == 0) {
		make("while :; do sleep 1; done");
		start();
		(void)!write(pair[1], &news.pid, sizeof(news.pid));
		pause();
	}
	cr_assert_eq(read(pair[0], &pid, sizeof(pid)), sizeof(pid));
	cr_expect(is_there(pid));
	kill(vireo, SIGKILL);
	waitpid(vireo, NULL, 0);
	cr_expect(ends_soon(pid));
}

/* And when the launcher itself is: whoever has its programs' connections sees them end. */
Test(launcher, they_end_when_the_launcher_is_killed)
{
	make("grep PPid /proc/self/status; exec sleep 100");
	start();
	char line[64] = "";
	struct pollfd wait = { .fd = news.output, .events = POLLIN };
	cr_assert_gt(poll(&wait, 1, PATIENCE_MS), 0);
	cr_assert_gt(read(news.output, line, sizeof(line) - 1), 0);
	/* The parent of grep is the shell. */
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/stat", news.pid);
	FILE *f = fopen(path, "r");
	int parent = 0, program = news.pid;
	cr_assert(f);
	cr_assert_eq(fscanf(f, "%*d (%*[^)]) %*c %d", &parent), 1);
	fclose(f);
	kill(parent, SIGKILL);
	cr_expect_eq(launcher_next(launcher, &news, PATIENCE_MS), -EPIPE);
	cr_expect(ends_soon(program));
	cr_expect_lt(launcher_start(launcher, 0), 0);
}

/* As for a virtiofsd that cannot refuse writes itself. */
Test(launcher, a_tree_is_mounted_readonly_for_one_program)
{
	char dir[] = "/tmp/vireo-tree-XXXXXX", ids[2][40];
	char *argv[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" },
			 (char[]){ "ls /mnt; echo no >/mnt/file || echo refused" }, NULL };
	struct launcher_program program = {
		.argv = argv, .tree = mkdtemp(dir), .tree_at = "/mnt", .tree_readonly = true,
	};
	struct confinement host;

	confinement_probe(&host);
	if (!host.namespaces)
		cr_skip_test("no namespaces can be made here");
	snprintf(ids[0], sizeof(ids[0]), "0 %u 1", geteuid());
	snprintf(ids[1], sizeof(ids[1]), "0 %u 1", getegid());
	if (host.user_namespace) {
		program.uid_map = ids[0];
		program.gid_map = ids[1];
	}
	char path[64];
	snprintf(path, sizeof(path), "%s/file", dir);
	fclose(fopen(path, "w"));
	cr_assert_eq(launcher_create(&launcher, &program, 1), 0);
	start();
	const char *said = hear(news.output);
	cr_expect_not_null(strstr(said, "file\n"), "%s", said);
	cr_expect_not_null(strstr(said, "Read-only file system"), "%s", said);
	cr_expect_not_null(strstr(said, "refused"), "%s", said);
	cr_expect_eq(access("/mnt/file", F_OK), -1);
	/* A user namespace, too, can be had by who needs none. */
	launcher_destroy(launcher);
	program.uid_map = ids[0];
	program.gid_map = ids[1];
	cr_assert_eq(launcher_create(&launcher, &program, 1), 0);
	cr_assert_eq(launcher_start(launcher, 0), 0);
	cr_assert_eq(launcher_next(launcher, &news, PATIENCE_MS), 0);
	if (news.kind == LAUNCHER_STARTED)
		cr_expect_not_null(strstr(hear(news.output), "refused"));
	else
		cr_expect_str_eq(news.step, "make a user namespace");
	unlink(path);
	rmdir(dir);
}
