#include "vhost/vhost_user_node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "vhost/vhost_user_ask.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum { REGION_LEN = 32 };

/* virtio-v1.4 2.1 "Device Status Field" */
enum {
	STATUS_NEW = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER,
	STATUS_SEALED = STATUS_NEW | VIRTIO_STATUS_FEATURES_OK,
	STATUS_RUNS = STATUS_SEALED | VIRTIO_STATUS_DRIVER_OK,
};

/* --- rings that run and stop ----------------------------------------------------------------- */

/* It closed what it was given when the ring stopped. */
static int start_again(struct vhost_user_node *n, unsigned ring)
{
	struct vhost_user_ring *r = &n->ring[ring];
	int e = vhost_user_tell_state(n, VHOST_USER_SET_VRING_BASE, ring, r->base);

	if (e == 0 && r->err != FD_NONE)
		e = vhost_user_tell_fd(n, VHOST_USER_SET_VRING_ERR, ring, r->err);
	if (e == 0 && r->call != FD_NONE)
		e = vhost_user_tell_fd(n, VHOST_USER_SET_VRING_CALL, ring, r->call);
	if (e == 0)
		e = vhost_user_tell_fd(n, VHOST_USER_SET_VRING_KICK, ring, r->kick);
	r->started = e == 0;
	return e;
}

int vhost_user_node_run(struct vhost_user_node *n, unsigned ring)
{
	int r = n->ring[ring].started ? 0 : start_again(n, ring);

	if (r == 0)
		r = vhost_user_tell_state(n, VHOST_USER_SET_VRING_ENABLE, ring, 1);
	return r < 0 ? vhost_user_node_say(n, r) : 0;
}

static int set_status(struct vhost_user_node *n, uint8_t status)
{
	if (!vhost_user_node_has(n, VHOST_USER_PROTOCOL_F_STATUS) || n->status == status)
		return 0;
	n->status = status;
	return vhost_user_tell_u64(n, VHOST_USER_SET_STATUS, status);
}

int vhost_user_node_running(struct vhost_user_node *n)
{
	int r = n->broken ? n->broken : set_status(n, STATUS_RUNS);

	return r < 0 ? vhost_user_node_say(n, r) : 0;
}

void vhost_user_node_begin_stop(struct vhost_user_node *n, unsigned ring)
{
	if (!n->ring[ring].started)
		return;
	int r = vhost_user_tell_state(n, VHOST_USER_SET_VRING_ENABLE, ring, 0);

	if (r == 0)
		r = vhost_user_tell_state(n, VHOST_USER_GET_VRING_BASE, ring, 0);
	if (r == 0)
		n->awaited[n->n_awaited++] = (uint8_t)ring;
}

static void take_base(struct vhost_user_node *n, const struct vhost_user_message *reply)
{
	unsigned ring = n->awaited[0];

	if (!vhost_user_is_reply(reply, VHOST_USER_GET_VRING_BASE) || reply->len != 8 ||
	    load_le32(reply->payload) != ring) {
		vhost_user_break(n, -EPROTO);
		return;
	}
	n->ring[ring].base = load_le32(reply->payload + 4);
	n->ring[ring].started = false;
	memmove(n->awaited, n->awaited + 1, --n->n_awaited);
}

bool vhost_user_node_is_stopped(struct vhost_user_node *n)
{
	struct vhost_user_message reply;

	while (n->n_awaited > 0 && !n->broken) {
		int r = vhost_user_read(&n->reader, n->sock, &reply);
		if (r == -EAGAIN)
			return false;
		if (r < 0) {
			vhost_user_break(n, r);
			break;
		}
		vhost_user_close_fds(&reply);
		take_base(n, &reply);
	}
	return true;
}

