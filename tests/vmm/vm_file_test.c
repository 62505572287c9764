/* VM files that are right: what becomes of them. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/virtio_models.h"
#include "tests/vmm/vm_file_rig.h"
#include "virtio/features.h"
#include "virtio/transport.h"
#include "vmm/command_line.h"
#include "vmm/option.h"

TestSuite(vm_file, .init = vm_file_rig_setup, .fini = vm_file_rig_teardown);

/* The file is read without a mistake. */
static void read_good(const char *name)
{
	vm_file_read(&rig_config, name, &rig_mistakes);
	cr_assert_eq(rig_mistakes.n, 0, "%s", rig_mistakes.line[0]);
}

Test(vm_file, settings_are_typed_by_the_table)
{
	rig_write("web.yaml", "# a comment\n"
			      "vm:\n"
			      "  memory: 0x40M     # hexadecimal, with a unit\n"
			      "  cpus: '4'\n"
			      "  prefault: on\n"
			      "  transport: mmio\n"
			      "  timeout: 1.5m\n"
			      "boot:\n"
			      "  kernel: /boot/vmlinuz\n"
			      "  cmdline: \"console=hvc0 root=/dev/vda ro\"\n"
			      "console: { to: 'file=/tmp/log' }\n"
			      "rng: { enabled: off }\n"
			      "disks:\n"
			      "  root:\n"
			      "    path: /a.img\n"
			      "    readonly: true\n"
			      "    features: [ +packed, -indirect ]\n"
			      "  data: { path: /b.img, readonly: no, queues: 2 }\n"
			      "nets:\n"
			      "  lan:\n"
			      "    forward:\n"
			      "      - tcp:127.0.0.1:8080:80\n"
			      "      - udp:53:53\n"
			      "vsock: { cid: 7 }\n");
	read_good("web.yaml");
	cr_expect_eq(rig_config.memory, MIB(64));
	cr_expect_eq(rig_config.cpus, 4);
	cr_expect(rig_config.prefault);
	cr_expect_eq(rig_config.transport, VIRTIO_MMIO);
	cr_expect_eq(rig_config.timeout_ms, 90000);
	cr_expect_str_eq(rig_config.kernel, "/boot/vmlinuz");
	cr_expect_str_eq(rig_config.cmdline, "console=hvc0 root=/dev/vda ro");
	cr_expect_eq(rig_config.console.kind, TARGET_FILE);
	cr_expect_str_eq(rig_config.console.path, "/tmp/log");
	cr_expect_eq(rig_config.rng, PRESENCE_OFF);
	cr_assert_eq(rig_config.n_disks, 2);
	cr_expect_str_eq(rig_config.disk[0].name, "root");
	cr_expect_str_eq(rig_config.disk[1].name, "data");
	cr_expect(rig_config.disk[0].readonly);
	cr_expect_not(rig_config.disk[1].readonly);
	cr_expect_eq(rig_config.disk[1].queues, 2);
	cr_expect(features_has(&rig_config.disk[0].device.features.on, VIRTIO_F_RING_PACKED));
	cr_expect(features_has(&rig_config.disk[0].device.features.off, VIRTIO_F_INDIRECT_DESC));
	cr_assert_eq(rig_config.n_nets, 1);
	cr_assert_eq(rig_config.net[0].forward.n, 2);
	cr_expect_str_eq(rig_config.net[0].forward.item[0], "tcp:127.0.0.1:8080:80");
	cr_expect_str_eq(rig_config.net[0].forward.item[1], "udp:53:53");
	cr_expect(rig_config.vsock.given);
	cr_expect_str_eq(rig_config.vsock.cid, "7");
	cr_expect_not(rig_config.balloon.given);
}

