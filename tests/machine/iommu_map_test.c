/* The mappings of a domain against a plain array, and looks beside changes. */
#include "vmm/machine/iommu_map.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { PAGES = 64, PAGE = 4096 };

static uint8_t memory[PAGES * PAGE];

static struct iommu_map new_map(uint32_t n)
{
	struct iommu_map map;

	cr_assert_eq(iommu_map_init(&map, n), 0);
	return map;
}

Test(iommu_map, finds_what_was_mapped_and_nothing_beside_it)
{
	struct iommu_map map = new_map(8);
	struct iommu_view view;

	cr_assert_eq(iommu_map_insert(&map, 0x1000, 0x2fff, memory, IOMMU_READ), 0);
	cr_assert_eq(iommu_map_insert(&map, UINT64_MAX - 0xfff, UINT64_MAX, memory, IOMMU_WRITE), 0);
	cr_expect_not(iommu_map_find(&map, 0xfff, &view));
	cr_expect_not(iommu_map_find(&map, 0x3000, &view));
	cr_assert(iommu_map_find(&map, 0x2fff, &view));
	cr_expect_eq(view.first, 0x1000);
	cr_expect_eq(view.last, 0x2fff);
	cr_expect_eq(view.host, memory);
	cr_expect_eq(view.access, IOMMU_READ);
	cr_assert(iommu_map_find(&map, UINT64_MAX, &view));
	cr_expect_eq(iommu_map_remove(&map, 0, UINT64_MAX, 1), 0);
	cr_expect_not(iommu_map_find(&map, 0x1000, &view));
	iommu_map_fini(&map);
}

Test(iommu_map, is_full_when_it_is_full_and_gives_back_what_was_removed)
{
	struct iommu_map map = new_map(4);

	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < 4; i++)
			cr_assert_eq(iommu_map_insert(&map, i * PAGE, i * PAGE + PAGE - 1, memory, 3), 0);
		cr_expect_eq(iommu_map_insert(&map, 9 * PAGE, 10 * PAGE - 1, memory, 3), -ENOSPC);
		cr_assert_eq(iommu_map_remove(&map, 0, UINT64_MAX, round + 1), 0);
		cr_expect_not(iommu_map_is_quiet(&map, round + 1));
		/* A bounded piece at a time, however much was removed at once. */
		iommu_map_collect(&map, 1, false);
		cr_expect_not(iommu_map_is_quiet(&map, round + 1));
		iommu_map_collect(&map, 100, false);
		cr_expect(iommu_map_is_quiet(&map, round + 1));
		cr_expect_eq(map.n, 0);
	}
	iommu_map_fini(&map);
}

Test(iommu_map, what_is_pinned_is_not_given_back_before)
{
	struct iommu_map map = new_map(4);
	struct iommu_view view;

	cr_assert_eq(iommu_map_insert(&map, 0, PAGE - 1, memory, 3), 0);
	cr_assert(iommu_map_find(&map, 0, &view));
	cr_assert(iommu_map_pin(&map, &view));
	cr_assert_eq(iommu_map_remove(&map, 0, PAGE - 1, 7), 0);
	/* Removed all the same: there is room for another one at once, and nobody finds the old. */
	cr_assert_eq(iommu_map_insert(&map, 0, PAGE - 1, memory + PAGE, 3), 0);
	iommu_map_collect(&map, 100, true);
	cr_expect_not(iommu_map_is_quiet(&map, 7));
	cr_expect(iommu_map_is_quiet(&map, 6));
	iommu_mapping_unpin(view.mapping);
	cr_expect_not(iommu_map_is_quiet(&map, 7));
	iommu_map_collect(&map, 0, true);
	cr_expect(iommu_map_is_quiet(&map, 7));
	iommu_map_fini(&map);
}

Test(iommu_map, a_pin_on_what_changed_since_is_refused)
{
	struct iommu_map map = new_map(4);
	struct iommu_view view;

	cr_assert_eq(iommu_map_insert(&map, 0, PAGE - 1, memory, 3), 0);
	cr_assert(iommu_map_find(&map, 0, &view));
	cr_assert_eq(iommu_map_remove(&map, 0, PAGE - 1, 1), 0);
	cr_expect_not(iommu_map_pin(&map, &view));
	iommu_map_collect(&map, 100, true);
	cr_expect(iommu_map_is_quiet(&map, 1));
	iommu_map_fini(&map);
}

