/*
 * The inside of a VM, shared by vm.c (how it is made and taken down), vm_devices.c (its models),
 * vm_iommu.c, vm_life.c (what happens to it in between) and the reports (vmm/report), which look at
 * it.  Nobody else includes it.
 */
#ifndef VMM_VM_IMPL_H
#define VMM_VM_IMPL_H

#include "virtio/transport.h"
#include "vmm/identity.h"
#include "vmm/machine/boot.h"
#include "vmm/machine/numa.h"
#include "vmm/shares.h"
#include "vmm/vm.h"

enum { VM_MAX_PLATFORM_DEVICES = 8 };

struct vm {
	const struct vm_config *config;
	bool only_look;			/* there is no machine and no kernel */
	unsigned sandbox_needs;		/* SANDBOX_..., of the devices that were made */
	bool blames_host;		/* what failed was a facility of the host, not a file */
	/* NULL, or who wants to hear of every device that cannot be made: vm_examine(). */
	vm_found_fn *found;
	void *found_arg;
	struct vm_host host;
	char *cmdline;
	struct identity identity;
	struct numa numa;
	struct boot *boot;
	struct consoles consoles;
	struct event_loop **io_loop;	/* config->io_threads */
	struct machine *machine;
	struct platform_device *platform[VM_MAX_PLATFORM_DEVICES];
	unsigned n_platform;
	struct platform_device *power_button;	/* one of 'platform' */

	/* Models wait in 'model' for their transport, which then owns them. */
	struct virtio_device **model;
	unsigned n_models;
	struct virtio_transport **transport;
	unsigned n_transports;
	struct virtio_device *console;	/* owned by its transport */
	bool held;			/* vm_pause: somebody outside wants it to stand */
	struct shares *shares;		/* NULL: there are none */
	struct vm_iommu *iommu;		/* NULL: no device is behind one */
};

/* How virtio device 'index' of the configuration is reached. */
enum virtio_transport_kind vm_device_kind(const struct vm_config *config, unsigned index);

/*
 * In place of a transport: give model 'index', which is only looked at, its wishes and its
 * features.  Returns 0 or -errno with an error chain.
 */
MUST_USE int vm_settle_features(struct vm *vm, unsigned index);

/* All models, to 'model'.  Returns 0 or -errno with an error chain. */
MUST_USE int vm_create_models(struct vm *vm);

/*
 * The IOMMU, if there shall be one.  The model comes last, as in config_device(); it is destroyed
 * after the devices that are behind it.  Returns 0 or -errno with an error chain.
 */
MUST_USE int vm_create_iommu(struct vm *vm);
void vm_destroy_iommu(struct vm *vm);
/* What it means for model 'index' to be behind it, for features / on its transport. */
void vm_require_platform(struct vm *vm, unsigned index);
MUST_USE int vm_put_behind_iommu(struct vm *vm, unsigned index);
/* For the ACPI tables; NULL: there is none. */
const struct acpi_viot *vm_viot(const struct vm *vm);

/*
 * For who asks from outside (vm_control.c).  The lock of a machine that runs: 0, or -EAGAIN with an
 * error chain.  Device 'i' of all.  A queue as it is now, lock held.
 */
MUST_USE int vm_lock(struct vm *vm);
void vm_unlock(struct vm *vm);
struct virtio_device *vm_device_at(const struct vm *vm, unsigned i);
struct vm_queue;
void vm_take_queue(struct vm *vm, struct virtio_device *dev, unsigned i, struct vm_queue *out);

/* The kernel into memory, the first vCPU to its entry.  Returns 0 or -errno with an error chain. */
MUST_USE int vm_load(struct vm *vm);

#endif
