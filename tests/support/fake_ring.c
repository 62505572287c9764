#include "tests/support/fake_ring.h"

#include <stdatomic.h>
#include <string.h>

#include "vmm/base/le.h"

static _Atomic uint16_t *at16(const struct fake_ring *ring, uint64_t addr)
{
	return fake_machine_driver_at(ring->machine, addr, 2);
}

uint64_t fake_ring_bytes(uint16_t size)
{
	return align_up(16ull * size + 6 + 2ull * size, 16) + align_up(6 + 8ull * size, 16);
}

void fake_ring_init(struct fake_ring *ring, struct fake_machine *machine, uint16_t size,
		    uint64_t addr)
{
	*ring = (struct fake_ring){
		.machine = machine,
		.size = size,
		.desc = addr,
		.driver = addr + 16ull * size,
		.device = align_up(addr + 16ull * size + 6 + 2ull * size, 16),
	};
	memset(fake_machine_driver_at(machine, addr, fake_ring_bytes(size)), 0,
	       fake_ring_bytes(size));
}

struct virtqueue_config fake_ring_config(const struct fake_ring *ring, struct features features,
					 int call_fd)
{
	return (struct virtqueue_config){
		.size = ring->size,
		.desc = ring->desc,
		.driver = ring->driver,
		.device = ring->device,
		.features = features,
		.dma = &ring->machine->m.dma,
		.call = { .fd = call_fd },
	};
}

void fake_ring_desc(const struct fake_ring *ring, uint64_t table, unsigned index, uint64_t addr,
		    uint32_t len, uint16_t flags, uint16_t next)
{
	uint8_t *d = fake_machine_driver_at(ring->machine, table + 16ull * index, 16);

	store_le64(d, addr);
	store_le32(d + 8, len);
	store_le16(d + 12, flags);
	store_le16(d + 14, next);
}

void fake_ring_chain(const struct fake_ring *ring, uint64_t table, unsigned table_size,
		     unsigned first, const struct fake_buf *buf, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		bool last = i + 1 == n;
		unsigned flags = (buf[i].write ? DESC_WRITE : 0u) | (last ? 0u : DESC_NEXT);
		/* What a driver leaves in 'next' of the last one means nothing. */
		unsigned next = last ? 0xffff : (first + i + 1) % table_size;
		fake_ring_desc(ring, table, (first + i) % table_size, buf[i].addr, buf[i].len,
			       (uint16_t)flags, (uint16_t)next);
	}
}

void fake_ring_offer(struct fake_ring *ring, uint16_t head)
{
	uint64_t slot = ring->driver + 4 + 2ull * (ring->avail_idx % ring->size);

	store_le16(fake_machine_driver_at(ring->machine, slot, 2), head);
	ring->avail_idx++;
}

void fake_ring_publish(struct fake_ring *ring)
{
	fake_ring_set_avail_idx(ring, ring->avail_idx);
}

void fake_ring_set_avail_idx(struct fake_ring *ring, uint16_t idx)
{
	atomic_store(at16(ring, ring->driver + 2), htole16(idx));
}

uint16_t fake_ring_add(struct fake_ring *ring, const struct fake_buf *buf, unsigned n)
{
	uint16_t head = ring->next_head;

	fake_ring_chain(ring, ring->desc, ring->size, head, buf, n);
	ring->next_head = (uint16_t)((head + n) % ring->size);
	fake_ring_offer(ring, head);
	fake_ring_publish(ring);
	return head;
}

bool fake_ring_reap(struct fake_ring *ring, uint32_t *id, uint32_t *len)
{
	if (fake_ring_used_idx(ring) == ring->used_seen)
		return false;
	uint64_t slot = ring->device + 4 + 8ull * (ring->used_seen % ring->size);
	const uint8_t *entry = fake_machine_driver_at(ring->machine, slot, 8);

	*id = load_le32(entry);
	*len = load_le32(entry + 4);
	ring->used_seen++;
	return true;
}

uint16_t fake_ring_used_idx(const struct fake_ring *ring)
{
	return le16toh(atomic_load(at16(ring, ring->device + 2)));
}

uint16_t fake_ring_used_flags(const struct fake_ring *ring)
{
	return le16toh(atomic_load(at16(ring, ring->device)));
}

uint16_t fake_ring_avail_event(const struct fake_ring *ring)
{
	return le16toh(atomic_load(at16(ring, ring->device + 4 + 8ull * ring->size)));
}

void fake_ring_set_avail_flags(const struct fake_ring *ring, uint16_t flags)
{
	atomic_store(at16(ring, ring->driver), htole16(flags));
}

void fake_ring_set_used_event(const struct fake_ring *ring, uint16_t event)
{
	atomic_store(at16(ring, ring->driver + 4 + 2ull * ring->size), htole16(event));
}
