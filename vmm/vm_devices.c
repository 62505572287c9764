/* The virtio models of a VM, each made from its settings, in the order of config_device(). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio_balloon.h"
#include "devices/virtio_models.h"
#include "vmm/base/error.h"
#include "vmm/base/fd.h"
#include "vmm/cloud_init.h"
#include "vmm/config_vsock.h"
#include "vmm/sandbox.h"
#include "vmm/terminal.h"
#include "vmm/vm_impl.h"

/* Of which there is one at most. */
enum { SINGLE_DEVICES = 6 };

static int add_served_disk(struct vm *vm, const struct disk_settings *disk,
			   struct event_loop *loop)
{
	const struct virtio_blk_user_config config = {
		.name = disk->name,
		.socket = disk->socket,
		.only_look = vm->only_look,
		.n_queues = disk->queues,
		.queue_size = disk->queue_size,
		.loop = loop,
		.main = vm->host.main_loop,
	};
	int r = virtio_blk_user_create(&vm->model[vm->n_models], &config);

	vm->blames_host = r < 0;
	if (r < 0)
		return r;
	vm->n_models++;
	vm->sandbox_needs |= SANDBOX_VHOST_USER;
	return 0;
}

static int add_disk_model(struct vm *vm, const struct disk_settings *disk, unsigned number)
{
	unsigned n = vm->config->io_threads;
	struct event_loop *loop[64];

	/* Disks with one queue each are spread over the I/O threads, too. */
	for (unsigned i = 0; i < n; i++)
		loop[i] = vm->io_loop[(number + i) % n];
	if (disk->socket)
		return add_served_disk(vm, disk, loop[0]);
	struct virtio_blk_config config = {
		.name = disk->name,
		.path = disk->path,
		.serial = disk->serial,
		.readonly = disk->readonly,
		.ephemeral = disk->ephemeral,
		.direct = disk->direct,
		.only_look = vm->only_look,
		.engine = (enum virtio_blk_engine)disk->engine,
		.n_queues = disk->queues,
		.queue_size = disk->queue_size,
		.block_size = disk->block_size,
		.loop = loop,
		.n_loops = n,
	};
	int r = virtio_blk_create(&vm->model[vm->n_models], &config);

	if (r == 0)
		vm->n_models++;
	return r;
}

/* A disk that nobody else can reach: the image is only known by its descriptor. */
static int add_seed_model(struct vm *vm)
{
	char path[32];
	struct disk_settings disk = {
		.name = (char[]){ "cidata" }, .path = path, .readonly = true,
		.engine = BLK_ENGINE_AUTO, .queues = 1,
	};
	int fd, r = cloud_init_image(&fd, vm->config);

	if (r < 0)
		return error_add(r, "make the disk for cloud-init");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = add_disk_model(vm, &disk, vm->config->n_disks);
	fd_close(&fd);
	return r;
}

static int add_console_model(struct vm *vm)
{
	struct virtio_port_config port[VIRTIO_MAX_PORTS];
	struct virtio_console_config config = {
		.name = "console",
		.chardev = vm->consoles.console,
		.loop = vm->io_loop[0],
		.port = port,
		.n_ports = vm->ports.n,
	};

	ports_describe(&vm->ports, port);
	if (vm->config->console.kind == TARGET_STDIO)
		terminal_size(&config.cols, &config.rows);
	int r = virtio_console_create(&vm->model[vm->n_models], &config);
	if (r < 0)
		return r;
	vm->console = vm->model[vm->n_models++];
	ports_connect(&vm->ports, vm->console);
	if (ports_listen(&vm->ports))
		vm->sandbox_needs |= SANDBOX_PORTS;
	return 0;
}

static int add_rng_model(struct vm *vm)
{
	struct virtio_rng_config config = { .name = "rng", .loop = vm->io_loop[0] };
	int r = virtio_rng_create(&vm->model[vm->n_models], &config);

	if (r == 0)
		vm->n_models++;
	return r;
}

static int add_balloon_model(struct vm *vm)
{
	const struct balloon_settings *balloon = &vm->config->balloon;
	struct virtio_balloon_config config = {
		.name = "balloon",
		.loop = vm->io_loop[0],
		.target = balloon->size,
		.stats_period_ms = balloon->stats_ms,
		.must_tell_host = balloon->must_tell_host,
		.stats = balloon->stats_ms > 0,
		.deflate_on_oom = balloon->deflate_on_oom,
		.hinting = balloon->hinting != HINTING_NO,
		.poison = balloon->poison,
		.reporting = balloon->reporting,
		.hint_at_start = balloon->hinting == HINTING_START,
	};
	int r = virtio_balloon_create(&vm->model[vm->n_models], &config);

	if (r == 0)
		vm->n_models++;
	return r;
}

