#include "images/payload/lib/ring.h"

#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "virtio/features.h"

void ring_alloc(struct ring *r, struct virtio *v, uint16_t index, uint16_t size, uint64_t features)
{
	*r = (struct ring){ .v = v, .index = index, .size = size, .n_free = size };
	r->desc = heap_alloc(size * sizeof(struct ring_desc), 16);
	r->avail = heap_alloc(6 + 2u * size, 2);
	r->used = heap_alloc(6 + sizeof(struct ring_used_elem) * size, 4);
	r->event_idx = features >> VIRTIO_F_EVENT_IDX & 1;
	if (features >> VIRTIO_F_INDIRECT_DESC & 1)
		r->indirect = heap_alloc(size * sizeof(struct ring_desc) * RING_MAX_INDIRECT, 16);
	for (uint16_t i = 0; i < size; i++)
		r->desc[i].next = (uint16_t)(i + 1);
	ring_want_interrupt(r, false);
}

bool ring_init(struct ring *r, struct virtio *v, uint16_t index, uint16_t size, uint64_t features)
{
	uint16_t max;

	v->ops->select_queue(v, index);
	max = v->ops->queue_max(v);
	if (max == 0 || size > max)
		return false;
	if (size == 0)
		size = max > RING_MAX_SIZE ? RING_MAX_SIZE : max;
	ring_alloc(r, v, index, size, features);
	v->ops->set_queue(v, size, (uintptr_t)r->desc, (uintptr_t)r->avail, (uintptr_t)r->used);
	v->ops->enable_queue(v);
	r->kick_address = virtio_kick_address(v, index);
	return v->ops->queue_enabled(v);
}

static volatile uint16_t *used_event(struct ring *r)
{
	return &r->avail->ring[r->size];
}

static uint16_t avail_event(struct ring *r)
{
	return *(volatile uint16_t *)&r->used->ring[r->size];
}

static uint16_t take_descriptor(struct ring *r)
{
	uint16_t i = r->free_head;

	r->free_head = r->desc[i].next;
	r->n_free--;
	return i;
}

static void make_available(struct ring *r, uint16_t head)
{
	r->avail->ring[r->avail_idx++ % r->size] = head;
}

uint16_t ring_add(struct ring *r, const struct piece *piece, unsigned n_out, unsigned n_in)
{
	return ring_add_indirect(r, piece, n_out, n_in, n_out + n_in);
}

uint16_t ring_add_indirect(struct ring *r, const struct piece *piece, unsigned n_out,
			   unsigned n_in, unsigned n_direct)
{
	unsigned n = n_out + n_in;
	uint16_t head = r->free_head, last = head;
	struct ring_desc *table = r->indirect + (size_t)head * RING_MAX_INDIRECT;

	for (unsigned i = 0; i < n_direct; i++) {
		last = take_descriptor(r);
		r->desc[last].addr = (uintptr_t)piece[i].at;
		r->desc[last].len = piece[i].len;
		r->desc[last].flags = (uint16_t)((i < n_out ? 0 : DESC_WRITE) |
						 (i + 1 < n ? DESC_NEXT : 0));
	}
	for (unsigned i = n_direct; i < n; i++) {
		table[i - n_direct] = (struct ring_desc){
			.addr = (uintptr_t)piece[i].at,
			.len = piece[i].len,
			.flags = (uint16_t)((i < n_out ? 0 : DESC_WRITE) |
					    (i + 1 < n ? DESC_NEXT : 0)),
			.next = (uint16_t)(i - n_direct + 1),
		};
	}
	if (n_direct < n) {
		last = take_descriptor(r);
		r->desc[last].addr = (uintptr_t)table;
		r->desc[last].len = (uint32_t)((n - n_direct) * sizeof(struct ring_desc));
		r->desc[last].flags = DESC_INDIRECT;
	}
	make_available(r, head);
	return head;
}

void ring_publish_quietly(struct ring *r)
{
	__asm__ volatile("" : : : "memory");	/* stores are not reordered by the CPU */
	r->avail->idx = r->avail_idx;
}

void ring_publish(struct ring *r)
{
	uint16_t before = r->kicked_idx;

	ring_publish_quietly(r);
	barrier();	/* avail->idx is out before we look whether a kick is wanted */
	if (r->event_idx) {
		/* virtio-v1.4 2.7.10.1: has the index moved past avail_event? */
		if ((uint16_t)(r->avail_idx - avail_event(r) - 1) >=
		    (uint16_t)(r->avail_idx - before))
			return;
	} else if (r->used->flags & USED_NO_NOTIFY) {
		return;
	}
	r->kicked_idx = r->avail_idx;
	r->n_kicks++;
	if (r->v->is_pci)
		write16(r->kick_address, r->index);
	else
		write32(r->kick_address, r->index);
}

void ring_want_interrupt(struct ring *r, bool wanted)
{
	if (r->event_idx)
		*used_event(r) = (uint16_t)(wanted ? r->used_idx : r->used_idx + 0x8000);
	else
		r->avail->flags = wanted ? 0 : AVAIL_NO_INTERRUPT;
	barrier();
}

static void free_chain(struct ring *r, uint16_t head)
{
	uint16_t last = head;

	r->n_free++;
	while (r->desc[last].flags & DESC_NEXT) {
		last = r->desc[last].next;
		r->n_free++;
	}
	r->desc[last].next = r->free_head;
	r->free_head = head;
}

int ring_take(struct ring *r)
{
	uint16_t slot = r->used_idx % r->size;
	uint32_t head;

	if (r->used->idx == r->used_idx)
		return -1;
	__asm__ volatile("" : : : "memory");	/* the element is read behind the index */
	head = r->used->ring[slot].id;
	r->taken_len = r->used->ring[slot].len;
	r->used_idx++;
	free_chain(r, (uint16_t)(head % r->size));
	return (int)head;
}

int ring_wait(struct ring *r)
{
	int head;

	WAIT_UNTIL((head = ring_take(r)) >= 0, WAIT_LONG);
	return head;
}
