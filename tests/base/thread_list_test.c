#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/thread_list.h"

static pthread_barrier_t barrier;

static void *work(void *arg)
{
	struct timespec t;

	thread_list_add(arg);
	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	} while (t.tv_nsec < 2000000);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	thread_list_remove();
	return NULL;
}

Test(thread_list, has_each_thread_with_its_time_while_it_runs, .timeout = 20)
{
	struct thread_entry e[4];
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	thread_list_add("first");
	cr_assert_eq(pthread_create(&thread, NULL, work, (void *)"a name that is too long"), 0);
	pthread_barrier_wait(&barrier);
	cr_assert_eq(thread_list_read(e, 1), 1);
	cr_assert_eq(thread_list_read(e, 4), 2);
	cr_assert_str_eq(e[0].name, "first");
	cr_assert_eq(e[0].tid, gettid());
	cr_assert_str_eq(e[1].name, "a name that is ");
	cr_assert_neq(e[1].tid, gettid());
	cr_assert_geq(e[1].cpu_ns, 2000000);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	cr_assert_eq(thread_list_read(e, 4), 1);
	thread_list_remove();
	thread_list_remove();
	cr_assert_eq(thread_list_read(e, 4), 0);
}

Test(thread_list, has_another_process_until_it_is_taken_off, .timeout = 20)
{
	struct thread_entry e[2];
	struct timespec t;
	int ready[2];
	char byte;

	cr_assert_eq(pipe(ready), 0);
	pid_t child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		do {
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
		} while (t.tv_nsec < 2000000);
		byte = 1;
		_exit(write(ready[1], &byte, 1) == 1 ? pause() : 1);
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	thread_list_add_other("worker", child);
	cr_assert_eq(thread_list_read(e, 2), 1);
	cr_expect_str_eq(e[0].name, "worker");
	cr_expect_eq(e[0].tid, child);
	cr_expect_geq(e[0].cpu_ns, 2000000);
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, NULL, 0), child);
	cr_assert_eq(thread_list_read(e, 2), 1);
	cr_expect_eq(e[0].cpu_ns, 0);
	thread_list_remove_other(child);
	cr_expect_eq(thread_list_read(e, 2), 0);
}

Test(thread_list, is_full_at_some_time_and_says_nothing, .timeout = 60)
{
	static struct thread_entry e[THREAD_LIST_MAX + 1];

	/* The same thread again and again: what counts are the entries. */
	for (unsigned i = 0; i < THREAD_LIST_MAX + 8; i++)
		thread_list_add("x");
	cr_assert_eq(thread_list_read(e, THREAD_LIST_MAX + 1), THREAD_LIST_MAX);
}
