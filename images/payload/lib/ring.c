#include "images/payload/lib/ring.h"

#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/ring_impl.h"
#include "virtio/features.h"

static const struct ring_layout_ops *layout(const struct ring *r)
{
	return r->packed ? &ring_packed_ops : &ring_split_ops;
}

void ring_alloc(struct ring *r, struct virtio *v, uint16_t index, uint16_t size, uint64_t features)
{
	*r = (struct ring){
		.v = v,
		.index = index,
		.size = size,
		.n_free = size,
		.packed = features >> VIRTIO_F_RING_PACKED & 1,
		.event_idx = features >> VIRTIO_F_EVENT_IDX & 1,
		.in_order = features >> VIRTIO_F_IN_ORDER & 1,
	};
	r->buffer = heap_alloc(size * sizeof(*r->buffer), sizeof(uint32_t));
	r->order = heap_alloc(size * sizeof(*r->order), sizeof(*r->order));
	if (features >> VIRTIO_F_INDIRECT_DESC & 1)
		r->indirect = heap_alloc(size * sizeof(struct ring_desc) * RING_MAX_INDIRECT, 16);
	layout(r)->alloc(r);
	ring_want_interrupt(r, false);
}

bool ring_init(struct ring *r, struct virtio *v, uint16_t index, uint16_t size, uint64_t features)
{
	uint16_t max;

	v->ops->select_queue(v, index);
	max = v->ops->queue_max(v);
	if (v->has_fixed_size)
		size = max;
	if (max == 0 || size > max)
		return false;
	if (size == 0)
		size = max > RING_MAX_SIZE ? RING_MAX_SIZE : max;
	ring_alloc(r, v, index, size, features);
	if (v->vector != VIRTIO_NO_VECTOR && virtio_set_queue_vector(v, v->vector) != v->vector)
		return false;
	return ring_enable(r, features);
}

bool ring_enable(struct ring *r, uint64_t features)
{
	struct virtio *v = r->v;

	if (r->packed)
		v->ops->set_queue(v, r->size, v->iova + (uintptr_t)r->slot,
				  v->iova + (uintptr_t)r->driver_event,
				  v->iova + (uintptr_t)r->device_event);
	else
		v->ops->set_queue(v, r->size, v->iova + (uintptr_t)r->desc,
				  v->iova + (uintptr_t)r->avail, v->iova + (uintptr_t)r->used);
	v->ops->enable_queue(v);
	r->doorbell = virtio_doorbell(v, r->index, features);
	v->ops->select_queue(v, r->index);
	return v->ops->queue_enabled(v);
}

bool ring_stop(struct ring *r)
{
	const struct virtio_ops *ops = r->v->ops;

	ops->select_queue(r->v, r->index);
	ops->reset_queue(r->v);
	return WAIT_UNTIL(!ops->queue_resetting(r->v), WAIT_LONG) && !ops->queue_enabled(r->v);
}

uint16_t ring_add(struct ring *r, const struct piece *piece, unsigned n_out, unsigned n_in)
{
	return ring_add_indirect(r, piece, n_out, n_in, n_out + n_in);
}

static struct element element_of(const struct ring *r, const struct piece *piece, unsigned i,
				 unsigned n_out, unsigned n)
{
	return (struct element){
		.addr = r->v->iova + (uintptr_t)piece[i].at,
		.len = piece[i].len,
		.flags = (uint16_t)((i < n_out ? 0 : DESC_WRITE) | (i + 1 < n ? DESC_NEXT : 0)),
	};
}

/* Write one entry of an indirect table; a packed ring's entries follow each other without NEXT. */
static void fill_table(const struct ring *r, void *table, unsigned i, struct element e)
{
	if (r->packed)
		((struct packed_desc *)table)[i] = (struct packed_desc){
			.addr = e.addr, .len = e.len, .flags = e.flags & DESC_WRITE
		};
	else
		((struct ring_desc *)table)[i] = (struct ring_desc){
			.addr = e.addr,
			.len = e.len,
			.flags = e.flags,
			.next = (uint16_t)(i + 1),
		};
}

