/*
 * The inside of a virtio device, shared by virtio_device.c (what it is), virtio_device_session.c
 * (what a driver's session does to it), virtio_device_dma.c (when it may not reach memory),
 * virtio_device_switch.c (who moves its buffers), virtio_device_queue.c and virtio_device_config.c
 * (its registers), and virtio_device_events.c (what of it is noted).  Nobody else includes it.
 */
#ifndef VIRTIO_VIRTIO_DEVICE_IMPL_H
#define VIRTIO_VIRTIO_DEVICE_IMPL_H

#include "virtio/transport.h"
#include "virtio/virtio_device.h"
#include "vmm/base/event_log.h"

enum { VIRTIO_NO_QUEUE = VIRTIO_MAX_QUEUES };

/* Hand the rings over, if DRIVER_OK and the transport allow it and it was not done. */
void virtio_device_start(struct virtio_device *dev);

/*
 * Start queue 'index' of a device that runs, or put that off while it may not reach memory; a
 * failure makes it need a reset.
 */
void virtio_device_start_queue(struct virtio_device *dev, unsigned index);

/* N10, carried out.  'queue' may be VIRTIO_NO_QUEUE. */
void virtio_device_needs_reset(struct virtio_device *dev, unsigned queue, const char *reason);

/* What virtio_device.c connects: the post of virtio_device_fail, and a datapath's own failure. */
void virtio_device_fail_posted(struct event_post *post);
void virtio_device_datapath_failed(void *arg, unsigned queue, enum vq_fault fault,
				   const char *reason);

/*
 * A legacy driver's features count from here.  False if they cannot be served, if a modern
 * driver has the device, or while it is being reset.
 */
bool virtio_device_seal_legacy(struct virtio_device *dev);

/* Have its datapaths rings that a stop must take back? */
bool virtio_device_has_rings(const struct virtio_device *dev);

/*
 * Have queues [first, first + n) of a device with rings stop soon: no more buffers, and the host is
 * asked to give up.  The second waits a moment (100 ms) for that, too, and returns whether a stop
 * would not have to wait for the host any more.
 */
void virtio_device_cancel(struct virtio_device *dev, unsigned first, unsigned n);
bool virtio_device_prepare_stop(struct virtio_device *dev, unsigned first, unsigned n);
bool virtio_device_can_stop(const struct virtio_device *dev, unsigned first, unsigned n);

/*
 * Have the rings that run take no more buffers, and what they have out be answered / is that so?
 * The second also ends queues that were about to stop.
 */
void virtio_device_suspend(struct virtio_device *dev);
bool virtio_device_is_quiet(struct virtio_device *dev);
/* The rings go on, and queues that were enabled meanwhile begin, unless something else forbids. */
void virtio_device_go_on(struct virtio_device *dev);

/* What 'part' is started with, and what its back end is told; rings begin afresh. */
struct datapath_start virtio_device_describe_part(struct virtio_device *dev,
						  struct virtio_part *part);
/* What the back end of 'dp' is told of what the driver took (N12). */
struct features virtio_device_tell(const struct virtio_device *dev, struct datapath *dp);

/* The offer follows 'dev->offer' / and that follows the datapaths, when no driver is there. */
void virtio_device_make_offer(struct virtio_device *dev);
void virtio_device_follow_datapaths(struct virtio_device *dev);

/*
 * A datapath failed: can the other one of the part go on?  True if it does.  Main thread.
 */
bool virtio_device_recover(struct virtio_device *dev, unsigned queue, const char *reason);

/*
 * The datapath of part 'index' did not start ('r', and the reason in the error chain): start the
 * other one of the part, if there is one that can.  Returns 0 if it started; else 'r' with the
 * chain that was there, or -EINVAL with the other one's where that names a mistake of the driver's.
 */
MUST_USE int virtio_device_start_other(struct virtio_device *dev, unsigned index, int r);

/*
 * The offer lacks what the configuration demands: does another datapath have it?  Returns 0, or
 * -errno with the error chain that was there.
 */
MUST_USE int virtio_device_choose(struct virtio_device *dev);

/*
 * Into the event log (virtio_device_events.c): an event of the device / the features that its
 * driver took / who moves the buffers of a part, of each part.
 */
void virtio_device_note(const struct virtio_device *dev, enum event_kind kind, int value,
			const char *text);
void virtio_device_note_features(const struct virtio_device *dev);
void virtio_device_note_datapath(const struct virtio_device *dev, unsigned part);
void virtio_device_note_datapaths(const struct virtio_device *dev);

/* Registers of 'q' as after a reset, and nothing left of its last session. */
void virtio_queue_reset(struct virtio_queue *q);

/* The change that had to wait while the device was suspended. */
void virtio_device_release_config(struct virtio_device *dev, bool notify);

#endif