void vhost_user_node_reset(struct vhost_user_node *n)
{
	const struct vhost_user_message m = vhost_user_request(VHOST_USER_RESET_DEVICE, 0);

	if (vhost_user_node_has(n, VHOST_USER_PROTOCOL_F_STATUS))
		(void)set_status(n, 0);
	else if (vhost_user_node_has(n, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		(void)!vhost_user_tell(n, &m);
	n->is_told = false;
}

/* --- features -------------------------------------------------------------------------------- */

static void await_due(struct vhost_user_node *n, uint32_t what)
{
	n->due[n->n_due++] = what;
}

/*
 * Say them, and ask, without a wait for the answers.  -ETIMEDOUT, and nothing was said: those of
 * a session before are still to come.
 */
static int tell_features(struct vhost_user_node *n, uint64_t features)
{
	const struct vhost_user_message status = vhost_user_request(VHOST_USER_GET_STATUS, 0);
	struct vhost_user_message m = vhost_user_request(VHOST_USER_SET_FEATURES, 8);
	bool acks = vhost_user_node_has(n, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	int r = vhost_user_hear_due(n, n->deadline_ms);

	store_le64(m.payload, features);
	if (acks)
		m.flags |= VHOST_USER_NEEDS_REPLY;
	n->verdict = 0;
	if (r == 0)
		r = set_status(n, STATUS_NEW);
	if (r == 0)
		r = vhost_user_tell(n, &m);
	if (r == 0 && acks)
		await_due(n, m.request);
	if (r == 0)
		r = set_status(n, STATUS_SEALED);
	if (r == 0 && vhost_user_node_has(n, VHOST_USER_PROTOCOL_F_STATUS)) {
		r = vhost_user_tell(n, &status);
		if (r == 0)
			await_due(n, status.request);
	}
	n->is_told = r == 0;
	n->told = features;
	return r;
}

/*
 * What the back end makes of them, until the node's deadline.  -ETIMEDOUT: it does not say yet,
 * which breaks nothing.
 */
static int ask_features(struct vhost_user_node *n, const struct features *f)
{
	/* Between the two of us (N17): without it rings would run at once. */
	uint64_t features = f->word[0] | UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES;
	int r = 0;

	if (f->word[1] != 0)
		return -EOPNOTSUPP;
	/* N7: once, unless it is another set. */
	if (!n->is_told || n->told != features)
		r = tell_features(n, features);
	if (r == 0)
		r = vhost_user_hear_due(n, n->deadline_ms);
	if (r == 0 && n->verdict < 0) {
		n->asked = VHOST_USER_SET_FEATURES;
		r = n->verdict;
	}
	return r;
}

int vhost_user_node_propose(struct vhost_user_node *n, const struct features *f)
{
	int r = ask_features(n, f);

	if (r == -ETIMEDOUT && !n->broken)
		return 0;
	return r < 0 ? vhost_user_node_say(n, r) : 0;
}

/* --- the ladder's verbs ---------------------------------------------------------------------- */

static int user_get_features(struct vhost_node *node, struct features *out)
{
	const struct vhost_user_node *n = vhost_user_node_of(node);

	*out = FEATURES_EMPTY;
	out->word[0] = n->features;
	return n->broken;
}

static int user_set_features(struct vhost_node *node, const struct features *f)
{
	struct vhost_user_node *n = vhost_user_node_of(node);
	int r = ask_features(n, f);

	/* Now it had time enough. */
	return r == -ETIMEDOUT ? vhost_user_break(n, r) : r;
}

/* The kernel's, of which there are none here. */
static int user_get_backend_features(struct vhost_node *node, uint64_t *out)
{
	(void)node;
	*out = 0;
	return -ENOTTY;
}

/* It was made ours when we agreed. */
static int user_set_owner(struct vhost_node *node)
{
	return vhost_user_node_of(node)->broken;
}

static int user_set_memory(struct vhost_node *node, const struct vhost_memory_table *table)
{
	struct vhost_user_message m =
		vhost_user_request(VHOST_USER_SET_MEM_TABLE, 8 + REGION_LEN * table->n);

	store_le32(m.payload, table->n);
	for (unsigned i = 0; i < table->n; i++) {
		const struct vhost_region *region = &table->region[i];
		uint8_t *p = m.payload + 8 + REGION_LEN * i;
		if (region->fd == FD_NONE)
			return -EOPNOTSUPP;
		store_le64(p, region->gpa);
		store_le64(p + 8, region->size);
		store_le64(p + 16, region->host);
		store_le64(p + 24, region->fd_offset);
		m.fd[m.n_fds++] = region->fd;
	}
	return vhost_user_tell_and_wait(vhost_user_node_of(node), &m);
}

static int user_set_ring_size(struct vhost_node *node, unsigned ring, unsigned size)
{
	return vhost_user_tell_state(vhost_user_node_of(node), VHOST_USER_SET_VRING_NUM, ring,
				     size);
}

static int user_set_ring_base(struct vhost_node *node, unsigned ring, uint32_t base)
{
	struct vhost_user_node *n = vhost_user_node_of(node);

	n->ring[ring].base = base;
	return vhost_user_tell_state(n, VHOST_USER_SET_VRING_BASE, ring, base);
}

static int user_get_ring_base(struct vhost_node *node, unsigned ring, uint32_t *base)
{
	struct vhost_user_node *n = vhost_user_node_of(node);

	/* One that never ran is still to be stopped. */
	if (n->ring[ring].started) {
		struct vhost_user_message m = vhost_user_request(VHOST_USER_GET_VRING_BASE, 8);
		struct vhost_user_message reply;
		store_le32(m.payload, ring);
		n->awaited[0] = (uint8_t)ring;
		n->n_awaited = 1;
		if (vhost_user_ask(n, &m, &reply) == 0)
			take_base(n, &reply);
	}
	*base = n->ring[ring].base;
	n->ring[ring].kick = n->ring[ring].call = n->ring[ring].err = FD_NONE;
	return n->broken;
}

static int user_set_ring_addr(struct vhost_node *node, unsigned ring,
			      const struct vhost_ring_addr *addr)
{
	struct vhost_user_message m = vhost_user_request(VHOST_USER_SET_VRING_ADDR, 40);

	store_le32(m.payload, ring);
	store_le32(m.payload + 4, 0);	/* no dirty bitmap is kept */
	store_le64(m.payload + 8, addr->desc);
	store_le64(m.payload + 16, addr->used);
	store_le64(m.payload + 24, addr->avail);
	store_le64(m.payload + 32, addr->used_gpa);
	return vhost_user_tell_and_wait(vhost_user_node_of(node), &m);
}

/*
 * Taking one away is not said: it would mean "poll instead", and a ring that was stopped has none
 * any more.
 */
static int user_set_ring_kick(struct vhost_node *node, unsigned ring, int fd)
{
	struct vhost_user_node *n = vhost_user_node_of(node);

	n->ring[ring].kick = fd;
	if (fd == FD_NONE)
		return 0;
	int r = vhost_user_tell_fd(n, VHOST_USER_SET_VRING_KICK, ring, fd);

	n->ring[ring].started = r == 0;
	return r;
}

static int user_set_ring_call(struct vhost_node *node, unsigned ring, int fd)
{
	struct vhost_user_node *n = vhost_user_node_of(node);

	n->ring[ring].call = fd;
	return fd == FD_NONE ? 0 : vhost_user_tell_fd(n, VHOST_USER_SET_VRING_CALL, ring, fd);
}

static int user_set_ring_err(struct vhost_node *node, unsigned ring, int fd)
{
	struct vhost_user_node *n = vhost_user_node_of(node);

	n->ring[ring].err = fd;
	return fd == FD_NONE ? 0 : vhost_user_tell_fd(n, VHOST_USER_SET_VRING_ERR, ring, fd);
}

static int user_set_ring_poll(struct vhost_node *node, unsigned ring, unsigned us)
{
	(void)node;
	(void)ring;
	(void)us;
	return -ENOTTY;
}

static void user_close(struct vhost_node *node)
{
	struct vhost_user_node *n = vhost_user_node_of(node);

	vhost_user_reader_clear(&n->reader);
	shutdown(n->sock, SHUT_RDWR);
	free(n);
}

static const struct vhost_ops user_ops = {
	.get_features = user_get_features,
	.set_features = user_set_features,
	.get_backend_features = user_get_backend_features,
	.set_owner = user_set_owner,
	.set_memory = user_set_memory,
	.set_ring_size = user_set_ring_size,
	.set_ring_base = user_set_ring_base,
	.get_ring_base = user_get_ring_base,
	.set_ring_addr = user_set_ring_addr,
	.set_ring_kick = user_set_ring_kick,
	.set_ring_call = user_set_ring_call,
	.set_ring_err = user_set_ring_err,
	.set_ring_poll = user_set_ring_poll,
	.close = user_close,
};

int vhost_user_node_create(struct vhost_user_node **out, int sock)
{
	struct vhost_user_node *n = calloc(1, sizeof(*n));

	*out = n;
	if (!n)
		return error_set(ENOMEM, "talk to a vhost-user back end");
	n->node = (struct vhost_node){ .ops = &user_ops, .fd = FD_NONE };
	n->sock = sock;
	for (unsigned i = 0; i < VHOST_USER_MAX_RINGS; i++)
		n->ring[i].kick = n->ring[i].call = n->ring[i].err = FD_NONE;
	return 0;
}
