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

void thread_list_add(const char *name)
{
	pthread_mutex_lock(&list.lock);
	if (list.n < THREAD_LIST_MAX) {
		snprintf(list.entry[list.n].name, THREAD_NAME_SIZE, "%s", name);
		list.entry[list.n++].tid = gettid();
	}
	pthread_mutex_unlock(&list.lock);
}

void thread_list_remove(void)
{
	int tid = gettid();

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

/* The clock of a thread's CPU time, as the kernel numbers it (clock_gettime(2), "dynamic"). */
static clockid_t clock_of(int tid)
{
	enum { PER_THREAD = 4, SCHEDULED = 2 };

	return (clockid_t)(~(unsigned)tid << 3 | PER_THREAD | SCHEDULED);
}

unsigned thread_list_read(struct thread_entry *out, unsigned max)
{
	struct timespec t;
	unsigned n;

	pthread_mutex_lock(&list.lock);
	n = list.n < max ? list.n : max;
	for (unsigned i = 0; i < n; i++) {
		memcpy(out[i].name, list.entry[i].name, THREAD_NAME_SIZE);
		out[i].tid = list.entry[i].tid;
		/* Nobody on the list has ended: who ends waits for the lock. */
		out[i].cpu_ns = 0;
		if (clock_gettime(clock_of(out[i].tid), &t) == 0)
			out[i].cpu_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	}
	pthread_mutex_unlock(&list.lock);
	return n;
}
