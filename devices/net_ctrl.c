#include "devices/net_ctrl.h"

#include <string.h>

#include "devices/net_ctrl_impl.h"
#include "vmm/base/error.h"
#include "vmm/base/iov.h"
#include "vmm/base/le.h"

enum { CTRL_OK = 0, CTRL_ERR = 1 };

enum ctrl_class {
	CLASS_RX = 0,
	CLASS_MAC = 1,
	CLASS_VLAN = 2,
	CLASS_ANNOUNCE = 3,
	CLASS_MQ = 4,
	CLASS_GUEST_OFFLOADS = 5,
	CLASS_NOTF_COAL = 6,
};

enum {
	COMMAND_HEADER_LEN = 2,		/* class, command */
	ANY_LEN = 0xff,
};

/* --- filters --------------------------------------------------------------------------------- */

static bool change_filter(struct virtio_net *net, const struct net_filter *filter)
{
	struct net_rules next = net->ctrl.rules;

	next.filter = *filter;
	return net_rules_change(net, &next) == 0;
}

/* Commands of the class are in the order of the modes. */
static bool run_rx_mode(struct net_ctrl_run *run)
{
	struct net_filter filter = run->net->ctrl.rules.filter;

	if (run->data[0] > 1)
		return false;
	net_filter_set_mode(&filter, (enum net_filter_mode)run->command, run->data[0]);
	return change_filter(run->net, &filter);
}

static bool run_mac_tables(struct net_ctrl_run *run)
{
	struct net_filter filter = run->net->ctrl.rules.filter;

	return net_filter_set_tables(&filter, run->c->out, run->c->n_out, COMMAND_HEADER_LEN,
				     run->len) &&
	       change_filter(run->net, &filter);
}

static bool run_mac_address(struct net_ctrl_run *run)
{
	struct virtio_net *net = run->net;
	struct net_filter filter = net->ctrl.rules.filter;

	if (net_mac_is_group(net_mac_load(run->data)))
		return false;
	net_filter_set_mac(&filter, run->data);
	if (!change_filter(net, &filter))
		return false;
	if (features_has(&net->accepted, VIRTIO_NET_F_MAC))
		virtio_device_update_config(&net->dev, NET_CONFIG_MAC, run->data, NET_MAC_LEN);
	return true;
}

static bool set_vlan(struct net_ctrl_run *run, bool on)
{
	struct net_filter filter = run->net->ctrl.rules.filter;

	return net_filter_set_vlan(&filter, load_le16(run->data), on) &&
	       change_filter(run->net, &filter);
}

static bool run_vlan_add(struct net_ctrl_run *run)
{
	return set_vlan(run, true);
}

static bool run_vlan_del(struct net_ctrl_run *run)
{
	return set_vlan(run, false);
}

/* --- announcement ---------------------------------------------------------------------------- */

static void clear_announce(struct virtio_net *net)
{
	uint16_t status = load_le16(net->dev.config + NET_CONFIG_STATUS);
	uint8_t raw[2];

	store_le16(raw, (uint16_t)(status & ~NET_STATUS_ANNOUNCE));
	virtio_device_update_config(&net->dev, NET_CONFIG_STATUS, raw, sizeof(raw));
}

static bool run_announce_ack(struct net_ctrl_run *run)
{
	clear_announce(run->net);
	return true;
}

/* --- queues in use --------------------------------------------------------------------------- */

static bool run_pairs(struct net_ctrl_run *run)
{
	struct net_rules next = run->net->ctrl.rules;

	next.n_pairs = load_le16(run->data);
	if (next.n_pairs < 1 || next.n_pairs > run->net->n_pairs)
		return false;
	/* Of two ways to steer the one that was asked for last counts. */
	next.rss.steers = false;
	return net_rules_change(run->net, &next) == 0;
}

/* As many pairs as the table or the driver's transmit queues reach. */
static unsigned pairs_of_rss(const struct net_rss *rss)
{
	unsigned n = (unsigned)max_u64(rss->max_tx, rss->unclassified + 1u);

	for (unsigned i = 0; i <= rss->mask; i++)
		n = (unsigned)max_u64(n, rss->table[i] + 1u);
	return n;
}

static bool run_rss(struct net_ctrl_run *run)
{
	struct net_rules next = run->net->ctrl.rules;

	if (!net_rss_configure(&next.rss, run->c->out, run->c->n_out, COMMAND_HEADER_LEN,
			       run->len, run->net->n_pairs))
		return false;
	next.n_pairs = pairs_of_rss(&next.rss);
	return net_rules_change(run->net, &next) == 0;
}

static bool run_hash(struct net_ctrl_run *run)
{
	struct net_rules next = run->net->ctrl.rules;

	return net_rss_configure_hash(&next.rss, run->c->out, run->c->n_out, COMMAND_HEADER_LEN,
				      run->len) &&
	       net_rules_change(run->net, &next) == 0;
}

/* --- offloads -------------------------------------------------------------------------------- */

static const uint8_t segment_bits[] = {
	VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_UFO,
	VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6,
};

