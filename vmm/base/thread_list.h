/*
 * The threads of this process, and those of the kernel that work for it, by name, with the CPU time
 * that each has used: for reports, without a look into /proc, which the sandbox does not allow.  A
 * thread of this process puts itself on the list.
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

/*
 * The same of another one, which works for this process: a thread of it, or the first thread of
 * another process (the kernel's, for example).  One that has ended has used nothing.  Any thread.
 */
void thread_list_add_other(const char *name, int tid);
void thread_list_remove_other(int tid);

/* Copy up to 'max' entries, in the order of their beginning.  Returns how many.  Any thread. */
unsigned thread_list_read(struct thread_entry *out, unsigned max);

#endif
