#include "vmm/option_table.h"

#include "devices/virtio_models.h"
#include "virtio/transport.h"
#include "vmm/config.h"
#include "vmm/machine/guest_memory.h"
#include "vmm/machine/layout.h"

#define VM(field) offsetof(struct vm_config, field)
#define DISK(field) offsetof(struct disk_settings, field)
#define NET(field) offsetof(struct net_settings, field)
#define NUMA(field) offsetof(struct numa_settings, field)
#define PORT(field) offsetof(struct port_settings, field)
#define SCSI(field) offsetof(struct scsi_settings, field)
#define SHARE(field) offsetof(struct share_settings, field)

/* A build without libseccomp cannot do what would be best. */
#if HAVE_SECCOMP
#define SECCOMP_DEFAULT "on"
#else
#define SECCOMP_DEFAULT "off"
#endif

static const struct option_choice transports[] = {
	{ "pci", VIRTIO_PCI },
	{ "pci-transitional", VIRTIO_PCI_TRANSITIONAL },
	{ "pci-legacy", VIRTIO_PCI_LEGACY },
	{ "mmio", VIRTIO_MMIO },
	{ "mmio-legacy", VIRTIO_MMIO_LEGACY },
	{ 0 }
};
static const struct option_choice device_transports[] = {
	{ "vm", TRANSPORT_OF_VM },
	{ "pci", VIRTIO_PCI },
	{ "pci-transitional", VIRTIO_PCI_TRANSITIONAL },
	{ "pci-legacy", VIRTIO_PCI_LEGACY },
	{ "mmio", VIRTIO_MMIO },
	{ "mmio-legacy", VIRTIO_MMIO_LEGACY },
	{ 0 }
};
static const struct option_choice discoveries[] = {
	{ "acpi", MMIO_DISCOVERY_ACPI },
	{ "cmdline", MMIO_DISCOVERY_CMDLINE },
	{ "dtb", MMIO_DISCOVERY_DTB },
	{ 0 }
};
static const struct option_choice endings[] = {
	{ "exit", POLICY_EXIT }, { "restart", POLICY_RESTART }, { 0 }
};
static const struct option_choice endings_and_failure[] = {
	{ "exit", POLICY_EXIT }, { "fail", POLICY_FAIL }, { "restart", POLICY_RESTART }, { 0 }
};
static const struct option_choice endings_and_dump[] = {
	{ "exit", POLICY_EXIT }, { "fail", POLICY_FAIL }, { "restart", POLICY_RESTART },
	{ "dump", POLICY_DUMP }, { 0 }
};
static const struct option_choice mistake_policies[] = {
	{ "fail", MISTAKE_FAIL }, { "report", MISTAKE_REPORT }, { 0 }
};
static const struct option_choice seccomp_modes[] = {
	{ "on", SECCOMP_ON }, { "log", SECCOMP_LOG }, { "off", SECCOMP_OFF }, { 0 }
};
static const struct option_choice presences[] = {
	{ "on", PRESENCE_ON }, { "off", PRESENCE_OFF }, { 0 }
};
static const struct option_choice console_targets[] = {
	{ "stdio", TARGET_STDIO }, { "null", TARGET_NULL }, { "off", TARGET_OFF }, { 0 }
};
static const struct option_choice port_targets[] = {
	{ "stdio", TARGET_STDIO }, { "null", TARGET_NULL }, { "status", TARGET_STATUS },
	{ "off", TARGET_OFF }, { 0 }
};
static const struct option_choice huge_pages[] = {
	{ "no", HUGE_PAGES_NO }, { "2M", HUGE_PAGES_2M }, { "1G", HUGE_PAGES_1G }, { 0 }
};
static const struct option_choice advices[] = {
	{ "auto", MEMORY_AS_HOST }, { "yes", MEMORY_YES }, { "no", MEMORY_NO }, { 0 }
};
static const struct option_choice engines[] = {
	{ "auto", BLK_ENGINE_AUTO },
	{ "uring", BLK_ENGINE_URING },
	{ "threads", BLK_ENGINE_THREADS },
	{ 0 }
};

