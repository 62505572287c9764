/*
 * Which settings the other files have written, so that each one that they have not can be named:
 * also one that the option table gets later.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/export/qemu_impl.h"
#include "vmm/file/config_view.h"
#include "vmm/option.h"
#include "vmm/option_text.h"

/* NULL: written.  Else why there is no equivalent, or what is near; "" has nothing to say. */
static const struct {
	const char *name, *remark;
} known[] = {
	{ "boot.kernel", NULL },
	{ "boot.initrd", NULL },
	{ "boot.cmdline", NULL },
	{ "boot.append", NULL },
	{ "boot.unpack", NULL },	/* QEMU leaves that to the guest */
	{ "vm.memory", NULL },
	{ "vm.cpus", NULL },
	{ "vm.cores", NULL },
	{ "vm.threads", NULL },
	{ "vm.prefault", NULL },
	{ "vm.transport", NULL },
	{ "vm.features", NULL },
	{ "vm.mmio_discovery", NULL },
	{ "vm.timeout", "put 'timeout' of the coreutils before the command" },
	{ "vm.on_poweroff", "QEMU ends; a loop of the shell starts it again" },
	{ "vm.on_reboot", NULL },
	{ "vm.on_panic", NULL },
	{ "vm.on_crash", "QEMU resets the machine, as '-action reboot' says" },
	{ "vm.on_halt", "QEMU does not see that nothing will wake the guest" },
	{ "vm.seccomp", NULL },
	{ "vm.io_threads", NULL },
	{ "vm.poll", NULL },
	{ "vm.kvm", "'-accel kvm' opens /dev/kvm" },
	{ "vm.strict_driver", "QEMU does not look for mistakes of drivers" },
	{ "vm.on_driver_mistake", "QEMU does not look for mistakes of drivers" },
	{ "disks.path", NULL },
	{ "disks.socket", NULL },
	{ "disks.readonly", NULL },
	{ "disks.ephemeral", NULL },
	{ "disks.direct", NULL },
	{ "disks.engine", NULL },
	{ "disks.queues", NULL },
	{ "disks.queue_size", NULL },
	{ "disks.serial", NULL },
	{ "disks.block_size", NULL },
	{ "nets.backend", NULL },
	{ "nets.mac", NULL },
	{ "nets.forward", NULL },
	{ "nets.restrict", NULL },
	{ "nets.ipv6", NULL },
	{ "nets.ifname", NULL },
	{ "nets.fd", NULL },
	{ "nets.queues", NULL },
	{ "nets.queue_size", NULL },
	{ "nets.mtu", NULL },
	{ "nets.link", "tell the monitor, 'set_link NAME off'" },
	{ "nets.speed", NULL },
	{ "nets.duplex", NULL },
	{ "nets.capture", NULL },
	{ "nets.vhost", NULL },
	{ "nets.vhost_path", "QEMU opens /dev/vhost-net" },
	{ "nets.vhost_poll", NULL },
	{ "console.to", NULL },
	{ "ports.fd", NULL },
	{ "ports.socket", NULL },
	{ "ports.to", NULL },
	{ "serial.to", NULL },
	{ "rng.enabled", NULL },
	{ "balloon.size", NULL },
	{ "balloon.stats", "tell the monitor, 'qom-set' of guest-stats-polling-interval" },
	{ "balloon.deflate_on_oom", NULL },
	{ "balloon.reporting", NULL },
	{ "balloon.hinting", "QEMU takes hints only while it migrates" },
	{ "balloon.poison", NULL },
	{ "balloon.must_tell_host", "QEMU has no switch for it" },
	{ "vsock.cid", NULL },
	{ "vsock.vhost", NULL },
	{ "vsock.socket", NULL },
	{ "vsock.fd", NULL },
	{ "vsock.vhost_path", "QEMU opens /dev/vhost-vsock" },
	{ "scsis.wwpn", NULL },
	{ "scsis.queues", NULL },
	{ "scsis.vhost_path", "QEMU opens /dev/vhost-scsi" },
	{ "shares.path", NULL },
	{ "shares.readonly", NULL },
	{ "shares.socket", NULL },
	{ "shares.program", NULL },
	{ "shares.queues", NULL },
	{ "iommu.bypass", NULL },
	{ "credentials.credential", NULL },
};

/* "iommu", "transport" and "features" of any device are written with it. */
static bool is_of_every_device(const char *key)
{
	return !strcmp(key, "iommu") || !strcmp(key, "transport") || !strcmp(key, "features");
}

/* What to say about it; NULL: nothing. */
static const char *remark_about(const struct option *o)
{
	char name[64];

	if (is_of_every_device(o->key))
		return NULL;
	snprintf(name, sizeof(name), "%s.%s", o->section, o->key);
	for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].name, name))
			return known[i].remark;
	return "QEMU has nothing like it, as far as Vireo knows";
}

static void remark(struct qemu_export *x, const struct option *o, const void *object,
		   const char *name)
{
	const char *why = remark_about(o);
	char *value;

	if (!why)
		return;
	if (option_format(o, object, 0, &value) < 0) {
		x->line.failed = true;
		return;
	}
	qemu_remark(&x->line, "%s.%s%s%s=%.80s: %s", o->section, name ? name : "", name ? "." : "",
		    o->key, value, why);
	free(value);
}

void qemu_rest(struct qemu_export *x)
{
	struct config_view view;

	if (config_view_init(&view, x->config, false) < 0) {
		error_clear();
		x->line.failed = true;
		return;
	}
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		const struct option_section *section = option_section_of(o);
		for (unsigned k = 0; k < config_view_count(&view, section); k++) {
			const void *object = config_view_object(&view, section, k);
			if (config_view_wants(&view, o, object))
				remark(x, o, object,
				       section->list ? config_name(x->config, section, k) : NULL);
		}
	}
	config_view_fini(&view);
}
