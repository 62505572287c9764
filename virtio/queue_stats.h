/*
 * What is counted at a queue whose buffers this process moves.  The ring's owner writes, with plain
 * loads and stores that only are not torn (no lock, no read-modify-write); anybody reads, and each
 * number by itself is right, but not all of them at one moment.
 *
 * How long requests take is measured of one in QUEUE_STATS_SAMPLE, from its pop to its push.
 */
#ifndef VIRTIO_QUEUE_STATS_H
#define VIRTIO_QUEUE_STATS_H

#include <stdatomic.h>

#include "vmm/base/util.h"

enum {
	QUEUE_STATS_BUCKETS = 40,
	QUEUE_STATS_SAMPLE = 7,		/* not a power of two: batches are */
};

struct queue_stats {
	_Atomic uint64_t kicks;		/* looks at the ring that one caused */
	_Atomic uint64_t calls;		/* sent */
	_Atomic uint64_t calls_saved;	/* not sent: not wanted, or put off */
	_Atomic uint64_t chains;	/* popped */
	_Atomic uint64_t requests;	/* pushed */
	_Atomic uint64_t bytes_out;	/* of these: what the driver had written ... */
	_Atomic uint64_t bytes_in;	/* ... and what the device wrote */
	_Atomic uint64_t broken;	/* the driver broke a rule of the ring */

	_Atomic uint64_t n_timed, sum_ns;
	_Atomic uint64_t min_ns, max_ns;	/* if n_timed is not 0 */
	/* bucket[i]: those of less than 2^i ns that are in none before; the last has the rest */
	_Atomic uint64_t bucket[QUEUE_STATS_BUCKETS];
};

/* The ring's owner. */
static inline void queue_stats_add(_Atomic uint64_t *count, uint64_t n)
{
#ifdef __x86_64__
	/* The same as below in one instruction, which compilers do not make of it. */
	__asm__("addq %1, %0" : "+m"(*count) : "er"(n) : "cc");
#else
	uint64_t was = atomic_load_explicit(count, memory_order_relaxed);

	atomic_store_explicit(count, was + n, memory_order_relaxed);
#endif
}

/* Anybody. */
static inline uint64_t queue_stats_get(const _Atomic uint64_t *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

/* A request took 'ns' / began at 'since' (cycles.h) and ends now.  The ring's owner. */
void queue_stats_time(struct queue_stats *s, uint64_t ns);
void queue_stats_time_since(struct queue_stats *s, uint64_t since);

/* The chains that are out are dropped.  Nobody writes any more. */
void queue_stats_forget_in_flight(struct queue_stats *s);

/* Add what 'from' counted to 'to', which is the caller's. */
void queue_stats_sum(struct queue_stats *to, const struct queue_stats *from);

/* How many chains are popped and not yet pushed; of a queue that runs: about. */
unsigned queue_stats_in_flight(const struct queue_stats *s);

#endif
