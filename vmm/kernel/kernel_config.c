#include "vmm/kernel/kernel_config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/error.h"

#define PREFIX "CONFIG_"
enum { PREFIX_LEN = sizeof(PREFIX) - 1 };

static size_t name_length(const char *p)
{
	size_t len = 0;

	while (isalnum((unsigned char)p[len]) || p[len] == '_')
		len++;
	return len;
}

/* The value behind "CONFIG_NAME=". */
static enum kernel_value value_of(const char *text)
{
	if (!strcmp(text, "n"))
		return KERNEL_VALUE_OFF;
	return !strcmp(text, "m") ? KERNEL_VALUE_MODULE : KERNEL_VALUE_ON;
}

/* "CONFIG_NAME=VALUE" or "# CONFIG_NAME is not set": NULL if it is neither. */
static char *find_option(char *line, enum kernel_value *value)
{
	bool is_off = !strncmp(line, "# " PREFIX, PREFIX_LEN + 2);
	char *name = line + (is_off ? 2 : 0) + PREFIX_LEN;
	size_t len;

	if (!is_off && strncmp(line, PREFIX, PREFIX_LEN) != 0)
		return NULL;
	len = name_length(name);
	if (len == 0 || (is_off ? strcmp(name + len, " is not set") != 0 : name[len] != '='))
		return NULL;
	*value = is_off ? KERNEL_VALUE_OFF : value_of(name + len + 1);
	name[len] = '\0';
	return name;
}

/* "# Linux/x86 6.1.192 Kernel Configuration" */
static void read_version(struct kernel_config *config, const char *line)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._+~-";
	const char *word;
	size_t len;

	if (*config->version || strncmp(line, "# Linux/", 8) != 0)
		return;
	word = line + 8 + strcspn(line + 8, " ");
	word += *word == ' ';
	len = strspn(word, allowed);
	if (!strcmp(word + len, " Kernel Configuration") && len < sizeof(config->version))
		snprintf(config->version, sizeof(config->version), "%.*s", (int)len, word);
}

/* The next line, without its end; '*at' goes on behind it. */
static char *take_line(char **at)
{
	char *line = strsep(at, "\n");
	size_t len = strlen(line);

	if (len && line[len - 1] == '\r')
		line[len - 1] = '\0';
	return line;
}

static unsigned count_lines(const char *text)
{
	unsigned n = 1;

	for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
		n++;
	return n;
}

static int compare(const void *a, const void *b)
{
	const struct kernel_option *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : x->line < y->line ? -1 : 1;
}

/* Sort them, and keep the last of each name: so does kconfig. */
static void put_in_order(struct kernel_config *config)
{
	unsigned n = 0;

	qsort(config->option, config->n, sizeof(*config->option), compare);
	for (unsigned i = 0; i < config->n; i++)
		if (i + 1 == config->n ||
		    strcmp(config->option[i].name, config->option[i + 1].name) != 0)
			config->option[n++] = config->option[i];
	config->n = n;
}

int kernel_config_parse(struct kernel_config *config, char *text, size_t len)
{
	unsigned line = 0;
	char *at = text;

	*config = (struct kernel_config){ .text = text };
	text[len] = '\0';
	if (strlen(text) == len)
		config->option = calloc(count_lines(text), sizeof(*config->option));
	else
		at = NULL;
	if (at && !config->option) {
		kernel_config_fini(config);
		return error_set(ENOMEM, "read a kernel configuration");
	}
	while (at) {
		char *s = take_line(&at);
		struct kernel_option *o = &config->option[config->n];

		read_version(config, s);
		o->line = line++;
		o->name = find_option(s, &o->value);
		config->n += o->name != NULL;
	}
	if (config->n == 0) {
		kernel_config_fini(config);
		return error_set(ENOEXEC, "it sets no option of a kernel (CONFIG_...)");
	}
	put_in_order(config);
	return 0;
}

void kernel_config_fini(struct kernel_config *config)
{
	free(config->option);
	free(config->text);
	*config = (struct kernel_config){ 0 };
}

static int compare_name(const void *name, const void *option)
{
	return strcmp(name, ((const struct kernel_option *)option)->name);
}

enum kernel_value kernel_config_get(const struct kernel_config *config, const char *name)
{
	const struct kernel_option *o =
		config->n ? bsearch(name, config->option, config->n, sizeof(*config->option),
				    compare_name)
			  : NULL;

	return o ? o->value : KERNEL_VALUE_ABSENT;
}
