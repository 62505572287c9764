#include "vmm/exec/exec_options.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/text.h"
#include "vmm/option.h"
#include "vmm/outcome.h"

const struct exec_option exec_option_table[] = {
	{ "vm", "FILE", "a VM file that says what the machine has; the later wins", true },
	{ "rw", "DIR", "what is written below DIR goes to the host", true },
	{ "share", "DIR", "the same (with '=' in it: an option of the VM, see 'vireo run --help')",
	  true },
	{ "root", "DIR", "what is / in the guest; 'none': only the initramfs [/]", true },
	{ "copy", "FILE[=PATH]", "put FILE into the initramfs, for --root none", true },
	{ "cwd", "DIR", "where the command runs [this directory]", true },
	{ "env", "NAME[=VALUE]", "a variable more for the command: the host's, or VALUE", false },
	{ "modules", "DIR", "modules of the kernel: as of depmod, or a tree that was built", true },
	{ "tty", NULL, "a terminal for the command even if this is none; --no-tty: pipes", false },
	{ "boot-timeout", "TIME", "how long the guest may take until it is ready [60s]", false },
	{ "keep", "DIR", "leave the VM's file, initramfs and messages there", true },
	{ "verbose", NULL, "-v: show the guest's console and what Vireo does", false },
	{ "quiet", NULL, "-q: say nothing of your own that is no error", false },
	{ "help", NULL, "-h: this text", false },
};
const unsigned exec_option_table_len = ARRAY_SIZE(exec_option_table);

int exec_list_add(struct text_list *list, const char *text)
{
	char **item = reallocarray(list->item, list->n + 1, sizeof(*item));

	if (!item)
		return error_set(ENOMEM, "keep an argument");
	list->item = item;
	item[list->n] = strdup(text);
	if (!item[list->n])
		return error_set(ENOMEM, "keep an argument");
	list->n++;
	return 0;
}

void exec_list_free(struct text_list *list)
{
	for (unsigned i = 0; i < list->n; i++)
		free(list->item[i]);
	free(list->item);
	*list = (struct text_list){ 0 };
}

static void keep(struct text_list *list, const char *text, struct mistakes *mistakes)
{
	if (exec_list_add(list, text) < 0) {
		mistakes_add(mistakes, "no memory");
		error_clear();
	}
}

/* --- Values ---------------------------------------------------------------------------------- */

/* A file or directory that was named and is not there, or cannot be reached. */
static void cannot_open(struct mistakes *mistakes, const char *flag, const char *path, int err)
{
	const struct origin nowhere = { 0 };

	mistakes_add_at(mistakes, &nowhere, err == ENOENT ? STATUS_NO_FILE : STATUS_FAILED,
			"--%s: open '%s': %s", flag, path, strerror(err));
}

/* It has to be a directory that is there; 'real' gets its name without links. */
static bool judge_dir(const char *flag, const char *path, char real[PATH_MAX],
		      struct mistakes *mistakes)
{
	struct stat st;

	if (!realpath(path, real) || stat(real, &st) < 0) {
		cannot_open(mistakes, flag, path, errno);
		return false;
	}
	if (S_ISDIR(st.st_mode))
		return true;
	mistakes_add(mistakes, "--%s: '%s' is no directory", flag, path);
	return false;
}

static void read_writable(struct exec_options *options, const char *flag, const char *path,
			  struct mistakes *mistakes)
{
	char real[PATH_MAX];

	if (!judge_dir(flag, path, real, mistakes))
		return;
	if (!strcmp(real, "/")) {
		mistakes_add(mistakes, "--%s: '/' would give the guest everything on this host; "
				       "name the directories that it shall write to", flag);
		return;
	}
	for (unsigned i = 0; i < options->wish.writable.n; i++)
		if (!strcmp(options->wish.writable.item[i], real))
			return;
	if (options->wish.writable.n == EXEC_MAX_WRITABLE)
		mistakes_add(mistakes, "--%s: %d directories are the most", flag,
			     (int)EXEC_MAX_WRITABLE);
	else
		keep(&options->wish.writable, real, mistakes);
}

static void read_root(struct exec_options *options, const char *path, struct mistakes *mistakes)
{
	char real[PATH_MAX];

	options->wish.root = path;
	if (!strcmp(path, "none"))
		options->wish.root = NULL;
	else
		judge_dir("root", path, real, mistakes);
}

/* "NAME" or "NAME=VALUE" */
static void read_env(struct exec_options *options, const char *text, struct mistakes *mistakes)
{
	if (*text == '=' || !*text)
		mistakes_add(mistakes, "--env: '%s' is not NAME or NAME=VALUE", text);
	else
		keep(&options->env, text, mistakes);
}

static void read_copy(struct exec_options *options, const char *text, struct mistakes *mistakes)
{
	const char *equals = strchr(text, '=');
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.*s", equals ? (int)(equals - text) : PATH_MAX - 1, text);
	if (!*path || (equals && !equals[1]))
		mistakes_add(mistakes, "--copy: '%s' is not FILE or FILE=PATH", text);
	else if (access(path, R_OK) < 0)
		cannot_open(mistakes, "copy", path, errno);
	else
		keep(&options->wish.copy, text, mistakes);
}

static void set(struct exec_options *options, const char *name, const char *value,
		struct mistakes *mistakes)
{
	char real[PATH_MAX];

