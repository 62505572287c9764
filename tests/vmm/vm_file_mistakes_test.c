/* VM files that are wrong: each kind of mistake, and exactly what is said of it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fault.h"
#include "tests/vmm/vm_file_rig.h"
#include "vmm/base/error.h"
#include "vmm/file/yaml_tree.h"
#include "vmm/outcome.h"

TestSuite(vm_file_mistakes, .init = vm_file_rig_setup, .fini = vm_file_rig_teardown);

/* Read 'name' anew. */
static void read_file(const char *name)
{
	config_fini(&rig_config);
	cr_assert_eq(config_init(&rig_config), 0);
	memset(&rig_mistakes, 0, sizeof(rig_mistakes));
	vm_file_read(&rig_config, name, &rig_mistakes);
}

struct wrong {
	const char *text;
	const char *said;	/* of "web.yaml" */
};

static void expect_each(const struct wrong *wrong, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		rig_write("web.yaml", wrong[i].text);
		read_file("web.yaml");
		config_validate(&rig_config, &rig_mistakes);
		cr_expect_eq(rig_mistakes.n, 1, "%s: %u: %s", wrong[i].text, rig_mistakes.n,
			     rig_mistakes.line[1]);
		cr_expect_str_eq(rig_mistakes.line[0], wrong[i].said, "%s\n%s\nnot %s",
				 wrong[i].text, rig_mistakes.line[0], wrong[i].said);
		cr_expect_eq(rig_mistakes.status, STATUS_FAILED);
	}
}

#define SECTIONS "include, boot, vm, disks, nets, console, ports, serial, rng, balloon, vsock, scsis, "      \
		 "shares, iommu, numa, smbios, cloud_init, credentials"

Test(vm_file_mistakes, of_the_version)
{
	static const struct wrong wrong[] = {
		{ "schema_version: 2\n",
		  "web.yaml:1:17: schema_version: '2' is not 1, the only form of VM files that this "
		  "Vireo knows" },
		{ "schema_version: new\n",
		  "web.yaml:1:17: schema_version: 'new' is not 1, the only form of VM files that "
		  "this Vireo knows" },
		{ "schema_version: { a: b }\n",
		  "web.yaml:1:17: schema_version: one value belongs here, not a map" },
	};

	expect_each(wrong, ARRAY_SIZE(wrong));
}

Test(vm_file_mistakes, of_words)
{
	static const struct wrong wrong[] = {
		{ "dsks: {}\n",
		  "web.yaml:1:1: dsks: unknown section; did you mean 'disks'; allowed: " SECTIONS },
		{ "vm: {}\nwhatever:\n  x: 1\n",
		  "web.yaml:2:1: whatever: unknown section; allowed: " SECTIONS },
		{ "memory: 1G\n",
		  "web.yaml:1:1: memory: unknown section; did you mean 'vm.memory'; allowed: "
		  SECTIONS },
		{ "boot:\n  kernl: x\n",
		  "web.yaml:2:3: boot.kernl: unknown key; did you mean 'kernel'; allowed: kernel, "
		  "initrd, cmdline, append, unpack, symbols" },
		{ "boot: { readonly: yes }\n",
		  "web.yaml:1:9: boot.readonly: unknown key; did you mean 'disks.NAME.readonly'; "
		  "allowed: kernel, initrd, cmdline, append, unpack, symbols" },
		{ "scsis: { a: { wwpn: naa.5001405012345678, lun: 1 } }\n",
		  "web.yaml:1:43: scsis.a.lun: unknown key; allowed: wwpn, queues, vhost_path, "
		  "transport, features, iommu" },
		{ "disks: { a: { name: b, path: x } }\n",
		  "web.yaml:1:15: disks.a.name: the name is the key above; rename that" },
		{ "disks:\n  \u00e4\u00f6: { path: x, 'b\u00e4r': 1 }\n",
		  "web.yaml:2:18: disks.\u00e4\u00f6.b\u00e4r: unknown key; allowed: path, socket, "
		  "readonly, ephemeral, direct, engine, queues, queue_size, serial, block_size, "
		  "transport, features, iommu" },
	};

	expect_each(wrong, ARRAY_SIZE(wrong));
}

