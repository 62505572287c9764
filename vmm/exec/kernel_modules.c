#include "vmm/exec/kernel_modules.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/error.h"
#include "vmm/machine/boot_file.h"

enum {
	NAME_SIZE = 64,		/* MODULE_NAME_LEN of Linux is 56 */
	DEPTH_MAX = 32,
};
#define INDEX_MAX MIB(64)

/* --- Which there are ------------------------------------------------------------------------- */

static bool is_there(const char *dir, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) &&
	       access(path, R_OK) == 0;
}

bool kernel_modules_has_files(const char *tree)
{
	char path[PATH_MAX];
	struct stat st;

	return snprintf(path, sizeof(path), "%s/modules.order", tree) < (int)sizeof(path) &&
	       stat(path, &st) == 0 && st.st_size > 0;
}

bool kernel_modules_are_in(const char *dir)
{
	return is_there(dir, "modules.dep") || is_there(dir, "modules.order") ||
	       is_there(dir, "modules.builtin");
}

/* Read a text file whole; an empty or missing one is "". */
static int read_index(char **out, const char *dir, const char *name)
{
	struct boot_file file = BOOT_FILE_INIT;
	char path[PATH_MAX];
	int r;

	*out = NULL;
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return error_set(ENAMETOOLONG, "open '%s'", dir);
	r = boot_file_open(&file, "list of modules", path);
	if (r == -EINVAL || r == -ENOENT) {
		error_clear();
		*out = strdup("");
		return *out ? 0 : error_set(ENOMEM, "read '%s'", path);
	}
	if (r < 0)
		return r;
	if (file.size > INDEX_MAX)
		r = error_set(EFBIG, "read '%s'", path);
	if (r == 0) {
		*out = malloc(file.size + 1);
		r = *out ? boot_file_read(&file, 0, *out, file.size)
			 : error_set(ENOMEM, "read '%s'", path);
	}
	if (r == 0)
		(*out)[file.size] = '\0';
	boot_file_close(&file);
	return r;
}

int kernel_modules_init(struct kernel_modules *modules, const char *dir, const char *release)
{
	int r;

	*modules = (struct kernel_modules){ 0 };
	if (!dir)
		return 0;
	if (!kernel_modules_are_in(dir)) {
		r = error_set(ENOENT, "there are no modules in '%s'", dir);
		error_hint("it shall have modules.dep (from depmod), or be a kernel tree that was "
			   "built");
		return r;
	}
	modules->dir = strdup(dir);
	modules->release = release ? strdup(release) : NULL;
	if (!modules->dir || (release && !modules->release))
		return error_set(ENOMEM, "read the modules of a kernel");
	modules->is_tree = !is_there(dir, "modules.dep");
	r = read_index(&modules->index, dir, modules->is_tree ? "modules.order" : "modules.dep");
	return r == 0 ? read_index(&modules->builtin, dir, "modules.builtin") : r;
}

void kernel_modules_fini(struct kernel_modules *modules)
{
	for (unsigned i = 0; i < modules->n; i++) {
		free(modules->module[i].name);
		module_file_free(&modules->module[i].file);
	}
	free(modules->dir);
	free(modules->release);
	free(modules->index);
	free(modules->builtin);
	*modules = (struct kernel_modules){ 0 };
}

/*
 * Look in a list of lines "PATH" or "PATH: ..." for module 'name'.  Returns true and where its path
 * is ('len' characters).
 */
static bool find_in(const char *list, const char *name, const char **path, size_t *len)
{
	char word[PATH_MAX], own[NAME_SIZE];

	for (const char *line = list; line && *line; line = strchrnul(line, '\n')) {
		line += *line == '\n';
		*path = line;
		*len = strcspn(line, ":\n");
		if (*len >= sizeof(word) - 2)
			continue;
		snprintf(word, sizeof(word), "%.*s", (int)*len, line);
		/* modules.order has names of objects since Linux 6.2. */
		if (*len > 2 && !strcmp(word + *len - 2, ".o"))
			snprintf(word + *len - 2, 4, ".ko");
		if (module_file_name(word, own, sizeof(own)) && !strcmp(own, name))
			return true;
	}
	return false;
}

