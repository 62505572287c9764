/*
 * The balloon's queues, on their loop: what a request means depends on the queue's role.  Work per
 * turn is bounded, however long a request is: it goes on in the next turn.  Every buffer comes back
 * with length 0, as nothing is ever written to one.
 *
 * virtio-v1.4 5.5.6 "Device Operation"
 */
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "devices/balloon_device.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/iov.h"
#include "vmm/base/le.h"
#include "vmm/base/log.h"

enum {
	MAX_CHAINS_PER_TURN = 64,
	MAX_FRAMES_PER_TURN = 256,	/* each may be a system call */
	MAX_PIECES_PER_TURN = 64,	/* likewise */
	PIECE = 2 << 20,		/* how much of a buffer is discarded at once */
};

struct turn {
	struct virtio_balloon *b;
	struct balloon_queue *bq;
	unsigned chains, frames, pieces;	/* how many may still be done */
};

/*
 * Page frames, le32 each; also from a legacy driver, on x86.  Returns false if the turn is over
 * first.  What is left of less than a frame is ignored.
 */
static bool inflate(struct turn *turn)
{
	struct balloon_queue *bq = turn->bq;
	const struct chain *c = &bq->chain;
	uint8_t raw[MAX_FRAMES_PER_TURN][4];
	uint32_t frame[MAX_FRAMES_PER_TURN];
	size_t left = (c->out_len - bq->offset) / sizeof(raw[0]);
	unsigned n = (unsigned)min_u64(left, turn->frames);

	iov_read(c->out, c->n_out, bq->offset, raw, n * sizeof(raw[0]));
	for (unsigned i = 0; i < n; i++)
		frame[i] = load_le32(raw[i]);
	balloon_discard_frames(&turn->b->discard, frame, n);
	bq->offset += n * sizeof(raw[0]);
	turn->frames -= n;
	return n == left;
}

/*
 * May a reported page read zero from now on?  virtio-v1.4 5.5.6.7.2 "Device Requirements: Free Page
 * Reporting": with PAGE_POISON only if that is what it is filled with.
 */
static bool may_be_zeroed(struct virtio_balloon *b)
{
	return !b->poison_accepted || atomic_load(&b->poison) == 0;
}

/* Writable buffers are free pages.  Returns false if the turn is over first. */
static bool report(struct turn *turn)
{
	struct balloon_queue *bq = turn->bq;
	const struct chain *c = &bq->chain;

	if (!may_be_zeroed(turn->b))
		return true;
	while (bq->iov < c->n_in) {
		const struct iovec *iov = &c->in[bq->iov];
		uintptr_t at = (uintptr_t)iov->iov_base + bq->offset;
		size_t piece = min_u64(iov->iov_len - bq->offset, PIECE - at % PIECE);

		if (turn->pieces == 0)
			return false;
		turn->pieces--;
		balloon_discard_buffer(&turn->b->discard, (const void *)at, piece);
		bq->offset += piece;
		if (bq->offset == iov->iov_len) {
			bq->iov++;
			bq->offset = 0;
		}
	}
	return true;
}

/* Readable: a command id.  Writable: free pages, which are only counted (balloon_hints.h). */
static void hint(struct virtio_balloon *b, const struct chain *c)
{
	uint8_t id[4];

	/* An id is le32; also from a legacy driver, on x86. */
	if (c->out_len == sizeof(id)) {
		iov_read(c->out, c->n_out, 0, id, sizeof(id));
		if (balloon_hints_command(&b->hints, load_le32(id)))
			event_loop_post(b->dev.machine->main_loop, &b->hints_post);
	}
	for (unsigned i = 0; i < c->n_in; i++)
		balloon_hints_page(&b->hints, (uintptr_t)c->in[i].iov_base, c->in[i].iov_len);
}

/* Returns false if the request needs another turn. */
static bool serve(struct turn *turn, enum balloon_role role)
{
	switch (role) {
	case BALLOON_INFLATE:
		return inflate(turn);
	case BALLOON_REPORTING:
		return report(turn);
	case BALLOON_HINTING:
		hint(turn->b, &turn->bq->chain);
		return true;
	case BALLOON_DEFLATE:
		/* What the guest takes back is there when it touches it. */
	case BALLOON_STATS:
	case BALLOON_INERT:
		break;
	}
	return true;
}

/* Returns false when there is nothing to do. */
static bool take_chain(struct turn *turn, struct virtqueue *q)
{
	struct balloon_queue *bq = turn->bq;

	if (bq->busy)
		return true;
	if (virtqueue_pop(q, &bq->chain) != VQ_CHAIN)
		return false;
	bq->busy = true;
	bq->offset = 0;
	bq->iov = 0;
	return true;
}

