/*
 * Run several commands in turn, round after round, so that what else the host does hits all
 * alike, and print how long each took: one line "NAME first ROUND MICROSECONDS" from exec to its
 * first byte of output, one "NAME whole ..." to its end, separated by tabs.
 *
 *   interleave ROUNDS NAME COMMAND [ARGUMENT]... [-- NAME COMMAND [ARGUMENT]...]...
 *
 * Every other round goes backwards: what a machine leaves for the kernel to clean up hits whoever
 * comes next.  A command without output, or one that a signal ended, ends the measurement with
 * status 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_COMMANDS = 16 };

struct command {
	const char *name;
	char **argv;
};

extern char **environ;

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void quit(const char *what, int err)
{
	fprintf(stderr, "interleave: %s: %s\n", what, strerror(err));
	exit(1);
}

/* Start with input from nowhere and output to a pipe, whose other end is returned in '*out'. */
static pid_t start(char **argv, int *out)
{
	posix_spawn_file_actions_t actions;
	int fd[2], r;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		quit("pipe", errno);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, fd[1], 1);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	if (r != 0)
		quit(argv[0], r);
	posix_spawn_file_actions_destroy(&actions);
	close(fd[1]);
	*out = fd[0];
	return pid;
}

static void measure(const struct command *c, long round)
{
	uint64_t begin = now_us(), first = 0;
	char buf[4096];
	int out, status;
	pid_t pid = start(c->argv, &out);

	while (read(out, buf, sizeof(buf)) > 0) {
		if (first == 0)
			first = now_us();
	}
	close(out);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (first == 0 || !WIFEXITED(status)) {
		fprintf(stderr, "interleave: '%s' printed nothing or was killed (0x%x)\n", c->name,
			(unsigned)status);
		exit(1);
	}
	printf("%s\tfirst\t%ld\t%llu\n", c->name, round, (unsigned long long)(first - begin));
	printf("%s\twhole\t%ld\t%llu\n", c->name, round, (unsigned long long)(now_us() - begin));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct command command[MAX_COMMANDS];
	unsigned n = 0;
	long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 0;

	for (int i = 2; i + 1 < argc && n < MAX_COMMANDS; i++) {
		command[n++] = (struct command){ argv[i], &argv[i + 1] };
		while (i < argc && strcmp(argv[i], "--") != 0)
			i++;
		if (i < argc)
			argv[i] = NULL;
	}
	if (n == 0 || rounds <= 0) {
		fprintf(stderr,
			"Usage: interleave ROUNDS NAME COMMAND... [-- NAME COMMAND...]...\n");
		return 2;
	}
	for (long round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < n; i++)
			measure(&command[round % 2 ? n - 1 - i : i], round);
	}
	return 0;
}
