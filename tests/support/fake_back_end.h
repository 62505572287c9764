/*
 * A vhost-user back end that stands in for a real one: it listens at a socket of its own, serves
 * one connection after the other on a thread, writes each message down as a line, answers as told,
 * and can do any one of them wrong.  It moves no buffers; the test plays that part on the rings.
 */
#ifndef TESTS_FAKE_BACK_END_H
#define TESTS_FAKE_BACK_END_H

#include <pthread.h>
#include <stdatomic.h>

#include "vhost/vhost_user_message.h"

enum { FAKE_BACK_END_RINGS = 4, FAKE_BACK_END_LINES = 256 };

enum fake_back_end_fault {
	BACK_END_FINE,
	BACK_END_HANGS_UP,		/* instead of an answer */
	BACK_END_HANGS_UP_HALFWAY,	/* in the middle of one */
	BACK_END_IS_SILENT,		/* from then on */
	BACK_END_SAYS_GARBAGE,
	BACK_END_SAYS_TOO_MUCH,		/* a payload of 4 GiB, it says */
	BACK_END_SAYS_TOO_LITTLE,	/* an answer without payload */
	BACK_END_ANSWERS_ANOTHER,	/* request */
	BACK_END_ASKS_BACK,		/* what comes is no answer */
	BACK_END_SENDS_FDS,		/* with an answer that has none: three */
	BACK_END_SENDS_MANY_FDS,	/* more than a message may have */
	BACK_END_DRIBBLES,		/* byte by byte: not a fault */
	BACK_END_REFUSES,		/* where it can */
	BACK_END_FAULTS,
};

struct fake_back_end {
	char path[64];
	atomic_ullong features, protocol;
	unsigned queues;		/* GET_QUEUE_NUM */
	uint8_t config[256];
	unsigned config_len;
	atomic_uint fail_at;		/* this message, of all that came (from 1); 0: none */
	enum fake_back_end_fault fault;
	atomic_bool deaf;		/* accepts connections, and reads nothing */
	unsigned base_wrong;		/* added to what GET_VRING_BASE says */
	bool answers_wait;		/* SET_FEATURES is served when the test says so: */
	atomic_bool answers_may;
	unsigned config_ms;		/* how long GET_CONFIG takes */
	bool base_waits;		/* GET_VRING_BASE is answered when the test says so: */
	atomic_bool base_may;

	pthread_mutex_t lock;
	pthread_t thread;
	int listen_fd, sock, inflight_fd;
	atomic_bool ends;
	unsigned n_messages, n_connections;
	char line[FAKE_BACK_END_LINES][96];
	unsigned n_lines;
	struct {
		unsigned size, base, enabled;
		int kick, call, err;
	} ring[FAKE_BACK_END_RINGS];
	int channel;			/* of its own requests; FD_NONE */
};

/* What a usual block back end says; it listens on return. */
void fake_back_end_init(struct fake_back_end *b);
void fake_back_end_fini(struct fake_back_end *b);

/* Hang up, and with 'gone' not listen any more / listen again. */
void fake_back_end_hang_up(struct fake_back_end *b, bool gone);
void fake_back_end_return(struct fake_back_end *b);

/* A connection of its own, that somebody hands over. */
int fake_back_end_connect(struct fake_back_end *b);

/*
 * Did exactly these messages come since the last call (within a second)?  One per line in
 * 'expected', which ends with a line's end; else the test ends with both.
 */
void fake_back_end_expect(struct fake_back_end *b, const char *expected);
/* Wait a second for a line that contains 'text'. */
bool fake_back_end_saw(struct fake_back_end *b, const char *text);
void fake_back_end_clear(struct fake_back_end *b);

/* On its own channel: say that the configuration changed, in bytes of the test's if 'len' > 0. */
void fake_back_end_announce(struct fake_back_end *b, const void *bytes, unsigned len);

#endif
