/*
 * What of a guest's frames the user-mode network is given.  libslirp keeps memory for whoever
 * speaks to it (connections, packets for neighbours that it does not know yet) and sets no limits;
 * here they are.  Everything else about a frame is libslirp's to judge.
 *
 * Fragments of IPv4 do not pass: what waits for the rest of its packet would need a limit, too, and
 * libslirp 4.7 can be crashed by fragments.  (Of IPv6 it takes none.)  So a guest's datagram is one
 * frame.
 */
#ifndef DEVICES_USER_GATE_H
#define DEVICES_USER_GATE_H

#include <netinet/in.h>

#include "vmm/base/util.h"

struct user_gate {
	size_t frame_max;		/* of one that is not to be segmented */
	uint32_t network, mask;		/* IPv4, of the host's byte order: hosts 2 and 3 are ours */
	bool has_ipv6;
	uint8_t prefix[8];		/* of IPv6, 64 bits */
};

enum user_gate_verdict {
	USER_GATE_DROP,
	USER_GATE_PASS,
	USER_GATE_OPENS,		/* it may make libslirp open a socket */
};

/*
 * Judge one frame of 'len' bytes.  'is_segmented': it is a large one that the device was to cut
 * into pieces.  Pure; any thread.
 */
enum user_gate_verdict user_gate_judge(const struct user_gate *gate, const uint8_t *frame,
				       size_t len, bool is_segmented);

#endif
