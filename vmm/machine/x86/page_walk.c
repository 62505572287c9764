#include "vmm/machine/x86/page_walk.h"

#include <string.h>

enum {
	CR0_PG = 1u << 31,
	CR4_PSE = 1 << 4,
	CR4_PAE = 1 << 5,
	CR4_LA57 = 1 << 12,
	EFER_LMA = 1 << 10,
	ENTRY_PRESENT = 1 << 0,
	ENTRY_LARGE = 1 << 7,
	PAGE_BITS = 12,
	ENTRIES = 512,		/* of a table with entries of 8 bytes */
};

#define ENTRY_ADDRESS UINT64_C(0x000ffffffffff000)

/* How a mode's tables are built. */
struct shape {
	unsigned levels;
	unsigned entry_size;
	unsigned bits;		/* of an address, for each level but PAE's first */
	uint64_t root_mask;	/* of CR3 */
};

static const struct shape shapes[] = {
	[PAGE_MODE_NONE] = { 0 },
	[PAGE_MODE_32] = { 2, 4, 10, 0xfffff000 },
	[PAGE_MODE_PAE] = { 3, 8, 9, 0xffffffe0 },
	[PAGE_MODE_4_LEVEL] = { 4, 8, 9, ENTRY_ADDRESS },
	[PAGE_MODE_5_LEVEL] = { 5, 8, 9, ENTRY_ADDRESS },
};

enum page_mode page_mode(const struct paging *paging)
{
	if (!(paging->cr0 & CR0_PG))
		return PAGE_MODE_NONE;
	if (!(paging->cr4 & CR4_PAE))
		return PAGE_MODE_32;
	if (!(paging->efer & EFER_LMA))
		return PAGE_MODE_PAE;
	return paging->cr4 & CR4_LA57 ? PAGE_MODE_5_LEVEL : PAGE_MODE_4_LEVEL;
}

/* One entry, read once.  False if it is not in RAM. */
static bool read_entry(const struct guest_memory *mem, gpa_t at, unsigned size, uint64_t *out)
{
	const void *p = guest_memory_at(mem, at, size);
	uint32_t half;

	if (!p)
		return false;
	if (size == sizeof(*out)) {
		*out = __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
	} else {
		half = __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
		*out = half;
	}
	return true;
}

/* Is an entry 'shift' bits above the last one a page and not a table? */
static bool is_page(enum page_mode mode, const struct paging *paging, unsigned shift,
		    uint64_t entry)
{
	if (shift == PAGE_BITS)
		return true;
	if (!(entry & ENTRY_LARGE))
		return false;
	if (mode == PAGE_MODE_32)
		return paging->cr4 & CR4_PSE;
	return shift == 21 || (shift == 30 && mode != PAGE_MODE_PAE);
}

/* The page of 2^shift bytes that 'entry' names. */
static gpa_t page_base(enum page_mode mode, unsigned shift, uint64_t entry)
{
	gpa_t base = entry & ENTRY_ADDRESS & ~((UINT64_C(1) << shift) - 1);

	/* Bits 13-20 of a 4 MiB page are bits 32-39 of its address (PSE-36). */
	if (mode == PAGE_MODE_32 && shift == 22)
		base = (entry & 0xffc00000) | (entry & 0x1fe000) << 19;
	return base;
}

/* Is it an address at all?  The bits above those that count are copies of the highest one. */
static bool is_canonical(enum page_mode mode, uint64_t address)
{
	unsigned unused = mode == PAGE_MODE_5_LEVEL ? 7 : 16;

	if (mode < PAGE_MODE_4_LEVEL)
		return address <= UINT32_MAX;
	return (uint64_t)((int64_t)(address << unused) >> unused) == address;
}

