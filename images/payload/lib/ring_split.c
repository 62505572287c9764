/* The split ring.  virtio-v1.4 2.7 "Split Virtqueues" */
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/ring_impl.h"

static void split_alloc(struct ring *r)
{
	size_t desc_len = r->size * sizeof(struct ring_desc), avail_len = 6 + 2u * r->size;
	size_t used_len = 6 + sizeof(struct ring_used_elem) * r->size;

	if (r->v->is_legacy) {
		/* virtio-v1.4 2.7.2 "Legacy Interfaces: A Note on Virtqueue Layout" */
		size_t used_at = (desc_len + avail_len + LEGACY_PAGE - 1) & ~(LEGACY_PAGE - 1ul);
		char *at = heap_alloc(used_at + used_len, LEGACY_PAGE);

		r->desc = (void *)at;
		r->avail = (void *)(at + desc_len);
		r->used = (void *)(at + used_at);
	} else {
		r->desc = heap_alloc(desc_len, 16);
		r->avail = heap_alloc(avail_len, 2);
		r->used = heap_alloc(used_len, 4);
	}
	/* In order, descriptors are used one after the other, round and round. */
	for (uint16_t i = 0; i < r->size; i++)
		r->desc[i].next = (uint16_t)(r->in_order ? (i + 1) % r->size : i + 1);
}

static volatile uint16_t *used_event(struct ring *r)
{
	return &r->avail->ring[r->size];
}

static uint16_t avail_event(struct ring *r)
{
	return *(volatile uint16_t *)&r->used->ring[r->size];
}

static uint16_t split_next_id(const struct ring *r)
{
	return r->free_head;
}

static uint16_t split_add(struct ring *r, const struct element *e, unsigned n)
{
	uint16_t head = r->free_head;

	for (unsigned i = 0; i < n; i++) {
		volatile struct ring_desc *d = &r->desc[r->free_head];

		d->addr = e[i].addr;
		d->len = e[i].len;
		d->flags = e[i].flags;
		r->free_head = d->next;
	}
	r->avail->ring[r->avail_idx++ % r->size] = head;
	return head;
}

static void split_publish(struct ring *r)
{
	__asm__ volatile("" : : : "memory");	/* stores are not reordered by the CPU */
	r->avail->idx = r->avail_idx;
}

static bool split_wants_kick(struct ring *r)
{
	uint16_t before = r->kicked_idx;

	if (r->event_idx) {
		/* virtio-v1.4 2.7.10.1: has the index moved past avail_event? */
		if ((uint16_t)(r->avail_idx - avail_event(r) - 1) >=
		    (uint16_t)(r->avail_idx - before))
			return false;
	} else if (r->used->flags & USED_NO_NOTIFY) {
		return false;
	}
	r->kicked_idx = r->avail_idx;
	return true;
}

static uint16_t split_next(const struct ring *r)
{
	return r->avail_idx;
}

static void split_want_interrupt(struct ring *r, bool wanted)
{
	if (r->event_idx)
		*used_event(r) = (uint16_t)(wanted ? r->used_idx : r->used_idx + 0x8000);
	else
		r->avail->flags = wanted ? 0 : AVAIL_NO_INTERRUPT;
}

static bool split_peek(const struct ring *r, uint32_t *id, uint32_t *len)
{
	volatile struct ring_used_elem *e = &r->used->ring[r->used_idx % r->size];

	if (r->used->idx == r->used_idx)
		return false;
	__asm__ volatile("" : : : "memory");	/* the element is read behind the index */
	*id = e->id;
	*len = e->len;
	return true;
}

static void split_release(struct ring *r, uint16_t id)
{
	uint16_t last = id;

	r->used_idx++;
	if (r->in_order)
		return;
	for (unsigned i = 1; i < r->buffer[id].n_desc; i++)
		last = r->desc[last].next;
	r->desc[last].next = r->free_head;
	r->free_head = id;
}

const struct ring_layout_ops ring_split_ops = {
	.alloc = split_alloc,
	.add = split_add,
	.next_id = split_next_id,
	.publish = split_publish,
	.wants_kick = split_wants_kick,
	.next = split_next,
	.want_interrupt = split_want_interrupt,
	.peek = split_peek,
	.release = split_release,
};
