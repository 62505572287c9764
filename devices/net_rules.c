/*
 * What becomes of a received frame: filtered, hashed, steered.  Each pair's loop has a copy of the
 * rules; a change is handed to every loop, one after the other, before the driver hears that it was
 * made.
 *
 * Which of the peer's pairs a frame arrives at is the host's choice.  Automatic steering is just
 * that.  Where the driver has a table of its own (RSS), a frame that belongs to another pair goes
 * there by that pair's mailbox; one for the pair at which it arrived takes the ordinary path.
 */
#include <errno.h>
#include <string.h>

#include "devices/net_filter_bpf.h"
#include "devices/net_impl.h"
#include "vmm/base/error.h"

/* --- frames, on the pair's loop -------------------------------------------------------------- */

enum net_verdict net_ctrl_judge(struct net_pair *pair, struct net_frame *frame)
{
	const struct net_rules *rules = &pair->ctrl.rules;
	struct net_hash hash = { 0, NET_HASH_NONE };

	if (pair->number >= rules->n_pairs ||
	    !net_filter_passes(&rules->filter, frame->head, frame->head_len))
		return NET_FRAME_DROP;
	if (net_rss_is_on(&rules->rss))
		hash = net_rss_hash(&rules->rss, frame->head, frame->head_len);
	frame->header->hash_value = hash.value;
	frame->header->hash_report = hash.report;
	if (!rules->rss.steers)
		return NET_FRAME_TAKE;

	struct net_pair *to = &pair->net->pair[net_rss_pair(&rules->rss, hash)];

	if (to == pair)
		return NET_FRAME_TAKE;
	if (!net_mailbox_put(&to->ctrl.mailbox, frame->header, frame->iov, frame->n_iov,
			     frame->len))
		return NET_FRAME_DROP;
	event_loop_post(to->loop, &to->ctrl.mail);
	return NET_FRAME_MOVED;
}

/* What there is no room for, or no queue (it is being reset), is lost. */
static void deliver_mail(struct event_post *post)
{
	struct net_pair *pair = container_of(post, struct net_pair, ctrl.mail);
	const struct net_mail *mail;

	for (unsigned n = 0; n < NET_MAILBOX_SLOTS; n++) {
		mail = net_mailbox_peek(&pair->ctrl.mailbox);
		if (!mail)
			return;
		struct iovec iov = { (void *)mail->frame, mail->len };

		(void)!net_rx_deliver(pair, &mail->header, &iov, 1, mail->len);
		net_mailbox_drop(&pair->ctrl.mailbox);
	}
	event_loop_post(pair->loop, post);
}

/* --- rules, control path --------------------------------------------------------------------- */

struct rules_call {
	struct net_pair *pair;
	const struct net_rules *rules;
};

static void take_rules(void *arg)
{
	struct rules_call *call = arg;

	call->pair->ctrl.rules = *call->rules;
}

static void hand_over(struct virtio_net *net, const struct net_rules *rules)
{
	for (unsigned i = 0; i < net->n_pairs; i++) {
		struct rules_call call = { &net->pair[i], rules };

		event_loop_call(net->pair[i].loop, take_rules, &call);
	}
}

/* The peer passes more than is wanted when it cannot say it all: better than less. */
static int filter_in_peer(struct virtio_net *net, const struct net_filter *filter)
{
	struct sock_filter prog[NET_BPF_MAX];
	bool exact;
	unsigned n = net_filter_compile(filter, prog, &exact);
	int r = net->peer->ops->set_filter(net->peer, prog, n);

	/* Once a session; and a guest has as many sessions as it likes. */
	if (r == 0 && !exact && !net->ctrl.told_inexact) {
		log_guest(&net->dev.log, LOG_INFO, "%s: too many VLANs for a filter in the host's "
			  "kernel: all are received", net->dev.name);
		net->ctrl.told_inexact = true;
	}
	return r;
}

int net_rules_change(struct virtio_net *net, const struct net_rules *next)
{
	const struct net_rules *now = &net->ctrl.rules;
	int r = 0;

	if (net->ctrl.filters_in_peer &&
	    memcmp(&next->filter, &now->filter, sizeof(next->filter)) != 0)
		r = filter_in_peer(net, &next->filter);
	if (r == 0 && next->n_pairs != now->n_pairs)
		r = net_set_pairs(net, next->n_pairs);
	if (r < 0)
		return r;
	hand_over(net, next);
	net->ctrl.rules = *next;
	return 0;
}

int net_ctrl_filter_in_peer(struct virtio_net *net, bool on)
{
	struct net_peer *peer = net->peer;
	int r;

	if (on == net->ctrl.filters_in_peer)
		return 0;
	if (on && !peer->ops->set_filter)
		return error_set(ENOTSUP, "%s cannot filter what it receives", peer->describe);
	r = on ? filter_in_peer(net, &net->ctrl.rules.filter)
	       : peer->ops->set_filter(peer, NULL, 0);
	if (r == 0)
		net->ctrl.filters_in_peer = on;
	return r;
}

/* --- session --------------------------------------------------------------------------------- */

/* A pair's loop, after which nobody puts anything in. */
static void forget_mail(void *arg)
{
	struct net_pair *pair = arg;

	event_loop_unpost(pair->loop, &pair->ctrl.mail);
}

/* Only a driver with a table of its own steers frames to other pairs. */
static bool wants_mail(const struct virtio_net *net)
{
	return net->n_pairs > 1 && features_has(&net->accepted, VIRTIO_NET_F_RSS);
}

int net_rules_start(struct virtio_net *net)
{
	int r = 0;

	for (unsigned i = 0; i < net->n_pairs && r == 0; i++) {
		struct net_ctrl_pair *ctrl = &net->pair[i].ctrl;

		ctrl->mail.fn = deliver_mail;
		if (wants_mail(net))
			r = net_mailbox_open(&ctrl->mailbox);
	}
	if (r < 0) {
		net_rules_stop(net);
		return r;
	}
	hand_over(net, &net->ctrl.rules);
	return 0;
}

void net_rules_stop(struct virtio_net *net)
{
	if (net->ctrl.filters_in_peer && net_ctrl_filter_in_peer(net, false) < 0) {
		log_guest(&net->dev.log, LOG_WARNING, "%s: %s", net->dev.name, error_text());
		error_clear();
	}
	net->ctrl.filters_in_peer = false;
	for (unsigned i = 0; i < net->n_pairs; i++) {
		struct net_pair *pair = &net->pair[i];

		event_loop_call(pair->loop, forget_mail, pair);
		net_mailbox_close(&pair->ctrl.mailbox);
	}
}
