/*
 * The VM of one case: what the file says, then what it sets, then its place in the matrix; and what
 * tests want where nobody said otherwise: a guest that resets itself or stands still has failed,
 * and a Linux kernel makes a panic of what it could go on after.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/option.h"
#include "vmm/test/test_guest.h"
#include "vmm/test/test_reader.h"

/* --- Is it Linux? ---------------------------------------------------------------------------- */

enum { BANNER_WITHIN = 64 << 20 };

static bool has_banner(const char *data, size_t len)
{
	static const char banner[] = "Linux version ";

	return memmem(data, len, banner, strlen(banner)) != NULL;
}

/* A bzImage is; a vmlinux has the banner that it greets with.  What cannot be read is none. */
static bool look_at_kernel(const char *path)
{
	char magic[4] = "";
	struct stat st;
	bool is_linux = false;
	int fd;

	/* Opening what is no file can have effects. */
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 1024) {
		fd_close(&fd);
		return false;
	}
	size_t len = min_u64((uint64_t)st.st_size, BANNER_WITHIN);
	if (pread(fd, magic, 4, 0x202) == 4 && !memcmp(magic, "HdrS", 4)) {
		is_linux = true;
	} else if (pread(fd, magic, 4, 0) == 4 && !memcmp(magic, "\177ELF", 4)) {
		char *data = malloc(len);
		if (data && fd_pread_all(fd, data, len, 0) == 0)
			is_linux = has_banner(data, len);
		free(data);
	}
	fd_close(&fd);
	return is_linux;
}

static bool is_linux(struct test_reader *rd, const char *path)
{
	if (!path)
		return false;
	if (!rd->kernel || strcmp(rd->kernel, path)) {
		free(rd->kernel);
		rd->kernel = strdup(path);
		rd->kernel_is_linux = look_at_kernel(path);
	}
	return rd->kernel_is_linux;
}

/* --- The kernel's own strictness ------------------------------------------------------------- */

/* Where "--" stands in 'text', which hands the rest to init; NULL: it does not. */
static char *find_handover(char *text)
{
	for (char *p = text; p && (p = strstr(p, "--")) != NULL; p += 2)
		if ((p == text || p[-1] == ' ') && (p[2] == ' ' || p[2] == '\0'))
			return p;
	return NULL;
}

static bool has_word(const char *text, const char *start, size_t len)
{
	for (const char *p = text; p && (p = strstr(p, start)) != NULL; p += len)
		if ((p == text || p[-1] == ' ') && p[len] == '=')
			return true;
	return false;
}

/* Put 'words' ("a=1 b=2 ") before 'at' in an owned text; NULL: at its end.  False: no memory. */
static bool insert(char **text, char *at, const char *words)
{
	char *longer;
	int n;

	if (!*text)
		n = asprintf(&longer, "%.*s", (int)strlen(words) - 1, words);
	else if (at)
		n = asprintf(&longer, "%.*s%s%s", (int)(at - *text), *text, words, at);
	else
		n = asprintf(&longer, "%s %.*s", *text, (int)strlen(words) - 1, words);
	if (n < 0)
		return false;
	free(*text);
	*text = longer;
	return true;
}

/*
 * What Linux could go on after is a panic, which is seen, and after a panic it does not hang.  A
 * word that the user has written stays the user's.
 */
static bool make_strict(const struct test_draft *draft, struct vm_config *vm)
{
	static const struct {
		const char *name, *value;
	} words[] = {
		{ "panic", "-1" }, { "oops", "panic" }, { "softlockup_panic", "1" },
		{ "hung_task_panic", "1" },
	};
	char list[128] = "", *handover;

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		size_t len = strlen(words[i].name), at = strlen(list);
		if (!has_word(vm->cmdline, words[i].name, len) &&
		    !has_word(vm->append, words[i].name, len))
			snprintf(list + at, sizeof(list) - at, "%s=%s ", words[i].name,
				 words[i].value);
	}
	if (!*list)
		return true;
	log_info("%s: the kernel is told %s(strict_kernel)", draft->spec->name, list);
	handover = find_handover(vm->cmdline);
	if (handover)
		return insert(&vm->cmdline, handover, list);
	return insert(&vm->append, find_handover(vm->append), list);
}

static bool is_given(const struct vm_config *vm, const char *section, const char *key)
{
	const struct option *o = option_find(section, strlen(section), key, strlen(key));

	return origins_find(&vm->origins, option_section_of(o), 0, o) != NULL;
}

