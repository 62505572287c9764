/*
 * The frames that host and agent exchange (docs/agent.md): sizes, numbers, and the judge of a
 * frame's head.  Compiled for both ends; nothing here keeps a state or allocates.
 */
#ifndef VMM_AGENT_WIRE_H
#define VMM_AGENT_WIRE_H

#include "vmm/base/util.h"

enum {
	WIRE_VERSION = 1,		/* spoken; older ones that are, too, would be named here */
	WIRE_HEAD = 12,			/* bytes of a head */
	WIRE_MAGIC = 8,
	WIRE_DATA_MAX = 16 << 10,	/* of one DATA frame */
	WIRE_WINDOW = 64 << 10,		/* credit of a stream at its start, and at most */
	WIRE_OPS = 16,
	WIRE_COMMAND_MAX = 256 << 10,
	WIRE_RUN_HEAD = 16,		/* of RUN's payload, before its texts */
	WIRE_PATH_MAX = 4095,
	WIRE_TEXT_MAX = 1024,		/* of HELLO's lines, of reasons */
};

/* What marks a frame as the beginning of a session; the peer looks for it byte by byte. */
#define WIRE_MAGIC_HELLO "VireoAg\x01"
#define WIRE_MAGIC_CALL "VireoCl\x02"
#define WIRE_MAGIC_WELCOME "VireoOk\x03"

enum wire_type {
	WIRE_HELLO = 1,		/* agent: here I am */
	WIRE_CALL,		/* host: is anybody there? */
	WIRE_WELCOME,		/* host: the session begins */

	WIRE_RUN = 16,		/* host */
	WIRE_COPY_IN,		/* host */
	WIRE_COPY_OUT,		/* host */
	WIRE_SIGNAL,		/* host */
	WIRE_RESIZE,		/* host */
	WIRE_CANCEL,		/* host: a copy */
	WIRE_POWER,		/* host */

	WIRE_DATA = 32,		/* both */
	WIRE_END,		/* both: of the input */
	WIRE_CREDIT,		/* both */

	WIRE_ENDED = 48,	/* agent: a run */
	WIRE_DONE,		/* agent: a copy */
	WIRE_ENTRY,		/* agent: a file or folder of a copy */
	WIRE_COMPLAINT,		/* agent: the host broke the protocol, and how */
};

enum wire_stream {
	WIRE_STDIN = 0,		/* to the guest: input, a file copied in */
	WIRE_STDOUT = 1,	/* to the host: output, files copied out */
	WIRE_STDERR = 2,
	WIRE_STREAMS,
};

enum wire_side {
	WIRE_HOST = 1,
	WIRE_AGENT = 2,
};

struct wire_head {
	uint32_t len;		/* of the payload */
	uint8_t type;
	uint8_t stream;
	uint32_t op;		/* 0: the session itself */
};

enum { WIRE_RUN_STDIN = 1, WIRE_RUN_TTY = 2 };	/* flags of RUN */
enum { WIRE_KIND_FILE = 1, WIRE_KIND_FOLDER, WIRE_KIND_SKIPPED };	/* of ENTRY */
enum { WIRE_EXITED, WIRE_SIGNALED, WIRE_NOT_STARTED };	/* how of ENDED */
enum { WIRE_OFF, WIRE_REBOOT };	/* how of POWER */

/* Write a head. */
void wire_put_head(uint8_t out[WIRE_HEAD], const struct wire_head *head);

/*
 * Read and judge a head that 'from' sent: is there such a type, may this side send it, does its
 * length fit, is there an op where one must be, and such a stream?
 *
 * Returns NULL, or what is wrong with it (a constant text); 'head' is filled in both cases.
 */
const char *wire_judge_head(struct wire_head *head, const uint8_t in[WIRE_HEAD],
			    enum wire_side from);

/*
 * Look for the beginning of a frame of 'type' (HELLO, CALL, WELCOME) in 'len' bytes.  Returns where
 * it begins; if there is none, how many bytes can be dropped, as none begins in them.
 */
size_t wire_find(const uint8_t *buf, size_t len, enum wire_type type, bool *found);

/* "RUN", or "?" */
const char *wire_type_name(uint8_t type);

/* Make 'len' bytes printable in place: what is no printable ASCII becomes '?'. */
void wire_make_printable(char *text, size_t len);

#endif
