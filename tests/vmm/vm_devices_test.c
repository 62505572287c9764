/*
 * The devices of a VM are made in the order of config_device(): transports, features and the IOMMU
 * take the settings of a device by its number.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/slirp_library.h"
#include "tests/support/temp_disk.h"
#include "virtio/device_account.h"
#include "vmm/base/error.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/log.h"
#include "vmm/option_table.h"
#include "vmm/vm.h"

static struct vm_config config;
static struct event_loop *loop;
static struct temp_disk image[2];
static char socket_path[64];
static int socket_fd;

/* Something that listens, for a share. */
static void make_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(socket_path, sizeof(socket_path), "/tmp/vireo-order-%d", getpid());
	memcpy(address.sun_path, socket_path, strlen(socket_path));
	socket_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(socket_fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void setup(void)
{
	make_socket();
	log_set_level(LOG_ERROR);
	cr_assert_eq(event_loop_create(&loop, "main"), 0);
	cr_assert_eq(config_init(&config), 0);
	for (unsigned i = 0; i < 2; i++)
		temp_disk_create(&image[i], NULL, 1 << 20);
}

static void teardown(void)
{
	close(socket_fd);
	unlink(socket_path);
	for (unsigned i = 0; i < 2; i++)
		temp_disk_remove(&image[i]);
	config_fini(&config);
	event_loop_destroy(loop);
}

TestSuite(vm_devices, .init = setup, .fini = teardown);

static void *add(const char *section)
{
	for (unsigned i = 0; i < option_sections_len; i++)
		if (!strcmp(option_sections[i].name, section))
			return config_add(&config, &option_sections[i]);
	return NULL;
}

/* Everything that this host can have, mixed as a command line may be. */
static void want_everything(void)
{
	const struct slirp_library *library;
	bool has_user_net = slirp_library_load(&library) == 0;

	for (unsigned i = 0; i < 2; i++) {
		struct disk_settings *disk = add("disks");
		disk->path = strdup(image[i].path);
		disk->name = strdup(i ? "second" : "first");
		if (has_user_net)
			cr_assert_not_null(add("nets"));
	}
	if (access("/dev/vhost-scsi", R_OK | W_OK) == 0)
		((struct scsi_settings *)add("scsis"))->wwpn = strdup("naa.0123456789abcdef");
	/* Any socket will do: it is not connected to. */
	struct share_settings *share = add("shares");
	share->socket = strdup(socket_path);
	share->name = strdup("src");
	config.console.kind = TARGET_NULL;
	config.serial.kind = TARGET_NULL;
	config.balloon.given = true;
	config.vsock.given = true;
	config.vsock.vhost = VHOST_OFF;
	config.vsock.socket = strdup("/tmp/vireo-order");
	error_clear();
}

/* The name that the device with these settings must have. */
static const char *name_of(const struct device_settings *device)
{
	for (unsigned i = 0; i < config.n_disks; i++)
		if (device == &config.disk[i].device)
			return config.disk[i].name;
	for (unsigned i = 0; i < config.n_nets; i++)
		if (device == &config.net[i].device)
			return config.net[i].name;
	for (unsigned i = 0; i < config.n_scsis; i++)
		if (device == &config.scsi[i].device)
			return config.scsi[i].name;
	for (unsigned i = 0; i < config.n_shares; i++)
		if (device == &config.share[i].device)
			return config.share[i].name;
	return device == &config.console_device ? "console" :
	       device == &config.rng_device ? "rng" :
	       device == &config.balloon_device ? "balloon" :
	       device == &config.vsock.device ? "vsock" :
	       device == &config.iommu.device ? "iommu" : "of nobody";
}

static void expect_order(void)
{
	struct mistakes mistakes = { 0 };
	struct device_account *made;
	enum outcome_blame blame;
	unsigned n, i = 0;
	struct vm *vm;

	config_validate(&config, &mistakes);
	cr_assert_eq(mistakes.n, 0, "%s", mistakes.line[0]);
	cr_assert_eq(vm_look(&vm, &config, loop, &blame), 0, "%s", error_text());
	cr_assert_eq(vm_accounts(vm, &made, &n), 0);
	for (; config_device(&config, i); i++) {
		cr_assert_lt(i, n);
		cr_expect_str_eq(made[i].name, name_of(config_device(&config, i)), "device %u", i);
	}
	cr_expect_eq(i, n);
	free(made);
	vm_destroy(vm);
}

Test(vm_devices, are_made_in_the_order_of_their_settings)
{
	want_everything();
	expect_order();
	config.rng_device.iommu = true;
	config.disk[1].device.iommu = true;
	expect_order();
	config.console.kind = TARGET_OFF;
	config.balloon.given = false;
	expect_order();
	config.rng = PRESENCE_OFF;
	expect_order();
}

/* One that is behind the IOMMU requires that of its driver, and no other does. */
Test(vm_devices, have_their_own_settings_and_not_their_neighbours)
{
	struct device_account *made;
	struct mistakes mistakes = { 0 };
	enum outcome_blame blame;
	struct vm *vm;
	unsigned n;

	want_everything();
	config.vsock.device.iommu = true;
	config.disk[1].device.iommu = true;
	config_validate(&config, &mistakes);
	cr_assert_eq(vm_look(&vm, &config, loop, &blame), 0, "%s", error_text());
	cr_assert_eq(vm_accounts(vm, &made, &n), 0);
	for (unsigned i = 0; i < n; i++) {
		bool offers = false;
		for (unsigned k = 0; k < made[i].n_bits; k++)
			if (made[i].bit[k].bit == VIRTIO_F_ACCESS_PLATFORM)
				offers = feature_account_is_offered(&made[i].bit[k]);
		cr_expect_eq(offers, config_device(&config, i)->iommu, "%s", made[i].name);
	}
	free(made);
	vm_destroy(vm);
}
