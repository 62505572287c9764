#include "vmm/guest_cmdline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/machine/layout.h"

/* Is there a word that begins with 'start'? */
static bool has_word(const char *text, const char *start)
{
	size_t len = strlen(start);

	for (const char *p = text; p && (p = strstr(p, start)) != NULL; p += len)
		if (p == text || p[-1] == ' ')
			return true;
	return false;
}

bool guest_cmdline_marks_panic(const char *cmdline)
{
	return has_word(cmdline, "reboot=panic_warm");
}

static bool is_heard(const struct target *target)
{
	return target->kind == TARGET_STDIO || target->kind == TARGET_FILE;
}

static void put_default(FILE *out, const struct vm_config *config)
{
	bool serial = is_heard(&config->serial) || !is_heard(&config->console);

	fprintf(out, "console=%s", serial ? "ttyS0" : "hvc0");
	/* Reset at once after a panic, in a way that is not mistaken for a reboot. */
	fprintf(out, " reboot=panic_warm panic=-1");
	if (config->n_disks && !has_word(config->append, "root="))
		fprintf(out, " root=/dev/vda %s", config->disk[0].readonly ? "ro" : "rw");
}

int guest_cmdline_build(char **out, const struct vm_config *config, unsigned n_mmio)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	*out = NULL;
	if (!f)
		return error_set(errno, "build the kernel command line");
	if (config->cmdline)
		fputs(config->cmdline, f);
	else
		put_default(f, config);
	/* "--" hands the rest to init: what is ours stands before the user's words. */
	if (config->mmio_discovery == MMIO_DISCOVERY_CMDLINE)
		for (unsigned i = 0; i < n_mmio; i++)
			fprintf(f, " virtio_mmio.device=4K@0x%" PRIx64 ":%u",
				(uint64_t)(LAYOUT_VIRTIO_MMIO + i * LAYOUT_VIRTIO_MMIO_STRIDE),
				layout_virtio_mmio_gsi(i));
	/* A Linux that has both looks for ACPI first, and complains that there is none. */
	if (config->mmio_discovery == MMIO_DISCOVERY_DTB)
		fputs(" acpi=off", f);
	if (config->append)
		fprintf(f, " %s", config->append);
	bool failed = ferror(f) != 0;
	if (fclose(f) != 0 || failed) {
		free(text);
		return error_set(ENOMEM, "build the kernel command line");
	}
	*out = text;
	return 0;
}
