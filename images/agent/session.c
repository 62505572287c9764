/*
 * Frames in and out.  A session begins with our HELLO, which has a number of our own in it, and the
 * host's WELCOME to just that number: whatever else is still on its way from an earlier session is
 * dropped until then.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "guest.h"
#include "vmm/base/le.h"

enum {
	RX = WIRE_HEAD + WIRE_RUN_HEAD + WIRE_COMMAND_MAX,
	TX = 128 << 10,
	/* What a virtio-console port takes in one piece. */
	PIECE = 32 << 10,
};

static struct {
	int fd;
	bool open, lost, hello_due, was_open;
	uint64_t id, host_id;
	const char *trouble;
	size_t rx_at, rx_len, tx_at, tx_len;
	size_t tx_rest;			/* of a frame of which a part was sent */
	uint8_t rx[RX], tx[TX];
} s;

static void say_hello(void)
{
	uint8_t *p = session_room(WIRE_MAGIC + 12 + WIRE_TEXT_MAX);
	struct utsname u = { 0 };

	if (!p)
		return;
	uname(&u);
	memcpy(p, WIRE_MAGIC_HELLO, WIRE_MAGIC);
	store_le16(p + WIRE_MAGIC, WIRE_VERSION);
	store_le16(p + WIRE_MAGIC + 2, WIRE_VERSION);
	store_le64(p + WIRE_MAGIC + 4, s.id);
	int n = snprintf((char *)p + WIRE_MAGIC + 12, WIRE_TEXT_MAX,
			 "program=%s\ninit=%d\nrelease=%.64s\nmachine=%.64s\nhostname=%.64s\n"
			 "trouble=%.255s\n",
			 AGENT_PROGRAM, is_init, u.release, u.machine, u.nodename, s.trouble);
	session_put(WIRE_HELLO, 0, 0, WIRE_MAGIC + 12 + (size_t)n);
	s.hello_due = false;
}

static void call_anew(void)
{
	ops_reset();
	s.open = false;
	s.hello_due = true;
	/* That it differs is all that matters. */
	if (getrandom(&s.id, sizeof(s.id), GRND_NONBLOCK) != sizeof(s.id))
		s.id = now_ms() * 1000003 + (uint64_t)getpid() + s.id + 1;
}

void session_begin(int fd, const char *trouble)
{
	s.fd = fd;
	s.trouble = trouble;
	s.lost = s.was_open = false;
	s.rx_at = s.rx_len = s.tx_at = s.tx_len = s.tx_rest = 0;
	s.host_id = 0;
	call_anew();
}

void session_end(void)
{
	ops_reset();
	close_fd(&s.fd);
	s.open = false;
}

bool session_is_lost(void)
{
	return s.lost;
}

bool session_was_open(void)
{
	return s.was_open;
}

short session_wants(void)
{
	return POLLIN | (s.tx_len > 0 ? POLLOUT : 0);
}

uint8_t *session_room(size_t max)
{
	if (s.tx_at > 0 && s.tx_at + s.tx_len + WIRE_HEAD + max > TX) {
		memmove(s.tx, s.tx + s.tx_at, s.tx_len);
		s.tx_at = 0;
	}
	if (s.lost || s.tx_len + WIRE_HEAD + max > TX)
		return NULL;
	return s.tx + s.tx_at + s.tx_len + WIRE_HEAD;
}

void session_put(uint8_t type, uint8_t stream, uint32_t op, size_t len)
{
	struct wire_head head = {
		.len = (uint32_t)len, .type = type, .stream = stream, .op = op,
	};

	wire_put_head(s.tx + s.tx_at + s.tx_len, &head);
	s.tx_len += WIRE_HEAD + len;
}

void session_complain(const char *what)
{
	uint8_t *p = session_room(WIRE_TEXT_MAX);
	size_t len = strlen(what);

	say("the host sent %s", what);
	if (p) {
		memcpy(p, what, len);
		session_put(WIRE_COMPLAINT, 0, 0, len);
		session_write();
	}
	s.lost = true;
}

/*
 * How much to write at once: whole frames, as far as a port takes them in one piece.  So an agent
 * that is killed leaves no part of a frame behind, and the next one is understood.
 */