/* What of the accepted features can be switched on and off, in one word. */
static struct features switchable(const struct virtio_net *net)
{
	struct features all = FEATURES_EMPTY;

	features_add(&all, VIRTIO_NET_F_GUEST_CSUM);
	features_add(&all, VIRTIO_NET_F_GUEST_ECN);
	for (unsigned i = 0; i < ARRAY_SIZE(segment_bits); i++)
		features_add(&all, segment_bits[i]);
	return features_and(all, net->accepted);
}

/* Segments need checksums, and ECN is about TCP segments: drivers may leave it on alone. */
static bool settle_offloads(struct features *f)
{
	if (!features_has(f, VIRTIO_NET_F_GUEST_CSUM))
		for (unsigned i = 0; i < ARRAY_SIZE(segment_bits); i++)
			if (features_has(f, segment_bits[i]))
				return false;
	if (!features_has(f, VIRTIO_NET_F_GUEST_TSO4) && !features_has(f, VIRTIO_NET_F_GUEST_TSO6))
		features_remove(f, VIRTIO_NET_F_GUEST_ECN);
	return true;
}

static bool run_offloads(struct net_ctrl_run *run)
{
	struct virtio_net *net = run->net;
	struct features wanted = { { load_le64(run->data) } };
	struct features beyond = features_minus(wanted, switchable(net));

	if (!features_equal(beyond, FEATURES_EMPTY) || !settle_offloads(&wanted) ||
	    net_set_guest_offloads(net, wanted) < 0)
		return false;
	net->ctrl.guest_offloads = wanted;
	return true;
}

/* --- commands -------------------------------------------------------------------------------- */

/*
 * What there is, and what the driver must have accepted for it.  'len' is that of the data.
 * Numbers are little-endian, also from a legacy driver, on x86.
 */
static const struct command {
	uint8_t class, command;
	uint8_t feature;
	uint8_t len;
	bool (*run)(struct net_ctrl_run *run);
} commands[] = {
	{ CLASS_RX, NET_FILTER_PROMISC, VIRTIO_NET_F_CTRL_RX, 1, run_rx_mode },
	{ CLASS_RX, NET_FILTER_ALLMULTI, VIRTIO_NET_F_CTRL_RX, 1, run_rx_mode },
	{ CLASS_RX, NET_FILTER_ALLUNI, VIRTIO_NET_F_CTRL_RX_EXTRA, 1, run_rx_mode },
	{ CLASS_RX, NET_FILTER_NOMULTI, VIRTIO_NET_F_CTRL_RX_EXTRA, 1, run_rx_mode },
	{ CLASS_RX, NET_FILTER_NOUNI, VIRTIO_NET_F_CTRL_RX_EXTRA, 1, run_rx_mode },
	{ CLASS_RX, NET_FILTER_NOBCAST, VIRTIO_NET_F_CTRL_RX_EXTRA, 1, run_rx_mode },
	{ CLASS_MAC, 0, VIRTIO_NET_F_CTRL_RX, ANY_LEN, run_mac_tables },
	{ CLASS_MAC, 1, VIRTIO_NET_F_CTRL_MAC_ADDR, NET_MAC_LEN, run_mac_address },
	{ CLASS_VLAN, 0, VIRTIO_NET_F_CTRL_VLAN, 2, run_vlan_add },
	{ CLASS_VLAN, 1, VIRTIO_NET_F_CTRL_VLAN, 2, run_vlan_del },
	{ CLASS_ANNOUNCE, 0, VIRTIO_NET_F_GUEST_ANNOUNCE, 0, run_announce_ack },
	{ CLASS_MQ, 0, VIRTIO_NET_F_MQ, 2, run_pairs },
	{ CLASS_MQ, 1, VIRTIO_NET_F_RSS, ANY_LEN, run_rss },
	{ CLASS_MQ, 2, VIRTIO_NET_F_HASH_REPORT, ANY_LEN, run_hash },
	{ CLASS_GUEST_OFFLOADS, 0, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, 8, run_offloads },
	{ CLASS_NOTF_COAL, 0, VIRTIO_NET_F_NOTF_COAL, 8, net_ctrl_coalesce_tx },
	{ CLASS_NOTF_COAL, 1, VIRTIO_NET_F_NOTF_COAL, 8, net_ctrl_coalesce_rx },
	{ CLASS_NOTF_COAL, 2, VIRTIO_NET_F_VQ_NOTF_COAL, 12, net_ctrl_coalesce_queue },
	{ CLASS_NOTF_COAL, 3, VIRTIO_NET_F_VQ_NOTF_COAL, 4, net_ctrl_coalesce_get },
};

static const struct command *find_command(const struct virtio_net *net, const uint8_t header[2])
{
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].class == header[0] && commands[i].command == header[1] &&
		    features_has(&net->accepted, commands[i].feature))
			return &commands[i];
	return NULL;
}

