/*
 * A virtio device: a model (ops, features, configuration bytes), the state that the transport's
 * registers show, and its datapath.  The model embeds struct virtio_device; a transport drives
 * it.
 *
 * All calls: control path, machine lock held, except virtio_device_fail().
 */
#ifndef VIRTIO_DEVICE_H
#define VIRTIO_DEVICE_H

#include <stdatomic.h>

#include "virtio/datapath.h"
#include "virtio/negotiation.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"
#include "vmm/machine/machine.h"

struct virtio_device;
struct virtio_transport;

enum { VIRTIO_CONFIG_MAX = 256, VIRTIO_MAX_QUEUES = 256, VIRTIO_MAX_PARTS = 2 };

struct virtio_device_ops {
	/* Optional: FEATURES_OK stands; fix what depends on the accepted set. */
	void (*sealed)(struct virtio_device *dev);
	/* Optional: the driver wrote to writable bytes within [offset, offset + len). */
	void (*config_written)(struct virtio_device *dev, unsigned offset, unsigned len);
	/* Optional: the device was reset: datapath stopped, writable config bytes restored. */
	void (*reset)(struct virtio_device *dev);
	/* Free the model (which embeds 'dev').  Its datapaths are destroyed by the caller. */
	void (*destroy)(struct virtio_device *dev);
};

/* A queue's registers.  Addresses and size are frozen while 'enabled'. */
struct virtio_queue {
	uint16_t size_max;		/* 0: no such queue */
	uint16_t size;			/* as the driver set it; size_max after reset; 0: refused */
	bool enabled;
	uint64_t desc, driver, device;
	int kick_fd;			/* for life */
	int call_fd;			/* for life */
};

/* A range of queues and who runs it (real offload is partial). */
struct virtio_part {
	struct datapath *datapath;	/* owned by the device */
	unsigned first_queue, n_queues;
};

enum virtio_state { VIRTIO_STOPPED, VIRTIO_STARTED, VIRTIO_BROKEN };

struct virtio_device {
	const struct virtio_device_ops *ops;
	const char *name;		/* "disk0"; owned copy */
	enum virtio_device_id id;
	uint32_t pci_class;		/* 24 bits, for virtio-pci */
	struct negotiation negotiation;

	uint8_t config[VIRTIO_CONFIG_MAX];
	uint8_t config_initial[VIRTIO_CONFIG_MAX];	/* restored by reset where writable */
	uint8_t config_writable[VIRTIO_CONFIG_MAX];	/* 0xff where the driver may write */
	unsigned config_len;
	uint32_t config_generation;
	bool config_dirty;		/* changed since the driver last read */

	struct virtio_queue *queue;	/* n_queues */
	unsigned n_queues;
	struct datapath_queue *start_queue;	/* n_queues; filled in at start */
	struct virtio_part part[VIRTIO_MAX_PARTS];
	unsigned n_parts;
	enum virtio_state state;
	bool dma_allowed;		/* the transport lets the device touch memory */
	int config_call_fd;		/* configuration change interrupt, for life */

	struct virtio_transport *transport;
	struct machine *machine;	/* set by the transport */

	/* virtio_device_fail: the first of a session claims, the post carries it out. */
	struct event_post fail_post;
	atomic_bool fail_claimed;
	_Atomic(const char *) fail_reason;	/* NULL: nothing to carry out */
	_Atomic unsigned fail_queue;
	struct log_limit log;		/* for what the driver can repeat */
};

struct virtio_device_config {
	const char *name;
	enum virtio_device_id id;
	uint32_t pci_class;
	struct features features;	/* device-owned bits that the model offers */
	const void *config;
	unsigned config_len;
	unsigned n_queues;
	const uint16_t *queue_size;	/* n_queues entries, each a power of two */
};

/*
 * Initialise the embedded device: queues with their eventfds, config bytes, offered features =
 * the model's bits + INDIRECT_DESC, EVENT_IDX, VERSION_1 and what else every device gets, as far
 * as each part's datapath has them (virtio_device_add_part).
 *
 * Returns 0 or -errno with an error chain (virtio_device_fini is then still to be called).
 */
MUST_USE int virtio_device_init(struct virtio_device *dev, const struct virtio_device_ops *ops,
				const struct virtio_device_config *config);
/* Destroy parts, close fds, free the name and queues.  Must be stopped.  Called by ops->destroy. */
void virtio_device_fini(struct virtio_device *dev);

/* Give 'n_queues' queues from 'first' to 'datapath' (consumed).  Before the transport is made. */
void virtio_device_add_part(struct virtio_device *dev, struct datapath *datapath, unsigned first,
			    unsigned n_queues);

/* Status register. */
void virtio_device_write_status(struct virtio_device *dev, uint8_t value);
uint8_t virtio_device_read_status(struct virtio_device *dev);

/* Reset as by writing status 0, complete on return.  Also for system reset and removal. */
void virtio_device_reset(struct virtio_device *dev);

/*
 * May the device touch memory (Bus Master Enable)?  While it may not, a start is put off and
 * kicks do not arrive; what is in flight completes, and what comes from the host side is served.
 * Both are made up for when it may again.
 */
void virtio_device_allow_dma(struct virtio_device *dev, bool allowed);

/* The registers of queue 'index', or NULL if there is no such queue. */
struct virtio_queue *virtio_device_queue(struct virtio_device *dev, unsigned index);

/*
 * A driver's writes to those registers; ignored while the queue is enabled and for queues that do
 * not exist.  A size that cannot be (0, above the maximum, no power of two) reads back 0 and
 * keeps the queue from being enabled.
 */
enum virtio_queue_area { VIRTIO_QUEUE_DESC, VIRTIO_QUEUE_DRIVER, VIRTIO_QUEUE_DEVICE };
void virtio_device_set_queue_size(struct virtio_device *dev, unsigned index, uint32_t size);
void virtio_device_set_queue_address(struct virtio_device *dev, unsigned index,
				     enum virtio_queue_area area, bool high_half, uint32_t value);

/*
 * Enable a configured queue (never disables).  Its features must be sealed and the device not
 * started; else ignored.
 */
void virtio_device_enable_queue(struct virtio_device *dev, unsigned index);

/* Stop one queue for good (until reset): on return nothing of it is in flight. */
void virtio_device_disable_queue(struct virtio_device *dev, unsigned index);

/* Config space access by the driver, any offset and length (N11): past the end reads 0, writes are
 * dropped outside of the writable mask. */
void virtio_device_read_config(struct virtio_device *dev, unsigned offset, void *buf, unsigned len);
void virtio_device_write_config(struct virtio_device *dev, unsigned offset, const void *buf,
				unsigned len);
uint32_t virtio_device_config_generation(struct virtio_device *dev);

/*
 * The device changes its own config bytes: copy, and if something visible changed, mark dirty and
 * notify the driver (after DRIVER_OK).  A reset keeps the change, except in writable bytes.
 */
void virtio_device_update_config(struct virtio_device *dev, unsigned offset, const void *buf,
				 unsigned len);

/* A kick that came through an exit to user space instead of an ioeventfd; any 'index'. */
void virtio_device_kick(struct virtio_device *dev, unsigned index);

/*
 * N10: the device needs reset.  Stops its queues, sets the bit, interrupts, logs once.  'reason'
 * is a string constant.  Any thread: it is carried out on the main loop.
 */
void virtio_device_fail(struct virtio_device *dev, unsigned queue, const char *reason);

#endif
