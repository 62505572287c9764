#include "devices/balloon_stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/iov.h"
#include "vmm/base/le.h"

void balloon_stats_parse(struct balloon_stats *stats, const struct iovec *iov, unsigned n,
			 size_t len)
{
	uint8_t entry[BALLOON_STAT_SIZE];
	size_t n_entries = min_u64(len / BALLOON_STAT_SIZE, BALLOON_STATS_MAX_ENTRIES);

	stats->present = 0;
	memset(stats->value, 0, sizeof(stats->value));
	for (size_t i = 0; i < n_entries; i++) {
		if (iov_read(iov, n, i * sizeof(entry), entry, sizeof(entry)) != sizeof(entry))
			break;
		/*
		 * virtio-v1.4 5.5.6.3.2 "Device Requirements: Memory Statistics"; entries of a
		 * legacy driver have the guest's byte order, which is this one on x86.
		 */
		unsigned tag = load_le16(entry);
		if (tag >= BALLOON_N_STATS)
			continue;
		stats->value[tag] = load_le64(entry + 2);
		stats->present |= 1u << tag;
	}
}

const char *balloon_stats_text(const struct balloon_stats *stats, char buf[BALLOON_STATS_TEXT])
{
	static const char *const name[BALLOON_N_STATS] = {
		[BALLOON_STAT_SWAP_IN] = "swapped in",
		[BALLOON_STAT_SWAP_OUT] = "swapped out",
		[BALLOON_STAT_MAJFLT] = "major faults",
		[BALLOON_STAT_MINFLT] = "minor faults",
		[BALLOON_STAT_MEMFREE] = "free",
		[BALLOON_STAT_MEMTOT] = "total",
		[BALLOON_STAT_AVAIL] = "available",
		[BALLOON_STAT_CACHES] = "caches",
		[BALLOON_STAT_HTLB_PGALLOC] = "huge pages allocated",
		[BALLOON_STAT_HTLB_PGFAIL] = "huge pages refused",
	};
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < BALLOON_N_STATS && len < BALLOON_STATS_TEXT; i++)
		if (stats->present >> i & 1)
			len += (size_t)snprintf(buf + len, BALLOON_STATS_TEXT - len,
						"%s%s %" PRIu64, len ? ", " : "", name[i],
						stats->value[i]);
	return buf;
}

static void write_box(struct balloon_stats_box *box, const struct balloon_stats *stats,
		      uint64_t sequence)
{
	/* Readers that see the new values see an odd version before them, or another one behind. */
	atomic_fetch_add(&box->version, 1);
	atomic_store(&box->sequence, sequence);
	atomic_store(&box->present, stats->present);
	for (unsigned i = 0; i < BALLOON_N_STATS; i++)
		atomic_store(&box->value[i], stats->value[i]);
	atomic_fetch_add(&box->version, 1);
}

void balloon_stats_put(struct balloon_stats_box *box, const struct balloon_stats *stats)
{
	write_box(box, stats, atomic_load(&box->sequence) + 1);
}

void balloon_stats_forget(struct balloon_stats_box *box)
{
	write_box(box, &(struct balloon_stats){ 0 }, atomic_load(&box->sequence));
}

void balloon_stats_get(const struct balloon_stats_box *box, struct balloon_stats *stats)
{
	unsigned before, after;

	do {
		before = atomic_load(&box->version);
		stats->sequence = atomic_load(&box->sequence);
		stats->present = atomic_load(&box->present);
		for (unsigned i = 0; i < BALLOON_N_STATS; i++)
			stats->value[i] = atomic_load(&box->value[i]);
		after = atomic_load(&box->version);
	} while (before != after || before & 1);
}
