/* "vireo agent": the agent's program for those who put it into an image. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/agent/agent_image.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/command.h"
#include "vmm/completion.h"
#include "vmm/outcome.h"

static void help_agent(FILE *out)
{
	fputs("Usage: vireo agent --output FILE\n"
	      "       vireo agent >FILE\n"
	      "       vireo agent --unit\n\n"
	      "Write the agent, the small program by which 'vireo test' and 'vireo exec' run\n"
	      "commands in a guest and copy files.  It needs nothing but a Linux kernel, as /init\n"
	      "of an initramfs or as a service.\n\n"
	      "  --output FILE  write it to FILE, which can be executed then\n"
	      "  --unit         print the unit by which systemd starts it in a guest\n", out);
}

/* Whole or not at all: somebody may be making an image of what was there. */
static int write_file(const char *path, const void *bytes, size_t len)
{
	size_t size = strlen(path) + 16;
	char *temp = malloc(size);
	int fd = FD_NONE, r = 0;

	if (!temp)
		return error_set(ENOMEM, "write '%s'", path);
	snprintf(temp, size, "%s.%d", path, (int)getpid());
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0777);
	if (fd < 0) {
		r = error_set(errno, "write '%s'", path);
		free(temp);
		return r;
	}
	r = fd_write_all(fd, bytes, len);
	if (r == 0 && rename(temp, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(temp);
		error_set(r, "write '%s'", path);
	}
	fd_close(&fd);
	free(temp);
	return r;
}

static int put_agent(const char *path)
{
	size_t len;
	const void *bytes = agent_image(&len);
	int r;

	if (len == 0) {
		error_set(ENOTSUP, "this program was built without the agent");
		error_hint("install musl-tools, then configure and build it again");
		error_print(stderr);
		return STATUS_FAILED;
	}
	if (!path && isatty(STDOUT_FILENO)) {
		fputs("vireo: the agent is a program, no text: 'vireo agent --output FILE'\n",
		      stderr);
		return STATUS_FAILED;
	}
	if (!path) {
		fwrite(bytes, 1, len, stdout);	/* main tells of a failure */
		return STATUS_OK;
	}
	r = write_file(path, bytes, len);
	if (r < 0)
		error_print(stderr);
	return r == 0 ? STATUS_OK : outcome_of_error(BLAME_FILE, r);
}

static int agent_main(int argc, char **argv)
{
	size_t len;

	if (argc == 0)
		return put_agent(NULL);
	if (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h")) {
		help_agent(stdout);
		return STATUS_OK;
	}
	if (!strcmp(argv[0], "--unit") && argc == 1) {
		const char *text = agent_unit(&len);
		fwrite(text, 1, len, stdout);
		return STATUS_OK;
	}
	if (!strcmp(argv[0], "--output") && argc == 1) {
		fputs("vireo: --output needs the name of a file\n", stderr);
		return STATUS_FAILED;
	}
	if (!strcmp(argv[0], "--output") && argc == 2)
		return put_agent(argv[1]);
	if (!strncmp(argv[0], "--output=", 9) && argv[0][9] && argc == 1)
		return put_agent(argv[0] + 9);
	return command_unexpected(&agent_command, argv[argc > 1 && argv[0][0] == '-' ? 1 : 0]);
}

static void complete_agent(struct completion *c, unsigned n, char *const *words)
{
	if (n >= 2 && !strcmp(words[n - 2], "--output")) {
		completion_add_files(c, 0);
		return;
	}
	if (n != 1)
		return;
	completion_add(c, "--output", "write it to a file");
	completion_add(c, "--unit", "print the unit for systemd");
}

const struct command agent_command = {
	.name = "agent",
	.summary = "write the agent, by which commands run in a guest",
	.run = agent_main,
	.help = help_agent,
	.complete = complete_agent,
};