/* Each of these is a time, a number, a truth value or nothing to YAML 1.1. */
Test(vm_file, every_scalar_is_text_until_the_table_types_it)
{
	rig_write("web.yaml", "boot: { cmdline: no, append: 1_000 }\n"
			      "disks:\n"
			      "  010: { path: 2001-01-01, serial: 12:30:45 }\n"
			      "  null: { path: ~, serial: 3.10 }\n"
			      "  yes: { path: 0x10 }\n"
			      "console: { to: null }\n");
	read_good("web.yaml");
	cr_expect_str_eq(rig_config.cmdline, "no");
	cr_expect_str_eq(rig_config.append, "1_000");
	cr_assert_eq(rig_config.n_disks, 3);
	cr_expect_str_eq(rig_config.disk[0].name, "010");
	cr_expect_str_eq(rig_config.disk[0].path, "2001-01-01");
	cr_expect_str_eq(rig_config.disk[0].serial, "12:30:45");
	cr_expect_str_eq(rig_config.disk[1].name, "null");
	cr_expect_str_eq(rig_config.disk[1].path, "~");
	cr_expect_str_eq(rig_config.disk[1].serial, "3.10");
	cr_expect_str_eq(rig_config.disk[2].name, "yes");
	cr_expect_str_eq(rig_config.disk[2].path, "0x10");
	cr_expect_eq(rig_config.console.kind, TARGET_NULL);
}

Test(vm_file, json_is_read_as_it_stands)
{
	rig_write("web.json", "\t{\n\t\"vm\":{\"memory\":\"1G\",\"cpus\":2,\"prefault\":true},\r\n"
			      "\t\"boot\":{\"append\":\"a\\/b\\u00e9\\ud83d\\ude00\\\\ud83d\\t\\\"\"},"
			      "\"disks\":{\"root\":{\"path\":\"\\/x\"}},\n"
			      "\t\"nets\":{\"lan\":{\"forward\":[\"tcp:80:80\",\"tcp:81:81\"]}}}\n");
	read_good("web.json");
	cr_expect_eq(rig_config.memory, GIB(1));
	cr_expect_eq(rig_config.cpus, 2);
	cr_expect(rig_config.prefault);
	cr_expect_str_eq(rig_config.append, "a/b\u00e9\U0001f600\\ud83d\t\"");
	cr_expect_str_eq(rig_config.disk[0].path, "/x");
	cr_expect_eq(rig_config.net[0].forward.n, 2);
}

Test(vm_file, nothing_is_a_file_and_a_section_too)
{
	static const char *const empty[] = { "", "\n\n", "# only this\n", "---\n...\n", "{}",
					     "disks:\nnets: {}\nvm:\n", "disks: # none\n" };

	for (unsigned i = 0; i < ARRAY_SIZE(empty); i++) {
		rig_write("web.yaml", empty[i]);
		read_good("web.yaml");
		cr_expect_eq(rig_config.n_disks, 0);
	}
}

Test(vm_file, an_object_may_have_no_setting)
{
	rig_write("web.yaml", "nets:\n  lan:\n  wan: {}\nballoon: {}\n");
	read_good("web.yaml");
	cr_assert_eq(rig_config.n_nets, 2);
	cr_expect_str_eq(rig_config.net[0].name, "lan");
	cr_expect(rig_config.balloon.given);
}

Test(vm_file, a_list_may_be_one_value)
{
	rig_write("web.yaml", "nets: { lan: { forward: tcp:1:1 } }\nvm: { features: '+packed,-mq' }\n");
	vm_file_read(&rig_config, "web.yaml", &rig_mistakes);
	cr_assert_eq(rig_config.net[0].forward.n, 1);
	cr_expect_str_eq(rig_config.net[0].forward.item[0], "tcp:1:1");
	cr_assert_eq(rig_mistakes.n, 1, "MQ is no bit of all devices");
	rig_write("web.yaml", "vm: { features: '+packed,-indirect' }\n");
	rig_mistakes.n = 0;
	read_good("web.yaml");
	cr_expect(features_has(&rig_config.features.off, VIRTIO_F_INDIRECT_DESC));
}

