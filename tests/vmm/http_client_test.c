/* The client of the control socket, with somebody at the other end who does not mean well. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/control/http_client.h"

TestSuite(http_client, .timeout = 20);

Test(http_client, does_not_wait_for_a_full_queue_for_ever)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/http_client_test.%d", getpid());
	cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(listener, 1), 0);
	do {
		r = http_client_connect(AT_FDCWD, address.sun_path);
		if (r >= 0)
			close(r);
	} while (r >= 0);
	unlink(address.sun_path);
	fd_close(&listener);
	cr_expect_eq(r, -ETIMEDOUT);
	error_clear();
}
