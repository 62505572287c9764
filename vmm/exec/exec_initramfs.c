#include "vmm/exec/exec_initramfs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "virtio/transport.h"
#include "vmm/agent/agent_image.h"
#include "vmm/base/error.h"
#include "vmm/exec/cpio.h"
#include "vmm/exec/kernel_modules.h"
#include "vmm/machine/boot_file.h"

/* --- Modules --------------------------------------------------------------------------------- */

static bool wants_pci(const struct exec_guest *guest, const struct vm_config *config)
{
	(void)guest;
	for (unsigned i = 0; config_device(config, i); i++) {
		int kind = config_device_transport(config, i);

		if (kind != VIRTIO_MMIO && kind != VIRTIO_MMIO_LEGACY)
			return true;
	}
	return false;
}

static bool wants_mmio(const struct exec_guest *guest, const struct vm_config *config)
{
	(void)guest;
	return config_count_mmio(config) > 0;
}

static bool wants_share(const struct exec_guest *guest, const struct vm_config *config)
{
	(void)config;
	return *guest->root || guest->wish->writable.n > 0;
}

static bool wants_root(const struct exec_guest *guest, const struct vm_config *config)
{
	(void)config;
	return *guest->root != 0;
}

static bool wants_disk(const struct exec_guest *guest, const struct vm_config *config)
{
	(void)guest;
	return config->n_disks > 0;
}

static bool wants_net(const struct exec_guest *guest, const struct vm_config *config)
{
	(void)guest;
	return config->n_nets > 0;
}

static bool wants_scsi(const struct exec_guest *guest, const struct vm_config *config)
{
	(void)guest;
	return config->n_scsis > 0;
}

static bool wants_vsock(const struct exec_guest *guest, const struct vm_config *config)
{
	(void)guest;
	return config->vsock.given;
}

static bool wants_balloon(const struct exec_guest *guest, const struct vm_config *config)
{
	(void)guest;
	return config->balloon.given;
}

/* Drivers on the way to the agent and to the root, and those of the VM's other devices. */
static const struct {
	const char *name;
	bool (*wanted)(const struct exec_guest *guest, const struct vm_config *config);
	bool optional;
} drivers[] = {
	{ "virtio_pci", wants_pci, false },
	{ "virtio_mmio", wants_mmio, false },
	{ "virtio_console", NULL, false },
	{ "virtiofs", wants_share, false },
	{ "overlay", wants_root, false },
	{ "virtio_blk", wants_disk, true },
	{ "virtio_net", wants_net, true },
	{ "virtio_scsi", wants_scsi, true },
	{ "vmw_vsock_virtio_transport", wants_vsock, true },
	{ "virtio_balloon", wants_balloon, true },
};

static int need_drivers(struct kernel_modules *modules, const struct exec_guest *guest,
			const struct vm_config *config)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(drivers); i++) {
		if (drivers[i].wanted && !drivers[i].wanted(guest, config))
			continue;
		r = kernel_modules_need(modules, drivers[i].name);
		if (r == -ENOENT && drivers[i].optional) {
			error_clear();
			r = 0;
		} else if (r == -ENOENT) {
			error_hint("the kernel has to have %s, built in or as a module; if it is "
				   "built in, the tree or lib/modules/RELEASE says so in "
				   "modules.builtin", drivers[i].name);
		}
	}
	return r;
}

/* --- The archive ----------------------------------------------------------------------------- */

/* Modules, and the list of them for the agent. */
static int add_modules(struct cpio *cpio, const struct kernel_modules *modules)
{
	char name[128], *list = NULL;
	size_t len;
	FILE *out = open_memstream(&list, &len);
	int r = out ? 0 : error_set(ENOMEM, "list the modules");

	for (unsigned i = 0; r == 0 && i < modules->n; i++) {
		const struct kernel_module *module = &modules->module[i];

		snprintf(name, sizeof(name), "vireo/ko/%s.ko", module->name);
		fprintf(out, "/%s\n", name);
		r = cpio_add_file(cpio, name, 0644, module->file.data, module->file.len);
	}
	if (out && fclose(out) != 0 && r == 0)
		r = error_set(ENOMEM, "list the modules");
	if (r == 0)
		r = cpio_add_file(cpio, "vireo/modules", 0644, list, len);
	free(list);
	return r;
}

