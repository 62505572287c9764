/* Input of a chardev, and its threads; output is chardev_output_test.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "devices/chardev.h"
#include "tests/support/loop_pump.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"

static struct event_loop *loop;
static struct chardev *chardev;
static int in[2] = { FD_NONE, FD_NONE };

static void set_up(void)
{
	cr_assert_eq(event_loop_create(&loop, "test"), 0);
	cr_assert_eq(pipe(in), 0);
}

static void tear_down(void)
{
	chardev_destroy(chardev);
	event_loop_destroy(loop);
	fd_close(&in[0]);
	fd_close(&in[1]);
}

TestSuite(chardev, .init = set_up, .fini = tear_down, .timeout = 20);

static void create(int in_fd, int out_fd)
{
	const struct chardev_config config = {
		.in_fd = in_fd, .out_fd = out_fd, .main_loop = loop,
	};

	cr_assert_eq(chardev_create(&chardev, &config), 0);
}

/* A guest console that takes at most 'appetite' bytes. */
struct eater {
	struct chardev_reader reader;
	size_t appetite;
	char eaten[20000];
	size_t n;
	unsigned n_calls;
};

static size_t eat(struct chardev_reader *reader, const uint8_t *buf, size_t len)
{
	struct eater *eater = container_of(reader, struct eater, reader);
	size_t n = min_u64(len, eater->appetite);

	cr_assert_leq(eater->n + n, sizeof(eater->eaten));
	memcpy(eater->eaten + eater->n, buf, n);
	eater->n += n;
	eater->appetite -= n;
	eater->n_calls++;
	return n;
}

static struct eater hungry = { .reader.input = eat, .appetite = SIZE_MAX };
static struct eater modest = { .reader.input = eat, .appetite = 3 };

static void type(const char *text)
{
	cr_assert_eq(write(in[1], text, strlen(text)), (ssize_t)strlen(text));
}

Test(chardev, input_goes_to_the_reader_attached_last)
{
	struct eater first = hungry, second = hungry;

	create(in[0], FD_NONE);
	chardev_attach(chardev, &first.reader);
	type("one");
	loop_pump(loop);
	chardev_attach(chardev, &second.reader);
	type("two");
	loop_pump(loop);
	chardev_detach(chardev, &second.reader);
	type("three");
	loop_pump(loop);
	cr_expect_str_eq(first.eaten, "onethree");
	cr_expect_str_eq(second.eaten, "two");
	chardev_detach(chardev, &first.reader);
	chardev_detach(chardev, &first.reader);
}

Test(chardev, input_waits_for_a_reader_and_for_its_appetite)
{
	struct eater eater = modest;

	create(in[0], FD_NONE);
	type("abcdefgh");
	loop_pump(loop);
	chardev_attach(chardev, &eater.reader);
	loop_pump(loop);
	cr_expect_str_eq(eater.eaten, "abc");
	unsigned calls = eater.n_calls;
	loop_pump(loop);
	cr_expect_eq(eater.n_calls, calls, "it is not offered again before it is asked for");
	eater.appetite = 100;
	chardev_reader_ready(chardev);
	loop_pump(loop);
	cr_expect_str_eq(eater.eaten, "abcdefgh");
}

/* Does the loop sleep when nothing should happen?  One that spins burns the whole time. */
static bool is_quiet(void)
{
	clock_t before = clock();

	cr_assert_eq(event_loop_thread_start(loop), 0);
	usleep(200000);
	event_loop_thread_stop(loop);
	return clock() - before < CLOCKS_PER_SEC / 20;
}

Test(chardev, end_of_input_does_not_spin)
{
	struct eater eater = hungry;

	create(in[0], FD_NONE);
	chardev_attach(chardev, &eater.reader);
	type("last");
	fd_close(&in[1]);
	loop_pump(loop);
	cr_expect_str_eq(eater.eaten, "last");
	cr_expect(is_quiet());
}

Test(chardev, a_guest_that_takes_nothing_does_not_spin_and_loses_nothing_of_a_pipe)
{
	struct eater eater = modest;
	char buf[15000];

	memset(buf, 'x', sizeof(buf));
	create(in[0], FD_NONE);
	chardev_attach(chardev, &eater.reader);
	cr_assert_eq(write(in[1], buf, sizeof(buf)), (ssize_t)sizeof(buf));
	cr_expect(is_quiet());
	eater.appetite = SIZE_MAX;
	for (unsigned i = 0; i < 20; i++) {
		chardev_reader_ready(chardev);
		loop_pump(loop);
	}
	cr_expect_eq(eater.n, sizeof(buf));
}

Test(chardev, dev_null_as_input_is_the_end)
{
	struct eater eater = hungry;
	int fd = open("/dev/null", O_RDONLY);

	create(fd, FD_NONE);
	chardev_attach(chardev, &eater.reader);
	loop_pump(loop);
	cr_expect_eq(eater.n, 0u);
	cr_expect(is_quiet());
	close(fd);
}

Test(chardev, a_file_as_input_is_read_to_its_end)
{
	struct eater eater = modest;
	char path[] = "/tmp/chardev_XXXXXX", buf[10000];
	int fd = mkstemp(path);

	memset(buf, 'y', sizeof(buf));
	cr_assert_eq(write(fd, buf, sizeof(buf)), (ssize_t)sizeof(buf));
	lseek(fd, 0, SEEK_SET);
	unlink(path);
	create(fd, FD_NONE);
	chardev_attach(chardev, &eater.reader);
	cr_expect(is_quiet());
	cr_expect_eq(eater.n, 3u);
	eater.appetite = SIZE_MAX;
	chardev_reader_ready(chardev);
	for (unsigned i = 0; i < 5; i++)
		loop_pump(loop);
	cr_expect_eq(eater.n, sizeof(buf));
	cr_expect(is_quiet());
	close(fd);
}