/* --- Against a model ------------------------------------------------------------------------- */

/* For each page the number of the mapping that it is in, 0: none. */
struct model {
	unsigned page[PAGES], next;
};

static bool model_insert(struct model *m, unsigned a, unsigned b)
{
	for (unsigned i = a; i <= b; i++)
		if (m->page[i])
			return false;
	m->next++;
	for (unsigned i = a; i <= b; i++)
		m->page[i] = m->next;
	return true;
}

static bool model_remove(struct model *m, unsigned a, unsigned b)
{
	if ((a > 0 && m->page[a] && m->page[a - 1] == m->page[a]) ||
	    (b + 1 < PAGES && m->page[b] && m->page[b + 1] == m->page[b]))
		return false;
	for (unsigned i = a; i <= b; i++)
		m->page[i] = 0;
	return true;
}

static void compare(const struct iommu_map *map, const struct model *m)
{
	for (unsigned i = 0; i < PAGES; i++) {
		struct iommu_view view;
		bool found = iommu_map_find(map, (uint64_t)i * PAGE + i, &view);

		cr_assert_eq(found, m->page[i] != 0);
		if (found)
			cr_assert_eq(view.host + ((uint64_t)i * PAGE - view.first),
				     memory + (size_t)i * PAGE);
	}
}

Test(iommu_map, does_what_a_plain_array_does)
{
	struct iommu_map map = new_map(PAGES);
	struct model model = { .next = 0 };

	srand(4);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned a = (unsigned)rand() % PAGES, b = a + (unsigned)rand() % (PAGES - a);
		uint64_t first = (uint64_t)a * PAGE, last = (uint64_t)b * PAGE + PAGE - 1;

		if (rand() % 8)
			b = a + (b - a) % 4, last = (uint64_t)b * PAGE + PAGE - 1;
		if (rand() % 2)
			cr_assert_eq(iommu_map_insert(&map, first, last,
						      memory + (size_t)a * PAGE, 3) == 0,
				     model_insert(&model, a, b));
		else
			cr_assert_eq(iommu_map_remove(&map, first, last, step) == 0,
				     model_remove(&model, a, b));
		iommu_map_collect(&map, PAGES, true);
		if (step % 16 == 0)
			compare(&map, &model);
	}
	iommu_map_fini(&map);
}

/* --- Looks beside changes -------------------------------------------------------------------- */

enum { STEADY = 1 << 20 };

static struct iommu_map shared;
static atomic_bool done;

/* What nobody removes is found each time, where it is; pins are good. */
static void *look(void *arg)
{
	unsigned long n = 0;

	(void)arg;
	while (!atomic_load(&done)) {
		struct iommu_view view;

		cr_assert(iommu_map_find(&shared, STEADY + 5, &view));
		cr_assert_eq(view.first, STEADY);
		cr_assert_eq(view.host, memory);
		if (iommu_map_find(&shared, n % PAGES * PAGE, &view) &&
		    iommu_map_pin(&shared, &view)) {
			cr_assert_eq(view.host, memory + view.first);
			iommu_mapping_unpin(view.mapping);
		}
		n++;
	}
	return NULL;
}

Test(iommu_map, a_look_beside_changes_sees_what_is_there)
{
	pthread_t thread;

	shared = new_map(4 * PAGES);
	cr_assert_eq(iommu_map_insert(&shared, STEADY, STEADY + PAGE - 1, memory, 3), 0);
	cr_assert_eq(pthread_create(&thread, NULL, look, NULL), 0);
	srand(5);
	for (unsigned step = 0; step < 200000; step++) {
		uint64_t at = (uint64_t)rand() % PAGES * PAGE;

		if (rand() % 2)
			(void)iommu_map_insert(&shared, at, at + PAGE - 1, memory + at, 3);
		else
			(void)iommu_map_remove(&shared, at, at + PAGE - 1, step);
		iommu_map_collect(&shared, 4, true);
	}
	atomic_store(&done, true);
	pthread_join(thread, NULL);
	iommu_map_collect(&shared, 1000, true);
	(void)!iommu_map_remove(&shared, 0, UINT64_MAX, UINT64_MAX);
	iommu_map_collect(&shared, 1000, true);
	cr_expect_eq(shared.n, 0);
	iommu_map_fini(&shared);
}
