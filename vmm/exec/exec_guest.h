/*
 * What a guest that Vireo makes ("vireo exec", tests with 'root') finds: which directories of the
 * host, where, and the orders by which the agent puts them there (docs/agent.md).
 */
#ifndef EXEC_EXEC_GUEST_H
#define EXEC_EXEC_GUEST_H

#include "vmm/base/util.h"
#include "vmm/config.h"
#include "vmm/exec/exec_kernel.h"

/* The names of its shares: of the root, of its modules, and of writable directory I. */
#define EXEC_SHARE_ROOT "root"
#define EXEC_SHARE_MODULES "modules"
#define EXEC_SHARE_WRITABLE "rw%u"

enum {
	EXEC_MAX_WRITABLE = 16,		/* directories whose writes go to the host */
	EXEC_MAX_SHARES = 2 + EXEC_MAX_WRITABLE,
};

/* What is wanted of it.  All is borrowed. */
struct exec_wish {
	const char *root;		/* a directory of the host; NULL: none */
	struct text_list writable;	/* directories of the host, absolute, real */
	struct text_list copy;		/* "FILE" or "FILE=PATH", for the initramfs */
	const char *modules;		/* of its kernel; NULL: look for them */
	const char *cwd;		/* of commands; NULL: 'here', if the guest has that */
	const char *here;		/* a directory of the host; NULL: where we are */
};

struct exec_guest {
	const struct exec_wish *wish;
	const struct exec_kernel *kernel;
	char root[4096];		/* of the host, without links; "": none */
	char cwd[4096];			/* where the command runs, in the guest */
	char modules_from[4096];	/* of the host: modules to be seen elsewhere */
	char modules_at[4096];		/* there; "": it needs none, or they are in place */
};

/*
 * Think of it: where the command runs, and what has to be shared.  Keeps 'wish' and 'kernel'.  The
 * modules of a kernel tree are put in order first, which may take a moment; where that cannot be it
 * is said and done without.  Returns 0 or -errno with an error chain.
 */
MUST_USE int exec_guest_init(struct exec_guest *guest, const struct exec_wish *wish,
			     const struct exec_kernel *kernel);

/* A directory of the host that the guest mounts by 'name'. */
struct exec_share {
	char name[16];
	const char *path;		/* the guest's, or its wish's */
	bool readonly, submounts;
};

/* Its shares, in their order; how many. */
unsigned exec_guest_list_shares(const struct exec_guest *guest,
				struct exec_share share[EXEC_MAX_SHARES]);

/* Append to 'words' the options of the VM by which it gets its shares.  Returns 0 or -ENOMEM. */
MUST_USE int exec_guest_shares(const struct exec_guest *guest, struct text_list *words);

/* The orders for the agent (/vireo/boot), as text: returned owned, NULL: no memory. */
char *exec_guest_orders(const struct exec_guest *guest);

#endif
