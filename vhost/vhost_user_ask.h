/*
 * The exchange of messages on a vhost-user node's socket, shared by vhost_user_ask.c and
 * vhost_user_node.c.
 *
 * All return 0 or -errno without an error chain (vhost_user_node_say): what broke the node, then
 * and from now on; or -EREMOTEIO: the back end refuses this one thing.
 */
#ifndef VHOST_VHOST_USER_ASK_H
#define VHOST_VHOST_USER_ASK_H

#include "vhost/vhost_user_node.h"

/* A message to be filled in: 'len' bytes of payload, zero. */
struct vhost_user_message vhost_user_request(enum vhost_user_request what, uint32_t len);

/* The connection is over, for the reason 'r'.  Returns what broke it first. */
int vhost_user_break(struct vhost_user_node *n, int r);

bool vhost_user_is_reply(const struct vhost_user_message *m, uint32_t what);

/*
 * Answers about features that nobody has waited for yet: hear them, until 'until_ms'.  -ETIMEDOUT
 * breaks nothing here.
 */
MUST_USE int vhost_user_hear_due(struct vhost_user_node *n, uint64_t until_ms);

/* Tell, without an answer / and where the back end can say so wait until it was done. */
MUST_USE int vhost_user_tell(struct vhost_user_node *n, const struct vhost_user_message *m);
MUST_USE int vhost_user_tell_and_wait(struct vhost_user_node *n, struct vhost_user_message *m);
MUST_USE int vhost_user_tell_u64(struct vhost_user_node *n, enum vhost_user_request what,
				 uint64_t value);
MUST_USE int vhost_user_tell_state(struct vhost_user_node *n, enum vhost_user_request what,
				   unsigned ring, uint32_t num);
MUST_USE int vhost_user_tell_fd(struct vhost_user_node *n, enum vhost_user_request what,
				unsigned ring, int fd);

/* Ask, and wait for the answer; descriptors that come with it are closed. */
MUST_USE int vhost_user_ask(struct vhost_user_node *n, const struct vhost_user_message *m,
			    struct vhost_user_message *reply);
MUST_USE int vhost_user_ask_u64(struct vhost_user_node *n, enum vhost_user_request what,
				uint64_t *out);

#endif