Test(vm_file, credentials_are_pairs_of_any_names)
{
	rig_write("base.yaml", "credentials: { a: 1, b: old }\n");
	rig_write("web.yaml", "include: base.yaml\n"
			      "credentials:\n  b: x=y\n  ssh.authorized_keys.root: |\n    ssh-ed25519 A\n"
			      "    ssh-rsa B\n");
	read_good("web.yaml");
	cr_assert_eq(rig_config.credentials.n, 3);
	cr_expect_str_eq(rig_config.credentials.item[0], "a=1");
	cr_expect_str_eq(rig_config.credentials.item[1], "b=x=y");
	cr_expect_str_eq(rig_config.credentials.item[2],
			 "ssh.authorized_keys.root=ssh-ed25519 A\nssh-rsa B\n");
}

/* --- Includes -------------------------------------------------------------------------------- */

Test(vm_file, what_includes_overrides_key_by_key_wherever_it_says_so)
{
	rig_write("a.yaml", "vm: { memory: 1G, cpus: 2 }\n"
			    "disks: { root: { path: /a, readonly: yes }, swap: { path: /s } }\n"
			    "nets: { lan: { forward: [ tcp:1:1, tcp:2:2 ] } }\n");
	rig_write("b.yaml", "vm: { cpus: 3 }\n");
	rig_write("web.yaml", "vm: { poll: 5 }\n"
			      "disks: { data: { path: /d }, root: { path: /r } }\n"
			      "nets: { lan: { forward: [ tcp:3:3 ] } }\n"
			      "include: [ a.yaml, b.yaml ]\n");
	read_good("web.yaml");
	cr_expect_eq(rig_config.memory, GIB(1));
	cr_expect_eq(rig_config.cpus, 3, "b comes after a");
	cr_expect_eq(rig_config.poll_us, 5);
	cr_assert_eq(rig_config.n_disks, 3);
	cr_expect_str_eq(rig_config.disk[0].name, "root", "the order in which they were named");
	cr_expect_str_eq(rig_config.disk[0].path, "/r");
	cr_expect(rig_config.disk[0].readonly);
	cr_expect_str_eq(rig_config.disk[1].name, "swap");
	cr_expect_str_eq(rig_config.disk[2].name, "data");
	cr_assert_eq(rig_config.net[0].forward.n, 1, "a list is one value");
	cr_expect_str_eq(rig_config.net[0].forward.item[0], "tcp:3:3");
}

Test(vm_file, a_file_may_be_included_on_two_ways)
{
	rig_write("base.yaml", "vm: { cpus: 2 }\n");
	rig_write("a.yaml", "include: base.yaml\nvm: { cpus: 3 }\n");
	rig_write("b.yaml", "include: base.yaml\nvm: { memory: 1G }\n");
	rig_write("web.yaml", "include: [ a.yaml, b.yaml ]\n");
	read_good("web.yaml");
	cr_expect_eq(rig_config.cpus, 2, "it is read again");
	cr_expect_eq(rig_config.memory, GIB(1));
}

Test(vm_file, paths_are_relative_to_the_file_that_names_them)
{
	mkdir("vms", 0700);
	mkdir("vms/base", 0700);
	rig_write("vms/base/base.yaml", "disks: { root: { path: root.img }, abs: { path: /r.img } }\n"
					"boot: { initrd: ../i, append: a/b }\n");
	rig_write("vms/web.yaml", "include: base/base.yaml\n"
				  "console: { to: file=log }\nserial: { to: stdio }\n"
				  "boot: { kernel: vmlinuz }\n");
	read_good("vms/web.yaml");
	cr_expect_str_eq(rig_config.disk[0].path, "vms/base/root.img");
	cr_expect_str_eq(rig_config.disk[1].path, "/r.img");
	cr_expect_str_eq(rig_config.initrd, "vms/base/../i");
	cr_expect_str_eq(rig_config.append, "a/b", "a text is no path");
	cr_expect_str_eq(rig_config.console.path, "vms/log");
	cr_expect_str_eq(rig_config.kernel, "vms/vmlinuz");
	cr_assert_eq(chdir("vms"), 0);
	read_good("web.yaml");
	cr_expect_str_eq(rig_config.kernel, "vmlinuz");
}

