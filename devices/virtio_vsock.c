/*
 * The virtio socket device.  Queues 0 (to the guest) and 1 (from it) are a part of their own: in
 * this process they lead to Unix sockets (vsock_hub.h), or the host's kernel has them.  Queue 2,
 * events, is always ours.
 *
 * virtio-v1.4 5.10 "Socket Device"
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "devices/virtio_models.h"
#include "devices/vsock_hub.h"
#include "devices/vsock_packet.h"
#include "vhost/vhost_vsock.h"
#include "virtio/datapath_local.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/iov.h"
#include "vmm/base/le.h"
#include "vmm/base/log.h"

enum {
	RING_SIZE = 256,
	EVENT_SIZE = 64,
	PCI_CLASS_COMMUNICATION_OTHER = 0x078000,
	CONFIG_LEN = 8,
	MAX_CHAINS_PER_TURN = RING_SIZE,
	MAX_BYTES_PER_TURN = 1 << 20,
	FIRST_CID = 3,
};

#define LAST_CID UINT64_C(0xfffffffe)

enum { RX, TX, RING_QUEUES, EVENT = RING_QUEUES, N_QUEUES };

/* virtio-v1.4 5.10.6.7 "Device Events" */
enum { EVENT_TRANSPORT_RESET = 0, EVENT_LEN = 4 };

struct virtio_vsock {
	struct virtio_device dev;
	struct event_loop *loop;
	struct datapath *rings, *events;	/* in process; owned by 'dev' once they are parts */
	struct vsock_hub *hub;			/* NULL: there is only the kernel */
	bool is_offloaded;			/* the kernel can have the rings */
	struct virtqueue *rx, *tx, *event;	/* while they run; owner loop */
	bool has_event;				/* TRANSPORT_RESET is to be told; owner loop */
};

/* --- Rings in this process ------------------------------------------------------------------- */

/* A buffer that can carry something.  Others come back empty. */
static bool is_useful(const struct chain *c)
{
	return c->out_len == 0 && c->in_len > VSOCK_HEADER_LEN;
}

enum serve_result { SERVE_DONE, SERVE_NO_BUFFER, SERVE_NO_TIME };

static enum serve_result serve_rx(struct virtio_vsock *vsock)
{
	size_t budget = MAX_BYTES_PER_TURN;
	struct chain c;

	for (unsigned n = 0; n < MAX_CHAINS_PER_TURN && budget > 0; n++) {
		if (!vsock_hub_has(vsock->hub))
			return SERVE_DONE;
		if (!vsock->rx || virtqueue_pop(vsock->rx, &c) != VQ_CHAIN)
			return SERVE_NO_BUFFER;
		if (!is_useful(&c)) {
			virtqueue_push(vsock->rx, c.head, 0);
			continue;
		}
		size_t len = vsock_hub_give(vsock->hub, c.in, c.n_in, c.in_len);
		if (len == 0) {
			virtqueue_unpop(vsock->rx, &c);
			return SERVE_DONE;
		}
		virtqueue_push(vsock->rx, c.head, (uint32_t)len);
		budget -= min_u64(budget, len);
	}
	return SERVE_NO_TIME;
}

/* From elsewhere than the ring's own turn.  Who takes its last buffer must see to its kicks. */
static void serve_rx_now(struct virtio_vsock *vsock)
{
	enum serve_result result = serve_rx(vsock);

	if (!vsock->rx)
		return;
	virtqueue_flush(vsock->rx);
	if (result != SERVE_DONE)
		local_queue_resume(vsock->rings, RX);
}

static void serve_tx(struct virtio_vsock *vsock)
{
	size_t budget = MAX_BYTES_PER_TURN;
	struct chain c;

	for (unsigned n = 0; n < MAX_CHAINS_PER_TURN && budget > 0; n++) {
		/* The guest reads no replies: it is told nothing more, either. */
		if (!vsock_hub_has_room(vsock->hub))
			break;
		if (virtqueue_pop(vsock->tx, &c) != VQ_CHAIN)
			break;
		if (c.in_len == 0)
			vsock_hub_take(vsock->hub, c.out, c.n_out, c.out_len);
		virtqueue_push(vsock->tx, c.head, 0);
		budget -= min_u64(budget, c.out_len);
	}
	if (vsock_hub_has(vsock->hub))
		serve_rx_now(vsock);
}

