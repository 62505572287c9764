/*
 * From an address as a guest's CPU sees it to one of its memory, by the guest's own page tables.
 * For those who look at a guest, not for those who run it: nothing is marked as accessed, and no
 * right is checked.  Tables may be anything; the work is bounded by their depth.
 * Intel SDM volume 3, chapter 4 "Paging".
 */
#ifndef MACHINE_X86_PAGE_WALK_H
#define MACHINE_X86_PAGE_WALK_H

#include "vmm/base/util.h"
#include "vmm/machine/guest_memory.h"

/* The registers that decide. */
struct paging {
	uint64_t cr0, cr3, cr4, efer;
};

/* How they say that addresses are translated. */
enum page_mode {
	PAGE_MODE_NONE,
	PAGE_MODE_32,
	PAGE_MODE_PAE,
	PAGE_MODE_4_LEVEL,
	PAGE_MODE_5_LEVEL,
};
enum page_mode page_mode(const struct paging *paging);

/*
 * Where 'address' leads to; '*room' (may be NULL) is how many bytes from there on are of the same
 * page, which may be outside of RAM.  Returns false where nothing is mapped, or a table is not in
 * RAM.  Any thread: the guest may run.
 */
bool page_walk(const struct guest_memory *mem, const struct paging *paging, uint64_t address,
	       gpa_t *out, uint64_t *room);

/* Copy up to 'len' bytes from there, as far as they can be had.  Returns how many.  Any thread. */
size_t page_read(const struct guest_memory *mem, const struct paging *paging, uint64_t address,
		 void *buf, size_t len);

/*
 * A piece of a guest's address space: 'size' bytes at 'address' are those at 'gpa'.  Neighbours
 * that go on in both are one piece.
 */
struct page_piece {
	uint64_t address, size;
	gpa_t gpa;
};

/*
 * What is mapped to RAM in the upper half of 64-bit tables (kernels live there), then in the lower
 * one: up to 'max' pieces in 'out', in this order.  At most 'budget' entries are looked at.
 * Returns how many; 0 for other modes.  Any thread.
 */
unsigned page_pieces(const struct guest_memory *mem, const struct paging *paging,
		     struct page_piece *out, unsigned max, unsigned budget);

#endif
