#include <criterion/criterion.h>
#include <string.h>

#include "virtio/transport.h"
#include "vmm/config.h"
#include "vmm/config_vsock.h"
#include "vmm/option.h"

static struct vm_config config;
static struct mistakes mistakes;

static void setup(void)
{
	cr_assert_eq(config_init(&config), 0);
	config.kernel = strdup("vmlinuz");
}

static void teardown(void)
{
	config_fini(&config);
}

TestSuite(config, .init = setup, .fini = teardown);

static struct disk_settings *add_disk(const char *path, const char *name)
{
	struct disk_settings *disk = config_add_disk(&config);

	cr_assert_not_null(disk);
	disk->path = path ? strdup(path) : NULL;
	disk->name = name ? strdup(name) : NULL;
	return disk;
}

static const char *only_mistake(void)
{
	memset(&mistakes, 0, sizeof(mistakes));
	config_need_kernel(&config, &mistakes);
	config_validate(&config, &mistakes);
	cr_assert_eq(mistakes.n, 1);
	return mistakes.line[0];
}

Test(config, the_defaults_need_only_a_kernel)
{
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 0);
	cr_expect_eq(config.memory, MIB(512));
	cr_expect_eq(config.cpus, 1);
	cr_expect_eq(config.on_reboot, POLICY_RESTART);
	cr_expect_eq(config.on_panic, POLICY_FAIL);
	cr_expect_eq(config.seccomp, HAVE_SECCOMP ? SECCOMP_ON : SECCOMP_OFF);
	cr_expect_eq(config.console.kind, TARGET_STDIO);
	cr_expect_eq(config.serial.kind, TARGET_STDIO);
	cr_expect_eq(config.rng, PRESENCE_ON);
	cr_expect(config.unpack);
	cr_expect_str_eq(config.kvm_path, "/dev/kvm");
	free(config.kernel);
	config.kernel = NULL;
	cr_expect_str_eq(only_mistake(), "which kernel? Give '--kernel FILE'");
}

Test(config, unnamed_disks_get_names)
{
	add_disk("a", NULL);
	add_disk("b", "root");
	add_disk("c", NULL);
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 0);
	cr_expect_str_eq(config.disk[0].name, "disk0");
	cr_expect_str_eq(config.disk[1].name, "root");
	cr_expect_str_eq(config.disk[2].name, "disk2");
}

Test(config, two_disks_of_one_name_are_refused)
{
	add_disk("a", "root");
	add_disk("b", "root");
	cr_expect_str_eq(only_mistake(), "disk 'root': two disks have this name ('--set' for one "
					 "stands behind its '--disk')");
}

Test(config, a_name_fits_into_a_line)
{
	add_disk("a", "x\ny");
	cr_expect_not_null(strstr(only_mistake(), "a name has no control characters"));
}

Test(config, a_name_that_vireo_gives_can_clash_too)
{
	add_disk("a", "disk1");
	add_disk("b", NULL);
	cr_expect_str_eq(only_mistake(), "disk 'disk1': two disks have this name ('--set' for one "
					 "stands behind its '--disk')");
}

Test(config, a_disk_needs_a_file)
{
	add_disk(NULL, "root");
	cr_expect_str_eq(only_mistake(), "disk 'root': which file? Give its 'path'");
}

static struct scsi_settings *add_scsi(const char *wwpn)
{
	for (unsigned i = 0; i < option_sections_len; i++) {
		if (strcmp(option_sections[i].name, "scsis"))
			continue;
		struct scsi_settings *scsi = config_add(&config, &option_sections[i]);
		cr_assert(scsi);
		scsi->wwpn = wwpn ? strdup(wwpn) : NULL;
		return scsi;
	}
	cr_assert_fail();
	return NULL;
}

Test(config, a_scsi_host_needs_a_target)
{
	add_scsi(NULL);
	cr_expect_str_eq(only_mistake(),
			 "scsi 'scsi0': which target? Give its 'wwpn', as naa.0123456789abcdef");
}

