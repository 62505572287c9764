/*
 * The traditional memory balloon: the guest gives memory back to the host, as much as the host asks
 * for (inflate and deflate), and what it has free anyway (reporting); it tells how it uses its
 * memory (statistics) and, when asked, which pages are free (hinting).
 *
 * All calls: control path, machine lock held, unless they say otherwise.
 *
 * virtio-v1.4 5.5 "Traditional Memory Balloon Device"
 */
#ifndef DEVICES_VIRTIO_BALLOON_H
#define DEVICES_VIRTIO_BALLOON_H

#include "devices/balloon_stats.h"
#include "virtio/virtio_device.h"
#include "vmm/base/event_loop.h"

struct virtio_balloon_config {
	const char *name;
	struct event_loop *loop;	/* I/O loop; keeps */
	uint64_t target;		/* bytes to be given back at first; whole 4 KiB pages */
	uint64_t stats_period_ms;	/* 0: only virtio_balloon_poll() asks */
	/* What is offered. */
	bool must_tell_host, stats, deflate_on_oom, hinting, poison, reporting;
	bool hint_at_start;		/* begin a hinting session with each driver */
};

/* Returns 0 and an owned device, or -errno with an error chain. */
MUST_USE int virtio_balloon_create(struct virtio_device **out,
				   const struct virtio_balloon_config *config);

/*
 * Ask the guest for 'bytes' of its memory in all.  It takes its time, and need not obey.
 *
 * Returns 0, or -EINVAL with an error chain: not whole pages of 4 KiB, or not less than the guest
 * has.
 */
MUST_USE int virtio_balloon_set_target(struct virtio_device *dev, uint64_t bytes);

/*
 * Begin / end a hinting session (balloon_hints.h).  Beginning while one runs begins the next.
 *
 * begin returns 0; -EOPNOTSUPP with an error chain while there is no driver that does this;
 * -EBUSY, likewise, if the driver would have to be told a command id twice.
 */
MUST_USE int virtio_balloon_begin_hinting(struct virtio_device *dev);
void virtio_balloon_end_hinting(struct virtio_device *dev);

/* Ask for fresh statistics now.  Nothing happens while there is no driver that gives any. */
void virtio_balloon_poll(struct virtio_device *dev);
/* The latest statistics.  Any thread. */
void virtio_balloon_stats(struct virtio_device *dev, struct balloon_stats *stats);

/* Where things stand; sizes in bytes. */
struct virtio_balloon_info {
	uint64_t target;	/* asked for */
	uint64_t actual;	/* what the driver says it gave, at most all memory */
	uint64_t discarded;	/* given back to the host since the VM began, all added up */
	uint64_t hinted;	/* named as free in the hinting session */
};
void virtio_balloon_info(struct virtio_device *dev, struct virtio_balloon_info *info);

#endif
