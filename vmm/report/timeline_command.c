/* "vireo timeline": draw what 'vireo run --trace' wrote. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/command.h"
#include "vmm/outcome.h"
#include "vmm/report/timeline_svg.h"

enum { MAX_TRACE = 64 << 20 };

static void help_timeline(FILE *out)
{
	fputs("Usage: vireo timeline TRACE.json >boot.svg\n\n"
	      "Draw what 'vireo run --trace TRACE.json' wrote: which phase of the start took how\n"
	      "long, and when the guest did what.  The picture goes to standard output.\n", out);
}

static int read_file(char **text, size_t *len, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = 0;

	*text = NULL;
	if (fd < 0)
		return error_set(errno, "open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		r = error_set(EINVAL, "'%s' is no regular file", path);
	else if (st.st_size > MAX_TRACE)
		r = error_set(E2BIG, "'%s' is larger than 64 MiB", path);
	if (r == 0) {
		*len = (size_t)st.st_size;
		*text = malloc(*len + 1);
		r = *text ? fd_pread_all(fd, *text, *len, 0) : -ENOMEM;
		if (r < 0)
			error_set(r, "read '%s'", path);
	}
	fd_close(&fd);
	return r;
}

static int draw(const char *path)
{
	struct timeline *t = malloc(sizeof(*t));
	char *text = NULL;
	size_t len = 0;
	int r = t ? read_file(&text, &len, path) : error_set(ENOMEM, "draw a timeline");

	if (r == 0) {
		r = timeline_read_trace(t, text, len);
		if (r < 0)
			error_add(r, "read the trace '%s'", path);
	}
	if (r == 0)
		timeline_write_svg(stdout, t);
	else
		error_print(stderr);
	free(text);
	free(t);
	return r == 0 ? STATUS_OK : outcome_of_error(BLAME_FILE, r);
}

static int timeline_main(int argc, char **argv)
{
	if (argc == 1 && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"))) {
		help_timeline(stdout);
		return STATUS_OK;
	}
	if (argc == 0) {
		fputs("vireo: timeline of which trace? See 'vireo help timeline'\n", stderr);
		return STATUS_FAILED;
	}
	if (argc > 1 || (argv[0][0] == '-' && argv[0][1]))
		return command_unexpected(&timeline_command, argv[argc > 1 ? 1 : 0]);
	return draw(argv[0]);
}

const struct command timeline_command = {
	.name = "timeline",
	.summary = "draw how long the start of a VM took",
	.run = timeline_main,
	.help = help_timeline,
};