static void handle_requests(struct virtio_balloon *b, unsigned index, struct virtqueue *q)
{
	struct turn turn = {
		.b = b,
		.bq = &b->queue[index],
		.chains = MAX_CHAINS_PER_TURN,
		.frames = MAX_FRAMES_PER_TURN,
		.pieces = MAX_PIECES_PER_TURN,
	};

	while (turn.chains-- > 0) {
		if (!take_chain(&turn, q))
			return;
		if (!serve(&turn, b->role[index]))
			break;
		turn.bq->busy = false;
		virtqueue_push(q, turn.bq->chain.head, 0);
	}
	local_queue_resume(b->datapath, index);
}

/* --- Statistics ------------------------------------------------------------------------------ */

static void learn(struct virtio_balloon *b, const struct chain *c)
{
	struct balloon_stats stats = { 0 };
	char text[BALLOON_STATS_TEXT];

	balloon_stats_parse(&stats, c->out, c->n_out, c->out_len);
	balloon_stats_put(&b->stats, &stats);
	/* As often as the host asks, not as often as the guest likes. */
	if (b->poll.asked && log_wants(LOG_INFO))
		log_info("%s: %s", b->dev.name, balloon_stats_text(&stats, text));
}

/* A second buffer waits in the ring behind the one that is held. */
static void handle_stats(struct virtio_balloon *b, struct virtqueue *q)
{
	struct chain c;

	if (b->poll.held || virtqueue_pop(q, &c) != VQ_CHAIN)
		return;
	if (!b->poll.skip)
		learn(b, &c);
	b->poll.skip = false;
	b->poll.asked = false;
	b->poll.held = true;
	virtqueue_unpop(q, &c);
}

void balloon_poll_due(struct event_source *source, uint32_t events)
{
	struct balloon_poll *poll = container_of(source, struct balloon_poll, timer);
	struct virtio_balloon *b = container_of(poll, struct virtio_balloon, poll);
	struct chain c;

	(void)events;
	if (!fd_drain(source->fd) || !poll->held || virtqueue_pop(poll->q, &c) != VQ_CHAIN)
		return;
	poll->held = false;
	poll->asked = true;
	virtqueue_push(poll->q, c.head, 0);
	virtqueue_flush(poll->q);
	local_queue_resume(b->datapath, poll->index);
}

static struct timespec period(const struct balloon_poll *poll)
{
	return (struct timespec){
		.tv_sec = (time_t)(poll->period_ms / 1000),
		.tv_nsec = (long)(poll->period_ms % 1000) * 1000000,
	};
}

/* 'first' of all zero stops it. */
static void set_timer(struct balloon_poll *poll, struct timespec first)
{
	const struct itimerspec when = { .it_value = first, .it_interval = period(poll) };

	/* Fails for values that are none, only. */
	(void)!timerfd_settime(poll->timer.fd, 0, &when, NULL);
}

void balloon_poll_now(struct balloon_poll *poll)
{
	set_timer(poll, (struct timespec){ .tv_nsec = 1 });
}

static void start_poll(struct virtio_balloon *b, unsigned index, struct virtqueue *q)
{
	struct balloon_poll *poll = &b->poll;

	poll->q = q;
	poll->index = index;
	poll->held = false;
	poll->asked = false;
	set_timer(poll, period(poll));
	if (event_loop_add(b->loop, &poll->timer, EPOLLIN) < 0) {
		log_warning("%s: statistics are not asked for: %s", b->dev.name, error_text());
		error_clear();
	}
}

static void stop_poll(struct balloon_poll *poll)
{
	set_timer(poll, (struct timespec){ 0 });
	event_loop_remove(&poll->timer);
	poll->q = NULL;
	poll->held = false;
}

/* --- Queues ---------------------------------------------------------------------------------- */

void balloon_queue_start(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_balloon *b = model;

	b->queue[index].busy = false;
	if (b->role[index] == BALLOON_STATS)
		start_poll(b, index, q);
}

void balloon_queue_handle(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_balloon *b = model;

	if (b->role[index] == BALLOON_STATS)
		handle_stats(b, q);
	else
		handle_requests(b, index, q);
}

void balloon_queue_stop(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_balloon *b = model;

	(void)q;
	b->queue[index].busy = false;
	if (b->role[index] == BALLOON_STATS)
		stop_poll(&b->poll);
}