Test(vm_file_mistakes, of_values)
{
	static const struct wrong wrong[] = {
		{ "vm: { memory: lots }\n",
		  "web.yaml:1:15: vm.memory: 'lots' is not a size (a whole number, then K, M, G or "
		  "T)" },
		{ "vm: { cpus: 65 }\n",
		  "web.yaml:1:13: vm.cpus: '65' is too large: allowed are 1 to 64" },
		{ "vm:\n  on_reboot: restrat\n",
		  "web.yaml:2:14: vm.on_reboot: 'restrat' is not one of exit, fail, restart; did "
		  "you mean 'restart'?" },
		{ "disks:\n  root:\n    path: x\n    readonly: perhaps\n",
		  "web.yaml:4:15: disks.root.readonly: 'perhaps' is neither yes nor no" },
		{ "vm: { features: [ +packed, -nope ] }\n",
		  "web.yaml:1:28: vm.features: 'nope' is no feature bit that all devices have" },
		{ "boot: { kernel: '' }\n",
		  "web.yaml:1:17: boot.kernel: the name of a file is empty" },
		{ "console: { to: file= }\n",
		  "web.yaml:1:16: console.to: the name of a file is empty" },
		{ "boot:\n  kernel:\n  initrd: x\n",
		  "web.yaml:2:3: boot.kernel: it has no value; '' is an empty text" },
		{ "boot:\n  append: ${VIREO_NONE}\n",
		  "web.yaml:2:11: boot.append: the environment has no variable 'VIREO_NONE'; "
		  "${VIREO_NONE:-DEFAULT} has a default" },
		{ "boot: { append: cost $5 }\n",
		  "web.yaml:1:17: boot.append: '$5': write '$$' for a dollar, ${NAME} for a "
		  "variable" },
		{ "boot: { append: 'a$' }\n",
		  "web.yaml:1:17: boot.append: '$': write '$$' for a dollar, ${NAME} for a "
		  "variable" },
		{ "boot: { append: '${A' }\n", "web.yaml:1:17: boot.append: '${A' has no '}'" },
		{ "boot: { append: '${A:-${B}' }\n",
		  "web.yaml:1:17: boot.append: '${A:-${B}' has no '}'" },
		{ "boot: { append: '${A-b}' }\n",
		  "web.yaml:1:17: boot.append: '${A-b}' is not ${NAME} or ${NAME:-DEFAULT}" },
		{ "boot: { append: '${}' }\n",
		  "web.yaml:1:17: boot.append: '${}' is not ${NAME} or ${NAME:-DEFAULT}" },
		{ "boot: { append: '${1A}' }\n",
		  "web.yaml:1:17: boot.append: '${1A}' is not ${NAME} or ${NAME:-DEFAULT}" },
		{ "boot: { append: \"a\\0b\" }\n",
		  "web.yaml:1:17: boot.append: a text cannot hold the character NUL" },
		{ "credentials: { 'a=b': c }\n", "web.yaml:1:23: credentials.a=b: a name has no '='" },
	};

	unsetenv("VIREO_NONE");
	expect_each(wrong, ARRAY_SIZE(wrong));
}