static bool run_command(struct net_ctrl_run *run)
{
	const struct chain *c = run->c;
	const struct command *command;
	uint8_t header[COMMAND_HEADER_LEN];

	if (iov_read(c->out, c->n_out, 0, header, sizeof(header)) < sizeof(header))
		return false;
	command = find_command(run->net, header);
	run->command = header[1];
	run->len = c->out_len - sizeof(header);
	if (!command || (command->len != ANY_LEN && command->len != run->len))
		return false;
	if (command->len != ANY_LEN)
		iov_read(c->out, c->n_out, sizeof(header), run->data, run->len);
	return command->run(run);
}

/* What the host refused is of interest to who runs it; what the driver did wrong, to its author. */
static void report_refusal(struct virtio_net *net, const struct chain *c)
{
	uint8_t header[COMMAND_HEADER_LEN] = { 0 };
	int err = error_errno();

	iov_read(c->out, c->n_out, 0, header, sizeof(header));
	log_guest(&net->dev.log, err ? LOG_WARNING : LOG_DEBUG,
		  "%s: command %u of class %u, %zu bytes, is refused%s%s%s%s", net->dev.name,
		  header[1], header[0], c->out_len, err ? ": " : "", error_text(),
		  err ? ": " : "", err ? error_name(err) : "");
	error_clear();
}

/*
 * virtio-v1.4 5.1.6.5 "Control Virtqueue".  A command without room for the answer is not carried
 * out: nobody could know that it was.
 */
uint32_t net_ctrl_handle(struct virtio_net *net, const struct chain *c)
{
	struct net_ctrl_run run = { .net = net, .c = c };
	uint8_t ack;

	if (c->in_len < sizeof(ack))
		return 0;
	error_clear();
	ack = run_command(&run) ? CTRL_OK : CTRL_ERR;
	if (ack != CTRL_OK)
		report_refusal(net, c);
	iov_write(c->in, c->n_in, 0, &ack, sizeof(ack));
	iov_write(c->in, c->n_in, sizeof(ack), run.result, run.result_len);
	return (uint32_t)(sizeof(ack) + run.result_len);
}

/* --- device ---------------------------------------------------------------------------------- */

struct features net_ctrl_features(unsigned n_pairs)
{
	static const uint8_t always[] = {
		VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_RX_EXTRA,
		VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_GUEST_ANNOUNCE,
		VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_HASH_REPORT,
		VIRTIO_NET_F_NOTF_COAL, VIRTIO_NET_F_VQ_NOTF_COAL,
	};
	struct features f = FEATURES_EMPTY;

	for (unsigned i = 0; i < ARRAY_SIZE(always); i++)
		features_add(&f, always[i]);
	if (n_pairs > 1) {
		features_add(&f, VIRTIO_NET_F_MQ);
		features_add(&f, VIRTIO_NET_F_RSS);
	}
	return f;
}

void net_ctrl_fill_config(uint8_t *bytes)
{
	bytes[NET_CONFIG_RSS_KEY_SIZE] = NET_RSS_KEY_SIZE;
	store_le16(bytes + NET_CONFIG_RSS_TABLE_LEN, NET_RSS_TABLE_SIZE);
	store_le32(bytes + NET_CONFIG_HASH_TYPES, NET_RSS_TYPES);
}

static void begin_session(struct virtio_net *net, struct features accepted)
{
	struct net_ctrl *ctrl = &net->ctrl;

	net_filter_init(&ctrl->rules.filter, accepted, net->dev.config + NET_CONFIG_MAC);
	net_rss_init(&ctrl->rules.rss);
	ctrl->rules.n_pairs = 1;
	ctrl->guest_offloads = switchable(net);
	ctrl->rx_params = ctrl->tx_params = (struct net_coalesce_params){ 0 };
	ctrl->told_inexact = false;
	ctrl->in_session = true;
}

int net_ctrl_start(struct virtio_net *net, struct features accepted)
{
	int r;

	if (!net->ctrl.in_session)
		begin_session(net, accepted);
	for (unsigned i = 0; i < net->n_pairs; i++) {
		struct net_ctrl_pair *ctrl = &net->pair[i].ctrl;

		net_coalesce_init(&ctrl->rx);
		net_coalesce_init(&ctrl->tx);
		ctrl->rx_params = net->ctrl.rx_params;
		ctrl->tx_params = net->ctrl.tx_params;
	}
	r = net_rules_start(net);
	net->ctrl.started = r == 0;
	return r;
}

void net_ctrl_stop(struct virtio_net *net)
{
	net_rules_stop(net);
	net->ctrl.started = false;
}

void net_ctrl_reset(struct virtio_net *net)
{
	clear_announce(net);
	net->ctrl.in_session = false;
}

void net_ctrl_mac_changed(struct virtio_net *net)
{
	struct net_filter filter = net->ctrl.rules.filter;

	if (!net->ctrl.started)
		return;
	net_filter_set_mac(&filter, net->dev.config + NET_CONFIG_MAC);
	if (!change_filter(net, &filter)) {
		log_guest(&net->dev.log, LOG_WARNING, "%s: %s", net->dev.name, error_text());
		error_clear();
	}
}