Test(chardev, a_bad_descriptor_is_an_error_with_a_reason)
{
	const struct chardev_config config = { .in_fd = 999, .out_fd = FD_NONE, .main_loop = loop };

	cr_expect_eq(chardev_create(&chardev, &config), -EBADF);
	cr_expect_null(chardev);
	cr_expect_str_eq(error_text(), "console input");
	error_clear();
}

/* Takes every 'q' out. */
static size_t drop_q(void *arg, uint8_t *buf, size_t len)
{
	unsigned *n_q = arg;
	size_t left = 0;

	for (size_t i = 0; i < len; i++) {
		if (buf[i] == 'q')
			(*n_q)++;
		else
			buf[left++] = buf[i];
	}
	return left;
}

Test(chardev, the_filter_sees_input_first)
{
	struct eater eater = hungry;
	unsigned n_q = 0;
	const struct chardev_config config = {
		.in_fd = in[0], .out_fd = FD_NONE, .main_loop = loop,
		.filter = drop_q, .filter_arg = &n_q,
	};

	cr_assert_eq(chardev_create(&chardev, &config), 0);
	chardev_attach(chardev, &eater.reader);
	type("aqbqq");
	loop_pump(loop);
	cr_expect_str_eq(eater.eaten, "ab");
	cr_expect_eq(n_q, 3u);
}

static char copied[32];
static size_t n_copied;

static void keep_copy(void *arg, const uint8_t *buf, size_t len)
{
	cr_assert_eq(arg, &n_copied);
	memcpy(copied + n_copied, buf, len);
	n_copied += len;
}

Test(chardev, output_is_copied_even_if_nobody_reads_it)
{
	const struct chardev_config config = {
		.in_fd = FD_NONE, .out_fd = FD_NONE, .main_loop = loop,
		.copy = keep_copy, .copy_arg = &n_copied,
	};

	cr_assert_eq(chardev_create(&chardev, &config), 0);
	cr_assert_eq(chardev_write(chardev, "abc", 3), 3);
	cr_assert_eq(chardev_write(chardev, "de", 2), 2);
	cr_assert_str_eq(copied, "abcde");
}

Test(chardev, on_a_terminal_the_filter_works_while_the_guest_takes_nothing)
{
	struct eater eater = modest;
	unsigned n_q = 0;
	int master, slave;

	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	struct termios raw;
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	const struct chardev_config config = {
		.in_fd = slave, .out_fd = slave, .main_loop = loop,
		.filter = drop_q, .filter_arg = &n_q,
	};
	cr_assert_eq(chardev_create(&chardev, &config), 0);
	chardev_attach(chardev, &eater.reader);
	/* More than terminal and chardev hold; the kernel passes it on in its own time. */
	fcntl(master, F_SETFL, O_NONBLOCK);
	for (unsigned sent = 0; sent < 20000; loop_pump(loop)) {
		char text[200];
		memset(text, 'z', sizeof(text));
		ssize_t n = write(master, text, sizeof(text));
		sent += n > 0 ? (unsigned)n : 0;
	}
	while (write(master, "q", 1) != 1)
		loop_pump(loop);
	while (n_q == 0)
		loop_pump(loop);
	cr_expect_eq(n_q, 1u);
	cr_expect(is_quiet());
	close(master);
	cr_expect(is_quiet(), "a terminal that went away does not spin");
	close(slave);
}

Test(chardev, one_descriptor_may_serve_both_ways)
{
	struct eater eater = hungry;
	char buf[8] = "";
	int s[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	create(s[0], s[0]);
	chardev_attach(chardev, &eater.reader);
	cr_assert_eq(write(s[1], "ping", 4), 4);
	cr_assert_eq(chardev_write(chardev, "pong", 4), 4u);
	loop_pump(loop);
	cr_expect_str_eq(eater.eaten, "ping");
	cr_expect_eq(read(s[1], buf, sizeof(buf)), 4);
	cr_expect_str_eq(buf, "pong");
	close(s[0]);
	close(s[1]);
}

/* --- Threads --- */

static pthread_barrier_t inside;
static atomic_bool left;

static size_t dawdle(struct chardev_reader *reader, const uint8_t *buf, size_t len)
{
	(void)reader;
	(void)buf;
	pthread_barrier_wait(&inside);
	usleep(50000);
	atomic_store(&left, true);
	return len;
}

Test(chardev, detaching_waits_for_input_that_is_under_way)
{
	struct chardev_reader reader = { .input = dawdle };

	pthread_barrier_init(&inside, NULL, 2);
	create(in[0], FD_NONE);
	chardev_attach(chardev, &reader);
	type("x");
	cr_assert_eq(event_loop_thread_start(loop), 0);
	pthread_barrier_wait(&inside);
	chardev_detach(chardev, &reader);
	cr_expect(atomic_load(&left));
	event_loop_thread_stop(loop);
}

static size_t detach_myself(struct chardev_reader *reader, const uint8_t *buf, size_t len)
{
	(void)buf;
	chardev_detach(chardev, reader);
	return len;
}

Test(chardev, a_reader_may_detach_itself)
{
	struct chardev_reader reader = { .input = detach_myself };

	create(in[0], FD_NONE);
	chardev_attach(chardev, &reader);
	type("x");
	loop_pump(loop);
	type("y");
	loop_pump(loop);
}