Test(vm_file_mistakes, of_kinds)
{
	static const struct wrong wrong[] = {
		{ "serial: off\n",
		  "web.yaml:1:9: serial: a map of settings belongs here, as '{ to: off }', not a "
		  "single value" },
		{ "vm: [ 1 ]\n",
		  "web.yaml:1:5: vm: a map of settings belongs here, as '{ memory: ... }', not a "
		  "list" },
		{ "disks:\n- path: x\n",
		  "web.yaml:2:1: disks: a map of names belongs here, as '{ disk0: { path: ... } }', "
		  "not a list" },
		{ "disks: x.img\n",
		  "web.yaml:1:8: disks: a map of names belongs here, as '{ disk0: { path: ... } }', "
		  "not a single value" },
		{ "disks: { root: x.img }\n",
		  "web.yaml:1:16: disks.root: a map of settings belongs here, as '{ path: x.img }', "
		  "not a single value" },
		{ "disks: { root: [ x.img ] }\n",
		  "web.yaml:1:16: disks.root: a map of settings belongs here, as '{ path: ... }', "
		  "not a list" },
		{ "credentials: [ a=b ]\n",
		  "web.yaml:1:14: credentials: a map belongs here, as '{ NAME: VALUE }', not a "
		  "list" },
		{ "credentials: { a: [ b ] }\n",
		  "web.yaml:1:19: credentials.a: one value belongs here, not a list" },
		{ "vm:\n  memory: { size: 1G }\n",
		  "web.yaml:2:11: vm.memory: one value belongs here, not a map" },
		{ "vm:\n  cpus:\n  - 2\n",
		  "web.yaml:3:3: vm.cpus: one value belongs here, not a list" },
		{ "nets: { lan: { forward: [ [ tcp:1:1 ] ] } }\n",
		  "web.yaml:1:27: nets.lan.forward: one value belongs here, not a list" },
		{ "nets: { lan: { forward: [ a: b ] } }\n",
		  "web.yaml:1:27: nets.lan.forward: one value belongs here, not a map" },
		{ "nets: { lan: { forward: { a: b } } }\n",
		  "web.yaml:1:25: nets.lan.forward: one value belongs here, not a map" },
		{ "balloon:\n",
		  "web.yaml:1:1: balloon: nothing follows; 'balloon: {}' has it at its defaults, "
		  "without this line there is none" },
		{ "- vm\n",
		  "web.yaml:1:1: a VM file is a map of sections, as 'vm: { memory: 512M }', not a "
		  "list" },
		{ "just a text\n",
		  "web.yaml:1:1: a VM file is a map of sections, as 'vm: { memory: 512M }', not a "
		  "single text" },
		{ "include: { a: b }\n",
		  "web.yaml:1:10: include: one value belongs here, not a map" },
		{ "include:\n", "web.yaml:1:1: include: it has no value; '' is an empty text" },
	};

	expect_each(wrong, ARRAY_SIZE(wrong));
}

