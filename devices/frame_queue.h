/* Frames that wait, in a ring of bytes of a fixed size: what does not fit is not taken. */
#ifndef DEVICES_FRAME_QUEUE_H
#define DEVICES_FRAME_QUEUE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "vmm/base/util.h"

struct frame_queue {
	uint8_t *ring;
	size_t size, head, used;	/* bytes */
};

/* 'size' bytes, each frame takes 4 more than it has.  Returns 0 or -ENOMEM.  Owner thread. */
MUST_USE int frame_queue_init(struct frame_queue *queue, size_t size);
void frame_queue_fini(struct frame_queue *queue);

/* Returns false if there is no room. */
MUST_USE bool frame_queue_push(struct frame_queue *queue, const void *frame, size_t len);

/*
 * Take the oldest frame out, to 'offset' of 'iov'.  Returns its length; 0: there is none;
 * -EMSGSIZE: it did not fit and is lost.
 */
ssize_t frame_queue_pop(struct frame_queue *queue, const struct iovec *iov, unsigned n,
			size_t offset);

void frame_queue_clear(struct frame_queue *queue);

#endif
