#include "vmm/vm_control.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "devices/platform.h"
#include "devices/virtio_models.h"
#include "vmm/base/error.h"
#include "vmm/base/event_log.h"
#include "vmm/base/log.h"
#include "vmm/vm_impl.h"

/* --- The CPUs -------------------------------------------------------------------------------- */

enum vm_state vm_state(struct vm *vm)
{
	if (!vm->machine || atomic_load(&vm->machine->outcome) != MACHINE_RUNNING)
		return VM_ENDED;
	if (!vm->held)
		return VM_RUNNING;
	return machine_is_held(vm->machine) ? VM_PAUSED : VM_PAUSING;
}

const char *vm_state_name(enum vm_state state)
{
	static const char *const names[] = {
		[VM_RUNNING] = "running",
		[VM_PAUSING] = "pausing",
		[VM_PAUSED] = "paused",
		[VM_ENDED] = "ended",
	};

	return names[state];
}

static int check_runs(const struct vm *vm)
{
	return vm->machine ? 0 : error_set(ECHILD, "nothing runs here");
}

int vm_pause(struct vm *vm)
{
	int r = check_runs(vm);

	if (r < 0)
		return r;
	if (!vm->held)
		event_note(EVENT_STATE, NULL, 0, "paused");
	vm->held = true;
	if (!machine_hold(vm->machine, VM_CONTROL_MS))
		return error_set(EINPROGRESS, "pause: not every CPU is out of the guest yet");
	return 0;
}

int vm_continue(struct vm *vm)
{
	int r = check_runs(vm);

	if (r < 0 || !vm->held)
		return r;
	event_note(EVENT_STATE, NULL, 0, "running");
	vm->held = false;
	machine_release(vm->machine);
	return 0;
}

int vm_send_nmi(struct vm *vm)
{
	int r = check_runs(vm);

	return r < 0 ? r : machine_send_nmi(vm->machine, VM_CONTROL_MS);
}

/* --- Devices --------------------------------------------------------------------------------- */

/* The lock of a machine that runs; one that does not has none to be waited for. */
static int lock(struct vm *vm)
{
	if (vm->machine && !machine_lock_within(vm->machine, VM_CONTROL_MS))
		return error_set(EAGAIN, "a CPU of the guest keeps the machine busy");
	return 0;
}

static void unlock(struct vm *vm)
{
	if (vm->machine)
		machine_unlock(vm->machine);
}

int vm_push_power_button(struct vm *vm)
{
	int r = check_runs(vm);

	if (r == 0)
		r = lock(vm);
	if (r < 0)
		return r;
	acpi_pm_press_power_button(vm->power_button);
	unlock(vm);
	return 0;
}

static struct virtio_device *device_at(const struct vm *vm, unsigned i)
{
	return vm->only_look ? vm->model[i] : vm->transport[i]->device;
}

/*
 * Take the lock and find device 'name', of type 'id' unless that is 0.  Returns 0, or -errno with
 * an error chain, the lock not held.  lock_running wants it to be in a machine, too.
 */
static int lock_device(struct vm *vm, const char *name, unsigned id, struct virtio_device **out)
{
	int r = lock(vm);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < vm->n_models; i++) {
		*out = device_at(vm, i);
		if (strcmp((*out)->name, name) != 0)
			continue;
		if (id == 0 || id == (*out)->id)
			return 0;
		unlock(vm);
		return error_set(EOPNOTSUPP, "'%.64s' is a device of another kind", name);
	}
	unlock(vm);
	return error_set(ENOENT, "there is no device '%.64s'", name);
}

static int lock_running(struct vm *vm, const char *name, unsigned id, struct virtio_device **out)
{
	int r = lock_device(vm, name, id, out);

	if (r == 0 && check_runs(vm) < 0) {
		unlock(vm);
		return -ECHILD;
	}
	return r;
}

