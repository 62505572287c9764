#include "vmm/exec/module_stage.h"

#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/error.h"

/* "FORMAT" as a path; -ENAMETOOLONG with an error chain. */
static int PRINTF_LIKE(2, 3) make_path(char out[PATH_MAX], const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, PATH_MAX, fmt, ap);
	va_end(ap);
	return n < PATH_MAX ? 0 : error_set(ENAMETOOLONG, "stage the modules of a kernel tree");
}

/* --- Which one: the tree, and when its modules were built ------------------------------------- */

static uint64_t add_bytes(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--)
		hash = (hash ^ *p++) * 0x100000001b3;	/* FNV-1a */
	return hash;
}

static uint64_t add_file(uint64_t hash, const char *path)
{
	struct stat st = { 0 };

	if (stat(path, &st) < 0)
		st.st_size = -1;
	hash = add_bytes(hash, path, strlen(path));
	hash = add_bytes(hash, &st.st_mtim, sizeof(st.st_mtim));
	return add_bytes(hash, &st.st_size, sizeof(st.st_size));
}

/* Every file that modules.order names, and the lists themselves. */
static int hash_tree(uint64_t *hash, const char *tree)
{
	char path[PATH_MAX], *line = NULL;
	size_t room = 0;
	FILE *order;
	int r = make_path(path, "%s/modules.order", tree);

	*hash = add_file(0xcbf29ce484222325, path);
	order = r == 0 ? fopen(path, "re") : NULL;
	if (r == 0 && !order)
		return error_set(errno, "open '%s'", path);
	while (r == 0 && getline(&line, &room, order) > 0) {
		const char *name = strncmp(line, "kernel/", 7) ? line : line + 7;
		size_t len = strcspn(name, "\n");

		if (len > 2 && !strncmp(name + len - 2, ".o", 2))
			r = make_path(path, "%s/%.*s.ko", tree, (int)len - 2, name);
		else
			r = make_path(path, "%s/%.*s", tree, (int)len, name);
		if (r == 0)
			*hash = add_file(*hash, path);
	}
	free(line);
	if (order)
		fclose(order);
	return r;
}

static int find_cache(char out[PATH_MAX], const char *cache)
{
	const char *home = getenv("HOME"), *base = getenv("XDG_CACHE_HOME");
	int r;

	if (cache)
		return make_path(out, "%s", cache);
	if (base && *base == '/')
		r = make_path(out, "%s/vireo", base);
	else if (home && *home == '/')
		r = make_path(out, "%s/.cache/vireo", home);
	else
		return error_set(ENOENT, "find the cache (neither XDG_CACHE_HOME nor HOME is set)");
	/* The first who wants it makes it. */
	for (char *p = out + 1; r == 0; p++) {
		char was = *p;

		if (was && was != '/')
			continue;
		*p = '\0';
		if (mkdir(out, 0700) < 0 && errno != EEXIST)
			r = error_set(errno, "make '%s'", out);
		*p = was;
		if (!was)
			break;
	}
	return r;
}

/* --- Making it -------------------------------------------------------------------------------- */

static int link_into(const char *tree, const char *dir, const char *name, const char *target)
{
	char from[PATH_MAX], to[PATH_MAX];
	int r = make_path(from, "%s/%s", dir, name);

	if (r == 0)
		r = make_path(to, "%s%s%s", tree, *target ? "/" : "", target);
	if (r == 0 && symlink(to, from) < 0)
		r = error_set(errno, "make '%s'", from);
	return r;
}

