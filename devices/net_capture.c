/*
 * The classic pcap format.  A frame is one writev(2) to a file opened for appending: the kernel
 * keeps the frames of several loops apart, there is no lock and nothing waits here to be written,
 * so that a Vireo that dies leaves all frames but none that is torn.
 *
 * The file format is draft-ietf-opsawg-pcap "PCAP Capture File Format".
 */
#include "devices/net_capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/iov.h"
#include "vmm/base/le.h"
#include "vmm/base/log.h"

enum {
	PIECES_MAX = 1024,		/* of one writev(2), the first for the record's head */
	FILE_HEAD_LEN = 24,
	RECORD_HEAD_LEN = 16,
	PCAP_SNAPLEN = 262144,
	PCAP_ETHERNET = 1,
};

static const uint32_t PCAP_MAGIC = 0xa1b2c3d4;	/* microseconds */

struct net_capture {
	int fd;
	atomic_bool has_ended;
	char *path;
};

static int write_file_head(int fd)
{
	uint8_t head[FILE_HEAD_LEN] = { 0 };

	store_le32(head, PCAP_MAGIC);
	store_le16(head + 4, 2);	/* version 2.4 */
	store_le16(head + 6, 4);
	store_le32(head + 16, PCAP_SNAPLEN);
	store_le32(head + 20, PCAP_ETHERNET);
	return fd_write_all(fd, head, sizeof(head));
}

/* Emptied only when it is certain that it is ours to empty. */
static int prepare_file(int fd, const char *path)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return error_set(errno, "capture packets to '%s'", path);
	if (!S_ISREG(st.st_mode)) {
		error_set(EINVAL, "capture packets to '%s': it is not a regular file", path);
		error_hint("a pipe or a device could make the guest wait; read a file while it "
			   "grows: tail -c +1 -f FILE | tcpdump -r -");
		return -EINVAL;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = error_set(errno, "capture packets to '%s': another interface does", path);
		error_hint("give each interface a file of its own");
		return r;
	}
	r = ftruncate(fd, 0) < 0 ? -errno : write_file_head(fd);
	return r < 0 ? error_set(r, "capture packets to '%s'", path) : 0;
}

int net_capture_create(struct net_capture **out, const char *path)
{
	struct net_capture *capture = calloc(1, sizeof(*capture));
	int r;

	*out = NULL;
	if (!capture)
		return error_set(ENOMEM, "capture packets to '%s'", path);
	capture->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0600);
	if (capture->fd < 0)
		r = error_set(errno, "capture packets to '%s'", path);
	else
		r = prepare_file(capture->fd, path);
	capture->path = r == 0 ? strdup(path) : NULL;
	if (r == 0 && !capture->path)
		r = error_set(ENOMEM, "capture packets to '%s'", path);
	if (r < 0) {
		net_capture_destroy(capture);
		return r;
	}
	*out = capture;
	return 0;
}

void net_capture_destroy(struct net_capture *capture)
{
	if (!capture)
		return;
	fd_close(&capture->fd);
	free(capture->path);
	free(capture);
}

static void end_capture(struct net_capture *capture, ssize_t written)
{
	const char *why = written < 0 ? strerror(errno) : "the file takes no more";

	if (!atomic_exchange(&capture->has_ended, true))
		log_warning("the packet capture to '%s' ends here: %s", capture->path, why);
}

void net_capture_frame(struct net_capture *capture, const struct iovec *iov, unsigned n,
		       size_t offset, size_t len)
{
	uint8_t head[RECORD_HEAD_LEN];
	struct iovec piece[PIECES_MAX];
	struct timespec now;
	ssize_t written;

	if (atomic_load_explicit(&capture->has_ended, memory_order_relaxed))
		return;
	piece[0] = (struct iovec){ head, sizeof(head) };
	unsigned n_pieces = iov_slice(piece + 1, iov, n < PIECES_MAX - 1 ? n : PIECES_MAX - 1,
				      offset, min_u64(len, PCAP_SNAPLEN));
	size_t kept = iov_len(piece + 1, n_pieces);
	clock_gettime(CLOCK_REALTIME, &now);
	store_le32(head, (uint32_t)now.tv_sec);
	store_le32(head + 4, (uint32_t)(now.tv_nsec / 1000));
	store_le32(head + 8, (uint32_t)kept);
	store_le32(head + 12, (uint32_t)len);
	do
		written = writev(capture->fd, piece, (int)n_pieces + 1);
	while (written < 0 && errno == EINTR);
	if (written != (ssize_t)(sizeof(head) + kept))
		end_capture(capture, written);
}
