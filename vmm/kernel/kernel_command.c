/* "vireo kernel check": does a kernel have what a VM's devices need? */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/command_line.h"
#include "vmm/completion.h"
#include "vmm/exec/exec_kernel.h"
#include "vmm/help.h"
#include "vmm/kernel/kernel_report.h"
#include "vmm/outcome.h"
#include "vmm/vm_command.h"

/* What follows "vireo kernel". */
static const struct {
	const char *name, *help;
} verbs[] = {
	{ "check", "tell which options it lacks for a VM" },
};

static const char usage[] =
	"Usage: vireo kernel check [--json|--fragment] [KERNEL] [FILE.yaml]... [OPTION]...\n\n"
	"Tell which options a Linux kernel lacks for the devices of a VM, and what for.\n"
	"KERNEL is its configuration (.config, /boot/config-RELEASE, /proc/config.gz),\n"
	"or a kernel (bzImage, vmlinux) that has it inside (CONFIG_IKCONFIG) or beside\n"
	"it: config-RELEASE there or in /boot, .config of the tree in which it lies.\n"
	"Without, it is the kernel of the VM, and with --exec that of 'vireo exec'.\n\n"
	"The VM is described by VM files and options as for 'vireo run'.  Where it is\n"
	"not, it has a disk, consoles and random numbers over pci.  A module (=m) is\n"
	"enough where an initrd can load it in time; a VM that is described and has no\n"
	"initrd needs the way to its root built in (=y).\n\n"
	"  vireo kernel check arch/x86/boot/bzImage web.yaml\n"
	"  vireo kernel check --fragment --exec .config >vireo.config\n"
	"  scripts/kconfig/merge_config.sh .config vireo.config\n";

static void help_kernel(FILE *out)
{
	fputs(usage, out);
	help_switches(out, COMMAND_LINE_KERNEL);
	fprintf(out, "\nExit status: 0 it fits, 123 an option is missing, 125 error, 127 no such "
		     "file.\n");
}

/* A VM of which nothing was said. */
static int describe_plain(struct vm_config *config)
{
	struct disk_settings *disk = config_add_disk(config);

	if (!disk || !(disk->name = strdup("root")) || !(disk->path = strdup("root.img")))
		return error_set(ENOMEM, "describe a VM");
	return 0;
}

/* The kernel to look at, in 'kernel' if it has to be found. */
static int choose_file(const char **path, const struct vm_config *config,
		       const struct run_switches *switches, struct exec_kernel *kernel)
{
	int r;

	*path = switches->kernel_file ? switches->kernel_file :
		switches->fragment    ? NULL :
					config->kernel;
	if (*path || switches->fragment)
		return 0;
	if (switches->exec) {
		*path = kernel->path;
		return exec_kernel_find(kernel, NULL, NULL, NULL);
	}
	r = error_set(EINVAL, "which kernel?");
	error_hint("give a kernel or its configuration: vireo kernel check /boot/config-RELEASE");
	return r;
}

static int report(const struct kernel_vm *vm, const struct kernel_source *source,
		  const struct run_switches *switches, int *status)
{
	if (switches->fragment) {
		kernel_report_fragment(stdout, vm, &source->config);
		return 0;
	}
	if (kernel_report_count(vm, &source->config, VERDICT_MISSING) > 0)
		*status = STATUS_EXPECTATION;
	if (switches->print == CONFIG_JSON)
		return kernel_report_json(stdout, vm, source);
	kernel_report_text(stdout, vm, source);
	return 0;
}

static int check(struct vm_config *config, const struct run_switches *switches, bool described)
{
	struct exec_kernel kernel = { 0 };
	struct kernel_source source = { 0 };
	struct kernel_vm vm = { 0 };
	const char *path;
	int status = STATUS_OK;
	int r = choose_file(&path, config, switches, &kernel);

	if (r == 0 && path)
		r = kernel_source_read(&source, path, NULL);
	if (r == 0)
		r = switches->all ? kernel_vm_init_all(&vm)
				  : kernel_vm_init(&vm, config, described, switches->exec);
	if (r == 0)
		r = report(&vm, &source, switches, &status);
	if (r < 0) {
		status = outcome_of_error(BLAME_FILE, error_errno());
		error_print(stderr);
	}
	kernel_vm_fini(&vm);
	kernel_source_fini(&source);
	return status;
}

static int work(struct vm_config *config, const struct run_switches *switches,
		struct mistakes *mistakes, const void *arg)
{
	bool described = config->origins.n_entries > 0 || config->origins.n_files > 0;

	(void)arg;
	log_set_level(switches->verbose ? LOG_INFO : LOG_WARNING);
	if (switches->fragment && switches->print == CONFIG_JSON)
		mistakes_add(mistakes, "--fragment is for kconfig, which reads no JSON");
	if (mistakes->n == 0 && !described && !switches->exec && describe_plain(config) < 0) {
		error_print(stderr);
		return STATUS_FAILED;
	}
	config_validate(config, mistakes);
	if (mistakes->n == 0)
		return check(config, switches, described);
	mistakes_print(mistakes, stderr);
	return mistakes->status;
}

static int kernel_main(int argc, char **argv)
{
	if (argc > 0 && !strcmp(argv[0], "check"))
		return vm_command_as_read(&kernel_command, argc - 1, argv + 1, work, NULL);
	if (argc > 0 && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"))) {
		help_kernel(stdout);
		return STATUS_OK;
	}
	if (argc > 0)
		fprintf(stderr, "vireo: kernel: '%s' is not a command; did you mean 'vireo kernel "
				"check'?\n", argv[0]);
	else
		fprintf(stderr, "vireo: kernel: do what? 'check' is what there is; see 'vireo help "
				"kernel'\n");
	return STATUS_FAILED;
}

static void complete_kernel(struct completion *c, unsigned n, char *const *words)
{
	if (n > 1)
		completion_options(c, COMMAND_LINE_KERNEL, n - 1, words + 1);
	for (unsigned i = 0; i < ARRAY_SIZE(verbs) && n == 1; i++)
		completion_add(c, verbs[i].name, verbs[i].help);
}

const struct command kernel_command = {
	.name = "kernel",
	.summary = "tell whether a kernel has what a VM's devices need",
	.run = kernel_main,
	.help = help_kernel,
	.options = COMMAND_LINE_KERNEL,
	.complete = complete_kernel,
};
