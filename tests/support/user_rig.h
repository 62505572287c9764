/*
 * A user-mode network without a device: the test is the guest's driver, with frames that it builds
 * itself, and pumps the loop.
 */
#ifndef TESTS_USER_RIG_H
#define TESTS_USER_RIG_H

#include <netinet/in.h>

#include "devices/net_peer.h"

enum { USER_RIG_HEADER = 12, USER_RIG_GUEST = 0x0a00020f, USER_RIG_HOST = 0x0a000202 };

struct user_rig {
	struct event_loop *loop;
	struct net_peer *peer;
	unsigned readable;	/* how often it was called */
	uint8_t header[USER_RIG_HEADER];	/* of the last frame that was received */
	uint8_t frame[70000];
	size_t len;
};

/* A network with these forwards (NULL at the end), and started. */
void user_rig_open(struct user_rig *rig, const char *const *forward, bool restrict_guest);
void user_rig_close(struct user_rig *rig);

/* Send a frame with an empty header / with 'header'. */
void user_rig_send(struct user_rig *rig, const void *frame, size_t len);
void user_rig_send_with(struct user_rig *rig, const uint8_t header[USER_RIG_HEADER],
			const void *frame, size_t len);

/* The next frame, after at most 'timeout_ms'; false: there is none. */
bool user_rig_receive(struct user_rig *rig, unsigned timeout_ms);
/* The next frame that holds IPv4 with 'protocol'; others are answered (ARP) or skipped. */
bool user_rig_await(struct user_rig *rig, uint8_t protocol, unsigned timeout_ms);

/* Say who has the guest's address, so that frames find it. */
void user_rig_announce(struct user_rig *rig);

/*
 * Build Ethernet and IPv4 with 'payload' (checksum of it is the caller's); returns the length.
 */
size_t user_rig_ipv4(uint8_t *frame, uint8_t protocol, uint32_t from, uint32_t to,
		     const void *payload, size_t len);

struct user_tcp {
	uint32_t to, seq, ack;
	uint16_t from_port, to_port, window;
	uint8_t flags;
};
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };
/* A TCP segment with its checksum; returns the length. */
size_t user_rig_tcp(uint8_t *frame, const struct user_tcp *t, const void *data, size_t len);

/* A socket of this host: bound to a port of 127.0.0.1 that '*port' tells (host byte order). */
int user_rig_socket(int type, uint16_t *port);

#endif
