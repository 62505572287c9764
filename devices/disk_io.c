/*
 * Moving bytes between a list of memory and a file.  A short count is not an error but a reason to
 * go on; only a file that ends (a count of 0) is, because the guest was told that it does not.
 */
#include "devices/disk_io.h"

#include <errno.h>
#include <unistd.h>

#include "vmm/base/iov.h"

unsigned disk_io_window(const struct disk_io *io, uint64_t done, struct iovec *window)
{
	uint64_t skip = io->iov_offset + done;
	uint64_t left = min_u64(io->len - done, DISK_PIECE);
	unsigned n = 0;

	for (unsigned i = 0; i < io->n_iov && n < DISK_WINDOW && left > 0; i++) {
		const struct iovec *iov = &io->iov[i];

		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			continue;
		}
		window[n].iov_base = (uint8_t *)iov->iov_base + skip;
		window[n].iov_len = min_u64(iov->iov_len - skip, left);
		left -= window[n++].iov_len;
		skip = 0;
	}
	return n;
}

bool disk_io_is_aligned(const struct disk_io *io, size_t align)
{
	struct iovec window[DISK_WINDOW];

	for (uint64_t done = 0; done < io->len;) {
		unsigned n = disk_io_window(io, done, window);

		for (unsigned i = 0; i < n; i++) {
			if (((uintptr_t)window[i].iov_base | window[i].iov_len) & (align - 1))
				return false;
			done += window[i].iov_len;
		}
	}
	return true;
}

bool disk_worker_is_cancelled(const struct disk_worker *worker)
{
	return worker->cancel && atomic_load_explicit(worker->cancel, memory_order_relaxed);
}

/* One system call's outcome: how far the operation got, or why it cannot go on. */
static int advance(ssize_t n, uint64_t *done)
{
	if (n > 0)
		*done += (uint64_t)n;
	else if (n == 0)
		return -EIO;
	else if (errno != EINTR && errno != EAGAIN)
		return -errno;
	return 0;
}

int disk_transfer(int fd, const struct disk_io *io, const struct disk_worker *worker)
{
	struct iovec window[DISK_WINDOW];
	uint64_t done = 0;
	int r = 0;

	while (r == 0 && done < io->len) {
		unsigned n = disk_io_window(io, done, window);
		off_t at = (off_t)(io->offset + done);

		if (disk_worker_is_cancelled(worker))
			return -ECANCELED;
		if (io->op == DISK_READ)
			r = advance(preadv(fd, window, (int)n, at), &done);
		else
			r = advance(pwritev2(fd, window, (int)n, at, io->stable ? RWF_DSYNC : 0),
				    &done);
	}
	return r;
}

/* Fill the bounce buffer from the file, then the memory from it. */
static int read_bounced(int fd, const struct disk_io *io, uint64_t done, size_t len,
			uint8_t *bounce)
{
	uint64_t got = 0;
	int r = 0;

	while (r == 0 && got < len)
		r = advance(pread(fd, bounce + got, len - got, (off_t)(io->offset + done + got)),
			    &got);
	if (r == 0)
		iov_write(io->iov, io->n_iov, io->iov_offset + done, bounce, len);
	return r;
}

static int write_bounced(int fd, const struct disk_io *io, uint64_t done, size_t len,
			 uint8_t *bounce)
{
	uint64_t put = 0;
	int r = 0;

	iov_read(io->iov, io->n_iov, io->iov_offset + done, bounce, len);
	while (r == 0 && put < len) {
		struct iovec piece = { bounce + put, len - put };

		r = advance(pwritev2(fd, &piece, 1, (off_t)(io->offset + done + put),
				     io->stable ? RWF_DSYNC : 0),
			    &put);
	}
	return r;
}

int disk_transfer_bounced(int fd, const struct disk_io *io, const struct disk_worker *worker)
{
	int r = 0;

	for (uint64_t done = 0; r == 0 && done < io->len;) {
		size_t len = min_u64(io->len - done, DISK_BOUNCE_SIZE);

		if (disk_worker_is_cancelled(worker))
			return -ECANCELED;
		if (io->op == DISK_READ)
			r = read_bounced(fd, io, done, len, worker->bounce);
		else
			r = write_bounced(fd, io, done, len, worker->bounce);
		done += len;
	}
	return r;
}

int disk_write_zeroes(int fd, uint64_t offset, uint64_t len, const struct disk_worker *worker)
{
	static const _Alignas(4096) uint8_t zero_page[4096];
	struct iovec iov[DISK_WINDOW];
	int r = 0;

	for (unsigned i = 0; i < DISK_WINDOW; i++)
		iov[i] = (struct iovec){ (void *)(uintptr_t)zero_page, sizeof(zero_page) };
	while (r == 0 && len > 0) {
		uint64_t part = min_u64(len, sizeof(zero_page) * DISK_WINDOW);
		struct disk_io io = {
			.op = DISK_WRITE,
			.offset = offset,
			.len = part,
			.iov = iov,
			.n_iov = DISK_WINDOW,
		};

		r = disk_transfer(fd, &io, worker);
		offset += part;
		len -= part;
	}
	return r;
}
