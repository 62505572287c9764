/* Output of a chardev: never blocks, never reorders, never grows. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/chardev.h"
#include "devices/chardev_output.h"
#include "tests/support/loop_pump.h"
#include "vmm/base/fd.h"

static struct event_loop *loop;
static struct chardev *chardev;
static int out[2] = { FD_NONE, FD_NONE };

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(event_loop_create(&loop, "test"), 0);
	cr_assert_eq(pipe(out), 0);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
}

static void tear_down(void)
{
	chardev_destroy(chardev);
	event_loop_destroy(loop);
	fd_close(&out[0]);
	fd_close(&out[1]);
}

TestSuite(chardev_output, .init = set_up, .fini = tear_down, .timeout = 20);

static void create(int out_fd)
{
	const struct chardev_config config = {
		.in_fd = FD_NONE, .out_fd = out_fd, .main_loop = loop,
	};

	cr_assert_eq(chardev_create(&chardev, &config), 0);
}

Test(chardev_output, output_leaves_at_once_while_the_reader_keeps_up)
{
	char buf[8] = "";

	create(out[1]);
	cr_expect_eq(chardev_write(chardev, "hello", 5), 5u);
	cr_assert_eq(read(out[0], buf, sizeof(buf)), 5);
	cr_expect_str_eq(buf, "hello");
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

/* Write the pattern on from 'at' until a write is short; returns how far it came. */
static size_t write_until_full(size_t at)
{
	for (;;) {
		uint8_t buf[777];
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = pattern(at + i);
		size_t n = chardev_write(chardev, buf, sizeof(buf));
		at += n;
		if (n < sizeof(buf))
			return at;
	}
}

static size_t read_pattern(size_t at)
{
	uint8_t buf[4096];
	ssize_t n;

	while ((n = read(out[0], buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			cr_assert_eq(buf[i], pattern(at), "byte %zu", at);
	return at;
}

Test(chardev_output, a_slow_reader_gets_every_byte_in_order_and_the_writer_is_told)
{
	size_t sent = 0, got = 0;

	create(out[1]);
	for (unsigned round = 0; round < 5; round++) {
		sent = write_until_full(sent);
		cr_expect_geq(sent - got, (size_t)CHARDEV_OUTPUT_SIZE);
		cr_expect_eq(chardev_write(chardev, "x", 1), 0u);
		got = read_pattern(got);
		loop_pump(loop);
	}
	for (unsigned i = 0; i < 100 && got < sent; i++) {
		got = read_pattern(got);
		loop_pump(loop);
	}
	cr_expect_eq(got, sent);
}

static unsigned n_room;

static void room_fn(struct event_post *post)
{
	(void)post;
	n_room++;
}

Test(chardev_output, room_is_told_once_when_the_buffer_is_half_empty)
{
	struct event_post post = { .fn = room_fn }, cancelled = { .fn = room_fn };
	size_t got = 0;

	create(out[1]);
	chardev_notify_room(chardev, loop, &post);
	loop_pump(loop);
	cr_expect_eq(n_room, 1u);

	size_t sent = write_until_full(0);
	chardev_notify_room(chardev, loop, &post);
	chardev_notify_room(chardev, loop, &post);
	chardev_notify_room(chardev, loop, &cancelled);
	chardev_cancel_room(chardev, &cancelled);
	loop_pump(loop);
	cr_expect_eq(n_room, 1u);
	while (got < sent) {
		got = read_pattern(got);
		loop_pump(loop);
	}
	cr_expect_eq(n_room, 2u);
}

Test(chardev_output, a_dead_reader_swallows_everything)
{
	struct event_post post = { .fn = room_fn };

	create(out[1]);
	write_until_full(0);
	chardev_notify_room(chardev, loop, &post);
	fd_close(&out[0]);
	loop_pump(loop);
	cr_expect_eq(n_room, 1u);
	for (unsigned i = 0; i < 1000; i++) {
		char buf[1000] = "";
		cr_assert_eq(chardev_write(chardev, buf, sizeof(buf)), sizeof(buf));
	}
	chardev_drain(chardev, 1000);
}

Test(chardev_output, without_a_descriptor_output_vanishes)
{
	create(FD_NONE);
	cr_expect_eq(chardev_write(chardev, "hello", 5), 5u);
	chardev_drain(chardev, 1000);
}

Test(chardev_output, a_file_takes_everything_at_once)
{
	char path[] = "/tmp/chardev_XXXXXX";
	int fd = mkstemp(path);
	static const uint8_t big[300000];

	cr_assert_geq(fd, 0);
	unlink(path);
	create(fd);
	cr_expect_eq(chardev_write(chardev, big, sizeof(big)), sizeof(big));
	cr_expect_eq(lseek(fd, 0, SEEK_END), (off_t)sizeof(big));
	close(fd);
}

static void *slow_reader(void *arg)
{
	size_t *got = arg;
	uint8_t buf[4096];
	ssize_t n;

	fcntl(out[0], F_SETFL, 0);
	usleep(20000);
	while ((n = read(out[0], buf, sizeof(buf))) > 0)
		*got += (size_t)n;
	return NULL;
}

Test(chardev_output, drain_waits_for_the_reader_but_not_for_ever)
{
	pthread_t thread;
	size_t got = 0;

	create(out[1]);
	size_t sent = write_until_full(0);
	chardev_drain(chardev, 30);
	cr_assert_eq(pthread_create(&thread, NULL, slow_reader, &got), 0);
	chardev_drain(chardev, 10000);
	chardev_destroy(chardev);
	chardev = NULL;
	fd_close(&out[1]);
	pthread_join(thread, NULL);
	cr_expect_eq(got, sent);
}

struct writer {
	uint8_t letter;
	pthread_t thread;
};

static void *writer_main(void *arg)
{
	const struct writer *writer = arg;
	uint8_t line[100];

	memset(line, writer->letter, sizeof(line));
	for (unsigned i = 0; i < 500; i++)
		for (size_t done = 0; done < sizeof(line);)
			done += chardev_write(chardev, line + done, sizeof(line) - done);
	return NULL;
}

Test(chardev_output, several_threads_may_write)
{
	struct writer writer[3] = { { .letter = 'a' }, { .letter = 'b' }, { .letter = 'c' } };
	unsigned count[256] = { 0 };

	create(out[1]);
	cr_assert_eq(event_loop_thread_start(loop), 0);
	fcntl(out[0], F_SETFL, 0);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&writer[i].thread, NULL, writer_main, &writer[i]), 0);
	for (size_t got = 0; got < 3 * 50000;) {
		uint8_t buf[4096];
		ssize_t n = read(out[0], buf, sizeof(buf));
		cr_assert_gt(n, 0);
		for (ssize_t i = 0; i < n; i++)
			count[buf[i]]++;
		got += (size_t)n;
	}
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(writer[i].thread, NULL);
		cr_expect_eq(count[writer[i].letter], 50000u);
	}
	event_loop_thread_stop(loop);
}