Test(config, a_target_is_called_naa_and_16_digits)
{
	static const char *const bad[] = {
		"", "naa.", "naa.500140501234567", "naa.50014050123456789", "5001405012345678",
		"iqn.5001405012345678", "naa.500140501234567g", "naa.5001405012345678\n",
		"../../../../etc/passwd",
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		add_scsi(bad[i]);
		cr_expect(strstr(only_mistake(), "is not 'naa.' and 16 hexadecimal digits"), "%s",
			  bad[i]);
		teardown();
		setup();
	}
	memset(&mistakes, 0, sizeof(mistakes));
	add_scsi("naa.500140501234abCD");
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 0);
}

static struct share_settings *add_share(const char *path, const char *name)
{
	struct share_settings *share =
		config_add(&config, option_find_section("shares", strlen("shares")));

	cr_assert(share);
	share->path = path ? strdup(path) : NULL;
	share->name = name ? strdup(name) : NULL;
	return share;
}

Test(config, a_share_needs_a_folder)
{
	add_share(NULL, NULL);
	cr_expect_str_eq(only_mistake(), "share 'share0': which folder? Give its 'path'");
}

/* covers: FS-CFG-04 */
Test(config, a_tag_has_36_bytes_at_most)
{
	add_share("/", "a23456789012345678901234567890123456");
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 0);
	teardown();
	setup();
	add_share("/", "a234567890123456789012345678901234567");
	cr_expect_not_null(strstr(only_mistake(), "by this name, which has 1 to 36 bytes"));
	teardown();
	setup();
	memset(&mistakes, 0, sizeof(mistakes));
	add_share("/", "");
	cr_expect_not_null(strstr(only_mistake(), "a name has 1 to 64 characters"));
}

Test(config, tags_are_unique)
{
	add_share("/a", "src");
	add_share("/b", "src");
	cr_expect_not_null(strstr(only_mistake(), "two shares have this name"));
}

/* What a virtiofsd of somebody else's does was decided by who started it. */
Test(config, a_socket_excludes_what_is_for_a_virtiofsd_of_ours)
{
	static const char *const said[] = { "leave one of them away", "nothing is started",
					    "have it started with --readonly" };

	for (unsigned i = 0; i < 3; i++) {
		struct share_settings *share = add_share(i == 0 ? "/" : NULL, "src");
		share->socket = strdup("/run/fs.sock");
		share->program = i == 1 ? strdup("/bin/virtiofsd") : NULL;
		share->readonly = i == 2;
		cr_expect_not_null(strstr(only_mistake(), said[i]), "%s", only_mistake());
		teardown();
		setup();
	}
}

Test(config, a_socket_has_the_name_of_an_address)
{
	struct share_settings *share = add_share(NULL, "src");
	char name[110];

	memset(name, 'x', sizeof(name));
	name[108] = '\0';
	share->socket = strdup(name);
	cr_expect_not_null(strstr(only_mistake(), "more than 107 characters"));
}

Test(config, readonly_and_ephemeral_exclude_each_other)
{
	struct disk_settings *disk = add_disk("a", NULL);

	disk->readonly = disk->ephemeral = true;
	cr_expect_not_null(strstr(only_mistake(), "exclude each other"));
}

Test(config, small_powers_of_two_are_refused_where_they_make_no_sense)
{
	add_disk("a", NULL)->block_size = 256;
	cr_expect_str_eq(only_mistake(), "disk 'disk0': block_size: 256 is less than 512");
	config.disk[0].block_size = 512;
	config.disk[0].queue_size = 2;
	cr_expect_str_eq(only_mistake(), "disk 'disk0': queue_size: 2 is less than 4");
}

Test(config, a_serial_number_has_20_bytes)
{
	add_disk("a", NULL)->serial = strdup("123456789012345678901");
	cr_expect_not_null(strstr(only_mistake(), "is longer than 20 bytes"));
}

Test(config, memory_is_whole_pages)
{
	config.memory = MIB(512) + 1024;
	cr_expect_str_eq(only_mistake(), "vm.memory: 524289K is not a multiple of 4K");
}

