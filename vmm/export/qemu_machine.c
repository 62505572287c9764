/* The machine around the devices. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/transport.h"
#include "vmm/base/text.h"
#include "vmm/export/qemu_impl.h"
#include "vmm/guest_cmdline.h"

/* Does another process (a virtiofsd, who serves a disk) need the memory? */
static bool is_memory_shared(const struct vm_config *config)
{
	bool shared = config->n_shares > 0;

	for (unsigned i = 0; i < config->n_disks; i++)
		shared |= config->disk[i].socket != NULL;
	return shared;
}

static bool has_memory_backend(const struct vm_config *config)
{
	return config->prefault || is_memory_shared(config);
}

static void put_memory(struct qemu_export *x)
{
	char size[24];

	text_format_size(size, x->config->memory);
	qemu_word(&x->line, "-m", size);
	if (!has_memory_backend(x->config))
		return;
	qemu_begin(&x->line, "-object", "memory-backend-%s,id=memory,size=%s%s",
		   is_memory_shared(x->config) ? "memfd" : "ram", size,
		   x->config->prefault ? ",prealloc=on" : "");
	if (is_memory_shared(x->config))
		qemu_put(&x->line, ",share=on");
	qemu_end(&x->line);
}

static void put_machine(struct qemu_export *x)
{
	const struct vm_config *config = x->config;
	bool acpi = config->mmio_discovery == MMIO_DISCOVERY_ACPI;
	bool told = config->mmio_discovery == MMIO_DISCOVERY_CMDLINE;

	qemu_begin(&x->line, "-machine", x->microvm ? "microvm" : "q35");
	if (x->microvm)
		qemu_put(&x->line, ",acpi=%s,auto-kernel-cmdline=%s,pcie=on,rtc=on",
			 acpi ? "on" : "off", told ? "on" : "off");
	if (has_memory_backend(config))
		qemu_put(&x->line, ",memory-backend=memory");
	qemu_end(&x->line);
	/* A host without KVM runs it, too, but slowly; 'max' is the host's processor with KVM. */
	qemu_word(&x->line, "-accel", "kvm");
	qemu_word(&x->line, "-accel", "tcg");
	qemu_word(&x->line, "-cpu", "max");
}

static void put_cpus(struct qemu_export *x)
{
	unsigned threads = x->config->threads ? x->config->threads : 1;
	unsigned cores = x->config->cores ? x->config->cores :
					    (unsigned)max_u64(x->config->cpus / threads, 1);

	qemu_begin(&x->line, "-smp", "%u", x->config->cpus);
	if (x->config->threads || x->config->cores)
		qemu_put(&x->line, ",sockets=%u,cores=%u,threads=%u",
			 x->config->cpus / (cores * threads), cores, threads);
	qemu_end(&x->line);
}

/* A name of a file that begins with none of QEMU's prefixes. */
static void put_file(struct qemu_export *x, const char *option, const char *path)
{
	char *longer;

	if (*path == '/')
		qemu_word(&x->line, option, path);
	else if (asprintf(&longer, "./%s", path) < 0)
		x->line.failed = true;
	else {
		qemu_word(&x->line, option, longer);
		free(longer);
	}
}

static void put_kernel(struct qemu_export *x)
{
	char *cmdline;

	if (x->config->kernel)
		put_file(x, "-kernel", x->config->kernel);
	if (x->config->initrd)
		put_file(x, "-initrd", x->config->initrd);
	/* Where its virtio-mmio devices are QEMU tells by itself. */
	if (!x->config->kernel)
		return;
	if (guest_cmdline_build(&cmdline, x->config, 0) < 0) {
		x->line.failed = true;
		return;
	}
	qemu_word(&x->line, "-append", cmdline);
	free(cmdline);
}

/* What is not the same: a status is said by other numbers. */
static void put_endings(struct qemu_export *x)
{
	static const char *const on_panic[] = {
		[POLICY_EXIT] = "shutdown",
		[POLICY_FAIL] = "exit-failure",
		[POLICY_RESTART] = "none",
	};
	const struct vm_config *config = x->config;

	qemu_begin(&x->line, "-action", "reboot=%s,shutdown=poweroff,panic=%s",
		   config->on_reboot == POLICY_RESTART ? "reset" : "shutdown",
		   on_panic[config->on_panic]);
	qemu_end(&x->line);
	qemu_word(&x->line, "-device", "isa-debug-exit,iobase=0xf4,iosize=4");
	qemu_word(&x->line, "-device", "pvpanic");
	qemu_remark(&x->line, "A status N that the guest reports ends QEMU with 2 * N + 1; resets "
			      "and crashes");
	qemu_remark(&x->line, "have no status of their own, and QEMU goes on when all CPUs halt.");
}

static void put_sandbox(struct qemu_export *x)
{
	if (x->config->seccomp == SECCOMP_ON)
		qemu_word(&x->line, "-sandbox",
			  "on,obsolete=deny,elevateprivileges=deny,spawn=deny");
}

/* For disks; QEMU has none over virtio-mmio unless there is KVM. */
static void put_io_threads(struct qemu_export *x)
{
	unsigned on_pci = 0;

	for (unsigned i = 0; i < x->config->n_disks; i++)
		on_pci += !virtio_transport_is_mmio(
			(enum virtio_transport_kind)config_device_transport(x->config, i));
	if (on_pci < x->config->n_disks)
		qemu_remark(&x->line, "vm.io_threads, vm.poll: disks on virtio-mmio are on QEMU's "
				      "main loop");
	if (on_pci == 0)
		return;
	for (unsigned i = 0; i < x->config->io_threads; i++) {
		qemu_begin(&x->line, "-object", "iothread,id=io%u,poll-max-ns=%u000", i,
			   x->config->poll_us);
		qemu_end(&x->line);
	}
}

void qemu_machine(struct qemu_export *x)
{
	put_machine(x);
	qemu_word(&x->line, "-nodefaults", NULL);
	qemu_word(&x->line, "-no-user-config", NULL);
	qemu_word(&x->line, "-display", "none");
	put_memory(x);
	put_cpus(x);
	put_kernel(x);
	put_endings(x);
	put_sandbox(x);
	put_io_threads(x);
	if (x->microvm) {
		bool legacy = x->config->transport == VIRTIO_MMIO_LEGACY;
		qemu_begin(&x->line, "-global", "virtio-mmio.force-legacy=%s",
			   legacy ? "on" : "off");
		qemu_end(&x->line);
	}
}