Test(vm_file_mistakes, of_yaml)
{
	static const struct wrong wrong[] = {
		{ "vm: {}\nboot: {}\nvm: {}\n",
		  "web.yaml:3:1: vm: given twice; the first one is in line 1" },
		{ "disks:\n  root: { path: a }\n  root: { path: b }\n",
		  "web.yaml:3:3: disks.root: given twice; the first one is in line 2" },
		{ "vm: { cpus: 1, cpus: 2 }\n",
		  "web.yaml:1:16: vm.cpus: given twice; the first one is in line 1" },
		{ "vm: { \"\\x63pus\": 1, cpus: 2 }\n",
		  "web.yaml:1:21: vm.cpus: given twice; the first one is in line 1" },
		{ "vm: &all { cpus: 1 }\n",
		  "web.yaml:1:5: vm: anchors ('&all') are not used in VM files" },
		{ "vm: *all\n",
		  "web.yaml:1:5: vm: aliases ('*all') are not used in VM files; a text with '*' "
		  "needs quotes" },
		{ "vm: { cpus: !!int 2 }\n",
		  "web.yaml:1:13: vm.cpus: tags ('tag:yaml.org,2002:int') are not used in VM files; "
		  "the key says what a value is" },
		{ "vm: !local { cpus: 2 }\n",
		  "web.yaml:1:5: vm: tags ('!local') are not used in VM files; the key says what a "
		  "value is" },
		{ "vm: ! 2\n",
		  "web.yaml:1:5: vm: tags ('!') are not used in VM files; the key says what a value "
		  "is" },
		{ "vm:\n  <<: { cpus: 2 }\n",
		  "web.yaml:2:3: vm: merge keys ('<<') are not used in VM files; 'include' takes the "
		  "settings of another file" },
		{ "vm: {}\n---\nvm: {}\n",
		  "web.yaml:2:1: a second document begins here; a VM file is one" },
		{ "%YAML 1.1\n---\nvm: {}\n",
		  "web.yaml:1:1: directives (lines with '%') are not used in VM files" },
		{ "%TAG ! x\n---\nvm: {}\n",
		  "web.yaml:1:1: directives (lines with '%') are not used in VM files" },
		{ "? [ vm ]\n: {}\n", "web.yaml:1:3: a key is a word, not a list" },
		{ "vm: { { a: b }: c }\n", "web.yaml:1:7: vm: a key is a word, not a map" },
		{ "vm: { : 2 }\n", "web.yaml:1:7: a value belongs here" },
		{ "vm: { '': 2 }\n", "web.yaml:1:7: vm: a key is missing before the ':'" },
		{ "boot: { append: ${A} }\n",
		  "web.yaml:1:18: a value with '${' in it needs quotes inside of '{ }' and '[ ]'" },
		{ "vm:\n\tcpus: 2\n", "web.yaml:2:1: a tab cannot indent; use spaces" },
		{ "vm:\n  cpus: 2\n   poll: 2\n",
		  "web.yaml:3:8: no ':' can be here; is the indentation right, is a text with ': ' "
		  "in quotes?" },
		{ "vm:\n  cpus: 2\n poll: 2\n",
		  "web.yaml:3:2: a key belongs here; is the indentation right?" },
		{ "boot: { append: a: b }\n",
		  "web.yaml:1:18: a ',' or '}' is missing here, in the map that begins at 1:7" },
		{ "vm: { cpus: 2\n",
		  "web.yaml:2:1: a ',' or '}' is missing here, in the map that begins at 1:5" },
		{ "nets: { a: { forward: [ tcp:1:1 } }\n",
		  "web.yaml:1:33: a ',' or ']' is missing here, in the list that begins at 1:23" },
		{ "boot:\n  append: \"abc\n",
		  "web.yaml:3:1: the file ends in the text in quotes that begins at 2:11" },
		{ "boot:\n  append: @x\n",
		  "web.yaml:2:11: a value cannot begin with '@'; put it in quotes" },
		{ "boot:\n  append: `x`\n",
		  "web.yaml:2:11: a value cannot begin with '`'; put it in quotes" },
		{ "\u00fc: { }\nboot:\n  append: %x\n",
		  "web.yaml:3:11: a value cannot begin with '%'; put it in quotes" },
		{ "boot:\n  append: \"\\q\"\n",
		  "web.yaml:2:12: no such escape exists; '\\\\' is a backslash, and 'single quotes' know no escapes" },
		{ "{\"boot\":{\"append\":\"\\ud83d\"}}",
		  "web.yaml:1:22: this escape is no character (one of two halves, or beyond the "
		  "last)" },
		{ "vm: {}\n}\n",
		  "web.yaml:2:1: a key belongs here; is the indentation right?" },
	};

	expect_each(wrong, ARRAY_SIZE(wrong));
}

/* Bytes that no text has. */
Test(vm_file_mistakes, of_bytes)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *said;
	} wrong[] = {
#define BYTES(text) text, sizeof(text) - 1
		{ BYTES("\xef\xbb\xbfvm: {}\n"),
		  "web.yaml:1:1: a byte order mark begins the file; save it as UTF-8 without one" },
		{ BYTES("\xff\xfe" "vm"), "web.yaml:1:1: the file is UTF-16; save it as UTF-8" },
		{ BYTES("vm: {}\nboot: { append: \"\xfc\" }\n"),
		  "web.yaml:2:18: byte 0xfc is no UTF-8; save the file as UTF-8" },
		{ BYTES("# \xc3\xbc \xc0\xaf\n"),
		  "web.yaml:1:5: byte 0xc0 is no UTF-8; save the file as UTF-8" },
		{ BYTES("# \xed\xa0\x80\n"),
		  "web.yaml:1:3: byte 0xed is no UTF-8; save the file as UTF-8" },
		{ BYTES("# \xf4\x90\x80\x80\n"),
		  "web.yaml:1:3: byte 0xf4 is no UTF-8; save the file as UTF-8" },
		{ BYTES("# \xe2\x82"),
		  "web.yaml:1:3: byte 0xe2 is no UTF-8; save the file as UTF-8" },
		{ BYTES("vm: {}\r\n\r\n# \x1b[2J\n"),
		  "web.yaml:3:3: U+001B is a control character and no text" },
		{ BYTES("# \xc2\x9b\n"),
		  "web.yaml:1:3: U+009B is a control character and no text" },
		{ BYTES("# \xef\xbb\xbf\n"),
		  "web.yaml:1:3: U+FEFF is a control character and no text" },
		{ BYTES("vm: {}\n\0\n"),
		  "web.yaml: this is no text and so no VM file; a kernel to boot is named by "
		  "'--kernel FILE'" },
		{ BYTES("\x7f" "ELF\2"),
		  "web.yaml: this is no text and so no VM file; a kernel to boot is named by "
		  "'--kernel FILE'" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		rig_write_bytes("web.yaml", wrong[i].bytes, wrong[i].len);
		read_file("web.yaml");
		cr_expect_eq(rig_mistakes.n, 1, "%u", i);
		cr_expect_str_eq(rig_mistakes.line[0], wrong[i].said, "%u: %s", i,
				 rig_mistakes.line[0]);
	}
}

