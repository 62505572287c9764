#include "tests/support/real_vhost.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int real_vhost_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 && getenv("VIREO_REAL_VHOST"))
		cr_assert_fail("%s: %s", path, strerror(errno));
	if (fd < 0)
		cr_skip_test("needs %s; tests/check vhost", path);
	return fd;
}

void real_vhost_need(const char *path)
{
	close(real_vhost_open(path));
}
