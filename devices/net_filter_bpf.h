/*
 * A receive filter as a program of the classic packet filter, for a host kernel that moves the
 * frames itself (kernel vhost at a tap): what it drops there never reaches the ring.
 *
 * The kernel may keep a frame's VLAN tag beside the frame; the program looks in both places.
 */
#ifndef DEVICES_NET_FILTER_BPF_H
#define DEVICES_NET_FILTER_BPF_H

#include <linux/filter.h>

#include "devices/net_filter.h"

enum {
	/* Ranges of VLANs that a program can hold; a filter with more passes every tag. */
	NET_BPF_VLAN_RANGES = 256,
	NET_BPF_MAX = 2048,		/* instructions; the kernel takes twice as many */
};

/*
 * Write the program for 'f' to 'prog'.  Returns its length; 0: every frame passes, no program is
 * needed.  '*exact' tells whether it says all that the filter says; if not, it passes more.
 */
unsigned net_filter_compile(const struct net_filter *f, struct sock_filter prog[NET_BPF_MAX],
			    bool *exact);

#endif
