/* Several operations on one descriptor in one call. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/io_batch.h"
#include "tests/support/fault.h"
#include "vmm/base/error.h"

static int pair[2];
static struct io_batch *batch;

static void plug(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	if (io_batch_create(&batch, pair[0]) == -ENOTSUP)
		cr_skip_test("built without io_uring");
	cr_assert_not_null(batch, "%s", error_text());
}

static void unplug(void)
{
	io_batch_destroy(batch);
	close(pair[0]);
	close(pair[1]);
}

TestSuite(io_batch, .init = plug, .fini = unplug);

Test(io_batch, writes_go_in_their_order_and_in_pieces)
{
	char text[8][4], got[16];
	struct iovec iov[8][2];
	struct io_batch_op op[8];

	for (unsigned i = 0; i < 8; i++) {
		snprintf(text[i], sizeof(text[i]), "%u%u", i, i);
		iov[i][0] = (struct iovec){ text[i], 1 };
		iov[i][1] = (struct iovec){ text[i] + 1, 1 };
		op[i] = (struct io_batch_op){ .iov = iov[i], .n = i % 2 + 1 };
	}
	cr_assert_eq(io_batch_write(batch, op, 8), 8);
	for (unsigned i = 0; i < 8; i++) {
		cr_assert_eq(op[i].result, i % 2 + 1);
		cr_assert_eq(read(pair[1], got, sizeof(got)), i % 2 + 1);
		cr_assert_eq(memcmp(got, text[i], i % 2 + 1), 0);
	}
}

Test(io_batch, reads_end_where_there_is_nothing_and_nobody_waits)
{
	char got[4][8] = { "" };
	struct iovec iov[4];
	struct io_batch_op op[4];

	cr_assert_eq(write(pair[1], "one", 3), 3);
	cr_assert_eq(write(pair[1], "three", 5), 5);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 4; i++) {
			iov[i] = (struct iovec){ got[i], sizeof(got[i]) };
			op[i] = (struct io_batch_op){ .iov = &iov[i], .n = 1 };
		}
		cr_assert_eq(io_batch_read(batch, op, 4), 4);
		cr_assert_eq(op[0].result, round == 0 ? 3 : -EAGAIN);
		cr_assert_eq(op[1].result, round == 0 ? 5 : -EAGAIN);
		cr_assert_eq(op[2].result, -EAGAIN);
		cr_assert_eq(op[3].result, -EAGAIN);
	}
	cr_assert_str_eq(got[1], "three");
}

Test(io_batch, each_operation_has_its_own_error)
{
	static char big[1 << 20];
	struct iovec iov[2] = { { big, 1 }, { big, sizeof(big) } };
	struct io_batch_op op[] = { { &iov[0], 1, 0 }, { &iov[1], 1, 0 }, { &iov[0], 1, 0 } };

	cr_assert_eq(io_batch_write(batch, op, 3), 3);
	cr_assert_eq(op[0].result, 1);
	cr_assert_eq(op[1].result, -EMSGSIZE);
	cr_assert_eq(op[2].result, 1);
}

static unsigned write_numbers(unsigned n)
{
	static char text[8];
	static struct iovec iov[8];
	struct io_batch_op op[8];

	for (unsigned i = 0; i < n; i++) {
		text[i] = (char)('a' + i);
		iov[i] = (struct iovec){ &text[i], 1 };
		op[i] = (struct io_batch_op){ .iov = &iov[i], .n = 1 };
	}
	return io_batch_write(batch, op, n);
}

/* What is there, as text. */
static const char *written(void)
{
	static char got[64];
	size_t n = 0;

	while (n < sizeof(got) - 1 && read(pair[1], got + n, 1) == 1)
		n++;
	got[n] = '\0';
	return got;
}

/* The kernel takes half of what it is offered, and nothing when that is one operation. */
Test(io_batch, shortage_is_over_when_it_is_over)
{
	static const char *const done[] = { "", "", "a", "ab", "abc" };

	for (unsigned n = 1; n < ARRAY_SIZE(done); n++) {
		fault_arm(1, true);
		cr_assert_eq(write_numbers(n), n - 1);
		cr_assert_str_eq(fault_disarm(), "io_uring_submit_and_wait");
		cr_assert_str_eq(written(), done[n]);
		/* What was not done is not done later. */
		cr_assert_eq(write_numbers(6), 6);
		cr_assert_str_eq(written(), "abcdef");
	}
}

Test(io_batch, what_the_kernel_takes_in_two_goes_is_done_in_order)
{
	fault_arm(1, false);
	cr_assert_eq(write_numbers(6), 6);
	cr_assert_not_null(fault_disarm());
	cr_assert_str_eq(written(), "abcdef");
}