static int add_tap(struct vm *vm, const struct net_settings *net, struct net_peer **out)
{
	const struct net_tap_config config = {
		.name = net->name,
		.ifname = net->ifname,
		.fd = net->fd ? (int)net->fd : FD_NONE,
		.n_pairs = net->queues,
		.only_look = vm->only_look,
	};

	vm->sandbox_needs |= SANDBOX_TAP;
	return net_tap_create(out, &config);
}

static int add_user_net(struct vm *vm, const struct net_settings *net, struct net_peer **out)
{
	const struct net_user_config config = {
		.name = net->name,
		.forward = (const char *const *)net->forward.item,
		.n_forwards = net->forward.n,
		.restrict_guest = net->restrict_guest,
		.ipv6 = net->ipv6,
		.mtu = (uint16_t)net->mtu,
		.only_look = vm->only_look,
	};

	vm->sandbox_needs |= SANDBOX_NET_USER;
	return net_user_create(out, &config);
}

static uint8_t duplex_of(enum net_duplex duplex)
{
	switch (duplex) {
	case NET_DUPLEX_HALF: return 0;
	case NET_DUPLEX_FULL: return 1;
	case NET_DUPLEX_UNKNOWN: break;
	}
	return 0xff;
}

static int add_net_model(struct vm *vm, const struct net_settings *net, unsigned number)
{
	unsigned n = vm->config->io_threads;
	struct event_loop *loop[64];
	struct net_peer *peer;
	int r;

	/* All user networks share a loop: see net_user_create. */
	if (net->backend == NET_USER)
		number = 0;
	for (unsigned i = 0; i < n; i++)
		loop[i] = vm->io_loop[(number + i) % n];
	if (net->backend == NET_TAP)
		r = add_tap(vm, net, &peer);
	else
		r = add_user_net(vm, net, &peer);
	/* Taps, libslirp and ports are the host's; a descriptor is what somebody gave us. */
	vm->blames_host = r < 0 && !net->fd;
	if (r < 0)
		return r;
	struct virtio_net_config config = {
		.name = net->name,
		.peer = peer,
		.n_pairs = net->queues,
		.queue_size = net->queue_size,
		.mtu = (uint16_t)net->mtu,
		.link_up = net->link,
		.speed_mbit = net->speed ? net->speed : UINT32_MAX,
		.duplex = duplex_of(net->duplex),
		.capture = net->capture,
		.vhost = (enum virtio_offload)net->vhost,
		.vhost_path = net->vhost_path,
		.vhost_poll_us = net->vhost_poll_us,
		.only_look = vm->only_look,
		.loop = loop,
		.n_loops = n,
	};
	memcpy(config.mac, net->address, sizeof(config.mac));
	r = virtio_net_create(&vm->model[vm->n_models], &config);
	vm->blames_host = r < 0 && net->vhost == VHOST_REQUIRE;
	if (r < 0)
		return r;
	vm->n_models++;
	if (net->backend == NET_TAP && net->vhost != VHOST_OFF)
		vm->sandbox_needs |= SANDBOX_VHOST;
	return 0;
}

static int add_vsock_model(struct vm *vm)
{
	const struct vsock_settings *vsock = &vm->config->vsock;
	struct virtio_vsock_config config = {
		.name = "vsock",
		.cid = config_vsock_cid(vsock),
		.vhost = (enum virtio_offload)vsock->vhost,
		.vhost_path = vsock->vhost_path,
		.vhost_fd = vsock->fd ? (int)vsock->fd : FD_NONE,
		.socket = vsock->socket,
		.only_look = vm->only_look,
		.loop = vm->io_loop[0],
	};
	int r = virtio_vsock_create(&vm->model[vm->n_models], &config);

	/* With 'socket' the kernel is done without; what is left is about that file. */
	vm->blames_host = r < 0 && !vsock->socket;
	if (r < 0)
		return r;
	if (virtio_vsock_is_offloaded(vm->model[vm->n_models]))
		vm->sandbox_needs |= SANDBOX_VHOST;
	if (vsock->socket && vsock->vhost != VHOST_REQUIRE)
		vm->sandbox_needs |= SANDBOX_VSOCK_USER;
	vm->n_models++;
	return 0;
}

