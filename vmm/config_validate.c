/* What is missing in a configuration, or contradicts itself: config_validate(). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "devices/virtio_models.h"
#include "virtio/transport.h"
#include "vmm/affinity.h"
#include "vmm/base/text.h"
#include "vmm/config.h"
#include "vmm/config_mistake.h"
#include "vmm/config_net.h"
#include "vmm/config_numa.h"
#include "vmm/config_ports.h"
#include "vmm/config_share.h"
#include "vmm/config_vsock.h"
#include "vmm/control/run_dir.h"
#include "vmm/identity.h"
#include "vmm/machine/x86/cpu_features.h"
#include "vmm/option.h"
#include "vmm/outcome.h"

enum { DISK_SERIAL_MAX = 20, BALLOON_STATS_MIN_MS = 100 };

static void name_unnamed(struct vm_config *config, const struct option_section *section,
			 struct mistakes *mistakes)
{
	char text[CONFIG_NAME_SIZE];

	for (unsigned i = 0; i < config_count(config, section); i++) {
		char *object = config_object(config, section, i);
		char **name = (char **)(object + section->list->name);
		if (*name)
			continue;
		config_default_name(text, section, i);
		*name = strdup(text);
		if (!*name)
			mistakes_add(mistakes, "no memory");
	}
}

/* Names stand in messages, one line each. */
static bool is_printable(const char *name)
{
	for (; *name; name++)
		if ((unsigned char)*name < ' ' || *name == 0x7f)
			return false;
	return true;
}

/* Names are for people and for --set: short, and of one thing each. */
static void validate_names(struct vm_config *config, const struct option_section *section,
			   struct mistakes *mistakes)
{
	const char *noun = section->list->noun;

	name_unnamed(config, section, mistakes);
	for (unsigned i = 0; i < config_count(config, section); i++) {
		const char *name = config_name(config, section, i);
		size_t len = name ? strlen(name) : 0;

		if (len == 0 || len > CONFIG_NAME_MAX)
			config_mistake(config, mistakes, section->name, i, NULL,
				       "a name has 1 to %d characters", CONFIG_NAME_MAX);
		else if (!is_printable(name))
			config_mistake(config, mistakes, section->name, i, NULL,
				       "a name has no control characters");
		else if (config_find(config, section, name, len) !=
			 config_object(config, section, i))
			config_mistake(config, mistakes, section->name, i, NULL,
				       "two %ss have this name ('--set' for one stands behind its "
				       "'--%s')", noun, noun);
	}
}

/* What another process serves is as that one has it; it is told nothing of these. */
static void validate_served_disk(const struct vm_config *config, unsigned i,
				 struct mistakes *mistakes)
{
	const struct disk_settings *disk = &config->disk[i];
	const struct {
		const char *key;
		bool given;
	} ours[] = {
		{ "path", disk->path != NULL }, { "readonly", disk->readonly },
		{ "ephemeral", disk->ephemeral }, { "direct", disk->direct },
		{ "engine", disk->engine != BLK_ENGINE_AUTO }, { "serial", disk->serial != NULL },
		{ "block_size", disk->block_size != 0 },
	};

	for (unsigned k = 0; k < ARRAY_SIZE(ours); k++)
		if (ours[k].given)
			config_mistake(config, mistakes, "disks", i, ours[k].key,
				       "'socket' and '%s' exclude each other: whoever serves the "
				       "disk says what it is", ours[k].key);
	if (disk->device.iommu)
		config_mistake(config, mistakes, "disks", i, "iommu",
			       "a disk with 'socket' cannot be behind the IOMMU: its back end is "
			       "another process, which asks for no translations");
	if (config->merge)
		config_mistake(config, mistakes, "disks", i, "socket",
			       "memory that the host may merge cannot be given to another process");
}

static void validate_disk(const struct vm_config *config, unsigned i, bool whole,
			  struct mistakes *mistakes)
{
	const struct disk_settings *disk = &config->disk[i];

