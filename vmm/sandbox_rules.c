/*
 * What a running VM asks of the kernel, each with its reason.  What is not here: opening
 * anything by name, sockets (but for devices that are about them), starting programs,
 * executable memory, signals to others.  ioctl requests to KVM are listed in
 * vmm/machine/kvm_requests.c, those to a tap in devices/tap.c.
 */
#include "vmm/sandbox_rules.h"

#if HAVE_SECCOMP

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "vmm/sandbox.h"

#define CALL(name) .call = SCMP_SYS(name)
#define ARG(index, value) { index, SCMP_CMP_EQ, value, 0 }
#define WITHOUT(index, bits) { index, SCMP_CMP_MASKED_EQ, bits, 0 }
#define BY_NAME { 0, SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint32_t)AT_FDCWD }
#define COUNT(...) (sizeof((struct scmp_arg_cmp[]){ __VA_ARGS__ }) / sizeof(struct scmp_arg_cmp))
#define WHEN(...) .n = COUNT(__VA_ARGS__), .when = { __VA_ARGS__ }

#define USER_NET .need = SANDBOX_NET_USER

/* Exactly what pthread_create(3) asks for: a thread, never a process. */
#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | \
		      CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

/* clang-format off */
const struct sandbox_rule sandbox_rules[] = {
	/* Moving data. */
	{ CALL(read) },			/* eventfds, timers, signals, console input */
	{ CALL(write) },		/* eventfds, console output, log */
	{ CALL(readv) },		/* console, packets */
	{ CALL(writev) },		/* console, packets */
	{ CALL(pread64) },		/* disks; the kernel again after a reset */
	{ CALL(pwrite64) },		/* disks */
	{ CALL(preadv) },		/* disks */
	{ CALL(pwritev) },		/* disks */
	{ CALL(preadv2) },		/* disks */
	{ CALL(pwritev2) },		/* disks: RWF_DSYNC */
	{ CALL(fdatasync) },		/* disks: flush */
	{ CALL(fsync) },		/* disks: flush */
	{ CALL(fallocate) },		/* disks: discard, write zeroes; memory: reset, balloon */
	{ CALL(lseek) },		/* disk overlay: which parts hold data */
	{ CALL(io_uring_enter) },	/* disks */
	{ CALL(io_uring_register), .need = SANDBOX_TAP, WHEN(ARG(1, IORING_UNREGISTER_FILES)) },
					/* a tap's ring ends */
	{ CALL(getrandom) },		/* virtio-rng */

	/* Waiting and telling. */
	{ CALL(epoll_wait) },		/* event loops */
	{ CALL(epoll_pwait) },		/* event loops */
	{ CALL(epoll_ctl) },		/* event loops: queues come and go */
	{ CALL(poll) },			/* console: wait until output has left */
	{ CALL(ppoll) },		/* likewise */
	{ CALL(futex) },		/* locks, waiting for a thread */
	{ CALL(timerfd_create) },	/* the watch for halted CPUs, coalescing: when needed */
	{ CALL(timerfd_settime) },	/* likewise; clock alarms, statistics */
	{ CALL(eventfd2) },		/* queues that get their events at start */
	{ CALL(clock_gettime) },	/* where the vDSO cannot answer */
	{ CALL(gettimeofday) },		/* likewise */
	{ CALL(clock_nanosleep) },	/* back-off */
	{ CALL(nanosleep) },		/* back-off */
	{ CALL(sched_yield) },		/* spinning for a vCPU to leave the guest */
	{ CALL(restart_syscall) },	/* the kernel's own, after a stop signal */

	/* Memory, never executable. */
	{ CALL(mmap), WHEN(WITHOUT(2, PROT_EXEC)) },	 /* thread stacks, malloc, request slots */
	{ CALL(mprotect), WHEN(WITHOUT(2, PROT_EXEC)) }, /* guard pages, malloc arenas */
	{ CALL(munmap) },		/* the other way round */
	{ CALL(mremap) },		/* realloc */
	{ CALL(madvise) },		/* give memory back: reset, free, a thread's stack */
	{ CALL(brk) },			/* malloc */

	/* Descriptors. */
	{ CALL(close) },		/* tear-down */
	{ CALL(fcntl), WHEN(ARG(1, F_OFD_SETLK)) },	/* a disk's lock is given back at the end */
	{ CALL(ioctl), WHEN(ARG(1, TCGETS)) },		/* the terminal: tcgetattr, isatty */
	{ CALL(ioctl), WHEN(ARG(1, TCSETS)) },		/* raw after a stop, restored */
	{ CALL(ioctl), WHEN(ARG(1, TIOCGPGRP)) },	/* is it ours? */
	{ CALL(ioctl), WHEN(ARG(1, TIOCGWINSZ)) },	/* its size changed */
	{ CALL(ioctl), WHEN(ARG(1, BLKDISCARD)) },	/* discard on a block device */
	{ CALL(ioctl), WHEN(ARG(1, BLKZEROOUT)) },	/* write zeroes on a block device */

	/* vsock in process: Unix sockets of the host, one for each connection of the guest's. */
	{ CALL(socket), WHEN(ARG(0, AF_UNIX)),
	  .need = SANDBOX_VSOCK_USER | SANDBOX_VHOST_USER },
	{ CALL(connect),
	  .need = SANDBOX_VSOCK_USER | SANDBOX_VHOST_USER },	/* to the programs that listen */
	{ CALL(accept4), .need = SANDBOX_VSOCK_USER | SANDBOX_CONTROL |
				 SANDBOX_PORTS },	/* clients of our own sockets */
	{ CALL(sendmsg),
	  .need = SANDBOX_VSOCK_USER | SANDBOX_VHOST_USER },	/* data of the guest's */
	{ CALL(recvmsg),
	  .need = SANDBOX_VSOCK_USER | SANDBOX_VHOST_USER },	/* messages for the guest */
	{ CALL(sendto), .need = SANDBOX_VSOCK_USER },	/* the answer to a client */
	{ CALL(recvfrom), .need = SANDBOX_VSOCK_USER },	/* what a client wants */
	{ CALL(shutdown),
	  .need = SANDBOX_VSOCK_USER | SANDBOX_VHOST_USER },	/* halves of connections */
	{ CALL(setsockopt), WHEN(ARG(1, SOL_SOCKET), ARG(2, SO_PASSCRED)),
	  .need = SANDBOX_VSOCK_USER },			/* bounds of empty messages */
	{ CALL(newfstatat),
	  .need = SANDBOX_VSOCK_USER | SANDBOX_PORTS },	/* at the end: is the file ours? */
	{ CALL(unlink), .need = SANDBOX_VSOCK_USER | SANDBOX_PORTS },	/* then it goes */
	{ CALL(fcntl), WHEN(ARG(1, F_DUPFD_CLOEXEC)),
	  .need = SANDBOX_PORTS },			/* both directions of a client */

	/* A vhost-user back end that comes back, connected to as above, has a channel. */
	{ CALL(socketpair), WHEN(ARG(0, AF_UNIX)), .need = SANDBOX_VHOST_USER },

	/* Shared folders have a launcher (vmm/launcher.h). */
	{ CALL(wait4), .need = SANDBOX_SHARE },		/* at the end it has ended, too */

	/* The control socket: clients as above, and the run directory. */
	{ CALL(getsockopt), WHEN(ARG(1, SOL_SOCKET), ARG(2, SO_PEERCRED)),
	  .need = SANDBOX_CONTROL },			/* whose is it? */
	{ CALL(ftruncate), .need = SANDBOX_CONTROL | SANDBOX_DUMP },	/* full logs, a core file */
	{ CALL(newfstatat), WHEN(ARG(3, AT_EMPTY_PATH)),
	  .need = SANDBOX_CONTROL },			/* how much memory does the guest have? */
	{ CALL(unlinkat), .need = SANDBOX_CONTROL },	/* at the end what is in it goes */
	{ CALL(sysinfo), .need = SANDBOX_DUMP },	/* a long qsort: is there memory for it? */

	/* Threads: vCPUs, disk workers. */
	{ CALL(clone), WHEN(ARG(0, THREAD_FLAGS)) },	/* clone3 is answered ENOSYS */
	{ CALL(set_robust_list) },	/* a thread's start */
	{ CALL(rseq) },			/* a thread's start */
	{ CALL(prctl), WHEN(ARG(0, PR_SET_NAME)) },	/* a thread's name */
	{ CALL(sched_getaffinity) },	/* malloc: how many arenas */
	{ CALL(sched_setaffinity), .need = SANDBOX_AFFINITY },	/* pinned vCPUs: their start */
	{ CALL(gettid) },		/* raise */
	{ CALL(getpid) },		/* raise */
	{ CALL(getpgrp) },		/* is the terminal ours? */
	{ CALL(exit) },			/* a thread's end */
	{ CALL(exit_group) },		/* the end */

	/*
	 * The user-mode network: sockets of IP, with what libslirp does to them.  It looks whether
	 * /etc/resolv.conf has changed, and takes a change for a reason to open it: it learns of
	 * none, and goes on with what it knows (devices/user_net_create.c).
	 */
	{ CALL(socket), WHEN(ARG(0, AF_INET)), USER_NET },	/* for each of the guest's */
	{ CALL(socket), WHEN(ARG(0, AF_INET6)), USER_NET },	/* likewise */
	{ CALL(bind), USER_NET },		/* a UDP socket before it is used */
	{ CALL(connect), USER_NET },		/* where the guest wants to go */
	{ CALL(listen), USER_NET },		/* for protocols that call back */
	{ CALL(accept), USER_NET },		/* forwards */
	{ CALL(accept4), USER_NET },		/* likewise, in newer versions */
	{ CALL(sendto), USER_NET },		/* what the guest says */
	{ CALL(recvfrom), USER_NET },		/* what it is told */
	{ CALL(recvmsg), USER_NET },		/* errors of UDP, as ICMP to the guest */
	{ CALL(getsockopt), USER_NET },		/* has it connected? */
	{ CALL(setsockopt), USER_NET },		/* no delay, reuse, errors of UDP */
	{ CALL(getsockname), USER_NET },	/* the port that it got */
	{ CALL(getpeername), USER_NET },	/* who connected */
	{ CALL(shutdown), USER_NET },		/* one direction has ended */
	{ CALL(fcntl), WHEN(ARG(1, F_GETFL)), USER_NET },	/* not to block */
	{ CALL(fcntl), WHEN(ARG(1, F_SETFL)), USER_NET },
	{ CALL(fcntl), WHEN(ARG(1, F_GETFD)), USER_NET },	/* not for children */
	{ CALL(fcntl), WHEN(ARG(1, F_SETFD)), USER_NET },
	{ CALL(ioctl), WHEN(ARG(1, FIONREAD)), USER_NET },	/* how long is the datagram? */
	{ CALL(openat), USER_NET, .refusal = EACCES },		/* resolv.conf */
	{ CALL(newfstatat), WHEN(BY_NAME), USER_NET, .refusal = SANDBOX_PRETEND }, /* changed? */
	{ CALL(stat), USER_NET, .refusal = SANDBOX_PRETEND },	/* likewise, by older C libraries */

	/* Signals: vCPU kicks, stop and continue, dying as asked; and tgkill of our own pid. */
	{ CALL(rt_sigaction) },
	{ CALL(rt_sigprocmask) },
	{ CALL(rt_sigreturn) },
};
/* clang-format on */
const unsigned sandbox_rules_len = sizeof(sandbox_rules) / sizeof(sandbox_rules[0]);

#endif