Test(vm_file_mistakes, all_of_a_file_are_told_in_its_order)
{
	rig_write("base.yaml", "vm:\n  polll: 1\n  cpus: none\n");
	rig_write("web.yaml", "vm:\n"
			      "  memory: 513K\n"
			      "  cpus: 0\n"
			      "disks:\n"
			      "  root: { path: x, readonly: yes, ephemeral: yes }\n"
			      "  root: {}\n"
			      "nets: { lan: { mac: 1, speeed: 2 } }\n"
			      "include: base.yaml\n");
	read_file("web.yaml");
	cr_expect_eq(rig_mistakes.n, 1, "a key that is given twice makes the rest doubtful");
	rig_write("web.yaml", "vm:\n"
			      "  memory: 1025K\n"
			      "  cpus: 0\n"
			      "disks:\n"
			      "  root: { path: x, readonly: yes, ephemeral: yes }\n"
			      "nets: { lan: { mac: 1, speeed: 2 } }\n"
			      "include: base.yaml\n");
	read_file("web.yaml");
	config_validate(&rig_config, &rig_mistakes);
	static const char *const begin[] = {
		"web.yaml:2:11: vm.memory: 1025K is not a multiple of 4K",
		"web.yaml:3:9: vm.cpus: '0' is too small",
		"web.yaml:5:46: disks.root.ephemeral: 'readonly' and 'ephemeral' exclude",
		"web.yaml:6:21: nets.lan.mac: '1' is no address",
		"web.yaml:6:24: nets.lan.speeed: unknown key; did you mean 'speed'",
		"base.yaml:2:3: vm.polll: unknown key; did you mean 'poll'",
		"base.yaml:3:9: vm.cpus: 'none' is not a whole number (in base.yaml, included from",
	};
	cr_assert_eq(rig_mistakes.n, ARRAY_SIZE(begin));
	for (unsigned i = 0; i < ARRAY_SIZE(begin); i++)
		cr_expect_eq(strncmp(rig_mistakes.line[i], begin[i], strlen(begin[i])), 0, "%s",
			     rig_mistakes.line[i]);
}

/* What is missing may be what was misspelt. */
Test(vm_file_mistakes, one_slip_is_one_mistake)
{
	rig_write("web.yaml", "disks: { root: { pth: x } }\n");
	read_file("web.yaml");
	config_validate(&rig_config, &rig_mistakes);
	cr_expect_eq(rig_mistakes.n, 1, "%s", rig_mistakes.line[1]);
	rig_write("web.yaml", "disks: { root: { readonly: yes } }\n");
	read_file("web.yaml");
	config_validate(&rig_config, &rig_mistakes);
	cr_expect_eq(rig_mistakes.n, 1);
	cr_expect_str_eq(rig_mistakes.line[0],
			 "web.yaml:1:10: disks.root: which file? Give its 'path'");
	rig_write("web.yaml", "vm: {}\n");
	read_file("web.yaml");
	config_need_kernel(&rig_config, &rig_mistakes);
	cr_expect_str_eq(rig_mistakes.line[0], "web.yaml: boot.kernel: which kernel? Give it here "
					       "or with '--kernel FILE'");
}

