#include "vmm/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "virtio/transport.h"
#include "vmm/base/error.h"
#include "vmm/base/text.h"
#include "vmm/config_net.h"
#include "vmm/config_vsock.h"
#include "vmm/option.h"

enum {
	NAME_MAX_LEN = 64,
	DEFAULT_NAME_SIZE = 24,
	DISK_SERIAL_MAX = 20,
	BALLOON_STATS_MIN_MS = 100,
};

/* The objects of a repeated section: where they are, how many. */
static char **items_of(const struct vm_config *config, const struct option_list *list)
{
	return (char **)((char *)config + list->items);
}

static unsigned *count_of(const struct vm_config *config, const struct option_list *list)
{
	return (unsigned *)((char *)config + list->count);
}

static char **name_of(char *item, const struct option_list *list)
{
	return (char **)(item + list->name);
}

int config_init(struct vm_config *config)
{
	memset(config, 0, sizeof(*config));
	for (unsigned i = 0; i < option_sections_len; i++) {
		if (option_sections[i].list)
			continue;
		int r = option_set_defaults(option_sections[i].name, config);
		if (r < 0) {
			config_fini(config);
			return error_set(r, "set the defaults");
		}
	}
	return 0;
}

static void free_list(struct vm_config *config, const struct option_section *section)
{
	const struct option_list *list = section->list;
	char **items = items_of(config, list);
	unsigned *n = count_of(config, list);

	for (unsigned i = 0; i < *n; i++)
		option_free_all(section->name, *items + i * list->item_size);
	free(*items);
	*items = NULL;
	*n = 0;
}

void config_fini(struct vm_config *config)
{
	for (unsigned i = 0; i < option_sections_len; i++) {
		if (option_sections[i].list)
			free_list(config, &option_sections[i]);
		else
			option_free_all(option_sections[i].name, config);
	}
}

void *config_add(struct vm_config *config, const struct option_section *section)
{
	const struct option_list *list = section->list;
	char **items = items_of(config, list);
	unsigned *n = count_of(config, list);
	char *grown = reallocarray(*items, *n + 1, list->item_size);

	if (!grown)
		return NULL;
	*items = grown;
	char *item = grown + *n * list->item_size;
	memset(item, 0, list->item_size);
	if (option_set_defaults(section->name, item) < 0) {
		option_free_all(section->name, item);
		return NULL;
	}
	++*n;
	return item;
}

/* "disk0" is the first disk, unless the user called another one so. */
static void default_name(char name[DEFAULT_NAME_SIZE], const struct option_list *list,
			 unsigned index)
{
	snprintf(name, DEFAULT_NAME_SIZE, "%s%u", list->noun, index);
}

static bool is_called(const char *own, const char *name, size_t len)
{
	return strlen(own) == len && !memcmp(own, name, len);
}

void *config_find(const struct vm_config *config, const struct option_section *section,
		  const char *name, size_t len)
{
	const struct option_list *list = section->list;
	char *unnamed = NULL, text[DEFAULT_NAME_SIZE];

	for (unsigned i = 0; i < *count_of(config, list); i++) {
		char *item = *items_of(config, list) + i * list->item_size;
		const char *own = *name_of(item, list);

		if (own && is_called(own, name, len))
			return item;
		default_name(text, list, i);
		if (!own && is_called(text, name, len))
			unnamed = item;
	}
	return unnamed;
}

static const struct option_section *section_called(const char *name)
{
	for (unsigned i = 0; i < option_sections_len; i++)
		if (!strcmp(option_sections[i].name, name))
			return &option_sections[i];
	return NULL;
}

struct disk_settings *config_add_disk(struct vm_config *config)
{
	return config_add(config, section_called("disks"));
}

struct disk_settings *config_find_disk(const struct vm_config *config, const char *name,
				       size_t len)
{
	return config_find(config, section_called("disks"), name, len);
}

/* All but the IOMMU itself, which is there for their sake. */
static const struct device_settings *config_endpoint(const struct vm_config *config, unsigned index)
{
	const struct device_settings *others[] = {
		config->console.kind != TARGET_OFF ? &config->console_device : NULL,
		config->rng == PRESENCE_ON ? &config->rng_device : NULL,
		config->balloon.given ? &config->balloon_device : NULL,
		config->vsock.given ? &config->vsock.device : NULL,
	};

	if (index < config->n_disks)
		return &config->disk[index].device;
	index -= config->n_disks;
	if (index < config->n_nets)
		return &config->net[index].device;
	index -= config->n_nets;
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
		if (others[i] && index-- == 0)
			return others[i];
	return index < config->n_scsis ? &config->scsi[index].device : NULL;
}

bool config_has_iommu(const struct vm_config *config)
{
	const struct device_settings *device;

	for (unsigned i = 0; (device = config_endpoint(config, i)); i++)
		if (device->iommu)
			return true;
	return false;
}

const struct device_settings *config_device(const struct vm_config *config, unsigned index)
{
	const struct device_settings *device = config_endpoint(config, index);

	if (device)
		return device;
	bool is_next = index == 0 || config_endpoint(config, index - 1);
	return is_next && config_has_iommu(config) ? &config->iommu.device : NULL;
}

