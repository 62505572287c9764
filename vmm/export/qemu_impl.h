/* What the files of the export to QEMU share. */
#ifndef EXPORT_QEMU_IMPL_H
#define EXPORT_QEMU_IMPL_H

#include "vmm/config.h"
#include "vmm/export/qemu_line.h"

struct qemu_export {
	struct qemu_line line;
	const struct vm_config *config;
	bool microvm;		/* there are virtio-mmio devices; else q35 */
	unsigned n_devices;	/* that are written: the next one's index in config_device() */
	unsigned n_mmio;	/* of those, on virtio-mmio */
};

/*
 * Begin "-device" for the next virtio device: 'model' without its "-pci" or "-device", how it is
 * reached, and its feature bits.  'type' is its virtio ID, 'name' what the user calls it.  The
 * caller adds more and ends it with qemu_end().
 */
void qemu_device(struct qemu_export *x, const char *model, unsigned type, const char *name);

/* The machine: processor, memory, kernel, what happens at its end.  Before devices. */
void qemu_machine(struct qemu_export *x);

void qemu_disks(struct qemu_export *x);
void qemu_nets(struct qemu_export *x);

/* The other devices; the serial port with the console, as they may share a terminal. */
void qemu_other_devices(struct qemu_export *x);

/* Remarks about every setting that is not at its default and that nothing above has said. */
void qemu_rest(struct qemu_export *x);

#endif
