/*
 * A program of the host wants to a port of the guest: it connects to the device's socket and says
 * "CONNECT 1234\n"; when somebody in the guest accepted it is told "OK 1073741824\n".  Not a byte
 * beyond the line is taken: what comes behind it is the guest's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "devices/vsock_impl.h"
#include "vmm/base/text.h"

/* VMADDR_PORT_ANY: no port at all. */
#define PORT_ANY UINT32_MAX

/* What came so far is the line: is it what it must be? */
static bool parse_hello(struct vsock_conn *conn, uint32_t *port)
{
	static const char word[] = "CONNECT ";
	char text[VSOCK_HELLO_MAX + 1];
	uint64_t number;

	memcpy(text, conn->hello, conn->hello_len);
	text[conn->hello_len] = '\0';
	if (strlen(text) != conn->hello_len)
		return false;
	text[strcspn(text, "\r\n")] = '\0';
	if (strncmp(text, word, strlen(word)) != 0 ||
	    text_parse_u64(text + strlen(word), &number) < 0 || number >= PORT_ANY)
		return false;
	*port = (uint32_t)number;
	return true;
}

static void ask_guest(struct vsock_conn *conn)
{
	struct vsock_hub *hub = conn->hub;
	uint32_t port;

	if (!parse_hello(conn, &port) || !(hub->types >> conn->type & 1)) {
		vsock_conn_free(conn);
		return;
	}
	conn->guest_port = port;
	conn->host_port = vsock_hub_free_port(hub, port);
	vsock_conn_enter(conn, VSOCK_ASKED);
	vsock_conn_set_deadline(conn, VSOCK_ASK_MS);
	vsock_conn_set_ready(conn, VSOCK_TELL_REQUEST);
	vsock_conn_watch(conn);
}

/*
 * Take more of the line.  Returns 1 when it is complete, 0 when more must come, -1 when it cannot
 * become one.
 */
static int take_line(struct vsock_conn *conn)
{
	uint8_t *buf = conn->hello + conn->hello_len;
	size_t room = VSOCK_HELLO_MAX - conn->hello_len;
	int peek = conn->type == VSOCK_STREAM ? MSG_PEEK : MSG_TRUNC;
	ssize_t r = recv(conn->source.fd, buf, room, peek | MSG_DONTWAIT);

	if (r < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (r == 0 || (size_t)r > room)
		return -1;
	if (conn->type == VSOCK_SEQPACKET) {
		conn->hello_len += (unsigned)r;
		return 1;
	}
	const uint8_t *end = memchr(buf, '\n', (size_t)r);
	size_t len = end ? (size_t)(end - buf) + 1 : (size_t)r;
	if (recv(conn->source.fd, buf, len, MSG_DONTWAIT) != (ssize_t)len)
		return -1;
	conn->hello_len += (unsigned)len;
	if (end)
		return 1;
	return conn->hello_len < VSOCK_HELLO_MAX ? 0 : -1;
}

void vsock_hello_listen(struct vsock_conn *conn)
{
	int r = take_line(conn);

	if (r < 0)
		vsock_conn_free(conn);
	else if (r > 0)
		ask_guest(conn);
}

void vsock_hello_answer(struct vsock_conn *conn)
{
	char line[VSOCK_HELLO_MAX];
	int len = snprintf(line, sizeof(line), "OK %u\n", conn->host_port);

	/* The first bytes into an empty socket; if they do not fit, nobody is there any more. */
	if (send(conn->source.fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) != len) {
		vsock_conn_kill(conn);
		return;
	}
	conn->state = VSOCK_OPEN;
	conn->deadline_ns = 0;
	conn->readable = true;
	vsock_conn_set_ready(conn, 0);
	vsock_conn_watch(conn);
}
