#include "vmm/config_ports.h"

#include <string.h>

#include "devices/virtio_models.h"
#include "vmm/config_mistake.h"

/* The guest's udev makes a file of the name. */
static bool is_port_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return strspn(name, allowed) == strlen(name) && strcmp(name, ".") && strcmp(name, "..");
}

static unsigned count_ends(const struct port_settings *port)
{
	return (port->fd != 0) + (port->socket != NULL) + (port->to.kind != TARGET_OFF);
}

static void validate_end(const struct vm_config *config, unsigned i, bool whole,
			 struct mistakes *mistakes)
{
	const struct port_settings *port = &config->port[i];
	unsigned n = count_ends(port);

	if (n == 0 && whole)
		config_mistake(config, mistakes, "ports", i, NULL,
			       "where does it lead? Give 'fd', 'socket' or 'to'");
	if (n > 1)
		config_mistake(config, mistakes, "ports", i, port->socket ? "socket" : "to",
			       "'fd', 'socket' and 'to' exclude each other");
	if (port->socket && strlen(port->socket) > VIRTIO_PORT_PATH_MAX)
		config_mistake(config, mistakes, "ports", i, "socket",
			       "'%.120s' is longer than %d bytes, the most for a Unix socket",
			       port->socket, VIRTIO_PORT_PATH_MAX);
	if (port->to.kind == TARGET_STDIO && (config->console.kind == TARGET_STDIO ||
					      config->serial.kind == TARGET_STDIO))
		config_mistake(config, mistakes, "ports", i, "to",
			       "standard input and output are those of the console already: lead "
			       "'console.to' and 'serial.to' elsewhere");
}

static bool same_file(const struct target *a, const struct target *b)
{
	return a->kind == TARGET_FILE && b->kind == TARGET_FILE && !strcmp(a->path, b->path);
}

/* Two ports with one end: each would take what is the other's, or write over it. */
static void validate_pair(const struct vm_config *config, unsigned i, unsigned k,
			  struct mistakes *mistakes)
{
	const struct port_settings *a = &config->port[k], *b = &config->port[i];
	const char *key = NULL;

	if (a->fd && a->fd == b->fd)
		key = "fd";
	else if (a->socket && b->socket && !strcmp(a->socket, b->socket))
		key = "socket";
	else if (same_file(&a->to, &b->to) ||
		 (a->to.kind == TARGET_STDIO && b->to.kind == TARGET_STDIO))
		key = "to";
	if (key)
		config_mistake(config, mistakes, "ports", i, key,
			       "ports '%s' and '%s' lead to the same place",
			       a->name ? a->name : "", b->name ? b->name : "");
}

/* What else is open under that number, or writes to that file. */
static void validate_others(const struct vm_config *config, unsigned i, struct mistakes *mistakes)
{
	const struct port_settings *port = &config->port[i];

	for (unsigned k = 0; k < config->n_nets; k++)
		if (port->fd && config->net[k].fd == port->fd)
			config_mistake(config, mistakes, "ports", i, "fd",
				       "net '%s' has 'fd=%u' already",
				       config->net[k].name ? config->net[k].name : "", port->fd);
	if (port->fd && config->vsock.given && config->vsock.fd == port->fd)
		config_mistake(config, mistakes, "ports", i, "fd", "vsock has 'fd=%u' already",
			       port->fd);
	if (same_file(&port->to, &config->console) || same_file(&port->to, &config->serial))
		config_mistake(config, mistakes, "ports", i, "to",
			       "a console writes to '%s' already", port->to.path);
}

void config_validate_ports(const struct vm_config *config, bool whole, struct mistakes *mistakes)
{
	if (config->n_ports > VIRTIO_MAX_PORTS)
		config_mistake(config, mistakes, "ports", VIRTIO_MAX_PORTS, NULL,
			       "%u ports are too many: %d are the most", config->n_ports,
			       VIRTIO_MAX_PORTS);
	if (config->n_ports > 0 && config->console.kind == TARGET_OFF)
		config_mistake(config, mistakes, "console", 0, "to",
			       "ports are of the console device: 'null' leaves it there, with "
			       "nobody listening");
	if (config->n_ports > 0 &&
	    features_has(&config->console_device.features.off, VIRTIO_CONSOLE_F_MULTIPORT))
		config_mistake(config, mistakes, "console", 0, "features",
			       "'-multiport' takes the ports away that are configured");
	for (unsigned i = 0; i < config->n_ports; i++) {
		const char *name = config->port[i].name;

		/* What is too long or empty was noted, as for all names. */
		if (name && !is_port_name(name))
			config_mistake(config, mistakes, "ports", i, NULL,
				       "the name of a port has letters, digits, '.', '_' and '-'");
		validate_end(config, i, whole, mistakes);
		validate_others(config, i, mistakes);
		for (unsigned k = 0; k < i; k++)
			validate_pair(config, i, k, mistakes);
	}
}
