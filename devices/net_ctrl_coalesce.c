/*
 * The commands that say how calls are put off, of a direction or of one queue: what they set is a
 * pair's loop's (net_coalesce.c).
 *
 * virtio-v1.4 5.1.6.5 "Control Virtqueue", "Notifications Coalescing"
 */
#include <errno.h>

#include "devices/net_ctrl_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/le.h"

/* An order to a pair's loop. */
struct coalesce_call {
	struct net_pair *pair;
	bool is_tx;
	bool is_default;		/* also for when the queue starts anew */
	struct net_coalesce_params params;	/* to set, or as they are */
	int r;
	struct error_chain chain;
};

static struct net_coalesce *coalesce_of(struct net_pair *pair, bool is_tx)
{
	return is_tx ? &pair->ctrl.tx : &pair->ctrl.rx;
}

static void set_params(void *arg)
{
	struct coalesce_call *call = arg;
	struct net_pair *pair = call->pair;
	struct net_coalesce *c = coalesce_of(pair, call->is_tx);

	error_clear();
	call->r = 0;
	if (c->q)
		call->r = net_coalesce_set(c, pair->loop, call->params);
	else if (!call->is_default)
		call->r = -ENOENT;
	if (call->r < 0)
		error_save(&call->chain);
	else if (call->is_default)
		*(call->is_tx ? &pair->ctrl.tx_params : &pair->ctrl.rx_params) = call->params;
}

static void get_params(void *arg)
{
	struct coalesce_call *call = arg;
	const struct net_coalesce *c = coalesce_of(call->pair, call->is_tx);

	error_clear();
	call->r = c->q ? 0 : -ENOENT;
	call->params = c->params;
	error_save(&call->chain);
}

static bool call_pair(struct coalesce_call *call, void (*fn)(void *arg))
{
	event_loop_call(call->pair->loop, fn, call);
	if (call->r < 0)
		error_restore(&call->chain);
	return call->r == 0;
}

static struct net_coalesce_params load_params(const uint8_t *raw)
{
	return (struct net_coalesce_params){
		.max_packets = load_le32(raw),
		.max_usecs = load_le32(raw + 4),
	};
}

/* All queues of a direction, or none: those that had it already get back what they had. */
static bool set_direction(struct net_ctrl_run *run, bool is_tx)
{
	struct virtio_net *net = run->net;
	struct net_coalesce_params before[NET_MAX_PAIRS], params = load_params(run->data);
	struct net_coalesce_params *fallback = is_tx ? &net->ctrl.tx_params : &net->ctrl.rx_params;
	struct coalesce_call call = { .is_tx = is_tx };
	unsigned n = 0;
	bool ok = true;

	for (; n < net->n_pairs && ok; n++) {
		call.pair = &net->pair[n];
		call_pair(&call, get_params);
		before[n] = call.params;
		call.is_default = true;
		call.params = params;
		ok = call_pair(&call, set_params);
	}
	if (ok) {
		*fallback = params;
		return true;
	}
	/* The last one did not change. */
	while (--n > 0) {
		call.pair = &net->pair[n - 1];
		call.is_default = true;
		call.params = *fallback;
		call_pair(&call, set_params);
		call.is_default = false;
		call.params = before[n - 1];
		call_pair(&call, set_params);
	}
	return false;
}

bool net_ctrl_coalesce_tx(struct net_ctrl_run *run)
{
	return set_direction(run, true);
}

bool net_ctrl_coalesce_rx(struct net_ctrl_run *run)
{
	return set_direction(run, false);
}

/* The data queue that the command names.  Returns false if there is none of that index. */
static bool find_queue(const struct net_ctrl_run *run, struct coalesce_call *call)
{
	unsigned index = load_le16(run->data);

	if (index >= 2 * run->net->n_pairs)
		return false;
	call->pair = &run->net->pair[index / 2];
	call->is_tx = index % 2 != 0;
	return true;
}

bool net_ctrl_coalesce_queue(struct net_ctrl_run *run)
{
	struct coalesce_call call = { .params = load_params(run->data + 4) };

	return find_queue(run, &call) && call_pair(&call, set_params);
}

bool net_ctrl_coalesce_get(struct net_ctrl_run *run)
{
	struct coalesce_call call = { 0 };

	if (run->c->in_len < 1 + NET_CTRL_RESULT_MAX || !find_queue(run, &call) ||
	    !call_pair(&call, get_params))
		return false;
	store_le32(run->result, call.params.max_packets);
	store_le32(run->result + 4, call.params.max_usecs);
	run->result_len = NET_CTRL_RESULT_MAX;
	return true;
}

void net_ctrl_pair_start(struct net_pair *pair, bool is_tx, struct virtqueue *q)
{
	net_coalesce_start(coalesce_of(pair, is_tx), q, pair->loop,
			   is_tx ? pair->ctrl.tx_params : pair->ctrl.rx_params);
}

void net_ctrl_pair_stop(struct net_pair *pair, bool is_tx)
{
	net_coalesce_stop(coalesce_of(pair, is_tx));
}