/* --- Includes -------------------------------------------------------------------------------- */

static void expect_only(const char *said, int status)
{
	cr_expect_eq(rig_mistakes.n, 1, "%u", rig_mistakes.n);
	cr_expect_str_eq(rig_mistakes.line[0], said, "%s", rig_mistakes.line[0]);
	cr_expect_eq(rig_mistakes.status, status);
}

Test(vm_file_mistakes, of_included_files_say_the_way_there)
{
	mkdir("sub", 0700);
	rig_write("sub/b.yaml", "vm: { cpus: x }\n");
	rig_write("a.yaml", "vm: {}\ninclude: [ sub/b.yaml ]\n");
	rig_write("web.yaml", "include: a.yaml\n");
	read_file("web.yaml");
	expect_only("sub/b.yaml:1:13: vm.cpus: 'x' is not a whole number (in sub/b.yaml, included "
		    "from a.yaml:2:12, included from web.yaml:1:10)", STATUS_FAILED);
}

Test(vm_file_mistakes, of_files_that_cannot_be_read)
{
	read_file("gone.yaml");
	expect_only("open 'gone.yaml': No such file or directory", STATUS_NO_FILE);
	read_file(".");
	expect_only("read '.': Is a directory", STATUS_FAILED);
	rig_write("web.yaml", "include: [ gone.yaml ]\n");
	read_file("web.yaml");
	expect_only("web.yaml:1:12: include: open 'gone.yaml': No such file or directory",
		    STATUS_NO_FILE);
	rig_write("web.yaml", "include: '-'\n");
	read_file("web.yaml");
	expect_only("web.yaml:1:10: include: standard input cannot be included", STATUS_FAILED);
	rig_write("web.yaml", "include: ''\n");
	read_file("web.yaml");
	expect_only("web.yaml:1:10: include: the name of a file is empty", STATUS_FAILED);
	cr_assert_eq(mkfifo("fifo", 0600), 0);
	rig_write("web.yaml", "include: fifo\n");
	read_file("web.yaml");
	expect_only("web.yaml:1:10: include: read 'fifo': it is no regular file", STATUS_FAILED);
	rig_write("web.yaml", "include: /dev/zero\n");
	read_file("web.yaml");
	expect_only("web.yaml:1:10: include: read '/dev/zero': it is no regular file",
		    STATUS_FAILED);
	read_file("/dev/zero");
	expect_only("read '/dev/zero': a VM file has at most 1 MiB; a kernel to boot is named by "
		    "'--kernel FILE'", STATUS_FAILED);
}

Test(vm_file_mistakes, loops_of_includes_are_named)
{
	rig_write("web.yaml", "include: web.yaml\n");
	read_file("web.yaml");
	expect_only("web.yaml:1:10: include: a loop: web.yaml includes web.yaml", STATUS_FAILED);
	rig_write("web.yaml", "include: a.yaml\n");
	rig_write("a.yaml", "include: b.yaml\n");
	rig_write("b.yaml", "include: ./link.yaml\n");
	cr_assert_eq(symlink("a.yaml", "link.yaml"), 0);
	read_file("web.yaml");
	expect_only("b.yaml:1:10: include: a loop: a.yaml includes b.yaml includes ./link.yaml (in "
		    "b.yaml, included from a.yaml:1:10, included from web.yaml:1:10)",
		    STATUS_FAILED);
}

/* --- Limits ---------------------------------------------------------------------------------- */

static char *repeat(const char *begin, const char *text, unsigned n, const char *end)
{
	size_t len = strlen(text);
	char *all = malloc(strlen(begin) + n * len + strlen(end) + 1), *p = all;

	cr_assert_not_null(all);
	p = stpcpy(p, begin);
	while (n-- > 0)
		p = stpcpy(p, text);
	stpcpy(p, end);
	return all;
}

