/*
 * A treap in an arena.  Its priorities are random numbers that the guest cannot know, so that no
 * order of requests makes it deep.  Cutting a range out of it is a few steps, however many
 * mappings lie in the range; they are taken apart later, a bounded number at a time.
 *
 * Fields that are read while they may change are atomic, and relaxed: what a look saw counts only
 * if 'seq' says that nothing changed.
 */
#include "vmm/machine/iommu_map.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "vmm/base/error.h"

/* A look that takes longer than that asks whether the tree has changed under it. */
enum { STEPS_PER_LOOK = 64 };

#define get(at) atomic_load_explicit(at, memory_order_relaxed)
#define set(at, value) atomic_store_explicit(at, value, memory_order_relaxed)

typedef _Atomic uint32_t link;

static size_t arena_bytes(const struct iommu_map *map)
{
	return ((size_t)map->n_max + 1) * sizeof(struct iommu_mapping);
}

int iommu_map_init(struct iommu_map *map, uint32_t n_max)
{
	*map = (struct iommu_map){ .n_max = n_max, .fresh = 1 };
	void *p = mmap(NULL, arena_bytes(map), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return error_set(ENOMEM, "reserve room for %u mappings of an IOMMU", n_max);
	map->node = p;
	if (getrandom(&map->random, sizeof(map->random), GRND_NONBLOCK) < 0)
		map->random = (uintptr_t)p;
	map->random |= 1;
	return 0;
}

void iommu_map_fini(struct iommu_map *map)
{
	if (map->node)
		munmap(map->node, arena_bytes(map));
	map->node = NULL;
}

/* xorshift64 */
static uint32_t draw(struct iommu_map *map)
{
	map->random ^= map->random << 13;
	map->random ^= map->random >> 7;
	map->random ^= map->random << 17;
	return (uint32_t)(map->random >> 32);
}

/* --- The tree -------------------------------------------------------------------------------- */

static void begin_change(struct iommu_map *map)
{
	atomic_store(&map->seq, get(&map->seq) + 1);
	atomic_thread_fence(memory_order_release);
}

static void end_change(struct iommu_map *map)
{
	atomic_store(&map->seq, get(&map->seq) + 1);
}

/* Take a tree apart: what begins below 'key', and the rest. */
static void split(const struct iommu_map *map, uint32_t at, uint64_t key, link *below, link *rest)
{
	while (at) {
		struct iommu_mapping *node = &map->node[at];

		if (get(&node->first) < key) {
			set(below, at);
			below = &node->right;
			at = get(below);
		} else {
			set(rest, at);
			rest = &node->left;
			at = get(rest);
		}
	}
	set(below, 0);
	set(rest, 0);
}

/* Make one tree of two; all of 'a' is below all of 'b'. */
static uint32_t merge(const struct iommu_map *map, uint32_t a, uint32_t b)
{
	link root = 0, *at = &root;

	while (a && b) {
		bool a_is_up = map->node[a].priority > map->node[b].priority;

		set(at, a_is_up ? a : b);
		at = a_is_up ? &map->node[a].right : &map->node[b].left;
		if (a_is_up)
			a = get(at);
		else
			b = get(at);
	}
	set(at, a ? a : b);
	return get(&root);
}

/* The last mapping that begins at or below 'addr'; 0: none. */
static uint32_t find_below(const struct iommu_map *map, uint64_t addr)
{
	uint32_t at = get(&map->root), best = 0;

	while (at) {
		const struct iommu_mapping *node = &map->node[at];

		if (get(&node->first) <= addr) {
			best = at;
			at = get(&node->right);
		} else {
			at = get(&node->left);
		}
	}
	return best;
}

static uint32_t take_free(struct iommu_map *map)
{
	uint32_t at = map->free;

	if (at)
		map->free = map->node[at].next;
	else if (map->fresh <= map->n_max)
		at = map->fresh++;
	if (at)
		map->n++;
	return at;
}

static void put_free(struct iommu_map *map, uint32_t at)
{
	map->node[at].next = map->free;
	map->free = at;
	map->n--;
}

int iommu_map_insert(struct iommu_map *map, uint64_t first, uint64_t last, uint8_t *host,
		     uint32_t access)
{
	uint32_t below = find_below(map, last);

	if (below && get(&map->node[below].last) >= first)
		return -EEXIST;
	uint32_t new = take_free(map);
	struct iommu_mapping *node = &map->node[new];
	link *at = &map->root;

	if (!new)
		return -ENOSPC;
	node->priority = draw(map);
	begin_change(map);
	set(&node->first, first);
	set(&node->last, last);
	set(&node->host, host);
	set(&node->access, access);
	for (uint32_t n; (n = get(at)) && map->node[n].priority > node->priority;)
		at = get(&map->node[n].first) < first ? &map->node[n].right : &map->node[n].left;
	split(map, get(at), first, &node->left, &node->right);
	set(at, new);
	end_change(map);
	return 0;
}

/* Does a mapping lie partly on either side of the border between 'addr' - 1 and 'addr'? */
static bool is_inside_one(const struct iommu_map *map, uint64_t addr)
{
	uint32_t below = addr > 0 ? find_below(map, addr - 1) : 0;

	return below && get(&map->node[below].last) >= addr;
}

static void doom(struct iommu_map *map, uint32_t tree, uint64_t serial)
{
	map->node[tree].serial = serial;
	map->node[tree].next = 0;
	if (map->doomed)
		map->node[map->doomed_end].next = tree;
	else
		map->doomed = tree;
	map->doomed_end = tree;
}

int iommu_map_remove(struct iommu_map *map, uint64_t first, uint64_t last, uint64_t serial)
{
	link below, inside = 0, above = 0;

	if (is_inside_one(map, first) || (last < UINT64_MAX && is_inside_one(map, last + 1)))
		return -ERANGE;
	begin_change(map);
	split(map, get(&map->root), first, &below, &inside);
	if (last < UINT64_MAX)
		split(map, get(&inside), last + 1, &inside, &above);
	set(&map->root, merge(map, get(&below), get(&above)));
	end_change(map);
	if (get(&inside))
		doom(map, get(&inside), serial);
	return 0;
}

/* --- What was removed ------------------------------------------------------------------------ */

static void give_back(struct iommu_map *map, uint32_t at, uint64_t serial)
{
	struct iommu_mapping *node = &map->node[at];

	if (atomic_load(&node->pins) == 0) {
		put_free(map, at);
		return;
	}
	node->serial = serial;
	node->next = map->pinned;
	map->pinned = at;
}

/* Make another node the root of the oldest doomed tree; 0: there is nothing left of it. */
static void replace_doomed(struct iommu_map *map, uint32_t root, uint32_t next, uint64_t serial)
{
	if (!root) {
		map->doomed = next;
		return;
	}
	if (map->doomed_end == map->doomed)
		map->doomed_end = root;
	map->doomed = root;
	map->node[root].next = next;
	map->node[root].serial = serial;
}

/* Turn left branches into right ones until there is none at the root, and take the root away. */
static void collect_doomed(struct iommu_map *map)
{
	uint32_t root = map->doomed;
	struct iommu_mapping *node = &map->node[root];
	uint32_t next = node->next, left = get(&node->left), right = get(&node->right);
	uint64_t serial = node->serial;

	if (left) {
		set(&node->left, get(&map->node[left].right));
		set(&map->node[left].right, root);
		replace_doomed(map, left, next, serial);
		return;
	}
	replace_doomed(map, right, next, serial);
	give_back(map, root, serial);
}

static void collect_pinned(struct iommu_map *map)
{
	uint32_t *at = &map->pinned;

	while (*at) {
		uint32_t n = *at;
		struct iommu_mapping *node = &map->node[n];

		if (atomic_load(&node->pins) > 0) {
			at = &node->next;
			continue;
		}
		*at = node->next;
		put_free(map, n);
	}
}

void iommu_map_collect(struct iommu_map *map, unsigned budget, bool pinned)
{
	if (pinned)
		collect_pinned(map);
	for (; map->doomed && budget > 0; budget--)
		collect_doomed(map);
}

bool iommu_map_is_quiet(const struct iommu_map *map, uint64_t serial)
{
	if (map->doomed && map->node[map->doomed].serial <= serial)
		return false;
	for (uint32_t at = map->pinned; at; at = map->node[at].next)
		if (map->node[at].serial == serial)
			return false;
	return true;
}

/* --- Looking --------------------------------------------------------------------------------- */

static void take_a_breath(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

/* Returns false if the tree changed under the look, which then means nothing. */
static bool look(const struct iommu_map *map, uint64_t addr, uint64_t seq, uint32_t *found)
{
	uint32_t at = get(&map->root);

	*found = 0;
	for (unsigned step = 1; at; step++) {
		const struct iommu_mapping *node = &map->node[at];

		if (get(&node->first) <= addr) {
			*found = at;
			at = get(&node->right);
		} else {
			at = get(&node->left);
		}
		/* What changes meanwhile may even lead in a circle. */
		if (step % STEPS_PER_LOOK == 0 && atomic_load(&map->seq) != seq)
			return false;
	}
	return true;
}

bool iommu_map_find(const struct iommu_map *map, uint64_t addr, struct iommu_view *out)
{
	for (;; take_a_breath()) {
		uint64_t seq = atomic_load_explicit(&map->seq, memory_order_acquire);
		uint32_t at;

		if (seq & 1 || !look(map, addr, seq, &at))
			continue;
		struct iommu_mapping *node = &map->node[at];

		*out = (struct iommu_view){
			.seq = seq,
			.first = get(&node->first),
			.last = get(&node->last),
			.host = get(&node->host),
			.access = get(&node->access),
			.mapping = node,
		};
		atomic_thread_fence(memory_order_acquire);
		if (get(&map->seq) == seq)
			return at && addr <= out->last;
	}
}
