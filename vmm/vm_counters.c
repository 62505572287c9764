#include "vmm/vm_counters.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/error.h"
#include "vmm/vm_impl.h"

/* Devices and their queues are there for as long as the VM. */
static unsigned count_queues(const struct vm *vm)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vm->n_models; i++)
		n += vm_device_at(vm, i)->n_queues;
	return n;
}

int vm_all_queues(struct vm *vm, struct vm_queue **out, unsigned *n)
{
	int r;

	*n = 0;
	/* Before the lock: the machine does not wait for an allocator. */
	*out = calloc(count_queues(vm) + 1, sizeof(**out));
	if (!*out)
		return error_set(ENOMEM, "count what happens at the queues");
	r = vm_lock(vm);
	if (r < 0) {
		free(*out);
		*out = NULL;
		return r;
	}
	for (unsigned i = 0; i < vm->n_models; i++) {
		struct virtio_device *dev = vm_device_at(vm, i);
		for (unsigned k = 0; k < dev->n_queues; k++)
			if (dev->queue[k].size_max)
				vm_take_queue(vm, dev, k, &(*out)[(*n)++]);
	}
	vm_unlock(vm);
	return 0;
}

unsigned vm_vcpu_counters(struct vm *vm, struct vcpu_counters out[LAYOUT_MAX_VCPUS])
{
	unsigned n = vm->machine ? vm->machine->n_vcpus : 0;

	for (unsigned i = 0; i < n; i++)
		machine_vcpu_counters(vm->machine, i, &out[i]);
	return n;
}