uint16_t ring_add_indirect(struct ring *r, const struct piece *piece, unsigned n_out,
			   unsigned n_in, unsigned n_direct)
{
	unsigned n = n_out + n_in, n_elements = 0;
	uint16_t id = layout(r)->next_id(r);
	struct ring_desc *table = r->indirect + (size_t)id * RING_MAX_INDIRECT;
	struct element e[RING_MAX_INDIRECT];

	if (r->packed && n_direct < n)
		n_direct = 0;
	r->buffer[id].in_len = 0;
	for (unsigned i = n_out; i < n; i++)
		r->buffer[id].in_len += piece[i].len;
	while (n_elements < n_direct) {
		e[n_elements] = element_of(r, piece, n_elements, n_out, n);
		n_elements++;
	}
	for (unsigned i = n_direct; i < n; i++)
		fill_table(r, table, i - n_direct, element_of(r, piece, i, n_out, n));
	if (n_direct < n)
		e[n_elements++] = (struct element){
			.addr = r->v->iova + (uintptr_t)table,
			.len = (uint32_t)((n - n_direct) * sizeof(struct ring_desc)),
			.flags = DESC_INDIRECT,
		};
	layout(r)->add(r, e, n_elements);
	r->buffer[id].n_desc = (uint16_t)n_elements;
	r->n_free = (uint16_t)(r->n_free - n_elements);
	r->order[(r->order_first + r->n_in_flight++) % r->size] = id;
	return id;
}

void ring_publish_quietly(struct ring *r)
{
	layout(r)->publish(r);
}

void ring_kick(struct ring *r)
{
	r->n_kicks++;
	doorbell_ring(&r->doorbell, layout(r)->next(r));
}

void ring_publish(struct ring *r)
{
	layout(r)->publish(r);
	barrier();	/* it is out before we look whether a kick is wanted */
	if (layout(r)->wants_kick(r))
		ring_kick(r);
}

void ring_want_interrupt(struct ring *r, bool wanted)
{
	layout(r)->want_interrupt(r, wanted);
	barrier();
}

/* Position of 'id' among the buffers in flight, oldest first; n_in_flight when it is not there. */
static uint16_t age_of(const struct ring *r, uint16_t id)
{
	uint16_t i = 0;

	while (i < r->n_in_flight && r->order[(r->order_first + i) % r->size] != id)
		i++;
	return i;
}

/* Buffer 'id', the 'age'th, is not the device's any more. */
static void forget(struct ring *r, uint16_t age)
{
	for (uint16_t i = age; i > 0; i--)
		r->order[(r->order_first + i) % r->size] =
			r->order[(r->order_first + i - 1) % r->size];
	r->order_first = (uint16_t)((r->order_first + 1) % r->size);
	r->n_in_flight--;
}

static int take(struct ring *r, uint16_t id, uint16_t age)
{
	layout(r)->release(r, id);
	r->n_free = (uint16_t)(r->n_free + r->buffer[id].n_desc);
	forget(r, age);
	return id;
}

/*
 * virtio-v1.4 2.7.9, 2.8.9 "In-order use of descriptors": a used entry may tell of all buffers up
 * to the one that it names, and then takes the place of as many entries.
 */
static int take_in_order(struct ring *r)
{
	uint16_t id = r->order[r->order_first];

	r->taken_in_batch = --r->batch > 0;
	r->taken_len = r->taken_in_batch ? r->buffer[id].in_len : r->batch_len;
	return take(r, id, 0);
}

int ring_take(struct ring *r)
{
	uint32_t id, len;
	uint16_t age;

	if (r->batch > 0)
		return take_in_order(r);
	if (!layout(r)->peek(r, &id, &len))
		return -1;
	age = age_of(r, (uint16_t)id);
	if (id >= r->size || age == r->n_in_flight) {
		/* Not one of ours: nobody can go on from here. */
		r->n_misordered++;
		return -1;
	}
	if (r->in_order) {
		r->batch = (uint16_t)(age + 1);
		r->batch_len = len;
		if (!r->packed && (uint16_t)(r->used->idx - r->used_idx) < r->batch)
			r->n_misordered++;
		return take_in_order(r);
	}
	r->n_out_of_order += age > 0;
	r->taken_len = len;
	r->taken_in_batch = false;
	return take(r, (uint16_t)id, age);
}

int ring_wait(struct ring *r)
{
	int head;

	WAIT_UNTIL((head = ring_take(r)) >= 0, WAIT_LONG);
	return head;
}
