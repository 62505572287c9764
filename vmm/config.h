/*
 * The description of one VM: every setting with its value, whoever gave it (defaults, command
 * line, later a VM file).  Plain data; which settings exist, how they are written and what is
 * allowed stands in option_table.c, and nowhere else.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include "virtio/feature_names.h"
#include "vmm/base/util.h"
#include "vmm/mistakes.h"
#include "vmm/origins.h"

enum mmio_discovery { MMIO_DISCOVERY_ACPI, MMIO_DISCOVERY_CMDLINE, MMIO_DISCOVERY_DTB };
enum mistake_policy { MISTAKE_FAIL, MISTAKE_REPORT };
enum guest_policy { POLICY_EXIT, POLICY_FAIL, POLICY_RESTART, POLICY_DUMP };
enum seccomp_mode { SECCOMP_OFF, SECCOMP_LOG, SECCOMP_ON };
enum net_backend { NET_USER, NET_TAP };
enum net_duplex { NET_DUPLEX_UNKNOWN, NET_DUPLEX_HALF, NET_DUPLEX_FULL };
enum vhost_mode { VHOST_AUTO, VHOST_OFF, VHOST_REQUIRE };
enum hinting_mode { HINTING_NO, HINTING_YES, HINTING_START };
enum huge_pages { HUGE_PAGES_NO, HUGE_PAGES_2M, HUGE_PAGES_1G };
enum presence { PRESENCE_OFF, PRESENCE_ON };

/* Where the vhost devices are, unless somebody says otherwise. */
#define CONFIG_VHOST_NET "/dev/vhost-net"
#define CONFIG_VHOST_VSOCK "/dev/vhost-vsock"

/* Where a console of the guest leads to. */
enum target_kind {
	TARGET_OFF,		/* the device does not exist */
	TARGET_NULL,		/* it exists, nobody listens */
	TARGET_STDIO,
	TARGET_FILE,
	TARGET_STATUS,		/* a port: what is written there is the guest's exit status */
};
struct target {
	enum target_kind kind;
	char *path;		/* of TARGET_FILE */
};

/* What can be said about every virtio device. */
enum { TRANSPORT_OF_VM = -1 };
struct device_settings {
	int transport;		/* enum virtio_transport_kind, or TRANSPORT_OF_VM */
	struct feature_wishes features;
	bool iommu;		/* behind the virtio IOMMU */
};

struct text_list {
	char **item;
	unsigned n;
};

struct disk_settings {
	char *name;		/* never NULL after config_validate */
	char *path;
	char *socket;		/* of a vhost-user back end that has the disk, or NULL */
	char *serial;
	bool readonly, ephemeral, direct;
	int engine;		/* enum virtio_blk_engine */
	unsigned queues, queue_size, block_size;
	struct device_settings device;
};

struct balloon_settings {
	bool given;		/* any of them was: there is a balloon */
	uint64_t size;		/* what the guest shall give back, bytes */
	uint64_t stats_ms;	/* how often statistics are asked for; 0: not offered */
	bool deflate_on_oom, reporting, poison, must_tell_host;
	enum hinting_mode hinting;
};

struct net_settings {
	char *name;		/* never NULL after config_validate */
	enum net_backend backend;
	char *mac;		/* as text, NULL: made of the names */
	uint8_t address[6];	/* no setting: what 'mac' comes to, by config_validate */
	unsigned queues, queue_size, mtu, speed;
	enum net_duplex duplex;
	bool link;
	char *capture;
	/* of NET_USER */
	struct text_list forward;
	bool restrict_guest, ipv6;
	/* of NET_TAP */
	char *ifname;
	unsigned fd;		/* 0: none */
	enum vhost_mode vhost;
	char *vhost_path;
	unsigned vhost_poll_us;
	struct device_settings device;
};

struct vsock_settings {
	bool given;
	char *cid;		/* "auto" or a number */
	enum vhost_mode vhost;
	char *socket;
	unsigned fd;		/* 0: none */
	char *vhost_path;
	struct device_settings device;
};

struct scsi_settings {
	char *name;		/* never NULL after config_validate */
	char *wwpn;
	unsigned queues;
	char *vhost_path;
	struct device_settings device;
};

/* A named port of the console device: exactly one of its three ends is given. */
struct port_settings {
	char *name;		/* never NULL after config_validate */
	unsigned fd;		/* 0: none */
	char *socket;
	struct target to;	/* TARGET_OFF: none */
};

/* A folder of the host: by a virtiofsd of ours ('path'), or of somebody else ('socket'). */
struct share_settings {
	char *name;		/* the tag; never NULL after config_validate */
	char *path;
	bool readonly;
	char *socket;
	char *program;		/* the virtiofsd; NULL: where it usually is */
	bool submounts;		/* the guest is told where other file systems begin */
	unsigned queues;
	struct device_settings device;
};

struct iommu_settings {
	bool given;		/* any of them was: it needs a device behind it */
	bool bypass;
	struct device_settings device;	/* never behind itself */
};

/* Who the machine is; NULL: not told. */
struct smbios_settings {
	char *manufacturer, *product, *version, *serial, *sku, *family;
	char *uuid;		/* as text, NULL: made of the VM's name */
	struct text_list oem_strings;
};

/* A file's name, or a content with a newline in it (OPTION_CONTENT); NULL: not given. */
struct cloud_init_settings {
	bool given;
	char *user_data, *meta_data, *network_config;
	struct device_settings device;	/* of the disk 'cidata' */
};