/* Of the IOMMU, if there is one: the last. */
static unsigned config_iommu_index(const struct vm_config *config)
{
	unsigned i = 0;

	while (config_endpoint(config, i))
		i++;
	return i;
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

static void name_unnamed(struct vm_config *config, const struct option_list *list,
			 struct mistakes *mistakes)
{
	char text[DEFAULT_NAME_SIZE];

	for (unsigned i = 0; i < *count_of(config, list); i++) {
		char **name = name_of(*items_of(config, list) + i * list->item_size, list);
		if (*name)
			continue;
		default_name(text, list, i);
		*name = strdup(text);
		if (!*name)
			mistakes_add(mistakes, "no memory");
	}
}

/* Names are for people and for --set: short, and of one thing each. */
static void validate_names(struct vm_config *config, const struct option_section *section,
			   struct mistakes *mistakes)
{
	const struct option_list *list = section->list;

	name_unnamed(config, list, mistakes);
	for (unsigned i = 0; i < *count_of(config, list); i++) {
		char *item = *items_of(config, list) + i * list->item_size;
		const char *name = *name_of(item, list) ? *name_of(item, list) : "";
		size_t len = strlen(name);

		if (len == 0 || len > NAME_MAX_LEN)
			mistakes_add(mistakes, "%s '%.80s': a name has 1 to %d characters",
				     list->noun, name, NAME_MAX_LEN);
		else if (config_find(config, section, name, len) != item)
			mistakes_add(mistakes, "%s '%s': two %ss have this name ('--set' for one "
					       "stands behind its '--%s')",
				     list->noun, name, list->noun, list->noun);
	}
}

static void validate_disk(const struct disk_settings *disk, struct mistakes *mistakes)
{
	const char *name = disk->name ? disk->name : "";

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

/* What an administrator calls a target; the kernel compares the text. */
static bool is_wwpn(const char *text)
{
	static const char hex[] = "0123456789abcdefABCDEF";

	return strlen(text) == strlen("naa.") + 16 && !strncmp(text, "naa.", 4) &&
	       strspn(text + 4, hex) == 16;
}

static void validate_scsi(const struct scsi_settings *scsi, struct mistakes *mistakes)
{
	const char *name = scsi->name ? scsi->name : "";

	if (!scsi->wwpn)
		mistakes_add(mistakes, "scsi '%s': which target? Give 'wwpn=naa.0123456789abcdef'",
			     name);
	else if (!is_wwpn(scsi->wwpn))
		mistakes_add(mistakes, "scsi '%s': '%.80s' is not 'naa.' and 16 hexadecimal digits",
			     name, scsi->wwpn);
}

/* The kernel gives a target to one VM at a time. */
static void validate_scsis(const struct vm_config *config, struct mistakes *mistakes)
{
	for (unsigned i = 0; i < config->n_scsis; i++) {
		const struct scsi_settings *a = &config->scsi[i];

		validate_scsi(a, mistakes);
		for (unsigned k = 0; k < i; k++) {
			const struct scsi_settings *b = &config->scsi[k];
			if (a->wwpn && b->wwpn && !strcasecmp(a->wwpn, b->wwpn))
				mistakes_add(mistakes, "scsis '%s' and '%s' are both target "
						       "'%.80s'", b->name ? b->name : "",
					     a->name ? a->name : "", a->wwpn);
		}
	}
}

/* Each would close it. */
static void validate_descriptors(const struct vm_config *config, struct mistakes *mistakes)
{
	for (unsigned i = 0; i < config->n_nets; i++)
		if (config->vsock.given && config->vsock.fd &&
		    config->net[i].fd == config->vsock.fd)
			mistakes_add(mistakes, "net '%s' and vsock both have 'fd=%u'",
				     config->net[i].name ? config->net[i].name : "",
				     config->vsock.fd);
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

/*
 * An IOMMU concerns modern drivers: legacy ones do not ask whether there is one.  And guests learn
 * of it by ACPI.
 */
static void validate_iommu(const struct vm_config *config, struct mistakes *mistakes)
{
	const struct device_settings *device;
	bool legacy = false;

	if (!config_has_iommu(config)) {
		if (config->iommu.given)
			mistakes_add(mistakes, "--iommu: no device is behind the IOMMU: give "
					       "'iommu=yes' to those that shall be, as in "
					       "'--net user,iommu=yes'");
		return;
	}
	for (unsigned i = 0; (device = config_device(config, i)); i++) {
		int transport = config_device_transport(config, i);

		if (device->iommu || device == &config->iommu.device)
			legacy |= transport == VIRTIO_PCI_LEGACY || transport == VIRTIO_MMIO_LEGACY;
	}
	if (legacy)
		mistakes_add(mistakes, "'iommu' and a legacy-only transport exclude each other: "
				       "legacy drivers know of no IOMMU");
	if (config_device_transport(config, config_iommu_index(config)) == VIRTIO_PCI_TRANSITIONAL)
		mistakes_add(mistakes, "the IOMMU has no legacy interface: give "
				       "'--iommu transport=pci' beside '--transport "
				       "pci-transitional'");
	if (config->mmio_discovery != MMIO_DISCOVERY_ACPI)
		mistakes_add(mistakes, "'iommu' needs vm.mmio_discovery=acpi: guests learn from "
				       "ACPI which devices are behind an IOMMU");
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
	for (unsigned i = 0; i < option_sections_len; i++)
		if (option_sections[i].list)
			validate_names(config, &option_sections[i], mistakes);
	for (unsigned i = 0; i < config->n_disks; i++)
		validate_disk(&config->disk[i], mistakes);
	config_validate_nets(config, mistakes);
	validate_scsis(config, mistakes);
	validate_descriptors(config, mistakes);
	validate_balloon(config, mistakes);
	validate_iommu(config, mistakes);
	config_validate_vsock(&config->vsock, mistakes);
	if (config->mmio_discovery != MMIO_DISCOVERY_ACPI && config_count_mmio(config) == 0)
		mistakes_add(mistakes, "vm.mmio_discovery=%s needs '--transport mmio'",
			     config->mmio_discovery == MMIO_DISCOVERY_DTB ? "dtb" : "cmdline");
}
