#include "tests/support/fault.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "vmm/base/error.h"

#if HAVE_URING
#include <liburing.h>
#endif

enum { MAX_BLOCKS = 8192, MAX_CALLS = 2000, SETTLE_MS = 2000 };

/* --- Which call fails ------------------------------------------------------------------------ */

static atomic_int countdown;		/* calls until one fails; 0: none does */
static atomic_bool goes_on, failing;
static _Atomic(const char *) failed_call;

/* Shall this call fail? */
static bool hits(const char *name)
{
	const char *none = NULL;

	if (!atomic_load(&failing)) {
		int left = atomic_load(&countdown);
		do {
			if (left == 0)
				return false;
		} while (!atomic_compare_exchange_weak(&countdown, &left, left - 1));
		if (left != 1)
			return false;
		atomic_store(&failing, atomic_load(&goes_on));
	}
	atomic_compare_exchange_strong(&failed_call, &none, name);
	return true;
}

void fault_arm(unsigned n, bool all_after)
{
	atomic_store(&failed_call, NULL);
	atomic_store(&goes_on, all_after);
	atomic_store(&countdown, (int)n);
}

const char *fault_hit(void)
{
	return atomic_load(&failed_call);
}

const char *fault_disarm(void)
{
	atomic_store(&countdown, 0);
	atomic_store(&failing, false);
	return fault_hit();
}

/* --- What is held ----------------------------------------------------------------------------- */

/* Blocks that were allocated while a scenario ran, and how much is mapped; threads share them. */
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static void *block[MAX_BLOCKS];
static unsigned n_blocks;
static bool tracks;
static atomic_llong mapped;
static unsigned n_threads_at_first;

static void *keep(void *p)
{
	pthread_mutex_lock(&held_lock);
	if (tracks && p && n_blocks < MAX_BLOCKS)
		block[n_blocks++] = p;
	pthread_mutex_unlock(&held_lock);
	return p;
}

/* Blocks of others (the C library's, or from before) are not known and do not count. */
static void drop(const void *p)
{
	pthread_mutex_lock(&held_lock);
	for (unsigned i = n_blocks; p && i-- > 0;) {
		if (block[i] != p)
			continue;
		block[i] = block[--n_blocks];
		break;
	}
	pthread_mutex_unlock(&held_lock);
}

struct held {
	unsigned n_fds, n_threads, n_blocks;
	long long mapped;
};

static unsigned count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	cr_assert_not_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static struct held measure(void)
{
	return (struct held){
		.n_fds = count_entries("/proc/self/fd"),
		.n_threads = count_entries("/proc/self/task"),
		.n_blocks = n_blocks,
		.mapped = atomic_load(&mapped),
	};
}

/*
 * A thread that was joined may be in /proc for a moment, and the kernel's workers for a ring
 * longer; so may they have been before.
 */
static void expect_same(const struct held *before, const char *call, unsigned n)
{
	struct held now = measure();

	for (unsigned i = 0; i < SETTLE_MS && now.n_threads > n_threads_at_first; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		now = measure();
	}
	cr_assert_eq(now.n_fds, before->n_fds, "%s (call %u): %u descriptors, before %u", call, n,
		     now.n_fds, before->n_fds);
	cr_assert_leq(now.n_threads, n_threads_at_first, "%s (call %u): %u threads, before %u",
		      call, n, now.n_threads, n_threads_at_first);
	cr_assert_eq(now.n_blocks, before->n_blocks, "%s (call %u): %u blocks, before %u", call, n,
		     now.n_blocks, before->n_blocks);
	cr_assert_eq(now.mapped, before->mapped, "%s (call %u): %lld bytes mapped, before %lld",
		     call, n, now.mapped, before->mapped);
}

/* --- Scenarios -------------------------------------------------------------------------------- */

static void run_fine(fault_scenario scenario, void *arg, const char *after)
{
	struct held before = measure();
	int r = scenario(arg);

	cr_assert_eq(r, FAULT_FINE, "without fault, after %s failed: %d: %s", after, r,
		     error_text());
	expect_same(&before, "without fault", 0);
}

