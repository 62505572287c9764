/*
 * A descriptor chain, judged and mapped: two lists of iovecs in which no guest address is left.
 * Each descriptor is copied out of guest memory once and the copy is judged (chain.c); after that
 * the guest can change its memory as it likes.
 */
#ifndef VIRTIO_CHAIN_H
#define VIRTIO_CHAIN_H

#include <sys/uio.h>

#include "vmm/base/util.h"

struct chain {
	uint16_t head;		/* identifies the chain until it is pushed back */
	uint16_t n_out, n_in;
	struct iovec *out;	/* driver wrote, device reads; n_out entries */
	struct iovec *in;	/* device writes; n_in entries, right behind 'out' */
	size_t out_len, in_len;	/* bytes; at most 2^32 - 1 together */
};

#endif
