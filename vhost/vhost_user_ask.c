/*
 * What a vhost-user node asks and is answered: the exchange of messages, the agreement at the
 * beginning, configuration space, the account of what is in flight.
 */
#include "vhost/vhost_user_ask.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

enum { INFLIGHT_LEN = 24, INFLIGHT_LEN_PACKED = 20, CONFIG_HEADER = 12 };

/* What we have a use for, and know how to talk about. */
#define BIT(f) (UINT64_C(1) << VHOST_USER_PROTOCOL_F_##f)
static const uint64_t known_protocol = BIT(MQ) | BIT(REPLY_ACK) | BIT(BACKEND_REQ) | BIT(CONFIG) |
				       BIT(INFLIGHT_SHMFD) | BIT(RESET_DEVICE) | BIT(STATUS);
#undef BIT

/* --- asking ---------------------------------------------------------------------------------- */

void vhost_user_node_give_time(struct vhost_user_node *n, unsigned ms)
{
	n->deadline_ms = clock_now_ms() + ms;
}

int vhost_user_break(struct vhost_user_node *n, int r)
{
	if (n->broken == 0)
		n->broken = r;
	vhost_user_reader_clear(&n->reader);
	return n->broken;
}

int vhost_user_node_say(const struct vhost_user_node *n, int r)
{
	const char *request = vhost_user_request_name(n->asked);

	switch (r) {
	case -ETIMEDOUT:
		return error_set(r, "the back end did not answer %s in time", request);
	case -EPIPE:
		return error_set(r, "the back end hung up at %s", request);
	case -EPROTO:
		return error_set(r, "the back end's answer to %s makes no sense", request);
	case -EREMOTEIO:
		return error_set(r, "the back end refuses %s", request);
	default:
		return error_set(r, "%s to the back end", request);
	}
}

struct vhost_user_message vhost_user_request(enum vhost_user_request what, uint32_t len)
{
	return (struct vhost_user_message){
		.request = what, .flags = VHOST_USER_VERSION, .len = len,
	};
}

int vhost_user_tell(struct vhost_user_node *n, const struct vhost_user_message *m)
{
	if (n->broken)
		return n->broken;
	n->asked = m->request;
	int r = vhost_user_send(n->sock, m, n->deadline_ms);

	return r < 0 ? vhost_user_break(n, r) : 0;
}

bool vhost_user_is_reply(const struct vhost_user_message *m, uint32_t what)
{
	return m->request == what && m->flags & VHOST_USER_IS_REPLY &&
	       (m->flags & VHOST_USER_VERSION_MASK) == VHOST_USER_VERSION;
}

int vhost_user_hear_due(struct vhost_user_node *n, uint64_t until_ms)
{
	struct vhost_user_message reply;

	while (n->n_due > 0) {
		uint32_t what = n->due[0];
		int r = n->broken ? n->broken :
			vhost_user_read_until(&n->reader, n->sock, &reply, until_ms);

		n->asked = what;
		if (r == -ETIMEDOUT)
			return r;
		if (r < 0)
			return vhost_user_break(n, r);
		vhost_user_close_fds(&reply);
		if (!vhost_user_is_reply(&reply, what) || reply.len != 8)
			return vhost_user_break(n, -EPROTO);
		uint64_t value = load_le64(reply.payload);
		if (what == VHOST_USER_GET_STATUS ? !(value & VIRTIO_STATUS_FEATURES_OK) : value)
			n->verdict = -EREMOTEIO;
		n->due[0] = n->due[1];
		n->n_due--;
	}
	return n->broken;
}

/* The answer to 'what'.  Descriptors that come with it are closed, unless they are wanted. */
static int hear(struct vhost_user_node *n, uint32_t what, struct vhost_user_message *reply,
		bool wants_fds)
{
	int r = vhost_user_hear_due(n, n->deadline_ms);

	if (r == 0) {
		n->asked = what;
		r = vhost_user_read_until(&n->reader, n->sock, reply, n->deadline_ms);
	}
	if (r < 0)
		return vhost_user_break(n, r);
	if (!wants_fds || !vhost_user_is_reply(reply, what))
		vhost_user_close_fds(reply);
	return vhost_user_is_reply(reply, what) ? 0 : vhost_user_break(n, -EPROTO);
}

int vhost_user_ask(struct vhost_user_node *n, const struct vhost_user_message *m,
	       struct vhost_user_message *reply)
{
	int r = vhost_user_tell(n, m);

