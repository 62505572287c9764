/* The table of what kernels need, and what becomes of it for a VM and a configuration. */
#include "vmm/kernel/kernel_needs.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/transport.h"
#include "vmm/command_line.h"
#include "vmm/kernel/kernel_report.h"

static struct vm_config config;
static struct kernel_vm vm;
static struct kernel_config options;
static char *text;

static void setup(void)
{
	cr_assert_eq(config_init(&config), 0);
}

static void teardown(void)
{
	kernel_vm_fini(&vm);
	kernel_config_fini(&options);
	config_fini(&config);
	free(text);
	text = NULL;
}

TestSuite(kernel_needs, .init = setup, .fini = teardown);

#define DESCRIBE(...) describe(ARRAY_SIZE(((char *[]){ __VA_ARGS__ })), (char *[]){ __VA_ARGS__ })
#define S(text) ((char[]){ text })
static void describe(int argc, char **argv)
{
	struct run_switches switches = { .command = COMMAND_LINE_KERNEL };
	struct mistakes mistakes = { 0 };

	command_line_read(argc, argv, &config, &switches, &mistakes);
	config_validate(&config, &mistakes);
	cr_assert_eq(mistakes.n, 0, "%s", mistakes.line[0]);
	cr_assert_eq(kernel_vm_init(&vm, &config, true, switches.exec), 0);
}

static void configure(const char *lines)
{
	kernel_config_fini(&options);
	cr_assert_eq(kernel_config_parse(&options, strdup(lines), strlen(lines)), 0);
}

static const struct kernel_need *find(const char *option)
{
	for (unsigned i = 0; i < kernel_needs_len; i++)
		if (!strcmp(kernel_needs[i].option, option))
			return &kernel_needs[i];
	cr_assert_fail("no row %s", option);
	return NULL;
}

static enum kernel_verdict judge(const char *option)
{
	return kernel_need_judge(find(option), &vm, &options);
}

static const char *things(const char *option)
{
	size_t len;
	FILE *out;

	free(text);
	out = open_memstream(&text, &len);
	kernel_report_put_things(out, find(option), &vm);
	fclose(out);
	return text;
}

/* --- The table ------------------------------------------------------------------------------- */

Test(kernel_needs, rows_make_sense)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

	for (unsigned i = 0; i < kernel_needs_len; i++) {
		const struct kernel_need *need = &kernel_needs[i];

		cr_expect_eq(need->option[strspn(need->option, letters)], '\0', "%s", need->option);
		cr_expect(strncmp(need->option, "CONFIG_", 7) != 0, "%s", need->option);
		cr_expect(*need->why && !strchr(need->why, '\n'), "%s", need->option);
		cr_expect((need->of | need->helps) != 0, "%s", need->option);
		cr_expect_eq(need->of & need->helps, 0, "%s", need->option);
		cr_expect_eq((need->of | need->helps) >> THING_KINDS, 0, "%s", need->option);
		/* Only virtio devices are over a transport. */
		if (need->over)
			cr_expect_eq((need->of | need->helps) & ((1u << THING_DISK) - 1), 0, "%s",
				     need->option);
		for (unsigned k = 0; k < i; k++)
			cr_expect_str_neq(need->option, kernel_needs[k].option);
	}
}

/* Whoever adds a kind of thing adds what it needs. */
Test(kernel_needs, every_thing_has_a_driver_of_its_own)
{
	for (unsigned kind = 0; kind < THING_KINDS; kind++) {
		unsigned n = 0;

		for (unsigned i = 0; i < kernel_needs_len; i++)
			n += !kernel_needs[i].is_menu && !kernel_needs[i].over &&
			     (kernel_needs[i].of >> kind & 1);
		cr_expect_gt(n, 0, "thing %u", kind);
	}
}

Test(kernel_needs, every_transport_has_a_driver)
{
	for (int kind = VIRTIO_PCI; kind <= VIRTIO_MMIO_LEGACY; kind++) {
		struct kernel_thing disk = { .kind = THING_DISK, .transport = kind };
		bool pci = !virtio_transport_is_mmio((enum virtio_transport_kind)kind);

		cr_expect_eq(kernel_need_is_of(find("VIRTIO_PCI"), &disk), pci);
		cr_expect_eq(kernel_need_is_of(find("VIRTIO_MMIO"), &disk), !pci);
		cr_expect_eq(kernel_need_is_of(find("VIRTIO_PCI_LEGACY"), &disk),
			     kind == VIRTIO_PCI_LEGACY);
	}
}

/* --- VMs ------------------------------------------------------------------------------------- */