static size_t piece(void)
{
	size_t n = s.tx_rest;

	while (n + WIRE_HEAD <= s.tx_len) {
		size_t frame = WIRE_HEAD + load_le32(s.tx + s.tx_at + n);
		if (n > 0 && n + frame > PIECE)
			break;
		n += frame;
	}
	return n;
}

void session_write(void)
{
	if (s.hello_due)
		say_hello();
	while (s.tx_len > 0 && !s.lost) {
		size_t want = piece();
		ssize_t n = write(s.fd, s.tx + s.tx_at, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			s.lost = true;
			return;
		}
		s.tx_rest = want - (size_t)n;
		s.tx_at += (size_t)n;
		s.tx_len -= (size_t)n;
		if (s.tx_len == 0)
			s.tx_at = 0;
	}
}

/* WELCOME while we call.  One to another number is from another time. */
static void welcome(const uint8_t *p)
{
	if (load_le64(p + WIRE_MAGIC + 4) != s.id)
		return;
	if (load_le16(p + WIRE_MAGIC) != WIRE_VERSION) {
		say("the host speaks version %u of the protocol, this agent %u",
		    load_le16(p + WIRE_MAGIC), WIRE_VERSION);
		s.lost = true;
		return;
	}
	s.host_id = load_le64(p + WIRE_MAGIC + 12);
	s.open = s.was_open = true;
}

static void frame(const struct wire_head *head, const uint8_t *p)
{
	switch (head->type) {
	case WIRE_CALL:
		/* That of this session's host may have waited in the port; another is a new one. */
		if (memcmp(p, WIRE_MAGIC_CALL, WIRE_MAGIC) ||
		    load_le64(p + WIRE_MAGIC) != s.host_id)
			call_anew();
		break;
	case WIRE_WELCOME:
		if (load_le64(p + WIRE_MAGIC + 4) != s.id)
			session_complain("a second welcome");
		break;
	case WIRE_POWER:
		power_ask((int)load_le32(p));
		break;
	default:
		ops_frame(head, p);
	}
}

static void drop(size_t n)
{
	s.rx_at += n;
	s.rx_len -= n;
}

/* Before the welcome.  Returns whether there may be more. */
static bool look_for_welcome(void)
{
	const uint8_t *p = s.rx + s.rx_at;
	bool has_welcome, has_call;
	size_t w = wire_find(p, s.rx_len, WIRE_WELCOME, &has_welcome);
	size_t c = wire_find(p, s.rx_len, WIRE_CALL, &has_call);
	size_t at = has_call && (!has_welcome || c < w) ? c : w;
	struct wire_head head;

	if (!has_welcome && !has_call) {
		drop(w);
		return false;
	}
	drop(at);
	const char *wrong = wire_judge_head(&head, p + at, WIRE_HOST);
	if (wrong) {
		drop(1);
		return true;
	}
	if (s.rx_len < WIRE_HEAD + head.len)
		return false;
	if (head.type == WIRE_WELCOME)
		welcome(p + at + WIRE_HEAD);
	else
		s.hello_due = true;	/* the first may have gone to nobody */
	drop(WIRE_HEAD + head.len);
	return !s.lost;
}

/* Returns whether there may be more. */
static bool take_frame(void)
{
	const uint8_t *p = s.rx + s.rx_at;
	struct wire_head head;

	if (s.rx_len < WIRE_HEAD)
		return false;
	const char *wrong = wire_judge_head(&head, p, WIRE_HOST);
	if (wrong) {
		session_complain(wrong);
		return false;
	}
	if (s.rx_len < WIRE_HEAD + head.len)
		return false;
	frame(&head, p + WIRE_HEAD);
	drop(WIRE_HEAD + head.len);
	return !s.lost;
}

void session_read(void)
{
	if (s.rx_at > 0)
		memmove(s.rx, s.rx + s.rx_at, s.rx_len);
	s.rx_at = 0;
	ssize_t n = read(s.fd, s.rx + s.rx_len, RX - s.rx_len);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		s.lost = true;
		return;
	}
	s.rx_len += (size_t)n;
	while (s.open ? take_frame() : look_for_welcome())
		;
}
