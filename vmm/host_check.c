#include "vmm/host_check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/slirp_library.h"
#include "vmm/affinity.h"
#include "vmm/base/error.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/fd.h"
#include "vmm/base/text.h"
#include "vmm/config_mistake.h"
#include "vmm/guest_cmdline.h"
#include "vmm/machine/boot.h"
#include "vmm/machine/machine_probe.h"
#include "vmm/report/symbols.h"
#include "vmm/vm.h"

enum { REASON_SIZE = 480 };

struct check {
	const struct vm_config *config;
	struct mistakes *mistakes;
	struct mistakes *warnings;
};

/* The chain in one line, "what: why: strerror; hint"; it is cleared. */
static const char *take_reason(char buf[REASON_SIZE])
{
	struct error_chain chain;
	size_t len = 0;

	error_save(&chain);
	error_clear();
	buf[0] = '\0';
	for (unsigned i = chain.n; i > 0 && len < REASON_SIZE; i--)
		len += (size_t)snprintf(buf + len, REASON_SIZE - len, "%s%s", len ? ": " : "",
					chain.line[i - 1]);
	/* These say nothing that the sentence does not. */
	bool is_judgement = chain.err == EINVAL || chain.err == ENOEXEC || chain.err == E2BIG;
	if (!is_judgement && len < REASON_SIZE)
		len += (size_t)snprintf(buf + len, REASON_SIZE - len, ": %s", strerror(chain.err));
	if (chain.hint[0] && len < REASON_SIZE)
		snprintf(buf + len, REASON_SIZE - len, "; %.300s", chain.hint);
	return buf;
}

/* Note the chain, about one setting. */
static void found(struct check *c, const char *section, unsigned item, const char *key,
		  enum outcome_blame blame)
{
	int status = outcome_of_error(blame, error_errno());
	struct origin at = config_origin(c->config, section, item, key);
	char label[CONFIG_LABEL_SIZE], reason[REASON_SIZE];

	mistakes_add_at(c->mistakes, &at, status, "%s: %s",
			config_label(label, c->config, section, item, key), take_reason(reason));
}

/* --- Files ----------------------------------------------------------------------------------- */

/* May a file be written, or made where there is none?  Nothing is opened: that would empty it. */
static int check_writable(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory;
	int r;

	if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0)
		return 0;
	if (errno != ENOENT)
		return error_set(errno, "write '%s'", path);
	directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	if (!directory)
		return error_set(ENOMEM, "write '%s'", path);
	r = faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0 ? 0 : -errno;
	free(directory);
	return r < 0 ? error_set(r, "make '%s'", path) : 0;
}

static void check_target(struct check *c, const char *section, unsigned item,
			 const struct target *target)
{
	struct stat st;

	if (target->kind != TARGET_FILE)
		return;
	if (stat(target->path, &st) == 0 && S_ISDIR(st.st_mode))
		error_set(EISDIR, "write '%s'", target->path);
	else if (check_writable(target->path) == 0)
		return;
	found(c, section, item, "to", BLAME_FILE);
}

/* Descriptors are there when it runs, or not; where a socket will be can be told now. */
static void check_ports(struct check *c)
{
	const struct vm_config *config = c->config;
	struct stat st;

	for (unsigned i = 0; i < config->n_ports; i++) {
		const struct port_settings *port = &config->port[i];

		check_target(c, "ports", i, &port->to);
		if (!port->socket)
			continue;
		if (stat(port->socket, &st) == 0 && !S_ISSOCK(st.st_mode))
			error_set(EEXIST, "'%s' is there and is not a socket", port->socket);
		else if (check_writable(port->socket) == 0)
			continue;
		found(c, "ports", i, "socket", BLAME_FILE);
	}
}

static int open_kernel(const struct vm_config *config, const char *cmdline, bool initrd)
{
	const struct boot_config boot = {
		.kernel_path = config->kernel,
		.initrd_path = initrd ? config->initrd : NULL,
		.cmdline = cmdline,
		.no_unpack = !config->unpack,
		.device_tree = config->mmio_discovery == MMIO_DISCOVERY_DTB,
	};
	struct boot *b;
	int r = boot_open(&b, &boot);

	if (r == 0)
		boot_close(b);
	return r;
}

