#include "devices/balloon_hints.h"

enum { PAGE = 4096 };

void balloon_hints_reset(struct balloon_hints *hints)
{
	atomic_store(&hints->wanted, HINT_STOP);
	atomic_store(&hints->driver_id, HINT_STOP);
	atomic_store(&hints->finished, HINT_STOP);
	atomic_store(&hints->bytes, 0);
}

uint32_t balloon_hints_begin(struct balloon_hints *hints)
{
	uint32_t id = hints->last_id < HINT_FIRST_ID ? HINT_FIRST_ID : hints->last_id + 1;

	/*
	 * virtio-v1.4 5.5.6.5.2 "Device Requirements: Free Page Hinting": not again before the
	 * driver has sent STOP.  After 2^32 sessions.
	 */
	if (hints->last_id == UINT32_MAX) {
		if (atomic_load(&hints->driver_id) != HINT_STOP)
			return 0;
		id = HINT_FIRST_ID;
	}
	hints->last_id = id;
	atomic_store(&hints->wanted, id);
	return id;
}

uint32_t balloon_hints_end(struct balloon_hints *hints)
{
	uint32_t id = atomic_exchange(&hints->wanted, HINT_STOP);

	/* The order of the driver: its id, pages, STOP. */
	if (id != HINT_STOP && atomic_load(&hints->driver_id) == id)
		return HINT_STOP;
	return HINT_DONE;
}

bool balloon_hints_settle(struct balloon_hints *hints)
{
	uint32_t id = atomic_load(&hints->finished);

	if (id == HINT_STOP || id != hints->last_id)
		return false;
	atomic_store(&hints->wanted, HINT_STOP);
	return true;
}

bool balloon_hints_command(struct balloon_hints *hints, uint32_t id)
{
	uint32_t before = atomic_load(&hints->driver_id);

	atomic_store(&hints->driver_id, id);
	if (id >= HINT_FIRST_ID && id != before)
		atomic_store(&hints->bytes, 0);
	if (id != HINT_STOP || before < HINT_FIRST_ID)
		return false;
	atomic_store(&hints->finished, before);
	return true;
}

void balloon_hints_page(struct balloon_hints *hints, uintptr_t addr, uint64_t len)
{
	uint32_t wanted = atomic_load(&hints->wanted);
	uint64_t start = align_up(addr, PAGE), end = (addr + len) & ~(uint64_t)(PAGE - 1);

	/* virtio-v1.4 5.5.6.5.2 "Device Requirements: Free Page Hinting": others are ignored. */
	if (wanted == HINT_STOP || atomic_load(&hints->driver_id) != wanted)
		return;
	if (start < end)
		atomic_fetch_add(&hints->bytes, end - start);
}
