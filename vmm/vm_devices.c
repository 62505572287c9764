/* The virtio models of a VM, each made from its settings, in the order of config_device(). */
#include <errno.h>
#include <stdlib.h>

#include "devices/virtio_balloon.h"
#include "devices/virtio_models.h"
#include "vmm/base/error.h"
#include "vmm/terminal.h"
#include "vmm/vm_impl.h"

/* Of which there is one at most. */
enum { SINGLE_DEVICES = 5 };

static int add_disk_model(struct vm *vm, const struct disk_settings *disk, unsigned number)
{
	unsigned n = vm->config->io_threads;
	struct event_loop *loop[64];

	/* Disks with one queue each are spread over the I/O threads, too. */
	for (unsigned i = 0; i < n; i++)
		loop[i] = vm->io_loop[(number + i) % n];
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

static int add_console_model(struct vm *vm)
{
	struct virtio_console_config config = {
		.name = "console",
		.chardev = vm->consoles.console,
		.loop = vm->io_loop[0],
	};

	if (vm->config->console.kind == TARGET_STDIO)
		terminal_size(&config.cols, &config.rows);
	int r = virtio_console_create(&vm->model[vm->n_models], &config);
	if (r < 0)
		return r;
	vm->console = vm->model[vm->n_models++];
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

/* Disks come first, in the user's order: they get their letters and slots by it. */
int vm_create_models(struct vm *vm)
{
	const struct vm_config *c = vm->config;
	size_t n = c->n_disks + c->n_nets + c->n_scsis + SINGLE_DEVICES;
	int r = 0;

	vm->model = calloc(n, sizeof(struct virtio_device *));
	vm->transport = calloc(n, sizeof(struct virtio_transport *));
	if (!vm->model || !vm->transport)
		return error_set(ENOMEM, "create %zu devices", n);
	for (unsigned i = 0; r == 0 && i < c->n_disks; i++)
		r = add_disk_model(vm, &c->disk[i], i);
	if (r == 0 && c->console.kind != TARGET_OFF)
		r = add_console_model(vm);
	if (r == 0 && c->rng == PRESENCE_ON)
		r = add_rng_model(vm);
	if (r == 0 && c->balloon.given)
		r = add_balloon_model(vm);
	if (r == 0)
		r = vm_create_iommu(vm);
	return r;
}