static void check_kernel(struct check *c)
{
	const struct vm_config *config = c->config;
	char *cmdline = NULL;
	int r = guest_cmdline_build(&cmdline, config, config_count_mmio(config));

	if (r < 0) {
		found(c, "boot", 0, "cmdline", BLAME_FILE);
		return;
	}
	r = open_kernel(config, cmdline, false);
	if (r < 0)
		found(c, "boot", 0, r == -E2BIG ? config->cmdline ? "cmdline" : "append" : "kernel",
		      BLAME_FILE);
	else if (config->initrd && open_kernel(config, cmdline, true) < 0)
		found(c, "boot", 0, "initrd", BLAME_FILE);
	/* The kernel is not there, but whether the initrd is can be told all the same. */
	if (r < 0 && config->initrd && faccessat(AT_FDCWD, config->initrd, R_OK, AT_EACCESS) < 0) {
		error_set(errno, "open '%s'", config->initrd);
		found(c, "boot", 0, "initrd", BLAME_FILE);
	}
	free(cmdline);
}

/* What reports read, and where they go. */
static void check_reports(struct check *c)
{
	const struct vm_config *config = c->config;
	bool dumps = config->on_panic == POLICY_DUMP || config->on_crash == POLICY_DUMP;
	struct symbols *symbols = NULL;

	if (config->symbols && symbols_open(&symbols, config->symbols) < 0)
		found(c, "boot", 0, "symbols", BLAME_FILE);
	symbols_close(symbols);
	if (config->trace && check_writable(config->trace) < 0)
		found(c, "vm", 0, "trace", BLAME_FILE);
	if (dumps && config->dump && check_writable(config->dump) < 0)
		found(c, "vm", 0, "dump", BLAME_FILE);
}

/* --- Devices --------------------------------------------------------------------------------- */

/* Which key of a device is to blame more than the others; NULL: the device. */
static const char *blamed_key(const struct vm_config *config, const char *section, unsigned item)
{
	if (!strcmp(section, "disks"))
		return config->disk[item].socket ? "socket" : "path";
	if (!strcmp(section, "scsis"))
		return "wwpn";
	if (!strcmp(section, "shares")) {
		const struct share_settings *share = &config->share[item];

		if (share->program && access(share->program, X_OK) < 0)
			return "program";
		return share->socket ? "socket" : "path";
	}
	if (strcmp(section, "nets") != 0)
		return NULL;
	return config->net[item].vhost == VHOST_REQUIRE ? "vhost" : "backend";
}

static void device_found(void *arg, const char *section, unsigned item, enum outcome_blame blame)
{
	struct check *c = arg;
	const char *key = blamed_key(c->config, section, item);

	/* What a device cannot offer was demanded of it, or of all. */
	if (error_errno() == EINVAL && key && strcmp(key, "path") != 0)
		key = NULL;
	found(c, section, item, key, blame);
}

/* Does somebody hold a lock that disk_open() would have to wait for?  None is taken. */
static bool is_locked(const char *path, bool reads)
{
	struct flock lock = { .l_type = reads ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	bool locked = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;

	fd_close(&fd);
	return locked;
}

/* What looking at a device does not try. */
static void check_disk(struct check *c, unsigned i)
{
	const struct disk_settings *disk = &c->config->disk[i];
	bool reads = disk->readonly || disk->ephemeral;

	/* Whether it is there at all was said already; a back end's file is that one's business. */
	if (disk->socket || faccessat(AT_FDCWD, disk->path, R_OK, AT_EACCESS) < 0)
		return;
	if (!reads && faccessat(AT_FDCWD, disk->path, W_OK, AT_EACCESS) < 0) {
		error_set(errno, "open '%s' for writing", disk->path);
		error_hint("if it is only to be read, say 'readonly', or 'ephemeral' to write to a "
			   "throw-away overlay");
		found(c, "disks", i, "path", BLAME_FILE);
	} else if (is_locked(disk->path, reads)) {
		error_set(EAGAIN, "'%s' is in use by another VM (or program)", disk->path);
		found(c, "disks", i, "path", BLAME_FILE);
	}
}

static void check_net(struct check *c, unsigned i)
{
	const struct net_settings *net = &c->config->net[i];
	const struct slirp_library *library;

	if (net->backend == NET_USER && slirp_library_load(&library) < 0)
		found(c, "nets", i, "backend", BLAME_FILE);
	if (net->capture && check_writable(net->capture) < 0)
		found(c, "nets", i, "capture", BLAME_FILE);
}

static void check_devices(struct check *c)
{
	struct event_loop *loop = NULL;
	int r = event_loop_create(&loop, "main");

	if (r == 0)
		r = vm_examine(c->config, loop, device_found, c);
	event_loop_destroy(loop);
	if (r < 0)
		found(c, "vm", 0, NULL, BLAME_VIREO);
	for (unsigned i = 0; i < c->config->n_disks; i++)
		check_disk(c, i);
	for (unsigned i = 0; i < c->config->n_nets; i++)
		check_net(c, i);
}

/* --- The machine ----------------------------------------------------------------------------- */

static void check_machine(struct check *c)
{
	static const char *const key[] = {
		[MACHINE_PART_KVM] = "kvm", [MACHINE_PART_CPUS] = "cpus",
		[MACHINE_PART_MEMORY] = "memory", [MACHINE_PART_CPU_FEATURES] = "cpu_features",
		[MACHINE_PART_HUGE_PAGES] = "hugepages",
	};
	struct machine_config config = {
		.kvm_path = c->config->kvm_path,
		.memory_size = c->config->memory,
		.memory_kind = { .huge_page = config_huge_page(c->config) },
		.n_vcpus = c->config->cpus,
		.threads_per_core = c->config->threads,
		.cores_per_socket = c->config->cores,
		.cpu_features = (const char *const *)c->config->cpu_features.item,
		.n_cpu_features = c->config->cpu_features.n,
	};
	enum machine_part part;

	if (machine_probe(&config, &part) < 0)
		found(c, "vm", 0, key[part], BLAME_HOST);
}

static void check_affinity(struct check *c)
{
	const struct vm_config *config = c->config;
	char why[AFFINITY_WHY_SIZE];
	struct affinity affinity;

	/* What is no list of CPUs was said already. */
	if (affinity_parse(&affinity, &config->vcpu_affinity, config->cpus, why) == 0 &&
	    affinity_check_host(&affinity, config->cpus) < 0)
		found(c, "vm", 0, "vcpu_affinity", BLAME_HOST);
	if (affinity_parse(&affinity, &config->io_affinity, config->io_threads, why) == 0 &&
	    affinity_check_host(&affinity, config->io_threads) < 0)
		found(c, "vm", 0, "io_affinity", BLAME_HOST);
}

/* A number of KiB behind 'name' in /proc/meminfo, as bytes; 0 if there is none. */
static uint64_t meminfo(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "re");
	uint64_t kib, found = 0;
	char line[128], key[64];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63[^:]: %" SCNu64, key, &kib) == 2 && !strcmp(key, name))
			found = kib << 10;
	if (f)
		fclose(f);
	return found;
}

