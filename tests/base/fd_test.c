#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmm/base/fd.h"

Test(fd, close_is_idempotent_and_keeps_errno)
{
	int fd = dup(0);

	errno = ERANGE;
	fd_close(&fd);
	cr_assert_eq(fd, FD_NONE);
	fd_close(&fd);
	cr_assert_eq(errno, ERANGE);
}

Test(fd, event_collapses_signals)
{
	int fd;

	cr_assert_eq(fd_create_event(&fd), 0);
	cr_assert_not(fd_drain(fd));
	fd_signal(fd);
	fd_signal(fd);
	cr_assert(fd_drain(fd));
	cr_assert_not(fd_drain(fd));
	fd_close(&fd);
}

Test(fd, short_file_is_said)
{
	char path[] = "/tmp/vireo-fd-XXXXXX", buf[8];
	int fd = mkstemp(path);

	unlink(path);
	cr_assert_eq(fd_write_all(fd, "12345", 5), 0);
	cr_assert_eq(fd_pread_all(fd, buf, 5, 0), 0);
	cr_assert_eq(fd_pread_all(fd, buf, 5, 1), -ENODATA);
	fd_close(&fd);
	cr_assert_eq(fd_pread_all(fd, buf, 1, 0), -EBADF);
}
