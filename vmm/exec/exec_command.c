/*
 * "vireo exec": a command in a guest that boots for it, as if it ran here.  This file goes from the
 * command line to a VM and a directory with its files; exec_run.c does the rest.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/command.h"
#include "vmm/command_line.h"
#include "vmm/completion.h"
#include "vmm/exec/exec_env.h"
#include "vmm/exec/exec_guest.h"
#include "vmm/exec/exec_initramfs.h"
#include "vmm/exec/exec_kernel.h"
#include "vmm/exec/exec_options.h"
#include "vmm/exec/exec_run.h"
#include "vmm/outcome.h"

struct exec {
	struct exec_options options;
	struct vm_config config;
	struct exec_kernel kernel;
	struct exec_guest guest;
	struct text_list env;
	char dir[PATH_MAX];		/* "": not made yet */
	char *shell[2];			/* the command where none was given */
};

static void help_exec(FILE *out)
{
	char left[64];

	fprintf(out, "Usage: vireo exec [OPTION]... [OPTION OF RUN]... [-- COMMAND [ARGUMENT]...]\n"
		     "\nBoot a kernel and run a command in it as if it ran here: in this\n"
		     "directory, with this machine's files, with input, output, errors and exit\n"
		     "status passed on.  What the command writes is thrown away but for\n"
		     "directories given by --rw.  Without a command it is your shell.  Defaults\n"
		     "are in [brackets].\n\n"
		     "  vireo exec -- uname -r\n"
		     "  vireo exec --kernel arch/x86/boot/bzImage --rw . -- make kselftest\n\n");
	for (unsigned i = 0; i < exec_option_table_len; i++) {
		const struct exec_option *o = &exec_option_table[i];

		snprintf(left, sizeof(left), "  --%s%s%s", o->name, o->value ? " " : "",
			 o->value ? o->value : "");
		fprintf(out, "%-30s%s\n", left, o->help);
	}
	fprintf(out, "\nThe machine takes all options of 'vireo run' (see 'vireo run --help'),\n"
		     "such as --kernel FILE [that of this host], --memory SIZE [%s], --cpus N\n"
		     "[those of this host, at most %d], --append WORDS, --net user, --timeout\n"
		     "TIME.\n\n"
		     "On a terminal Ctrl-A x ends the guest.  Exit status: the command's own\n"
		     "(120-125 of it as 119), 128+N if signal N ended it, 126 or 127 if it cannot\n"
		     "be run or is not there; of the guest and Vireo: 120 panic, 121 crash, 122\n"
		     "reset, 124 time limit, 125 error, 126 host, 127 no such file.\n",
		EXEC_MEMORY, (int)EXEC_MAX_CPUS);
}

/* --- The machine ----------------------------------------------------------------------------- */

static unsigned default_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < 1 ? 1 : n > EXEC_MAX_CPUS ? EXEC_MAX_CPUS : (unsigned)n;
}

static int add_words(struct text_list *words, const struct text_list *more)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < more->n; i++)
		r = exec_list_add(words, more->item[i]);
	return r;
}

/* What a VM file does not say, and the user may say otherwise. */
static int add_defaults(struct text_list *words, const struct exec_options *options)
{
	char cpus[16];
	const char *const word[] = { "--memory", EXEC_MEMORY, "--cpus", cpus };
	int r = 0;

	snprintf(cpus, sizeof(cpus), "%u", default_cpus());
	for (unsigned i = 0; r == 0 && options->files.n == 0 && i < ARRAY_SIZE(word); i++)
		r = exec_list_add(words, word[i]);
	return r;
}

/* Read the VM's description: from files, defaults, the user's options, and 'more'. */
static int read_vm(struct exec *exec, const struct text_list *more, struct mistakes *mistakes)
{
	struct run_switches switches = { .command = COMMAND_LINE_RUN };
	struct text_list words = { 0 };
	int r = add_words(&words, &exec->options.files);

	if (r == 0)
		r = add_defaults(&words, &exec->options);
	if (r == 0)
		r = exec_list_add(&words, "--serial");
	if (r == 0)
		r = exec_list_add(&words, exec->options.verbose ? "stdio" : "off");
	if (r == 0)
		r = add_words(&words, &exec->options.words);
	if (r == 0 && more)
		r = add_words(&words, more);
	if (r == 0) {
		config_fini(&exec->config);
		r = config_init(&exec->config);
	}
	if (r == 0)
		command_line_read((int)words.n, words.item, &exec->config, &switches, mistakes);
	if (switches.print || switches.explain || switches.dump_dtb)
		mistakes_add(mistakes, "--print, --explain and --dump-dtb are for 'vireo run'");
	exec_list_free(&words);
	return r;
}