	if (!strcmp(name, "vm")) {
		keep(&options->files, value, mistakes);
	} else if (!strcmp(name, "rw") || !strcmp(name, "share")) {
		read_writable(options, name, value, mistakes);
	} else if (!strcmp(name, "root")) {
		read_root(options, value, mistakes);
	} else if (!strcmp(name, "copy")) {
		read_copy(options, value, mistakes);
	} else if (!strcmp(name, "cwd")) {
		options->wish.cwd = value;
		if (*value != '/')
			mistakes_add(mistakes, "--cwd: '%s' does not begin with '/'", value);
	} else if (!strcmp(name, "env")) {
		read_env(options, value, mistakes);
	} else if (!strcmp(name, "modules")) {
		options->wish.modules = value;
		judge_dir(name, value, real, mistakes);
	} else if (!strcmp(name, "keep")) {
		options->keep = value;
	} else if (!strcmp(name, "boot-timeout")) {
		if (text_parse_duration_ms(value, &options->boot_ms) < 0 || !options->boot_ms)
			mistakes_add(mistakes, "--boot-timeout: '%s' is no time, such as 30s or 2m",
				     value);
	} else if (!strcmp(name, "tty")) {
		options->tty = EXEC_TTY_YES;
	} else if (!strcmp(name, "verbose")) {
		options->verbose++;
	} else if (!strcmp(name, "quiet")) {
		options->quiet = true;
	} else if (!strcmp(name, "help")) {
		options->help = true;
	}
}

/* --- Words ----------------------------------------------------------------------------------- */

static const struct exec_option *find_option(const char *name, size_t len)
{
	for (unsigned i = 0; i < exec_option_table_len; i++)
		if (strlen(exec_option_table[i].name) == len &&
		    !memcmp(exec_option_table[i].name, name, len))
			return &exec_option_table[i];
	return NULL;
}

static bool is_switch_of_vm(const char *name, size_t len)
{
	const struct option *o = option_find_flag(name, len);

	return o && o->type == OPTION_BOOL && !option_flag_is_list(o->flag);
}

/*
 * An option of the VM: it goes on as it is, with its value.  One that nobody knows does, too: its
 * reader says what is wrong about it.
 */
static int pass_on(struct exec_options *options, char **word, struct mistakes *mistakes)
{
	const char *name = *word + 2;
	size_t len = strcspn(name, "=");
	bool is_set = len == 3 && !memcmp(name, "set", len);

	keep(&options->words, *word, mistakes);
	if (name[len] || !word[1] || is_switch_of_vm(name, len) || !strcmp(word[1], "--"))
		return 1;
	if (!is_set && !option_find_flag(name, len))
		return 1;
	keep(&options->words, word[1], mistakes);
	return 2;
}

/* Takes one option with its value.  Returns how many words that were. */
static int read_option(struct exec_options *options, char **word, struct mistakes *mistakes)
{
	const char *name = *word + 2, *value = NULL;
	size_t len = strcspn(name, "=");
	const struct exec_option *o = find_option(name, len);
	int n = 1;

	if (!strcmp(name, "no-tty")) {
		options->tty = EXEC_TTY_NO;
		return 1;
	}
	if (!o)
		return pass_on(options, word, mistakes);
	if (name[len])
		value = name + len + 1;
	else if (o->value && word[1] && strcmp(word[1], "--") != 0)
		value = word[n++];
	if (o->value && !value)
		mistakes_add(mistakes, "--%s: needs a value (%s)", o->name, o->value);
	else if (!o->value && value)
		mistakes_add(mistakes, "--%s: takes no value", o->name);
	else if (!strcmp(o->name, "share") && strchr(value, '='))
		return pass_on(options, word, mistakes);
	else
		set(options, o->name, value, mistakes);
	return n;
}

/* "-v", "-qv" */
static void read_letters(struct exec_options *options, const char *word, struct mistakes *mistakes)
{
	for (const char *p = word + 1; *p; p++) {
		const char *name = *p == 'v'   ? "verbose"
				   : *p == 'q' ? "quiet"
				   : *p == 'h' ? "help"
					       : NULL;
		if (!name) {
			mistakes_add(mistakes, "unknown option '%s'; 'vireo help exec' lists them",
				     word);
			return;
		}
		set(options, name, NULL, mistakes);
	}
}

void exec_options_read(struct exec_options *options, int argc, char **argv,
		       struct mistakes *mistakes)
{
	*options = (struct exec_options){ .wish.root = "/", .boot_ms = EXEC_BOOT_MS };
	for (int i = 0; i < argc;) {
		if (!strcmp(argv[i], "--")) {
			if (i + 1 == argc)
				mistakes_add(mistakes, "no command behind '--'");
			options->command = argv + i + 1;
			return;
		}
		if (!strncmp(argv[i], "--", 2)) {
			i += read_option(options, argv + i, mistakes);
		} else if (argv[i][0] == '-' && argv[i][1]) {
			read_letters(options, argv[i++], mistakes);
		} else {
			mistakes_add(mistakes, "the command goes behind '--': vireo exec ... -- %s",
				     argv[i]);
			return;
		}
	}
}

void exec_options_fini(struct exec_options *options)
{
	exec_list_free(&options->wish.writable);
	exec_list_free(&options->wish.copy);
	exec_list_free(&options->env);
	exec_list_free(&options->files);
	exec_list_free(&options->words);
}
