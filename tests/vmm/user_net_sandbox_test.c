/* The user-mode network goes on to find the host's name server where no file can be opened. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/loop_pump.h"
#include "tests/support/user_rig.h"
#include "vmm/sandbox.h"

#if HAVE_SLIRP && HAVE_SECCOMP

enum { SURVIVED = 7, NO_NAMESPACES = 8 };

/* A network and a resolv.conf of our own. */
static bool be_alone(void)
{
	static const char text[] = "nameserver 127.0.0.53\n";
	char path[] = "/tmp/vireo-resolv-XXXXXX";
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = mkstemp(path);
	bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	ok = ok && unshare(CLONE_NEWNS | CLONE_NEWNET) == 0 &&
	     mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	     mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;
	unlink(path);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	ok = ok && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
	close(fd);
	return ok;
}

static void ask_for_names(void)
{
	static struct user_rig rig;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(53),
				       .sin_addr.s_addr = htonl(0x7f000035) };
	static const uint8_t query[] = { 4, 0, 0, 53, 0, 12, 0, 0, 'n', 'a', 'm', 'e' };
	uint8_t frame[128];
	char text[16];

	if (!be_alone())
		_exit(NO_NAMESPACES);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		_exit(1);
	user_rig_open(&rig, NULL, false);
	while (recv(fd, text, sizeof(text), MSG_DONTWAIT) >= 0)
		;
	if (sandbox_forbid_privileges() < 0 || sandbox_enter(SECCOMP_ON, SANDBOX_NET_USER) < 0)
		_exit(2);
	/* Longer than libslirp believes what it knows: it looks whether the file has changed. */
	for (unsigned i = 0; i < 3; i++) {
		usleep(1100000);
		loop_pump(rig.loop);
		user_rig_send(&rig, frame, user_rig_ipv4(frame, IPPROTO_UDP, USER_RIG_GUEST,
							 0x0a000203, query, sizeof(query)));
		if (recv(fd, text, sizeof(text), MSG_DONTWAIT) != 4)
			_exit(3);
	}
	_exit(SURVIVED);
}

Test(user_net_sandbox, names_are_found_where_no_file_can_be_opened, .timeout = 60)
{
	int status;
	pid_t child;

	if (sandbox_only_logs())
		cr_skip_test("sandbox: this build only logs");
	child = fork();
	if (child == 0)
		ask_for_names();
	waitpid(child, &status, 0);
	cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) == NO_NAMESPACES)
		cr_skip_test("no namespaces here");
	cr_expect_eq(WEXITSTATUS(status), SURVIVED, "%d", WEXITSTATUS(status));
}

#endif
