/*
 * The virtio models and what each needs to be made.  Each constructor returns an owned device that
 * a transport then consumes.  Strings are borrowed during the call.
 */
#ifndef DEVICES_VIRTIO_MODELS_H
#define DEVICES_VIRTIO_MODELS_H

#include "devices/chardev.h"
#include "devices/net_peer.h"
#include "virtio/virtio_device.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/util.h"

enum virtio_blk_engine { BLK_ENGINE_AUTO, BLK_ENGINE_URING, BLK_ENGINE_THREADS };

struct virtio_blk_config {
	const char *name;		/* "disk0" or the user's name */
	const char *path;
	const char *serial;		/* GET_ID, at most 20 bytes; NULL: the name */
	bool readonly;
	bool ephemeral;			/* writes go to an overlay that vanishes at the end */
	bool direct;			/* O_DIRECT */
	bool only_look;			/* at what it would offer: no lock, never started */
	enum virtio_blk_engine engine;
	unsigned n_queues;		/* 1 to 64 */
	unsigned queue_size;		/* power of two, 4 to 256... 0: default */
	unsigned block_size;		/* logical: 512 to 4096; 0: what the file or device has */
	struct event_loop *const *loop;	/* n_loops I/O loops; queue i goes to loop[i % n_loops] */
	unsigned n_loops;
};

/*
 * Open and lock the file or block device and make the model.  Errors name the path: -ENOENT,
 * -EACCES, -EAGAIN (locked by another VM), -EINVAL (empty or not a multiple of the block size), ...
 */
MUST_USE int virtio_blk_create(struct virtio_device **out, const struct virtio_blk_config *config);

/* Named ports, beside port 0; the longest path of one that is a Unix socket. */
enum { VIRTIO_MAX_PORTS = 31, VIRTIO_PORT_PATH_MAX = 107 };

/* A named port. */
struct virtio_port_config {
	const char *name;		/* 1 to 64 characters */
	struct chardev *chardev;	/* its host end; keeps */
	bool open;			/* somebody is at the host end */
	/* Optional: who hung up is forgotten in the guest, too.  On the I/O loop. */
	void (*closed)(void *arg);
	void *closed_arg;
};

struct virtio_blk_user_config {
	const char *name;
	const char *socket;		/* where a vhost-user back end listens */
	bool only_look;
	unsigned n_queues;		/* 1 to 64, and not more than the back end has */
	unsigned queue_size;		/* power of two, 4 to 256; 0: default */
	struct event_loop *loop;	/* I/O loop; keeps */
	struct event_loop *main;	/* keeps */
};

/*
 * A disk that another process serves; size and features are what that one says.  Errors: what
 * vhost_user_create() says.
 */
MUST_USE int virtio_blk_user_create(struct virtio_device **out,
				    const struct virtio_blk_user_config *config);

struct virtio_console_config {
	const char *name;
	struct chardev *chardev;	/* port 0; keeps */
	struct event_loop *loop;	/* I/O loop; keeps */
	uint16_t cols, rows;		/* 0: no size known, SIZE not offered */
	const struct virtio_port_config *port;	/* ports 1 to n_ports */
	unsigned n_ports;		/* 0: MULTIPORT is not offered */
};

MUST_USE int virtio_console_create(struct virtio_device **out,
				   const struct virtio_console_config *config);
/* The terminal's size changed.  Machine lock held. */
void virtio_console_resize(struct virtio_device *dev, uint16_t cols, uint16_t rows);

/*
 * Somebody has come to the host end of port 'index' (from 1) / has hung up: the driver is told, of
 * the latter when it has all input; then 'closed' is called, and before that the port is not to be
 * opened again.  Any thread.
 */
void virtio_console_port_open(struct virtio_device *dev, unsigned index, bool open);

/*
 * Nothing runs in the guest any more: let what it has written to any port go to its chardev, at the
 * latest until 'deadline_ms' (clock_now_ms).  Main thread, loop not running, machine lock not held.
 */