	if (!disk->path && !disk->socket && whole)
		config_mistake(config, mistakes, "disks", i, NULL, "which file? Give its 'path'");
	if (disk->socket)
		validate_served_disk(config, i, mistakes);
	if (disk->readonly && disk->ephemeral)
		config_mistake(config, mistakes, "disks", i, "ephemeral",
			       "'readonly' and 'ephemeral' exclude each other");
	if (disk->serial && strlen(disk->serial) > DISK_SERIAL_MAX)
		config_mistake(config, mistakes, "disks", i, "serial",
			       "'%.80s' is longer than %d bytes", disk->serial, DISK_SERIAL_MAX);
	if (disk->block_size && disk->block_size < 512)
		config_mistake(config, mistakes, "disks", i, "block_size", "%u is less than 512",
			       disk->block_size);
	if (disk->queue_size && disk->queue_size < 4)
		config_mistake(config, mistakes, "disks", i, "queue_size", "%u is less than 4",
			       disk->queue_size);
}

/* What an administrator calls a target; the kernel compares the text. */
static bool is_wwpn(const char *text)
{
	static const char hex[] = "0123456789abcdefABCDEF";

	return strlen(text) == strlen("naa.") + 16 && !strncmp(text, "naa.", 4) &&
	       strspn(text + 4, hex) == 16;
}

static void validate_scsi(const struct vm_config *config, unsigned i, bool whole,
			  struct mistakes *mistakes)
{
	const struct scsi_settings *scsi = &config->scsi[i];

	if (!scsi->wwpn && whole)
		config_mistake(config, mistakes, "scsis", i, NULL,
			       "which target? Give its 'wwpn', as naa.0123456789abcdef");
	if (scsi->wwpn && !is_wwpn(scsi->wwpn))
		config_mistake(config, mistakes, "scsis", i, "wwpn",
			       "'%.80s' is not 'naa.' and 16 hexadecimal digits", scsi->wwpn);
}

/* The kernel gives a target to one VM at a time. */
static void validate_scsis(const struct vm_config *config, bool whole, struct mistakes *mistakes)
{
	for (unsigned i = 0; i < config->n_scsis; i++) {
		const struct scsi_settings *a = &config->scsi[i];

		validate_scsi(config, i, whole, mistakes);
		for (unsigned k = 0; k < i; k++) {
			const struct scsi_settings *b = &config->scsi[k];

			if (a->wwpn && b->wwpn && !strcasecmp(a->wwpn, b->wwpn))
				config_mistake(config, mistakes, "scsis", i, "wwpn",
					       "scsis '%s' and '%s' are both target '%.80s'",
					       b->name ? b->name : "", a->name ? a->name : "",
					       a->wwpn);
		}
	}
}

/* Each would close it. */
static void validate_descriptors(const struct vm_config *config, struct mistakes *mistakes)
{
	for (unsigned i = 0; i < config->n_nets; i++)
		if (config->vsock.given && config->vsock.fd &&
		    config->net[i].fd == config->vsock.fd)
			config_mistake(config, mistakes, "nets", i, "fd",
				       "net '%s' and vsock both have 'fd=%u'",
				       config->net[i].name ? config->net[i].name : "",
				       config->vsock.fd);
}

static void validate_cpus(const struct vm_config *config, struct mistakes *mistakes)
{
	unsigned per_socket = (config->threads ? config->threads : 1) *
			      (config->cores ? config->cores : 1);

	if ((config->cores || config->threads) && config->cpus % per_socket)
		config_mistake(config, mistakes, "vm", 0, "cpus",
			       "%u CPUs cannot be spread over %s of %u", config->cpus,
			       config->cores ? "sockets" : "cores", per_socket);
}

