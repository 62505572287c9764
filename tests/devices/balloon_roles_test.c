/*
 * Which queue does what: every set that can be offered, every subset of it that a driver may
 * accept, in each numbering, and sets of queues that fit none.
 */
#include <criterion/criterion.h>

#include "devices/balloon_roles.h"

enum { N_OPTIONAL = 3, ALL = (1 << N_OPTIONAL) - 1 };

static const enum feature_bit bit[N_OPTIONAL] = {
	VIRTIO_BALLOON_F_STATS_VQ, VIRTIO_BALLOON_F_FREE_PAGE_HINT,
	VIRTIO_BALLOON_F_PAGE_REPORTING,
};
static const enum balloon_role role_of[N_OPTIONAL] = {
	BALLOON_STATS, BALLOON_HINTING, BALLOON_REPORTING,
};

enum { S = 1, H = 2, R = 4 };

/* The set in which bit i stands for optional feature i, and the other features of 'others'. */
static struct features set_of(unsigned optional, unsigned others)
{
	static const enum feature_bit other[] = {
		VIRTIO_BALLOON_F_MUST_TELL_HOST, VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
		VIRTIO_BALLOON_F_PAGE_POISON,
	};
	struct features f = FEATURES_EMPTY;

	features_add(&f, VIRTIO_F_VERSION_1);
	for (unsigned i = 0; i < N_OPTIONAL; i++) {
		if (optional >> i & 1)
			features_add(&f, bit[i]);
		if (others >> i & 1)
			features_add(&f, other[i]);
	}
	return f;
}

static void assign(enum balloon_role role[BALLOON_QUEUES], unsigned offered, unsigned accepted,
		   unsigned queues)
{
	struct features o = set_of(offered, 0), a = set_of(accepted, 0);

	balloon_roles_assign(role, &o, &a, queues | 3);
}

/* A driver's own idea of where the queue of feature 'i' is. */
typedef unsigned (*numbering_fn)(unsigned offered, unsigned accepted, unsigned i);

static unsigned count_below(unsigned set, unsigned i)
{
	return (unsigned)__builtin_popcount(set & ((1u << i) - 1));
}

static unsigned literal(unsigned offered, unsigned accepted, unsigned i)
{
	(void)offered;
	(void)accepted;
	return 2 + i;
}

static unsigned dense_accepted(unsigned offered, unsigned accepted, unsigned i)
{
	(void)offered;
	return 2 + count_below(accepted, i);
}

static unsigned dense_offered(unsigned offered, unsigned accepted, unsigned i)
{
	(void)accepted;
	return 2 + count_below(offered, i);
}

static const numbering_fn numberings[] = { literal, dense_accepted, dense_offered };

/* A driver that accepted 'a' of 'o' and numbers the optional three of it with 'number'. */
static void expect_right(const struct features *o, const struct features *a, unsigned offered,
			 unsigned accepted, numbering_fn number)
{
	enum balloon_role role[BALLOON_QUEUES];
	unsigned queues = 3;

	for (unsigned i = 0; i < N_OPTIONAL; i++)
		if (accepted >> i & 1)
			queues |= 1u << number(offered, accepted, i);
	balloon_roles_assign(role, o, a, queues);
	cr_assert_eq(role[0], BALLOON_INFLATE);
	cr_assert_eq(role[1], BALLOON_DEFLATE);
	for (unsigned i = 0; i < N_OPTIONAL; i++)
		if (accepted >> i & 1)
			cr_assert_eq(role[number(offered, accepted, i)], role_of[i],
				     "offered %u, accepted %u, feature %u", offered, accepted, i);
}

/* N21 N22  covers: BALLOON-VQ-01, BALLOON-VQ-05, BALLOON-VQ-06, BALLOON-VQ-07 */
Test(balloon_roles, every_set_and_subset_works_in_every_numbering)
{
	unsigned n = 0;

	/* Bits 0-2: the optional three; bits 3-5: the others. */
	for (unsigned offered = 0; offered < 64; offered++)
		for (unsigned accepted = 0; accepted < 64; accepted++) {
			struct features o = set_of(offered & ALL, offered >> 3);
			struct features a = set_of(accepted & ALL, accepted >> 3);

			if (accepted & ~offered)
				continue;
			for (unsigned k = 0; k < ARRAY_SIZE(numberings); k++, n++)
				expect_right(&o, &a, offered & ALL, accepted & ALL, numberings[k]);
		}
	/* 27 pairs of a set and a subset, for the optional three and for the others. */
	cr_assert_eq(n, 27 * 27 * 3);
}