static void vsock_handle(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_vsock *vsock = model;
	bool had_room = vsock_hub_has_room(vsock->hub);

	(void)q;
	if (index == TX) {
		serve_tx(vsock);
		return;
	}
	serve_rx(vsock);
	if (!had_room && vsock->tx && vsock_hub_has_room(vsock->hub))
		local_queue_resume(vsock->rings, TX);
}

/* A socket or the clock had something. */
static void on_ready(void *arg)
{
	struct virtio_vsock *vsock = arg;
	bool had_room = vsock_hub_has_room(vsock->hub);

	serve_rx_now(vsock);
	if (!had_room && vsock->tx && vsock_hub_has_room(vsock->hub))
		local_queue_resume(vsock->rings, TX);
}

static void vsock_queue_start(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_vsock *vsock = model;

	if (index == RX)
		vsock->rx = q;
	else
		vsock->tx = q;
}

static void vsock_queue_stop(void *model, unsigned index, struct virtqueue *q)
{
	(void)q;
	vsock_queue_start(model, index, NULL);
}

/* --- Sessions -------------------------------------------------------------------------------- */

/*
 * Which types of sockets the driver has.  Without NO_IMPLIED_STREAM it has streams, whatever else
 * it said.  virtio-v1.4 5.10.3 "Feature bits"
 */
static unsigned accepted_types(const struct features *f)
{
	unsigned types = 0;

	if (features_has(f, VIRTIO_VSOCK_F_STREAM) ||
	    !features_has(f, VIRTIO_VSOCK_F_NO_IMPLIED_STREAM))
		types |= 1u << VSOCK_STREAM;
	if (features_has(f, VIRTIO_VSOCK_F_SEQPACKET))
		types |= 1u << VSOCK_SEQPACKET;
	return types;
}

struct start_call {
	struct virtio_vsock *vsock;
	unsigned types;
	int r;
	struct error_chain chain;
};

static void start_hub(void *arg)
{
	struct start_call *call = arg;

	call->r = vsock_hub_start(call->vsock->hub, call->types);
	if (call->r < 0)
		error_save(&call->chain);
}

static void stop_hub(void *arg)
{
	struct virtio_vsock *vsock = arg;

	vsock_hub_stop(vsock->hub);
}

static int vsock_start(void *model, const struct datapath_start *start)
{
	struct virtio_vsock *vsock = model;
	struct start_call call = { .vsock = vsock, .types = accepted_types(&start->features) };

	event_loop_call(vsock->loop, start_hub, &call);
	if (call.r < 0)
		error_restore(&call.chain);
	return call.r;
}

static void vsock_stop(void *model)
{
	struct virtio_vsock *vsock = model;

	event_loop_call(vsock->loop, stop_hub, vsock);
}

static const struct local_ops vsock_local_ops = {
	.start = vsock_start,
	.queue_start = vsock_queue_start,
	.handle = vsock_handle,
	.queue_stop = vsock_queue_stop,
	.stop = vsock_stop,
};

/* --- Events ---------------------------------------------------------------------------------- */

/* The event waits for a buffer as long as it must. */
static void event_handle(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_vsock *vsock = model;
	uint8_t id[EVENT_LEN];
	struct chain c;

	(void)index;
	store_le32(id, EVENT_TRANSPORT_RESET);
	for (unsigned n = 0; n < EVENT_SIZE && vsock->has_event; n++) {
		if (virtqueue_pop(q, &c) != VQ_CHAIN)
			return;
		if (c.out_len > 0 || c.in_len < EVENT_LEN) {
			virtqueue_push(q, c.head, 0);
			continue;
		}
		iov_write(c.in, c.n_in, 0, id, sizeof(id));
		virtqueue_push(q, c.head, sizeof(id));
		vsock->has_event = false;
	}
}

static void event_queue_start(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_vsock *vsock = model;

	(void)index;
	vsock->event = q;
}

