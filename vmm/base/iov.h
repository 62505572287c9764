/*
 * Arithmetic on iovec lists.  A chain's readable and writable parts are byte streams to the devices
 * (framing is arbitrary, virtio-v1.4 2.7.4 "Message Framing"); these functions treat them so.
 */
#ifndef BASE_IOV_H
#define BASE_IOV_H

#include <sys/uio.h>

#include "vmm/base/util.h"

/* The sum of all lengths. */
size_t iov_len(const struct iovec *iov, unsigned n);

/* Copy 'len' bytes at 'offset' of the stream into 'buf'.  Returns how many there were. */
size_t iov_read(const struct iovec *iov, unsigned n, size_t offset, void *buf, size_t len);

/* Copy 'len' bytes of 'buf' to 'offset' of the stream.  Returns how many fitted. */
size_t iov_write(const struct iovec *iov, unsigned n, size_t offset, const void *buf, size_t len);

/* Fill 'len' bytes at 'offset' with 'byte'.  Returns how many fitted. */
size_t iov_fill(const struct iovec *iov, unsigned n, size_t offset, int byte, size_t len);

/*
 * Append 'len' bytes at 'base' to a list of 'n' entries that has room for one more; returns how
 * many it has then.  What begins where the last entry ends, as buffers of drivers often do, becomes
 * part of that: the host's kernel takes its time for each entry.
 */
static inline unsigned iov_add(struct iovec *iov, unsigned n, void *base, size_t len)
{
	if (n > 0 && (char *)iov[n - 1].iov_base + iov[n - 1].iov_len == base)
		iov[--n].iov_len += len;
	else
		iov[n] = (struct iovec){ .iov_base = base, .iov_len = len };
	return n + 1;
}

/*
 * Build in 'out' (room for 'n' entries) the part [offset, offset + len) of the stream, as iov_add()
 * does.
 *
 * Returns the number of entries used; the part is shorter when the stream ends first.
 */
unsigned iov_slice(struct iovec *out, const struct iovec *iov, unsigned n, size_t offset,
		   size_t len);

#endif
