#include "vmm/base/thread_list.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock;
	unsigned n;
	struct {
		char name[THREAD_NAME_SIZE];
		int tid;
	} entry[THREAD_LIST_MAX];
} list = { .lock = PTHREAD_MUTEX_INITIALIZER };

void thread_list_add_other(const char *name, int tid)
{
	pthread_mutex_lock(&list.lock);
	if (list.n < THREAD_LIST_MAX) {
		snprintf(list.entry[list.n].name, THREAD_NAME_SIZE, "%s", name);
		list.entry[list.n++].tid = tid;
	}
	pthread_mutex_unlock(&list.lock);
}

void thread_list_add(const char *name)
{
	thread_list_add_other(name, gettid());
}

void thread_list_remove_other(int tid)
{
	pthread_mutex_lock(&list.lock);
	for (unsigned i = 0; i < list.n; i++) {
		if (list.entry[i].tid != tid)
			continue;
		list.n--;
		memmove(&list.entry[i], &list.entry[i + 1],
			(list.n - i) * sizeof(list.entry[0]));
		break;
	}
	pthread_mutex_unlock(&list.lock);
}

void thread_list_remove(void)
{
	thread_list_remove_other(gettid());
}

/*
 * The CPU time of a thread of ours, or of another process, by the kernel's numbers for such clocks
 * (clock_gettime(2), "dynamic").  0: it has ended.
 */
static uint64_t cpu_time(int tid)
{
	enum { PER_THREAD = 4, SCHEDULED = 2 };
	unsigned clock = ~(unsigned)tid << 3 | SCHEDULED;
	struct timespec t;

	if (clock_gettime((clockid_t)(clock | PER_THREAD), &t) < 0 &&
	    clock_gettime((clockid_t)clock, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

unsigned thread_list_read(struct thread_entry *out, unsigned max)
{
	unsigned n;

	pthread_mutex_lock(&list.lock);
	n = list.n < max ? list.n : max;
	for (unsigned i = 0; i < n; i++) {
		memcpy(out[i].name, list.entry[i].name, THREAD_NAME_SIZE);
		out[i].tid = list.entry[i].tid;
		/* No thread of ours on the list has ended: who ends waits for the lock. */
		out[i].cpu_ns = cpu_time(out[i].tid);
	}
	pthread_mutex_unlock(&list.lock);
	return n;
}
