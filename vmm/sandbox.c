#include "vmm/sandbox.h"

#include <errno.h>
#include <sys/prctl.h>

#include "devices/net_peer.h"
#include "vmm/base/error.h"

int sandbox_forbid_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(errno, "give up the right to new privileges");
	return 0;
}

#if HAVE_SECCOMP

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/log.h"
#include "vhost/vhost_kernel.h"
#include "vmm/machine/kvm_requests.h"
#include "vmm/outcome.h"
#include "vmm/sandbox_rules.h"
#include "vmm/syscall_names.h"
#include "vmm/terminal.h"

#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	HAS_FEATURE(address_sanitizer) || HAS_FEATURE(thread_sanitizer)
#define HAS_SANITIZER 1
#else
#define HAS_SANITIZER 0
#endif

bool sandbox_only_logs(void)
{
	return HAS_SANITIZER;
}

/* "257" behind 'text' (a buffer of 'size'); no stdio, as this serves a signal handler. */
static void append_number(char *text, size_t size, unsigned number)
{
	char digits[12];
	size_t len = strlen(text), n = 0;

	do {
		digits[n++] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	while (n && len + 1 < size)
		text[len++] = digits[--n];
	text[len] = '\0';
}

static void append(char *text, size_t size, const char *more)
{
	size_t len = strlen(text);

	while (*more && len + 1 < size)
		text[len++] = *more++;
	text[len] = '\0';
}

/* On the thread whose call was stopped, which may hold any lock: async-signal-safe calls only. */
static void on_violation(int sig, siginfo_t *info, void *context)
{
	const char *name = syscall_name(info->si_syscall);
	char text[256] = "vireo: the sandbox stopped system call ";

	(void)sig;
	(void)context;
	terminal_restore();
	if (name) {
		append(text, sizeof(text), "'");
		append(text, sizeof(text), name);
		append(text, sizeof(text), "' (number ");
	}
	append_number(text, sizeof(text), (unsigned)info->si_syscall);
	append(text, sizeof(text), name ? ")\n" : "\n");
	append(text, sizeof(text), "  hint: please report this; '--seccomp log' lets it pass\n");
	ssize_t written = write(STDERR_FILENO, text, strlen(text));
	(void)written;	/* nobody could be told */
	_exit(STATUS_FAILED);
}

static int catch_violations(void)
{
	struct sigaction action = { .sa_sigaction = on_violation, .sa_flags = SA_SIGINFO };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	/* Blocked, it would kill without a word. */
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}

static int add_rule(scmp_filter_ctx filter, const struct sandbox_rule *rule)
{
	uint32_t action = SCMP_ACT_ALLOW;

	if (rule->refusal == SANDBOX_PRETEND)
		action = SCMP_ACT_ERRNO(0);
	else if (rule->refusal)
		action = SCMP_ACT_ERRNO((uint16_t)rule->refusal);

	return seccomp_rule_add_array(filter, action, rule->call, rule->n, rule->when);
}

/* Numbers of ioctl requests that those keep who make them. */
static int add_requests(scmp_filter_ctx filter, const unsigned long *number, unsigned n)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < n; i++) {
		struct scmp_arg_cmp request = { 1, SCMP_CMP_EQ, number[i], 0 };
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, &request);
	}
	return r;
}

static int add_rules(scmp_filter_ctx filter, unsigned needs)
{
	struct scmp_arg_cmp self = { 0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0 };
	int r = add_requests(filter, kvm_requests_running, kvm_requests_running_len);

	if (r == 0 && needs & SANDBOX_TAP)
		r = add_requests(filter, net_tap_requests, net_tap_requests_len);
	if (r == 0 && needs & SANDBOX_VHOST)
		r = add_requests(filter, vhost_requests_running, vhost_requests_running_len);
	for (unsigned i = 0; r == 0 && i < sandbox_rules_len; i++)
		if (!sandbox_rules[i].need || sandbox_rules[i].need & needs)
			r = add_rule(filter, &sandbox_rules[i]);
	if (r == 0)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &self);
	/* Its flags are out of the filter's sight; the C library falls back to clone. */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r;
}

static int load_filter(uint32_t refusal, unsigned needs)
{
	scmp_filter_ctx filter = seccomp_init(refusal);
	int r;

	if (!filter)
		return -ENOMEM;
	/* All threads, and the kernel's own error number if it refuses. */
	r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (r == 0)
		r = add_rules(filter, needs);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

int sandbox_enter(enum seccomp_mode mode, unsigned needs)
{
	bool strict = mode == SECCOMP_ON && !sandbox_only_logs();
	int r = 0;

	if (mode == SECCOMP_OFF)
		return 0;
	if (strict)
		r = catch_violations();
	if (r == 0)
		r = load_filter(strict ? SCMP_ACT_TRAP : SCMP_ACT_LOG, needs);
	if (r == 0)
		return 0;
	error_set(r, "load the system call filter");
	error_hint("'--seccomp off' runs without the sandbox");
	return r;
}

#else

bool sandbox_only_logs(void)
{
	return false;
}

int sandbox_enter(enum seccomp_mode mode, unsigned needs)
{
	(void)needs;
	if (mode == SECCOMP_OFF)
		return 0;
	error_set(EOPNOTSUPP, "enter the sandbox: this Vireo was built without libseccomp");
	error_hint("'--seccomp off' runs without the sandbox");
	return -EOPNOTSUPP;
}

#endif