static int run_depmod(const char *base, const char *release)
{
	static const char *const programs[] = { "/usr/sbin/depmod", "/sbin/depmod", "depmod" };
	const char *const argv[] = { "depmod", "-b", base, release, NULL };
	int err = ENOENT, status;
	pid_t pid;

	for (unsigned i = 0; err == ENOENT && i < ARRAY_SIZE(programs); i++)
		err = posix_spawnp(&pid, programs[i], NULL, NULL, (char *const *)argv, environ);
	if (err) {
		err = error_set(err, "run depmod");
		error_hint("install kmod, or give installed modules (make modules_install): "
			   "--modules DIR/lib/modules/RELEASE");
		return err;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_set(errno, "wait for depmod");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return error_set(EIO, "depmod failed on '%s'", base);
}

/* Make 'dir' below 'base', level by level. */
static int make_dirs(const char *base, const char *release)
{
	static const char *const levels[] = { "lib", "lib/modules" };
	char path[PATH_MAX];
	int r = 0;

	for (unsigned i = 0; r == 0 && i <= ARRAY_SIZE(levels); i++) {
		if (i < ARRAY_SIZE(levels))
			r = make_path(path, "%s/%s", base, levels[i]);
		else
			r = make_path(path, "%s/lib/modules/%s", base, release);
		if (r == 0 && mkdir(path, 0755) < 0)
			r = error_set(errno, "make '%s'", path);
	}
	return r;
}

static int fill(const char *base, const char *tree, const char *release)
{
	static const struct {
		const char *name, *target;
	} links[] = {
		{ "kernel", "" }, { "build", "" }, { "source", "" },
		{ "modules.order", "modules.order" }, { "modules.builtin", "modules.builtin" },
		{ "modules.builtin.modinfo", "modules.builtin.modinfo" },
	};
	char dir[PATH_MAX];
	int r = make_path(dir, "%s/lib/modules/%s", base, release);

	if (r == 0)
		r = make_dirs(base, release);
	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(links); i++)
		r = link_into(tree, dir, links[i].name, links[i].target);
	return r == 0 ? run_depmod(base, release) : r;
}

/* Remove what fill() makes: files and links in one directory, and those that lead to it. */
static void clear(const char *base, const char *release)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	if (make_path(path, "%s/lib/modules/%s", base, release) == 0 && (dir = opendir(path))) {
		while ((entry = readdir(dir)) != NULL)
			unlinkat(dirfd(dir), entry->d_name, 0);
		closedir(dir);
		rmdir(path);
	}
	if (make_path(path, "%s/lib/modules", base) == 0)
		rmdir(path);
	if (make_path(path, "%s/lib", base) == 0)
		rmdir(path);
	rmdir(base);
}

/* Those of the same tree from before it was built anew. */
static void clear_older(const char *cache, const char *prefix, const char *current,
			const char *release)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(cache);

	while (dir && (entry = readdir(dir)) != NULL)
		if (!strncmp(entry->d_name, prefix, strlen(prefix)) &&
		    strcmp(entry->d_name, current) != 0 &&
		    make_path(path, "%s/%s", cache, entry->d_name) == 0)
			clear(path, release);
	if (dir)
		closedir(dir);
}

static int make(const char *cache, const char *prefix, const char *name, const char *tree,
		const char *release)
{
	char work[PATH_MAX], final[PATH_MAX];
	int r = make_path(work, "%s/stage-XXXXXX", cache);

	if (r == 0)
		r = make_path(final, "%s/%s", cache, name);
	if (r < 0)
		return r;
	if (!mkdtemp(work))
		return error_set(errno, "make a directory in '%s'", cache);
	r = fill(work, tree, release);
	/* Whoever came first has made the same. */
	if (r == 0 && rename(work, final) < 0 && errno != EEXIST && errno != ENOTEMPTY)
		r = error_set(errno, "make '%s'", final);
	clear(work, release);
	if (r == 0)
		clear_older(cache, prefix, name, release);
	return r;
}

int module_stage(char dir[PATH_MAX], const char *tree, const char *release, const char *cache)
{
	char base[PATH_MAX], prefix[64], name[128];
	uint64_t state = 0;
	int r = find_cache(base, cache);

	if (r == 0)
		r = hash_tree(&state, tree);
	if (r < 0)
		return r;
	uint64_t where = add_bytes(0xcbf29ce484222325, tree, strlen(tree));
	where = add_bytes(where, release, strlen(release));
	snprintf(prefix, sizeof(prefix), "modules-%016llx-", (unsigned long long)where);
	snprintf(name, sizeof(name), "%s%016llx", prefix, (unsigned long long)state);
	r = make_path(dir, "%s/%s/lib/modules/%s", base, name, release);
	if (r == 0 && access(dir, F_OK) < 0)
		r = make(base, prefix, name, tree, release);
	return r;
}