/* One run; returns the call that failed, or NULL if there was no n-th. */
static const char *run_failing(fault_scenario scenario, void *arg, unsigned n, bool all_after)
{
	struct held before = measure();

	error_clear();
	fault_arm(n, all_after);
	int r = scenario(arg);
	const char *call = fault_disarm();

	if (r < 0) {
		cr_assert_not_null(call, "without fault: %d: %s", r, error_text());
		cr_assert_eq(error_errno(), -r, "%s (call %u): returned %d, the chain says %d",
			     call, n, r, error_errno());
		cr_assert_neq(error_text()[0], '\0', "%s (call %u): failed without a word", call,
			      n);
	} else if (!call) {
		cr_assert_eq(r, FAULT_FINE);
	}
	error_clear();
	expect_same(&before, call ? call : "no call", n);
	return call;
}

static unsigned sweep(fault_scenario scenario, void *arg, bool all_after)
{
	for (unsigned n = 1; n < MAX_CALLS; n++) {
		const char *call = run_failing(scenario, arg, n, all_after);
		if (!call)
			return n - 1;
		if (!all_after)
			run_fine(scenario, arg, call);
	}
	cr_assert_fail("the scenario has no end");
	return 0;
}

unsigned fault_each(fault_scenario scenario, void *arg)
{
	n_threads_at_first = measure().n_threads;
	/* What is made once and kept (by the C library, too) is made now. */
	run_fine(scenario, arg, "nothing");
	tracks = true;
	run_fine(scenario, arg, "none");
	unsigned n = sweep(scenario, arg, false);
	sweep(scenario, arg, true);
	run_fine(scenario, arg, "all");
	tracks = false;
	n_blocks = 0;
	return n;
}

/* --- The wrappers ----------------------------------------------------------------------------- */

/* A call that gives 'bad' and sets errno to 'err' when it fails. */
#define WRAP(type, name, params, args, bad, err)                                                   \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		if (!hits(#name))                                                                  \
			return __real_##name args;                                                 \
		errno = err;                                                                       \
		return bad;                                                                        \
	}

WRAP(int, eventfd, (unsigned v, int f), (v, f), -1, EMFILE)
WRAP(int, epoll_create1, (int f), (f), -1, EMFILE)
WRAP(int, timerfd_create, (int c, int f), (c, f), -1, EMFILE)
WRAP(int, memfd_create, (const char *n, unsigned f), (n, f), -1, EMFILE)
WRAP(int, ftruncate, (int fd, off_t len), (fd, len), -1, ENOSPC)
WRAP(int, fallocate, (int fd, int m, off_t o, off_t len), (fd, m, o, len), -1, EIO)
WRAP(int, fstat, (int fd, struct stat *st), (fd, st), -1, EIO)
WRAP(int, fdatasync, (int fd), (fd), -1, EIO)
WRAP(ssize_t, pread, (int fd, void *b, size_t n, off_t o), (fd, b, n, o), -1, EIO)
WRAP(ssize_t, preadv, (int fd, const struct iovec *v, int n, off_t o), (fd, v, n, o), -1, EIO)
WRAP(ssize_t, preadv2, (int fd, const struct iovec *v, int n, off_t o, int f), (fd, v, n, o, f),
     -1, EIO)
WRAP(ssize_t, pwritev2, (int fd, const struct iovec *v, int n, off_t o, int f), (fd, v, n, o, f),
     -1, EIO)
WRAP(int, madvise, (void *p, size_t len, int a), (p, len, a), -1, ENOMEM)
WRAP(int, pthread_create,
     (pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg), (t, a, fn, arg),
     EAGAIN, errno)

/* liburing's give the negative errno itself; they are only referred to where it is used. */
struct io_uring;
struct io_uring_params;
#define WEAK __attribute__((weak))

WEAK int __real_io_uring_queue_init(unsigned n, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned n, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned n, struct io_uring *ring, unsigned flags)
{
	return hits("io_uring_queue_init") ? -ENOMEM : __real_io_uring_queue_init(n, ring, flags);
}

