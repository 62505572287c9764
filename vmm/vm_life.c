/* What happens to a VM from its start to its end. */
#include "vmm/vm_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/platform.h"
#include "devices/virtio_models.h"
#include "virtio/device_account.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/event_log.h"
#include "vmm/guest_cmdline.h"
#include "vmm/vm_control.h"

/* How long a host that does not read may keep us at the end. */
enum { DRAIN_MS = 2000 };

unsigned vm_sandbox_needs(const struct vm *vm)
{
	return vm->sandbox_needs;
}

int vm_start(struct vm *vm)
{
	int r = machine_start(vm->machine);

	if (r == 0)
		event_note(EVENT_STATE, NULL, 0, "running");
	return r;
}

/*
 * Did Linux reset because of a panic?  When its command line asks for it (guest_cmdline.h) it
 * leaves the PC's mark of a warm reset, 0x1234 at 40:72 of the BIOS data area, then and only
 * then.
 */
static bool panic_was_marked(const struct vm *vm)
{
	const void *mark = guest_memory_at(&vm->machine->memory, 0x472, sizeof(uint16_t));
	uint16_t value;

	if (!mark || !guest_cmdline_marks_panic(vm->cmdline))
		return false;
	memcpy(&value, mark, sizeof(value));
	return value == 0x1234;
}

struct outcome vm_outcome(struct vm *vm)
{
	struct machine *m = vm->machine;
	enum machine_outcome end = atomic_load(&m->outcome);

	if (end == MACHINE_REBOOT && panic_was_marked(vm))
		end = MACHINE_PANIC;
	if (end == MACHINE_PANIC)
		event_note(EVENT_PANIC, NULL, 0, "%s", m->detail);
	return outcome_judge(vm->config, end, m->status, m->detail);
}

int vm_reset(struct vm *vm)
{
	int r;

	event_note(EVENT_RESET, NULL, 0, "%s", "");
	machine_pause(vm->machine);
	machine_lock(vm->machine);
	for (unsigned i = 0; i < vm->n_transports; i++)
		virtio_transport_reset(vm->transport[i]);
	for (unsigned i = 0; i < vm->n_platform; i++)
		platform_device_reset(vm->platform[i]);
	pci_root_reset(&vm->machine->pci);
	machine_unlock(vm->machine);
	if (vm->consoles.serial)
		chardev_forget_moments(vm->consoles.serial);
	if (vm->consoles.console && vm->consoles.console != vm->consoles.serial)
		chardev_forget_moments(vm->consoles.console);
	r = guest_memory_clear(&vm->machine->memory);
	if (r == 0)
		r = machine_reset(vm->machine);
	if (r == 0)
		r = vm_load(vm);
	if (r < 0)
		return error_add(r, "reset the machine");
	machine_resume(vm->machine);
	return 0;
}

void vm_halt(struct vm *vm)
{
	machine_pause(vm->machine);
}

void vm_stop(struct vm *vm)
{
	uint64_t deadline_ms = clock_now_ms() + DRAIN_MS;

	vm_halt(vm);
	if (vm->console)
		virtio_console_drain(vm->console, deadline_ms);
	/* What the guest has written is output, even if our loops did not get to it yet. */
	machine_lock(vm->machine);
	for (unsigned i = 0; i < vm->n_transports; i++)
		virtio_transport_reset(vm->transport[i]);
	machine_unlock(vm->machine);
	/* Results first: nobody may be reading the console. */
	ports_drain(&vm->ports, deadline_ms);
	consoles_drain(&vm->consoles, deadline_ms);
}

void vm_describe_cpus(struct vm *vm, char *buf, size_t size)
{
	machine_describe_vcpus(vm->machine, buf, size);
}

int vm_accounts(struct vm *vm, struct device_account **out, unsigned *n)
{
	*n = 0;
	*out = calloc(vm->n_models + 1, sizeof(**out));
	if (!*out)
		return error_set(ENOMEM, "take the account of the devices");
	if (vm->machine && !machine_lock_within(vm->machine, VM_CONTROL_MS)) {
		free(*out);
		*out = NULL;
		return error_set(EAGAIN, "a CPU of the guest keeps the machine busy");
	}
	for (unsigned i = 0; i < vm->n_models; i++) {
		struct virtio_device *dev = vm->only_look ? vm->model[i] : vm->transport[i]->device;
		device_account_take(&(*out)[(*n)++], dev, vm_device_kind(vm->config, i));
	}
	if (vm->machine)
		machine_unlock(vm->machine);
	return 0;
}

static void switch_part(struct virtio_device *dev, unsigned index)
{
	if (virtio_device_switch(dev, index) == 0) {
		log_notice("%s: its buffers are moved by %s now", dev->name,
			   dev->part[index].datapath->name);
		return;
	}
	log_warning("%s", error_text());
	error_clear();
}

void vm_switch_datapaths(struct vm *vm)
{
	unsigned n = 0;

	machine_lock(vm->machine);
	for (unsigned i = 0; i < vm->n_transports; i++) {
		struct virtio_device *dev = vm->transport[i]->device;
		for (unsigned part = 0; part < dev->n_parts; part++) {
			if (!dev->part[part].other)
				continue;
			switch_part(dev, part);
			n++;
		}
	}
	machine_unlock(vm->machine);
	if (n == 0)
		log_notice("no device has another datapath to switch to");
}

void vm_resize_console(struct vm *vm, uint16_t cols, uint16_t rows)
{
	if (!vm->console)
		return;
	machine_lock(vm->machine);
	virtio_console_resize(vm->console, cols, rows);
	machine_unlock(vm->machine);
}

void vm_press_power_button(struct vm *vm)
{
	machine_lock(vm->machine);
	acpi_pm_press_power_button(vm->power_button);
	machine_unlock(vm->machine);
}
