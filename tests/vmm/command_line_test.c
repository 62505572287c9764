#include <criterion/criterion.h>
#include <string.h>

#include "devices/virtio_models.h"
#include "virtio/transport.h"
#include "vmm/command_line.h"
#include "vmm/outcome.h"

static struct vm_config config;
static struct run_switches switches;
static struct mistakes mistakes;

static void setup(void)
{
	cr_assert_eq(config_init(&config), 0);
}

static void teardown(void)
{
	config_fini(&config);
}

TestSuite(command_line, .init = setup, .fini = teardown);

/* Read the words, NULL at the end. */
#define READ(...) read_words((const char *const[]){ __VA_ARGS__, NULL })
static unsigned read_words(const char *const *words)
{
	int n = 0;

	while (words[n])
		n++;
	memset(&mistakes, 0, sizeof(mistakes));
	command_line_read(n, (char *const *)words, &config, &switches, &mistakes);
	return mistakes.n;
}

/* One mistake was made, and this is what is said. */
static void expect_mistake(unsigned n, const char *text)
{
	cr_expect_eq(n, 1);
	cr_expect_str_eq(mistakes.line[0], text);
}

Test(command_line, a_value_follows_as_a_word_or_behind_an_equals_sign)
{
	cr_assert_eq(READ("--memory", "1G", "--kernel=a=b"), 0);
	cr_expect_eq(config.memory, GIB(1));
	cr_expect_str_eq(config.kernel, "a=b");
}

Test(command_line, the_last_one_wins)
{
	cr_assert_eq(
		READ("--memory", "1G", "--set", "vm.memory=2G", "--kernel", "a", "--kernel", "b"),
		0);
	cr_expect_eq(config.memory, GIB(2));
	cr_expect_str_eq(config.kernel, "b");
}

Test(command_line, booleans_have_a_no_form)
{
	cr_assert_eq(READ("--no-unpack", "--prefault"), 0);
	cr_expect_not(config.unpack);
	cr_expect(config.prefault);
	cr_assert_eq(READ("--unpack", "--prefault=no"), 0);
	cr_expect(config.unpack);
	cr_expect_not(config.prefault);
	expect_mistake(READ("--no-unpack=yes"), "--no-unpack: takes no value");
	expect_mistake(READ("--no-memory"),
		       "unknown option '--no-memory'; did you mean '--memory'?");
}

Test(command_line, an_unknown_flag_is_corrected)
{
	expect_mistake(READ("--memroy", "1G"),
		       "unknown option '--memroy'; did you mean '--memory'?");
	expect_mistake(READ("--on_panic=fail"),
		       "unknown option '--on_panic'; did you mean '--on-panic'?");
	expect_mistake(READ("--no-unpak"),
		       "unknown option '--no-unpak'; did you mean '--no-unpack'?");
	expect_mistake(READ("--hlep"), "unknown option '--hlep'; did you mean '--help'?");
	expect_mistake(READ("--qwertyuiop"),
		       "unknown option '--qwertyuiop'; 'vireo run --help' lists them");
	expect_mistake(READ("--quiet=1"), "--quiet: takes no value");
	expect_mistake(READ("-x"), "unknown option '-x'; 'vireo run --help' lists them");
}

Test(command_line, all_mistakes_are_told)
{
	cr_expect_eq(READ("--memory", "lots", "--memroy=1", "--cpus", "0", "--rng", "maybe"), 4);
}

Test(command_line, more_mistakes_than_fit_are_counted)
{
	const char *words[MISTAKES_SHOWN + 11];

	for (unsigned i = 0; i < ARRAY_SIZE(words) - 1; i++)
		words[i] = "-x";
	words[ARRAY_SIZE(words) - 1] = NULL;
	cr_expect_eq(read_words(words), ARRAY_SIZE(words) - 1);
	mistakes_print(&mistakes, stderr);
}

Test(command_line, a_flag_without_its_value_is_told)
{
	expect_mistake(READ("--kernel"), "--kernel: needs a value (FILE)");
	expect_mistake(READ("--kernel", "--initrd", "x"), "--kernel: needs a value (FILE)");
	expect_mistake(READ("--set"), "--set: needs a value (SECTION.KEY=VALUE)");
	cr_assert_eq(READ("--append", "-- --single"), 0);
	cr_expect_str_eq(config.append, "-- --single");
}

