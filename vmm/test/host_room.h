/*
 * How much of this host the guests of tests may use: its memory and CPUs, or what the control
 * groups of this process (containers, batch systems) leave of them.
 */
#ifndef TEST_HOST_ROOM_H
#define TEST_HOST_ROOM_H

#include "vmm/base/util.h"

struct host_room {
	uint64_t memory;	/* bytes that are available now */
	unsigned cpus;		/* at least 1 */
};

/*
 * Find out, below 'root' ("" is this host; tests have their own /proc and /sys).  What cannot be
 * read sets no limit.
 */
void host_room_read(struct host_room *out, const char *root);

#endif
