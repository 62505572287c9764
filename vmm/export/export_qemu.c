#include "vmm/export/export_qemu.h"

#include "virtio/transport.h"
#include "vmm/export/qemu_impl.h"

/* One force-legacy is for all devices on virtio-mmio. */
static void judge_transports(struct qemu_export *x)
{
	unsigned modern = 0, legacy = 0;

	for (unsigned i = 0; config_device(x->config, i); i++) {
		int transport = config_device_transport(x->config, i);
		modern += transport == VIRTIO_MMIO;
		legacy += transport == VIRTIO_MMIO_LEGACY;
	}
	if (modern && legacy)
		qemu_remark(&x->line, "QEMU has mmio or mmio-legacy for all devices alike; here "
				      "as vm.transport says.");
}

int export_qemu(FILE *out, const struct vm_config *config)
{
	struct qemu_export x = { .config = config, .microvm = config_count_mmio(config) > 0 };

	qemu_line_init(&x.line);
	qemu_remark(&x.line, "This VM for QEMU 7.2 or later.  What it does not have of it:");
	qemu_machine(&x);
	judge_transports(&x);
	qemu_disks(&x);
	qemu_nets(&x);
	qemu_other_devices(&x);
	qemu_rest(&x);
	return qemu_line_finish(&x.line, out);
}
