#include "vmm/exec/exec_kernel.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/exec/kernel_modules.h"
#include "vmm/machine/boot_file.h"
#include "vmm/machine/kernel_image.h"

enum { MAX_UP = 8 };		/* arch/x86/boot/bzImage is three below its tree */

/* "a/b" of the two; false: it does not fit. */
static bool join(char out[PATH_MAX], const char *a, const char *b)
{
	return snprintf(out, PATH_MAX, "%s/%s", a, b) < PATH_MAX;
}

/* --- The kernel ------------------------------------------------------------------------------ */

/* The newest "vmlinuz-VERSION", as versions are compared. */
static bool find_newest(struct exec_kernel *kernel, const char *boot)
{
	char best[NAME_MAX + 1] = "";
	struct dirent *entry;
	DIR *dir = opendir(boot);

	while (dir && (entry = readdir(dir)) != NULL)
		if (!strncmp(entry->d_name, "vmlinuz-", 8) &&
		    (!*best || strverscmp(entry->d_name, best) > 0))
			snprintf(best, sizeof(best), "%s", entry->d_name);
	if (dir)
		closedir(dir);
	return *best && join(kernel->path, boot, best);
}

static int find_kernel(struct exec_kernel *kernel, const char *wanted, const char *boot,
		       const char *running)
{
	char name[NAME_MAX + 1];
	int r;

	if (wanted) {
		if (snprintf(kernel->path, sizeof(kernel->path), "%s", wanted) < PATH_MAX)
			return 0;
		return error_set(ENAMETOOLONG, "open '%.60s...'", wanted);
	}
	snprintf(name, sizeof(name), "vmlinuz-%s", running);
	if (join(kernel->path, boot, name) && access(kernel->path, F_OK) == 0)
		return 0;
	if (find_newest(kernel, boot))
		return 0;
	r = error_set(ENOENT, "there is no kernel in '%s': no vmlinuz-%s, nor any other", boot,
		      running);
	error_hint("give one: --kernel arch/x86/boot/bzImage in a kernel tree, or install that of "
		   "your distribution (Debian: linux-image-amd64)");
	return r;
}

/* The word behind "Linux version " in an ELF kernel, which may be anywhere in it. */
static int scan_release(struct exec_kernel *kernel, const struct boot_file *file)
{
	static const char mark[] = "Linux version ";
	enum { CHUNK = 1 << 20, OVERLAP = 256 };
	char *buf = malloc(CHUNK), *found;
	uint64_t at = 0;
	int r = 0;

	if (!buf)
		return error_set(ENOMEM, "look at the kernel");
	while (r == 0 && at < file->size) {
		size_t len = min_u64(CHUNK, file->size - at);

		r = boot_file_read(file, at, buf, len);
		found = r == 0 ? memmem(buf, len, mark, sizeof(mark) - 1) : NULL;
		if (found && (size_t)(buf + len - found) > OVERLAP / 2) {
			found += sizeof(mark) - 1;
			snprintf(kernel->release, sizeof(kernel->release), "%.*s",
				 (int)strnlen(found, 100), found);
			kernel->release[strcspn(kernel->release, " \n%")] = '\0';
			/* A format string has no release. */
			if (*kernel->release)
				break;
		}
		at += at + len < file->size ? len - OVERLAP : len;
	}
	free(buf);
	return r;
}

/* It becomes a part of paths, and a file can say anything. */
static void judge_release(struct exec_kernel *kernel)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._+~-";

	if (*kernel->release == '.' || kernel->release[strspn(kernel->release, allowed)])
		kernel->release[0] = '\0';
}

/* What the kernel is, and of which release. */
static int look_at(struct exec_kernel *kernel)
{
	struct boot_file file = BOOT_FILE_INIT;
	struct kernel_image *image = calloc(1, sizeof(*image));
	int r = image ? boot_file_open(&file, "kernel", kernel->path)
		      : error_set(ENOMEM, "look at the kernel");

	if (r == 0)
		r = kernel_image_detect(image, &file);
	if (r == 0 && image->format == KERNEL_BZIMAGE)
		snprintf(kernel->release, sizeof(kernel->release), "%s", image->bzimage.release);
	else if (r == 0)
		r = scan_release(kernel, &file);
	judge_release(kernel);
	boot_file_close(&file);
	free(image);
	return r;
}

/* --- Its modules ----------------------------------------------------------------------------- */

/* Is 'dir' a kernel tree that was built, and of this release? */
static bool is_tree_of(const struct exec_kernel *kernel, const char *dir)
{
	char path[PATH_MAX], release[128] = "";
	FILE *f;

	if (!join(path, dir, "include/config/kernel.release") || !(f = fopen(path, "re")))
		return false;
	if (!fgets(release, sizeof(release), f))
		release[0] = '\0';
	fclose(f);
	release[strcspn(release, "\n")] = '\0';
	return !*kernel->release || !strcmp(release, kernel->release);
}

bool exec_kernel_tree(const struct exec_kernel *kernel, char dir[PATH_MAX])
{
	char *slash;

	if (!realpath(kernel->path, dir))
		return false;
	for (unsigned i = 0; i < MAX_UP; i++) {
		slash = strrchr(dir, '/');
		if (!slash || slash == dir)
			break;
		*slash = '\0';
		if (is_tree_of(kernel, dir))
			return true;
	}
	return false;
}

static bool find_tree(struct exec_kernel *kernel)
{
	char dir[PATH_MAX];

	if (!exec_kernel_tree(kernel, dir))
		return false;
	kernel->is_tree = true;
	/* One without modules has nothing to say. */
	if (kernel_modules_are_in(dir))
		snprintf(kernel->modules, sizeof(kernel->modules), "%s", dir);
	return true;
}

/* lib/modules/RELEASE beside the kernel. */
static bool find_beside(struct exec_kernel *kernel)
{
	char dir[PATH_MAX], *slash;
	int n;

	if (!realpath(kernel->path, dir) || !(slash = strrchr(dir, '/')))
		return false;
	*slash = '\0';
	n = snprintf(kernel->modules, sizeof(kernel->modules), "%s/lib/modules/%s", dir,
		     kernel->release);
	return n < PATH_MAX && kernel_modules_are_in(kernel->modules);
}

static void find_modules(struct exec_kernel *kernel, const char *modules)
{
	if (find_tree(kernel) || !*kernel->release || find_beside(kernel) ||
	    (join(kernel->modules, modules, kernel->release) &&
	     kernel_modules_are_in(kernel->modules)))
		return;
	kernel->modules[0] = '\0';
}

static int take_modules(struct exec_kernel *kernel, const char *dir)
{
	int r;

	if (!kernel_modules_are_in(dir)) {
		r = error_set(ENOENT, "there are no modules in '%s'", dir);
		error_hint("--modules takes lib/modules/RELEASE, or a kernel tree that was built");
		return r;
	}
	kernel->is_tree = is_tree_of(kernel, dir);
	return realpath(dir, kernel->modules) ? 0 : error_set(errno, "open '%s'", dir);
}

int exec_kernel_find(struct exec_kernel *kernel, const char *wanted, const char *modules,
		     const struct exec_places *places)
{
	struct utsname host;
	int r;

	*kernel = (struct exec_kernel){ 0 };
	uname(&host);
	r = find_kernel(kernel, wanted, places && places->boot ? places->boot : "/boot",
			places && places->running ? places->running : host.release);
	if (r == 0)
		r = look_at(kernel);
	if (r < 0)
		return r;
	if (modules)
		return take_modules(kernel, modules);
	find_modules(kernel, places && places->modules ? places->modules : "/lib/modules");
	return 0;
}