Test(command_line, each_disk_flag_adds_a_disk)
{
	cr_assert_eq(READ("--disk", "a.img", "--disk",
			  "path=b.img,readonly,engine=threads,queues=2", "--disk", "readonly",
			  "--disk=c.img,direct=no,ephemeral=yes"),
		     0);
	cr_assert_eq(config.n_disks, 4);
	cr_expect_str_eq(config.disk[0].path, "a.img");
	cr_expect_not(config.disk[0].readonly);
	cr_expect_eq(config.disk[0].queues, 1);
	cr_expect_str_eq(config.disk[1].path, "b.img");
	cr_expect(config.disk[1].readonly);
	cr_expect_eq(config.disk[1].engine, BLK_ENGINE_THREADS);
	cr_expect_eq(config.disk[1].queues, 2);
	cr_expect_str_eq(config.disk[2].path, "readonly", "a lone word names the file");
	cr_expect(config.disk[3].ephemeral);
	cr_expect_not(config.disk[3].direct);
}

Test(command_line, a_balloon_is_there_when_a_setting_of_it_is)
{
	cr_expect_not(config.balloon.given);
	cr_assert_eq(READ("--balloon", "256M,stats=5s,deflate_on_oom=no,hinting=start"), 0);
	cr_expect(config.balloon.given);
	cr_expect_eq(config.balloon.size, MIB(256));
	cr_expect_eq(config.balloon.stats_ms, 5000);
	cr_expect_not(config.balloon.deflate_on_oom);
	cr_expect(config.balloon.reporting);
	cr_expect_not(config.balloon.must_tell_host);
	cr_expect_eq(config.balloon.hinting, HINTING_START);
	expect_mistake(READ("--balloon", "lots"),
		       "--balloon: 'lots' is not a size (a whole number, then K, M, G or T)");
	expect_mistake(READ("--balloon", "1M,stat=1s"),
		       "--balloon: unknown key 'stat'; did you mean 'stats'?");
	expect_mistake(READ("--balloon", "hinting"),
		       "--balloon: hinting: needs a value, 'hinting=...'");
}

Test(command_line, a_balloon_may_be_given_by_one_word_or_by_set)
{
	cr_assert_eq(READ("--balloon", "must_tell_host,size=4M"), 0);
	cr_expect(config.balloon.given);
	cr_expect(config.balloon.must_tell_host);
	cr_expect_eq(config.balloon.size, MIB(4));
	config.balloon.given = false;
	cr_assert_eq(READ("--set", "balloon.reporting=no"), 0);
	cr_expect(config.balloon.given);
	cr_expect_not(config.balloon.reporting);
	config.balloon.given = false;
	cr_assert_eq(READ("--set", "rng.enabled=off", "--memory", "1G"), 0);
	cr_expect_not(config.balloon.given);
}

Test(command_line, a_doubled_comma_is_part_of_the_value)
{
	cr_assert_eq(READ("--disk", "a,,b.img,serial=x,,,readonly"), 0);
	cr_expect_str_eq(config.disk[0].path, "a,b.img");
	cr_expect_str_eq(config.disk[0].serial, "x,");
	cr_expect(config.disk[0].readonly);
}

Test(command_line, a_path_may_hold_an_equals_sign)
{
	cr_assert_eq(READ("--disk", "/vm/root=1.img"), 0);
	cr_expect_str_eq(config.disk[0].path, "/vm/root=1.img");
}

Test(command_line, mistakes_in_a_list_are_told)
{
	expect_mistake(READ("--disk", "a,readnly"),
		       "--disk: unknown key 'readnly'; did you mean 'readonly'?");
	expect_mistake(READ("--disk", "a,queues"), "--disk: queues: needs a value, 'queues=...'");
	expect_mistake(READ("--disk", "a,queues=65"),
		       "--disk: queues: '65' is too large: allowed are 1 to 64");
	expect_mistake(READ("--cpus", "4,dies=2"),
		       "--cpus: unknown key 'dies'; known are cpus, cores, threads");
	expect_mistake(READ("--disk", "a,"),
		       "--disk: unknown key ''; known are path, socket, name, readonly, "
		       "ephemeral, direct, engine, queues, queue_size, serial, block_size, "
		       "transport, features, iommu");
}

Test(command_line, cpus_take_a_topology)
{
	cr_assert_eq(READ("--cpus", "8,cores=2,threads=2"), 0);
	cr_expect_eq(config.cpus, 8);
	cr_expect_eq(config.cores, 2);
	cr_expect_eq(config.threads, 2);
	cr_assert_eq(READ("--cpus", "cpus=3,cores=3"), 0);
	cr_expect_eq(config.cpus, 3);
}

Test(command_line, feature_bits_are_a_list_in_a_list)
{
	cr_assert_eq(READ("--disk", "path=a,features=+packed,-indirect,+mq,readonly", "--features",
			  "-event_idx,+ring-reset"),
		     0);
	const struct feature_wishes *w = &config.disk[0].device.features;
	cr_expect(features_has(&w->on, VIRTIO_F_RING_PACKED));
	cr_expect(features_has(&w->on, VIRTIO_BLK_F_MQ));
	cr_expect(features_has(&w->off, VIRTIO_F_INDIRECT_DESC));
	cr_expect(config.disk[0].readonly);
	cr_expect(features_has(&config.features.off, VIRTIO_F_EVENT_IDX));
	cr_expect(features_has(&config.features.on, VIRTIO_F_RING_RESET));
}

