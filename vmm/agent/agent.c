/*
 * The session: bytes in and out, hello and welcome.  It calls and waits for a HELLO, looking for
 * its mark, since there may be anything in the port from before.  A HELLO with another number in
 * the middle of a session is an agent that was started anew.
 */
#include "vmm/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "vmm/agent/agent_impl.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/base/le.h"

void agent_fail(struct agent *agent, int err, const char *fmt, ...)
{
	va_list args;

	if (agent->state == AGENT_FAILED)
		return;
	agent->state = AGENT_FAILED;
	agent->err = err;
	va_start(args, fmt);
	vsnprintf(agent->why, sizeof(agent->why), fmt, args);
	va_end(args);
	event_loop_remove(&agent->source);
	event_loop_post(agent->loop, &agent->post);
}

/*
 * Nobody is there to read any more.  What was said before that is in the socket, and the session is
 * over when it has been read: behind it comes the end, as of now for sure.
 */
static void stop_sending(struct agent *agent)
{
	agent->is_mute = true;
	agent->tx_at = agent->tx_len = 0;
	shutdown(agent->source.fd, SHUT_RDWR);
}

static void flush(struct agent *agent)
{
	while (agent->tx_len > 0) {
		ssize_t n = send(agent->source.fd, agent->tx + agent->tx_at, agent->tx_len,
				 MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			stop_sending(agent);
			break;
		}
		agent->tx_at += (size_t)n;
		agent->tx_len -= (size_t)n;
	}
	if (agent->tx_len == 0)
		agent->tx_at = 0;
	if (agent->watches_out == (agent->tx_len > 0))
		return;
	agent->watches_out = agent->tx_len > 0;
	event_loop_modify(&agent->source, EPOLLIN | (agent->watches_out ? EPOLLOUT : 0u));
}

uint8_t *agent_room(struct agent *agent, size_t len, size_t reserve)
{
	size_t need = WIRE_HEAD + len + reserve;

	if (agent->state == AGENT_FAILED || need > AGENT_TX - agent->tx_len)
		return NULL;
	if (agent->tx_at > 0 && need > AGENT_TX - agent->tx_at - agent->tx_len) {
		memmove(agent->tx, agent->tx + agent->tx_at, agent->tx_len);
		agent->tx_at = 0;
	}
	return agent->tx + agent->tx_at + agent->tx_len + WIRE_HEAD;
}

void agent_put(struct agent *agent, uint8_t type, uint8_t stream, uint32_t op, size_t len)
{
	struct wire_head head = {
		.len = (uint32_t)len, .type = type, .stream = stream, .op = op,
	};

	if (agent->is_mute)
		return;
	wire_put_head(agent->tx + agent->tx_at + agent->tx_len, &head);
	agent->tx_len += WIRE_HEAD + len;
	flush(agent);
}

bool agent_data_fits(const struct agent *agent)
{
	return agent->state == AGENT_OPEN && agent->tx_len < AGENT_TX_DATA;
}

bool agent_is_ready(const struct agent *agent)
{
	return agent->state == AGENT_OPEN;
}

struct hello_text {
	const char *key;
	size_t at, size;
};

#define TEXT(name)                                                                                 \
	{ #name, offsetof(struct agent_hello, name), sizeof(((struct agent_hello *)0)->name) }

static const struct hello_text hello_texts[] = {
	TEXT(program), TEXT(release), TEXT(machine), TEXT(hostname), TEXT(trouble),
};

static void read_line(struct agent_hello *hello, const char *line, size_t len)
{
	const char *equals = memchr(line, '=', len);
	size_t key_len = equals ? (size_t)(equals - line) : 0;

	if (!equals)
		return;
	const char *value = equals + 1;
	size_t value_len = len - key_len - 1;
	if (key_len == 4 && !memcmp(line, "init", 4))
		hello->is_init = value_len == 1 && *value == '1';
	for (unsigned i = 0; i < ARRAY_SIZE(hello_texts); i++) {
		const struct hello_text *text = &hello_texts[i];
		char *to = (char *)hello + text->at;
		if (strlen(text->key) != key_len || memcmp(text->key, line, key_len) != 0)
			continue;
		size_t n = min_u64(value_len, text->size - 1);
		memcpy(to, value, n);
		to[n] = 0;
		wire_make_printable(to, n);
	}
}

/* What is not there stays empty; what is not known comes from a newer agent. */
static void read_hello(struct agent_hello *hello, const char *text, size_t len)
{
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;
		read_line(hello, text, n);
		n += end != NULL;
		text += n;
		len -= n;
	}
}

