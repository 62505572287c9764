/*
 * The inside of the control queue's commands, shared by net_ctrl.c and net_ctrl_coalesce.c.  Main
 * loop, machine lock held.
 */
#ifndef DEVICES_NET_CTRL_IMPL_H
#define DEVICES_NET_CTRL_IMPL_H

#include "devices/net_impl.h"

enum { NET_CTRL_RESULT_MAX = 8 };

/* A command that is carried out. */
struct net_ctrl_run {
	struct virtio_net *net;
	const struct chain *c;
	size_t len;			/* of the data, behind class and command */
	uint8_t command;
	uint8_t data[16];		/* all of it for a command of fixed length */
	uint8_t result[NET_CTRL_RESULT_MAX];
	unsigned result_len;
};

/*
 * Carry one out: its data is in 'data', of the length that it must have.  Returns false if it is
 * refused; nothing has changed then.
 */
bool net_ctrl_coalesce_tx(struct net_ctrl_run *run);
bool net_ctrl_coalesce_rx(struct net_ctrl_run *run);
bool net_ctrl_coalesce_queue(struct net_ctrl_run *run);
bool net_ctrl_coalesce_get(struct net_ctrl_run *run);

#endif