/* "FILE=PATH": by default the name that it has here, at the root if it is a relative one. */
static int add_copy(struct cpio *cpio, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t from_len = equals ? (size_t)(equals - text) : strlen(text);
	char from[PATH_MAX], to[PATH_MAX];
	struct boot_file file = BOOT_FILE_INIT;
	struct stat st;
	void *data = NULL;
	int r;

	snprintf(from, sizeof(from), "%.*s", (int)from_len, text);
	snprintf(to, sizeof(to), "%s", equals ? equals + 1 : from);
	r = boot_file_open(&file, "file to copy", from);
	if (r == 0 && file.size > UINT32_MAX)
		r = error_set(EFBIG, "copy '%s' into the initramfs", from);
	if (r == 0 && fstat(file.fd, &st) < 0)
		r = error_set(errno, "copy '%s' into the initramfs", from);
	data = r == 0 ? malloc(file.size) : NULL;
	if (r == 0)
		r = data ? boot_file_read(&file, 0, data, file.size)
			 : error_set(ENOMEM, "copy '%s' into the initramfs", from);
	if (r == 0)
		r = cpio_add_file(cpio, to + strspn(to, "/"), st.st_mode & 0777, data, file.size);
	free(data);
	boot_file_close(&file);
	return r;
}

static int add_all(struct cpio *cpio, const struct exec_guest *guest,
		   const struct kernel_modules *modules)
{
	const struct text_list *copy = &guest->wish->copy;
	size_t len;
	const void *agent = agent_image(&len);
	char *orders = exec_guest_orders(guest);
	int r = orders ? 0 : error_set(ENOMEM, "write the agent's orders");

	/* The kernel gives its first process /dev/console before there is a devtmpfs. */
	if (r == 0)
		r = cpio_add_node(cpio, "dev/console", S_IFCHR | 0600, 5, 1);
	if (r == 0)
		r = cpio_add_file(cpio, "init", 0755, agent, len);
	if (r == 0)
		r = cpio_add_file(cpio, "vireo/boot", 0644, orders, strlen(orders));
	if (r == 0)
		r = add_modules(cpio, modules);
	for (unsigned i = 0; r == 0 && i < copy->n; i++)
		r = add_copy(cpio, copy->item[i]);
	free(orders);
	return r == 0 ? cpio_end(cpio) : r;
}

int exec_initramfs_write(const struct exec_guest *guest, const struct vm_config *config,
		     const char *path)
{
	const struct exec_kernel *kernel = guest->kernel;
	struct kernel_modules *modules = calloc(1, sizeof(*modules));
	struct cpio cpio = { 0 };
	FILE *out = NULL;
	int r = modules ? kernel_modules_init(modules, *kernel->modules ? kernel->modules : NULL,
					      *kernel->release ? kernel->release : NULL)
			: error_set(ENOMEM, "make an initramfs");

	if (r == 0)
		r = need_drivers(modules, guest, config);
	if (r == 0) {
		out = fopen(path, "we");
		r = out ? 0 : error_set(errno, "write '%s'", path);
	}
	if (r == 0) {
		cpio_init(&cpio, out);
		r = add_all(&cpio, guest, modules);
	}
	if (out && fclose(out) != 0 && r == 0)
		r = error_set(errno, "write '%s'", path);
	cpio_fini(&cpio);
	if (modules)
		kernel_modules_fini(modules);
	free(modules);
	return r < 0 ? error_add(r, "make an initramfs for '%s'", kernel->path) : 0;
}
