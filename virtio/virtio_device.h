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
#include "virtio/feature_offer.h"
#include "virtio/negotiation.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"
#include "vmm/machine/machine.h"

struct iommu;
struct virtio_device;
struct virtio_transport;

enum {
	VIRTIO_CONFIG_MAX = 256,
	VIRTIO_MAX_QUEUES = 256,
	VIRTIO_MAX_PARTS = 2,
	VIRTIO_MAX_SHM = 3,		/* what the capabilities of a PCI function have room for */
};

struct virtio_device_ops {
	/* Optional: FEATURES_OK stands; fix what depends on the accepted set. */
	void (*sealed)(struct virtio_device *dev);
	/* Optional: the driver wrote to writable bytes within [offset, offset + len). */
	void (*config_written)(struct virtio_device *dev, unsigned offset, unsigned len);
	/*
	 * Optional: the driver asks for a reset, first and then again until it is over; the queues
	 * take nothing any more.  False while others work with what the device gave them.
	 */
	bool (*can_reset)(struct virtio_device *dev);
	/* Optional: the device was reset: datapath stopped, writable config bytes restored. */
	void (*reset)(struct virtio_device *dev);
	/* Optional: the whole machine was; 'reset' came before. */
	void (*system_reset)(struct virtio_device *dev);
	/* Optional: rings that run have gone to another datapath (virtio_device_switch). */
	void (*switched)(struct virtio_device *dev);
	/* Free the model (which embeds 'dev').  Its datapaths are destroyed by the caller. */
	void (*destroy)(struct virtio_device *dev);
};

/* What a queue is on the way to while the host still has something of it in progress. */
enum virtio_queue_ending { VIRTIO_QUEUE_STAYS, VIRTIO_QUEUE_DISABLING, VIRTIO_QUEUE_RESETTING };

/* A queue's registers.  Addresses and size are frozen while 'enabled'. */
struct virtio_queue {
	uint16_t size_max;		/* 0: no such queue */
	uint16_t size;			/* as the driver set it; size_max after reset; 0: refused */
	bool enabled;
	enum virtio_queue_ending ending;
	bool was_reset;			/* by a queue reset: it may be enabled after DRIVER_OK */
	bool start_waits;		/* enabled while the device runs and may not reach memory */
	uint64_t desc, driver, device;
	uint32_t pfn;			/* legacy: page number of the ring, while 'enabled' */
	int kick_fd;			/* for life */
	int call_fd;			/* for life */
};

/* A range of queues and who runs it (real offload is partial). */
struct virtio_part {
	struct datapath *datapath;	/* owned by the device */
	struct datapath *other;		/* likewise: may take over; or NULL */
	unsigned first_queue, n_queues;
	struct features told;		/* what it was told at the last start */
};

/* Memory that device and driver share beside the queues.  virtio-v1.4 2.10 */
struct virtio_shm {
	uint8_t id;
	uint64_t len;			/* a multiple of 4096 */
	const struct region_ops *ops;	/* keeps; offsets are from the start of the region */
	void *arg;
};

enum virtio_state {
	VIRTIO_STOPPED,
	VIRTIO_STARTED,
	VIRTIO_BREAKING,		/* broken, and the host still has some of it in progress */
	VIRTIO_BROKEN,			/* until reset */
};

struct virtio_device {
	const struct virtio_device_ops *ops;
	const char *name;		/* "disk0"; owned copy */
	enum virtio_device_id id;
	uint32_t pci_class;		/* 24 bits, for virtio-pci */
	struct feature_offer offer;	/* who can do what; 'negotiation' offers what follows */
	struct negotiation negotiation;
	bool strict;			/* every kick is looked at, for the mistake counters */

	uint8_t config[VIRTIO_CONFIG_MAX];
	uint8_t config_initial[VIRTIO_CONFIG_MAX];	/* restored by reset where writable */
	uint8_t config_writable[VIRTIO_CONFIG_MAX];	/* 0xff where the driver may write */
	uint8_t config_writable_legacy[VIRTIO_CONFIG_MAX];	/* where a legacy one may, too */
	unsigned config_len;
	bool config_early;		/* the driver may write before FEATURES_OK */
	uint32_t config_generation;
	bool config_dirty;		/* changed since the driver last read */
	bool config_is_held;		/* a change waits in 'config_held' for the resume */
	uint8_t config_held[VIRTIO_CONFIG_MAX];

	struct virtio_queue *queue;	/* n_queues */
	unsigned n_queues;
	struct datapath_queue *start_queue;	/* n_queues; filled in at start */
	struct virtio_part part[VIRTIO_MAX_PARTS];
	unsigned n_parts;
	struct virtio_shm shm[VIRTIO_MAX_SHM];
	unsigned n_shm;
	enum virtio_state state;
	bool dma_allowed;		/* the transport lets the device touch memory */
	bool start_waits;		/* an early kick came while it did not */
	int config_call_fd;		/* configuration change interrupt, for life */

