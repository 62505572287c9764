/*
 * A vsock device in process in a device rig, with a directory for its sockets, a guest's side that
 * speaks in packets, and host programs that listen or connect.  Everything that fails here ends
 * the test.
 */
#ifndef TESTS_VSOCK_RIG_H
#define TESTS_VSOCK_RIG_H

#include "devices/vsock_packet.h"
#include "tests/support/device_rig.h"

enum { VSOCK_RIG_CID = 77, VSOCK_RIG_BUFFER = 8192, VSOCK_RIG_PAYLOAD = 64 << 10 };

struct vsock_rig {
	struct device_rig rig;
	char dir[32], path[64];
	uint64_t tx_header, tx_payload;
	struct {
		uint32_t head;
		uint64_t addr;
		uint32_t len;
	} rx[RIG_QUEUE_SIZE];
	unsigned n_rx;			/* posted */
};

/* The guest's end of a connection, or of what shall become one. */
struct vsock_guest {
	enum vsock_type type;
	uint32_t guest_port, host_port;
	uint32_t buf_alloc, fwd_cnt;
};

extern struct vsock_rig vsock_rig;

/* For TestSuite: made and plugged, not started. */
void vsock_rig_setup(void);
void vsock_rig_teardown(void);

/* DRIVER_OK with all bits of the device type but 'without' (a mask); 'n_rx' receive buffers. */
void vsock_rig_start_without(uint64_t without, unsigned n_rx);
/* With all of them and 16 buffers. */
void vsock_rig_start(void);
/* Receive buffers more, of 'len' bytes. */
void vsock_rig_supply(unsigned n, uint32_t len);

/* A packet as the guest's end sends it. */
struct vsock_packet vsock_rig_packet(const struct vsock_guest *g, enum vsock_op op);
/* Send it with 'p->len' bytes of payload; waits until the device has taken it. */
void vsock_rig_send(const struct vsock_packet *p, const void *payload);
/* The same without waiting; the bytes must stay alone until they are reaped from queue 1. */
void vsock_rig_offer(const struct vsock_packet *p);
void vsock_rig_say(const struct vsock_guest *g, enum vsock_op op, uint32_t flags);
void vsock_rig_write(const struct vsock_guest *g, const void *data, uint32_t len, uint32_t flags);

/*
 * The next packet from the device, which must come; its payload to 'payload' (NULL: must be empty).
 * The buffer is posted again.
 */
struct vsock_packet vsock_rig_receive(void *payload);
/* The same without posting it again. */
struct vsock_packet vsock_rig_receive_last(void *payload);
/* And it must be this, for this connection. */
struct vsock_packet vsock_rig_expect(const struct vsock_guest *g, enum vsock_op op);
/* The same, where the device may first say other things than data about the connection. */
struct vsock_packet vsock_rig_await(const struct vsock_guest *g, enum vsock_op op);
/* Nothing comes, although there was time. */
bool vsock_rig_is_silent(void);

/* A host program that listens at 'port' (PATH_port); its fd. */
int vsock_rig_listen(uint32_t port, enum vsock_type type);
/* One that connects to the device's own socket; blocking. */
int vsock_rig_client(enum vsock_type type);
/* The guest asks for a port at which 'listener' listens; the host's end of the connection. */
int vsock_rig_connect(const struct vsock_guest *g, int listener);

/* Read what comes until 'len' bytes are there. */
void vsock_rig_read_all(int fd, void *buf, size_t len);
/* Is there the end of the stream? Waits for it. */
bool vsock_rig_at_end(int fd);

#endif