Test(config, a_topology_must_come_out_even)
{
	config.cpus = 6;
	config.cores = 2;
	config.threads = 2;
	cr_expect_not_null(strstr(only_mistake(), "cannot be spread"));
	config.cpus = 8;
	memset(&mistakes, 0, sizeof(mistakes));
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 0);
}

Test(config, mmio_discovery_needs_mmio)
{
	config.mmio_discovery = MMIO_DISCOVERY_CMDLINE;
	cr_expect_str_eq(only_mistake(), "vm.mmio_discovery: 'cmdline' needs a device with "
					 "transport mmio ('--transport mmio')");
	config.mmio_discovery = MMIO_DISCOVERY_DTB;
	cr_expect_str_eq(only_mistake(), "vm.mmio_discovery: 'dtb' needs a device with "
					 "transport mmio ('--transport mmio')");
}

Test(config, a_balloon_takes_less_than_all_memory)
{
	config.balloon.size = MIB(512);
	cr_expect_str_eq(only_mistake(),
			 "balloon.size: 512M is all of the guest's memory (512M) or more");
	config.balloon.size = MIB(1) + 1024;
	cr_expect_str_eq(only_mistake(), "balloon.size: 1025K is not a multiple of 4K");
	config.balloon.size = MIB(512) - 4096;
	memset(&mistakes, 0, sizeof(mistakes));
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 0);
}

Test(config, statistics_have_a_shortest_period)
{
	config.balloon.stats_ms = 99;
	cr_expect_str_eq(only_mistake(), "balloon.stats: more often than every 100 ms is too much");
}

Test(config, devices_are_listed_disks_first)
{
	add_disk("a", NULL);
	add_disk("b", NULL);
	cr_expect_eq(config_device(&config, 0), &config.disk[0].device);
	cr_expect_eq(config_device(&config, 1), &config.disk[1].device);
	cr_expect_eq(config_device(&config, 2), &config.console_device);
	cr_expect_eq(config_device(&config, 3), &config.rng_device);
	cr_expect_null(config_device(&config, 4));
	config.console.kind = TARGET_OFF;
	cr_expect_eq(config_device(&config, 2), &config.rng_device);
	cr_expect_null(config_device(&config, 3));
	config.rng = PRESENCE_OFF;
	cr_expect_null(config_device(&config, 2));
}

Test(config, a_device_has_its_own_settings_or_those_of_the_vm)
{
	add_disk("a", NULL);
	config.transport = VIRTIO_MMIO;
	features_add(&config.features.on, VIRTIO_F_RING_PACKED);
	features_add(&config.features.off, VIRTIO_F_INDIRECT_DESC);
	cr_expect_eq(config_device_transport(&config, 0), VIRTIO_MMIO);
	config.disk[0].device.transport = VIRTIO_PCI_LEGACY;
	features_add(&config.disk[0].device.features.off, VIRTIO_F_RING_PACKED);
	cr_expect_eq(config_device_transport(&config, 0), VIRTIO_PCI_LEGACY);
	cr_expect_eq(config_device_transport(&config, 1), VIRTIO_MMIO, "the console");
	struct feature_wishes disk = config_device_features(&config, 0);
	struct feature_wishes console = config_device_features(&config, 1);
	cr_expect(features_is_empty(disk.on));
	cr_expect(features_has(&disk.off, VIRTIO_F_RING_PACKED));
	cr_expect(features_has(&disk.off, VIRTIO_F_INDIRECT_DESC));
	cr_expect(features_has(&console.on, VIRTIO_F_RING_PACKED));
}

Test(config, discovery_by_command_line_needs_a_device_to_discover)
{
	config.mmio_discovery = MMIO_DISCOVERY_CMDLINE;
	cr_expect_not_null(strstr(only_mistake(), "'--transport mmio'"));
	config.rng_device.transport = VIRTIO_MMIO_LEGACY;
	memset(&mistakes, 0, sizeof(mistakes));
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 0);
}

