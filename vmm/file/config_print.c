#include "vmm/file/config_print.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/file/config_json.h"
#include "vmm/file/config_yaml.h"
#include "vmm/outcome.h"

int config_form_parse(const char *text, enum config_form *form)
{
	if (text && strcmp(text, "yaml") && strcmp(text, "json"))
		return -EINVAL;
	*form = text && !strcmp(text, "json") ? CONFIG_JSON : CONFIG_YAML;
	return 0;
}

static int write_form(FILE *out, const struct vm_config *config, enum config_form form, bool all)
{
	switch (form) {
	case CONFIG_JSON:
		return config_write_json(out, config, all);
	case CONFIG_SCHEMA:
		return config_write_schema(out);
	default:
		return config_write_yaml(out, config, all);
	}
}

int config_print(const struct vm_config *config, enum config_form form, bool all)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r = out ? write_form(out, config, form, all) : -ENOMEM;

	if (out && fclose(out) != 0 && r == 0)
		r = -ENOMEM;
	if (r == 0)
		fwrite(text, 1, len, stdout);	/* main() looks whether it arrived */
	else
		error_add(r, "print the configuration");
	free(text);
	if (r == 0)
		return STATUS_OK;
	error_print(stderr);
	return STATUS_FAILED;
}
