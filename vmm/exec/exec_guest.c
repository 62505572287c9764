#include "vmm/exec/exec_guest.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/exec/exec_options.h"
#include "vmm/exec/kernel_modules.h"
#include "vmm/exec/module_stage.h"

#define LOWER "/lower"		/* where the host's root is before it is the guest's */
#define UPPER "/new"		/* with the throw-away layer */
#define AGAIN "/run/vireo/host"	/* the same, for what the guest's own /tmp would hide */

/* --- Where things are ------------------------------------------------------------------------ */

/* Is 'path' 'dir' or below it? */
static bool is_in(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len == 1)
		return true;
	return !strncmp(path, dir, len) && (path[len] == '/' || !path[len]);
}

/* Directories of which the guest has its own. */
static const char *const fresh[] = { "/dev", "/proc", "/run", "/sys", "/tmp" };

static bool is_hidden(const char *path)
{
	for (unsigned i = 0; i < ARRAY_SIZE(fresh); i++)
		if (is_in(path, fresh[i]))
			return true;
	return false;
}

static bool is_shared(const struct exec_guest *guest, const char *path)
{
	const struct text_list *writable = &guest->wish->writable;

	for (unsigned i = 0; i < writable->n; i++)
		if (is_in(path, writable->item[i]))
			return true;
	return false;
}

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The directory of the host that is 'path' in the guest. */
static bool is_dir_of_root(const struct exec_guest *guest, const char *path)
{
	char there[2 * PATH_MAX];

	snprintf(there, sizeof(there), "%s%s", strcmp(guest->root, "/") ? guest->root : "", path);
	return *guest->root && is_dir(there);
}

static int choose_cwd(struct exec_guest *guest)
{
	char here[PATH_MAX];
	const char *cwd = guest->wish->cwd;
	bool reachable;

	if (!cwd) {
		if (!realpath(guest->wish->here ? guest->wish->here : ".", here))
			return error_set(errno, "find out which directory this is");
		/* Where there is nothing of the host, its directories mean nothing. */
		reachable = is_shared(guest, here) || is_dir_of_root(guest, here);
		cwd = reachable ? here : "/";
	}
	if (snprintf(guest->cwd, sizeof(guest->cwd), "%s", cwd) >= (int)sizeof(guest->cwd))
		return error_set(ENAMETOOLONG, "run in '%.60s...'", cwd);
	return 0;
}

/* Those of a tree lie where they were built, in no order that modprobe(8) could read. */
static bool stage_tree(struct exec_guest *guest)
{
	const struct exec_kernel *kernel = guest->kernel;

	/* The links into the tree lead nowhere in another root. */
	if (strcmp(guest->root, "/") != 0 || !kernel_modules_has_files(kernel->modules))
		return false;
	if (module_stage(guest->modules_from, kernel->modules, kernel->release, NULL) == 0)
		return true;
	log_warning("the guest's modprobe does without modules: %s", error_text());
	error_clear();
	return false;
}

/* Modules that are not where modprobe(8) looks get there by a share. */
static void choose_modules(struct exec_guest *guest)
{
	const struct exec_kernel *kernel = guest->kernel;
	char usual[3 * PATH_MAX], real[PATH_MAX];
	const char *root = strcmp(guest->root, "/") ? guest->root : "";
	bool is_merged = is_dir_of_root(guest, "/usr/lib/modules") ||
			 !is_dir_of_root(guest, "/lib/modules");

	if (!*kernel->modules || !*kernel->release || !*guest->root)
		return;
	snprintf(usual, sizeof(usual), "%s/lib/modules/%s", root, kernel->release);
	if (!kernel->is_tree && realpath(usual, real) && !strcmp(real, kernel->modules))
		return;
	if (kernel->is_tree ? !stage_tree(guest)
			    : !realpath(kernel->modules, guest->modules_from))
		return;
	/* /lib is a link to usr/lib on most, and a new folder must not replace it. */
	snprintf(guest->modules_at, sizeof(guest->modules_at), "%s/lib/modules/%s",
		 is_merged ? "/usr" : "", kernel->release);
}

int exec_guest_init(struct exec_guest *guest, const struct exec_wish *wish,
		    const struct exec_kernel *kernel)
{
	*guest = (struct exec_guest){ .wish = wish, .kernel = kernel };
	if (wish->root && !realpath(wish->root, guest->root))
		return error_set(errno, "open '%s'", wish->root);
	choose_modules(guest);
	return choose_cwd(guest);
}

/* --- Shares ---------------------------------------------------------------------------------- */

