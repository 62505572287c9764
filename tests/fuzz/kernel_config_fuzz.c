/*
 * Any bytes as a kernel, or as the configuration of one: reading ends, and what comes of it are
 * names in order, each once, that can be printed.
 */
#include <string.h>

#include "tests/fuzz/fuzz_input.h"
#include "tests/support/memory_file.h"
#include "vmm/base/error.h"
#include "vmm/kernel/kernel_report.h"

static void judge_config(const struct kernel_config *config)
{
	CHECK(config->n > 0);
	for (unsigned i = 0; i < config->n; i++) {
		const char *name = config->option[i].name;

		CHECK(*name && name >= config->text);
		CHECK(i == 0 || strcmp(config->option[i - 1].name, name) < 0);
		for (const char *p = name; *p; p++)
			CHECK(*p == '_' || (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') ||
			      (*p >= 'a' && *p <= 'z'));
		CHECK(kernel_config_get(config, name) == config->option[i].value);
		CHECK(config->option[i].value != KERNEL_VALUE_ABSENT);
	}
	for (const char *p = config->version; *p; p++)
		CHECK(*p > ' ' && *p < 0x7f);
}

/* What is missing is what a fragment adds, and with it nothing is missing. */
static void judge_report(const struct kernel_config *config)
{
	struct kernel_config whole;
	struct kernel_vm vm;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	CHECK(out && kernel_vm_init_all(&vm) == 0);
	fputs("CONFIG_A=y\n", out);
	for (unsigned i = 0; i < config->n; i++)
		fprintf(out, "CONFIG_%s=%c\n", config->option[i].name,
			"nnmy"[config->option[i].value]);
	kernel_report_fragment(out, &vm, config);
	CHECK(fclose(out) == 0);
	CHECK(kernel_config_parse(&whole, text, len) == 0);
	CHECK(kernel_report_count(&vm, &whole, VERDICT_MISSING) == 0);
	CHECK(kernel_report_count(&vm, &whole, VERDICT_POORER) == 0);
	kernel_config_fini(&whole);
	kernel_vm_fini(&vm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct kernel_places nowhere = { "/nonexistent", "/nonexistent" };
	struct kernel_source source;
	struct memory_file file;

	memory_file_create(&file, data, size);
	if (kernel_source_read(&source, file.path, &nowhere) == 0) {
		judge_config(&source.config);
		judge_report(&source.config);
		kernel_source_fini(&source);
	} else {
		CHECK(error_errno() != 0 && *error_text());
	}
	error_clear();
	memory_file_destroy(&file);
	return 0;
}