	return r < 0 ? r : hear(n, m->request, reply, false);
}

int vhost_user_ask_u64(struct vhost_user_node *n, enum vhost_user_request what, uint64_t *out)
{
	const struct vhost_user_message m = vhost_user_request(what, 0);
	struct vhost_user_message reply;
	int r = vhost_user_ask(n, &m, &reply);

	*out = 0;
	if (r < 0)
		return r;
	if (reply.len != 8)
		return vhost_user_break(n, -EPROTO);
	*out = load_le64(reply.payload);
	return 0;
}

/* Tell, and where the back end can say so wait until it was done. */
int vhost_user_tell_and_wait(struct vhost_user_node *n, struct vhost_user_message *m)
{
	struct vhost_user_message reply;

	if (!vhost_user_node_has(n, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return vhost_user_tell(n, m);
	m->flags |= VHOST_USER_NEEDS_REPLY;
	int r = vhost_user_ask(n, m, &reply);

	if (r < 0)
		return r;
	if (reply.len != 8)
		return vhost_user_break(n, -EPROTO);
	return load_le64(reply.payload) == 0 ? 0 : -EREMOTEIO;
}

int vhost_user_tell_u64(struct vhost_user_node *n, enum vhost_user_request what, uint64_t value)
{
	struct vhost_user_message m = vhost_user_request(what, 8);

	store_le64(m.payload, value);
	return vhost_user_tell(n, &m);
}

int vhost_user_tell_state(struct vhost_user_node *n, enum vhost_user_request what, unsigned ring,
		      uint32_t num)
{
	struct vhost_user_message m = vhost_user_request(what, 8);

	store_le32(m.payload, ring);
	store_le32(m.payload + 4, num);
	return vhost_user_tell(n, &m);
}

int vhost_user_tell_fd(struct vhost_user_node *n, enum vhost_user_request what, unsigned ring,
		       int fd)
{
	struct vhost_user_message m = vhost_user_request(what, 8);

	store_le64(m.payload, ring);
	m.fd[0] = fd;
	m.n_fds = 1;
	return vhost_user_tell(n, &m);
}

/* --- agreeing -------------------------------------------------------------------------------- */

void vhost_user_node_greet(struct vhost_user_node *n)
{
	const struct vhost_user_message m = vhost_user_request(VHOST_USER_GET_FEATURES, 0);

	n->was_asked = vhost_user_tell(n, &m) == 0;
}

static int learn_features(struct vhost_user_node *n)
{
	struct vhost_user_message reply;

	if (!n->was_asked)
		return vhost_user_ask_u64(n, VHOST_USER_GET_FEATURES, &n->features);
	n->was_asked = false;
	int r = hear(n, VHOST_USER_GET_FEATURES, &reply, false);

	if (r < 0)
		return r;
	if (reply.len != 8)
		return vhost_user_break(n, -EPROTO);
	n->features = load_le64(reply.payload);
	return 0;
}

static int learn_protocol(struct vhost_user_node *n)
{
	uint64_t offered, rings = 1;
	int r = vhost_user_ask_u64(n, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);

	if (r < 0)
		return r;
	n->protocol = offered & known_protocol;
	r = vhost_user_tell_u64(n, VHOST_USER_SET_PROTOCOL_FEATURES, n->protocol);
	/* Of a back end that does not say so the number is known by whoever uses it. */
	n->max_rings = VHOST_USER_MAX_RINGS;
	if (r < 0 || !vhost_user_node_has(n, VHOST_USER_PROTOCOL_F_MQ))
		return r;
	r = vhost_user_ask_u64(n, VHOST_USER_GET_QUEUE_NUM, &rings);
	n->max_rings = (unsigned)min_u64(rings, VHOST_USER_MAX_RINGS);
	return r;
}

static int give_channel(struct vhost_user_node *n, int fd)
{
	struct vhost_user_message m = vhost_user_request(VHOST_USER_SET_BACKEND_REQ_FD, 0);

	if (fd == FD_NONE || !vhost_user_node_has(n, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		return 0;
	m.fd[0] = fd;
	m.n_fds = 1;
	return vhost_user_tell_and_wait(n, &m);
}

int vhost_user_node_agree(struct vhost_user_node *n, bool wants_config, int back_fd)
{
	const struct vhost_user_message owner = vhost_user_request(VHOST_USER_SET_OWNER, 0);
	int r = learn_features(n);

	if (r < 0)
		return vhost_user_node_say(n, r);
	if (!(n->features >> VHOST_USER_F_PROTOCOL_FEATURES & 1))
		return error_set(EOPNOTSUPP, "the back end has no protocol features (bit %d)",
				 VHOST_USER_F_PROTOCOL_FEATURES);
	r = learn_protocol(n);
	if (r == 0 && wants_config && !vhost_user_node_has(n, VHOST_USER_PROTOCOL_F_CONFIG))
		return error_set(EOPNOTSUPP, "the back end has no configuration space (CONFIG)");
	if (r == 0)
		r = vhost_user_tell(n, &owner);
	if (r == 0)
		r = give_channel(n, back_fd);
	return r < 0 ? vhost_user_node_say(n, r) : 0;
}

/* --- configuration space --------------------------------------------------------------------- */

static struct vhost_user_message config_request(enum vhost_user_request what, unsigned offset,
						unsigned len)
{
	struct vhost_user_message m = vhost_user_request(what, CONFIG_HEADER + len);

	store_le32(m.payload, offset);
	store_le32(m.payload + 4, len);
	store_le32(m.payload + 8, 0);	/* flags: written by the driver */
	return m;
}

int vhost_user_node_get_config(struct vhost_user_node *n, uint8_t *buf, unsigned len)
{
	const struct vhost_user_message m = config_request(VHOST_USER_GET_CONFIG, 0, len);
	struct vhost_user_message reply;
	int r = vhost_user_ask(n, &m, &reply);

	if (r < 0)
		return vhost_user_node_say(n, r);
	/* Nothing is how it says no. */
	if (reply.len == 0)
		return vhost_user_node_say(n, -EREMOTEIO);
	if (reply.len != CONFIG_HEADER + len || load_le32(reply.payload) != 0 ||
	    load_le32(reply.payload + 4) != len)
		return vhost_user_node_say(n, vhost_user_break(n, -EPROTO));
	memcpy(buf, reply.payload + CONFIG_HEADER, len);
	return 0;
}

int vhost_user_node_set_config(struct vhost_user_node *n, unsigned offset, const uint8_t *buf,
			       unsigned len)
{
	struct vhost_user_message m = config_request(VHOST_USER_SET_CONFIG, offset, len);

	memcpy(m.payload + CONFIG_HEADER, buf, len);
	int r = vhost_user_tell_and_wait(n, &m);

	return r < 0 ? vhost_user_node_say(n, r) : 0;
}

/* --- what is in flight ----------------------------------------------------------------------- */

static struct vhost_user_message inflight_request(enum vhost_user_request what,
						  const struct vhost_user_inflight *io)
{
	struct vhost_user_message m = vhost_user_request(what, INFLIGHT_LEN);

	store_le64(m.payload, io->size);
	store_le64(m.payload + 8, io->offset);
	store_le16(m.payload + 16, io->n_rings);
	store_le16(m.payload + 18, io->ring_size);
	return m;
}

int vhost_user_node_get_inflight(struct vhost_user_node *n, struct vhost_user_inflight *io)
{
	const struct vhost_user_message m = inflight_request(VHOST_USER_GET_INFLIGHT_FD, io);
	struct vhost_user_message reply;
	int r = vhost_user_tell(n, &m);

	if (r == 0)
		r = hear(n, m.request, &reply, true);
	if (r < 0)
		return vhost_user_node_say(n, r);
	if ((reply.len != INFLIGHT_LEN && reply.len != INFLIGHT_LEN_PACKED) || reply.n_fds != 1 ||
	    load_le64(reply.payload) == 0) {
		vhost_user_close_fds(&reply);
		return vhost_user_node_say(n, vhost_user_break(n, -EPROTO));
	}
	io->size = load_le64(reply.payload);
	io->offset = load_le64(reply.payload + 8);
	io->fd = reply.fd[0];
	return 0;
}

int vhost_user_node_set_inflight(struct vhost_user_node *n, const struct vhost_user_inflight *io)
{
	struct vhost_user_message m = inflight_request(VHOST_USER_SET_INFLIGHT_FD, io);

	m.fd[0] = io->fd;
	m.n_fds = 1;
	int r = vhost_user_tell_and_wait(n, &m);

	return r < 0 ? vhost_user_node_say(n, r) : 0;
}