static int add_scsi_model(struct vm *vm, const struct scsi_settings *scsi)
{
	struct virtio_scsi_config config = {
		.name = scsi->name,
		.wwpn = scsi->wwpn,
		.n_queues = scsi->queues,
		.vhost_path = scsi->vhost_path,
		.only_look = vm->only_look,
		.loop = vm->io_loop[0],
	};
	int r = virtio_scsi_create(&vm->model[vm->n_models], &config);

	vm->blames_host = r < 0;
	if (r < 0)
		return r;
	vm->n_models++;
	vm->sandbox_needs |= SANDBOX_VHOST;
	return 0;
}

/* Folders are the user's, who serves them is the host's. */
static int add_share(struct vm *vm, unsigned index)
{
	struct virtio_device **out = &vm->model[vm->n_models];
	struct event_loop *loop = vm->io_loop[index % vm->config->io_threads];
	enum outcome_blame blame = vm->config->share[index].socket ? BLAME_FILE : BLAME_HOST;
	int r = vm->only_look ? shares_look(vm->config, index, loop, out, &blame) :
				shares_create_device(vm->shares, index, loop, out);

	vm->blames_host = r < 0 && blame == BLAME_HOST;
	if (r < 0)
		return r;
	vm->n_models++;
	vm->sandbox_needs |= SANDBOX_SHARE | SANDBOX_VHOST_USER;
	return 0;
}

/* --- All of them ----------------------------------------------------------------------------- */

static int add_disk(struct vm *vm, unsigned index)
{
	return add_disk_model(vm, &vm->config->disk[index], index);
}

static int add_net(struct vm *vm, unsigned index)
{
	return add_net_model(vm, &vm->config->net[index], index);
}

static int add_scsi(struct vm *vm, unsigned index)
{
	return add_scsi_model(vm, &vm->config->scsi[index]);
}

static int add_single(struct vm *vm, unsigned index)
{
	static int (*const add[])(struct vm *vm) = {
		add_console_model, add_rng_model, add_balloon_model, add_vsock_model,
		vm_create_iommu, add_seed_model,
	};

	return add[index](vm);
}

/* Devices that one section of the configuration asks for. */
struct part {
	const char *section;
	unsigned n;
	int (*add)(struct vm *vm, unsigned index);
	unsigned first;		/* index of the first one */
};

/* Somebody wants to hear of every device that cannot be made, and to go on. */
static void examine(struct vm *vm, const struct part *part, unsigned i, int r)
{
	unsigned index = vm->n_models;

	if (r < 0) {
		vm->model[vm->n_models++] = NULL;	/* others keep their numbers */
	} else {
		index--;
		vm->blames_host = false;
		r = vm_settle_features(vm, index);
	}
	if (r < 0)
		vm->found(vm->found_arg, part->section, i,
			  vm->blames_host ? BLAME_HOST : BLAME_FILE);
}

static int add_part(struct vm *vm, const struct part *part)
{
	for (unsigned i = 0; i < part->n; i++) {
		vm->blames_host = false;
		int r = part->add(vm, part->first + i);

		if (vm->found)
			examine(vm, part, i, r);
		else if (r < 0)
			return r;
	}
	return 0;
}

/* Disks come first, in the user's order: they get their letters and slots by it. */
int vm_create_models(struct vm *vm)
{
	const struct vm_config *c = vm->config;
	const struct part parts[] = {
		{ "disks", c->n_disks, add_disk, 0 },
		{ "cloud_init", c->cloud_init.given, add_single, 5 },
		{ "nets", c->n_nets, add_net, 0 },
		{ "console", c->console.kind != TARGET_OFF, add_single, 0 },
		{ "rng", c->rng == PRESENCE_ON, add_single, 1 },
		{ "balloon", c->balloon.given, add_single, 2 },
		{ "vsock", c->vsock.given, add_single, 3 },
		{ "scsis", c->n_scsis, add_scsi, 0 },
		{ "shares", c->n_shares, add_share, 0 },
		{ "iommu", config_has_iommu(c), add_single, 4 },
	};
	size_t n = c->n_disks + c->n_nets + c->n_scsis + c->n_shares + SINGLE_DEVICES;
	int r = 0;

	vm->model = calloc(n, sizeof(struct virtio_device *));
	vm->transport = calloc(n, sizeof(struct virtio_transport *));
	if (!vm->model || !vm->transport)
		return error_set(ENOMEM, "create %zu devices", n);
	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(parts); i++)
		r = add_part(vm, &parts[i]);
	return r;
}