/* --- Variables ------------------------------------------------------------------------------- */

Test(vm_file, variables_come_from_the_environment)
{
	setenv("VIREO_A", "alpha", 1);
	setenv("VIREO_EMPTY", "", 1);
	setenv("VIREO_MAP", "{ x: [ 1 ] }, b: #c", 1);
	unsetenv("VIREO_NONE");
	rig_write("web.yaml", "boot:\n"
			      "  kernel: /${VIREO_A}/${VIREO_NONE:-${VIREO_EMPTY:-x}y}\n"
			      "  cmdline: a${VIREO_EMPTY}b$${VIREO_A}$$\n"
			      "  append: '${VIREO_MAP}'\n"
			      "  initrd: ${VIREO_NONE:-$$}z\n"
			      "disks: { '${VIREO_A}': { path: \"${VIREO_A:-b}\" } }\n");
	read_good("web.yaml");
	cr_expect_str_eq(rig_config.kernel, "/alpha/xy");
	cr_expect_str_eq(rig_config.cmdline, "ab${VIREO_A}$");
	cr_expect_str_eq(rig_config.append, "{ x: [ 1 ] }, b: #c", "a value stays a value");
	cr_expect_str_eq(rig_config.initrd, "$z");
	cr_expect_str_eq(rig_config.disk[0].name, "${VIREO_A}", "names are as they are written");
	cr_expect_str_eq(rig_config.disk[0].path, "alpha");
}

/* --- With flags ------------------------------------------------------------------------------ */

static void read_words(const char *const *words)
{
	struct run_switches switches = { .command = COMMAND_LINE_RUN };
	int n = 0;

	while (words[n])
		n++;
	command_line_read(n, (char *const *)words, &rig_config, &switches, &rig_mistakes);
	cr_expect_eq(switches.verbose, 1, "switches count once");
}
#define READ(...) read_words((const char *const[]){ "-v", __VA_ARGS__, NULL })

Test(vm_file, flags_override_files_wherever_they_stand)
{
	rig_write("a.yaml", "vm: { memory: 1G, cpus: 2, poll: 7 }\n");
	rig_write("b.yaml", "vm: { cpus: 3 }\ndisks: { root: { path: /r } }\n");
	READ("--memory", "2G", "a.yaml", "--set", "vm.io_threads=2", "b.yaml", "--poll=9", "--set",
	     "disks.root.path=/x");
	cr_assert_eq(rig_mistakes.n, 0, "%s", rig_mistakes.line[0]);
	cr_expect_eq(rig_config.memory, GIB(2));
	cr_expect_eq(rig_config.cpus, 3);
	cr_expect_eq(rig_config.poll_us, 9);
	cr_expect_eq(rig_config.io_threads, 2);
	cr_assert_eq(rig_config.n_disks, 1);
	cr_expect_str_eq(rig_config.disk[0].path, "/x");
}

Test(vm_file, a_flag_changes_the_object_that_it_names_or_adds_one)
{
	rig_write("web.yaml", "disks: { root: { path: /r, queues: 4 } }\nnets: { lan: {} }\n");
	READ("--disk", "name=root,readonly", "web.yaml", "--disk", "/b,name=new", "--disk", "/c",
	     "--net", "tap,name=lan");
	cr_assert_eq(rig_mistakes.n, 0, "%s", rig_mistakes.line[0]);
	cr_assert_eq(rig_config.n_disks, 3);
	cr_expect_str_eq(rig_config.disk[0].path, "/r");
	cr_expect(rig_config.disk[0].readonly);
	cr_expect_eq(rig_config.disk[0].queues, 4);
	cr_expect_str_eq(rig_config.disk[1].name, "new");
	cr_expect_str_eq(rig_config.disk[2].path, "/c");
	cr_assert_eq(rig_config.n_nets, 1);
	cr_expect_eq(rig_config.net[0].backend, NET_TAP);
}

