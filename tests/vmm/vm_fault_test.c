/*
 * A whole VM on the host's KVM is built and taken down while each call to the system fails once:
 * the user reads why, and nothing is left.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/slirp_library.h"
#include "tests/support/fault.h"
#include "tests/support/kernel_files.h"
#include "tests/support/memory_file.h"
#include "tests/support/temp_disk.h"
#include "virtio/transport.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/machine/kvm.h"
#include "vmm/option_table.h"
#include "vmm/vm.h"

static struct vm_config config;
static struct memory_file kernel;
static struct temp_disk image;
static struct event_loop *loop;

static void setup(void)
{
	static struct kernel_file elf, bzimage;
	int fd;

	if (kvm_open("/dev/kvm", &fd) < 0)
		cr_skip_test("/dev/kvm: %s", strerror(error_errno()));
	close(fd);
	log_set_level(LOG_ERROR);
	kernel_file_elf(&elf, 64);
	if (kernel_file_bzimage(&bzimage, &elf, UNPACK_GZIP))
		memory_file_create(&kernel, bzimage.data, bzimage.len);
	else
		memory_file_create(&kernel, elf.data, elf.len);
	temp_disk_create(&image, NULL, 1 << 20);
	cr_assert_eq(event_loop_create(&loop, "main"), 0);
	cr_assert_eq(config_init(&config), 0);
	free(config.kernel);
	config.kernel = strdup(kernel.path);
	config.memory = MIB(64);
	config.cpus = 1;
	config.console.kind = TARGET_NULL;
	config.serial.kind = TARGET_NULL;
}

static void teardown(void)
{
	config_fini(&config);
	event_loop_destroy(loop);
	temp_disk_remove(&image);
	memory_file_destroy(&kernel);
}

TestSuite(vm_fault, .init = setup, .fini = teardown, .timeout = 120);

static void ended(void *arg)
{
	(void)arg;
}

static int build(void *arg)
{
	const struct vm_host host = { .main_loop = loop, .ended = ended };
	enum outcome_blame blame;
	struct vm *vm;
	int r = vm_create(&vm, &config, &host, &blame);

	(void)arg;
	if (r == 0)
		vm_destroy(vm);
	return r;
}

static void add_disk(void)
{
	struct mistakes mistakes = { 0 };
	struct disk_settings *disk = config_add_disk(&config);

	cr_assert_not_null(disk);
	disk->path = strdup(image.path);
	config_validate(&config, &mistakes);
}

Test(vm_fault, pci_with_a_disk)
{
	add_disk();
	cr_assert_geq(fault_each(build, NULL), 100u);
}

Test(vm_fault, mmio_without_a_disk)
{
	config.transport = VIRTIO_MMIO;
	cr_assert_geq(fault_each(build, NULL), 80u);
}

static void settle(void)
{
	struct mistakes mistakes = { 0 };

	config_validate(&config, &mistakes);
	cr_assert_eq(mistakes.n, 0, "%s", mistakes.line[0]);
}

/* libslirp itself cannot run out of memory: only what we do around it fails. */
Test(vm_fault, user_net)
{
	const struct slirp_library *library;

	if (slirp_library_load(&library) < 0)
		cr_skip_test("%s", error_text());
	for (unsigned i = 0; i < option_sections_len; i++)
		if (!strcmp(option_sections[i].name, "nets"))
			cr_assert_not_null(config_add(&config, &option_sections[i]));
	settle();
	cr_assert_geq(fault_each(build, NULL), 100u);
}

/* And no socket is left behind, wherever it ends. */
Test(vm_fault, vsock_in_process)
{
	char path[128], other[160];

	snprintf(path, sizeof(path), "%s.vsock", image.path);
	snprintf(other, sizeof(other), "%s.seqpacket", path);
	config.vsock.given = true;
	config.vsock.vhost = VHOST_OFF;
	config.vsock.socket = strdup(path);
	settle();
	cr_assert_geq(fault_each(build, NULL), 100u);
	cr_expect_neq(access(path, F_OK), 0);
	cr_expect_neq(access(other, F_OK), 0);
}

Test(vm_fault, iommu)
{
	add_disk();
	config.disk[0].device.iommu = true;
	config.rng_device.iommu = true;
	settle();
	cr_assert_geq(fault_each(build, NULL), 110u);
}
