#include "vhost/ring_history.h"

#include <stdatomic.h>

#include "vmm/base/le.h"

/* virtio-v1.4 2.7.6 "The Virtqueue Available Ring", 2.7.8 "The Virtqueue Used Ring" */
enum { RING_IDX = 2, RING_ENTRIES = 4, AVAIL_ENTRY = 2, USED_ENTRY = 8 };

/* How often each head was offered, minus how often it was answered; and how many are not even. */
struct balance {
	int16_t of[RING_HISTORY_MAX];
	unsigned n_uneven;
};

static void count(struct balance *b, unsigned head, int by)
{
	b->n_uneven -= b->of[head] != 0;
	b->of[head] = (int16_t)(b->of[head] + by);
	b->n_uneven += b->of[head] != 0;
}

bool ring_history_goes_on(const uint8_t *avail, const uint8_t *used, unsigned size, uint16_t base,
			  uint16_t *at)
{
	uint16_t offered[RING_HISTORY_MAX];
	struct balance balance = { .n_uneven = 0 };
	const uint16_t answered = load_le16(used + RING_IDX);

	*at = answered;
	if (size == 0 || size > RING_HISTORY_MAX || !is_power_of_two(size))
		return false;
	for (unsigned i = 0; i < size; i++)
		offered[i] = load_le16(avail + RING_ENTRIES + AVAIL_ENTRY * i);
	/* What the driver offered while we copied is in place of what is older. */
	atomic_thread_fence(memory_order_acquire);
	unsigned even_at = 0, waiting = (uint16_t)(load_le16(avail + RING_IDX) - answered);

	if (waiting > size)
		return false;
	if (waiting == 0 || answered == base)
		return true;
	for (unsigned back = 1; back <= size - waiting; back++) {
		uint16_t i = (uint16_t)(answered - back);
		unsigned slot = i % size;
		uint32_t id = load_le32(used + RING_ENTRIES + USED_ENTRY * slot);
		if (id >= size || offered[slot] >= size)
			return false;
		count(&balance, offered[slot], 1);
		count(&balance, id, -1);
		if (i == base)
			return balance.n_uneven == 0;
		if (balance.n_uneven == 0)
			even_at = back;
	}
	return even_at >= size / 2;
}