/* Two flags of one name are a slip, whatever the files have. */
Test(vm_file, flags_do_not_change_what_flags_made)
{
	rig_write("web.yaml", "disks: { root: { path: /r } }\n");
	READ("web.yaml", "--disk", "/b,name=new", "--disk", "/c,name=new");
	cr_expect_eq(rig_config.n_disks, 3);
	config_validate(&rig_config, &rig_mistakes);
	cr_assert_eq(rig_mistakes.n, 1);
	cr_expect_not_null(strstr(rig_mistakes.line[0], "two disks have this name"));
}

Test(vm_file, a_word_behind_an_option_is_its_value)
{
	rig_write("web.yaml", "vm: { cpus: 2 }\n");
	rig_write("other", "vm: { cpus: 3 }\n");
	READ("--kernel", "other", "web.yaml");
	cr_assert_eq(rig_mistakes.n, 0);
	cr_expect_eq(rig_config.cpus, 2);
	cr_expect_str_eq(rig_config.kernel, "other");
}

Test(vm_file, where_settings_come_from_is_known)
{
	static const char *const disks = "disks";
	const struct option_section *vm = option_find_section("vm", 2);
	const struct option_section *section = option_find_section(disks, 5);
	const struct origin *at;

	rig_write("base.yaml", "vm: { cpus: 2, memory: 1G }\n");
	rig_write("web.yaml", "include: base.yaml\ndisks:\n  root:\n    path: /r\nvm: { cpus: 3 }\n");
	READ("web.yaml", "--memory", "2G");
	at = origins_find(&rig_config.origins, vm, 0, option_find("vm", 2, "cpus", 4));
	cr_assert(at && at->file);
	cr_expect_str_eq(at->file->name, "web.yaml");
	cr_expect_eq(at->line, 5);
	cr_expect_eq(at->column, 13);
	at = origins_find(&rig_config.origins, vm, 0, option_find("vm", 2, "memory", 6));
	cr_assert(at && at->flag);
	cr_expect_str_eq(at->flag, "memory");
	at = origins_find(&rig_config.origins, section, 0, option_find(disks, 5, "path", 4));
	cr_assert(at && at->file);
	cr_expect_eq(at->line, 4);
	at = origins_find(&rig_config.origins, section, 0, NULL);
	cr_assert(at && at->file);
	cr_expect_eq(at->line, 3);
	cr_expect_eq(at->column, 3);
	cr_expect_null(origins_find(&rig_config.origins, vm, 0, option_find("vm", 2, "poll", 4)));
}

/* A test for each row: what the table can say, a file can say. */
Test(vm_file, every_setting_can_stand_in_a_file)
{
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		const struct option_section *section = option_section_of(o);
		const char *value = o->initial ? o->initial :
				    o->type == OPTION_FEATURES ? "-packed" : "x";
		char text[256];

		if (option_is_name(o))
			continue;
		snprintf(text, sizeof(text), section->list ? "%s: { one: { %s: '%s' } }\n" :
			 "%s: { %s: '%s' }\n", o->section, o->key, value);
		rig_write("web.yaml", text);
		vm_file_read(&rig_config, "web.yaml", &rig_mistakes);
		cr_expect_eq(rig_mistakes.n, 0, "%s: %s", text, rig_mistakes.line[0]);
		rig_mistakes.n = 0;
		config_fini(&rig_config);
		cr_assert_eq(config_init(&rig_config), 0);
	}
}