static void validate_memory(const struct vm_config *config, struct mistakes *mistakes)
{
	uint64_t page = config_huge_page(config) ? config_huge_page(config) : KIB(4);
	char size[24], page_size[24];

	if (config->memory % page)
		config_mistake(config, mistakes, "vm", 0, "memory", "%s is not a multiple of %s",
			       text_format_size(size, config->memory),
			       text_format_size(page_size, page));
	if (config->hugepages && config->thp)
		config_mistake(config, mistakes, "vm", 0, "thp",
			       "'thp' is about ordinary pages, and 'hugepages' gives others");
	if (config->hugepages && config->merge)
		config_mistake(config, mistakes, "vm", 0, "merge",
			       "the host does not merge huge pages: 'merge' and 'hugepages' "
			       "exclude each other");
}

static void validate_cpu_features(const struct vm_config *config, struct mistakes *mistakes)
{
	char why[CPU_FEATURE_WHY_SIZE];

	for (unsigned i = 0; i < config->cpu_features.n; i++)
		if (cpu_features_check(config->cpu_features.item[i], why) < 0)
			config_mistake(config, mistakes, "vm", 0, "cpu_features", "%s", why);
}

static void validate_balloon(const struct vm_config *config, struct mistakes *mistakes)
{
	const struct balloon_settings *balloon = &config->balloon;
	char size[24], memory[24];

	text_format_size(size, balloon->size);
	if (balloon->size % 4096)
		config_mistake(config, mistakes, "balloon", 0, "size",
			       "%s is not a multiple of 4K", size);
	/* At its default, the balloon is not what is wrong about the memory. */
	if (balloon->size && balloon->size >= config->memory)
		config_mistake(config, mistakes, "balloon", 0, "size",
			       "%s is all of the guest's memory (%s) or more", size,
			       text_format_size(memory, config->memory));
	if (balloon->stats_ms && balloon->stats_ms < BALLOON_STATS_MIN_MS)
		config_mistake(config, mistakes, "balloon", 0, "stats",
			       "more often than every %d ms is too much", BALLOON_STATS_MIN_MS);
}

/* The first setting that put a device behind an IOMMU, for a message about it. */
static void iommu_mistake(const struct vm_config *config, struct mistakes *mistakes,
			  const char *sentence)
{
	static const char *const single[] = { "console", "rng", "balloon", "vsock", "cloud_init" };
	const struct device_settings *device[] = {
		&config->console_device, &config->rng_device, &config->balloon_device,
		&config->vsock.device, &config->cloud_init.device,
	};
	const char *section = "iommu";
	unsigned item = 0;

	for (unsigned i = config->n_shares; i > 0; i--)
		if (config->share[i - 1].device.iommu)
			section = "shares", item = i - 1;
	for (unsigned i = config->n_scsis; i > 0; i--)
		if (config->scsi[i - 1].device.iommu)
			section = "scsis", item = i - 1;
	for (unsigned i = ARRAY_SIZE(single); i > 0; i--)
		if (device[i - 1]->iommu)
			section = single[i - 1], item = 0;
	for (unsigned i = config->n_nets; i > 0; i--)
		if (config->net[i - 1].device.iommu)
			section = "nets", item = i - 1;
	for (unsigned i = config->n_disks; i > 0; i--)
		if (config->disk[i - 1].device.iommu)
			section = "disks", item = i - 1;
	config_mistake(config, mistakes, section, item, strcmp(section, "iommu") ? "iommu" : NULL,
		       "%s", sentence);
}

/*
 * An IOMMU concerns modern drivers: legacy ones do not ask whether there is one.  And guests learn
 * of it by ACPI.
 */
