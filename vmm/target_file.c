#include "vmm/target_file.h"

#include <errno.h>
#include <fcntl.h>

#include "vmm/base/error.h"

int target_file_open(int *out, const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY;

	/* chardev copes with O_NONBLOCK. */
	*out = open(path, flags | O_NONBLOCK, 0666);
	if (*out >= 0)
		return 0;
	error_set(errno, "open '%s' for a console's output", path);
	if (error_errno() == ENXIO)
		error_hint("it is a FIFO that nobody reads yet");
	return -error_errno();
}