/*
 * What is read only gets a layer on top, and a folder at which another file system of the host
 * begins would be none to overlayfs if the guest saw that.
 */
static void put_share(struct exec_share *share, const char *path, bool readonly)
{
	share->path = path;
	share->readonly = readonly;
	share->submounts = !readonly;
}

unsigned exec_guest_list_shares(const struct exec_guest *guest,
				struct exec_share share[EXEC_MAX_SHARES])
{
	const struct text_list *writable = &guest->wish->writable;
	unsigned n = 0;

	if (*guest->root) {
		snprintf(share[n].name, sizeof(share[n].name), EXEC_SHARE_ROOT);
		put_share(&share[n++], guest->root, true);
	}
	if (*guest->modules_at) {
		snprintf(share[n].name, sizeof(share[n].name), EXEC_SHARE_MODULES);
		put_share(&share[n++], guest->modules_from, true);
	}
	for (unsigned i = 0; i < writable->n && n < EXEC_MAX_SHARES; i++) {
		snprintf(share[n].name, sizeof(share[n].name), EXEC_SHARE_WRITABLE, i);
		put_share(&share[n++], writable->item[i], false);
	}
	return n;
}

/* "path=DIR,name=NAME,readonly", where a comma in DIR is two. */
static int add_share(struct text_list *words, const struct exec_share *share)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return error_set(ENOMEM, "share '%s'", share->path);
	fputs("path=", out);
	for (const char *p = share->path; *p; p++)
		fprintf(out, *p == ',' ? ",," : "%c", *p);
	fprintf(out, ",name=%s%s%s", share->name, share->readonly ? ",readonly" : "",
		share->submounts ? "" : ",submounts=no");
	bool failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed) {
		free(text);
		return error_set(ENOMEM, "share '%s'", share->path);
	}
	r = exec_list_add(words, "--share");
	if (r == 0)
		r = exec_list_add(words, text);
	free(text);
	return r;
}

int exec_guest_shares(const struct exec_guest *guest, struct text_list *words)
{
	struct exec_share share[EXEC_MAX_SHARES];
	unsigned n = exec_guest_list_shares(guest, share);
	int r = 0;

	for (unsigned i = 0; r == 0 && i < n; i++)
		r = add_share(words, &share[i]);
	return r;
}

/* --- Orders ---------------------------------------------------------------------------------- */

/* A word of an order: what would end it is written as in /proc/mounts. */
static void put_word(FILE *out, const char *word)
{
	for (const char *p = word; *p; p++)
		fprintf(out, strchr(" \t\n\\", *p) ? "\\%03o" : "%c", (unsigned char)*p);
}

static void put_mount(FILE *out, const char *tag, const char *before, const char *at,
		      const char *flags)
{
	fprintf(out, "mount virtiofs %s %s", tag, before);
	put_word(out, at);
	fprintf(out, "%s%s\n", *flags ? " " : "", flags);
}

/* Shorter paths first: one that is in another must not be hidden by it. */
static void put_writable(FILE *out, const struct exec_guest *guest)
{
	const struct text_list *writable = &guest->wish->writable;
	char name[16];

	for (size_t len = 1, longer = 0; len; len = longer, longer = 0) {
		for (unsigned i = 0; i < writable->n; i++) {
			size_t own = strlen(writable->item[i]);

			if (own > len && (!longer || own < longer))
				longer = own;
			if (own != len)
				continue;
			snprintf(name, sizeof(name), EXEC_SHARE_WRITABLE, i);
			put_mount(out, name, "", writable->item[i], "");
		}
	}
}

char *exec_guest_orders(const struct exec_guest *guest)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fputs("?hostname vireo\n", out);
	if (*guest->root) {
		fputs("mount virtiofs " EXEC_SHARE_ROOT " " LOWER " ro\n"
		      "overlay " LOWER " " UPPER "\n", out);
		if (*guest->modules_at)
			put_mount(out, EXEC_SHARE_MODULES, UPPER, guest->modules_at, "ro");
		fputs("root " UPPER "\n", out);
		if (is_hidden(guest->cwd) && !is_shared(guest, guest->cwd) &&
		    is_dir_of_root(guest, guest->cwd) && strlen(guest->cwd) > 5) {
			fputs("mount virtiofs " EXEC_SHARE_ROOT " " AGAIN " ro\n"
			      "overlay " AGAIN, out);
			put_word(out, guest->cwd);
			fputc(' ', out);
			put_word(out, guest->cwd);
			fputc('\n', out);
		}
	}
	put_writable(out, guest);
	bool failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}