static int path_of(const struct kernel_modules *modules, const char *found, size_t len, char *path,
		   size_t size)
{
	bool is_object = len > 2 && !memcmp(found + len - 2, ".o", 2);
	int n;

	/* In a tree "kernel/" is what would be in front of it when it is installed. */
	if (modules->is_tree && len > 7 && !strncmp(found, "kernel/", 7) &&
	    !is_there(modules->dir, "kernel/fs")) {
		found += 7;
		len -= 7;
	}
	n = snprintf(path, size, "%s%s%.*s%s", *found == '/' ? "" : modules->dir,
		     *found == '/' ? "" : "/", (int)(is_object ? len - 2 : len), found,
		     is_object ? ".ko" : "");
	return n < (int)size ? 0 : error_set(ENAMETOOLONG, "open a module in '%s'", modules->dir);
}

/* --- Which are needed ------------------------------------------------------------------------ */

static bool has(const struct kernel_modules *modules, const char *name)
{
	for (unsigned i = 0; i < modules->n; i++)
		if (!strcmp(modules->module[i].name, name))
			return true;
	return false;
}

static int judge_release(const struct kernel_modules *modules, const struct module_file *file,
			 const char *path)
{
	const char *magic = module_file_info(file, "vermagic");
	size_t len = magic ? strcspn(magic, " ") : 0;

	if (!modules->release || !magic ||
	    (strlen(modules->release) == len && !memcmp(magic, modules->release, len)))
		return 0;
	return error_set(EXDEV, "the module '%s' is for Linux %.*s, and the kernel is %s", path,
			 len > NAME_SIZE ? NAME_SIZE : (int)len, magic, modules->release);
}

static int append(struct kernel_modules *modules, const char *name, struct module_file *file)
{
	struct kernel_module *module = &modules->module[modules->n];

	if (modules->n == KERNEL_MODULES_MAX)
		return error_set(E2BIG, "more than %d modules", (int)KERNEL_MODULES_MAX);
	module->name = strdup(name);
	if (!module->name)
		return error_set(ENOMEM, "take a module");
	module->file = *file;
	*file = (struct module_file){ 0 };
	modules->n++;
	return 0;
}

static int need(struct kernel_modules *modules, const char *name, unsigned depth);

/* "virtio,virtio_ring" */
static int need_all(struct kernel_modules *modules, const char *list, unsigned depth)
{
	char name[NAME_SIZE];
	size_t len;
	int r = 0;

	for (; r == 0 && *list; list += list[len] == ',' ? len + 1 : len) {
		len = strcspn(list, ",");
		if (len == 0)
			continue;
		if (len >= sizeof(name))
			return error_set(ENAMETOOLONG, "the name of a module");
		for (size_t i = 0; i < len; i++)
			name[i] = list[i] == '-' ? '_' : list[i];
		name[len] = '\0';
		r = need(modules, name, depth);
	}
	return r;
}

static int need(struct kernel_modules *modules, const char *name, unsigned depth)
{
	struct module_file file = { 0 };
	const char *found, *depends;
	char path[PATH_MAX];
	size_t len;
	int r;

	if (has(modules, name) || find_in(modules->builtin, name, &found, &len))
		return 0;
	if (depth > DEPTH_MAX)
		return error_set(ELOOP, "the module '%s' needs itself", name);
	if (!find_in(modules->index, name, &found, &len))
		return error_set(ENOENT, "there is no module '%s' in '%s'", name, modules->dir);
	r = path_of(modules, found, len, path, sizeof(path));
	if (r == 0)
		r = module_file_read(&file, path);
	if (r == 0)
		r = judge_release(modules, &file, path);
	depends = r == 0 ? module_file_info(&file, "depends") : NULL;
	if (depends)
		r = need_all(modules, depends, depth + 1);
	if (r == 0)
		r = append(modules, name, &file);
	module_file_free(&file);
	return r;
}

int kernel_modules_need(struct kernel_modules *modules, const char *name)
{
	return modules->dir ? need_all(modules, name, 0) : 0;
}
