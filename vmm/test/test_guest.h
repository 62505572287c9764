/*
 * The guest of a test that has 'root': Vireo makes it, as "vireo exec" does.  The agent is its
 * first process, the kernel may be that of the host, the root file system a directory of the host,
 * under a layer that is thrown away.
 */
#ifndef TEST_TEST_GUEST_H
#define TEST_TEST_GUEST_H

#include "vmm/base/util.h"
#include "vmm/config.h"
#include "vmm/exec/exec_guest.h"
#include "vmm/test/test_plan.h"

struct test_guest {
	const struct vm_config *vm;	/* what is to be run */
	const char *cwd;		/* where commands run; NULL: the agent knows */
	/* Where the test has 'root': the case's VM with the kernel, shares and initramfs. */
	struct vm_config made;		/* borrows all but what follows */
	struct exec_wish wish;
	struct exec_kernel kernel;
	struct exec_guest guest;
	char *initrd;
	struct share_settings *share;
	unsigned first_own, end_own;	/* which of them are ours to free */
};

/*
 * Make it: what it boots goes to DIR/initrd.  Of a test without 'root' it is only the case's VM.
 * Keeps 'test'.  May take a moment (see exec_guest_init(); test_guest_prepare() takes that before).
 * Returns 0 and an owned guest, or -errno with an error chain.
 */
MUST_USE int test_guest_create(struct test_guest **out, const struct test_case *test,
			       const char *dir);
void test_guest_destroy(struct test_guest *guest);

/*
 * Do what takes long and is kept (the modules of a kernel tree), before any guest's time counts.
 * What goes wrong is found again when the guest is made.
 */
void test_guest_prepare(const struct test_case *test);

/* The kernel of a guest whose VM names none; owned.  NULL: the host has none, or no memory. */
char *test_guest_kernel(void);

#endif