static void expect_limit(char *text, const char *part)
{
	rig_write("web.yaml", text);
	free(text);
	read_file("web.yaml");
	cr_expect_eq(rig_mistakes.n, 1, "%u: %s", rig_mistakes.n, rig_mistakes.line[1]);
	cr_expect_not_null(strstr(rig_mistakes.line[0], part), "%s", rig_mistakes.line[0]);
}

Test(vm_file_mistakes, depth_and_size_are_bounded)
{
	static const char huge[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

	expect_limit(repeat("vm: ", "[", 500000, "\n"), "more than 8 deep");
	expect_limit(repeat("vm: ", "{ a: ", 200000, "\n"), "more than 8 deep");
	expect_limit(repeat("", "- ", 200000, "\n"), "more than 8 deep");
	expect_limit(repeat("vm: [ ", "a,", 400000, "]\n"), "more than 1024 things");
	expect_limit(repeat("# ", huge, 16384, "\n"), "at most 1 MiB");
	expect_limit(repeat("boot: { append: \"", huge, 100, "${VIREO_BIG}\" }"), "");
	char *row = repeat("[ ", "a, ", 1000, "],\n");
	expect_limit(repeat("vm: [ ", row, 100, "]\n"), "more than 20000 values");
	free(row);
}

Test(vm_file_mistakes, expansion_is_bounded)
{
	char *big = repeat("", "0123456789", 6000, "");

	setenv("VIREO_BIG", big, 1);
	free(big);
	expect_limit(repeat("boot:\n  append: ", "${VIREO_BIG}", 20, "\n"), "become too large");
	expect_limit(repeat("boot:\n  append: ", "${NONE:-", 1000, "x\n"), "has no '}'");
	char *open = repeat("boot:\n  append: ", "${NONE:-", 1000, "");
	expect_limit(repeat(open, "}", 1000, "\n"), "more than 8 deep");
	free(open);
}

/* Each level includes the next one several times. */
Test(vm_file_mistakes, files_are_counted_and_not_too_deep)
{
	char name[16], text[128];

	for (unsigned i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "%u.yaml", i);
		snprintf(text, sizeof(text), "include: [ %u.yaml, %u.yaml, %u.yaml, %u.yaml ]\n",
			 i + 1, i + 1, i + 1, i + 1);
		rig_write(name, text);
	}
	rig_write("7.yaml", "vm: {}\n");
	read_file("0.yaml");
	cr_assert_gt(rig_mistakes.n, 0);
	cr_expect_lt(rig_mistakes.n, 100);
	cr_expect_not_null(strstr(rig_mistakes.line[0], "these are more than 64 files"), "%s",
			   rig_mistakes.line[0]);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "%u.yaml", i);
		snprintf(text, sizeof(text), "include: %u.yaml\n", i + 1);
		rig_write(name, text);
	}
	read_file("0.yaml");
	cr_expect_eq(rig_mistakes.n, 1);
	cr_expect_not_null(strstr(rig_mistakes.line[0], "more than 8 deep"));
}

/* --- Failing calls --------------------------------------------------------------------------- */

static int read_again(void *arg)
{
	struct vm_config config;

	(void)arg;
	if (config_init(&config) < 0)
		return -error_errno();
	memset(&rig_mistakes, 0, sizeof(rig_mistakes));
	vm_file_read(&config, "web.yaml", &rig_mistakes);
	config_validate(&config, &rig_mistakes);
	config_fini(&config);
	return rig_mistakes.n ? error_set(EIO, "%s", rig_mistakes.line[0]) : 0;
}

/* Whatever fails, it is said, and nothing is left. */
Test(vm_file_mistakes, of_a_host_without_memory_are_told, .timeout = 120)
{
	rig_write("a.yaml", "disks: { root: { path: a.img, features: [ +packed ] } }\n");
	rig_write("web.yaml", "include: [ a.yaml ]\n"
			      "boot: { kernel: \"${HOME:-x}\", append: 'a b' }\n"
			      "disks: { root: { readonly: yes }, data: { path: b.img } }\n"
			      "nets: { lan: { forward: [ tcp:1:1, tcp:2:2 ] } }\n"
			      "console: { to: file=log }\ncredentials: { a: b, c: d }\n");
	cr_assert_geq(fault_each(read_again, NULL), 100u);
}