static void apply_profile(const struct test_draft *draft, struct vm_config *vm)
{
	if (!is_given(vm, "vm", "on_reboot"))
		vm->on_reboot = POLICY_FAIL;
	if (!is_given(vm, "vm", "on_halt"))
		vm->on_halt = POLICY_FAIL;
	if (draft->spec->strict_kernel && is_linux(draft->reader, vm->kernel) &&
	    !make_strict(draft, vm))
		test_mistake(draft->test, "no memory");
}

/* --- Settings -------------------------------------------------------------------------------- */

static void read_vm_file(struct vm_load *load, struct test_value v)
{
	struct origin at = { .file = v.file->origin, .line = v.node->line,
			     .column = v.node->column };
	char *path = test_text(v, true), *resolved;

	if (!path)
		return;
	if (!*path || !strcmp(path, "-")) {
		test_mistake(v, "the name of a VM file belongs here");
		free(path);
		return;
	}
	resolved = vm_file_resolve(v.file, path);
	if (resolved)
		vm_file_read_at(load, resolved, &at);
	else
		test_mistake(v, "no memory");
	free(resolved);
	free(path);
}

static void read_vm(struct vm_load *load, struct test_value v)
{
	struct vm_file f = *v.file;

	f.load = load;
	if (v.node->kind == YAML_MAP)
		vm_file_map(&f, v.node);
	else if (v.node->kind == YAML_LIST)
		for (const struct yaml_node *i = v.node->first; i; i = i->next)
			read_vm_file(load, (struct test_value){ v.file, i });
	else
		read_vm_file(load, v);
}

static void set(struct vm_load *load, struct test_value v, const char *setting)
{
	struct vm_file f = *v.file;

	f.load = load;
	vm_file_set(&f, setting, v.node);
}

static void read_set(const struct test_draft *draft, struct test_value v, void *arg)
{
	(void)draft;
	if (v.node->is_empty || !test_is_map(v, "{ vm.memory: 1G }"))
		return;
	for (const struct yaml_node *node = v.node->first; node; node = node->next)
		set(arg, (struct test_value){ v.file, node }, node->key);
}

static bool is_heard(const struct vm_config *vm)
{
	return vm->console.kind == TARGET_STDIO || vm->serial.kind == TARGET_STDIO;
}

/* Steps that need its console need one that leads to us. */
static void check_console(const struct test_draft *draft, const struct vm_config *vm)
{
	const struct test_spec *spec = draft->spec;

	for (unsigned i = 0; i < spec->n_steps && !is_heard(vm); i++) {
		if (spec->step[i].kind != STEP_EXPECT && spec->step[i].kind != STEP_SEND)
			continue;
		test_key_mistake(draft->test, "step '%.60s' needs the console, but neither "
				 "console.to nor serial.to is stdio", spec->step[i].shown);
		return;
	}
}

/* What a VM whose guest Vireo makes need not say, and what it must not. */
static void settle_made(const struct test_draft *draft, struct vm_config *vm)
{
	if (vm->initrd)
		test_key_mistake(draft->test, "its VM has 'boot.initrd', which Vireo makes where "
				 "there is 'root': leave one of them away");
	/* Without any in the host the test is broken, if nothing else is missing. */
	if (!vm->kernel)
		vm->kernel = test_guest_kernel();
}

void test_vm_make(const struct test_draft *draft, const struct test_axes *axes, bool complete,
		  struct vm_config *vm)
{
	struct mistakes *mistakes = draft->reader->mistakes;
	struct vm_load load = {
		.config = vm, .mistakes = mistakes, .budget = EXPAND_MAX,
		.origins = &vm->origins, .kind = "VM file",
	};
	struct test_value v = test_find(draft, "vm");
	unsigned before = mistakes->n;

	if (v.node)
		read_vm(&load, v);
	test_each(draft, "set", read_set, &load);
	for (unsigned i = 0; i < axes->n; i++)
		if (axes->choice[i])
			set(&load, (struct test_value){ axes->key[i].file, axes->choice[i] },
			    axes->key[i].node->key);
	if (!complete || mistakes->n != before)
		return;
	if (draft->spec->is_made)
		settle_made(draft, vm);
	apply_profile(draft, vm);
	config_validate(vm, mistakes);
	if (!vm->kernel && !draft->spec->is_made && mistakes->n == before)
		test_key_mistake(draft->test, "its VM has no kernel, as "
				 "'vm: { boot: { kernel: FILE } }'");
	if (mistakes->n == before)
		check_console(draft, vm);
}