static int replace(char **text, const char *by)
{
	char *copy = strdup(by);

	if (!copy)
		return error_set(ENOMEM, "describe the VM");
	free(*text);
	*text = copy;
	return 0;
}

/* What is so whatever the user says: the guest is ours to boot, and is not to start again. */
static int settle_vm(struct exec *exec)
{
	struct vm_config *config = &exec->config;
	char *append = NULL, initrd[PATH_MAX + 8];
	int r;

	config->on_reboot = config->on_halt = POLICY_FAIL;
	snprintf(initrd, sizeof(initrd), "%s/initrd", exec->dir);
	if (asprintf(&append, "%s%s%s", exec->options.verbose ? "" : "quiet ",
		     "panic=-1", config->append ? " " : "") < 0)
		return error_set(ENOMEM, "describe the VM");
	if (config->append) {
		char *whole = NULL;

		if (asprintf(&whole, "%s%s", append, config->append) < 0)
			whole = NULL;
		free(append);
		append = whole;
	}
	r = append ? replace(&config->append, append) : error_set(ENOMEM, "describe the VM");
	free(append);
	if (r == 0)
		r = replace(&config->kernel, exec->kernel.path);
	return r == 0 ? replace(&config->initrd, initrd) : r;
}

/* --- Its files ------------------------------------------------------------------------------- */

static int make_dir(struct exec *exec)
{
	const char *keep = exec->options.keep, *tmp = getenv("TMPDIR");

	if (keep) {
		if (mkdir(keep, 0700) < 0 && errno != EEXIST)
			return error_set(errno, "make '%s'", keep);
		return realpath(keep, exec->dir) ? 0 : error_set(errno, "open '%s'", keep);
	}
	if (!tmp || *tmp != '/')
		tmp = "/tmp";
	if (snprintf(exec->dir, sizeof(exec->dir), "%s/vireo-exec-XXXXXX", tmp) >= PATH_MAX - 32 ||
	    !mkdtemp(exec->dir)) {
		exec->dir[0] = '\0';
		return error_set(errno ? errno : ENAMETOOLONG, "make a directory in '%s'", tmp);
	}
	return 0;
}

static void remove_dir(const struct exec *exec)
{
	static const char *const files[] = { "initrd", "vm.json", "stderr.log" };
	char path[PATH_MAX + 16];

	if (exec->options.keep || !*exec->dir)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", exec->dir, files[i]);
		unlink(path);
	}
	rmdir(exec->dir);
}

/* --- From the command line to the run -------------------------------------------------------- */

static bool wants_tty(const struct exec_options *options)
{
	if (options->tty == EXEC_TTY_AUTO)
		return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	return options->tty == EXEC_TTY_YES;
}

static char *const *command_of(struct exec *exec)
{
	const char *shell = getenv("SHELL");

	if (exec->options.command && exec->options.command[0])
		return exec->options.command;
	exec->shell[0] = (char *)(shell && *shell == '/' ? shell : "/bin/sh");
	return exec->shell;
}

/* All that is written before the VM starts.  Returns 0, or -errno with an error chain. */
static int prepare(struct exec *exec)
{
	int r = make_dir(exec);

	if (r == 0)
		r = settle_vm(exec);
	if (r == 0)
		r = exec_initramfs_write(&exec->guest, &exec->config, exec->config.initrd);
	if (r == 0)
		r = exec_env(&exec->env, environ, &exec->options.env);
	return r;
}

/* Are all shares read-only ones of ours? */
static bool only_our_shares(const struct exec *exec)
{
	for (unsigned i = 0; i < exec->config.n_shares; i++)
		if (!exec->config.share[i].readonly)
			return false;
	return true;
}

