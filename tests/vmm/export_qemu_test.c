/* Nothing is lost in silence: each setting is in the command line for QEMU, or in a remark. */
#include "vmm/export/export_qemu.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vmm/samples.h"
#include "virtio/transport.h"
#include "vmm/export/qemu_line.h"
#include "vmm/option.h"

/* A VM with one of everything; 'kind' 1: on virtio-mmio, 2: with a tap. */
static void make(struct vm_config *config, unsigned kind)
{
	struct mistakes mistakes = { 0 };

	cr_assert_eq(config_init(config), 0);
	for (unsigned i = 0; i < option_sections_len; i++) {
		const struct option_section *section = &option_sections[i];
		if (section->list)
			cr_assert_not_null(config_add_named(config, section, "x", 1));
		if (section->given)
			*(bool *)((char *)config + section->given) = true;
	}
	config->kernel = strdup("/vmlinuz");
	config->disk[0].path = strdup("/disk");
	config->scsi[0].wwpn = strdup("naa.0123456789abcdef");
	config->share[0].path = strdup("/src");
	config->disk[0].device.iommu = kind == 2;
	config->net[0].backend = kind == 2 ? NET_TAP : NET_USER;
	config->transport = kind == 1 ? VIRTIO_MMIO : VIRTIO_PCI;
	config_validate(config, &mistakes);
}

static char *export_it(const struct vm_config *config)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert_eq(export_qemu(out, config), 0);
	fclose(out);
	return text;
}

/* Does the sample change what is written? */
static bool changes(const struct option *o, unsigned kind, const char *value)
{
	const struct option_section *section = option_section_of(o);
	struct vm_config config;
	char why[OPTION_WHY_SIZE], *before, *after;
	bool differs;

	make(&config, kind);
	before = export_it(&config);
	cr_assert_eq(option_set(o, section->list ? config_object(&config, section, 0) : &config,
				value, why), 0, "%s", why);
	after = export_it(&config);
	differs = strcmp(before, after) != 0;
	free(before);
	free(after);
	config_fini(&config);
	return differs;
}

/* QEMU has what this asks for always (the guest unpacks; vhost does the sockets), or no names. */
static bool says_nothing(const struct option *o)
{
	return option_is_name(o) || (!strcmp(o->section, "boot") && !strcmp(o->key, "unpack")) ||
	       (!strcmp(o->section, "vsock") && !strcmp(o->key, "vhost"));
}

Test(export_qemu, no_setting_is_lost_in_silence)
{
	for (unsigned k = 0; k < option_table_len; k++) {
		const struct option *o = &option_table[k];
		char buf[SAMPLE_SIZE];
		bool seen = says_nothing(o);

		for (unsigned i = 0; i < sample_count(o) && !seen; i++)
			for (unsigned kind = 0; kind < 3 && !seen; kind++)
				seen = changes(o, kind, sample(o, i, buf));
		cr_expect(seen, "%s.%s", o->section, o->key);
	}
}

/* Each word of the line is one word for the shell, whatever is in it. */
Test(export_qemu, words_are_quoted)
{
	struct qemu_line line;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	qemu_line_init(&line);
	qemu_word(&line, "-a", "plain/1_x,y=z");
	qemu_word(&line, "-b", "");
	qemu_word(&line, "-c", "it's $HOME `x` \"y\" \\ \n*");
	qemu_begin(&line, "-d", "x");
	qemu_put_text(&line, "t", "a,b'c");
	qemu_put_path(&line, "p", "nbd:x,y");
	qemu_put_path(&line, "q", "/r");
	qemu_end(&line);
	qemu_remark(&line, "one\nline\x1b");
	cr_assert_eq(qemu_line_finish(&line, out), 0);
	fclose(out);
	cr_expect_str_eq(text, "# one?line?\n"
			       "qemu-system-x86_64 \\\n"
			       "\t-a plain/1_x,y=z \\\n"
			       "\t-b '' \\\n"
			       "\t-c 'it'\\''s $HOME `x` \"y\" \\ \n*' \\\n"
			       "\t-d 'x,t=a,,b'\\''c,p=./nbd:x,,y,q=/r'\n");
	free(text);
}