WEAK int __real_io_uring_queue_init_params(unsigned n, struct io_uring *ring,
					   struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned n, struct io_uring *ring,
				      struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned n, struct io_uring *ring,
				      struct io_uring_params *params)
{
	if (hits("io_uring_queue_init_params"))
		return -ENOMEM;
	return __real_io_uring_queue_init_params(n, ring, params);
}

WEAK int __real_io_uring_register_files(struct io_uring *ring, const int *fds, unsigned n);
int __wrap_io_uring_register_files(struct io_uring *ring, const int *fds, unsigned n);
int __wrap_io_uring_register_files(struct io_uring *ring, const int *fds, unsigned n)
{
	if (hits("io_uring_register_files"))
		return -ENOMEM;
	return __real_io_uring_register_files(ring, fds, n);
}

#if HAVE_URING
/* As of a kernel that is short of memory: it takes the first half of them, or else none. */
WEAK int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait)
{
	unsigned tail = ring->sq.sqe_tail, half = (tail - *ring->sq.khead) / 2;

	if (!hits("io_uring_submit_and_wait"))
		return __real_io_uring_submit_and_wait(ring, wait);
	if (half == 0) {
		ring->sq.sqe_head = tail;
		*ring->sq.ktail = tail;
		return -EAGAIN;
	}
	ring->sq.sqe_tail = *ring->sq.khead + half;
	int r = __real_io_uring_submit_and_wait(ring, half);
	ring->sq.sqe_tail = tail;
	return r;
}
#endif

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	long arg[6];
	va_list ap;

	va_start(ap, number);
	for (unsigned i = 0; i < 6; i++)
		arg[i] = va_arg(ap, long);
	va_end(ap);
	if (!hits("syscall"))
		return __real_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
	errno = EPERM;
	return -1;
}

int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (op != EPOLL_CTL_ADD || !hits("epoll_ctl"))
		return __real_epoll_ctl(epfd, op, fd, event);
	errno = ENOSPC;
	return -1;
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;

	va_start(ap, request);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	if (!hits("ioctl"))
		return __real_ioctl(fd, request, arg);
	errno = EIO;
	return -1;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = va_arg(ap, mode_t);
	va_end(ap);
	if (!hits("open"))
		return __real_open(path, flags, mode);
	errno = EMFILE;
	return -1;
}

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
	if (!hits("socket"))
		return __real_socket(family, type, protocol);
	errno = EMFILE;
	return -1;
}

int __real_bind(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	if (!hits("bind"))
		return __real_bind(fd, addr, len);
	errno = EACCES;
	return -1;
}

int __real_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog)
{
	if (!hits("listen"))
		return __real_listen(fd, backlog);
	errno = EADDRINUSE;
	return -1;
}

int __real_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	if (!hits("connect"))
		return __real_connect(fd, addr, len);
	errno = ECONNREFUSED;
	return -1;
}

int __real_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...)
{
	va_list ap;

	va_start(ap, cmd);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	if (!hits("fcntl"))
		return __real_fcntl(fd, cmd, arg);
	errno = ENOLCK;
	return -1;
}

void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (hits("mmap")) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	void *p = __real_mmap(addr, len, prot, flags, fd, offset);
	/* A fixed one takes the place of what was there. */
	if (p != MAP_FAILED && !(flags & MAP_FIXED))
		atomic_fetch_add(&mapped, (long long)len);
	return p;
}

int __real_munmap(void *addr, size_t len);
int __wrap_munmap(void *addr, size_t len);
int __wrap_munmap(void *addr, size_t len)
{
	atomic_fetch_sub(&mapped, (long long)len);
	return __real_munmap(addr, len);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	if (!hits("malloc"))
		return keep(__real_malloc(size));
	errno = ENOMEM;
	return NULL;
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	if (!hits("calloc"))
		return keep(__real_calloc(n, size));
	errno = ENOMEM;
	return NULL;
}

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size)
{
	if (hits("realloc")) {
		errno = ENOMEM;
		return NULL;
	}
	drop(p);
	return keep(__real_realloc(p, size));
}

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__wrap_strdup(const char *s)
{
	if (!hits("strdup"))
		return keep(__real_strdup(s));
	errno = ENOMEM;
	return NULL;
}

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
	drop(p);
	__real_free(p);
}