/* A driver that comes anew has no connections that it could have lost. */
static void event_queue_stop(void *model, unsigned index, struct virtqueue *q)
{
	struct virtio_vsock *vsock = model;

	(void)index;
	(void)q;
	vsock->event = NULL;
	vsock->has_event = false;
}

static const struct local_ops event_local_ops = {
	.queue_start = event_queue_start,
	.handle = event_handle,
	.queue_stop = event_queue_stop,
};

static void lose_connections(void *arg)
{
	struct virtio_vsock *vsock = arg;

	if (vsock->hub)
		vsock_hub_forget(vsock->hub);
	/* What the guest sent may have waited for room for the replies, which are gone. */
	if (vsock->tx)
		local_queue_resume(vsock->rings, TX);
	if (!vsock->event)
		return;
	vsock->has_event = true;
	local_queue_resume(vsock->events, 0);
}

void virtio_vsock_transport_reset(struct virtio_device *dev)
{
	struct virtio_vsock *vsock = container_of(dev, struct virtio_vsock, dev);

	event_loop_call(vsock->loop, lose_connections, vsock);
}

/* --- The device ------------------------------------------------------------------------------ */

static void vsock_destroy(struct virtio_device *dev)
{
	struct virtio_vsock *vsock = container_of(dev, struct virtio_vsock, dev);

	virtio_device_fini(dev);
	vsock_hub_destroy(vsock->hub);
	free(vsock);
}

static const struct virtio_device_ops vsock_ops = {
	/* Connections do not go over from the kernel to this process, nor back. */
	.switched = virtio_vsock_transport_reset,
	.destroy = vsock_destroy,
};

static int init_device(struct virtio_vsock *vsock, const struct virtio_vsock_config *config,
		       uint64_t cid)
{
	static const uint16_t queue_size[N_QUEUES] = { RING_SIZE, RING_SIZE, EVENT_SIZE };
	uint8_t bytes[CONFIG_LEN];
	struct virtio_device_config dev = {
		.name = config->name,
		.id = VIRTIO_ID_VSOCK,
		.pci_class = PCI_CLASS_COMMUNICATION_OTHER,
		.config = bytes,
		.config_len = CONFIG_LEN,
		.n_queues = N_QUEUES,
		.queue_size = queue_size,
	};

	store_le64(bytes, cid);
	features_add(&dev.features, VIRTIO_VSOCK_F_STREAM);
	features_add(&dev.features, VIRTIO_VSOCK_F_SEQPACKET);
	features_add(&dev.features, VIRTIO_VSOCK_F_NO_IMPLIED_STREAM);
	return virtio_device_init(&vsock->dev, &vsock_ops, &dev);
}

/* What helps against the error, and what does without. */
static void hint_at_sockets(void)
{
	struct error_chain chain;

	error_save(&chain);
	error_hint("%s%sdo without: 'socket=PATH' has vsock in this process, over Unix sockets",
		   chain.hint, chain.hint[0] ? "; or " : "");
}

/*
 * The kernel's rings, if they are wanted and to be had; none is fine where Unix sockets can do.
 * What was chosen, and why not the other, is told.
 */
static int create_kernel_rings(struct datapath **out, uint64_t *cid,
			       const struct virtio_vsock_config *config)
{
	const struct vhost_vsock_config vhost = {
		.path = config->vhost_path,
		.fd = config->vhost_fd,
		.cid = config->cid,
		.only_look = config->only_look,
		.loop = config->loop,
	};
	int r, fd = config->vhost_fd;

	*out = NULL;
	*cid = config->cid ? config->cid : FIRST_CID;
	if (config->vhost == VIRTIO_OFFLOAD_OFF) {
		fd_close(&fd);
		return 0;
	}
	r = vhost_vsock_create(out, cid, &vhost);
	if (*cid == 0)
		*cid = FIRST_CID;
	if (r == 0) {
		log_notice("%s: CID %" PRIu64 ", by the host's kernel (%s)", config->name, *cid,
			 config->vhost_path);
		return 0;
	}
	if (config->vhost == VIRTIO_OFFLOAD_REQUIRE)
		return error_add(r, "%s: have the host's kernel move the packets", config->name);
	if (!config->socket) {
		hint_at_sockets();
		return error_add(r, "%s: have the host's kernel move the packets", config->name);
	}
	log_notice("%s: not by the host's kernel: %s", config->name, error_text());
	error_clear();
	return 0;
}

