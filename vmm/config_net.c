#include "vmm/config_net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/config_mistake.h"

enum { IFNAME_MAX = 15, MTU_MIN = 68, FIRST_OWN_FD = 3 };

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "52:54:00:12:34:56", or with '-'. */
static bool parse_mac(const char *text, uint8_t mac[6])
{
	for (unsigned i = 0; i < 6; i++) {
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
		text += 2;
		if (i < 5 && *text != ':' && *text != '-')
			return false;
		text += i < 5;
	}
	return *text == '\0';
}

/* FNV-1a. */
static uint64_t add_to_hash(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	while (*text++);
	return hash;
}

void config_net_mac(const struct net_settings *net, uint8_t mac[6])
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	char host[256] = "";

	if (net->mac && parse_mac(net->mac, mac))
		return;
	gethostname(host, sizeof(host) - 1);
	hash = add_to_hash(hash, host);
	/* A tap's name is this host's; a user network is seen by nobody else. */
	hash = add_to_hash(hash, net->ifname ? net->ifname : "");
	hash = add_to_hash(hash, net->name);
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)(hash >> 8 * i);
	/* Locally administered, of one interface. */
	mac[0] = (uint8_t)((mac[0] | 2) & ~1);
}

/* About one key of interface 'i', or (NULL) the interface. */
#define NET_MISTAKE(key, ...) config_mistake(config, mistakes, "nets", i, key, __VA_ARGS__)

static void validate_mac(const struct vm_config *config, unsigned i, struct mistakes *mistakes)
{
	const struct net_settings *net = &config->net[i];
	static const uint8_t none[6];
	uint8_t mac[6];

	if (!net->mac)
		return;
	if (!parse_mac(net->mac, mac))
		NET_MISTAKE("mac", "'%.40s' is no address like 52:54:00:12:34:56", net->mac);
	else if (mac[0] & 1)
		NET_MISTAKE("mac", "'%s' is a group's address (its first byte is odd)", net->mac);
	else if (!memcmp(mac, none, sizeof(mac)))
		NET_MISTAKE("mac", "'%s' is nobody's address", net->mac);
}

static void validate_user(const struct vm_config *config, unsigned i, struct mistakes *mistakes)
{
	const struct net_settings *net = &config->net[i];
	const char *key = net->ifname ? "ifname" : "fd";

	if (net->ifname || net->fd)
		NET_MISTAKE(key, "'%s' is for backend tap", key);
	if (net->queues > 1)
		NET_MISTAKE("queues", "more than one pair of queues is for backend tap");
	if (net->vhost == VHOST_REQUIRE)
		NET_MISTAKE("vhost", "'require' is for backend tap");
}

static bool is_ifname(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > IFNAME_MAX || !strcmp(text, ".") || !strcmp(text, ".."))
		return false;
	return strcspn(text, "/: \t\n\r\v\f%") == len;
}

/* "vt-net0", unless the user named it or passes it on. */
static void name_tap(struct vm_config *config, unsigned i, struct mistakes *mistakes)
{
	struct net_settings *net = &config->net[i];
	char text[80];

	if (net->ifname || net->fd)
		return;
	snprintf(text, sizeof(text), "vt-%s", net->name);
	if (!is_ifname(text)) {
		NET_MISTAKE(NULL, "no tap can be called '%s': give 'ifname'", text);
		return;
	}
	net->ifname = strdup(text);
	if (!net->ifname)
		mistakes_add(mistakes, "no memory");
}

static void validate_tap(struct vm_config *config, unsigned i, struct mistakes *mistakes)
{
	const struct net_settings *net = &config->net[i];
	const char *key = net->forward.n > 0 ? "forward" : "restrict";

	if (net->forward.n > 0 || net->restrict_guest)
		NET_MISTAKE(key, "'%s' is for backend user", key);
	if (net->ifname && net->fd)
		NET_MISTAKE("fd", "'ifname' and 'fd' exclude each other");
	else if (net->ifname && !is_ifname(net->ifname))
		NET_MISTAKE("ifname", "'%.40s' is no name of an interface (1 to %d characters, no "
				      "'/', ':', '%%' or space)", net->ifname, IFNAME_MAX);
	if (net->fd && net->fd < FIRST_OWN_FD)
		NET_MISTAKE("fd", "descriptor %u is no tap", net->fd);
	if (net->capture && net->vhost == VHOST_REQUIRE)
		NET_MISTAKE("capture", "'capture' and vhost 'require' exclude each other: packets "
				       "that the host's kernel moves are not seen");
	name_tap(config, i, mistakes);
}

static void validate_net(struct vm_config *config, unsigned i, struct mistakes *mistakes)
{
	const struct net_settings *net = &config->net[i];

	validate_mac(config, i, mistakes);
	if (net->mtu && net->mtu < MTU_MIN)
		NET_MISTAKE("mtu", "an mtu of %u is less than %d", net->mtu, MTU_MIN);
	if (net->backend == NET_TAP)
		validate_tap(config, i, mistakes);
	else
		validate_user(config, i, mistakes);
}

/* Of interface 'i' and an earlier one of the same guest. */
static void validate_two(const struct vm_config *config, unsigned k, unsigned i,
			 struct mistakes *mistakes)
{
	const struct net_settings *a = &config->net[k], *b = &config->net[i];
	uint8_t mac_a[6], mac_b[6];

	if (a->ifname && b->ifname && !strcmp(a->ifname, b->ifname))
		NET_MISTAKE("ifname", "nets '%s' and '%s' are both on tap '%s'", a->name, b->name,
			    a->ifname);
	if (a->fd && a->fd == b->fd)
		NET_MISTAKE("fd", "nets '%s' and '%s' both have descriptor %u", a->name, b->name,
			    a->fd);
	if (!a->mac || !b->mac)
		return;
	config_net_mac(a, mac_a);
	config_net_mac(b, mac_b);
	if (!memcmp(mac_a, mac_b, sizeof(mac_a)))
		NET_MISTAKE("mac", "nets '%s' and '%s' have the same mac '%s'", a->name, b->name,
			    a->mac);
}

void config_validate_nets(struct vm_config *config, struct mistakes *mistakes)
{
	/* A name is missing only where memory was. */
	for (unsigned i = 0; i < config->n_nets; i++)
		if (!config->net[i].name)
			return;
	for (unsigned i = 0; i < config->n_nets; i++) {
		validate_net(config, i, mistakes);
		for (unsigned k = 0; k < i; k++)
			validate_two(config, k, i, mistakes);
	}
}
