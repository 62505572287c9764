/*
 * Receive side scaling: the Toeplitz hash of a frame by the types that the driver enabled, the
 * receive queue that its indirection table names, and what a header reports of both.  Pure; each
 * queue pair has a copy.
 *
 * A frame is parsed as far as its headers are there: what is cut off, a fragment, or unknown is
 * hashed by less, or not at all.
 *
 * virtio-v1.4 5.1.6.4.3 "Hash calculation for incoming packets", 5.1.6.5.7 "Receive-side scaling"
 */
#ifndef DEVICES_NET_RSS_H
#define DEVICES_NET_RSS_H

#include <sys/uio.h>

#include "vmm/base/util.h"

/* What a header reports; type n is enabled by bit n - 1 of the hash types. */
enum net_hash_report {
	NET_HASH_NONE,
	NET_HASH_IPV4,
	NET_HASH_TCPV4,
	NET_HASH_UDPV4,
	NET_HASH_IPV6,
	NET_HASH_TCPV6,
	NET_HASH_UDPV6,
	NET_HASH_IPV6_EX,
	NET_HASH_TCPV6_EX,
	NET_HASH_UDPV6_EX,
};

#define NET_HASH_TYPE(report) (UINT32_C(1) << ((report) - 1))

enum {
	NET_RSS_TYPES = (1 << NET_HASH_UDPV6_EX) - 1,	/* supported_hash_types */
	NET_RSS_KEY_SIZE = 40,				/* rss_max_key_size */
	NET_RSS_TABLE_SIZE = 128,	/* rss_max_indirection_table_length */
	NET_RSS_HEAD = 256,		/* bytes of a frame that are looked at, at most */
	/* What is hashed at most: two IPv6 addresses and two ports. */
	NET_RSS_INPUT = 36,
};

struct net_rss {
	uint32_t types;			/* enabled */
	bool steers;			/* RSS_CONFIG: the table chooses the queue */
	uint16_t mask;			/* table entries - 1 */
	uint16_t unclassified;		/* pair for frames without a hash */
	uint16_t max_tx;		/* how many transmit queues the driver uses */
	uint16_t table[NET_RSS_TABLE_SIZE];	/* pairs */
	/* The key's share of the hash for each half of a byte of input. */
	uint32_t share[NET_RSS_INPUT * 2][16];
};

struct net_hash {
	uint32_t value;
	enum net_hash_report report;
};

/* As after reset: no type is enabled, nothing is steered. */
void net_rss_init(struct net_rss *rss);

/*
 * Take over the configuration of an RSS_CONFIG / a HASH_CONFIG: 'len' bytes at 'offset' of 'iov',
 * for a device of 'n_pairs' queue pairs.  Returns false, and nothing changed, if it has not that
 * length or anything in it cannot be.
 */
MUST_USE bool net_rss_configure(struct net_rss *rss, const struct iovec *iov, unsigned n_iov,
				size_t offset, size_t len, unsigned n_pairs);
MUST_USE bool net_rss_configure_hash(struct net_rss *rss, const struct iovec *iov, unsigned n_iov,
				     size_t offset, size_t len);

/*
 * The hash of a frame (Ethernet header first) of which 'len' bytes are at 'frame'; NET_RSS_HEAD
 * are enough.  Bounded work.
 */
struct net_hash net_rss_hash(const struct net_rss *rss, const uint8_t *frame, size_t len);

/* The pair whose receive queue gets a frame of that hash; for 'steers'. */
static inline unsigned net_rss_pair(const struct net_rss *rss, struct net_hash hash)
{
	return hash.report == NET_HASH_NONE ? rss->unclassified
					    : rss->table[hash.value & rss->mask];
}

/* Does anybody want to know the hash of a frame? */
static inline bool net_rss_is_on(const struct net_rss *rss)
{
	return rss->steers || rss->types != 0;
}

#endif
