#include "vmm/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/transport.h"
#include "vmm/base/error.h"
#include "vmm/option.h"

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
	origins_fini(&config->origins);
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

void *config_add_named(struct vm_config *config, const struct option_section *section,
		       const char *name, size_t len)
{
	char *copy = strndup(name, len);
	char *object = copy ? config_add(config, section) : NULL;

	if (!object) {
		free(copy);
		return NULL;
	}
	*name_of(object, section->list) = copy;
	return object;
}

void config_default_name(char name[CONFIG_NAME_SIZE], const struct option_section *section,
			 unsigned index)
{
	snprintf(name, CONFIG_NAME_SIZE, "%s%u", section->list->noun, index);
}

static bool is_called(const char *own, const char *name, size_t len)
{
	return strlen(own) == len && !memcmp(own, name, len);
}

void *config_find(const struct vm_config *config, const struct option_section *section,
		  const char *name, size_t len)
{
	const struct option_list *list = section->list;
	char *unnamed = NULL, text[CONFIG_NAME_SIZE];

	for (unsigned i = 0; i < *count_of(config, list); i++) {
		char *item = *items_of(config, list) + i * list->item_size;
		const char *own = *name_of(item, list);

		if (own && is_called(own, name, len))
			return item;
		config_default_name(text, section, i);
		if (!own && is_called(text, name, len))
			unnamed = item;
	}
	return unnamed;
}

unsigned config_count(const struct vm_config *config, const struct option_section *section)
{
	return *count_of(config, section->list);
}

void *config_object(const struct vm_config *config, const struct option_section *section,
		    unsigned index)
{
	return *items_of(config, section->list) + index * section->list->item_size;
}

const char *config_name(const struct vm_config *config, const struct option_section *section,
			unsigned index)
{
	if (!section->list || index >= config_count(config, section))
		return NULL;
	return *name_of(config_object(config, section, index), section->list);
}

unsigned config_index(const struct vm_config *config, const struct option_section *section,
		      const void *object)
{
	if (!section->list)
		return 0;
	size_t at = (size_t)((const char *)object - *items_of(config, section->list));
	return (unsigned)(at / section->list->item_size);
}

static const struct option_section *section_called(const char *name)
{
	return option_find_section(name, strlen(name));
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
	if (config->cloud_init.given && index-- == 0)
		return &config->cloud_init.device;
	if (index < config->n_nets)
		return &config->net[index].device;
	index -= config->n_nets;
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
		if (others[i] && index-- == 0)
			return others[i];
	if (index < config->n_scsis)
		return &config->scsi[index].device;
	index -= config->n_scsis;
	return index < config->n_shares ? &config->share[index].device : NULL;
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

uint64_t config_huge_page(const struct vm_config *config)
{
	switch (config->hugepages) {
	case HUGE_PAGES_2M: return MIB(2);
	case HUGE_PAGES_1G: return GIB(1);
	case HUGE_PAGES_NO: break;
	}
	return 0;
}