Test(kernel_needs, only_what_the_vm_has_is_asked_for)
{
	DESCRIBE(S("--disk"), S("root.img"), S("--net"), S("user"));
	configure("CONFIG_X=y\n");
	cr_expect_eq(judge("VIRTIO_BLK"), VERDICT_MISSING);
	cr_expect_eq(judge("VIRTIO_NET"), VERDICT_MISSING);
	cr_expect_eq(judge("VIRTIO_PCI"), VERDICT_MISSING);
	cr_expect_eq(judge("KVM_GUEST"), VERDICT_POORER);
	static const char *const others[] = { "VIRTIO_MMIO", "VIRTIO_FS", "VIRTIO_VSOCKETS", "OF",
					      "SCSI_VIRTIO", "VIRTIO_IOMMU", "VIRTIO_BALLOON",
					      "NUMA", "DMI", "OVERLAY_FS", "BLK_DEV_INITRD", "SMP" };
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
		cr_expect_eq(judge(others[i]), VERDICT_UNASKED, "%s", others[i]);
}

Test(kernel_needs, every_device_is_asked_for)
{
	DESCRIBE(S("--disk"), S("a.img,transport=mmio,iommu=no"), S("--disk"), S("b.img,iommu"),
		 S("--balloon"), S("64M,reporting"), S("--vsock"), S("cid=5"), S("--share"),
		 S("path=/tmp,name=x"), S("--scsi"), S("wwpn=naa.5001405a1b2c3d4e"), S("--cpus"), S("2"),
		 S("--smbios"), S("product=x"), S("--initrd"), S("i"));
	configure("CONFIG_X=y\n");
	static const char *const all[] = { "VIRTIO_MMIO", "VIRTIO_PCI", "VIRTIO_BLK", "VIRTIO_IOMMU",
					   "VIRTIO_BALLOON", "PAGE_REPORTING", "VIRTIO_VSOCKETS",
					   "VIRTIO_FS", "FUSE_FS", "SCSI_VIRTIO", "BLK_DEV_SD", "SMP",
					   "DMIID", "BLK_DEV_INITRD", "VIRTIO_CONSOLE",
					   "HW_RANDOM_VIRTIO", "SERIAL_8250_CONSOLE", "ACPI" };
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		cr_expect_eq(judge(all[i]), VERDICT_MISSING, "%s", all[i]);
}

Test(kernel_needs, switched_off_devices_are_not_asked_for)
{
	DESCRIBE(S("--console"), S("off"), S("--serial"), S("off"), S("--rng"), S("off"));
	configure("CONFIG_X=y\n");
	cr_expect_eq(judge("VIRTIO_CONSOLE"), VERDICT_UNASKED);
	cr_expect_eq(judge("SERIAL_8250"), VERDICT_UNASKED);
	cr_expect_eq(judge("HW_RANDOM_VIRTIO"), VERDICT_UNASKED);
	cr_expect_eq(judge("VIRTIO_PCI"), VERDICT_UNASKED);
}

Test(kernel_needs, reasons_name_the_devices)
{
	DESCRIBE(S("--disk"), S("a.img,name=root"), S("--disk"), S("b.img,name=data,transport=mmio"),
		 S("--rng"), S("off"));
	cr_expect_str_eq(things("VIRTIO_BLK"), "disk 'root' over pci, disk 'data' over mmio");
	cr_expect_str_eq(things("VIRTIO_PCI"), "disk 'root', the console over pci");
	cr_expect_str_eq(things("VIRTIO_MMIO"), "disk 'data' over mmio");
	cr_expect_str_eq(things("SERIAL_8250"), "the serial port");
}

Test(kernel_needs, reasons_are_four_at_most)
{
	DESCRIBE(S("--disk"), S("a"), S("--disk"), S("b"), S("--disk"), S("c"), S("--disk"), S("d"),
		 S("--disk"), S("e"), S("--disk"), S("f"));
	cr_expect_str_eq(things("VIRTIO_BLK"),
			 "disk 'disk0', disk 'disk1', disk 'disk2', disk 'disk3' over pci and 2 more");
}

/* --- Modules --------------------------------------------------------------------------------- */

static const char modules[] = "CONFIG_VIRTIO_PCI=m\nCONFIG_VIRTIO_BLK=m\nCONFIG_VIRTIO_NET=m\n"
			      "CONFIG_SERIAL_8250=m\nCONFIG_VIRTIO_FS=m\nCONFIG_OVERLAY_FS=m\n"
			      "CONFIG_KVM_GUEST=m\n";

