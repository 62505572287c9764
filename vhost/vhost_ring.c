/* One ring of a vhost node: how it is described to the kernel, watched, and taken back. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "vhost/vhost_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"
#include "vmm/base/log.h"

/* --- what the loop does ---------------------------------------------------------------------- */

/*
 * The kernel found the ring broken.  Once: what it finds with each kick from now on is the same.
 * Where that may be about a request only, somebody looks more closely.
 */
static void on_err(struct event_source *source, uint32_t events)
{
	struct vhost_ring *ring = container_of(source, struct vhost_ring, err);
	const struct vhost *v = ring->vhost;

	(void)events;
	if (!fd_drain(source->fd))
		return;
	if (v->type->doubt) {
		if (!ring->doubted)
			log_info("%s: the kernel finds fault with a request or the ring of queue "
				 "%u", v->name, ring->device_index);
		ring->doubted = true;
		v->type->doubt(ring);
		return;
	}
	event_loop_remove(source);
	if (v->fail)
		v->fail(v->fail_arg, ring->device_index, "vhost finds the ring broken");
}

static void forward_call(const struct vhost_ring *ring)
{
	atomic_fetch_or(ring->call.isr, ring->call.isr_bits);
	fd_signal(ring->call.fd);
}

static void on_relay(struct event_source *source, uint32_t events)
{
	const struct vhost_ring *ring = container_of(source, struct vhost_ring, relay);

	(void)events;
	if (fd_drain(source->fd))
		forward_call(ring);
}

struct watch_call {
	struct vhost_ring *ring;
	int r;
	struct error_chain chain;
};

static void watch(void *arg)
{
	struct watch_call *call = arg;
	struct vhost_ring *ring = call->ring;
	struct event_loop *loop = ring->vhost->loop;

	call->r = event_loop_add(loop, &ring->err, EPOLLIN);
	if (call->r == 0 && ring->call.isr)
		call->r = event_loop_add(loop, &ring->relay, EPOLLIN);
	if (call->r < 0) {
		event_loop_remove(&ring->err);
		error_save(&call->chain);
	}
}

/* The kernel signals neither any more: what came last still counts. */
static void unwatch(void *arg)
{
	struct vhost_ring *ring = arg;

	event_loop_remove(&ring->err);
	event_loop_remove(&ring->relay);
	ring->doubted = false;
	fd_drain(ring->err_fd);
	if (fd_drain(ring->relay_fd) && ring->call.isr)
		forward_call(ring);
}

/* --- where it is ----------------------------------------------------------------------------- */

/* One area.  For vhost it is where it is in this process, or (N16) for the device. */
static int place(struct vhost_ring *ring, uint64_t *out, const char *name, struct dma_hold *hold,
		 uint64_t addr, uint64_t len, uint64_t align, enum dma_dir dir)
{
	struct vhost *v = ring->vhost;

	if (addr % align != 0)
		return error_set(EINVAL, "%s at 0x%llx is not aligned to %llu", name,
				 (unsigned long long)addr, (unsigned long long)align);
	void *p = dma_hold(v->dma, addr, len, dir, hold);

	if (!p)
		return error_set(EINVAL, "%s at 0x%llx, %llu bytes, is not %s", name,
				 (unsigned long long)addr, (unsigned long long)len,
				 v->terms.translates ? "mapped by its IOMMU, or not to one piece" :
						       "in memory");
	*out = v->terms.translates ? addr : (uintptr_t)p;
	return v->terms.translates ? vhost_iotlb_tell(&v->iotlb, addr, len) : 0;
}

static void release_areas(struct vhost_ring *ring)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ring->hold); i++)
		dma_release(&ring->hold[i]);
}

/*
 * virtio-v1.4 2.7 "Split Virtqueues", 2.8.10 "Event Suppression Structure Format": the lengths of
 * the three areas, as in virtio/split.c and packed.c.
 */
static int judge_areas(struct vhost_ring *ring, const struct datapath_queue *dq)
{
	const struct vhost *v = ring->vhost;
	uint64_t avail_len = v->packed ? 4 : 6 + 2 * (uint64_t)dq->size;
	uint64_t used_len = v->packed ? 4 : 6 + 8 * (uint64_t)dq->size;
	struct vhost_ring_addr a = { .used_gpa = dq->device };
	int r = place(ring, &a.desc, "descriptor table", &ring->hold[0], dq->desc,
		      16 * (uint64_t)dq->size, 16, v->packed ? DMA_BOTH : DMA_TO_DEVICE);

	if (r == 0)
		r = place(ring, &a.avail, "available ring", &ring->hold[1], dq->driver, avail_len,
			  v->packed ? 4 : 2, DMA_TO_DEVICE);
	if (r == 0)
		r = place(ring, &a.used, "used ring", &ring->hold[2], dq->device, used_len, 4,
			  DMA_FROM_DEVICE);
	ring->addr = a;
	return r;
}

/*
 * Where it begins.  Split: the available index; the used one is what the ring says.  Packed: both
 * slots, each with its wrap counter in bit 15, the used one above.
 */
static uint32_t base_of(const struct vhost *v, const struct datapath_queue *dq)
{
	struct virtqueue_position at = dq->position;

	if (!dq->resume)
		at.avail = at.used = v->packed ? 0x8000 : 0;
	return v->packed ? at.avail | (uint32_t)at.used << 16 : at.avail;
}

/*
 * Where it stands.  A ring that was quiesced has nothing in flight, and a split one's two indexes
 * are the same then.  Unless the kernel lost buffers: vhost-net forgets those that it could not
 * send. Then nobody can go on as if they had been used.
 */