	struct virtio_transport *transport;
	struct machine *machine;	/* set by the transport */
	bool offer_is_old;		/* parts changed hands: a new one after the reset */
	bool recovered;			/* in this session another datapath has come in */
	const struct dma *dma;		/* what it sees of memory; NULL: all of it, as it is */

	/* virtio_device_fail: the first of a session claims, the post carries it out. */
	struct event_post fail_post;
	atomic_bool fail_claimed;
	_Atomic(const char *) fail_reason;	/* NULL: nothing to carry out */
	_Atomic unsigned fail_queue, fail_fault;
	atomic_bool fail_of_datapath;	/* another one may do better */
	struct log_limit log;		/* for what the driver can repeat */
};

struct virtio_device_config {
	const char *name;
	enum virtio_device_id id;
	uint32_t pci_class;
	struct features features;	/* bits of the device type that the model offers */
	const void *config;
	unsigned config_len;
	unsigned n_queues;
	const uint16_t *queue_size;	/* n_queues entries, each a power of two */
};

/*
 * Initialise the embedded device: queues with their eventfds, config bytes, offered features = the
 * model's bits and those of the ring (as far as each part's datapath has them) and of the
 * transport, by feature_offer.h.
 *
 * Returns 0 or -errno with an error chain (virtio_device_fini is then still to be called).
 */
MUST_USE int virtio_device_init(struct virtio_device *dev, const struct virtio_device_ops *ops,
				const struct virtio_device_config *config);
/*
 * Destroy parts, close fds, free the name and queues.  Must be stopped.  Called by ops->destroy, on
 * the main thread.
 */
void virtio_device_fini(struct virtio_device *dev);

/* Give 'n_queues' queues from 'first' to 'datapath' (consumed).  Before the transport is made. */
void virtio_device_add_part(struct virtio_device *dev, struct datapath *datapath, unsigned first,
			    unsigned n_queues);

/*
 * A second datapath (consumed) for the queues of part number 'part', which waits for its turn.
 * What is offered follows the one that moves the buffers; where the configuration demands what
 * that one does not serve, and the other does, they change places when the features are settled.
 */
void virtio_device_add_datapath(struct virtio_device *dev, unsigned part, struct datapath *other);

/*
 * Have the other datapath of 'part' move the buffers from now on, and the one that does wait.
 * Rings that run go on where they stand: nothing is lost, and the driver does not notice.
 *
 * Returns 0; with an error chain, and as it was: -ENOTSUP: there is no other; -EOPNOTSUPP or
 * -EINVAL: it does not serve a bit that the driver took or the configuration demands; -EBUSY: the
 * device is about to stop, or the host has buffers in progress for longer than 100 ms; another
 * -errno: it did not start.  Only if then the first does not start again either, or a ring's
 * position is lost (-EIO), the device needs reset.
 */
MUST_USE int virtio_device_switch(struct virtio_device *dev, unsigned part);

/* What the configuration demands and forbids.  Before the transport is made. */
void virtio_device_want_features(struct virtio_device *dev, struct features on,
				 struct features off);

/*
 * The device is behind an IOMMU: its driver must accept ACCESS_PLATFORM (N5).  After
 * virtio_device_want_features().  The second says behind which, and as what; once, before a driver
 * finds it.  Returns 0, or -ENOSPC with an error chain.
 */
void virtio_device_require_platform(struct virtio_device *dev);
MUST_USE int virtio_device_put_behind(struct virtio_device *dev, struct iommu *iommu,
				      uint32_t endpoint);

/* Add a region of shared memory ('id' is not used yet).  Before the transport is made. */
void virtio_device_add_shm(struct virtio_device *dev, const struct virtio_shm *shm);

/*
 * For the transport that carries it: 'interfaces' (FEATURE_ON_...) and the transport bits that it
 * has.  Returns 0, or -EINVAL with an error chain when the device cannot offer what the
 * configuration demands.
 */
MUST_USE int virtio_device_settle_features(struct virtio_device *dev, unsigned interfaces,
					   struct features transport);

/* What is offered at any interface of the device. */
struct features virtio_device_offered(const struct virtio_device *dev);

/* The driver did something that it must not: count it. */
void virtio_device_mistake(struct virtio_device *dev, enum driver_mistake kind);

/*
 * Status register; the second is a legacy driver's.  A write of 0 takes 100 ms at most, and the
 * reset may not be complete then (N6); at the legacy window it is.  virtio-v1.4 2.1 "Device Status
 * Field"
 */
void virtio_device_write_status(struct virtio_device *dev, uint8_t value);
void virtio_device_write_status_legacy(struct virtio_device *dev, uint8_t value);
uint8_t virtio_device_read_status(struct virtio_device *dev);

