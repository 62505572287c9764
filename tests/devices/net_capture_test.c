/* What a capture file holds, and what becomes of it when it cannot be written. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "devices/net_capture.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum { FILE_HEAD = 24, RECORD_HEAD = 16 };

static char dir[] = "/tmp/vireo-capture-XXXXXX";
static char path[64];
static struct net_capture *capture;
static uint8_t file[1 << 20];

static void set_up(void)
{
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file.pcap", dir);
}

static void tear_down(void)
{
	net_capture_destroy(capture);
	unlink(path);
	rmdir(dir);
}

TestSuite(net_capture, .init = set_up, .fini = tear_down, .timeout = 20);

static size_t read_file(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, file, sizeof(file));

	fd_close(&fd);
	cr_assert_geq(n, 0);
	return (size_t)n;
}

static void capture_bytes(const void *bytes, size_t len)
{
	const struct iovec iov = { (void *)(uintptr_t)bytes, len };

	net_capture_frame(capture, &iov, 1, 0, len);
}

Test(net_capture, a_new_file_says_ethernet_and_microseconds)
{
	cr_assert_eq(net_capture_create(&capture, path), 0);
	cr_assert_eq(read_file(), FILE_HEAD);
	cr_expect_eq(load_le32(file), 0xa1b2c3d4u);
	cr_expect_eq(load_le16(file + 4), 2);
	cr_expect_eq(load_le16(file + 6), 4);
	cr_expect_eq(load_le32(file + 20), 1u);
}

Test(net_capture, a_frame_is_there_at_once_with_its_time_and_its_length)
{
	time_t before = time(NULL);

	cr_assert_eq(net_capture_create(&capture, path), 0);
	capture_bytes("0123456789abcdefgh", 18);
	cr_assert_eq(read_file(), FILE_HEAD + RECORD_HEAD + 18);
	cr_expect_geq(load_le32(file + FILE_HEAD), (uint32_t)before);
	cr_expect_lt(load_le32(file + FILE_HEAD + 4), 1000000u);
	cr_expect_eq(load_le32(file + FILE_HEAD + 8), 18u);
	cr_expect_eq(load_le32(file + FILE_HEAD + 12), 18u);
	cr_expect_arr_eq(file + FILE_HEAD + RECORD_HEAD, "0123456789abcdefgh", 18);
}

Test(net_capture, a_frame_in_pieces_is_one_frame_from_its_offset_on)
{
	char bytes[] = "xx012345yyy";
	struct iovec iov[] = { { bytes, 3 }, { NULL, 0 }, { bytes + 3, 2 }, { bytes + 5, 6 } };

	cr_assert_eq(net_capture_create(&capture, path), 0);
	net_capture_frame(capture, iov, 4, 2, 6);
	cr_assert_eq(read_file(), FILE_HEAD + RECORD_HEAD + 6);
	cr_expect_arr_eq(file + FILE_HEAD + RECORD_HEAD, "012345", 6);
}

/* More pieces than one system call takes: what is left out is known as left out. */
Test(net_capture, a_frame_in_too_many_pieces_is_cut_and_says_so)
{
	static struct iovec iov[2000];
	char byte = 'z';

	for (unsigned i = 0; i < ARRAY_SIZE(iov); i++)
		iov[i] = (struct iovec){ &byte, 1 };
	cr_assert_eq(net_capture_create(&capture, path), 0);
	net_capture_frame(capture, iov, ARRAY_SIZE(iov), 0, ARRAY_SIZE(iov));
	capture_bytes("next", 4);
	cr_assert_eq(read_file(), FILE_HEAD + RECORD_HEAD + 1023 + RECORD_HEAD + 4);
	cr_expect_eq(load_le32(file + FILE_HEAD + 8), 1023u);
	cr_expect_eq(load_le32(file + FILE_HEAD + 12), 2000u);
}

static void *write_frames(void *arg)
{
	uint8_t frame[200];

	memset(frame, *(const char *)arg, sizeof(frame));
	for (unsigned i = 0; i < 1000; i++)
		capture_bytes(frame, 60 + i % 140);
	return NULL;
}

Test(net_capture, frames_of_several_loops_do_not_mix)
{
	pthread_t thread[2];
	char letters[] = "ab";
	size_t len, at = FILE_HEAD, n = 0;

	cr_assert_eq(net_capture_create(&capture, path), 0);
	pthread_create(&thread[0], NULL, write_frames, &letters[0]);
	pthread_create(&thread[1], NULL, write_frames, &letters[1]);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	for (len = read_file(); at < len; n++) {
		size_t frame_len = load_le32(file + at + 8);
		const uint8_t *frame = file + at + RECORD_HEAD;

		cr_assert(range_inside(at + RECORD_HEAD, frame_len, len));
		for (size_t i = 1; i < frame_len; i++)
			cr_assert_eq(frame[i], frame[0]);
		at += RECORD_HEAD + frame_len;
	}
	cr_expect_eq(n, 2000u);
}

Test(net_capture, a_full_disk_ends_the_capture_and_nothing_else)
{
	const struct rlimit limit = { FILE_HEAD + 100, RLIM_INFINITY };
	uint8_t frame[60] = { 0 };

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(net_capture_create(&capture, path), 0);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (unsigned i = 0; i < 10; i++)
		capture_bytes(frame, sizeof(frame));
	cr_expect_eq(read_file(), FILE_HEAD + 100u);
	/* It does not begin again when there is room: what comes then would be out of place. */
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY }), 0);
	capture_bytes(frame, sizeof(frame));
	cr_expect_eq(read_file(), FILE_HEAD + 100u);
}

Test(net_capture, what_can_block_and_what_is_in_use_is_refused_and_left_alone)
{
	struct net_capture *other;

	cr_expect_eq(net_capture_create(&other, "/dev/null"), -EINVAL);
	cr_expect(strstr(error_text(), "/dev/null"));
	cr_expect_eq(net_capture_create(&other, "/nonexistent/file"), -ENOENT);
	cr_expect_eq(net_capture_create(&other, dir), -EISDIR);

	cr_assert_eq(net_capture_create(&capture, path), 0);
	capture_bytes("0123456789abcdef", 16);
	cr_expect_eq(net_capture_create(&other, path), -EWOULDBLOCK);
	cr_expect_null(other);
	cr_expect_eq(read_file(), FILE_HEAD + RECORD_HEAD + 16);
	error_clear();
	net_capture_destroy(capture);
	cr_assert_eq(net_capture_create(&capture, path), 0);
	cr_expect_eq(read_file(), FILE_HEAD);
}
