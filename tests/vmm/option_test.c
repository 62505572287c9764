#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/config.h"
#include "vmm/option.h"

static struct vm_config config;
static struct disk_settings disk;
static char why[OPTION_WHY_SIZE];

static void setup(void)
{
	cr_assert_eq(config_init(&config), 0);
	memset(&disk, 0, sizeof(disk));
}

static void teardown(void)
{
	config_fini(&config);
	option_free_all("disks", &disk);
}

TestSuite(option, .init = setup, .fini = teardown);

static int set(const char *section, const char *key, const char *text)
{
	const struct option *o = option_find(section, strlen(section), key, strlen(key));

	cr_assert_not_null(o, "%s.%s", section, key);
	why[0] = '\0';
	return option_set(o, strcmp(section, "disks") ? (void *)&config : (void *)&disk, text, why);
}

Test(option, sizes_are_read_with_units)
{
	cr_assert_eq(set("vm", "memory", "6G"), 0);
	cr_expect_eq(config.memory, GIB(6));
}

Test(option, a_refused_value_changes_nothing)
{
	cr_assert_eq(set("vm", "memory", "64K"), -EINVAL);
	cr_expect_eq(config.memory, MIB(512));
	cr_assert_eq(set("boot", "kernel", "a"), 0);
	cr_assert_eq(set("boot", "kernel", ""), -EINVAL);
	cr_expect_str_eq(config.kernel, "a");
	cr_assert_eq(set("serial", "to", "file="), -EINVAL);
	cr_expect_eq(config.serial.kind, TARGET_STDIO);
}

Test(option, refusals_name_the_value_and_what_is_allowed)
{
	set("vm", "memory", "64K");
	cr_expect_str_eq(why, "'64K' is too small: allowed are 1M to 4T");
	set("vm", "cpus", "65");
	cr_expect_str_eq(why, "'65' is too large: allowed are 1 to 64");
	set("vm", "cpus", "99999999999999999999999");
	cr_expect_not_null(strstr(why, "is too large"));
	set("vm", "cpus", "two");
	cr_expect_str_eq(why, "'two' is not a whole number");
	set("vm", "on_reboot", "restrat");
	cr_expect_str_eq(why,
			 "'restrat' is not one of exit, fail, restart; did you mean 'restart'?");
	set("disks", "queue_size", "9");
	cr_expect_str_eq(why, "'9' is not a power of two");
	set("disks", "readonly", "perhaps");
	cr_expect_str_eq(why, "'perhaps' is neither yes nor no");
	set("vm", "timeout", "soon");
	cr_expect_not_null(strstr(why, "is not a time"));
	set("console", "to", "usb");
	cr_expect_str_eq(why, "'usb' is not one of stdio, file=PATH, null, off");
}

Test(option, a_refusal_of_a_huge_value_fits)
{
	static char huge[100000];

	memset(huge, 'x', sizeof(huge) - 1);
	cr_assert_eq(set("vm", "on_reboot", huge), -EINVAL);
	cr_assert_lt(strlen(why), sizeof(why));
}

Test(option, each_choice_can_be_chosen)
{
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		const struct option_section *section = option_section_of(o);

		if (o->type != OPTION_CHOICE)
			continue;
		/* The struct of its section: an object of a list is not the configuration. */
		void *object = section->list ? calloc(1, section->list->item_size) : &config;
		for (const struct option_choice *c = o->choice; c->name; c++) {
			int value;

			cr_assert_eq(option_set(o, object, c->name, why), 0, "%s", why);
			memcpy(&value, (const char *)object + o->offset, sizeof(value));
			cr_expect_eq(value, c->value, "%s.%s=%s", o->section, o->key, c->name);
		}
		if (section->list)
			free(object);
	}
}

Test(option, targets_are_read)
{
	cr_assert_eq(set("console", "to", "file=a,b=c"), 0);
	cr_expect_eq(config.console.kind, TARGET_FILE);
	cr_expect_str_eq(config.console.path, "a,b=c");
	cr_assert_eq(set("console", "to", "null"), 0);
	cr_expect_eq(config.console.kind, TARGET_NULL);
	cr_assert_eq(set("console", "to", "off"), 0);
	cr_expect_eq(config.console.kind, TARGET_OFF);
}

Test(option, times_are_milliseconds)
{
	cr_assert_eq(set("vm", "timeout", "1.5"), 0);
	cr_expect_eq(config.timeout_ms, 1500);
	cr_assert_eq(set("vm", "timeout", "2m"), 0);
	cr_expect_eq(config.timeout_ms, 120000);
}

static const struct option content_row = {
	.section = "vm", .key = "content", .type = OPTION_CONTENT,
};

Test(option, content_is_a_text_or_the_name_of_a_file)
{
	char *field = NULL;

	cr_assert_eq(option_set(&content_row, &field, "#cloud-config\n", why), 0);
	cr_expect_str_eq(field, "#cloud-config\n");
	cr_assert_eq(option_set(&content_row, &field, "seed.yaml", why), 0);
	cr_expect_str_eq(field, "seed.yaml");
	cr_assert_eq(option_set(&content_row, &field, "", why), -EINVAL);
	cr_expect_str_eq(why, "the name of a file is empty");
	cr_expect_str_eq(field, "seed.yaml");
	free(field);
}

Test(option, a_pair_has_a_name_and_each_name_one_value)
{
	cr_assert_eq(set("credentials", "credential", "a=1"), 0);
	cr_assert_eq(set("credentials", "credential", "ab=2=3"), 0);
	cr_assert_eq(set("credentials", "credential", "a="), 0);
	cr_assert_eq(config.credentials.n, 2);
	cr_expect_str_eq(config.credentials.item[0], "a=");
	cr_expect_str_eq(config.credentials.item[1], "ab=2=3");
	cr_assert_eq(set("credentials", "credential", "a"), -EINVAL);
	cr_expect_str_eq(why, "'a' is not NAME=VALUE");
	cr_assert_eq(set("credentials", "credential", "=a"), -EINVAL);
	cr_expect_str_eq(why, "'=a' has no name before the '='");
	cr_expect_eq(config.credentials.n, 2);
}
