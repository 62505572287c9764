#include "tests/support/fake_ring.h"

#include <criterion/criterion.h>
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

static _Atomic uint32_t *at32(const struct fake_ring *ring, uint64_t addr)
{
	return fake_machine_driver_at(ring->machine, addr, 4);
}

void fake_ring_init_as(struct fake_ring *ring, enum fake_layout layout,
		       struct fake_machine *machine, uint16_t size, uint64_t addr)
{
	uint64_t behind = addr + 16ull * size;
	bool packed = layout == FAKE_PACKED;

	*ring = (struct fake_ring){
		.machine = machine,
		.layout = layout,
		.size = size,
		.desc = addr,
		.driver = behind,
		.device = packed ? behind + 4 : align_up(behind + 6 + 2ull * size, 16),
		.avail = { .wrap = true },
		.used = { .wrap = true },
		.book = behind + 8,
	};
	memset(fake_machine_driver_at(machine, addr, fake_ring_bytes(size)), 0,
	       fake_ring_bytes(size));
}

void fake_ring_init(struct fake_ring *ring, struct fake_machine *machine, uint16_t size,
		    uint64_t addr)
{
	fake_ring_init_as(ring, FAKE_SPLIT, machine, size, addr);
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

/* The slot 'k' places behind 'slot'. */
static struct fake_slot behind(const struct fake_ring *ring, struct fake_slot slot, unsigned k)
{
	unsigned at = slot.at + k;

	return (struct fake_slot){
		.at = (uint16_t)(at % ring->size),
		.wrap = slot.wrap != (at / ring->size % 2 != 0),
	};
}

static uint8_t *slot_at(const struct fake_ring *ring, unsigned slot)
{
	return fake_machine_driver_at(ring->machine, ring->desc + 16ull * slot, 16);
}

static uint16_t flags_at(const struct fake_ring *ring, unsigned slot)
{
	return le16toh(atomic_load(at16(ring, ring->desc + 16ull * slot + 14)));
}

void fake_ring_put(const struct fake_ring *ring, unsigned k, uint64_t addr, uint32_t len,
		   uint16_t id, unsigned flags)
{
	struct fake_slot slot = behind(ring, ring->avail, k);
	uint8_t *d = slot_at(ring, slot.at);

	flags ^= slot.wrap ? DESC_AVAIL : DESC_USED;
	store_le64(d, addr);
	store_le32(d + 8, len);
	store_le16(d + 12, id);
	atomic_store(at16(ring, ring->desc + 16ull * slot.at + 14), htole16((uint16_t)flags));
}

void fake_ring_advance(struct fake_ring *ring, unsigned n)
{
	ring->avail = behind(ring, ring->avail, n);
	ring->slots_out = (uint16_t)(ring->slots_out + n);
	ring->slots_added = (uint16_t)(ring->slots_added + n);
}

/* Ids are far from what could be taken for an index. */
enum { ID_SALT = 0xa5a5 };

static uint8_t *book_at(const struct fake_ring *ring, unsigned i)
{
	return fake_machine_driver_at(ring->machine, ring->book + 2ull * i, 2);
}

static uint16_t new_id(struct fake_ring *ring, unsigned n)
{
	for (unsigned tries = 0; tries < ring->size; tries++) {
		unsigned i = ring->next_id;
		ring->next_id = (uint16_t)((i + 1) % ring->size);
		if (load_le16(book_at(ring, i)) != 0)
			continue;
		store_le16(book_at(ring, i), (uint16_t)n);
		return (uint16_t)(i ^ ID_SALT);
	}
	cr_assert_fail("more lists than slots");
	return 0;
}

static uint16_t add_list(struct fake_ring *ring, const struct fake_buf *buf, unsigned n)
{
	uint16_t id = new_id(ring, n);

	/* The first one last; and only the last one's id counts. */
	for (unsigned i = n; i-- > 0;)
		fake_ring_put(ring, i, buf[i].addr, buf[i].len, i + 1 == n ? id : 0xdead,
			      (buf[i].write ? DESC_WRITE : 0u) | (i + 1 < n ? DESC_NEXT : 0u));
	fake_ring_advance(ring, n);
	return id;
}

uint16_t fake_ring_add(struct fake_ring *ring, const struct fake_buf *buf, unsigned n)
{
	uint16_t head = ring->next_head;

	if (ring->layout == FAKE_PACKED)
		return add_list(ring, buf, n);
	fake_ring_chain(ring, ring->desc, ring->size, head, buf, n);
	ring->next_head = (uint16_t)((head + n) % ring->size);
	fake_ring_offer(ring, head);
	fake_ring_publish(ring);
	return head;
}

uint16_t fake_ring_add_indirect(struct fake_ring *ring, uint64_t table,
				const struct fake_buf *buf, unsigned n)
{
	if (ring->layout == FAKE_SPLIT) {
		uint16_t head = ring->next_head;

		fake_ring_chain(ring, table, n, 0, buf, n);
		fake_ring_desc(ring, ring->desc, head, table, 16 * n, DESC_INDIRECT, 0xffff);
		ring->next_head = (uint16_t)((head + 1) % ring->size);
		fake_ring_offer(ring, head);
		fake_ring_publish(ring);
		return head;
	}
	for (unsigned i = 0; i < n; i++)
		fake_ring_desc(ring, table, i, buf[i].addr, buf[i].len, (uint16_t)(0xbad0 + i),
			       buf[i].write ? 0xffff : (uint16_t)~DESC_WRITE);
	uint16_t id = new_id(ring, 1);
	fake_ring_put(ring, 0, table, 16 * n, id, DESC_INDIRECT);
	fake_ring_advance(ring, 1);
	return id;
}

bool fake_ring_has_used(const struct fake_ring *ring)
{
	if (ring->layout == FAKE_SPLIT)
		return fake_ring_used_idx(ring) != ring->used_seen;
	unsigned lap = ring->used.wrap ? DESC_AVAIL | DESC_USED : 0;
	return (flags_at(ring, ring->used.at) & (DESC_AVAIL | DESC_USED)) == lap;
}

static void reap_list(struct fake_ring *ring, uint32_t *id, uint32_t *len)
{
	const uint8_t *d = slot_at(ring, ring->used.at);

	*id = load_le16(d + 12);
	/* Reserved where nothing was written. */
	*len = flags_at(ring, ring->used.at) & DESC_WRITE ? load_le32(d + 8) : 0;
	unsigned i = *id ^ ID_SALT;
	cr_assert_lt(i, ring->size, "id 0x%x was never out", *id);
	unsigned n = load_le16(book_at(ring, i));
	cr_assert_neq(n, 0, "id 0x%x is not out", *id);
	store_le16(book_at(ring, i), 0);
	ring->used = behind(ring, ring->used, n);
	ring->slots_out = (uint16_t)(ring->slots_out - n);
}

bool fake_ring_reap(struct fake_ring *ring, uint32_t *id, uint32_t *len)
{
	if (!fake_ring_has_used(ring))
		return false;
	if (ring->layout == FAKE_PACKED) {
		reap_list(ring, id, len);
		return true;
	}
	uint64_t slot = ring->device + 4 + 8ull * (ring->used_seen % ring->size);
	const uint8_t *entry = fake_machine_driver_at(ring->machine, slot, 8);

	*id = load_le32(entry);
	*len = load_le32(entry + 4);
	ring->used_seen++;
	return true;
}

unsigned fake_ring_room(const struct fake_ring *ring)
{
	if (ring->layout == FAKE_PACKED)
		return (unsigned)ring->size - ring->slots_out;
	return ring->size - (unsigned)(uint16_t)(ring->avail_idx - ring->used_seen);
}

void fake_ring_want_call(const struct fake_ring *ring, unsigned ahead)
{
	struct fake_slot slot = behind(ring, ring->used, ahead);

	if (ring->layout == FAKE_PACKED)
		fake_ring_set_driver_event(ring, (uint16_t)(slot.at | (slot.wrap ? 0x8000 : 0)),
					   ring->event_idx ? EVENT_AT : EVENT_ALL);
	else if (ring->event_idx)
		fake_ring_set_used_event(ring, (uint16_t)(ring->used_seen + ahead));
	else
		fake_ring_set_avail_flags(ring, 0);
}

void fake_ring_refuse_calls(const struct fake_ring *ring)
{
	if (ring->layout == FAKE_PACKED)
		fake_ring_set_driver_event(ring, 0, EVENT_NONE);
	else if (ring->event_idx)
		fake_ring_set_used_event(ring, (uint16_t)(ring->used_seen - 1));
	else
		fake_ring_set_avail_flags(ring, 1);
}

static bool packed_must_kick(struct fake_ring *ring)
{
	uint32_t event = fake_ring_device_event(ring);
	unsigned n = ring->slots_added;

	ring->slots_added = 0;
	if (event >> 16 != EVENT_AT)
		return event >> 16 == EVENT_ALL && n > 0;
	/* One of the n slots before 'avail'? */
	for (unsigned k = 1; k <= n; k++) {
		struct fake_slot s = behind(ring, ring->avail, 2u * ring->size - k);
		if (s.at == (event & 0x7fff) && s.wrap == ((event & 0x8000) != 0))
			return true;
	}
	return false;
}

bool fake_ring_must_kick(struct fake_ring *ring)
{
	uint16_t old = ring->kicked_at;

	/* Between making available and looking at the device's wish. */
	atomic_thread_fence(memory_order_seq_cst);
	if (ring->layout == FAKE_PACKED)
		return packed_must_kick(ring);
	ring->kicked_at = ring->avail_idx;
	if (ring->kicked_at == old)
		return false;
	if (!ring->event_idx)
		return !(fake_ring_used_flags(ring) & 1);
	uint16_t event = fake_ring_avail_event(ring);
	return (uint16_t)(ring->avail_idx - event - 1) < (uint16_t)(ring->avail_idx - old);
}

uint32_t fake_ring_driver_event(const struct fake_ring *ring)
{
	return le32toh(atomic_load(at32(ring, ring->driver)));
}

void fake_ring_set_driver_event(const struct fake_ring *ring, uint16_t at, uint16_t flags)
{
	atomic_store(at32(ring, ring->driver), htole32(at | (uint32_t)flags << 16));
}

uint32_t fake_ring_device_event(const struct fake_ring *ring)
{
	return le32toh(atomic_load(at32(ring, ring->device)));
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
