/* What is said of mistakes: in which order, with which place, by which name. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/config.h"
#include "vmm/config_mistake.h"
#include "vmm/mistakes.h"
#include "vmm/option.h"
#include "vmm/outcome.h"

static struct vm_config config;
static struct mistakes mistakes;
static const struct origin_file *web, *base;

static void setup(void)
{
	struct origin at = { .line = 1, .column = 11 };

	cr_assert_eq(config_init(&config), 0);
	web = origins_add_file(&config.origins, "web.yaml", NULL);
	at.file = web;
	base = origins_add_file(&config.origins, "base.yaml", &at);
}

static void teardown(void)
{
	config_fini(&config);
}

TestSuite(mistakes, .init = setup, .fini = teardown);

static void note(const char *section, unsigned item, const char *key, struct origin origin)
{
	const struct option *o =
		key ? option_find(section, strlen(section), key, strlen(key)) : NULL;

	cr_assert_eq(origins_note(&config.origins, option_find_section(section, strlen(section)),
				  item, o, &origin), 0);
}

Test(mistakes, are_sorted_by_place_and_those_without_one_come_last)
{
	mistakes_add(&mistakes, "flag");
	mistakes_add_at(&mistakes, &(struct origin){ base, 2, 1, NULL }, STATUS_FAILED, "e");
	mistakes_add_at(&mistakes, &(struct origin){ web, 9, 1, NULL }, STATUS_FAILED, "c");
	mistakes_add_at(&mistakes, &(struct origin){ web, 9, 2, NULL }, STATUS_FAILED, "d");
	mistakes_add_at(&mistakes, &(struct origin){ web, 3, 7, NULL }, STATUS_FAILED, "b");
	mistakes_add_at(&mistakes, &(struct origin){ web, 0, 0, NULL }, STATUS_FAILED, "a");
	mistakes_add(&mistakes, "another flag");
	cr_assert_eq(mistakes.n, 7);
	cr_expect_str_eq(mistakes.line[0], "web.yaml: a");
	cr_expect_str_eq(mistakes.line[1], "web.yaml:3:7: b");
	cr_expect_str_eq(mistakes.line[2], "web.yaml:9:1: c");
	cr_expect_str_eq(mistakes.line[3], "web.yaml:9:2: d");
	cr_expect_str_eq(mistakes.line[4],
			 "base.yaml:2:1: e (in base.yaml, included from web.yaml:1:11)");
	cr_expect_str_eq(mistakes.line[5], "flag");
	cr_expect_str_eq(mistakes.line[6], "another flag");
}

Test(mistakes, the_first_places_are_shown_when_there_are_too_many)
{
	for (unsigned i = 3 * MISTAKES_SHOWN; i > 0; i--)
		mistakes_add_at(&mistakes, &(struct origin){ web, i, 1, NULL }, STATUS_FAILED, "x");
	mistakes_add(&mistakes, "flag");
	cr_expect_eq(mistakes.n, 3 * MISTAKES_SHOWN + 1);
	cr_expect_str_eq(mistakes.line[0], "web.yaml:1:1: x");
	cr_expect_str_eq(mistakes.line[MISTAKES_SHOWN - 1], "web.yaml:32:1: x");
	cr_expect_eq(MISTAKES_SHOWN, 32);
}

Test(mistakes, the_first_one_says_what_vireo_exits_with)
{
	cr_expect_eq(mistakes.status, 0);
	mistakes_add_at(&mistakes, NULL, STATUS_NO_FILE, "gone");
	mistakes_add(&mistakes, "wrong");
	cr_expect_eq(mistakes.status, STATUS_NO_FILE);
}

Test(mistakes, long_ones_are_cut)
{
	static char word[10000];

	memset(word, 'x', sizeof(word) - 1);
	mistakes_add_at(&mistakes, &(struct origin){ base, 2, 1, NULL }, STATUS_FAILED, "%s", word);
	cr_expect_lt(strlen(mistakes.line[0]), MISTAKE_SIZE);
	cr_expect_not_null(strstr(mistakes.line[0], "included from web.yaml:1:11)"));
}

Test(mistakes, what_could_steer_a_terminal_is_not_printed)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	mistakes_add(&mistakes, "'%s'", "\x1b[2J\nvireo: fine\x7f");
	mistakes_print(&mistakes, out);
	fclose(out);
	cr_expect_str_eq(text, "vireo: '?[2J?vireo: fine?'\n");
	free(text);
}

Test(mistakes, a_setting_is_called_as_it_was_written)
{
	config_mistake(&config, &mistakes, "vm", 0, "memory", "default");
	cr_expect_str_eq(mistakes.line[0], "vm.memory: default");
	note("vm", 0, "memory", (struct origin){ .flag = "memory" });
	note("vm", 0, "cpus", (struct origin){ .flag = "cpus" });
	note("vm", 0, "kvm", (struct origin){ .flag = "set" });
	config_mistake(&config, &mistakes, "vm", 0, "memory", "flag");
	config_mistake(&config, &mistakes, "vm", 0, "cpus", "list");
	config_mistake(&config, &mistakes, "vm", 0, "kvm", "set");
	cr_expect_str_eq(mistakes.line[1], "--memory: flag");
	cr_expect_str_eq(mistakes.line[2], "vm.cpus: list");
	cr_expect_str_eq(mistakes.line[3], "vm.kvm: set");
	note("vm", 0, "memory", (struct origin){ .file = web, .line = 4, .column = 3 });
	config_mistake(&config, &mistakes, "vm", 0, "memory", "file");
	cr_expect_str_eq(mistakes.line[0], "web.yaml:4:3: vm.memory: file");
}

Test(mistakes, a_setting_that_nobody_gave_is_looked_for_at_its_object)
{
	config_add_disk(&config);
	config_add_disk(&config)->name = strdup("data");
	note("disks", 0, NULL, (struct origin){ .file = web, .line = 2, .column = 3 });
	note("disks", 1, NULL, (struct origin){ .file = web, .line = 5, .column = 3 });
	note("disks", 1, "path", (struct origin){ .flag = "disk" });
	config_mistake(&config, &mistakes, "disks", 1, "serial", "here");
	config_mistake(&config, &mistakes, "disks", 1, "path", "flag");
	cr_expect_str_eq(mistakes.line[0], "web.yaml:5:3: disks.data.serial: here");
	cr_expect_str_eq(mistakes.line[1], "disk 'data': path: flag");
}
