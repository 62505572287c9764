/*
 * Frames that one queue pair received and another one's driver shall have: the pairs' loops put
 * copies in, the owner's loop takes them out.  Bounded, without a lock; what does not fit is not
 * taken.  Memory is reserved at start and touched as frames need it.
 */
#ifndef DEVICES_NET_MAILBOX_H
#define DEVICES_NET_MAILBOX_H

#include <stdatomic.h>
#include <sys/uio.h>

#include "devices/net_header.h"
#include "vmm/base/util.h"

enum { NET_MAILBOX_SLOTS = 64 };	/* power of two */

struct net_mail {
	struct net_header header;
	uint32_t len;
	uint8_t frame[NET_FRAME_MAX];
};

struct net_mailbox {
	struct net_mail *mail;		/* NET_MAILBOX_SLOTS; NULL: there is none */
	/* Slot i: whose turn it is.  i + n * SLOTS: to fill it in lap n; one more: to take it. */
	_Atomic uint32_t turn[NET_MAILBOX_SLOTS];
	_Atomic uint32_t put;		/* the next to fill: all who put */
	uint32_t taken;			/* the next to take: the owner */
};

/* Returns 0 or -ENOMEM with an error chain. */
MUST_USE int net_mailbox_open(struct net_mailbox *box);
/* Nobody uses it any more; what is in it is gone.  Fine when it is not open. */
void net_mailbox_close(struct net_mailbox *box);

/*
 * Put a copy of a frame of 'len' bytes in.  Returns false if it does not fit or the box is full.
 * Any thread.
 */
MUST_USE bool net_mailbox_put(struct net_mailbox *box, const struct net_header *header,
			      const struct iovec *iov, unsigned n, size_t len);

/* The oldest frame, until net_mailbox_drop(); NULL: there is none.  Owner. */
const struct net_mail *net_mailbox_peek(struct net_mailbox *box);
void net_mailbox_drop(struct net_mailbox *box);

#endif
