#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/guest_cmdline.h"

static char *build(const struct vm_config *config, unsigned n_mmio)
{
	char *text;

	cr_assert_eq(guest_cmdline_build(&text, config, n_mmio), 0);
	return text;
}

static void expect(const struct vm_config *config, const char *wanted)
{
	char *text = build(config, 2);

	cr_expect_str_eq(text, wanted);
	free(text);
}

static struct disk_settings disk;

Test(guest_cmdline, the_default_names_the_console_that_is_heard)
{
	expect(&(struct vm_config){ .serial.kind = TARGET_STDIO, .console.kind = TARGET_STDIO },
	       "console=ttyS0 reboot=panic_warm panic=-1");
	expect(&(struct vm_config){ .serial.kind = TARGET_NULL, .console.kind = TARGET_STDIO },
	       "console=hvc0 reboot=panic_warm panic=-1");
	expect(&(struct vm_config){ .serial.kind = TARGET_FILE, .console.kind = TARGET_OFF },
	       "console=ttyS0 reboot=panic_warm panic=-1");
	expect(&(struct vm_config){ .serial.kind = TARGET_NULL, .console.kind = TARGET_NULL },
	       "console=ttyS0 reboot=panic_warm panic=-1");
}

Test(guest_cmdline, the_first_disk_is_the_root_unless_the_user_names_one)
{
	struct vm_config config = { .serial.kind = TARGET_STDIO, .disk = &disk, .n_disks = 1 };

	disk.readonly = false;
	expect(&config, "console=ttyS0 reboot=panic_warm panic=-1 root=/dev/vda rw");
	disk.readonly = true;
	expect(&config, "console=ttyS0 reboot=panic_warm panic=-1 root=/dev/vda ro");
	config.append = (char *)"quiet root=/dev/vda1";
	expect(&config, "console=ttyS0 reboot=panic_warm panic=-1 quiet root=/dev/vda1");
	config.append = (char *)"xroot=/dev/vda1";
	expect(&config,
	       "console=ttyS0 reboot=panic_warm panic=-1 root=/dev/vda ro xroot=/dev/vda1");
}

Test(guest_cmdline, what_the_user_gives_replaces_the_default)
{
	expect(&(struct vm_config){ .cmdline = (char *)"quiet", .append = (char *)"-- -s" },
	       "quiet -- -s");
	expect(&(struct vm_config){ .cmdline = (char *)"" }, "");
}

Test(guest_cmdline, mmio_devices_are_announced_before_the_words_for_init)
{
	expect(&(struct vm_config){ .mmio_discovery = MMIO_DISCOVERY_CMDLINE,
				    .cmdline = (char *)"a",
				    .append = (char *)"-- b" },
	       "a virtio_mmio.device=4K@0xfe000000:5 virtio_mmio.device=4K@0xfe001000:6 -- b");
}

Test(guest_cmdline, a_device_tree_replaces_acpi)
{
	expect(&(struct vm_config){ .mmio_discovery = MMIO_DISCOVERY_DTB, .cmdline = (char *)"a",
				    .append = (char *)"-- b" },
	       "a acpi=off -- b");
}

Test(guest_cmdline, a_panic_is_marked_only_when_linux_is_told_to)
{
	cr_expect(guest_cmdline_marks_panic("a reboot=panic_warm b"));
	cr_expect(guest_cmdline_marks_panic("reboot=panic_warm"));
	cr_expect_not(guest_cmdline_marks_panic("reboot=warm"));
	cr_expect_not(guest_cmdline_marks_panic("noreboot=panic_warm"));
}
