#include "vmm/kernel/kernel_needs.h"

#include "virtio/transport.h"

#define THING(kind) (1u << THING_##kind)
#define OVER(kind) (1u << VIRTIO_##kind)

/* Groups of bits. */
#define MACHINE THING(MACHINE)
#define EXEC THING(EXEC)
#define VIRTIO                                                                                     \
	(THING(DISK) | THING(CLOUD_INIT) | THING(NET) | THING(CONSOLE) | THING(RNG) |              \
	 THING(BALLOON) | THING(VSOCK) | THING(SCSI) | THING(SHARE) | THING(IOMMU) | EXEC)
#define BY_PCI (OVER(PCI) | OVER(PCI_TRANSITIONAL) | OVER(PCI_LEGACY))
#define BY_MMIO (OVER(MMIO) | OVER(MMIO_LEGACY))

#define MENU .is_menu = true
#define BUILT_IN .is_built_in = true

/* In the order of a fragment: what kconfig asks for first stands before what depends on it. */
const struct kernel_need kernel_needs[] = {
	{ "64BIT", "the machine has 64 bits", .of = MACHINE, BUILT_IN },
	{ "X86_64", "and is an x86", .of = MACHINE, BUILT_IN },
	{ "PRINTK", "the kernel says what it does", .helps = MACHINE, BUILT_IN },
	{ "SMP", "without it the guest uses one CPU", .of = THING(CPUS), BUILT_IN },
	{ "X86_X2APIC", "interrupts by the faster registers", .helps = THING(CPUS), BUILT_IN },
	{ "HYPERVISOR_GUEST", "options for guests", .helps = MACHINE, MENU },
	{ "PARAVIRT", "options for guests", .helps = MACHINE, MENU },
	{ "KVM_GUEST", "KVM's clock, and time that the host took", .helps = MACHINE, BUILT_IN },
	{ "ACPI", "CPUs, interrupts, devices and power-off are described there", .of = THING(ACPI),
	  BUILT_IN },
	{ "ACPI_BUTTON", "the power button: 'vireo ctl VM power', SIGPWR", .helps = THING(ACPI) },
	{ "PVPANIC", "drivers that report a panic", .helps = THING(ACPI), MENU },
	{ "PVPANIC_MMIO", "a panic is reported to Vireo at once", .helps = THING(ACPI) },
	{ "OF", "devices are described there", .of = THING(DTB), BUILT_IN },
	{ "COMMON_CLK", "options for clocks", .helps = THING(DTB), MENU },
	{ "CLK_LGM_CGU", "a driver for the sake of the next option, which cannot be chosen on x86",
	  .helps = THING(DTB), MENU },
	{ "OF_EARLY_FLATTREE", "the tree that is handed over at the start", .of = THING(DTB),
	  BUILT_IN },
	{ "RTC_CLASS", "drivers of clocks", .helps = MACHINE, MENU },
	{ "RTC_DRV_CMOS", "/dev/rtc", .helps = MACHINE },
	{ "NUMA", "CPUs and memory in nodes", .of = THING(NUMA), BUILT_IN },
	{ "ACPI_NUMA", "which of them are in which", .of = THING(NUMA), BUILT_IN },
	{ "X86_64_ACPI_NUMA", "likewise", .of = THING(NUMA), BUILT_IN },
	{ "DMI", "tables about who the machine is", .of = THING(SMBIOS) | THING(CREDENTIALS),
	  BUILT_IN },
	{ "DMIID", "/sys/class/dmi", .of = THING(SMBIOS), BUILT_IN },
	{ "DMI_SYSFS", "/sys/firmware/dmi, where systemd looks for credentials",
	  .of = THING(CREDENTIALS) },

	{ "TTY", "terminals", .of = THING(SERIAL) | THING(CONSOLE) | EXEC, BUILT_IN },
	{ "SERIAL_8250", "the driver of ttyS0", .of = THING(SERIAL), BUILT_IN },
	{ "SERIAL_8250_CONSOLE", "console=ttyS0", .of = THING(SERIAL), BUILT_IN },
	{ "SERIAL_OF_PLATFORM", "the serial port as the device tree has it", .helps = THING(DTB) },
	{ "BLK_DEV_INITRD", "an initrd is unpacked", .of = THING(INITRD) | EXEC, BUILT_IN },
	{ "DEVTMPFS", "/dev has the devices", .of = EXEC, .helps = MACHINE, BUILT_IN },
	{ "PROC_FS", "/proc", .of = EXEC, .helps = MACHINE, BUILT_IN },
	{ "SYSFS", "/sys", .of = EXEC, .helps = MACHINE, BUILT_IN },
	{ "SHMEM", "files in memory", .of = EXEC, MENU },
	{ "TMPFS", "/tmp, and the layer that takes what is written", .of = EXEC, BUILT_IN },
	{ "TMPFS_XATTR", "marks that this layer keeps", .helps = EXEC, BUILT_IN },
	{ "BINFMT_ELF", "programs", .of = EXEC, .helps = MACHINE, BUILT_IN },
	{ "BINFMT_SCRIPT", "scripts", .helps = EXEC },
	{ "SIGNALFD", "the agent waits with it", .of = EXEC, BUILT_IN },
	{ "UNIX98_PTYS", "a terminal for the command", .helps = EXEC, BUILT_IN },
	{ "UNIX", "sockets of most programs", .helps = EXEC },

	{ "PCI", "the bus of the devices", .of = VIRTIO, .over = BY_PCI, BUILT_IN },
	{ "PCI_MSI", "an interrupt for each queue", .helps = VIRTIO, .over = BY_PCI, BUILT_IN },
	{ "VIRTIO_MENU", "drivers of virtio", .of = VIRTIO, MENU },
	{ "VIRTIO_PCI", "virtio devices on PCI", .of = VIRTIO, .over = BY_PCI },
	{ "VIRTIO_PCI_LEGACY", "the interface from before virtio 1.0", .of = VIRTIO,
	  .over = OVER(PCI_LEGACY), BUILT_IN },
	{ "VIRTIO_MMIO", "virtio devices without a bus", .of = VIRTIO, .over = BY_MMIO },
	{ "VIRTIO_MMIO_CMDLINE_DEVICES", "virtio_mmio.device=..., which tells where they are",
	  .of = THING(MMIO_WORDS), BUILT_IN },
	{ "IOMMU_SUPPORT", "drivers of IOMMUs", .of = THING(IOMMU), MENU },
	{ "VIRTIO_IOMMU", "devices behind it have no memory without", .of = THING(IOMMU) },

	{ "BLK_DEV", "drivers of disks", .of = THING(DISK) | THING(CLOUD_INIT), MENU },
	{ "VIRTIO_BLK", "virtio disks", .of = THING(DISK) | THING(CLOUD_INIT) },
	{ "ISO9660_FS", "the file system on the disk for cloud-init", .of = THING(CLOUD_INIT) },
	{ "SCSI", "disks of SCSI targets", .of = THING(SCSI) },
	{ "BLK_DEV_SD", "disks of SCSI targets", .of = THING(SCSI) },
	{ "SCSI_LOWLEVEL", "drivers of SCSI", .of = THING(SCSI), MENU },
	{ "SCSI_VIRTIO", "the way to them", .of = THING(SCSI) },
	{ "FUSE_FS", "folders of the host", .of = THING(SHARE) | EXEC },
	{ "VIRTIO_FS", "the way to them", .of = THING(SHARE) | EXEC },
	{ "OVERLAY_FS", "the host's root and a layer that takes what is written", .of = EXEC },

	{ "NET", "the network", .of = THING(NET) | THING(VSOCK), .helps = EXEC, BUILT_IN },
	{ "INET", "IPv4", .of = THING(NET), BUILT_IN },
	{ "PACKET", "DHCP clients of most distributions", .helps = THING(NET) },
	{ "NETDEVICES", "drivers of networks", .of = THING(NET), MENU },
	{ "NET_CORE", "drivers of networks", .of = THING(NET), MENU },
	{ "VIRTIO_NET", "virtio networks", .of = THING(NET) },
	{ "VSOCKETS", "sockets between host and guest", .of = THING(VSOCK) },
	{ "VIRTIO_VSOCKETS", "the way between them", .of = THING(VSOCK) },

	{ "VIRTIO_CONSOLE", "hvc0 and named ports", .of = THING(CONSOLE) | EXEC },
	{ "HW_RANDOM", "drivers of random numbers", .of = THING(RNG), MENU },
	{ "HW_RANDOM_VIRTIO", "random numbers from the host", .of = THING(RNG) },
	{ "VIRTIO_BALLOON", "memory goes back to the host", .of = THING(BALLOON) },
	{ "PAGE_REPORTING", "free pages do so by themselves", .of = THING(REPORTING), BUILT_IN },
	{ "COMPACTION", "memory can be moved", .helps = THING(BALLOON), MENU },
	{ "BALLOON_COMPACTION", "huge pages can still be had", .helps = THING(BALLOON), BUILT_IN },
};
const unsigned kernel_needs_len = ARRAY_SIZE(kernel_needs);

