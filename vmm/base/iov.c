#include "vmm/base/iov.h"

#include <string.h>

size_t iov_len(const struct iovec *iov, unsigned n)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

/* One step of a walk: the next piece of the stream at '*offset', at most '*len' bytes. */
static size_t next_piece(const struct iovec *iov, size_t *offset, size_t len, char **piece)
{
	if (*offset >= iov->iov_len) {
		*offset -= iov->iov_len;
		return 0;
	}
	*piece = (char *)iov->iov_base + *offset;
	size_t n = min_u64(iov->iov_len - *offset, len);
	*offset = 0;
	return n;
}

size_t iov_read(const struct iovec *iov, unsigned n, size_t offset, void *buf, size_t len)
{
	size_t done = 0;
	char *piece;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t part = next_piece(&iov[i], &offset, len - done, &piece);
		if (part)
			memcpy((char *)buf + done, piece, part);
		done += part;
	}
	return done;
}

size_t iov_write(const struct iovec *iov, unsigned n, size_t offset, const void *buf, size_t len)
{
	size_t done = 0;
	char *piece;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t part = next_piece(&iov[i], &offset, len - done, &piece);
		if (part)
			memcpy(piece, (const char *)buf + done, part);
		done += part;
	}
	return done;
}

size_t iov_fill(const struct iovec *iov, unsigned n, size_t offset, int byte, size_t len)
{
	size_t done = 0;
	char *piece;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t part = next_piece(&iov[i], &offset, len - done, &piece);
		if (part)
			memset(piece, byte, part);
		done += part;
	}
	return done;
}

unsigned iov_slice(struct iovec *out, const struct iovec *iov, unsigned n, size_t offset,
		   size_t len)
{
	unsigned used = 0;
	char *piece;

	for (unsigned i = 0; i < n && len > 0; i++) {
		size_t part = next_piece(&iov[i], &offset, len, &piece);
		if (part == 0)
			continue;
		used = iov_add(out, used, piece, part);
		len -= part;
	}
	return used;
}
