#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/control/run_dir.h"

static char top[64], vms[80];

static void set_up(void)
{
	snprintf(top, sizeof(top), "/tmp/run_dir_test.XXXXXX");
	cr_assert_not_null(mkdtemp(top));
	setenv("XDG_RUNTIME_DIR", top, 1);
	snprintf(vms, sizeof(vms), "%s/vireo", top);
}

static void tear_down(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	cr_assert_eq(system(command), 0);
}

TestSuite(run_dir, .init = set_up, .fini = tear_down, .timeout = 20);

static bool exists(const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", vms, name);
	return access(path, F_OK) == 0;
}

static void make(struct run_dir *rd, const char *file)
{
	int fd = openat(rd->fd, file, O_CREAT | O_WRONLY, 0600);

	cr_assert_geq(fd, 0);
	fd_close(&fd);
}

Test(run_dir, names_are_plain)
{
	cr_expect(run_name_is_valid("web"));
	cr_expect(run_name_is_valid("Web-1.old_x"));
	cr_expect_not(run_name_is_valid(""));
	cr_expect_not(run_name_is_valid("."));
	cr_expect_not(run_name_is_valid(".."));
	cr_expect_not(run_name_is_valid("-x"));
	cr_expect_not(run_name_is_valid("a/b"));
	cr_expect_not(run_name_is_valid("a b"));
	cr_expect_not(run_name_is_valid("\xc3\xa4"));
	cr_expect_not(run_name_is_valid("a123456789b123456789c123456789d123456789e123456789"
					"f123456789g1234"));
}

Test(run_dir, comes_and_goes)
{
	struct run_dir rd = RUN_DIR_INIT;
	struct stat st;

	cr_assert_eq(run_dir_create(&rd, "web", NULL), 0);
	cr_assert_eq(fstat(rd.fd, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0700);
	cr_assert(exists("web/lock"));
	cr_assert_eq(run_dir_owner(rd.fd), getpid());
	make(&rd, "console.log");
	run_dir_close(&rd, false);
	cr_assert_not(exists("web"));
	cr_assert(exists(""));
	run_dir_close(&rd, false);
}

Test(run_dir, keeps_its_logs_when_asked_until_the_next_run)
{
	struct run_dir rd = RUN_DIR_INIT;

	cr_assert_eq(run_dir_create(&rd, "web", NULL), 0);
	make(&rd, "console.log");
	make(&rd, "control");
	run_dir_close(&rd, true);
	cr_assert(exists("web/console.log"));
	cr_assert_not(exists("web/lock"));
	cr_assert_not(exists("web/control"));
	cr_assert_eq(run_dir_create(&rd, "web", NULL), 0);
	cr_assert_not(exists("web/console.log"));
	run_dir_close(&rd, false);
}

Test(run_dir, of_a_vm_that_lives_is_refused_and_stays)
{
	struct run_dir rd = RUN_DIR_INIT, second = RUN_DIR_INIT;
	char pid[32];

	cr_assert_eq(run_dir_create(&rd, "web", NULL), 0);
	cr_assert_eq(run_dir_create(&second, "web", NULL), -EBUSY);
	snprintf(pid, sizeof(pid), "process %d", (int)getpid());
	cr_assert_not_null(strstr(error_text(), pid), "%s", error_text());
	run_dir_close(&second, false);
	cr_assert(exists("web/lock"));
	cr_assert_not(run_dir_clean(rd.fd));
	cr_assert(exists("web/lock"));
	run_dir_close(&rd, false);
}

Test(run_dir, of_a_vm_that_died_is_cleaned)
{
	struct run_dir rd = RUN_DIR_INIT;
	int fd;

	/* Not forked off: the lock goes with the last descriptor of it. */
	if (fork() == 0) {
		if (run_dir_create(&rd, "web", NULL) == 0)
			make(&rd, "control");
		_exit(0);
	}
	wait(NULL);
	cr_assert(exists("web/lock"));
	fd = run_dir_open("web");
	cr_assert_geq(fd, 0);
	cr_assert_eq(run_dir_owner(fd), 0);
	cr_assert(run_dir_clean(fd));
	cr_assert_not(exists("web/lock"));
	cr_assert_not(exists("web/control"));
	cr_assert_not(run_dir_clean(fd));
	fd_close(&fd);
}

Test(run_dir, that_is_not_ours_alone_is_refused)
{
	struct run_dir rd = RUN_DIR_INIT;
	char path[128];

	snprintf(path, sizeof(path), "%s/link", top);
	cr_assert_eq(symlink("/tmp", path), 0);
	cr_assert_eq(run_dir_create(&rd, NULL, path), -EPERM);
	run_dir_close(&rd, false);
	snprintf(path, sizeof(path), "%s/open", top);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(chmod(path, 0777), 0);
	cr_assert_eq(run_dir_create(&rd, NULL, path), -EPERM);
	run_dir_close(&rd, false);
	cr_assert_eq(chmod(path, 0700), 0);
	cr_assert_eq(run_dir_create(&rd, NULL, path), 0);
	run_dir_close(&rd, false);
	/* The user made it: it stays. */
	cr_assert_eq(access(path, F_OK), 0);
}

static char seen[64];

static void note(void *arg, const char *name, int fd)
{
	(void)arg;
	strncat(seen, name, 20);
	strncat(seen, run_dir_owner(fd) > 0 ? "+" : "-", 2);
}

Test(run_dir, all_are_listed)
{
	struct run_dir rd = RUN_DIR_INIT;

	cr_assert_eq(run_dir_each(note, NULL), 0);
	cr_assert_eq(run_dir_create(&rd, "web", NULL), 0);
	cr_assert_eq(run_dir_each(note, NULL), 1);
	cr_assert_str_eq(seen, "web+");
	run_dir_close(&rd, true);
	*seen = '\0';
	cr_assert_eq(run_dir_each(note, NULL), 1);
	cr_assert_str_eq(seen, "web-");
}

static void *clean(void *arg)
{
	static bool any;

	any = run_dir_clean(*(int *)arg);
	return &any;
}

/*
 * Somebody else cleaned up, and a VM began, between opening the lock and taking it.  The lock that
 * was there before is a pipe here, as opening one waits.
 */
Test(run_dir, what_came_since_is_not_cleaned_up)
{
	struct run_dir rd = RUN_DIR_INIT;
	char pipe_path[160];
	pthread_t thread;
	void *any;
	int dir, pipe;

	cr_assert_eq(run_dir_create(&rd, "web", NULL), 0);
	run_dir_close(&rd, true);
	dir = run_dir_open("web");
	cr_assert_eq(mkfifoat(dir, "lock", 0600), 0);
	pipe = openat(dir, "lock", O_PATH);
	snprintf(pipe_path, sizeof(pipe_path), "/proc/self/fd/%d", pipe);
	cr_assert_eq(pthread_create(&thread, NULL, clean, &dir), 0);
	usleep(200000);
	cr_assert_eq(unlinkat(dir, "lock", 0), 0);
	cr_assert_eq(run_dir_create(&rd, "web", NULL), 0);
	make(&rd, "control");
	int end = open(pipe_path, O_RDWR | O_NONBLOCK);
	cr_assert_geq(end, 0);
	pthread_join(thread, &any);
	cr_expect_not(*(bool *)any);
	cr_expect(exists("web/control"));
	cr_expect(exists("web/lock"));
	fd_close(&end);
	fd_close(&pipe);
	fd_close(&dir);
	run_dir_close(&rd, false);
}