/* What the container or service may use (cgroup v2 as seen inside); UINT64_MAX: no limit. */
static uint64_t memory_limit(void)
{
	FILE *f = fopen("/sys/fs/cgroup/memory.max", "re");
	uint64_t limit = UINT64_MAX;

	if (f && fscanf(f, "%" SCNu64, &limit) != 1)
		limit = UINT64_MAX;
	if (f)
		fclose(f);
	return limit;
}

/*
 * Memory is taken when the guest touches it, so that more than is available now is a risk and no
 * mistake; with 'prefault' all of it is taken at once.
 */
static void check_memory(struct check *c)
{
	uint64_t available = meminfo("MemAvailable");
	uint64_t total = meminfo("MemTotal") + meminfo("SwapTotal");
	uint64_t limit = memory_limit();
	bool prefault = c->config->prefault;
	uint64_t most = min_u64(prefault ? available : total, limit);
	struct origin at = config_origin(c->config, "vm", 0, "memory");
	char wanted[24], there[24], label[CONFIG_LABEL_SIZE];

	if (most == 0 || c->config->memory <= most)
		return;
	text_format_size(wanted, c->config->memory);
	text_format_size(there, most & ~(uint64_t)(MIB(1) - 1));
	config_label(label, c->config, "vm", 0, "memory");
	if (prefault) {
		error_set(ENOMEM, "take %s from this host at the start: %s are available", wanted,
			  there);
		found(c, "vm", 0, "memory", BLAME_HOST);
		return;
	}
	mistakes_add_at(c->warnings, &at, 0, "warning: %s: %s is more than this host has (%s): the "
			"guest ends when it uses that much", label, wanted, there);
}

/* Nodes of the host that memory shall come from. */
static void check_nodes(struct check *c)
{
	for (unsigned i = 0; i < c->config->n_numas; i++) {
		const char *node = c->config->numa[i].host_node;
		char path[80];

		if (!node)
			continue;
		/* A kernel without NUMA has no folder: then nothing is known. */
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%.16s", node);
		if (access("/sys/devices/system/node/node0", F_OK) < 0 || access(path, F_OK) == 0)
			continue;
		error_set(ENODEV, "this host has no node %.16s", node);
		found(c, "numa", i, "host_node", BLAME_HOST);
	}
}

void host_check(const struct vm_config *config, struct mistakes *mistakes,
		struct mistakes *warnings)
{
	struct check c = { config, mistakes, warnings };

	check_target(&c, "console", 0, &config->console);
	check_target(&c, "serial", 0, &config->serial);
	check_ports(&c);
	check_kernel(&c);
	check_reports(&c);
	check_devices(&c);
	check_machine(&c);
	check_affinity(&c);
	check_memory(&c);
	check_nodes(&c);
}
