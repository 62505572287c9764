#include "vmm/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/transport.h"
#include "vmm/base/error.h"
#include "vmm/base/text.h"
#include "vmm/option.h"

enum { DISK_NAME_MAX = 64, DISK_SERIAL_MAX = 20, BALLOON_STATS_MIN_MS = 100 };

int config_init(struct vm_config *config)
{
	memset(config, 0, sizeof(*config));
	for (unsigned i = 0; i < option_sections_len; i++) {
		if (option_sections[i].repeated)
			continue;
		int r = option_set_defaults(option_sections[i].name, config);
		if (r < 0) {
			config_fini(config);
			return error_set(r, "set the defaults");
		}
	}
	return 0;
}

void config_fini(struct vm_config *config)
{
	for (unsigned i = 0; i < config->n_disks; i++)
		option_free_all("disks", &config->disk[i]);
	free(config->disk);
	config->disk = NULL;
	config->n_disks = 0;
	for (unsigned i = 0; i < option_sections_len; i++)
		if (!option_sections[i].repeated)
			option_free_all(option_sections[i].name, config);
}

struct disk_settings *config_add_disk(struct vm_config *config)
{
	size_t n = config->n_disks;
	struct disk_settings *disk = reallocarray(config->disk, n + 1, sizeof(*disk));

	if (!disk)
		return NULL;
	config->disk = disk;
	disk += n;
	memset(disk, 0, sizeof(*disk));
	if (option_set_defaults("disks", disk) < 0) {
		option_free_all("disks", disk);
		return NULL;
	}
	config->n_disks++;
	return disk;
}

struct disk_settings *config_find_disk(const struct vm_config *config, const char *name,
				       size_t len)
{
	for (unsigned i = 0; i < config->n_disks; i++) {
		const char *own = config->disk[i].name;
		if (own && strlen(own) == len && !memcmp(own, name, len))
			return &config->disk[i];
	}
	return NULL;
}

const struct device_settings *config_device(const struct vm_config *config, unsigned index)
{
	const struct device_settings *others[] = {
		config->console.kind != TARGET_OFF ? &config->console_device : NULL,
		config->rng == PRESENCE_ON ? &config->rng_device : NULL,
		config->balloon.given ? &config->balloon_device : NULL,
	};

	if (index < config->n_disks)
		return &config->disk[index].device;
	index -= config->n_disks;
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
		if (others[i] && index-- == 0)
			return others[i];
	return NULL;
}

int config_device_transport(const struct vm_config *config, unsigned index)
{
	const struct device_settings *device = config_device(config, index);

	return device && device->transport != TRANSPORT_OF_VM ? device->transport :
								config->transport;
}

struct feature_wishes config_device_features(const struct vm_config *config, unsigned index)
{
	const struct device_settings *device = config_device(config, index);

	return device ? feature_wishes_merge(config->features, device->features) :
			config->features;
}

unsigned config_count_mmio(const struct vm_config *config)
{
	unsigned n = 0;

	for (unsigned i = 0; config_device(config, i); i++)
		n += virtio_transport_is_mmio(
			(enum virtio_transport_kind)config_device_transport(config, i));
	return n;
}

/* "disk0" is the first disk, unless the user called another one so. */
static void name_disks(struct vm_config *config, struct mistakes *mistakes)
{
	char name[24];

	for (unsigned i = 0; i < config->n_disks; i++) {
		if (config->disk[i].name)
			continue;
		snprintf(name, sizeof(name), "disk%u", i);
		config->disk[i].name = strdup(name);
		if (!config->disk[i].name)
			mistakes_add(mistakes, "no memory");
	}
}

static void validate_disk(const struct vm_config *config, const struct disk_settings *disk,
			  struct mistakes *mistakes)
{
	const char *name = disk->name ? disk->name : "";
	const struct disk_settings *first;
	size_t len = strlen(name);

	if (len == 0 || len > DISK_NAME_MAX)
		mistakes_add(mistakes, "disk '%.80s': a name has 1 to %d characters", name,
			     DISK_NAME_MAX);
	else if ((first = config_find_disk(config, name, len)) != disk)
		mistakes_add(mistakes, "disk '%s': two disks have this name%s", name,
			     first->path ? "" : " ('--set' for a disk stands behind its '--disk')");
	if (!disk->path)
		mistakes_add(mistakes, "disk '%s': which file? Give 'path=FILE'", name);
	if (disk->readonly && disk->ephemeral)
		mistakes_add(mistakes, "disk '%s': 'readonly' and 'ephemeral' exclude each other",
			     name);
	if (disk->serial && strlen(disk->serial) > DISK_SERIAL_MAX)
		mistakes_add(mistakes, "disk '%s': serial '%s' is longer than %d bytes", name,
			     disk->serial, DISK_SERIAL_MAX);
	if (disk->block_size && disk->block_size < 512)
		mistakes_add(mistakes, "disk '%s': block_size %u is less than 512", name,
			     disk->block_size);
	if (disk->queue_size && disk->queue_size < 4)
		mistakes_add(mistakes, "disk '%s': queue_size %u is less than 4", name,
			     disk->queue_size);
}

static void validate_cpus(const struct vm_config *config, struct mistakes *mistakes)
{
	unsigned per_socket = (config->threads ? config->threads : 1) *
			      (config->cores ? config->cores : 1);

	if ((config->cores || config->threads) && config->cpus % per_socket)
		mistakes_add(mistakes, "--cpus: %u CPUs cannot be spread over %s of %u",
			     config->cpus, config->cores ? "sockets" : "cores", per_socket);
}

static void validate_balloon(const struct vm_config *config, struct mistakes *mistakes)
{
	const struct balloon_settings *balloon = &config->balloon;
	char size[24], memory[24];

	text_format_size(size, balloon->size);
	if (balloon->size % 4096)
		mistakes_add(mistakes, "balloon.size: %s is not a multiple of 4K", size);
	/* At its default, the balloon is not what is wrong about the memory. */
	if (balloon->size && balloon->size >= config->memory)
		mistakes_add(mistakes, "balloon.size: %s is all of the guest's memory (%s) or more",
			     size, text_format_size(memory, config->memory));
	if (balloon->stats_ms && balloon->stats_ms < BALLOON_STATS_MIN_MS)
		mistakes_add(mistakes, "balloon.stats: more often than every %d ms is too much",
			     BALLOON_STATS_MIN_MS);
}

void config_need_kernel(const struct vm_config *config, struct mistakes *mistakes)
{
	if (!config->kernel)
		mistakes_add(mistakes, "which kernel? Give '--kernel FILE'");
}

void config_validate(struct vm_config *config, struct mistakes *mistakes)
{
	char size[24];

	if (config->memory % 4096)
		mistakes_add(mistakes, "--memory: %s is not a multiple of 4K",
			     text_format_size(size, config->memory));
	validate_cpus(config, mistakes);
	name_disks(config, mistakes);
	for (unsigned i = 0; i < config->n_disks; i++)
		validate_disk(config, &config->disk[i], mistakes);
	validate_balloon(config, mistakes);
	if (config->mmio_discovery != MMIO_DISCOVERY_ACPI && config_count_mmio(config) == 0)
		mistakes_add(mistakes, "vm.mmio_discovery=%s needs '--transport mmio'",
			     config->mmio_discovery == MMIO_DISCOVERY_DTB ? "dtb" : "cmdline");
}