int vm_switch_device(struct vm *vm, const char *name)
{
	struct virtio_device *dev;
	int r = lock_running(vm, name, 0, &dev);
	unsigned n = 0;

	if (r < 0)
		return r;
	for (unsigned i = 0; r == 0 && i < dev->n_parts; i++) {
		if (!dev->part[i].other)
			continue;
		r = virtio_device_switch(dev, i);
		n++;
		if (r == 0)
			event_note(EVENT_DATAPATH, dev->name, i, "%s",
				   dev->part[i].datapath->name);
	}
	unlock(vm);
	if (r == 0 && n == 0)
		r = error_set(ENOTSUP, "'%.64s' has no other datapath to switch to", name);
	return r;
}

int vm_set_link(struct vm *vm, const char *name, bool up)
{
	struct virtio_device *dev;
	int r = lock_running(vm, name, VIRTIO_ID_NET, &dev);

	if (r < 0)
		return r;
	virtio_net_set_link(dev, up);
	unlock(vm);
	return 0;
}

int vm_set_balloon(struct vm *vm, const char *name, uint64_t bytes)
{
	struct virtio_device *dev;
	int r = lock_running(vm, name, VIRTIO_ID_BALLOON, &dev);

	if (r < 0)
		return r;
	r = virtio_balloon_set_target(dev, bytes);
	unlock(vm);
	return r;
}

int vm_balloon(struct vm *vm, const char *name, struct virtio_balloon_info *info)
{
	struct virtio_device *dev;
	int r = lock_device(vm, name, VIRTIO_ID_BALLOON, &dev);

	if (r < 0)
		return r;
	virtio_balloon_info(dev, info);
	unlock(vm);
	return 0;
}

/* --- Queues ---------------------------------------------------------------------------------- */

/* The second 16-bit word of a split ring's area: its index.  virtio-v1.4 2.7.6, 2.7.8 */
static bool read_index(const struct vm *vm, uint64_t area, uint16_t *out)
{
	const void *at;

	if (area > UINT64_MAX - 2)
		return false;
	at = guest_memory_at(&vm->machine->memory, area + 2, sizeof(*out));
	if (at)
		memcpy(out, at, sizeof(*out));
	return at;
}

static void take_queue(struct vm *vm, struct virtio_device *dev, unsigned i, struct vm_queue *out)
{
	const struct virtio_queue *q = &dev->queue[i];
	bool packed = features_has(&dev->negotiation.accepted, VIRTIO_F_RING_PACKED);

	*out = (struct vm_queue){
		.index = i, .size = q->size, .size_max = q->size_max, .enabled = q->enabled,
		.datapath = "none",
	};
	for (unsigned k = 0; k < dev->n_parts; k++)
		if (i - dev->part[k].first_queue < dev->part[k].n_queues)
			out->datapath = dev->part[k].datapath->name;
	/* Behind an IOMMU the addresses are not the memory's own. */
	out->has_indexes = q->enabled && !packed && !dev->dma && vm->machine &&
			   read_index(vm, q->driver, &out->made_available) &&
			   read_index(vm, q->device, &out->used);
}

int vm_queues(struct vm *vm, const char *name, struct vm_queue out[VM_CONTROL_MAX_QUEUES],
	      unsigned *n)
{
	struct virtio_device *dev;
	int r = lock_device(vm, name, 0, &dev);

	*n = 0;
	if (r < 0)
		return r;
	for (unsigned i = 0; i < dev->n_queues && *n < VM_CONTROL_MAX_QUEUES; i++)
		if (dev->queue[i].size_max)
			take_queue(vm, dev, i, &out[(*n)++]);
	unlock(vm);
	return 0;
}

void vm_guest_memory(struct vm *vm, uint64_t *size, uint64_t *resident)
{
	struct stat st;

	*size = vm->machine ? guest_memory_size(&vm->machine->memory) : 0;
	*resident = 0;
	if (vm->machine && vm->machine->memory.fd != -1 && fstat(vm->machine->memory.fd, &st) == 0)
		*resident = (uint64_t)st.st_blocks * 512;
}