Test(command_line, mistakes_in_feature_bits_are_told)
{
	expect_mistake(READ("--disk", "a,features=+mqq"),
		       "--disk: features: 'mqq' is no feature bit of this device; did you mean 'MQ'?");
	expect_mistake(READ("--disk", "a,features=packed"),
		       "--disk: features: 'packed': write '+' or '-' before each feature bit");
	expect_mistake(READ("--disk", "a,features=+packed,-order"),
		       "--disk: features: 'order' can be any of IN_ORDER, ORDER_PLATFORM");
	expect_mistake(READ("--features", "+mq"),
		       "--features: 'mq' is no feature bit that all devices have");
	cr_expect_eq(READ("--disk", "a,+packed"), 1, "a list that nothing began");
	cr_expect_eq(READ("--disk", "a,readonly,+packed"), 1);
	expect_mistake(READ("--disk", "a,features"), "--disk: features: needs a value, 'features=...'");
}

Test(command_line, each_device_has_its_transport)
{
	cr_assert_eq(READ("--transport", "pci-legacy", "--disk", "a,transport=mmio", "--console",
			  "null,transport=mmio-legacy,features=-emerg_write", "--rng",
			  "transport=pci-transitional", "--disk", "b"),
		     0);
	cr_expect_eq(config.transport, VIRTIO_PCI_LEGACY);
	cr_expect_eq(config.disk[0].device.transport, VIRTIO_MMIO);
	cr_expect_eq(config.disk[1].device.transport, TRANSPORT_OF_VM);
	cr_expect_eq(config.console.kind, TARGET_NULL);
	cr_expect_eq(config.console_device.transport, VIRTIO_MMIO_LEGACY);
	cr_expect(features_has(&config.console_device.features.off, VIRTIO_CONSOLE_F_EMERG_WRITE));
	cr_expect_eq(config.rng_device.transport, VIRTIO_PCI_TRANSITIONAL);
	cr_expect_eq(config.rng, PRESENCE_ON);
	cr_assert_eq(READ("--set", "rng.transport=mmio", "--set", "console.features=+packed"), 0);
	cr_expect_eq(config.rng_device.transport, VIRTIO_MMIO);
}

Test(command_line, a_console_leads_to_a_file_and_has_settings)
{
	cr_assert_eq(READ("--console", "file=a.log,transport=mmio", "--serial", "file=b,c"), 0);
	cr_expect_eq(config.console.kind, TARGET_FILE);
	cr_expect_str_eq(config.console.path, "a.log");
	cr_expect_eq(config.console_device.transport, VIRTIO_MMIO);
	cr_expect_str_eq(config.serial.path, "b,c", "this flag is no list");
	cr_assert_eq(READ("--console", "to=file=x,,y"), 0);
	cr_expect_str_eq(config.console.path, "x,y");
	expect_mistake(READ("--console", "fiel=a"),
		       "--console: 'fiel=a' is not one of stdio, file=PATH, null, off");
	expect_mistake(READ("--console", "stdio,file=a"),
		       "--console: unknown key 'file'; known are to, transport, features, iommu");
}

Test(command_line, set_reaches_every_setting)
{
	cr_assert_eq(READ("--set", "vm.kvm=/x", "--set=disks.root.path=a=b", "--set",
			  "disks.root.readonly=yes", "--set", "disks.a.b.path=c"),
		     0);
	cr_expect_str_eq(config.kvm_path, "/x");
	cr_assert_eq(config.n_disks, 2);
	cr_expect_str_eq(config.disk[0].name, "root");
	cr_expect_str_eq(config.disk[0].path, "a=b");
	cr_expect(config.disk[0].readonly);
	cr_expect_str_eq(config.disk[1].name, "a.b");
}

/* What nobody named has its number: that is how it is called in messages, too. */
Test(command_line, set_finds_what_has_a_default_name)
{
	cr_assert_eq(READ("--disk", "a.img", "--disk", "b.img,name=root", "--disk", "c.img",
			  "--set", "disks.disk2.direct=on", "--net", "user", "--set",
			  "nets.net0.mtu=1400"), 0);
	cr_expect_eq(config.n_disks, 3);
	cr_expect_eq(config.n_nets, 1);
	cr_expect(config.disk[2].direct);
	cr_expect_not(config.disk[0].direct);
	cr_expect_eq(config.net[0].mtu, 1400);
	/* The second one has another name. */
	cr_assert_eq(READ("--set", "disks.disk1.direct=on"), 0);
	cr_expect_eq(config.n_disks, 4);
	config_validate(&config, &mistakes);
	cr_expect_eq(mistakes.n, 1, "disk1 has no path");
}