static void validate_iommu(const struct vm_config *config, struct mistakes *mistakes)
{
	const struct device_settings *device;
	bool legacy = false;
	unsigned n;

	if (!config_has_iommu(config)) {
		if (config->iommu.given)
			config_mistake(config, mistakes, "iommu", 0, NULL,
				       "no device is behind the IOMMU: give 'iommu=yes' to those "
				       "that shall be, as in '--net user,iommu=yes'");
		return;
	}
	for (n = 0; (device = config_device(config, n)); n++) {
		int transport = config_device_transport(config, n);

		if (device->iommu || device == &config->iommu.device)
			legacy |= transport == VIRTIO_PCI_LEGACY || transport == VIRTIO_MMIO_LEGACY;
	}
	if (legacy)
		iommu_mistake(config, mistakes, "'iommu' and a legacy-only transport exclude each "
						"other: legacy drivers know of no IOMMU");
	/* It is the last device. */
	if (config_device_transport(config, n - 1) == VIRTIO_PCI_TRANSITIONAL)
		iommu_mistake(config, mistakes, "the IOMMU has no legacy interface: where "
						"'vm.transport' is pci-transitional, set "
						"'iommu.transport' to pci");
	if (config->mmio_discovery != MMIO_DISCOVERY_ACPI)
		config_mistake(config, mistakes, "vm", 0, "mmio_discovery",
			       "'iommu' needs acpi: guests learn from ACPI which devices are "
			       "behind an IOMMU");
}

/* In the sandbox no file can be made: it must be known where to. */
static void validate_dump(const struct vm_config *config, struct mistakes *mistakes)
{
	const char *key = config->on_panic == POLICY_DUMP ? "on_panic" :
			  config->on_crash == POLICY_DUMP ? "on_crash" : NULL;

	if (key && !config->dump)
		config_mistake(config, mistakes, "vm", 0, key,
			       "'dump' needs a file to write to: give 'vm.dump' or "
			       "'--dump-to FILE'");
}

void config_need_kernel(const struct vm_config *config, struct mistakes *mistakes)
{
	if (config->kernel)
		return;
	if (config->origins.n_files == 0) {
		mistakes_add(mistakes, "which kernel? Give '--kernel FILE'");
		return;
	}
	struct origin at = config_origin(config, "boot", 0, "kernel");
	if (!at.file)
		at.file = config->origins.file[0];
	mistakes_add_at(mistakes, &at, STATUS_FAILED,
			"boot.kernel: which kernel? Give it here or with '--kernel FILE'");
}

void config_validate(struct vm_config *config, struct mistakes *mistakes)
{
	bool whole = mistakes->n == 0;

	if (config->name && !run_name_is_valid(config->name))
		config_mistake(config, mistakes, "vm", 0, "name",
			       "'%.80s': a name has 1 to %d letters, digits, '.', '_', '-', "
			       "and does not begin with '.' or '-'", config->name, RUN_NAME_MAX);
	validate_memory(config, mistakes);
	validate_cpus(config, mistakes);
	validate_cpu_features(config, mistakes);
	affinity_validate(config, mistakes);
	for (unsigned i = 0; i < option_sections_len; i++)
		if (option_sections[i].list)
			validate_names(config, &option_sections[i], mistakes);
	for (unsigned i = 0; i < config->n_disks; i++)
		validate_disk(config, i, whole, mistakes);
	config_validate_nets(config, mistakes);
	validate_scsis(config, whole, mistakes);
	config_validate_ports(config, whole, mistakes);
	config_validate_shares(config, whole, mistakes);
	validate_descriptors(config, mistakes);
	validate_balloon(config, mistakes);
	validate_iommu(config, mistakes);
	validate_dump(config, mistakes);
	config_validate_vsock(config, mistakes);
	identity_validate(config, mistakes);
	config_validate_numa(config, mistakes);
	if (config->mmio_discovery != MMIO_DISCOVERY_ACPI && config_count_mmio(config) == 0)
		config_mistake(config, mistakes, "vm", 0, "mmio_discovery",
			       "'%s' needs a device with transport mmio ('--transport mmio')",
			       config->mmio_discovery == MMIO_DISCOVERY_DTB ? "dtb" : "cmdline");
}