static const struct option_choice hinting_modes[] = {
	{ "no", HINTING_NO }, { "yes", HINTING_YES }, { "start", HINTING_START }, { 0 }
};

static const struct option_choice net_backends[] = {
	{ "user", NET_USER }, { "tap", NET_TAP }, { 0 }
};
static const struct option_choice vhost_modes[] = {
	{ "auto", VHOST_AUTO }, { "off", VHOST_OFF }, { "require", VHOST_REQUIRE }, { 0 }
};
static const struct option_choice duplexes[] = {
	{ "unknown", NET_DUPLEX_UNKNOWN }, { "half", NET_DUPLEX_HALF }, { "full", NET_DUPLEX_FULL },
	{ 0 }
};

#define LIST(noun, field, type)                                                                    \
	&(const struct option_list){ noun, VM(field), VM(n_##field##s), sizeof(struct type),       \
				     offsetof(struct type, name) }

const struct option_section option_sections[] = {
	{ "boot", .title = "What to boot" },
	{ "vm", .title = "The machine" },
	{ "disks", .title = "Disks", .list = LIST("disk", disk, disk_settings) },
	{ "nets", .title = "Network interfaces", .list = LIST("net", net, net_settings) },
	{ "console", .title = "The virtio console (hvc0)" },
	{ "ports", .title = "Named ports of the virtio console (/dev/virtio-ports/NAME)",
	  .list = LIST("port", port, port_settings) },
	{ "serial", .title = "The serial port (ttyS0)" },
	{ "rng", .title = "Random numbers" },
	{ "balloon", .title = "The memory balloon (there is none unless a setting of it is given)",
	  .given = VM(balloon.given) },
	{ "vsock", .title = "Sockets between host and guest (none unless a setting is given)",
	  .given = VM(vsock.given) },
	{ "scsis", .title = "SCSI targets of the host's kernel",
	  .list = LIST("scsi", scsi, scsi_settings) },
	{ "shares", .title = "Folders of the host for the guest (virtio-fs)",
	  .list = LIST("share", share, share_settings) },
	{ "iommu", .title = "The virtio IOMMU (there is one when a device has 'iommu')",
	  .given = VM(iommu.given) },
	{ "numa", .title = "NUMA nodes of the guest (all CPUs and all memory, or none)",
	  .list = LIST("node", numa, numa_settings) },
	{ "smbios", .title = "Who the machine is (/sys/class/dmi in the guest)" },
	{ "cloud_init", .title = "A disk for cloud-init (none unless a setting is given)",
	  .given = VM(cloud_init.given) },
	{ "credentials", .title = "Credentials for the guest (the option may be repeated)",
	  .pairs = VM(credentials) },
};
const unsigned option_sections_len = ARRAY_SIZE(option_sections);

/* What every section with a virtio device has; 'field' is its struct device_settings. */
#define DEVICE_ROWS(section, field, name, type)                                                    \
	PLAIN_DEVICE_ROWS(section, field, name, type),                                             \
	{ section, "iommu", OPTION_BOOL, (field) + offsetof(struct device_settings, iommu), "no",  \
	  .flag = name, .help = "put the device behind a virtio IOMMU" }
#define PLAIN_DEVICE_ROWS(section, field, name, type)                                              \
	{ section, "transport", OPTION_CHOICE,                                                     \
	  (field) + offsetof(struct device_settings, transport), "vm",                             \
	  .choice = device_transports, .flag = name,                                               \
	  .help = "how the guest reaches this device; vm: as all of them" },                       \
	{ section, "features", OPTION_FEATURES,                                                    \
	  (field) + offsetof(struct device_settings, features), .device = type, .flag = name,      \
	  .value = "+BIT,-BIT...", .help = "demand (+) and forbid (-) feature bits of this device" }

/* clang-format off */
const struct option option_table[] = {
	{ "boot", "kernel", OPTION_PATH, VM(kernel), .flag = "kernel", .value = "FILE",
	  .help = "the kernel: bzImage, ELF or multiboot, told by its contents" },
	{ "boot", "initrd", OPTION_PATH, VM(initrd), .flag = "initrd", .value = "FILE",
	  .help = "initial RAM disk" },
	{ "boot", "cmdline", OPTION_TEXT, VM(cmdline), .flag = "cmdline", .value = "TEXT",
	  .help = "kernel command line, instead of the default one" },
	{ "boot", "append", OPTION_TEXT, VM(append), .flag = "append", .value = "TEXT",
	  .help = "added at the end of the kernel command line" },
	{ "boot", "unpack", OPTION_BOOL, VM(unpack), "yes", .flag = "unpack",
	  .help = "unpack a compressed kernel on the host, which is faster" },
	{ "boot", "symbols", OPTION_PATH, VM(symbols), .flag = "symbols", .value = "FILE",
	  .help = "its System.map or vmlinux: names for addresses in state reports" },

	{ "vm", "memory", OPTION_SIZE, VM(memory), "512M", .min = MIB(1), .max = GIB(4096),
	  .flag = "memory", .value = "SIZE", .help = "memory of the guest" },
	{ "vm", "name", OPTION_TEXT, VM(name), .flag = "name", .value = "NAME",
	  .help = "for ps and ctl: gives it a run directory; default: that of the VM file" },
	{ "vm", "run_dir", OPTION_PATH, VM(run_dir), .flag = "run-dir", .value = "DIR",
	  .help = "for control socket and logs; default: one of its name" },
	{ "vm", "cpus", OPTION_NUMBER, VM(cpus), "1", .min = 1, .max = LAYOUT_MAX_VCPUS,
	  .flag = "cpus", .value = "N", .help = "number of virtual CPUs" },
	{ "vm", "cores", OPTION_NUMBER, VM(cores), "0", .max = LAYOUT_MAX_VCPUS,
	  .flag = "cpus", .value = "N", .help = "cores per socket; 0: all in one socket" },
	{ "vm", "threads", OPTION_NUMBER, VM(threads), "0", .max = LAYOUT_MAX_VCPUS,
	  .flag = "cpus", .value = "N", .help = "threads per core; 0: one" },
	{ "vm", "cpu_features", OPTION_TEXTS, VM(cpu_features), .flag = "cpu-features",
	  .value = "-NAME,+NAME...",
	  .help = "hide (-) and demand (+) features of the CPU, named as in /proc/cpuinfo" },
	{ "vm", "vcpu_affinity", OPTION_TEXTS, VM(vcpu_affinity), .flag = "vcpu-affinity",
	  .value = "[VCPU:]CPUS",
	  .help = "CPUs of the host for all vCPUs (0-3), or for one of them (1:2)" },
	{ "vm", "io_affinity", OPTION_TEXTS, VM(io_affinity), .flag = "io-affinity",
	  .value = "[THREAD:]CPUS", .help = "likewise for the threads that move data" },
	{ "vm", "prefault", OPTION_BOOL, VM(prefault), "no", .flag = "prefault",
	  .help = "take all memory from the host at the start" },
	{ "vm", "hugepages", OPTION_CHOICE, VM(hugepages), "no", .choice = huge_pages,
	  .flag = "hugepages", .help = "memory of huge pages that the host has set aside" },
	{ "vm", "thp", OPTION_CHOICE, VM(thp), "auto", .choice = advices, .flag = "thp",
	  .help = "transparent huge pages; auto: as the host does it" },
	{ "vm", "merge", OPTION_BOOL, VM(merge), "no", .flag = "merge",
	  .help = "let the host merge pages that are the same (KSM)" },
	{ "vm", "transport", OPTION_CHOICE, VM(transport), "pci", .choice = transports,
	  .flag = "transport", .help = "how the guest reaches virtio devices" },
	{ "vm", "features", OPTION_FEATURES, VM(features), .flag = "features",
	  .value = "+BIT,-BIT...",
	  .help = "demand (+) and forbid (-) feature bits of all devices" },
	{ "vm", "mmio_discovery", OPTION_CHOICE, VM(mmio_discovery), "acpi", .choice = discoveries,
	  .help = "how it learns of virtio-mmio devices; dtb: a device tree, no ACPI" },
	{ "vm", "timeout", OPTION_DURATION, VM(timeout_ms), "0", .flag = "timeout", .value = "TIME",
	  .help = "end the guest after this time (10s, 5m), status 124; 0: no limit" },
	{ "vm", "on_poweroff", OPTION_CHOICE, VM(on_poweroff), "exit", .choice = endings,
	  .flag = "on-poweroff", .help = "when the guest powers off; exit: status 0" },
	{ "vm", "on_reboot", OPTION_CHOICE, VM(on_reboot), "restart", .choice = endings_and_failure,
	  .flag = "on-reboot", .help = "when the guest resets itself; fail: status 122" },
	{ "vm", "on_halt", OPTION_CHOICE, VM(on_halt), "exit", .choice = endings_and_failure,
	  .flag = "on-halt", .help = "when all CPUs halt for good; fail: status 121" },
	{ "vm", "on_panic", OPTION_CHOICE, VM(on_panic), "fail", .choice = endings_and_dump,
	  .flag = "on-panic", .help = "when the guest's kernel panics; fail, dump: status 120" },
	{ "vm", "on_crash", OPTION_CHOICE, VM(on_crash), "fail", .choice = endings_and_dump,
	  .flag = "on-crash", .help = "on a triple fault; fail, dump: status 121" },
	{ "vm", "dump", OPTION_PATH, VM(dump), .flag = "dump-to", .value = "FILE",
	  .help = "where 'dump' writes memory and CPUs to: an ELF core for gdb and crash" },
	{ "vm", "strict_driver", OPTION_BOOL, VM(strict_driver), "no", .flag = "strict-driver",
	  .help = "look at all that drivers do, and report their mistakes" },
	{ "vm", "on_driver_mistake", OPTION_CHOICE, VM(on_driver_mistake), "fail",
	  .choice = mistake_policies, .flag = "on-driver-mistake",
	  .help = "when a strictly judged driver made mistakes; fail: 0 becomes 123" },
	{ "vm", "timing", OPTION_BOOL, VM(timing), "no", .flag = "timing",
	  .help = "print at the end what the start took, phase by phase" },
	{ "vm", "trace", OPTION_PATH, VM(trace), .flag = "trace", .value = "FILE",
	  .help = "write the same as JSON for Perfetto and for 'vireo timeline'" },
	{ "vm", "seccomp", OPTION_CHOICE, VM(seccomp), SECCOMP_DEFAULT, .choice = seccomp_modes,
	  .flag = "seccomp", .help = "sandbox: forbid (on) or only log unexpected system calls" },
	{ "vm", "io_threads", OPTION_NUMBER, VM(io_threads), "1", .min = 1, .max = 64,
	  .flag = "io-threads", .value = "N", .help = "threads that move data for the devices" },
	{ "vm", "poll", OPTION_NUMBER, VM(poll_us), "32", "microseconds", .max = 100000,
	  .flag = "poll", .value = "US",
	  .help = "how long I/O threads look for work before they sleep; on one CPU: 0" },
	{ "vm", "kvm", OPTION_PATH, VM(kvm_path), "/dev/kvm", .value = "PATH",
	  .help = "the KVM device" },

	{ "disks", "path", OPTION_PATH, DISK(path), .flag = "disk", .value = "FILE",
	  .help = "a raw image or block device" },
	{ "disks", "socket", OPTION_PATH, DISK(socket), .flag = "disk", .value = "SOCKET",
	  .help = "instead of a file: where a vhost-user back end serves the disk" },
	{ "disks", "name", OPTION_TEXT, DISK(name), .flag = "disk", .value = "NAME",
	  .help = "its name in messages and for --set; default: disk and its number" },
	{ "disks", "readonly", OPTION_BOOL, DISK(readonly), "no", .flag = "disk",
	  .help = "the guest cannot write" },
	{ "disks", "ephemeral", OPTION_BOOL, DISK(ephemeral), "no", .flag = "disk",
	  .help = "what the guest writes is thrown away at the end" },
	{ "disks", "direct", OPTION_BOOL, DISK(direct), "no", .flag = "disk",
	  .help = "bypass the host's page cache" },
	{ "disks", "engine", OPTION_CHOICE, DISK(engine), "auto", .choice = engines, .flag = "disk",
	  .help = "how the host does the I/O" },
	{ "disks", "queues", OPTION_NUMBER, DISK(queues), "1", .min = 1, .max = 64, .flag = "disk",
	  .value = "N", .help = "number of request queues" },
	{ "disks", "queue_size", OPTION_NUMBER, DISK(queue_size), "0", "requests", .max = 256,
	  .power_of_two = true, .flag = "disk", .value = "N",
	  .help = "requests per queue, a power of two from 4; 0: as Vireo likes" },
	{ "disks", "serial", OPTION_TEXT, DISK(serial), .flag = "disk", .value = "TEXT",
	  .help = "serial number, at most 20 bytes; default: the name" },
	{ "disks", "block_size", OPTION_NUMBER, DISK(block_size), "0", "bytes", .max = 4096,
	  .power_of_two = true, .flag = "disk", .value = "N",
	  .help = "logical block size, from 512; 0: that of the file or device" },
	DEVICE_ROWS("disks", DISK(device), "disk", VIRTIO_ID_BLOCK),

	{ "nets", "backend", OPTION_CHOICE, NET(backend), "user", .choice = net_backends,
	  .flag = "net", .help = "user: needs no rights and no set-up; tap: a tap of the host" },
	{ "nets", "name", OPTION_TEXT, NET(name), .flag = "net", .value = "NAME",
	  .help = "its name in messages and for --set; default: net and its number" },
	{ "nets", "mac", OPTION_TEXT, NET(mac), .flag = "net", .value = "MAC",
	  .help = "address of the guest's side; default: made of the names" },
	{ "nets", "forward", OPTION_TEXTS, NET(forward), .flag = "net",
	  .value = "PROTO:[ADDR:]PORT:PORT",
	  .help = "user: pass tcp or udp from a host's port (of 127.0.0.1) to the guest's" },
	{ "nets", "restrict", OPTION_BOOL, NET(restrict_guest), "no", .flag = "net",
	  .help = "user: the guest reaches nothing but what is forwarded to it" },
	{ "nets", "ipv6", OPTION_BOOL, NET(ipv6), "yes", .flag = "net",
	  .help = "user: IPv6 beside IPv4" },
	{ "nets", "ifname", OPTION_TEXT, NET(ifname), .flag = "net", .value = "NAME",
	  .help = "tap: its name, made if there is none; default: vt- and the name" },
	{ "nets", "fd", OPTION_NUMBER, NET(fd), .min = 3, .max = 65535, .flag = "net", .value = "N",
	  .help = "tap: one that is open already, as this descriptor" },
	{ "nets", "queues", OPTION_NUMBER, NET(queues), "1", .min = 1, .max = 16, .flag = "net",
	  .value = "N", .help = "tap: pairs of queues" },
	{ "nets", "queue_size", OPTION_NUMBER, NET(queue_size), "256", "packets", .min = 4,
	  .max = 1024, .power_of_two = true, .flag = "net", .value = "N",
	  .help = "packets per queue, a power of two" },
	{ "nets", "mtu", OPTION_NUMBER, NET(mtu), "0", "bytes", .max = 65535, .flag = "net",
	  .value = "N", .help = "largest packet, told to the guest; 0: not told" },
	{ "nets", "link", OPTION_BOOL, NET(link), "yes", .flag = "net",
	  .help = "the cable is plugged in at the start" },
	{ "nets", "speed", OPTION_NUMBER, NET(speed), "0", "Mbit/s", .max = 0x7fffffff,
	  .flag = "net", .value = "N", .help = "speed that the guest is told; 0: unknown" },
	{ "nets", "duplex", OPTION_CHOICE, NET(duplex), "unknown", .choice = duplexes,
	  .flag = "net", .help = "duplex mode that the guest is told" },
	{ "nets", "capture", OPTION_PATH, NET(capture), .flag = "net", .value = "FILE",
	  .help = "write all packets to a pcap file" },
	{ "nets", "vhost", OPTION_CHOICE, NET(vhost), "auto", .choice = vhost_modes, .flag = "net",
	  .help = "tap: let the host's kernel move the packets" },
	{ "nets", "vhost_path", OPTION_PATH, NET(vhost_path), CONFIG_VHOST_NET, .value = "PATH",
	  .help = "the vhost device" },
	{ "nets", "vhost_poll", OPTION_NUMBER, NET(vhost_poll_us), "0", "microseconds",
	  .max = 100000, .flag = "net", .value = "US",
	  .help = "how long the kernel's vhost looks for more work before it sleeps" },
	DEVICE_ROWS("nets", NET(device), "net", VIRTIO_ID_NET),

	{ "console", "to", OPTION_TARGET, VM(console), "stdio", .choice = console_targets,
	  .flag = "console", .value = "TARGET",
	  .help = "stdio, file=PATH, null (nobody listens) or off (no such device)" },
	DEVICE_ROWS("console", VM(console_device), "console", VIRTIO_ID_CONSOLE),
	{ "ports", "name", OPTION_TEXT, PORT(name), .flag = "port", .value = "NAME",
	  .help = "what the guest finds it by; letters, digits, '.', '_', '-'" },
	{ "ports", "socket", OPTION_PATH, PORT(socket), .flag = "port", .value = "PATH",
	  .help = "leads to who connects to this Unix socket, one at a time" },
	{ "ports", "fd", OPTION_NUMBER, PORT(fd), .min = 3, .max = 65535, .flag = "port",
	  .value = "N", .help = "leads to this descriptor, which is open already" },
	{ "ports", "to", OPTION_TARGET, PORT(to), "off", .choice = port_targets, .flag = "port",
	  .value = "TARGET",
	  .help = "stdio, file=PATH, null, or status (a number there ends the guest)" },
	{ "serial", "to", OPTION_TARGET, VM(serial), "stdio", .choice = console_targets,
	  .flag = "serial", .value = "TARGET",
	  .help = "likewise: stdio, file=PATH, null or off" },
	{ "rng", "enabled", OPTION_CHOICE, VM(rng), "on", .choice = presences, .flag = "rng",
	  .help = "a virtio entropy device, fed by the host" },
	DEVICE_ROWS("rng", VM(rng_device), "rng", VIRTIO_ID_RNG),

	{ "balloon", "size", OPTION_SIZE, VM(balloon.size), "0", .max = GIB(4096),
	  .flag = "balloon", .value = "SIZE", .help = "memory that the guest gives back at start" },
	{ "balloon", "stats", OPTION_DURATION, VM(balloon.stats_ms), "0", .flag = "balloon",
	  .value = "TIME",
	  .help = "ask for memory statistics this often (-v shows them); 0: never" },
	{ "balloon", "deflate_on_oom", OPTION_BOOL, VM(balloon.deflate_on_oom), "yes",
	  .flag = "balloon", .help = "the guest may take memory back before it kills a program" },
	{ "balloon", "reporting", OPTION_BOOL, VM(balloon.reporting), "yes", .flag = "balloon",
	  .help = "the guest gives memory back that it does not use" },
	{ "balloon", "hinting", OPTION_CHOICE, VM(balloon.hinting), "no", .choice = hinting_modes,
	  .flag = "balloon", .help = "the guest names free pages when asked; start: ask at start" },
	{ "balloon", "poison", OPTION_BOOL, VM(balloon.poison), "yes", .flag = "balloon",
	  .help = "the guest says what it fills free pages with" },
	{ "balloon", "must_tell_host", OPTION_BOOL, VM(balloon.must_tell_host), "no",
	  .flag = "balloon", .help = "the guest says so before it uses a page again" },
	DEVICE_ROWS("balloon", VM(balloon_device), "balloon", VIRTIO_ID_BALLOON),

	{ "vsock", "cid", OPTION_TEXT, VM(vsock.cid), "auto", .flag = "vsock", .value = "CID",
	  .help = "the guest's context ID, from 3; auto: the first that is free" },
	{ "vsock", "vhost", OPTION_CHOICE, VM(vsock.vhost), "auto", .choice = vhost_modes,
	  .flag = "vsock", .help = "let the host's kernel do it (AF_VSOCK on the host)" },
	{ "vsock", "socket", OPTION_PATH, VM(vsock.socket), .flag = "vsock", .value = "PATH",
	  .help = "without vhost: Unix sockets; PATH leads to the guest, PATH_PORT out" },
	{ "vsock", "fd", OPTION_NUMBER, VM(vsock.fd), .min = 3, .max = 65535, .flag = "vsock",
	  .value = "N", .help = "a vhost-vsock device that is open already, as this descriptor" },
	{ "vsock", "vhost_path", OPTION_PATH, VM(vsock.vhost_path), CONFIG_VHOST_VSOCK,
	  .value = "PATH", .help = "the vhost device" },
	DEVICE_ROWS("vsock", VM(vsock.device), "vsock", VIRTIO_ID_VSOCK),

	{ "scsis", "wwpn", OPTION_TEXT, SCSI(wwpn), .flag = "scsi", .value = "WWPN",
	  .help = "the target's name: naa. and 16 hexadecimal digits" },
	{ "scsis", "name", OPTION_TEXT, SCSI(name), .flag = "scsi", .value = "NAME",
	  .help = "its name in messages and for --set; default: scsi and its number" },
	{ "scsis", "queues", OPTION_NUMBER, SCSI(queues), "1", .min = 1, .max = 64, .flag = "scsi",
	  .value = "N", .help = "number of request queues" },
	{ "scsis", "vhost_path", OPTION_PATH, SCSI(vhost_path), "/dev/vhost-scsi", .value = "PATH",
	  .help = "the vhost device" },
	DEVICE_ROWS("scsis", SCSI(device), "scsi", VIRTIO_ID_SCSI),

	{ "shares", "path", OPTION_PATH, SHARE(path), .flag = "share", .value = "DIR",
	  .help = "the folder; Vireo starts a virtiofsd for it" },
	{ "shares", "name", OPTION_TEXT, SHARE(name), .flag = "share", .value = "NAME",
	  .help = "its tag, to mount it by; default: share and its number" },
	{ "shares", "readonly", OPTION_BOOL, SHARE(readonly), "no", .flag = "share",
	  .help = "the guest cannot write" },
	{ "shares", "socket", OPTION_PATH, SHARE(socket), .flag = "share", .value = "PATH",
	  .help = "instead of a path: where a virtiofsd that runs already listens" },
	{ "shares", "program", OPTION_PATH, SHARE(program), .flag = "share", .value = "FILE",
	  .help = "the virtiofsd; default: where packages put it" },
	{ "shares", "submounts", OPTION_BOOL, SHARE(submounts), "yes", .flag = "share",
	  .help = "the guest sees where other file systems begin; an overlay wants 'no'" },
	{ "shares", "queues", OPTION_NUMBER, SHARE(queues), "1", .min = 1, .max = 32,
	  .flag = "share", .value = "N", .help = "number of request queues" },
	DEVICE_ROWS("shares", SHARE(device), "share", VIRTIO_ID_FS),

	{ "iommu", "bypass", OPTION_BOOL, VM(iommu.bypass), "yes", .flag = "iommu",
	  .help = "devices reach all memory until the guest sets their IOMMU up" },
	PLAIN_DEVICE_ROWS("iommu", VM(iommu.device), "iommu", VIRTIO_ID_IOMMU),

	{ "numa", "memory", OPTION_SIZE, NUMA(memory), "0", .max = GIB(4096), .flag = "numa",
	  .value = "SIZE", .help = "memory of the node; together they have that of the machine" },
	{ "numa", "name", OPTION_TEXT, NUMA(name), .flag = "numa", .value = "NAME",
	  .help = "its name in messages and for --set; default: node and its number" },
	{ "numa", "cpus", OPTION_TEXTS, NUMA(cpus), .flag = "numa", .value = "CPUS",
	  .help = "virtual CPUs of the node, as 0-3" },
	{ "numa", "host_node", OPTION_TEXT, NUMA(host_node), .flag = "numa", .value = "N",
	  .help = "the host's node that its memory comes from; default: any" },

	{ "smbios", "product", OPTION_TEXT, VM(smbios.product), "Virtual Machine",
	  .flag = "smbios", .value = "TEXT", .help = "name of the product" },
	{ "smbios", "manufacturer", OPTION_TEXT, VM(smbios.manufacturer), "Vireo",
	  .flag = "smbios", .value = "TEXT", .help = "who made it" },
	{ "smbios", "version", OPTION_TEXT, VM(smbios.version), .flag = "smbios", .value = "TEXT",
	  .help = "version of the product" },
	{ "smbios", "serial", OPTION_TEXT, VM(smbios.serial), .flag = "smbios", .value = "TEXT",
	  .help = "serial number" },
	{ "smbios", "uuid", OPTION_TEXT, VM(smbios.uuid), .flag = "smbios", .value = "UUID",
	  .help = "the machine's UUID; default: made of the VM's name" },
	{ "smbios", "sku", OPTION_TEXT, VM(smbios.sku), .flag = "smbios", .value = "TEXT",
	  .help = "stock keeping unit" },
	{ "smbios", "family", OPTION_TEXT, VM(smbios.family), .flag = "smbios", .value = "TEXT",
	  .help = "family of products" },
	{ "smbios", "oem_strings", OPTION_TEXTS, VM(smbios.oem_strings), .flag = "smbios",
	  .value = "TEXT", .help = "a text for whoever in the guest looks for it" },

	{ "cloud_init", "user_data", OPTION_CONTENT, VM(cloud_init.user_data),
	  .flag = "cloud-init", .value = "FILE",
	  .help = "what to do: a file, or (with a line's end in it) the text itself" },
	{ "cloud_init", "meta_data", OPTION_CONTENT, VM(cloud_init.meta_data),
	  .flag = "cloud-init", .value = "FILE",
	  .help = "who it is; default: an instance-id and the VM's name" },
	{ "cloud_init", "network_config", OPTION_CONTENT, VM(cloud_init.network_config),
	  .flag = "cloud-init", .value = "FILE", .help = "its network; default: as it finds it" },
	DEVICE_ROWS("cloud_init", VM(cloud_init.device), "cloud-init", VIRTIO_ID_BLOCK),

	{ "credentials", "credential", OPTION_TEXTS, VM(credentials), .flag = "credential",
	  .value = "NAME=VALUE", .help = "a systemd credential for the guest" },
};
/* clang-format on */
const unsigned option_table_len = ARRAY_SIZE(option_table);