static bool find_position(struct vhost_ring *ring, uint32_t base)
{
	const struct vhost *v = ring->vhost;
	uint16_t avail = (uint16_t)base;

	ring->position = (struct virtqueue_position){
		.avail = avail,
		.used = v->packed ? (uint16_t)(base >> 16) : avail,
	};
	if (v->packed)
		return true;
	/* virtio-v1.4 2.7.8 "The Virtqueue Used Ring": the index is behind the flags. */
	const uint8_t *used = ring->hold[2].host;

	return !used || load_le16(used + 2) == avail;
}

/* --- up and down ----------------------------------------------------------------------------- */

static int step(const struct vhost_ring *ring, int r, const char *what)
{
	return r < 0 ? error_set(r, "%s: %s of ring %u", ring->vhost->name, what, ring->index) : 0;
}

int vhost_ring_set_addr(struct vhost_ring *ring, bool log)
{
	struct vhost_node *node = ring->vhost->node;

	ring->addr.log = log;
	return step(ring, node->ops->set_ring_addr(node, ring->index, &ring->addr),
		    "VHOST_SET_VRING_ADDR");
}

static int set_poll(struct vhost_ring *ring)
{
	struct vhost *v = ring->vhost;

	if (v->poll_us == 0 || v->cannot_poll)
		return 0;
	int r = v->node->ops->set_ring_poll(v->node, ring->index, v->poll_us);

	if (r != -ENOTTY)
		return step(ring, r, "VHOST_SET_VRING_BUSYLOOP_TIMEOUT");
	v->cannot_poll = true;
	log_warning("%s: this kernel's vhost cannot poll", v->name);
	return 0;
}

static int describe(struct vhost_ring *ring, const struct datapath_queue *dq)
{
	struct vhost *v = ring->vhost;
	const struct vhost_ops *ops = v->node->ops;
	unsigned i = ring->index;
	int r = step(ring, ops->set_ring_size(v->node, i, dq->size), "VHOST_SET_VRING_NUM");

	if (r == 0)
		r = step(ring, ops->set_ring_base(v->node, i, base_of(v, dq)),
			 "VHOST_SET_VRING_BASE");
	if (r == 0)
		r = vhost_ring_set_addr(ring, v->terms.logs);
	return r == 0 ? set_poll(ring) : r;
}

static int hook(struct vhost_ring *ring)
{
	struct vhost_node *node = ring->vhost->node;
	const struct vhost_ops *ops = node->ops;
	unsigned i = ring->index;
	struct watch_call call = { .ring = ring };
	int r;

	event_loop_call(ring->vhost->loop, watch, &call);
	if (call.r < 0) {
		error_restore(&call.chain);
		return call.r;
	}
	r = step(ring, ops->set_ring_err(node, i, ring->err_fd), "VHOST_SET_VRING_ERR");
	if (r < 0)
		goto undo_watch;
	r = step(ring, ops->set_ring_call(node, i, ring->call.isr ? ring->relay_fd : ring->call.fd),
		 "VHOST_SET_VRING_CALL");
	if (r < 0)
		goto undo_err;
	r = step(ring, ops->set_ring_kick(node, i, ring->kick_fd), "VHOST_SET_VRING_KICK");
	if (r < 0)
		goto undo_call;
	return 0;

undo_call:
	(void)ops->set_ring_call(node, i, FD_NONE);
undo_err:
	(void)ops->set_ring_err(node, i, FD_NONE);
undo_watch:
	event_loop_call(ring->vhost->loop, unwatch, ring);
	return r;
}

int vhost_ring_up(struct vhost_ring *ring, const struct datapath_queue *dq)
{
	ring->device_index = dq->index;
	ring->call = dq->call;
	ring->kick_fd = dq->kick_fd;
	ring->has_position = false;
	ring->ends = false;
	int r = judge_areas(ring, dq);

	if (r == 0)
		r = describe(ring, dq);
	if (r == 0)
		r = hook(ring);
	ring->up = r == 0;
	if (r == 0)
		return 0;
	release_areas(ring);
	return error_add(r, "set up queue %u", dq->index);
}

void vhost_ring_down(struct vhost_ring *ring)
{
	struct vhost_node *node = ring->vhost->node;
	uint32_t base;

	if (!ring->up)
		return;
	ring->up = false;
	if (node) {
		ring->has_position = node->ops->get_ring_base(node, ring->index, &base) == 0 &&
				     find_position(ring, base);
		(void)node->ops->set_ring_kick(node, ring->index, FD_NONE);
		(void)node->ops->set_ring_call(node, ring->index, FD_NONE);
		(void)node->ops->set_ring_err(node, ring->index, FD_NONE);
	}
	release_areas(ring);
	event_loop_call(ring->vhost->loop, unwatch, ring);
	ring->kick_fd = FD_NONE;
}

int vhost_ring_init(struct vhost *v, unsigned index)
{
	struct vhost_ring *ring = &v->ring[index];

	*ring = (struct vhost_ring){
		.vhost = v, .index = index,
		.kick_fd = FD_NONE, .err_fd = FD_NONE, .relay_fd = FD_NONE,
	};
	int r = fd_create_event(&ring->err_fd);

	if (r == 0)
		r = fd_create_event(&ring->relay_fd);
	if (r < 0)
		return error_set(r, "create the event fds of ring %u", index);
	ring->err = (struct event_source){ .fd = ring->err_fd, .fn = on_err };
	ring->relay = (struct event_source){ .fd = ring->relay_fd, .fn = on_relay };
	return 0;
}

void vhost_ring_fini(struct vhost_ring *ring)
{
	fd_close(&ring->err_fd);
	fd_close(&ring->relay_fd);
}