struct numa_settings {
	char *name;		/* never NULL after config_validate */
	uint64_t memory;
	struct text_list cpus;	/* numbers of vCPUs, as affinity_parse_cpus reads them */
	char *host_node;	/* a number, NULL: anywhere */
};

struct vm_config {
	/* vm */
	char *name;		/* NULL: it has none, and no run directory unless 'run_dir' */
	char *run_dir;		/* NULL: the one of its name */
	uint64_t memory;	/* bytes */
	unsigned cpus, cores, threads;
	bool prefault, merge;
	enum huge_pages hugepages;
	int thp;		/* enum memory_advice */
	struct text_list cpu_features;	/* "-avx,+aes" */
	struct text_list vcpu_affinity, io_affinity;	/* see affinity.h */
	char *kvm_path;
	int transport;		/* enum virtio_transport_kind */
	struct feature_wishes features;	/* of all devices */
	enum mmio_discovery mmio_discovery;
	unsigned io_threads, poll_us;
	uint64_t timeout_ms;	/* 0: none */
	enum guest_policy on_poweroff, on_reboot, on_halt, on_panic, on_crash;
	enum seccomp_mode seccomp;
	bool strict_driver;
	bool timing;
	char *trace;		/* NULL: no trace */
	char *dump;		/* where POLICY_DUMP writes to; or NULL */
	enum mistake_policy on_driver_mistake;
	/* boot */
	char *kernel, *initrd;
	char *cmdline;		/* NULL: the default one */
	char *append;
	bool unpack;
	char *symbols;		/* a System.map or vmlinux; NULL: none */
	struct text_list credentials;	/* "NAME=VALUE", each name once */
	struct smbios_settings smbios;
	struct cloud_init_settings cloud_init;
	/* consoles, rng */
	struct target console, serial;
	enum presence rng;
	struct balloon_settings balloon;
	struct device_settings console_device, rng_device, balloon_device;
	struct vsock_settings vsock;
	struct iommu_settings iommu;
	/* of each in the order in which they were named */
	struct disk_settings *disk;
	unsigned n_disks;
	struct net_settings *net;
	unsigned n_nets;
	struct scsi_settings *scsi;
	unsigned n_scsis;
	struct port_settings *port;
	unsigned n_ports;
	struct share_settings *share;
	unsigned n_shares;
	struct numa_settings *numa;
	unsigned n_numas;
	struct origins origins;	/* where all that came from */
};

/* Every setting at its default, no disk.  Returns 0 or -ENOMEM with an error chain. */
MUST_USE int config_init(struct vm_config *config);
void config_fini(struct vm_config *config);

/*
 * Append an object to a repeated section at its defaults, or find the one that is called 'name'
 * (len characters), or will be for want of another; borrowed until the next call.  NULL when memory
 * is short / there is none.
 */
void *config_add(struct vm_config *config, const struct option_section *section);
/* What number 'index' is called for want of another name: "disk0", to 'name'. */
enum { CONFIG_NAME_SIZE = 24, CONFIG_NAME_MAX = 64 };
void config_default_name(char name[CONFIG_NAME_SIZE], const struct option_section *section,
			 unsigned index);
void *config_find(const struct vm_config *config, const struct option_section *section,
		  const char *name, size_t len);

/* Likewise append one with a name (len characters). */
void *config_add_named(struct vm_config *config, const struct option_section *section,
		       const char *name, size_t len);

/* How many objects a repeated section has; object 'index', or its name (NULL: it has none yet). */
unsigned config_count(const struct vm_config *config, const struct option_section *section);
void *config_object(const struct vm_config *config, const struct option_section *section,
		    unsigned index);
const char *config_name(const struct vm_config *config, const struct option_section *section,
			unsigned index);
/* Which one 'object' is; 0 in a section that is not repeated. */
unsigned config_index(const struct vm_config *config, const struct option_section *section,
		      const void *object);

/* Append a disk at its defaults; borrowed until the next call.  NULL when memory is short. */
struct disk_settings *config_add_disk(struct vm_config *config);

/* The disk called 'name' (len characters), or NULL. */
struct disk_settings *config_find_disk(const struct vm_config *config, const char *name,
				       size_t len);

/*
 * The settings of virtio device 'index', or NULL: there are no more.  This is the order in which
 * devices are made and get their places: disks (for their letters), interfaces, then the others,
 * the IOMMU last.
 */
const struct device_settings *config_device(const struct vm_config *config, unsigned index);

/*
 * How that device is reached (enum virtio_transport_kind), and what is wanted of its bits: its own
 * settings, and where they say nothing those of the VM.
 */
int config_device_transport(const struct vm_config *config, unsigned index);

/* The size of the huge pages that memory is made of; 0: ordinary ones. */
uint64_t config_huge_page(const struct vm_config *config);

/* Is any device behind the virtio IOMMU, so that there is one? */
bool config_has_iommu(const struct vm_config *config);

/* How many devices are on virtio-mmio; they take the places from 0 on. */
unsigned config_count_mmio(const struct vm_config *config);
struct feature_wishes config_device_features(const struct vm_config *config, unsigned index);

/*
 * Give names to unnamed disks, and note every setting that contradicts another or, unless there are
 * mistakes already (which may be about it), is missing.
 */
void config_validate(struct vm_config *config, struct mistakes *mistakes);

/* Note if there is nothing to boot: whoever wants to run it looks at that, too. */
void config_need_kernel(const struct vm_config *config, struct mistakes *mistakes);

#endif