/* covers: BALLOON-VQ-02, BALLOON-VQ-03, BALLOON-VQ-04, BALLOON-VQ-08 */
Test(balloon_roles, no_queue_gets_a_role_that_was_not_accepted_or_twice)
{
	for (unsigned offered = 0; offered <= ALL; offered++)
		for (unsigned accepted = 0; accepted <= ALL; accepted++)
			for (unsigned queues = 0; queues < 32; queues++) {
				struct features o = set_of(offered, 0), a = set_of(accepted, 0);
				enum balloon_role role[BALLOON_QUEUES];
				unsigned seen = 0;

				if (accepted & ~offered)
					continue;
				balloon_roles_assign(role, &o, &a, queues);
				for (unsigned i = 0; i < BALLOON_QUEUES; i++) {
					if (role[i] == BALLOON_INERT)
						continue;
					cr_assert(queues >> i & 1, "a role without a queue");
					cr_assert_not(seen >> role[i] & 1, "a role twice");
					seen |= 1u << role[i];
					for (unsigned f = 0; f < N_OPTIONAL; f++)
						cr_assert(role[i] != role_of[f] ||
							  accepted >> f & 1);
				}
				cr_assert_eq(seen >> BALLOON_INFLATE & 1, queues & 1);
				cr_assert_eq(seen >> BALLOON_DEFLATE & 1, queues >> 1 & 1);
			}
}

/* Rules 2 to 4 of the header, by example.  N21 */
Test(balloon_roles, ambiguous_sets_go_by_the_rule)
{
	static const struct {
		unsigned offered, accepted, queues;
		enum balloon_role role[3];	/* of queues 2, 3, 4 */
	} table[] = {
		/* More queues than features: the literal numbering if it fits. */
		{ ALL, R, 0x1c, { 0, 0, BALLOON_REPORTING } },
		{ R, R, 0x1c, { 0, 0, BALLOON_REPORTING } },
		{ S | R, S | R, 0x1c, { BALLOON_STATS, 0, BALLOON_REPORTING } },
		{ H, H, 0x0c, { 0, BALLOON_HINTING, 0 } },
		/* Else the one over what was offered: all queues of a QEMU, but fewer features. */
		{ S | R, R, 0x0c, { 0, BALLOON_REPORTING, 0 } },
		{ H | R, R, 0x0c, { 0, BALLOON_REPORTING, 0 } },
		/* Only what nobody could mean is left: nothing. */
		{ ALL, R, 0x0c, { 0, 0, 0 } },
		{ ALL, R, 0x08, { 0, 0, 0 } },
		{ 0, 0, 0x1c, { 0, 0, 0 } },
		/* Fewer queues than features: where all readings agree. */
		{ ALL, ALL, 0x10, { 0, 0, BALLOON_REPORTING } },
		{ ALL, ALL, 0x14, { BALLOON_STATS, 0, BALLOON_REPORTING } },
		{ S | R, S | R, 0x04, { BALLOON_STATS, 0, 0 } },
		{ S | R, S | R, 0x08, { 0, BALLOON_REPORTING, 0 } },
		{ S | R, S | R, 0x10, { 0, 0, BALLOON_REPORTING } },
		/* Hinting by the letter, reporting by counting: nothing that could do harm. */
		{ H | R, H | R, 0x08, { 0, 0, 0 } },
		{ H | R, H | R, 0x04, { BALLOON_HINTING, 0, 0 } },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		enum balloon_role role[BALLOON_QUEUES];

		assign(role, table[i].offered, table[i].accepted, table[i].queues);
		for (unsigned q = 0; q < 3; q++)
			cr_expect_eq(role[2 + q], table[i].role[q], "line %u, queue %u: %s", i,
				     2 + q, balloon_role_name(role[2 + q]));
	}
}
