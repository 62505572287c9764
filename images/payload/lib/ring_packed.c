/* The packed ring.  virtio-v1.4 2.8 "Packed Virtqueues" */
#include "images/payload/lib/boot_info.h"
#include "images/payload/lib/cpu.h"
#include "images/payload/lib/heap.h"
#include "images/payload/lib/ring_impl.h"

enum { WRAP = 15 };	/* bit of the wrap counter in an event and in NOTIFICATION_DATA */

static void packed_alloc(struct ring *r)
{
	r->slot = heap_alloc(r->size * sizeof(struct packed_desc), 16);
	r->driver_event = heap_alloc(sizeof(struct packed_event), 4);
	r->device_event = heap_alloc(sizeof(struct packed_event), 4);
	r->avail_wrap = r->used_wrap = true;
	r->is_qemu = option_given("qemu");
	for (uint16_t i = 0; i < r->size; i++)
		r->buffer[i].next = (uint16_t)((i + 1) % r->size);
}

static uint16_t packed_next_id(const struct ring *r)
{
	return r->free_head;
}

/* The flags of the very first descriptor are kept back: writing them is what publishes. */
static void write_flags(struct ring *r, uint16_t slot, uint16_t flags)
{
	if (r->first_flags == 0) {
		r->first_slot = slot;
		r->first_flags = flags;
	} else {
		r->slot[slot].flags = flags;
	}
}

static uint16_t packed_add(struct ring *r, const struct element *e, unsigned n)
{
	uint16_t id = r->free_head;

	r->free_head = r->buffer[id].next;
	for (unsigned i = 0; i < n; i++) {
		volatile struct packed_desc *d = &r->slot[r->next_slot];

		d->addr = e[i].addr;
		d->len = e[i].len;
		/* Only the last one's is the buffer's. */
		d->id = i + 1 == n || r->is_qemu ? id : (uint16_t)(0xfff0 + i);
		write_flags(r, r->next_slot,
			    (uint16_t)(e[i].flags | (r->avail_wrap ? DESC_AVAIL : DESC_USED)));
		if (++r->next_slot == r->size) {
			r->next_slot = 0;
			r->avail_wrap = !r->avail_wrap;
		}
	}
	r->n_added = (uint16_t)(r->n_added + n);
	return id;
}

static void packed_publish(struct ring *r)
{
	if (r->first_flags == 0)
		return;
	__asm__ volatile("" : : : "memory");	/* stores are not reordered by the CPU */
	r->slot[r->first_slot].flags = r->first_flags;
	r->first_flags = 0;
}

/* virtio-v1.4 2.8.10 "Event Suppression Structure Format" */
static bool packed_wants_kick(struct ring *r)
{
	uint16_t n = r->n_added, at, event;

	r->n_added = 0;
	if (r->device_event->flags != EVENT_AT)
		return r->device_event->flags != EVENT_DISABLE;
	at = r->device_event->at;
	/* In slots from the beginning of our turn; the turn before is negative. */
	event = at & 0x7fff;
	if ((bool)(at >> WRAP) != r->avail_wrap)
		event = (uint16_t)(event - r->size);
	return (uint16_t)(r->next_slot - event - 1) < n;
}

static uint16_t packed_next(const struct ring *r)
{
	return (uint16_t)(r->next_slot | r->avail_wrap << WRAP);
}

static void packed_want_interrupt(struct ring *r, bool wanted)
{
	if (wanted && r->event_idx)
		r->driver_event->at = (uint16_t)(r->used_idx | r->used_wrap << WRAP);
	r->driver_event->flags = !wanted ? EVENT_DISABLE : r->event_idx ? EVENT_AT : EVENT_ENABLE;
}

static bool packed_peek(const struct ring *r, uint32_t *id, uint32_t *len)
{
	volatile struct packed_desc *d = &r->slot[r->used_idx];
	uint16_t flags = d->flags;
	bool avail = flags & DESC_AVAIL, used = flags & DESC_USED;

	if (avail != used || used != r->used_wrap)
		return false;
	__asm__ volatile("" : : : "memory");	/* the rest is read behind the flags */
	*id = d->id;
	*len = flags & DESC_WRITE || r->is_qemu ? d->len : 0;
	return true;
}

static void packed_release(struct ring *r, uint16_t id)
{
	uint16_t next = (uint16_t)(r->used_idx + r->buffer[id].n_desc);

	if (next >= r->size) {
		next = (uint16_t)(next - r->size);
		r->used_wrap = !r->used_wrap;
	}
	r->used_idx = next;
	if (r->in_order)
		return;
	r->buffer[id].next = r->free_head;
	r->free_head = id;
}

const struct ring_layout_ops ring_packed_ops = {
	.alloc = packed_alloc,
	.add = packed_add,
	.next_id = packed_next_id,
	.publish = packed_publish,
	.wants_kick = packed_wants_kick,
	.next = packed_next,
	.want_interrupt = packed_want_interrupt,
	.peek = packed_peek,
	.release = packed_release,
};