/* Rings in this process.  Nobody else can have this guest's CID: it is only ours to use. */
static int create_local_rings(struct datapath **out, struct virtio_vsock *vsock,
			      const struct virtio_vsock_config *config, uint64_t cid)
{
	struct event_loop *const loop[RING_QUEUES] = { config->loop, config->loop };
	const struct vsock_hub_config hub = {
		.name = vsock->dev.name,
		.path = config->socket,
		.cid = cid,
		.loop = config->loop,
		.ready = on_ready,
		.arg = vsock,
	};
	int r = 0;

	*out = NULL;
	if (!config->only_look)
		r = vsock_hub_create(&vsock->hub, &hub);
	if (r == 0)
		r = local_create(out, &vsock_local_ops, vsock, loop, RING_QUEUES);
	vsock->rings = *out;
	return r;
}

/* 'kernel' is consumed.  With both the one in process waits for its turn. */
static int create_parts(struct virtio_vsock *vsock, const struct virtio_vsock_config *config,
			struct datapath *kernel, uint64_t cid)
{
	struct datapath *local = NULL;
	int r = 0;

	if (kernel)
		virtio_device_add_part(&vsock->dev, kernel, 0, RING_QUEUES);
	/* Who requires the kernel gets it or an error, also later. */
	if (config->socket && config->vhost != VIRTIO_OFFLOAD_REQUIRE)
		r = create_local_rings(&local, vsock, config, cid);
	if (r < 0)
		return r;
	if (local && kernel)
		virtio_device_add_datapath(&vsock->dev, 0, local);
	else if (local)
		virtio_device_add_part(&vsock->dev, local, 0, RING_QUEUES);
	if (local && !kernel)
		log_notice("%s: CID %" PRIu64
			   ", in process: '%s' leads to the guest, '%s_PORT' out",
			   config->name, cid, config->socket, config->socket);
	r = local_create(&vsock->events, &event_local_ops, vsock, &config->loop, 1);
	if (r == 0)
		virtio_device_add_part(&vsock->dev, vsock->events, EVENT, 1);
	return r;
}

/* virtio-v1.4 5.10.4 "Device configuration layout": who a guest cannot be. */
static int check_config(const struct virtio_vsock_config *config)
{
	if (config->cid && (config->cid < FIRST_CID || config->cid > LAST_CID))
		return error_set(EINVAL, "%s: the CID of a guest is 3 to 4294967294",
				 config->name);
	if (config->socket || config->vhost != VIRTIO_OFFLOAD_OFF)
		return 0;
	error_set(EINVAL, "%s: vsock in this process needs a place for its sockets", config->name);
	error_hint("give 'socket=PATH': programs of the host reach the guest there, and the guest "
		   "reaches PATH_PORT");
	return -EINVAL;
}

static int create_device(struct virtio_vsock *vsock, const struct virtio_vsock_config *config)
{
	struct datapath *kernel;
	uint64_t cid;
	int r = create_kernel_rings(&kernel, &cid, config);

	if (r < 0)
		return r;
	vsock->is_offloaded = kernel != NULL;
	r = init_device(vsock, config, cid);
	if (r == 0)
		return create_parts(vsock, config, kernel, cid);
	if (kernel)
		kernel->ops->destroy(kernel);
	return r;
}

int virtio_vsock_create(struct virtio_device **out, const struct virtio_vsock_config *config)
{
	struct virtio_vsock *vsock = NULL;
	int r = check_config(config), fd = config->vhost_fd;

	*out = NULL;
	if (r == 0) {
		vsock = calloc(1, sizeof(*vsock));
		if (!vsock)
			r = error_set(ENOMEM, "create '%s'", config->name);
	}
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	vsock->loop = config->loop;
	r = create_device(vsock, config);
	if (r < 0) {
		vsock_destroy(&vsock->dev);
		return r;
	}
	*out = &vsock->dev;
	return 0;
}

bool virtio_vsock_is_offloaded(const struct virtio_device *dev)
{
	return container_of(dev, const struct virtio_vsock, dev)->is_offloaded;
}
