#include "virtio/queue_stats.h"

#include "vmm/base/cycles.h"

static void set(_Atomic uint64_t *to, uint64_t value)
{
	atomic_store_explicit(to, value, memory_order_relaxed);
}

static unsigned bucket_of(uint64_t ns)
{
	unsigned width = ns ? 64u - (unsigned)__builtin_clzll(ns) : 0;

	return (unsigned)min_u64(width, QUEUE_STATS_BUCKETS - 1);
}

static inline void widen(struct queue_stats *s, uint64_t min_ns, uint64_t max_ns)
{
	if (queue_stats_get(&s->n_timed) == 0 || min_ns < queue_stats_get(&s->min_ns))
		set(&s->min_ns, min_ns);
	if (max_ns > queue_stats_get(&s->max_ns))
		set(&s->max_ns, max_ns);
}

static inline void add_time(struct queue_stats *s, uint64_t ns)
{
	widen(s, ns, ns);
	queue_stats_add(&s->n_timed, 1);
	queue_stats_add(&s->sum_ns, ns);
	queue_stats_add(&s->bucket[bucket_of(ns)], 1);
}

void queue_stats_time(struct queue_stats *s, uint64_t ns)
{
	add_time(s, ns);
}

void queue_stats_time_since(struct queue_stats *s, uint64_t since)
{
	uint64_t ns = cycles_to_ns(cycles_now() - since);

	if (ns > 0)
		add_time(s, ns);
}

void queue_stats_forget_in_flight(struct queue_stats *s)
{
	set(&s->chains, queue_stats_get(&s->requests));
}

void queue_stats_sum(struct queue_stats *to, const struct queue_stats *from)
{
	/* First what is not later than what it is part of. */
	uint64_t n_timed = queue_stats_get(&from->n_timed);

	if (n_timed)
		widen(to, queue_stats_get(&from->min_ns), queue_stats_get(&from->max_ns));
	queue_stats_add(&to->n_timed, n_timed);
	queue_stats_add(&to->kicks, queue_stats_get(&from->kicks));
	queue_stats_add(&to->calls, queue_stats_get(&from->calls));
	queue_stats_add(&to->calls_saved, queue_stats_get(&from->calls_saved));
	queue_stats_add(&to->requests, queue_stats_get(&from->requests));
	queue_stats_add(&to->chains, queue_stats_get(&from->chains));
	queue_stats_add(&to->bytes_out, queue_stats_get(&from->bytes_out));
	queue_stats_add(&to->bytes_in, queue_stats_get(&from->bytes_in));
	queue_stats_add(&to->broken, queue_stats_get(&from->broken));
	queue_stats_add(&to->sum_ns, queue_stats_get(&from->sum_ns));
	for (unsigned i = 0; i < QUEUE_STATS_BUCKETS; i++)
		queue_stats_add(&to->bucket[i], queue_stats_get(&from->bucket[i]));
}

unsigned queue_stats_in_flight(const struct queue_stats *s)
{
	uint64_t requests = queue_stats_get(&s->requests), chains = queue_stats_get(&s->chains);

	return chains > requests ? (unsigned)min_u64(chains - requests, UINT16_MAX) : 0;
}
