/*
 * Memory statistics of a guest: from the entries of a buffer to values, and the latest values where
 * any thread can read them.
 *
 * virtio-v1.4 5.5.6.3 "Memory Statistics", 5.5.6.4 "Memory Statistics Tags"
 */
#ifndef DEVICES_BALLOON_STATS_H
#define DEVICES_BALLOON_STATS_H

#include <stdatomic.h>
#include <sys/uio.h>

#include "vmm/base/util.h"

/* Tags on the wire.  Those in bytes say so; the others count. */
enum balloon_stat {
	BALLOON_STAT_SWAP_IN = 0,	/* bytes */
	BALLOON_STAT_SWAP_OUT = 1,	/* bytes */
	BALLOON_STAT_MAJFLT = 2,
	BALLOON_STAT_MINFLT = 3,
	BALLOON_STAT_MEMFREE = 4,	/* bytes */
	BALLOON_STAT_MEMTOT = 5,	/* bytes */
	BALLOON_STAT_AVAIL = 6,		/* bytes */
	BALLOON_STAT_CACHES = 7,	/* bytes */
	BALLOON_STAT_HTLB_PGALLOC = 8,
	BALLOON_STAT_HTLB_PGFAIL = 9,
	BALLOON_N_STATS,
};

/* An entry: le16 tag, le64 value, packed. */
enum { BALLOON_STAT_SIZE = 10, BALLOON_STATS_MAX_ENTRIES = 256 };

struct balloon_stats {
	uint64_t sequence;	/* of the buffer that they came in; 0: there was none */
	unsigned present;	/* bit i: value[i] was in it */
	uint64_t value[BALLOON_N_STATS];
};

/*
 * Read the entries in the stream of 'len' bytes, in any order; unknown tags, a rest shorter than an
 * entry and what is beyond BALLOON_STATS_MAX_ENTRIES are skipped.  The sequence is left alone.
 * Pure, apart from reading guest memory once.
 */
void balloon_stats_parse(struct balloon_stats *stats, const struct iovec *iov, unsigned n,
			 size_t len);

/* "free 1048576, total ..." for a person to read; 'buf' is used and returned. */
enum { BALLOON_STATS_TEXT = 512 };
const char *balloon_stats_text(const struct balloon_stats *stats, char buf[BALLOON_STATS_TEXT]);

/* The latest values: one thread writes, any thread reads, nobody waits for long. */
struct balloon_stats_box {
	atomic_uint version;	/* odd: being written */
	_Atomic uint64_t sequence;
	_Atomic unsigned present;
	_Atomic uint64_t value[BALLOON_N_STATS];
};

/* Put new values in; they get the next sequence number.  The writer's thread. */
void balloon_stats_put(struct balloon_stats_box *box, const struct balloon_stats *stats);
/* A new driver: what the last one said does not count any more.  The writer's thread. */
void balloon_stats_forget(struct balloon_stats_box *box);
/* Any thread. */
void balloon_stats_get(const struct balloon_stats_box *box, struct balloon_stats *stats);

#endif
