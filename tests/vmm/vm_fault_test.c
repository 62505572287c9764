/*
 * A whole VM on the host's KVM is built and taken down while each call to the system fails once:
 * the user reads why, and nothing is left.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/fault.h"
#include "tests/support/kernel_files.h"
#include "tests/support/memory_file.h"
#include "tests/support/temp_disk.h"
#include "virtio/transport.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/machine/kvm.h"
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
