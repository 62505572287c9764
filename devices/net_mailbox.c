#include "devices/net_mailbox.h"

#include <errno.h>
#include <sys/mman.h>

#include "vmm/base/error.h"
#include "vmm/base/iov.h"

static const size_t mail_bytes = NET_MAILBOX_SLOTS * sizeof(struct net_mail);

int net_mailbox_open(struct net_mailbox *box)
{
	void *p = mmap(NULL, mail_bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return error_set(ENOMEM, "reserve %zu bytes for received packets", mail_bytes);
	box->mail = p;
	for (uint32_t i = 0; i < NET_MAILBOX_SLOTS; i++)
		atomic_store(&box->turn[i], i);
	atomic_store(&box->put, 0);
	box->taken = 0;
	return 0;
}

void net_mailbox_close(struct net_mailbox *box)
{
	if (box->mail)
		munmap(box->mail, mail_bytes);
	box->mail = NULL;
}

/* Get the next slot to fill for us alone.  Returns false if its last frame was not taken yet. */
static bool claim(struct net_mailbox *box, uint32_t *at)
{
	*at = atomic_load_explicit(&box->put, memory_order_relaxed);
	for (;;) {
		/* Acquire: the owner is done with what the slot held in the lap before. */
		uint32_t turn = atomic_load_explicit(&box->turn[*at % NET_MAILBOX_SLOTS],
						     memory_order_acquire);
		int32_t ahead = (int32_t)(turn - *at);

		if (ahead < 0)
			return false;
		if (ahead == 0 && atomic_compare_exchange_weak_explicit(
					  &box->put, at, *at + 1, memory_order_relaxed,
					  memory_order_relaxed))
			return true;
		if (ahead > 0)
			*at = atomic_load_explicit(&box->put, memory_order_relaxed);
	}
}

bool net_mailbox_put(struct net_mailbox *box, const struct net_header *header,
		     const struct iovec *iov, unsigned n, size_t len)
{
	uint32_t at;

	if (!box->mail || len > NET_FRAME_MAX || !claim(box, &at))
		return false;
	struct net_mail *mail = &box->mail[at % NET_MAILBOX_SLOTS];

	mail->header = *header;
	mail->len = (uint32_t)iov_read(iov, n, 0, mail->frame, len);
	/* Release: whoever sees the turn sees the frame. */
	atomic_store_explicit(&box->turn[at % NET_MAILBOX_SLOTS], at + 1, memory_order_release);
	return true;
}

const struct net_mail *net_mailbox_peek(struct net_mailbox *box)
{
	uint32_t slot = box->taken % NET_MAILBOX_SLOTS;

	if (!box->mail ||
	    atomic_load_explicit(&box->turn[slot], memory_order_acquire) != box->taken + 1)
		return NULL;
	return &box->mail[slot];
}

void net_mailbox_drop(struct net_mailbox *box)
{
	atomic_store_explicit(&box->turn[box->taken % NET_MAILBOX_SLOTS],
			      box->taken + NET_MAILBOX_SLOTS, memory_order_release);
	box->taken++;
}
