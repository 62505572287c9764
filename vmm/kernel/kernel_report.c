#include "vmm/kernel/kernel_report.h"

#include <string.h>

enum { MAX_THINGS = 4, LINE_WIDTH = 78 };

unsigned kernel_report_count(const struct kernel_vm *vm, const struct kernel_config *config,
			     enum kernel_verdict verdict)
{
	unsigned n = 0;

	for (unsigned i = 0; i < kernel_needs_len; i++)
		n += kernel_need_judge(&kernel_needs[i], vm, config) == verdict;
	return n;
}

/* --- What for -------------------------------------------------------------------------------- */

/* The next thing from 'at' on that 'is_of' the row; vm->n: there is none. */
static unsigned next_of(const struct kernel_need *need, const struct kernel_vm *vm, unsigned at,
			bool (*is_of)(const struct kernel_need *need,
				      const struct kernel_thing *thing))
{
	while (at < vm->n && !is_of(need, &vm->thing[at]))
		at++;
	return at;
}

void kernel_report_put_things(FILE *out, const struct kernel_need *need, const struct kernel_vm *vm)
{
	bool needs = next_of(need, vm, 0, kernel_need_is_of) < vm->n;
	bool (*is_of)(const struct kernel_need *, const struct kernel_thing *) =
		needs ? kernel_need_is_of : kernel_need_helps;
	unsigned n = 0, more = 0;

	for (unsigned i = next_of(need, vm, 0, is_of); i < vm->n;) {
		unsigned next = next_of(need, vm, i + 1, is_of);

		/* Everything that there is: each kind once, wherever it may be. */
		while (vm->is_all && next < vm->n && vm->thing[next].kind == vm->thing[i].kind)
			next = next_of(need, vm, next + 1, is_of);
		/* Of neighbours on the same transport only the last tells it. */
		bool over = !vm->is_all &&
			    (next == vm->n || n + 1 == MAX_THINGS ||
			     vm->thing[next].transport != vm->thing[i].transport);
		if (n < MAX_THINGS) {
			fputs(n++ ? ", " : "", out);
			kernel_thing_put(out, &vm->thing[i], over);
		} else {
			more++;
		}
		i = next;
	}
	if (more)
		fprintf(out, " and %u more", more);
}

/* --- For people ------------------------------------------------------------------------------ */

static void put_rows(FILE *out, const struct kernel_vm *vm, const struct kernel_config *config,
		     enum kernel_verdict verdict, const char *title)
{
	if (kernel_report_count(vm, config, verdict) == 0)
		return;
	fprintf(out, "%s:\n", title);
	for (unsigned i = 0; i < kernel_needs_len; i++) {
		const struct kernel_need *need = &kernel_needs[i];

		if (kernel_need_judge(need, vm, config) != verdict)
			continue;
		fprintf(out, "  CONFIG_%s: for ", need->option);
		kernel_report_put_things(out, need, vm);
		fprintf(out, " (%s)", need->why);
		if (kernel_config_get(config, need->option) == KERNEL_VALUE_MODULE)
			fprintf(out, "; it is a module (=m), %s",
				need->is_built_in
					? "and has to be built in (=y)"
					: "but there is no initrd to load it: =y");
		fputc('\n', out);
	}
}

/* Names alone, in lines: there are many in a distribution's kernel. */
static void put_names(FILE *out, const struct kernel_vm *vm, const struct kernel_config *config,
		      enum kernel_verdict verdict, const char *title)
{
	size_t used = LINE_WIDTH;

	if (kernel_report_count(vm, config, verdict) == 0)
		return;
	fprintf(out, "%s:", title);
	for (unsigned i = 0; i < kernel_needs_len; i++) {
		const char *name = kernel_needs[i].option;

		if (kernel_need_judge(&kernel_needs[i], vm, config) != verdict)
			continue;
		if (used + strlen(name) >= LINE_WIDTH) {
			fputs("\n ", out);
			used = 1;
		}
		fprintf(out, " %s", name);
		used += 1 + strlen(name);
	}
	fputc('\n', out);
}