static int start(struct exec *exec)
{
	struct mistakes mistakes = { 0 };
	struct exec_run_config run = {
		.vm = &exec->config,
		.dir = exec->dir,
		.cwd = exec->guest.cwd,
		.boot_ms = exec->options.boot_ms,
		.tty = wants_tty(&exec->options),
		/* Where something is kept, the guest is to write what it still has in memory. */
		.disposable = exec->options.wish.writable.n == 0 && exec->config.n_disks == 0 &&
			      exec->config.n_scsis == 0 && only_our_shares(exec),
		.verbose = exec->options.verbose > 0,
		.quiet = exec->options.quiet,
	};
	int r = prepare(exec);

	if (r < 0) {
		error_print(stderr);
		return outcome_of_error(BLAME_FILE, r);
	}
	config_validate(&exec->config, &mistakes);
	if (mistakes.n) {
		mistakes_print(&mistakes, stderr);
		return mistakes.status;
	}
	run.command = command_of(exec);
	run.env = exec->env.item;
	return exec_run(&run);
}

/* Which kernel, and what the guest gets of the host: only then its shares are known. */
static int decide(struct exec *exec, struct mistakes *mistakes)
{
	struct text_list shares = { 0 };
	const struct exec_wish *wish = &exec->options.wish;
	int r = exec_kernel_find(&exec->kernel, exec->config.kernel, wish->modules, NULL);

	if (r == 0)
		r = exec_guest_init(&exec->guest, wish, &exec->kernel);
	if (r == 0)
		r = exec_guest_shares(&exec->guest, &shares);
	if (r == 0)
		r = read_vm(exec, &shares, mistakes);
	exec_list_free(&shares);
	return r;
}

static int exec_all(struct exec *exec, struct mistakes *mistakes)
{
	int r = mistakes->n ? 0 : decide(exec, mistakes);

	if (r < 0) {
		error_print(stderr);
		return outcome_of_error(BLAME_FILE, r);
	}
	if (mistakes->n) {
		mistakes_print(mistakes, stderr);
		return mistakes->status;
	}
	return start(exec);
}

static int exec_main(int argc, char **argv)
{
	struct mistakes mistakes = { 0 };
	struct exec *exec = calloc(1, sizeof(*exec));
	int status = STATUS_FAILED;

	if (!exec || config_init(&exec->config) < 0) {
		error_add(ENOMEM, "run a command");
		error_print(stderr);
		free(exec);
		return status;
	}
	exec_options_read(&exec->options, argc, argv, &mistakes);
	log_set_level(exec->options.verbose ? LOG_INFO : LOG_WARNING);
	if (exec->options.help) {
		help_exec(stdout);
		status = STATUS_OK;
	} else if (read_vm(exec, NULL, &mistakes) < 0) {
		error_print(stderr);
	} else {
		status = exec_all(exec, &mistakes);
	}
	remove_dir(exec);
	exec_list_free(&exec->env);
	exec_options_fini(&exec->options);
	config_fini(&exec->config);
	free(exec);
	return status;
}

/* Options of its own; where it is none of them, those of a VM. */
static void complete_exec(struct completion *c, unsigned n, char *const *words)
{
	const char *before = n > 1 ? words[n - 2] : "";
	char word[32];

	for (unsigned i = 0; i < exec_option_table_len; i++) {
		const struct exec_option *o = &exec_option_table[i];

		snprintf(word, sizeof(word), "--%s", o->name);
		if (o->value && !strcmp(before, word)) {
			if (o->is_path)
				completion_add_files(c, 0);
			return;
		}
	}
	for (unsigned i = 0; i + 1 < n; i++)
		if (!strcmp(words[i], "--")) {
			completion_add_files(c, 0);
			return;
		}
	for (unsigned i = 0; *c->word == '-' && i < exec_option_table_len; i++) {
		snprintf(word, sizeof(word), "--%s", exec_option_table[i].name);
		completion_add(c, word, exec_option_table[i].help);
	}
	completion_options(c, COMMAND_LINE_RUN, n, words);
}

const struct command exec_command = {
	.name = "exec",
	.summary = "run a command in a guest that boots for it",
	.run = exec_main,
	.help = help_exec,
	.complete = complete_exec,
};
