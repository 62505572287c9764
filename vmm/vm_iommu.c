/*
 * A VM's IOMMU: its tables, its model, which devices are behind it as whom, and what the guest's
 * firmware tables say of that.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/virtio_iommu.h"
#include "vmm/base/error.h"
#include "vmm/machine/layout.h"
#include "vmm/vm_impl.h"

enum {
	/* Mappings of each domain: as many as Linux lets a user-space driver have, and 4 MiB. */
	MAPPINGS_MAX = 65536,
	/* Endpoints on PCI are called as their place, which has 16 bits, others from here on. */
	FIRST_MMIO_ENDPOINT = 0x10000,
};

struct vm_iommu {
	struct iommu *iommu;
	struct acpi_viot viot;
	struct acpi_endpoint *endpoint;
};

static bool is_behind(const struct vm_config *config, unsigned index)
{
	const struct device_settings *device = config_device(config, index);

	return device && device->iommu;
}

static unsigned count_endpoints(const struct vm_config *config)
{
	unsigned n = 0;

	for (unsigned i = 0; config_device(config, i); i++)
		n += is_behind(config, i);
	return n;
}

static int create_tables(struct vm_iommu *v, const struct vm_config *config)
{
	const struct iommu_config tables = {
		.n_endpoints = count_endpoints(config),
		.n_mappings = MAPPINGS_MAX,
		.bypass = config->iommu.bypass,
	};

	v->endpoint = calloc(tables.n_endpoints, sizeof(*v->endpoint));
	v->viot.endpoint = v->endpoint;
	if (!v->endpoint)
		return error_set(ENOMEM, "create the IOMMU");
	return iommu_create(&v->iommu, &tables);
}

int vm_create_iommu(struct vm *vm)
{
	struct virtio_iommu_config config = { .name = "iommu", .loop = vm->io_loop[0] };
	int r;

	if (!config_has_iommu(vm->config))
		return 0;
	vm->iommu = calloc(1, sizeof(*vm->iommu));
	if (!vm->iommu)
		return error_set(ENOMEM, "create the IOMMU");
	r = create_tables(vm->iommu, vm->config);
	if (r < 0)
		return r;
	config.iommu = vm->iommu->iommu;
	r = virtio_iommu_create(&vm->model[vm->n_models], &config);
	if (r == 0)
		vm->n_models++;
	return r;
}

void vm_destroy_iommu(struct vm *vm)
{
	if (!vm->iommu)
		return;
	iommu_destroy(vm->iommu->iommu);
	free(vm->iommu->endpoint);
	free(vm->iommu);
	vm->iommu = NULL;
}

void vm_require_platform(struct vm *vm, unsigned index)
{
	if (is_behind(vm->config, index))
		virtio_device_require_platform(vm->model[index]);
}

static struct acpi_place describe(struct virtio_transport *t)
{
	struct virtio_place place = t->ops->place(t);

	if (place.is_pci)
		return (struct acpi_place){ .is_pci = true, .bdf = (uint16_t)place.at };
	return (struct acpi_place){ .base = place.at };
}

static uint32_t endpoint_id(const struct acpi_place *place)
{
	if (place->is_pci)
		return place->bdf;
	return FIRST_MMIO_ENDPOINT +
	       (uint32_t)((place->base - LAYOUT_VIRTIO_MMIO) / LAYOUT_VIRTIO_MMIO_STRIDE);
}

int vm_put_behind_iommu(struct vm *vm, unsigned index)
{
	struct vm_iommu *v = vm->iommu;
	struct virtio_transport *t = vm->transport[index];

	if (t->device->id == VIRTIO_ID_IOMMU)
		v->viot.iommu = describe(t);
	if (!is_behind(vm->config, index))
		return 0;
	struct acpi_endpoint endpoint = { .place = describe(t) };

	endpoint.id = endpoint_id(&endpoint.place);
	v->endpoint[v->viot.n_endpoints++] = endpoint;
	iommu_set_memory(v->iommu, &vm->machine->memory);
	return virtio_device_put_behind(t->device, v->iommu, endpoint.id);
}

const struct acpi_viot *vm_viot(const struct vm *vm)
{
	return vm->iommu ? &vm->iommu->viot : NULL;
}
