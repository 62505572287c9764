#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

bool is_init;

void say(const char *fmt, ...)
{
	char line[512] = "<4>vireo-agent: ";
	size_t head = strlen(line);
	va_list args;
	int fd = -1;

	va_start(args, fmt);
	int n = vsnprintf(line + head, sizeof(line) - head - 1, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	size_t len = head + (size_t)n < sizeof(line) - 1 ? head + (size_t)n : sizeof(line) - 2;
	wire_make_printable(line, len);
	line[len++] = '\n';
	if (is_init)
		fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	/* Where it cannot be said, nobody is there to hear that either. */
	if (fd < 0 || write(fd, line, len) < 0)
		(void)!write(STDERR_FILENO, line + 3, len - 3);
	close_fd(&fd);
}

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