static bool is_over(const struct kernel_need *need, const struct kernel_thing *thing)
{
	if (!need->over)
		return true;
	return thing->transport != THING_NOWHERE && (need->over >> thing->transport & 1);
}

bool kernel_need_is_of(const struct kernel_need *need, const struct kernel_thing *thing)
{
	return (need->of >> thing->kind & 1) && is_over(need, thing);
}

bool kernel_need_helps(const struct kernel_need *need, const struct kernel_thing *thing)
{
	return ((need->of | need->helps) >> thing->kind & 1) && is_over(need, thing);
}

/* Is it on the way to the root file system, from which other modules can come? */
static bool is_on_way(const struct kernel_vm *vm, enum kernel_thing_kind kind)
{
	switch (kind) {
	case THING_DISK:
	case THING_IOMMU:
	case THING_EXEC:
		return true;
	case THING_SCSI:
	case THING_SHARE:
		return !vm->has_disk;
	default:
		return !vm->has_root;
	}
}

/* It is a module: does it come in time? */
static enum kernel_verdict judge_module(const struct kernel_need *need, const struct kernel_vm *vm,
					enum kernel_verdict without)
{
	bool is_early = false;

	for (unsigned i = 0; i < vm->n; i++)
		if (kernel_need_helps(need, &vm->thing[i]))
			is_early |= is_on_way(vm, vm->thing[i].kind);
	if (need->is_built_in || (is_early && vm->initrd == INITRD_NONE))
		return without;
	return is_early ? VERDICT_EARLY : VERDICT_LATER;
}

enum kernel_verdict kernel_need_judge(const struct kernel_need *need, const struct kernel_vm *vm,
				      const struct kernel_config *config)
{
	enum kernel_verdict without = VERDICT_UNASKED;

	for (unsigned i = 0; i < vm->n && !need->is_menu; i++)
		if (kernel_need_is_of(need, &vm->thing[i]))
			without = VERDICT_MISSING;
		else if (kernel_need_helps(need, &vm->thing[i]) && without == VERDICT_UNASKED)
			without = VERDICT_POORER;
	if (without == VERDICT_UNASKED)
		return without;
	switch (kernel_config_get(config, need->option)) {
	case KERNEL_VALUE_ON:
		return VERDICT_THERE;
	case KERNEL_VALUE_MODULE:
		return judge_module(need, vm, without);
	case KERNEL_VALUE_ABSENT:
	case KERNEL_VALUE_OFF:
		break;
	}
	return without;
}
