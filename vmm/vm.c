#include "vmm/vm_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "devices/platform.h"
#include "virtio/transport.h"
#include "vmm/affinity.h"
#include "vmm/base/cycles.h"
#include "vmm/base/error.h"
#include "vmm/base/event_log.h"
#include "vmm/base/log.h"
#include "vmm/config_numa.h"
#include "vmm/guest_cmdline.h"
#include "vmm/machine/boot.h"
#include "vmm/machine/layout.h"
#include "vmm/sandbox.h"

/* --- What needs no VM ------------------------------------------------------------------------ */

/*
 * A disk takes half a dozen descriptors; the usual soft limit is for programs that use
 * select(2).
 */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

enum virtio_transport_kind vm_device_kind(const struct vm_config *config, unsigned index)
{
	return (enum virtio_transport_kind)config_device_transport(config, index);
}

static int open_kernel(struct vm *vm)
{
	const struct vm_config *c = vm->config;
	int r = guest_cmdline_build(&vm->cmdline, c, config_count_mmio(c));

	if (r < 0)
		return r;
	struct boot_config boot = {
		.kernel_path = c->kernel,
		.initrd_path = c->initrd,
		.cmdline = vm->cmdline,
		.no_unpack = !c->unpack,
		.device_tree = c->mmio_discovery == MMIO_DISCOVERY_DTB,
	};
	r = boot_open(&vm->boot, &boot);
	if (r < 0)
		return r;
	log_info("kernel '%s': %s", c->kernel, boot_describe(vm->boot));
	log_info("kernel command line: %s", vm->cmdline);
	return 0;
}

/* The CPUs for 'n' threads, from a list that was found to be right. */
static int read_affinity(struct affinity *affinity, const struct text_list *list, unsigned n,
			 const char *key)
{
	char why[AFFINITY_WHY_SIZE];
	int r = affinity_parse(affinity, list, n, why);

	if (r < 0)
		return error_set(-r, "vm.%s: %s", key, why);
	r = list->n ? affinity_check_host(affinity, n) : 0;
	return r < 0 ? error_add(r, "vm.%s", key) : 0;
}

/* Processes are made while there is one thread. */
static int start_shares(struct vm *vm)
{
	enum outcome_blame blame;
	int r = shares_create(&vm->shares, vm->config, vm->host.main_loop, &blame);

	vm->blames_host = r < 0 && blame == BLAME_HOST;
	return r;
}

