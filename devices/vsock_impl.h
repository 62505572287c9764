/* The inside of the vsock hub, shared by its four files (vsock_hub.h).  Nobody else includes it. */
#ifndef DEVICES_VSOCK_IMPL_H
#define DEVICES_VSOCK_IMPL_H

#include "devices/vsock_credit.h"
#include "devices/vsock_fifo.h"
#include "devices/vsock_hub.h"
#include "devices/vsock_packet.h"
#include "devices/vsock_unix.h"
#include "vmm/base/log.h"

enum {
	VSOCK_HELLO_MAX = 32,		/* bytes of the line that a client says */
	VSOCK_HELLO_MS = 2000,		/* and the time it has */
	VSOCK_KNOCK_MS = 2000,		/* a listener of the host that has no room */
	VSOCK_ASK_MS = 10000,		/* the guest's answer to a REQUEST */
	VSOCK_CLOSE_MS = 8000,		/* both sides said that they are done */
	VSOCK_BUCKETS = 256,
	VSOCK_LISTENERS = 2,
};

/* A link of a ring of such; next is NULL while it is in none. */
struct vsock_link {
	struct vsock_link *next, *prev;
};

static inline bool vsock_link_is_in(const struct vsock_link *link)
{
	return link->next != NULL;
}

static inline void vsock_link_append(struct vsock_link *list, struct vsock_link *link)
{
	*link = (struct vsock_link){ .next = list, .prev = list->prev };
	list->prev->next = link;
	list->prev = link;
}

static inline void vsock_link_remove(struct vsock_link *link)
{
	if (!link->next)
		return;
	link->prev->next = link->next;
	link->next->prev = link->prev;
	*link = (struct vsock_link){ NULL, NULL };
}

enum vsock_state {
	VSOCK_HELLO,		/* a client that has not said what it wants; not in the table */
	VSOCK_KNOCKING,		/* the guest asked, the host's listener has no room yet */
	VSOCK_ASKED,		/* a client asked, the guest has not answered yet */
	VSOCK_OPEN,
	VSOCK_DYING,		/* no socket any more; a RST waits to be given */
};

/* What is to be told to the guest. */
enum {
	VSOCK_TELL_RST = 1 << 0,
	VSOCK_TELL_REQUEST = 1 << 1,
	VSOCK_TELL_RESPONSE = 1 << 2,
	VSOCK_TELL_CREDIT = 1 << 3,
	VSOCK_TELL_SHUTDOWN = 1 << 4,
};

struct vsock_conn {
	struct vsock_hub *hub;
	enum vsock_state state;
	enum vsock_type type;
	uint32_t guest_port, host_port;
	struct vsock_conn *next_in_bucket;
	struct vsock_link all, ready;
	uint64_t deadline_ns;		/* 0: none */
	unsigned tell;			/* VSOCK_TELL_... */

	/* The socket.  Its source is watched for what is waited for, and else not at all. */
	struct event_source source;
	uint32_t watched;
	bool readable;			/* as far as is known */
	bool eof;			/* nothing more comes from it */
	bool hup;			/* and nothing can be written to it */
	bool write_shut;		/* the guest's end was passed on */
	bool write_dead;		/* what is written is lost */

	uint8_t guest_shut, own_shut;	/* VSOCK_SHUT_...: what each side will not do any more */
	struct vsock_credit credit;
	bool asked_credit;

	/* From the guest: bytes, or messages, each behind its length (4 bytes of the host's). */
	struct vsock_fifo out;
	uint32_t complete;		/* of 'out', in messages that have ended */
	bool in_message;		/* the rest of 'out' is one that has not */
	/* To the guest: the rest of a message of which it has the beginning. */
	struct vsock_fifo in;

	uint8_t hello[VSOCK_HELLO_MAX];
	unsigned hello_len;
};

struct vsock_reply {
	uint64_t src_cid;
	uint32_t guest_port, host_port;
	uint16_t type;
};

struct vsock_entry {
	struct vsock_hub *hub;
	enum vsock_type type;
	struct unix_listener listener;
	struct event_source source;
};

struct vsock_hub {
	struct vsock_hub_config config;
	char path[VSOCK_PATH_MAX + 1];
	bool running;
	unsigned types;
	struct vsock_entry entry[VSOCK_LISTENERS];
	bool entry_fails;		/* until the next tick: accept had no resources */

	struct vsock_conn *bucket[VSOCK_BUCKETS];
	struct vsock_link all, ready;
	unsigned n_conns, n_hellos;
	uint32_t next_port;		/* of the host's side, for clients */
	uint64_t budget;		/* bytes that may still be allocated */

	struct vsock_reply reply[VSOCK_MAX_REPLIES];
	unsigned first_reply, n_replies;

	struct event_source timer;
	bool ticking;

	struct log_limit log;
	struct iovec iov[VSOCK_MAX_IOV];	/* scratch */
	uint8_t message[VSOCK_MAX_MESSAGE];	/* likewise */
};

/* --- vsock_hub.c --- */

/* A connection with socket 'fd' (consumed, or FD_NONE), in no table yet; NULL: no resources. */
struct vsock_conn *vsock_conn_create(struct vsock_hub *hub, enum vsock_type type, int fd);
/* Without a word to the guest. */
void vsock_conn_free(struct vsock_conn *conn);
/* Both ports are known: into the table.  'state' is not VSOCK_HELLO. */
void vsock_conn_enter(struct vsock_conn *conn, enum vsock_state state);
struct vsock_conn *vsock_hub_find(const struct vsock_hub *hub, uint32_t guest_port,
				  uint32_t host_port);
/* A port of the host's side that has no connection to 'guest_port'. */
uint32_t vsock_hub_free_port(struct vsock_hub *hub, uint32_t guest_port);
void vsock_conn_set_deadline(struct vsock_conn *conn, unsigned ms);

/* --- vsock_conn.c --- */

/* It has something for the guest, or may have. */
void vsock_conn_set_ready(struct vsock_conn *conn, unsigned tell);
/* Close the socket; the guest gets a RST, if it knows of the connection. */
void vsock_conn_kill(struct vsock_conn *conn);
/* Watch the socket for what is waited for now.  May kill. */
void vsock_conn_watch(struct vsock_conn *conn);
void vsock_conn_on_event(struct event_source *source, uint32_t events);
/* The payload of a RW: 'len' bytes behind the header in 'iov'.  May kill. */
void vsock_conn_write(struct vsock_conn *conn, const struct iovec *iov, unsigned n, uint32_t len,
		      uint32_t flags);
/* Write what waits, pass the guest's end on.  May kill. */
void vsock_conn_flush(struct vsock_conn *conn);
/*
 * Read up to 'room' bytes, of one message at most, behind the header in 'iov'; '*flags' are those
 * of the packet.  Returns -EAGAIN if there is no packet to give.  May kill: look at the state.
 */
int vsock_conn_read(struct vsock_conn *conn, const struct iovec *iov, unsigned n, size_t room,
		    uint32_t *flags);
bool vsock_conn_can_read(const struct vsock_conn *conn);

/* --- vsock_hello.c --- */

/* A client has said something; or nothing yet.  May free. */
void vsock_hello_listen(struct vsock_conn *conn);
/* The guest accepted: tell the client.  May kill. */
void vsock_hello_answer(struct vsock_conn *conn);

#endif