void virtio_console_drain(struct virtio_device *dev, uint64_t deadline_ms);

struct virtio_rng_config {
	const char *name;
	struct event_loop *loop;
};

/* Entropy from getrandom(2). */
MUST_USE int virtio_rng_create(struct virtio_device **out, const struct virtio_rng_config *config);

struct vhost_node;

/* Is an offload to the host's kernel wanted?  What was chosen is logged. */
enum virtio_offload { VIRTIO_OFFLOAD_AUTO, VIRTIO_OFFLOAD_OFF, VIRTIO_OFFLOAD_REQUIRE };

struct virtio_net_config {
	const char *name;
	struct net_peer *peer;		/* consumed, also on failure */
	uint8_t mac[6];
	unsigned n_pairs;		/* 1 to peer->n_pairs_max; above 1: MQ, RSS */
	unsigned queue_size;
	uint16_t mtu;			/* 0: not offered */
	bool link_up;
	uint32_t speed_mbit;		/* UINT32_MAX: unknown */
	uint8_t duplex;			/* 0 half, 1 full, 0xff unknown */
	const char *capture;		/* pcap file, or NULL; in process only */
	enum virtio_offload vhost;
	const char *vhost_path;		/* NULL: there is none */
	unsigned vhost_poll_us;
	/* How a node is opened; NULL: as the kernel's. */
	int (*vhost_open)(struct vhost_node **out, const char *path);
	bool only_look;
	struct event_loop *const *loop;	/* n_loops I/O loops; pair i goes to loop[i % n_loops] */
	unsigned n_loops;
};

MUST_USE int virtio_net_create(struct virtio_device **out, const struct virtio_net_config *config);
/* Plug the cable in or out: the driver is told, frames stop.  Machine lock held. */
void virtio_net_set_link(struct virtio_device *dev, bool up);
/* Ask the driver to announce itself to the network (after a move).  Machine lock held. */
void virtio_net_announce(struct virtio_device *dev);

struct virtio_vsock_config {
	const char *name;
	uint64_t cid;			/* 3 to 0xfffffffe; 0: auto */
	enum virtio_offload vhost;
	const char *vhost_path;
	int vhost_fd;			/* open already (consumed), or FD_NONE */
	const char *socket;		/* of the one in process; NULL: it cannot be had */
	bool only_look;
	struct event_loop *loop;
};

/*
 * With 'auto' the host's kernel has the packets if it can, else this process by 'socket', if that
 * is given.  Where both are there virtio_device_switch() changes between them (part 0).
 *
 * Returns 0; -EINVAL: a CID that no guest can have, or nobody to do it; what vhost_vsock_create or
 * the sockets say; with an error chain and a hint.
 */
MUST_USE int virtio_vsock_create(struct virtio_device **out,
				 const struct virtio_vsock_config *config);
/* Can the kernel have its packets? */
bool virtio_vsock_is_offloaded(const struct virtio_device *dev);
/*
 * All connections are lost (the rings went to another datapath, a VM was restored): the driver is
 * told by TRANSPORT_RESET.  Machine lock held.
 */
void virtio_vsock_transport_reset(struct virtio_device *dev);

struct vhost_node;

struct virtio_scsi_config {
	const char *name;
	const char *wwpn;		/* "naa." and 16 hexadecimal digits */
	unsigned n_queues;		/* of requests, 1 to 64 */
	const char *vhost_path;
	bool only_look;
	struct event_loop *loop;
	/* Stand-ins of a test, or NULL: for the kernel's vhost, and where configfs is mounted. */
	int (*open)(struct vhost_node **out, const char *path);
	const char *configfs;
};

/*
 * A SCSI host whose disks are a target of the kernel.  Errors: -ENODEV if there is no such target;
 * what opening the vhost node says.
 */
MUST_USE int virtio_scsi_create(struct virtio_device **out,
				const struct virtio_scsi_config *config);

#endif