static void send_welcome(struct agent *agent, unsigned version)
{
	uint8_t *p = agent_room(agent, WIRE_MAGIC + 20, 0);

	if (!p) {
		agent_fail(agent, EPROTO, "the agent was started anew, but does not read");
		return;
	}
	memcpy(p, WIRE_MAGIC_WELCOME, WIRE_MAGIC);
	store_le16(p + WIRE_MAGIC, (uint16_t)version);
	store_le16(p + WIRE_MAGIC + 2, 0);
	store_le64(p + WIRE_MAGIC + 4, agent->agent_id);
	store_le64(p + WIRE_MAGIC + 12, agent->host_id);
	agent_put(agent, WIRE_WELCOME, 0, 0, WIRE_MAGIC + 20);
}

static void take_hello(struct agent *agent, const uint8_t *p, size_t len)
{
	struct agent_hello hello = { .version = WIRE_VERSION };
	unsigned min = load_le16(p + WIRE_MAGIC), max = load_le16(p + WIRE_MAGIC + 2);
	uint64_t id = load_le64(p + WIRE_MAGIC + 4);

	if (memcmp(p, WIRE_MAGIC_HELLO, WIRE_MAGIC) != 0) {
		agent_fail(agent, EPROTO, "the agent sent a hello without its mark");
		return;
	}
	/* It may say so twice, once by itself and once because it was called. */
	if (agent->state == AGENT_OPEN && id == agent->agent_id)
		return;
	if (agent->state == AGENT_OPEN) {
		agent->state = AGENT_CALLS;	/* whoever hears of it cannot begin anything */
		agent_ops_lose(agent, "the agent was started anew");
	}
	if (agent->state == AGENT_FAILED)
		return;
	agent->agent_id = id;
	if (WIRE_VERSION < min || WIRE_VERSION > max) {
		send_welcome(agent, 0);
		agent_fail(agent, EPROTO,
			   "the agent speaks versions %u to %u of the protocol, not %u; put that "
			   "of 'vireo agent' into the guest", min, max, WIRE_VERSION);
		return;
	}
	agent->state = AGENT_OPEN;
	agent->next_op = 1;
	send_welcome(agent, WIRE_VERSION);
	read_hello(&hello, (const char *)p + WIRE_MAGIC + 12, len - WIRE_MAGIC - 12);
	if (agent->state == AGENT_OPEN && agent->ops->ready)
		agent->ops->ready(agent->arg, &hello);
}

static void take_complaint(struct agent *agent, const uint8_t *p, size_t len)
{
	char text[160];
	size_t n = min_u64(len, sizeof(text) - 1);

	memcpy(text, p, n);
	text[n] = 0;
	wire_make_printable(text, n);
	agent_fail(agent, EPROTO, "the agent says that this program sent %s", text);
}

static void drop(struct agent *agent, size_t n)
{
	agent->rx_at += n;
	agent->rx_len -= n;
}

/* Returns whether there may be more. */
static bool look_for_hello(struct agent *agent)
{
	struct wire_head head;
	bool found;

	drop(agent, wire_find(agent->rx + agent->rx_at, agent->rx_len, WIRE_HELLO, &found));
	if (!found)
		return false;
	const uint8_t *p = agent->rx + agent->rx_at;
	if (wire_judge_head(&head, p, WIRE_AGENT)) {
		drop(agent, 1);
		return true;
	}
	if (agent->rx_len < WIRE_HEAD + head.len)
		return false;
	drop(agent, WIRE_HEAD + head.len);
	take_hello(agent, p + WIRE_HEAD, head.len);
	return true;
}

static bool take_frame(struct agent *agent)
{
	const uint8_t *p = agent->rx + agent->rx_at;
	struct wire_head head;

	if (agent->rx_len < WIRE_HEAD)
		return false;
	const char *wrong = wire_judge_head(&head, p, WIRE_AGENT);
	if (wrong) {
		agent_fail(agent, EPROTO, "the agent sent %s", wrong);
		return false;
	}
	if (agent->rx_len < WIRE_HEAD + head.len)
		return false;
	drop(agent, WIRE_HEAD + head.len);
	p += WIRE_HEAD;
	if (head.type == WIRE_HELLO)
		take_hello(agent, p, head.len);
	else if (head.type == WIRE_COMPLAINT)
		take_complaint(agent, p, head.len);
	else
		agent_op_frame(agent, &head, p);
	return true;
}