Test(command_line, set_can_change_a_disk_that_has_a_name)
{
	cr_assert_eq(READ("--disk", "a.img,name=root", "--set", "disks.root.direct=on"), 0);
	cr_assert_eq(config.n_disks, 1);
	cr_expect(config.disk[0].direct);
}

Test(command_line, mistakes_of_set_are_told)
{
	expect_mistake(READ("--set", "foo"), "--set: 'foo' is not SECTION.KEY=VALUE");
	expect_mistake(READ("--set", "vm.memroy=1"),
		       "--set: vm.memroy: unknown key 'memroy'; did you mean 'memory'?");
	expect_mistake(READ("--set", "disk.a.path=1"),
		       "--set: unknown section 'disk'; did you mean 'disks'?");
	expect_mistake(READ("--set", "disks.path=1"),
		       "--set: disks.path: give a name, 'disks.NAME.path'");
	expect_mistake(READ("--set", "vm.a.memory=1"), "--set: vm.a.memory: write 'vm.memory'");
	expect_mistake(READ("--set", "vm.memory=x"),
		       "--set: vm.memory: 'x' is not a size (a whole number, then K, M, G or T)");
}

Test(command_line, credentials_are_pairs)
{
	cr_assert_eq(READ("--credential", "a=1,b", "--credential=c=", "--credential", "a=2"), 0);
	cr_assert_eq(config.credentials.n, 2);
	cr_expect_str_eq(config.credentials.item[0], "a=2");
	cr_expect_str_eq(config.credentials.item[1], "c=");
	expect_mistake(READ("--credential", "a"), "--credential: 'a' is not NAME=VALUE");
}

Test(command_line, switches_are_counted)
{
	cr_assert_eq(READ("-vv", "--verbose", "-q", "-h", "--dump-dtb", "a", "--dump-dtb=b"), 0);
	cr_expect_str_eq(switches.dump_dtb, "b");
	cr_expect_eq(switches.verbose, 3);
	cr_expect(switches.quiet);
	cr_expect(switches.help);
}

Test(command_line, explaining_has_two_forms)
{
	cr_assert_eq(READ("--memory", "1G"), 0);
	cr_expect_eq(switches.explain, EXPLAIN_OFF);
	cr_assert_eq(READ("--explain"), 0);
	cr_expect_eq(switches.explain, EXPLAIN_TEXT);
	cr_assert_eq(READ("--explain=json"), 0);
	cr_expect_eq(switches.explain, EXPLAIN_JSON);
	expect_mistake(READ("--explain=xml"), "--explain: 'xml' is not one of text, json");
	expect_mistake(READ("--json"), "unknown option '--json'; 'vireo run --help' lists them");
	switches = (struct run_switches){ .command = COMMAND_LINE_EXPLAIN };
	cr_assert_eq(READ("--json", "-q", "--explain", "--explain=json"), 0);
	cr_expect_eq(switches.explain, EXPLAIN_JSON);
	expect_mistake(READ("--jsn"), "unknown option '--jsn'; did you mean '--json'?");
}

Test(command_line, drivers_can_be_judged)
{
	cr_expect_not(config.strict_driver);
	cr_assert_eq(READ("--strict-driver", "--on-driver-mistake", "report"), 0);
	cr_expect(config.strict_driver);
	cr_expect_eq(config.on_driver_mistake, MISTAKE_REPORT);
}

Test(command_line, a_word_that_is_no_file_may_be_an_option)
{
	expect_mistake(READ("gone.yaml"), "open 'gone.yaml': No such file or directory");
	cr_expect_eq(mistakes.status, STATUS_NO_FILE);
	expect_mistake(READ("memory=1G"), "open 'memory=1G': No such file or directory; did you "
					  "mean '--memory=1G'?");
	expect_mistake(READ("vm.cpus=2"), "open 'vm.cpus=2': No such file or directory; did you "
					  "mean '--set vm.cpus=2'?");
	expect_mistake(READ("quiet"), "open 'quiet': No such file or directory");
	expect_mistake(READ("/"), "read '/': Is a directory");
	cr_expect_eq(mistakes.status, STATUS_FAILED);
}

Test(command_line, very_long_words_do_no_harm)
{
	static char word[70000], item[70000];

	memset(word, 'x', sizeof(word) - 1);
	memcpy(word, "--", 2);
	memset(item, ',', sizeof(item) - 1);
	cr_expect_eq(READ(word), 1);
	cr_expect_neq(READ("--disk", item), 0);
	memcpy(word, "vm", 2);
	word[2] = '.';
	word[sizeof(word) - 2] = '=';
	cr_expect_eq(READ("--set", word), 1);
	cr_expect_eq(READ(word), 1);
}
