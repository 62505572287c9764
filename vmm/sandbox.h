/*
 * The sandbox: what Vireo may ask of the kernel once the VM is built.  The lists of calls, each
 * with its reason, are in sandbox_rules.c.
 */
#ifndef VMM_SANDBOX_H
#define VMM_SANDBOX_H

#include "vmm/base/util.h"
#include "vmm/config.h"

/*
 * No new privileges by exec, in any mode: for this process and all that it starts.  Before
 * threads are made.  Returns 0 or -errno with an error chain.
 */
MUST_USE int sandbox_forbid_privileges(void);

/* What a VM can have that needs calls of its own. */
enum sandbox_need {
	SANDBOX_NET_USER = 1,		/* the user-mode network: sockets of the host */
	SANDBOX_TAP = 2,
	SANDBOX_VHOST = 4,
	SANDBOX_VSOCK_USER = 8,		/* Unix sockets of the host */
	SANDBOX_CONTROL = 16,		/* the control socket and its run directory */
	SANDBOX_AFFINITY = 32,		/* vCPU threads that are pinned */
	SANDBOX_DUMP = 64,		/* a core file when the guest ends badly */
	SANDBOX_VHOST_USER = 128,	/* back ends behind Unix sockets, which may come back */
	SANDBOX_SHARE = 256,		/* the launcher of virtiofsd; those need VHOST_USER, too */
	SANDBOX_PORTS = 512,		/* ports that are Unix sockets: clients come and go */
};

/*
 * Put every thread that there is, and will be, under the filter; no way back.  SECCOMP_ON: a
 * call that is not allowed ends Vireo with STATUS_FAILED and a line that names it.  SECCOMP_LOG:
 * the kernel logs it (audit) and goes on.  SECCOMP_OFF: nothing.
 * 'needs' is a set of SANDBOX_...
 *
 * Returns 0; -EOPNOTSUPP if Vireo was built without libseccomp (and the mode is not off); -errno
 * with an error chain.
 */
MUST_USE int sandbox_enter(enum seccomp_mode mode, unsigned needs);

/* Is this build's filter only logging, because a sanitizer's own calls would not pass it? */
bool sandbox_only_logs(void);

#endif