Test(kernel_needs, without_an_initrd_the_way_to_the_root_is_built_in)
{
	DESCRIBE(S("--disk"), S("root.img"), S("--net"), S("user"), S("--share"),
		 S("path=/tmp,name=x"));
	configure(modules);
	cr_expect_eq(judge("VIRTIO_PCI"), VERDICT_MISSING);
	cr_expect_eq(judge("VIRTIO_BLK"), VERDICT_MISSING);
	cr_expect_eq(judge("VIRTIO_NET"), VERDICT_LATER);
	cr_expect_eq(judge("VIRTIO_FS"), VERDICT_LATER);
	cr_expect_eq(judge("SERIAL_8250"), VERDICT_MISSING);
	cr_expect_eq(judge("KVM_GUEST"), VERDICT_POORER);
}

Test(kernel_needs, an_initrd_can_load_modules)
{
	DESCRIBE(S("--disk"), S("root.img"), S("--net"), S("user"), S("--initrd"), S("i"));
	configure(modules);
	cr_expect_eq(judge("VIRTIO_PCI"), VERDICT_EARLY);
	cr_expect_eq(judge("VIRTIO_BLK"), VERDICT_EARLY);
	cr_expect_eq(judge("VIRTIO_NET"), VERDICT_LATER);
	cr_expect_eq(judge("SERIAL_8250"), VERDICT_MISSING);
}

Test(kernel_needs, without_any_root_there_are_no_modules)
{
	DESCRIBE(S("--net"), S("user"));
	configure(modules);
	cr_expect_eq(judge("VIRTIO_NET"), VERDICT_MISSING);
}

/* What is not on the way to the root has time. */
Test(kernel_needs, another_bus_than_that_of_the_root_has_time)
{
	DESCRIBE(S("--disk"), S("a.img,transport=mmio"), S("--net"), S("user"));
	configure("CONFIG_VIRTIO_PCI=m\nCONFIG_VIRTIO_MMIO=m\n");
	cr_expect_eq(judge("VIRTIO_PCI"), VERDICT_LATER);
	cr_expect_eq(judge("VIRTIO_MMIO"), VERDICT_MISSING);
}

/* A root that is a share is reached by its driver. */
Test(kernel_needs, a_share_is_the_way_to_the_root_where_there_is_no_disk)
{
	DESCRIBE(S("--share"), S("path=/tmp,name=x"));
	configure(modules);
	cr_expect_eq(judge("VIRTIO_FS"), VERDICT_MISSING);
}

Test(kernel_needs, exec_loads_modules_by_itself)
{
	DESCRIBE(S("--exec"));
	configure(modules);
	cr_expect_eq(judge("VIRTIO_PCI"), VERDICT_EARLY);
	cr_expect_eq(judge("VIRTIO_FS"), VERDICT_EARLY);
	cr_expect_eq(judge("OVERLAY_FS"), VERDICT_EARLY);
	cr_expect_eq(judge("BLK_DEV_INITRD"), VERDICT_MISSING);
	cr_expect_eq(judge("VIRTIO_CONSOLE"), VERDICT_MISSING);
	cr_expect_eq(judge("DEVTMPFS"), VERDICT_MISSING);
}

Test(kernel_needs, other_ways_to_be_found_need_other_options)
{
	DESCRIBE(S("--transport"), S("mmio"), S("--set"), S("vm.mmio_discovery=cmdline"));
	configure("CONFIG_X=y\n");
	cr_expect_eq(judge("VIRTIO_MMIO_CMDLINE_DEVICES"), VERDICT_MISSING);
	cr_expect_eq(judge("OF"), VERDICT_UNASKED);
	kernel_vm_fini(&vm);
	DESCRIBE(S("--transport"), S("mmio"), S("--set"), S("vm.mmio_discovery=dtb"));
	cr_expect_eq(judge("VIRTIO_MMIO_CMDLINE_DEVICES"), VERDICT_UNASKED);
	cr_expect_eq(judge("OF_EARLY_FLATTREE"), VERDICT_MISSING);
	cr_expect_eq(judge("ACPI"), VERDICT_UNASKED);
}

/* What a fragment sets is enough for the VM that it was written for. */
Test(kernel_needs, a_fragment_is_enough)
{
	unsigned verdict[VERDICT_MISSING + 1] = { 0 }, n_menus = 0;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert_eq(kernel_vm_init_all(&vm), 0);
	kernel_report_fragment(out, &vm, NULL);
	fclose(out);
	configure(text);
	cr_expect_eq(options.n, kernel_needs_len);
	for (unsigned i = 0; i < kernel_needs_len; i++)
		verdict[kernel_need_judge(&kernel_needs[i], &vm, &options)]++;
	for (unsigned i = 0; i < kernel_needs_len; i++)
		n_menus += kernel_needs[i].is_menu;
	cr_expect_eq(verdict[VERDICT_MISSING] + verdict[VERDICT_POORER], 0);
	cr_expect_eq(verdict[VERDICT_THERE] + n_menus, kernel_needs_len);
}
