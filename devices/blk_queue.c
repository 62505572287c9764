/*
 * Serving a queue.  A single read that the page cache can answer is done on the spot, which costs
 * one system call and no completion; everything else goes to the engine, and one kick begins all of
 * it.
 */
#include "devices/blk_queue.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "vmm/base/error.h"
#include "vmm/base/iov.h"

enum {
	/* After this many reads in a row that were not cached, trying is left out for a while. */
	MISSES_MAX = 4,
	SKIP_AFTER_MISSES = 64,
	/* Answers are published after each turn: in turns, driver and device work side by side. */
	MAX_CHAINS_PER_TURN = 32,
	/* Copying takes time even if nothing waits: what one turn may move. */
	MAX_BYTES_PER_TURN = 8 << 20,
};

struct blk_slot {
	struct disk_io io;
	struct blk_queue *bq;
	uint8_t *status;
	uint32_t data_len;		/* bytes read into the chain if all goes well */
	uint16_t head;
	uint8_t n_segments, next_segment;
};

static size_t slots_len(unsigned size)
{
	return size * sizeof(struct blk_slot);
}

static size_t segments_len(unsigned size)
{
	return (size_t)size * BLK_MAX_SEGMENTS * sizeof(struct blk_segment);
}

static void *map_lazily(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int blk_queue_start(struct blk_queue *bq, unsigned size)
{
	bq->size = size;
	bq->misses = 0;
	bq->skip = 0;
	bq->slot = map_lazily(slots_len(size));
	bq->segment = map_lazily(segments_len(size));
	if (!bq->slot || !bq->segment) {
		blk_queue_stop(bq);
		return error_set(ENOMEM, "allocate %u request slots", size);
	}
	return 0;
}

void blk_queue_stop(struct blk_queue *bq)
{
	if (bq->slot)
		munmap(bq->slot, slots_len(bq->size));
	if (bq->segment)
		munmap(bq->segment, segments_len(bq->size));
	bq->slot = NULL;
	bq->segment = NULL;
}

int blk_queue_attach(struct blk_queue *bq, struct virtqueue *vq, struct event_loop *loop)
{
	int r = bq->engine->ops->start(bq->engine, loop);

	if (r == 0)
		bq->vq = vq;
	return r;
}

void blk_queue_detach(struct blk_queue *bq)
{
	if (!bq->vq)
		return;
	bq->engine->ops->stop(bq->engine);
	bq->vq = NULL;
}

/* The status byte comes last: a driver that sees it may rely on the data. */
static void answer(struct blk_queue *bq, uint16_t head, uint8_t *status_byte,
		   enum blk_status status, uint32_t data_len)
{
	atomic_thread_fence(memory_order_release);
	*(volatile uint8_t *)status_byte = (uint8_t)status;
	virtqueue_push(bq->vq, head, status == BLK_S_OK ? data_len + 1 : 1);
}

static const char *op_name(enum disk_op op)
{
	static const char *const name[] = {
		[DISK_READ] = "read",	      [DISK_WRITE] = "write", [DISK_FLUSH] = "flush",
		[DISK_DISCARD] = "discard",   [DISK_ZERO] = "write zeroes",
	};
	return name[op];
}

static void submit(struct blk_queue *bq, struct disk_io *io)
{
	bq->in_batch = true;
	bq->engine->ops->submit(bq->engine, io);
}

static bool begin_next_segment(struct blk_slot *slot)
{
	struct blk_queue *bq = slot->bq;
	struct blk_segment *segment = bq->segment + (size_t)slot->head * BLK_MAX_SEGMENTS;

	/* A segment of no sectors is allowed and asks for nothing. */
	while (slot->next_segment < slot->n_segments && segment[slot->next_segment].len == 0)
		slot->next_segment++;
	if (slot->next_segment == slot->n_segments)
		return false;
	segment += slot->next_segment++;
	slot->io.offset = segment->offset;
	slot->io.len = segment->len;
	slot->io.may_unmap = segment->unmap;
	submit(bq, &slot->io);
	return true;
}

static void on_complete(void *owner, struct disk_io *io)
{
	struct blk_queue *bq = owner;
	struct blk_slot *slot = container_of(io, struct blk_slot, io);
	enum blk_status status = BLK_S_OK;

	if (io->result < 0) {
		status = BLK_S_IOERR;
		log_guest(&bq->shared->log, LOG_WARNING,
			  "%s: %s of %" PRIu64 " bytes at %" PRIu64 " failed: %s", bq->shared->name,
			  op_name(io->op), io->len, io->offset, error_name(-io->result));
	} else if (begin_next_segment(slot)) {
		return;
	}
	answer(bq, slot->head, slot->status, status, slot->data_len);
}

static void on_completed(void *owner)
{
	struct blk_queue *bq = owner;

	virtqueue_flush(bq->vq);
}

struct disk_client blk_queue_client(struct blk_queue *bq)
{
	return (struct disk_client){
		.complete = on_complete,
		.completed = on_completed,
		.owner = bq,
	};
}

/*
 * Try to have a read answered from the page cache.  Not where an engine does that for many at the
 * cost of one.  Where the cache is cold each attempt is a wasted system call, so misses in a row
 * switch the attempts off for a while.
 */
static bool read_at_once(struct blk_queue *bq, const struct disk_io *io)
{
	struct disk *disk = bq->shared->disk;

	if (bq->engine->ops->batches && (bq->in_batch || virtqueue_has_work(bq->vq)))
		return false;
	if (bq->skip > 0) {
		bq->skip--;
		return false;
	}
	if (disk->ops->read_now(disk, io) == 0) {
		bq->misses = 0;
		return true;
	}
	if (++bq->misses >= MISSES_MAX)
		bq->skip = SKIP_AFTER_MISSES;
	return false;
}

static void carry_out(struct blk_queue *bq, const struct blk_request *req, uint16_t head)
{
	static const enum disk_op op[] = {
		[BLK_T_IN] = DISK_READ,
		[BLK_T_OUT] = DISK_WRITE,
		[BLK_T_FLUSH] = DISK_FLUSH,
		[BLK_T_DISCARD] = DISK_DISCARD,
		[BLK_T_WRITE_ZEROES] = DISK_ZERO,
	};
	struct blk_slot *slot = &bq->slot[head];

	*slot = (struct blk_slot){
		.io = {
			.op = op[req->type],
			.stable = atomic_load_explicit(&bq->shared->writethrough,
						       memory_order_acquire),
			.offset = req->offset,
			.len = req->len,
			.iov = req->iov,
			.n_iov = req->n_iov,
		},
		.bq = bq,
		.status = req->status,
		.data_len = req->type == BLK_T_IN ? (uint32_t)req->len : 0,
		.head = head,
		.n_segments = (uint8_t)req->n_segments,
	};
	if (req->n_segments > 0) {
		if (!begin_next_segment(slot))
			answer(bq, head, slot->status, BLK_S_OK, 0);
	} else if (req->type == BLK_T_IN && read_at_once(bq, &slot->io)) {
		answer(bq, head, slot->status, BLK_S_OK, slot->data_len);
	} else {
		submit(bq, &slot->io);
	}
}

/* Returns how many bytes the request moves. */
static uint64_t serve_chain(struct blk_queue *bq, struct chain *c)
{
	struct blk_segment *segment = bq->segment + (size_t)c->head * BLK_MAX_SEGMENTS;
	struct blk_shared *shared = bq->shared;
	struct blk_request req;
	enum blk_status status;
	size_t n;

	switch (blk_request_parse(&req, c, &shared->limits, segment, &status)) {
	case BLK_VOID:
		virtqueue_push(bq->vq, c->head, 0);
		return 0;
	case BLK_ANSWER:
		answer(bq, c->head, req.status, status, 0);
		return 0;
	case BLK_GO:
		break;
	}
	if (req.type == BLK_T_GET_ID) {
		n = iov_write(req.iov, req.n_iov, 0, shared->id, BLK_ID_LEN);
		answer(bq, c->head, req.status, BLK_S_OK, (uint32_t)n);
	} else {
		carry_out(bq, &req, c->head);
	}
	return req.len;
}

void blk_queue_serve(struct blk_queue *bq)
{
	struct chain c;
	uint64_t bytes = 0;

	bq->in_batch = false;
	for (unsigned n = 0; n < MAX_CHAINS_PER_TURN && bytes < MAX_BYTES_PER_TURN; n++) {
		if (virtqueue_pop(bq->vq, &c) != VQ_CHAIN)
			break;
		bytes += serve_chain(bq, &c);
	}
	if (bq->in_batch)
		bq->engine->ops->kick(bq->engine);
}
