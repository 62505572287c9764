/*
 * The mappings of one domain of an IOMMU: disjoint ranges of device addresses, each somewhere in
 * guest memory.  One thread at a time changes them (the caller's lock); any number looks addresses
 * up meanwhile and takes no lock: a look that a change overlapped begins anew.
 *
 * A mapping that was looked up can be pinned.  What is removed is gone for every later look at
 * once, and given back when nobody has a pin on it any more.  Nothing is allocated after
 * iommu_map_init().
 */
#ifndef MACHINE_IOMMU_MAP_H
#define MACHINE_IOMMU_MAP_H

#include <stdatomic.h>

#include "vmm/base/util.h"

enum iommu_access { IOMMU_READ = 1, IOMMU_WRITE = 2 };

/* A node of a treap: a search tree by 'first', a heap by 'priority'.  Index 0 is nobody. */
struct iommu_mapping {
	_Atomic uint64_t first, last;		/* both inside */
	_Atomic(uint8_t *) host;		/* where 'first' is */
	_Atomic uint32_t left, right;
	_Atomic uint32_t access;		/* enum iommu_access */
	uint32_t priority;
	atomic_uint pins;
	uint32_t next;				/* in a list of free, doomed or pinned ones */
	uint64_t serial;			/* when it was removed */
};

struct iommu_map {
	struct iommu_mapping *node;		/* n_max + 1; address space, used when touched */
	uint32_t n_max, n;			/* mappings that are not free yet */
	uint32_t free, fresh;			/* list of free ones; the first never used */
	_Atomic uint32_t root;
	_Atomic uint64_t seq;			/* odd while it changes */
	uint64_t random;
	uint32_t doomed, doomed_end;		/* list of trees that were removed, oldest first */
	uint32_t pinned;			/* list of removed ones that have a pin */
};

/* A mapping as it was found. */
struct iommu_view {
	uint64_t seq;				/* of the map at that time */
	uint64_t first, last;
	uint8_t *host;
	uint32_t access;
	struct iommu_mapping *mapping;
};

/* An empty map for up to 'n_max' mappings.  Returns 0, or -ENOMEM with an error chain. */
MUST_USE int iommu_map_init(struct iommu_map *map, uint32_t n_max);
/* Zeroed ones are fine. */
void iommu_map_fini(struct iommu_map *map);

/*
 * Map [first, last] to 'host'.  Returns 0; -EEXIST if something is mapped there; -ENOSPC if there
 * are too many, which those count for that were removed and are not given back.  No error chain.
 */
int iommu_map_insert(struct iommu_map *map, uint64_t first, uint64_t last, uint8_t *host,
		     uint32_t access);

/*
 * Remove every mapping that lies within [first, last].  Returns 0, also when there is none; -ERANGE
 * if one lies there in part: nothing is removed then.  No error chain.  'serial' (larger than the
 * last one) is for iommu_map_is_quiet().  The time does not grow with their number.
 */
int iommu_map_remove(struct iommu_map *map, uint64_t first, uint64_t last, uint64_t serial);

/*
 * Give back up to about 'budget' of what was removed.  With 'pinned', also look whether those that
 * had a pin still have one.
 */
void iommu_map_collect(struct iommu_map *map, unsigned budget, bool pinned);

/* Was everything given back that was removed by change 'serial'? */
bool iommu_map_is_quiet(const struct iommu_map *map, uint64_t serial);

/* Find the mapping of 'addr'.  Returns false if there is none.  Any thread, no lock. */
bool iommu_map_find(const struct iommu_map *map, uint64_t addr, struct iommu_view *out);

/*
 * Pin what was found.  Returns false if the map changed since then: look again.  Any thread, no
 * lock.
 */
static inline bool iommu_map_pin(const struct iommu_map *map, const struct iommu_view *view)
{
	/*
	 * Sequentially consistent, both, as their counterparts: whoever removes a mapping changes
	 * 'seq' and looks at the pins then.  So it sees this pin, or this sees the change.
	 */
	atomic_fetch_add(&view->mapping->pins, 1);
	if (atomic_load(&map->seq) == view->seq)
		return true;
	atomic_fetch_sub_explicit(&view->mapping->pins, 1, memory_order_release);
	return false;
}

/* Everything that was done to the memory happens before it is seen to be given back. */
static inline void iommu_mapping_unpin(struct iommu_mapping *mapping)
{
	atomic_fetch_sub_explicit(&mapping->pins, 1, memory_order_release);
}

#endif
