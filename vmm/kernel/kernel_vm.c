#include "vmm/kernel/kernel_vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/transport.h"
#include "vmm/base/error.h"

static const char *const thing_names[THING_KINDS] = {
	[THING_MACHINE] = "the machine",
	[THING_CPUS] = "several CPUs",
	[THING_ACPI] = "the ACPI tables",
	[THING_DTB] = "the device tree",
	[THING_MMIO_WORDS] = "devices on the kernel command line",
	[THING_SERIAL] = "the serial port",
	[THING_NUMA] = "NUMA nodes",
	[THING_SMBIOS] = "who the machine is",
	[THING_CREDENTIALS] = "credentials",
	[THING_INITRD] = "the initrd",
	[THING_DISK] = "disk",
	[THING_CLOUD_INIT] = "the cloud-init disk",
	[THING_NET] = "net",
	[THING_CONSOLE] = "the console",
	[THING_RNG] = "the rng",
	[THING_BALLOON] = "the balloon",
	[THING_REPORTING] = "its reports of free pages",
	[THING_VSOCK] = "the vsock",
	[THING_SCSI] = "SCSI target",
	[THING_SHARE] = "share",
	[THING_IOMMU] = "the IOMMU",
	[THING_EXEC] = "'vireo exec'",
};

/* There was room made for it. */
static void add(struct kernel_vm *vm, enum kernel_thing_kind kind)
{
	vm->thing[vm->n++] = (struct kernel_thing){ .kind = kind, .transport = THING_NOWHERE };
}

static void add_device(struct kernel_vm *vm, const struct vm_config *config,
		       enum kernel_thing_kind kind, const char *name,
		       const struct device_settings *device)
{
	int own = device ? device->transport : TRANSPORT_OF_VM;

	vm->thing[vm->n++] = (struct kernel_thing){
		.kind = kind, .name = name,
		.transport = own == TRANSPORT_OF_VM ? config->transport : own,
	};
}

static void add_devices(struct kernel_vm *vm, const struct vm_config *c)
{
	for (unsigned i = 0; i < c->n_disks; i++)
		add_device(vm, c, THING_DISK, c->disk[i].name, &c->disk[i].device);
	if (c->cloud_init.given)
		add_device(vm, c, THING_CLOUD_INIT, NULL, &c->cloud_init.device);
	for (unsigned i = 0; i < c->n_nets; i++)
		add_device(vm, c, THING_NET, c->net[i].name, &c->net[i].device);
	if (c->console.kind != TARGET_OFF)
		add_device(vm, c, THING_CONSOLE, NULL, &c->console_device);
	if (c->rng == PRESENCE_ON)
		add_device(vm, c, THING_RNG, NULL, &c->rng_device);
	if (c->balloon.given)
		add_device(vm, c, THING_BALLOON, NULL, &c->balloon_device);
	if (c->balloon.given && c->balloon.reporting)
		add_device(vm, c, THING_REPORTING, NULL, &c->balloon_device);
	if (c->vsock.given)
		add_device(vm, c, THING_VSOCK, NULL, &c->vsock.device);
	for (unsigned i = 0; i < c->n_scsis; i++)
		add_device(vm, c, THING_SCSI, c->scsi[i].name, &c->scsi[i].device);
	for (unsigned i = 0; i < c->n_shares; i++)
		add_device(vm, c, THING_SHARE, c->share[i].name, &c->share[i].device);
	if (config_has_iommu(c))
		add_device(vm, c, THING_IOMMU, NULL, &c->iommu.device);
}

/* Did anybody say anything in it?  It has defaults. */
static bool is_section_given(const struct vm_config *config, const char *name)
{
	for (unsigned i = 0; i < config->origins.n_entries; i++)
		if (!strcmp(config->origins.entry[i].section->name, name))
			return true;
	return false;
}

static int make_room(struct kernel_vm *vm, size_t n)
{
	*vm = (struct kernel_vm){ .thing = calloc(n, sizeof(*vm->thing)) };
	return vm->thing ? 0 : error_set(ENOMEM, "list what the VM has");
}

int kernel_vm_init(struct kernel_vm *vm, const struct vm_config *config, bool described, bool exec)
{
	int r = make_room(vm, THING_KINDS + (size_t)config->n_disks + config->n_nets +
				      config->n_scsis + config->n_shares);

	if (r < 0)
		return r;
	add(vm, THING_MACHINE);
	if (config->cpus > 1)
		add(vm, THING_CPUS);
	add(vm, config->mmio_discovery == MMIO_DISCOVERY_DTB ? THING_DTB : THING_ACPI);
	if (config->mmio_discovery == MMIO_DISCOVERY_CMDLINE && config_count_mmio(config) > 0)
		add(vm, THING_MMIO_WORDS);
	if (config->serial.kind != TARGET_OFF)
		add(vm, THING_SERIAL);
	if (config->n_numas)
		add(vm, THING_NUMA);
	if (is_section_given(config, "smbios"))
		add(vm, THING_SMBIOS);
	if (config->credentials.n)
		add(vm, THING_CREDENTIALS);
	if (config->initrd || exec)
		add(vm, THING_INITRD);
	add_devices(vm, config);
	if (exec)
		add_device(vm, config, THING_EXEC, NULL, NULL);
	vm->initrd = config->initrd || exec ? INITRD_GIVEN :
		     described		    ? INITRD_NONE :
					      INITRD_PERHAPS;
	vm->is_exec = exec;
	vm->has_disk = config->n_disks > 0;
	vm->has_root = config->n_disks || config->n_scsis || config->n_shares || exec;
	return 0;
}

int kernel_vm_init_all(struct kernel_vm *vm)
{
	static const enum virtio_transport_kind kinds[] = { VIRTIO_PCI, VIRTIO_PCI_LEGACY,
							    VIRTIO_MMIO };
	int r = make_room(vm, THING_KINDS * (1 + ARRAY_SIZE(kinds)));

	if (r < 0)
		return r;
	vm->is_all = vm->has_disk = vm->has_root = true;
	for (unsigned kind = 0; kind < THING_DISK; kind++)
		add(vm, (enum kernel_thing_kind)kind);
	for (unsigned kind = THING_DISK; kind < THING_KINDS; kind++)
		for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
			add(vm, (enum kernel_thing_kind)kind);
			vm->thing[vm->n - 1].transport = (int)kinds[i];
		}
	return 0;
}

void kernel_vm_fini(struct kernel_vm *vm)
{
	free(vm->thing);
	*vm = (struct kernel_vm){ 0 };
}

void kernel_thing_put(FILE *out, const struct kernel_thing *thing, bool over)
{
	bool is_many = thing->kind == THING_DISK || thing->kind == THING_NET ||
		       thing->kind == THING_SCSI || thing->kind == THING_SHARE;

	fputs(thing_names[thing->kind], out);
	if (thing->name)
		fprintf(out, " '%s'", thing->name);
	else if (is_many)
		fputc('s', out);
	if (over && thing->transport != THING_NOWHERE)
		fprintf(out, " over %s",
			virtio_transport_name((enum virtio_transport_kind)thing->transport));
}
