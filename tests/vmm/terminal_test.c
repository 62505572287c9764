/* Each test gives a child process a terminal of its own, and looks at it from the other end. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/sandbox.h"
#include "vmm/terminal.h"

static bool is_raw(int fd)
{
	struct termios t;

	cr_assert_eq(tcgetattr(fd, &t), 0);
	return !(t.c_lflag & ICANON);
}

/* Tell the parent that the terminal is raw, and wait until it has seen that. */
static void show_raw(void)
{
	char c;

	if (terminal_make_raw() < 0 || write(STDOUT_FILENO, "r", 1) != 1 ||
	    read(STDIN_FILENO, &c, 1) != 1)
		_exit(99);
}

/*
 * Run 'fn' with a terminal; returns its wait status.  The terminal is raw meanwhile, and not
 * after.
 */
static int on_terminal(void (*fn)(void))
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, status;
	char c;

	cr_assert_geq(master, 0);
	cr_assert_eq(grantpt(master), 0);
	cr_assert_eq(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	cr_assert_geq(slave, 0);
	pid_t child = fork();
	if (child == 0) {
		setsid();
		ioctl(slave, TIOCSCTTY, 0);
		dup2(slave, STDIN_FILENO);
		dup2(slave, STDOUT_FILENO);
		fn();
		_exit(0);
	}
	cr_assert_eq(read(master, &c, 1), 1);
	cr_expect(is_raw(slave));
	cr_assert_eq(write(master, "g", 1), 1);
	waitpid(child, &status, 0);
	cr_expect_not(is_raw(slave), "the terminal was left raw");
	close(slave);
	close(master);
	return status;
}

static void restore(void)
{
	show_raw();
	terminal_restore();
	terminal_restore();
}

static void leave(void)
{
	show_raw();
	exit(3);
}

static void crash(void)
{
	static int *volatile nowhere;

	show_raw();
	*nowhere = 1;
}

static void give_up(void)
{
	show_raw();
	abort();
}

static void be_shot(void)
{
	show_raw();
	kill(getpid(), SIGSEGV);
	pause();
}

static void break_the_rules(void)
{
	show_raw();
	if (sandbox_forbid_privileges() < 0 || sandbox_enter(SECCOMP_ON, 0) < 0)
		_exit(99);
	if (open("/dev/null", O_RDONLY) >= 0)
		_exit(98);
}

static void twice(void)
{
	show_raw();
	terminal_restore();
	if (terminal_make_raw() < 0)
		_exit(99);
	terminal_restore();
}

Test(terminal, is_restored_when_asked)
{
	cr_expect_eq(on_terminal(restore), 0);
	cr_expect_eq(on_terminal(twice), 0);
}

Test(terminal, is_restored_at_exit)
{
	cr_expect_eq(WEXITSTATUS(on_terminal(leave)), 3);
}

Test(terminal, is_restored_by_a_crash_which_stays_one)
{
	if (sandbox_only_logs())
		cr_skip_test("sanitizer: it reports crashes in its own way");
	cr_expect_eq(WTERMSIG(on_terminal(crash)), SIGSEGV);
	cr_expect_eq(WTERMSIG(on_terminal(give_up)), SIGABRT);
	cr_expect_eq(WTERMSIG(on_terminal(be_shot)), SIGSEGV);
}

Test(terminal, is_restored_by_the_sandbox)
{
	if (sandbox_only_logs() || !HAVE_SECCOMP)
		cr_skip_test("sandbox: this build only logs, or has no libseccomp");
	cr_expect_eq(WEXITSTATUS(on_terminal(break_the_rules)), 125);
}
