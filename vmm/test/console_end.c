#include "vmm/test/console_end.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/fd.h"
#include "vmm/test/plain_text.h"

enum { READ = 16 << 10 };

static bool is_blank(const char *bytes, size_t len)
{
	struct plain_text t = { .bytes = bytes, .len = len };
	struct plain_char c;

	while (plain_text_next(&t, &c))
		if (c.c != ' ' && c.c != '\n' && c.c != '\t')
			return false;
	return true;
}

unsigned console_end_read(const char *path, char **line, unsigned most)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	char bytes[READ];
	struct stat st;
	size_t end = 0;
	unsigned n = 0;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		end = min_u64((uint64_t)st.st_size, READ);
		if (fd_pread_all(fd, bytes, end, st.st_size - (off_t)end) < 0)
			end = 0;
	}
	fd_close(&fd);
	while (end > 0 && n < most) {
		size_t from = end;
		while (from > 0 && bytes[from - 1] != '\n')
			from--;
		if (!is_blank(bytes + from, end - from)) {
			line[n] = strndup(bytes + from, end - from);
			if (!line[n])
				break;
			n++;
		}
		end = from > 0 ? from - 1 : 0;
	}
	for (unsigned i = 0; i < n / 2; i++) {
		char *other = line[i];
		line[i] = line[n - 1 - i];
		line[n - 1 - i] = other;
	}
	return n;
}