static int start_io_threads(struct vm *vm)
{
	struct affinity affinity;
	uint64_t poll_us = event_loop_should_spin() ? vm->config->poll_us : 0;
	unsigned n = vm->config->io_threads;
	char name[16];
	static const struct text_list anywhere;
	int r = read_affinity(&affinity, vm->only_look ? &anywhere : &vm->config->io_affinity, n,
			      "io_affinity");

	if (r < 0)
		return r;
	cycles_begin();
	vm->io_loop = calloc(n, sizeof(struct event_loop *));
	if (!vm->io_loop)
		return error_set(ENOMEM, "create %u I/O threads", n);
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "io%u", i);
		r = event_loop_create(&vm->io_loop[i], name);
		if (r < 0)
			return r;
		event_loop_set_poll_limit(vm->io_loop[i], poll_us * 1000);
		r = event_loop_thread_start(vm->io_loop[i]);
		if (r == 0 && affinity.of[i])
			r = event_loop_thread_pin(vm->io_loop[i], affinity.of[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- The machine and what is on its buses ---------------------------------------------------- */

static void machine_ended(void *arg)
{
	struct vm *vm = arg;

	vm->host.ended(vm->host.arg);
}

static int create_machine(struct vm *vm)
{
	const struct vm_config *c = vm->config;
	struct machine_config config = {
		.kvm_path = c->kvm_path,
		.memory_size = c->memory,
		.n_vcpus = c->cpus,
		.threads_per_core = c->threads,
		.cores_per_socket = c->cores,
		.prefault = c->prefault,
		.memory_kind = {
			.huge_page = config_huge_page(c),
			.transparent = (enum memory_advice)c->thp,
			.merge = c->merge,
		},
		.cpu_features = (const char *const *)c->cpu_features.item,
		.n_cpu_features = c->cpu_features.n,
	};
	struct affinity affinity;
	int r = read_affinity(&affinity, &c->vcpu_affinity, c->cpus, "vcpu_affinity");

	if (r < 0)
		return r;
	if (c->vcpu_affinity.n) {
		config.vcpu_cpus = affinity.of;
		vm->sandbox_needs |= SANDBOX_AFFINITY;
	}

	/* Half a topology: what is not given follows from the rest. */
	if (config.threads_per_core && !config.cores_per_socket)
		config.cores_per_socket = c->cpus / c->threads;
	if (config.cores_per_socket && !config.threads_per_core)
		config.threads_per_core = 1;
	config_numa(c, &vm->numa);
	if (vm->numa.n_nodes)
		config.numa = &vm->numa;
	r = machine_create(&vm->machine, &config, vm->host.main_loop);
	if (r < 0)
		return r;
	vm->machine->on_outcome = machine_ended;
	vm->machine->on_outcome_arg = vm;
	shares_watch(vm->shares, vm->machine);
	return 0;
}

/* Take a platform device over, if there is one.  'r' is what its constructor returned. */
static int keep_platform(struct vm *vm, int r)
{
	if (r == 0)
		vm->n_platform++;
	return r;
}

static int create_platform(struct vm *vm)
{
	static int (*const create[])(struct platform_device **, struct machine *) = {
		acpi_pm_create, cmos_create, i8042_create, pvpanic_create, exit_port_create,
	};
	struct platform_device **next = vm->platform;
	struct chardev *serial = vm->consoles.serial;
	/* The debug port is for the earliest messages: wherever somebody may read them. */
	struct chardev *debug = serial ? serial : vm->consoles.console;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(create); i++)
		r = keep_platform(vm, create[i](&next[vm->n_platform], vm->machine));
	if (r < 0)
		return r;
	vm->power_button = vm->platform[0];
	if (serial)
		r = keep_platform(vm, uart16550_create(&next[vm->n_platform], vm->machine, serial));
	if (r == 0 && debug)
		r = keep_platform(vm, debug_console_create(&next[vm->n_platform], vm->machine,
							   debug));
	return r;
}

/* What the configuration says about device 'index', whatever it is. */
static void apply_settings(struct vm *vm, unsigned index)
{
	struct feature_wishes wishes = config_device_features(vm->config, index);

	virtio_device_want_features(vm->model[index], wishes.on, wishes.off);
	vm_require_platform(vm, index);
	vm->model[index]->strict = vm->config->strict_driver;
}

static int check_places(struct vm *vm)
{
	unsigned n_mmio = config_count_mmio(vm->config);

	if (n_mmio > LAYOUT_MAX_VIRTIO_MMIO)
		return error_set(ENOSPC, "put %u virtio devices on virtio-mmio: %d are the most",
				 n_mmio, LAYOUT_MAX_VIRTIO_MMIO);
	return 0;
}

/* Device 'index' over its transport; PCI and virtio-mmio count their places for themselves. */
static int create_transport(struct vm *vm, unsigned index, unsigned *n_mmio)
{
	enum virtio_transport_kind kind = vm_device_kind(vm->config, index);
	struct virtio_device *model = vm->model[index];

	apply_settings(vm, index);
	vm->model[index] = NULL;	/* consumed */
	event_note(EVENT_DEVICE_CREATED, model->name, 0, "%s", virtio_transport_name(kind));
	if (virtio_transport_is_mmio(kind))
		return virtio_mmio_create(&vm->transport[index], vm->machine, model, kind,
					  (*n_mmio)++);
	return virtio_pci_create(&vm->transport[index], vm->machine, model, kind);
}

static int create_transports(struct vm *vm)
{
	unsigned n_mmio = 0, n_pci = vm->n_models - config_count_mmio(vm->config);
	int r = check_places(vm);

	if (r < 0)
		return r;
	/* Disks keep the user's order, however many there are. */
	vm->machine->pci.dense = n_pci > PCI_N_SLOTS - 1;
	for (unsigned i = 0; i < vm->n_models; i++) {
		r = create_transport(vm, i, &n_mmio);
		if (r == -ENOSPC && !virtio_transport_is_mmio(vm_device_kind(vm->config, i)))
			return error_add(r, "put %u virtio devices on PCI (number %u did not fit)",
					 n_pci, i + 1 - n_mmio);
		if (r < 0)
			return r;
		vm->n_transports++;
		r = vm_put_behind_iommu(vm, i);
		if (r < 0)
			return r;
	}
	return 0;
}

int vm_settle_features(struct vm *vm, unsigned index)
{
	apply_settings(vm, index);
	return virtio_transport_settle_features(vm->model[index],
						vm_device_kind(vm->config, index));
}

/* Of all devices, which are only looked at. */
static int settle_features(struct vm *vm)
{
	int r = check_places(vm);

	for (unsigned i = 0; r == 0 && i < vm->n_models; i++)
		r = vm_settle_features(vm, i);
	return r;
}

/* For the ACPI tables or the device tree; dump_dtb.c says the same before there is a machine. */
static void describe_to_acpi(struct vm *vm)
{
	const struct vm_config *c = vm->config;
	bool listed = c->mmio_discovery != MMIO_DISCOVERY_CMDLINE;

	vm->machine->acpi = (struct acpi_config){
		.n_vcpus = vm->machine->n_vcpus,
		.apic_id = vm->machine->apic_id,
		.n_virtio_mmio = listed ? config_count_mmio(c) : 0,
		.has_uart = vm->consoles.serial != NULL,
		.has_cmos = true,
		.has_pvpanic = true,
		.numa = vm->numa.n_nodes ? &vm->numa : NULL,
		.viot = vm_viot(vm),
	};
}

/* The texts; what the machine is made of stands there already. */
static int describe_identity(struct vm *vm)
{
	return identity_create(&vm->identity, vm->config, &vm->machine->smbios);
}

int vm_load(struct vm *vm)
{
	struct boot_entry entry;
	int r = boot_load(vm->boot, vm->machine, &entry);

	return r < 0 ? r : machine_set_entry(vm->machine, &entry);
}

/* --- Life ------------------------------------------------------------------------------------ */

/* One step of making a VM, and what is to blame when it fails. */
struct step {
	int (*make)(struct vm *vm);
	enum outcome_blame blame;
	const char *phase;		/* of the boot timeline that begins with it; or NULL */
};

static int open_consoles(struct vm *vm)
{
	if (vm->only_look)
		return consoles_pretend(&vm->consoles, vm->config, vm->host.main_loop);
	return consoles_open(&vm->consoles, vm->config, vm->host.main_loop, &vm->host.filter,
			     &vm->host.copy);
}

static int describe_and_load(struct vm *vm)
{
	int r = describe_identity(vm);

	describe_to_acpi(vm);
	return r < 0 ? r : vm_load(vm);
}

static int create(struct vm **out, struct vm *vm, const struct step *step, size_t n_steps,
		  enum outcome_blame *blame)
{
	int r = 0;

	vm->consoles = (struct consoles)CONSOLES_INIT;
	raise_descriptor_limit();
	for (size_t i = 0; r == 0 && i < n_steps; i++) {
		if (step[i].phase)
			event_note(EVENT_PHASE, NULL, 0, "%s", step[i].phase);
		r = step[i].make(vm);
		if (r < 0)
			*blame = vm->blames_host ? BLAME_HOST : step[i].blame;
	}
	if (r < 0) {
		vm_destroy(vm);
		return r;
	}
	*out = vm;
	return 0;
}

int vm_create(struct vm **out, const struct vm_config *config, const struct vm_host *host,
	      enum outcome_blame *blame)
{
	static const struct step steps[] = {
		{ open_consoles, BLAME_FILE, "files" },
		{ open_kernel, BLAME_FILE, NULL },
		{ start_shares, BLAME_FILE, "devices" },
		{ start_io_threads, BLAME_VIREO, NULL },
		{ vm_create_models, BLAME_FILE, NULL },
		{ create_machine, BLAME_HOST, "KVM" },
		{ create_platform, BLAME_VIREO, "buses" },
		{ create_transports, BLAME_VIREO, NULL },
		{ describe_and_load, BLAME_VIREO, "kernel" },
	};
	struct vm *vm = calloc(1, sizeof(*vm));

	*out = NULL;
	*blame = BLAME_VIREO;
	if (!vm)
		return error_set(ENOMEM, "create the VM");
	vm->config = config;
	vm->host = *host;
	return create(out, vm, steps, ARRAY_SIZE(steps), blame);
}

int vm_look(struct vm **out, const struct vm_config *config, struct event_loop *main_loop,
	    enum outcome_blame *blame)
{
	static const struct step steps[] = {
		{ open_consoles, BLAME_VIREO, NULL },
		{ start_io_threads, BLAME_VIREO, NULL },
		{ vm_create_models, BLAME_FILE, NULL },
		{ settle_features, BLAME_VIREO, NULL },
	};
	struct vm *vm = calloc(1, sizeof(*vm));

	*out = NULL;
	*blame = BLAME_VIREO;
	if (!vm)
		return error_set(ENOMEM, "look at the VM's devices");
	vm->config = config;
	vm->only_look = true;
	vm->host.main_loop = main_loop;
	return create(out, vm, steps, ARRAY_SIZE(steps), blame);
}

int vm_examine(const struct vm_config *config, struct event_loop *main_loop, vm_found_fn *found,
	       void *arg)
{
	static const struct step steps[] = {
		{ check_places, BLAME_VIREO, NULL },
		{ open_consoles, BLAME_VIREO, NULL },
		{ start_io_threads, BLAME_VIREO, NULL },
		{ vm_create_models, BLAME_VIREO, NULL },
	};
	struct vm *vm = calloc(1, sizeof(*vm));
	enum outcome_blame blame;
	int r;

	if (!vm)
		return error_set(ENOMEM, "look at the VM's devices");
	vm->config = config;
	vm->only_look = true;
	vm->found = found;
	vm->found_arg = arg;
	vm->host.main_loop = main_loop;
	r = create(&vm, vm, steps, ARRAY_SIZE(steps), &blame);
	if (r == 0)
		vm_destroy(vm);
	return r;
}

/* Devices leave the buses before the machine goes; nothing runs in the guest any more. */
static void destroy_devices(struct vm *vm)
{
	if (vm->machine) {
		machine_pause(vm->machine);
		machine_lock(vm->machine);
		for (unsigned i = vm->n_transports; i > 0; i--)
			virtio_transport_destroy(vm->transport[i - 1]);
		for (unsigned i = vm->n_platform; i > 0; i--)
			platform_device_destroy(vm->platform[i - 1]);
		machine_unlock(vm->machine);
	}
	for (unsigned i = 0; i < vm->n_models; i++)
		if (vm->model[i])
			vm->model[i]->ops->destroy(vm->model[i]);
	free(vm->transport);
	free(vm->model);
}

void vm_destroy(struct vm *vm)
{
	if (!vm)
		return;
	destroy_devices(vm);
	shares_destroy(vm->shares);
	vm_destroy_iommu(vm);
	machine_destroy(vm->machine);
	for (unsigned i = 0; vm->io_loop && i < vm->config->io_threads; i++)
		event_loop_destroy(vm->io_loop[i]);
	free(vm->io_loop);
	consoles_close(&vm->consoles);
	boot_close(vm->boot);
	identity_destroy(&vm->identity);
	free(vm->cmdline);
	free(vm);
}