static void receive(struct agent *agent)
{
	bool more = true;

	if (agent->rx_at > 0)
		memmove(agent->rx, agent->rx + agent->rx_at, agent->rx_len);
	agent->rx_at = 0;
	ssize_t n = recv(agent->source.fd, agent->rx + agent->rx_len, AGENT_RX - agent->rx_len, 0);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		agent_fail(agent, ECONNRESET, "the guest is not there any more");
		return;
	}
	agent->rx_len += (size_t)n;
	while (more && agent->state != AGENT_FAILED)
		more = agent->state == AGENT_OPEN ? take_frame(agent) : look_for_hello(agent);
}

static void enter(struct agent *agent)
{
	agent->busy++;
}

static void leave(struct agent *agent)
{
	if (--agent->busy == 0 && agent->doomed)
		free(agent);
}

static void on_event(struct event_source *source, uint32_t events)
{
	struct agent *agent = container_of(source, struct agent, source);

	enter(agent);
	if (events & EPOLLOUT)
		flush(agent);
	if (events & ~(uint32_t)EPOLLOUT && agent->state != AGENT_FAILED)
		receive(agent);
	if (agent->state == AGENT_OPEN)
		agent_ops_pump(agent);
	leave(agent);
}

static void on_failure(struct event_post *post)
{
	struct agent *agent = container_of(post, struct agent, post);

	enter(agent);
	agent_ops_lose(agent, agent->why);
	if (!agent->doomed && agent->ops->failed)
		agent->ops->failed(agent->arg, agent->err, agent->why);
	leave(agent);
}

static void call(struct agent *agent)
{
	uint8_t *p = agent_room(agent, WIRE_MAGIC + 8, 0);

	memcpy(p, WIRE_MAGIC_CALL, WIRE_MAGIC);
	store_le64(p + WIRE_MAGIC, agent->host_id);
	agent_put(agent, WIRE_CALL, 0, 0, WIRE_MAGIC + 8);
}

int agent_create(struct agent **out, struct event_loop *loop, int fd, const struct agent_ops *ops,
		 void *arg)
{
	struct agent *agent = calloc(1, sizeof(*agent));
	int r, flags;

	*out = NULL;
	if (!agent) {
		fd_close(&fd);
		return error_set(ENOMEM, "make room for the agent's session");
	}
	agent->loop = loop;
	agent->source = (struct event_source){ .fd = fd, .fn = on_event };
	agent->post.fn = on_failure;
	agent->ops = ops;
	agent->arg = arg;
	/* Not a secret: that it differs from the last one is enough. */
	if (getrandom(&agent->host_id, sizeof(agent->host_id), GRND_NONBLOCK) < 0)
		agent->host_id = clock_now_ns();
	flags = fcntl(fd, F_GETFL);
	r = flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
	if (r < 0)
		r = error_set(r, "use descriptor %d for the agent", fd);
	else
		r = event_loop_add(loop, &agent->source, EPOLLIN);
	if (r < 0) {
		agent_destroy(agent);
		return r;
	}
	call(agent);
	*out = agent;
	return 0;
}

void agent_destroy(struct agent *agent)
{
	if (!agent)
		return;
	agent->state = AGENT_FAILED;
	event_loop_remove(&agent->source);
	event_loop_unpost(agent->loop, &agent->post);
	fd_close(&agent->source.fd);
	agent_ops_forget(agent);
	agent->doomed = true;
	if (agent->busy == 0)
		free(agent);
}

int agent_poweroff(struct agent *agent, enum agent_power how)
{
	uint8_t *p = agent_room(agent, 4, AGENT_TX_RESERVE);

	if (agent->state != AGENT_OPEN)
		return -ENOTCONN;
	if (!p)
		return -EAGAIN;
	store_le32(p, how == AGENT_OFF ? WIRE_OFF : WIRE_REBOOT);
	agent_put(agent, WIRE_POWER, 0, 0, 4);
	return 0;
}