/* A name of a file, with nothing in it that could steer a terminal. */
static void put_path(FILE *out, const char *path)
{
	for (const char *p = path; *p; p++)
		fputc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, out);
}

static void put_head(FILE *out, const struct kernel_source *source)
{
	fputs(source->is_inside ? "The configuration in '" : "'", out);
	put_path(out, source->path);
	fputc('\'', out);
	if (*source->config.version)
		fprintf(out, " (Linux %s)", source->config.version);
	fprintf(out, ": %u options\n", source->config.n);
	if (source->config.n < KERNEL_CONFIG_FEW)
		fputs("  so few that it is no whole configuration: what it leaves out is taken as "
		      "off; a\n  defconfig or a fragment becomes whole by 'make olddefconfig'\n",
		      out);
}

static const char *early_title(const struct kernel_vm *vm)
{
	if (vm->is_exec)
		return "Modules that the guest loads first";
	return vm->initrd == INITRD_GIVEN ? "Modules that the initrd has to have" :
					    "Modules, so that an initrd with them is needed";
}

void kernel_report_text(FILE *out, const struct kernel_vm *vm, const struct kernel_source *source)
{
	const struct kernel_config *config = &source->config;
	unsigned missing = kernel_report_count(vm, config, VERDICT_MISSING);
	unsigned poorer = kernel_report_count(vm, config, VERDICT_POORER);

	put_head(out, source);
	put_rows(out, vm, config, VERDICT_MISSING, "Missing");
	put_rows(out, vm, config, VERDICT_POORER, "Better with");
	put_names(out, vm, config, VERDICT_EARLY, early_title(vm));
	put_names(out, vm, config, VERDICT_LATER, "Modules that the root file system has to have");
	if (missing)
		fprintf(out, "It does not fit: %u option%s missing.\n", missing,
			missing == 1 ? " is" : "s are");
	else
		fputs("It fits.\n", out);
	if (missing + poorer)
		fputs("The same with '--fragment' writes what to add.\n", out);
}

/* --- For kconfig ----------------------------------------------------------------------------- */

/* Does something of the VM come below it, and is it off? */
static bool is_menu_wanted(const struct kernel_need *need, const struct kernel_vm *vm,
			   const struct kernel_config *config)
{
	return next_of(need, vm, 0, kernel_need_helps) < vm->n &&
	       kernel_config_get(config, need->option) <= KERNEL_VALUE_OFF;
}

void kernel_report_fragment(FILE *out, const struct kernel_vm *vm,
			    const struct kernel_config *config)
{
	static const struct kernel_config nothing;
	const struct kernel_config *have = config ? config : &nothing;
	bool is_empty = true;

	fputs("# What a Linux kernel needs for Vireo: to be merged into a configuration by\n"
	      "# scripts/kconfig/merge_config.sh .config THIS-FILE, in the kernel's tree.\n", out);
	for (unsigned i = 0; i < kernel_needs_len; i++) {
		const struct kernel_need *need = &kernel_needs[i];
		enum kernel_verdict verdict = kernel_need_judge(need, vm, have);
		bool needs = next_of(need, vm, 0, kernel_need_is_of) < vm->n;

		if (need->is_menu ? !is_menu_wanted(need, vm, have)
				  : verdict != VERDICT_MISSING && verdict != VERDICT_POORER)
			continue;
		fputs("\n# ", out);
		fprintf(out, "%s: for ", need->why);
		kernel_report_put_things(out, need, vm);
		fprintf(out, "%s\nCONFIG_%s=y\n", need->is_menu || needs ? "" : " (not essential)",
			need->option);
		is_empty = false;
	}
	if (is_empty)
		fputs("\n# Nothing is missing.\n", out);
}