Test(config, an_iommu_and_legacy_drivers_exclude_each_other)
{
	add_disk("a", NULL)->device.iommu = true;
	config.transport = VIRTIO_PCI_LEGACY;
	cr_expect_str_eq(only_mistake(), "disk 'disk0': iommu: 'iommu' and a legacy-only transport "
					 "exclude each other: legacy drivers know of no IOMMU");
	/* Others may be what they are. */
	config.transport = VIRTIO_PCI;
	add_disk("b", NULL)->device.transport = VIRTIO_PCI_LEGACY;
	memset(&mistakes, 0, sizeof(mistakes));
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 0);
	config.disk[0].device.transport = VIRTIO_PCI_TRANSITIONAL;
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 0);
	config.transport = VIRTIO_PCI_TRANSITIONAL;
	cr_expect_not_null(strstr(only_mistake(), "the IOMMU has no legacy interface"));
}

Test(config, an_iommu_is_found_by_acpi)
{
	add_disk("a", NULL)->device.iommu = true;
	config.transport = VIRTIO_MMIO;
	config.mmio_discovery = MMIO_DISCOVERY_DTB;
	cr_expect_not_null(strstr(only_mistake(), "vm.mmio_discovery: 'iommu' needs acpi"));
}

static void set(char **text, const char *value)
{
	free(*text);
	*text = value ? strdup(value) : NULL;
}

Test(config, vsock_has_a_cid_that_a_guest_can_have)
{
	static const char *const wrong[] = { "0", "2", "4294967295", "-1", "me", "" };
	static const char *const right[] = { "auto", "3", "4294967294", "0x10" };

	config.vsock.given = true;
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		set(&config.vsock.cid, wrong[i]);
		cr_expect(strstr(only_mistake(), "vsock.cid") != NULL, "%s", wrong[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(right); i++) {
		memset(&mistakes, 0, sizeof(mistakes));
		set(&config.vsock.cid, right[i]);
		config_validate(&config, &mistakes);
		cr_expect_eq(mistakes.n, 0, "%s", right[i]);
	}
	cr_expect_eq(config_vsock_cid(&config.vsock), 16);
	set(&config.vsock.cid, "auto");
	cr_expect_eq(config_vsock_cid(&config.vsock), 0);
}

Test(config, vsock_without_the_kernel_needs_a_place_for_its_sockets)
{
	char path[128];

	config.vsock.given = true;
	config.vsock.vhost = VHOST_OFF;
	cr_expect(strstr(only_mistake(), "needs 'socket'") != NULL);
	memset(path, 'a', sizeof(path));
	path[97] = '\0';
	set(&config.vsock.socket, path);
	cr_expect(strstr(only_mistake(), "96") != NULL);
	path[96] = '\0';
	set(&config.vsock.socket, path);
	memset(&mistakes, 0, sizeof(mistakes));
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 0);
	config.vsock.fd = 5;
	cr_expect(strstr(only_mistake(), "vhost-vsock device") != NULL);
}

Test(config, a_scsi_target_is_of_one_device)
{
	add_scsi("naa.0123456789abcdef");
	add_scsi("naa.0123456789ABCDEF");
	cr_expect_not_null(strstr(only_mistake(), "scsis 'scsi0' and 'scsi1' are both target"));
}

Test(config, vsock_settings_that_exclude_each_other_are_told)
{
	config.vsock.given = true;
	config.vsock.vhost = VHOST_REQUIRE;
	set(&config.vsock.socket, "/tmp/vsock");
	cr_expect_not_null(strstr(only_mistake(), "leave one of them away"));
	config.vsock.vhost = VHOST_OFF;
	set(&config.vsock.vhost_path, "/dev/other");
	cr_expect_not_null(strstr(only_mistake(), "vhost_path: it and vsock.vhost 'off' exclude"));
	config.vsock.vhost = VHOST_AUTO;
	config.vsock.fd = 5;
	cr_expect_not_null(strstr(only_mistake(), "vhost_path: it and vsock.fd exclude"));
}

Test(config, an_iommu_is_in_front_of_something)
{
	config.iommu.given = true;
	config.iommu.bypass = false;
	cr_expect_not_null(strstr(only_mistake(), "no device is behind the IOMMU"));
	config.rng_device.iommu = true;
	memset(&mistakes, 0, sizeof(mistakes));
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 0);
}
