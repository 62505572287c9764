/*
 * The threads of this process by name, with the CPU time that each has used: for reports, without a
 * look into /proc, which the sandbox does not allow.  A thread puts itself on the list.
 */
#ifndef BASE_THREAD_LIST_H
#define BASE_THREAD_LIST_H

#include "vmm/base/util.h"

/* More threads than that work all the same, but are not on the list. */
enum { THREAD_LIST_MAX = 512, THREAD_NAME_SIZE = 16 };

struct thread_entry {
	char name[THREAD_NAME_SIZE];
	int tid;
	uint64_t cpu_ns;
};

/* The calling thread is called 'name' / ends.  Each once. */
void thread_list_add(const char *name);
void thread_list_remove(void);

/* Copy up to 'max' entries, in the order of their beginning.  Returns how many.  Any thread. */
unsigned thread_list_read(struct thread_entry *out, unsigned max);

#endif
