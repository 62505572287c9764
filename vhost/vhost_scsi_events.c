#include "vhost/vhost_scsi_events.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "vhost/vhost_memory.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum {
	SIZE = 16,
	DESC_AT = 0,
	AVAIL_AT = 0x400,
	USED_AT = 0x800,
	BUFFERS_AT = 0x1000,
	AREA_SIZE = 0x2000,
	GUARD_SIZE = 0x1000,
	DESC_SIZE = 16,
	DESC_F_WRITE = 2,
};

/* Guest physical addresses have at most 52 bits. */
#define BUFFERS_GPA (UINT64_C(1) << 52)

static_assert((int)GUEST_MEMORY_MAX_REGIONS < (int)VHOST_MAX_REGIONS, "there is one more");

static uint8_t *at(const struct vhost_scsi_events *e, unsigned offset)
{
	return (uint8_t *)e->page + offset;
}

static _Atomic uint16_t *index_at(const struct vhost_scsi_events *e, unsigned offset)
{
	return (_Atomic uint16_t *)(void *)at(e, offset + 2);
}

/* Buffer 'id' is the kernel's. */
static void offer(struct vhost_scsi_events *e, unsigned id)
{
	store_le16(at(e, AVAIL_AT + 4 + 2 * (unsigned)(e->avail_idx % SIZE)), (uint16_t)id);
	/* Its entry before the index that announces it. */
	atomic_store_explicit(index_at(e, AVAIL_AT), ++e->avail_idx, memory_order_release);
}

/* virtio-v1.4 2.7 "Split Virtqueues": all buffers are out. */
static void lay_out(struct vhost_scsi_events *e)
{
	memset(e->page, 0, AREA_SIZE);
	e->avail_idx = e->used_idx = 0;
	for (unsigned i = 0; i < SIZE; i++) {
		uint8_t *desc = at(e, DESC_AT + DESC_SIZE * i);
		store_le64(desc, BUFFERS_GPA + i * VHOST_SCSI_EVENT_SIZE);
		store_le32(desc + 8, VHOST_SCSI_EVENT_SIZE);
		store_le16(desc + 12, DESC_F_WRITE);
		offer(e, i);
	}
}

/* Is there a used buffer?  If not, the kernel calls for the next one (EVENT_IDX). */
static bool has_event(const struct vhost_scsi_events *e)
{
	store_le16(at(e, AVAIL_AT + 4 + 2 * SIZE), e->used_idx);
	/* Where we look for calls before where the kernel is; it does that the other way round. */
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(index_at(e, USED_AT), memory_order_acquire) != e->used_idx;
}

/* The kernel's index and entries are trusted as far as memory goes: an id is taken modulo. */
static void on_call(struct event_source *source, uint32_t events)
{
	struct vhost_scsi_events *e = container_of(source, struct vhost_scsi_events, call);
	uint8_t event[VHOST_SCSI_EVENT_SIZE];

	(void)events;
	if (!fd_drain(source->fd))
		return;
	for (unsigned n = 0; has_event(e); n++) {
		if (n == SIZE) {
			/* Others have their turn. */
			fd_signal(e->call_fd);
			break;
		}
		unsigned slot = e->used_idx++ % SIZE;
		unsigned id = load_le32(at(e, USED_AT + 4 + 8 * slot)) % SIZE;
		memcpy(event, at(e, BUFFERS_AT + id * VHOST_SCSI_EVENT_SIZE), sizeof(event));
		offer(e, id);
		e->event(e->arg, event);
	}
	fd_signal(e->kick_fd);
}

struct watch_call {
	struct vhost_scsi_events *e;
	int r;
	struct error_chain chain;
};

static void watch(void *arg)
{
	struct watch_call *call = arg;

	call->r = event_loop_add(call->e->loop, &call->e->call, EPOLLIN);
	if (call->r < 0)
		error_save(&call->chain);
}

static void unwatch(void *arg)
{
	struct vhost_scsi_events *e = arg;

	event_loop_remove(&e->call);
	fd_drain(e->call_fd);
	fd_drain(e->kick_fd);
}

/* The guest's memory, and the buffers beside it. */
static int give_memory(const struct vhost_scsi_events *e, struct vhost *v)
{
	struct vhost_memory_table table = vhost_memory_describe(v->dma->memory);

	table.region[table.n++] = (struct vhost_region){
		.gpa = BUFFERS_GPA,
		.size = AREA_SIZE - BUFFERS_AT,
		.host = (uintptr_t)at(e, BUFFERS_AT),
	};
	return v->node->ops->set_memory(v->node, &table);
}

static int describe(struct vhost_scsi_events *e, struct vhost *v, unsigned ring)
{
	const struct vhost_ops *ops = v->node->ops;
	const struct vhost_ring_addr addr = {
		.desc = (uintptr_t)at(e, DESC_AT),
		.avail = (uintptr_t)at(e, AVAIL_AT),
		.used = (uintptr_t)at(e, USED_AT),
	};
	int r = give_memory(e, v);

	if (r == 0)
		r = ops->set_ring_size(v->node, ring, SIZE);
	if (r == 0)
		r = ops->set_ring_base(v->node, ring, 0);
	if (r == 0)
		r = ops->set_ring_addr(v->node, ring, &addr);
	if (r == 0)
		r = ops->set_ring_call(v->node, ring, e->call_fd);
	if (r == 0)
		r = ops->set_ring_kick(v->node, ring, e->kick_fd);
	return r < 0 ? error_set(r, "%s: set up the ring for events", v->name) : 0;
}

int vhost_scsi_events_up(struct vhost_scsi_events *e, struct vhost *v, unsigned ring)
{
	struct watch_call call = { .e = e };
	struct error_chain chain;
	int r;

	lay_out(e);
	r = describe(e, v, ring);
	if (r == 0) {
		event_loop_call(e->loop, watch, &call);
		r = call.r;
		if (r < 0)
			error_restore(&call.chain);
	}
	if (r < 0) {
		error_save(&chain);
		vhost_scsi_events_down(e, v, ring);
		error_restore(&chain);
	}
	return r;
}

void vhost_scsi_events_down(struct vhost_scsi_events *e, struct vhost *v, unsigned ring)
{
	if (v->node) {
		(void)v->node->ops->set_ring_kick(v->node, ring, FD_NONE);
		(void)v->node->ops->set_ring_call(v->node, ring, FD_NONE);
	}
	event_loop_call(e->loop, unwatch, e);
}

int vhost_scsi_events_init(struct vhost_scsi_events *e, struct event_loop *loop)
{
	/*
	 * With nothing behind it: kernels before 6.14 answer wrong requests without a look at how
	 * long the driver's buffer is, and a driver may name the last byte of ours.
	 */
	void *page = mmap(NULL, AREA_SIZE + GUARD_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	int r;

	if (page == MAP_FAILED)
		return error_set(errno, "make a ring for SCSI events");
	e->page = page;
	if (mprotect(page, AREA_SIZE, PROT_READ | PROT_WRITE) < 0)
		return error_set(errno, "make a ring for SCSI events");
	e->loop = loop;
	r = fd_create_event(&e->kick_fd);
	if (r == 0)
		r = fd_create_event(&e->call_fd);
	e->call = (struct event_source){ .fd = e->call_fd, .fn = on_call };
	return r < 0 ? error_set(r, "create the event fds of SCSI events") : 0;
}

void vhost_scsi_events_fini(struct vhost_scsi_events *e)
{
	fd_close(&e->kick_fd);
	fd_close(&e->call_fd);
	if (e->page)
		munmap(e->page, AREA_SIZE + GUARD_SIZE);
	e->page = NULL;
}