/* Reset as by writing status 0, complete on return.  Also for system reset and removal. */
void virtio_device_reset(struct virtio_device *dev);

/*
 * May the device touch memory (Bus Master Enable)?  While it may not, a start is put off, kicks do
 * not arrive, and rings that run stand still, whoever moves their buffers: on return nothing of
 * them is in flight.  Where the host cannot end that within 100 ms the device needs a reset.  All
 * is made up for when it may again.
 */
void virtio_device_allow_dma(struct virtio_device *dev, bool allowed);

/* The registers of queue 'index', or NULL if there is no such queue. */
struct virtio_queue *virtio_device_queue(struct virtio_device *dev, unsigned index);

/*
 * A driver's writes to those registers; ignored while the queue is enabled and for queues that do
 * not exist.  A size that cannot be (0, above the maximum, no power of two where the ring is not a
 * packed one) reads back 0 and keeps the queue from being enabled.
 */
enum virtio_queue_area { VIRTIO_QUEUE_DESC, VIRTIO_QUEUE_DRIVER, VIRTIO_QUEUE_DEVICE };
void virtio_device_set_queue_size(struct virtio_device *dev, unsigned index, uint32_t size);
void virtio_device_set_queue_address(struct virtio_device *dev, unsigned index,
				     enum virtio_queue_area area, bool high_half, uint32_t value);

/*
 * Enable a configured queue (never disables).  Its features must be sealed and the device not
 * started, unless the queue was reset; else ignored.
 */
void virtio_device_enable_queue(struct virtio_device *dev, unsigned index);

/*
 * Stop one queue for good (until reset) / reset it: stopped, all its registers as after a reset of
 * the device, and it can be enabled again (RING_RESET; ignored if that was not negotiated).  It
 * stays 'enabled', with an 'ending', while the host has something of it in progress;
 * virtio_device_queue_state() looks whether that is over.  Then nothing of it is in flight.
 * virtio-v1.4 2.6.1 "Virtqueue Reset"
 */
void virtio_device_disable_queue(struct virtio_device *dev, unsigned index);
void virtio_device_reset_queue(struct virtio_device *dev, unsigned index);
/* The queue as its registers must read now; NULL if there is none. */
const struct virtio_queue *virtio_device_queue_state(struct virtio_device *dev, unsigned index);

/*
 * A legacy driver gives the queue its memory: all three areas, contiguous from page 'pfn' of
 * 'page_size' bytes on, the device's aligned to 'align'.  0 takes it back.  The queue is live at
 * once; its size stays.  virtio-v1.4 2.7.2 "Legacy Interfaces: A Note on Virtqueue Layout"
 */
void virtio_device_set_queue_legacy(struct virtio_device *dev, unsigned index, uint32_t pfn,
				    uint64_t page_size, uint64_t align);

/*
 * Config space access by the driver, any offset and length (N11): past the end reads 0, writes are
 * dropped outside of the writable mask.  A legacy driver writes before FEATURES_OK, and has none.
 * virtio-v1.4 2.5 "Device Configuration Space"
 */
void virtio_device_read_config(struct virtio_device *dev, unsigned offset, void *buf, unsigned len);
void virtio_device_write_config(struct virtio_device *dev, unsigned offset, const void *buf,
				unsigned len);
void virtio_device_write_config_legacy(struct virtio_device *dev, unsigned offset,
				       const void *buf, unsigned len);
uint32_t virtio_device_config_generation(struct virtio_device *dev);

/*
 * The device changes its own config bytes: copy, and if something visible changed, mark dirty and
 * notify the driver (after DRIVER_OK).  A reset keeps the change, except in writable bytes.  While
 * the device is suspended the change waits for the resume.
 */
void virtio_device_update_config(struct virtio_device *dev, unsigned offset, const void *buf,
				 unsigned len);

/*
 * A kick that came through an exit to user space instead of an ioeventfd; any 'index'.  That of a
 * legacy driver starts the device if DRIVER_OK did not.
 */
void virtio_device_kick(struct virtio_device *dev, unsigned index);
void virtio_device_kick_legacy(struct virtio_device *dev, unsigned index);

/* Should KVM take the kicks of queue 'index' itself?  Not what has to be looked at. */
bool virtio_device_wants_doorbell(const struct virtio_device *dev, unsigned index);

/*
 * N10: the device needs reset.  Stops its queues, sets the bit, interrupts, logs once.  'reason'
 * is a string constant.  Any thread: it is carried out on the main loop.
 */
void virtio_device_fail(struct virtio_device *dev, unsigned queue, const char *reason);

/* Carry it out now, if there is a failure that waits for the main loop. */
void virtio_device_catch_up(struct virtio_device *dev);

#endif
