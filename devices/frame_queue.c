#include "devices/frame_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/iov.h"
#include "vmm/base/le.h"

enum { LENGTH_SIZE = 4 };

int frame_queue_init(struct frame_queue *queue, size_t size)
{
	*queue = (struct frame_queue){ .ring = malloc(size), .size = size };
	return queue->ring ? 0 : -ENOMEM;
}

void frame_queue_fini(struct frame_queue *queue)
{
	free(queue->ring);
	*queue = (struct frame_queue){ 0 };
}

static void put(struct frame_queue *queue, const void *bytes, size_t len)
{
	size_t at = (queue->head + queue->used) % queue->size;
	size_t first = min_u64(len, queue->size - at);

	memcpy(queue->ring + at, bytes, first);
	memcpy(queue->ring, (const uint8_t *)bytes + first, len - first);
	queue->used += len;
}

bool frame_queue_push(struct frame_queue *queue, const void *frame, size_t len)
{
	uint8_t length[LENGTH_SIZE];

	if (!range_inside(queue->used + LENGTH_SIZE, len, queue->size))
		return false;
	store_le32(length, (uint32_t)len);
	put(queue, length, sizeof(length));
	put(queue, frame, len);
	return true;
}

/* The next 'len' bytes, in one or two parts. */
static size_t take(struct frame_queue *queue, const struct iovec *iov, unsigned n, size_t offset,
		   size_t len)
{
	size_t first = min_u64(len, queue->size - queue->head);
	size_t done = iov_write(iov, n, offset, queue->ring + queue->head, first);

	if (len > first)
		done += iov_write(iov, n, offset + first, queue->ring, len - first);
	queue->head = (queue->head + len) % queue->size;
	queue->used -= len;
	return done;
}

ssize_t frame_queue_pop(struct frame_queue *queue, const struct iovec *iov, unsigned n,
			size_t offset)
{
	uint8_t length[LENGTH_SIZE];
	const struct iovec to_length = { length, sizeof(length) };

	if (queue->used == 0)
		return 0;
	take(queue, &to_length, 1, 0, sizeof(length));
	size_t len = load_le32(length);
	return take(queue, iov, n, offset, len) == len ? (ssize_t)len : -EMSGSIZE;
}

void frame_queue_clear(struct frame_queue *queue)
{
	queue->head = 0;
	queue->used = 0;
}
