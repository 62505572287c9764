/* The end of the guest: asked of its init, or, as that, brought about. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

enum {
	PATIENCE_MS = 500,
	SIGNAL_SYSTEMD = 34,	/* what the C library of a distribution calls SIGRTMIN */
};

/* Wait until there is no other process, for 'ms' at most. */
static void wait_for_all(uint64_t ms)
{
	struct timespec nap = { .tv_nsec = 5000000 };
	uint64_t end = now_ms() + ms;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 || errno == EINTR) {
		if (pid > 0)
			continue;
		if (now_ms() >= end)
			return;
		nanosleep(&nap, NULL);
	}
}

/* File systems on disks should not need a repair because of us: unmount them, the last first. */
static void unmount_disks(void)
{
	static char text[64 << 10];
	size_t len = 0;
	ssize_t n;
	int fd = open("/proc/self/mounts", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	close_fd(&fd);
	text[len] = 0;
	for (char *line; (line = strrchr(text, '\n')) != NULL;) {
		char source[128], target[1024];
		*line = 0;
		line = strrchr(text, '\n');
		line = line ? line + 1 : text;
		if (sscanf(line, "%127s %1023s", source, target) == 2 &&
		    !strncmp(source, "/dev/", 5) && umount2(target, 0) < 0)
			mount(NULL, target, NULL, MS_REMOUNT | MS_RDONLY, NULL);
	}
}

_Noreturn void power_end(int command)
{
	if (kill(-1, SIGTERM) == 0)
		wait_for_all(PATIENCE_MS);
	kill(-1, SIGKILL);
	wait_for_all(PATIENCE_MS);
	sync();
	unmount_disks();
	reboot(command);
	/* A machine that cannot be switched off, or not restarted. */
	say("reboot(0x%x): %s", (unsigned)command, strerror(errno));
	reboot((int)RB_HALT_SYSTEM);
	for (;;)
		pause();
}

void power_ask(int how)
{
	if (how != WIRE_OFF && how != WIRE_REBOOT) {
		session_complain("an unknown way to end");
		return;
	}
	if (is_init)
		power_end(how == WIRE_OFF ? (int)RB_POWER_OFF : (int)RB_AUTOBOOT);
	/* systemd has a signal for each; the inits before it agreed on these. */
	if (access("/run/systemd/system", F_OK) == 0)
		kill(1, SIGNAL_SYSTEMD + (how == WIRE_OFF ? 4 : 5));
	else
		kill(1, how == WIRE_OFF ? SIGUSR2 : SIGTERM);
}