bool page_walk(const struct guest_memory *mem, const struct paging *paging, uint64_t address,
	       gpa_t *out, uint64_t *room)
{
	enum page_mode mode = page_mode(paging);
	const struct shape *shape = &shapes[mode];
	gpa_t table = paging->cr3 & shape->root_mask;
	uint64_t entry, mask;

	if (mode == PAGE_MODE_NONE) {
		*out = address;
		if (room)
			*room = 4096 - address % 4096;
		return true;
	}
	if (!is_canonical(mode, address))
		return false;
	for (unsigned level = shape->levels; level > 0; level--) {
		unsigned shift = PAGE_BITS + (level - 1) * shape->bits;
		uint64_t index = address >> shift & ((1u << shape->bits) - 1);

		if (!read_entry(mem, table + index * shape->entry_size, shape->entry_size,
				&entry) ||
		    !(entry & ENTRY_PRESENT))
			return false;
		if (is_page(mode, paging, shift, entry)) {
			mask = (UINT64_C(1) << shift) - 1;
			*out = page_base(mode, shift, entry) | (address & mask);
			if (room)
				*room = mask + 1 - (address & mask);
			return true;
		}
		table = entry & (mode == PAGE_MODE_32 ? 0xfffff000 : ENTRY_ADDRESS);
	}
	return false;
}

size_t page_read(const struct guest_memory *mem, const struct paging *paging, uint64_t address,
		 void *buf, size_t len)
{
	uint8_t *to = buf;
	size_t done = 0;

	while (done < len) {
		uint64_t room;
		gpa_t gpa;

		if (address + done < address ||
		    !page_walk(mem, paging, address + done, &gpa, &room))
			break;
		size_t piece = min_u64(min_u64(room, 4096 - gpa % 4096), len - done);
		const void *from = guest_memory_at(mem, gpa, piece);
		if (!from)
			break;
		memcpy(to + done, from, piece);
		done += piece;
	}
	return done;
}

/* --- All that is mapped ---------------------------------------------------------------------- */

struct collector {
	const struct guest_memory *mem;
	const struct paging *paging;
	enum page_mode mode;
	struct page_piece *out;
	unsigned n, max, budget;
};

static bool is_full(const struct collector *c)
{
	return c->n == c->max || c->budget == 0;
}

static void add_piece(struct collector *c, uint64_t address, gpa_t gpa, uint64_t size)
{
	struct page_piece *last = c->n ? &c->out[c->n - 1] : NULL;
	uint64_t room = guest_memory_room(c->mem, gpa);

	if (room == 0)
		return;
	size = min_u64(size, room);
	if (last && last->address + last->size == address && last->gpa + last->size == gpa &&
	    guest_memory_at(c->mem, last->gpa, last->size + size))
		last->size += size;
	else if (c->n < c->max)
		c->out[c->n++] = (struct page_piece){ address, size, gpa };
}

/* Entries [first, first + n) of the table at 'table', which begins at 'address'. */
static void collect(struct collector *c, gpa_t table, unsigned level, uint64_t address,
		    unsigned first, unsigned n)
{
	unsigned shift = PAGE_BITS + (level - 1) * 9;
	uint64_t entry;

	for (unsigned i = first; i < first + n && !is_full(c); i++) {
		uint64_t at = address + ((uint64_t)i << shift);

		c->budget--;
		if (!read_entry(c->mem, table + i * 8, 8, &entry) || !(entry & ENTRY_PRESENT))
			continue;
		if (is_page(c->mode, c->paging, shift, entry))
			add_piece(c, at, page_base(c->mode, shift, entry), UINT64_C(1) << shift);
		else if (level > 1)
			collect(c, entry & ENTRY_ADDRESS, level - 1, at, 0, ENTRIES);
	}
}

unsigned page_pieces(const struct guest_memory *mem, const struct paging *paging,
		     struct page_piece *out, unsigned max, unsigned budget)
{
	struct collector c = {
		.mem = mem, .paging = paging, .mode = page_mode(paging), .out = out, .max = max,
		.budget = budget,
	};
	unsigned levels = shapes[c.mode].levels;
	uint64_t upper;

	if (c.mode < PAGE_MODE_4_LEVEL)
		return 0;
	/* So that entry 256 of the root begins where the addresses with all high bits set do. */
	upper = UINT64_MAX << (PAGE_BITS + levels * 9);
	collect(&c, paging->cr3 & ENTRY_ADDRESS, levels, upper, ENTRIES / 2, ENTRIES / 2);
	collect(&c, paging->cr3 & ENTRY_ADDRESS, levels, 0, 0, ENTRIES / 2);
	return c.n;
}
