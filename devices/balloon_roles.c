#include "devices/balloon_roles.h"

enum { FIXED_QUEUES = 2, OPTIONAL = 3 };

/* The optional queues in the order of their features. */
static const struct {
	enum feature_bit feature;
	enum balloon_role role;
} optional[OPTIONAL] = {
	{ VIRTIO_BALLOON_F_STATS_VQ, BALLOON_STATS },
	{ VIRTIO_BALLOON_F_FREE_PAGE_HINT, BALLOON_HINTING },
	{ VIRTIO_BALLOON_F_PAGE_REPORTING, BALLOON_REPORTING },
};

/* How somebody numbers the queues of the accepted features. */
struct numbering {
	enum balloon_role role[BALLOON_QUEUES];	/* BALLOON_INERT: no queue of an accepted feature */
	unsigned queues;			/* bit i: queue i has a role */
};

enum { LITERAL, DENSE_OFFERED, DENSE_ACCEPTED, N_NUMBERINGS };

static void number(struct numbering *n, unsigned queue, enum balloon_role role)
{
	n->role[queue] = role;
	n->queues |= 1u << queue;
}

static void make_numberings(struct numbering n[N_NUMBERINGS], const struct features *offered,
			    const struct features *accepted)
{
	unsigned next_offered = FIXED_QUEUES, next_accepted = FIXED_QUEUES;

	for (unsigned i = 0; i < OPTIONAL; i++) {
		unsigned place = next_offered;

		next_offered += features_has(offered, optional[i].feature);
		if (!features_has(accepted, optional[i].feature))
			continue;
		number(&n[LITERAL], FIXED_QUEUES + i, optional[i].role);
		number(&n[DENSE_OFFERED], place, optional[i].role);
		number(&n[DENSE_ACCEPTED], next_accepted++, optional[i].role);
	}
}

static const struct numbering *choose(const struct numbering n[N_NUMBERINGS], unsigned enabled)
{
	for (unsigned i = 0; i < N_NUMBERINGS; i++)
		if (n[i].queues == enabled)
			return &n[i];
	for (unsigned i = LITERAL; i <= DENSE_OFFERED; i++)
		if ((n[i].queues & ~enabled) == 0)
			return &n[i];
	return NULL;
}

/* The role in which all numberings agree that have every enabled queue. */
static enum balloon_role agreed(const struct numbering n[N_NUMBERINGS], unsigned enabled,
				unsigned queue)
{
	enum balloon_role role = BALLOON_INERT;

	for (unsigned i = 0; i < N_NUMBERINGS; i++) {
		if (enabled & ~n[i].queues)
			continue;
		if (role != BALLOON_INERT && n[i].role[queue] != role)
			return BALLOON_INERT;
		role = n[i].role[queue];
	}
	return role;
}

void balloon_roles_assign(enum balloon_role role[BALLOON_QUEUES], const struct features *offered,
			  const struct features *accepted, unsigned enabled)
{
	struct numbering n[N_NUMBERINGS] = { 0 };
	unsigned extra = enabled & ~((1u << FIXED_QUEUES) - 1);
	const struct numbering *chosen;

	role[0] = enabled & 1 ? BALLOON_INFLATE : BALLOON_INERT;
	role[1] = enabled & 2 ? BALLOON_DEFLATE : BALLOON_INERT;
	make_numberings(n, offered, accepted);
	chosen = choose(n, extra);
	for (unsigned i = FIXED_QUEUES; i < BALLOON_QUEUES; i++) {
		if (!(extra >> i & 1))
			role[i] = BALLOON_INERT;
		else
			role[i] = chosen ? chosen->role[i] : agreed(n, extra, i);
	}
}

const char *balloon_role_name(enum balloon_role role)
{
	static const char *const name[] = {
		[BALLOON_INERT] = "nothing",	   [BALLOON_INFLATE] = "inflate",
		[BALLOON_DEFLATE] = "deflate",	   [BALLOON_STATS] = "statistics",
		[BALLOON_HINTING] = "hinting",	   [BALLOON_REPORTING] = "reporting",
	};

	return name[role];
}
