/* What is written of a VM, read again, is the same VM: every setting, every hard value. */
#include <criterion/criterion.h>

#if HAVE_YAML

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/vmm/samples.h"
#include "vmm/base/error.h"
#include "vmm/command_line.h"
#include "vmm/file/config_json.h"
#include "vmm/file/config_yaml.h"
#include "vmm/file/vm_file.h"
#include "vmm/option.h"
#include "vmm/option_text.h"

typedef int write_fn(FILE *out, const struct vm_config *config, bool all);

static const struct {
	const char *name;
	write_fn *write;
	bool all;
} forms[] = {
	{ "yaml", config_write_yaml, false },
	{ "yaml, all", config_write_yaml, true },
#if HAVE_JANSSON
	{ "json", config_write_json, false },
	{ "json, all", config_write_json, true },
#endif
};

static void *object_of(struct vm_config *config, const struct option_section *section)
{
	return section->list ? config_object(config, section, 0) : config;
}

/* Two VMs are one if each of their settings is. */
static void expect_same(struct vm_config *a, struct vm_config *b, const char *what)
{
	for (unsigned i = 0; i < option_sections_len; i++) {
		const struct option_section *section = &option_sections[i];
		if (section->given)
			cr_expect_eq(*(bool *)((char *)a + section->given),
				     *(bool *)((char *)b + section->given), "%s: %s", what,
				     section->name);
		if (section->list)
			cr_assert_eq(config_count(a, section), config_count(b, section),
				     "%s: %s", what, section->name);
	}
	for (unsigned i = 0; i < option_table_len; i++) {
		const struct option *o = &option_table[i];
		const struct option_section *section = option_section_of(o);
		unsigned n = section->list ? config_count(a, section) : 1;
		for (unsigned k = 0; k < n; k++) {
			void *x = section->list ? config_object(a, section, k) : (void *)a;
			void *y = section->list ? config_object(b, section, k) : (void *)b;
			cr_expect(option_equal(o, x, y), "%s: %s.%s", what, o->section, o->key);
		}
	}
}

/* Write 'config' in form 'i', read that. */
static void round_trip(struct vm_config *config, unsigned i, const char *what)
{
	struct mistakes mistakes = { 0 };
	struct vm_config again;
	char path[] = "/tmp/vireo-round-trip-XXXXXX", label[256];
	int fd = mkstemp(path);
	FILE *out = fdopen(fd, "w");

	snprintf(label, sizeof(label), "%s (%s)", what, forms[i].name);
	cr_assert_not_null(out);
	cr_assert_eq(forms[i].write(out, config, forms[i].all), 0, "%s: %s", label, error_text());
	cr_assert_eq(fclose(out), 0);
	cr_assert_eq(config_init(&again), 0);
	vm_file_read(&again, path, &mistakes);
	mistakes_print(&mistakes, stderr);
	cr_expect_eq(mistakes.n, 0, "%s", label);
	expect_same(config, &again, label);
	config_fini(&again);
	unlink(path);
}

/* A sample that does not depend on where it is read. */
static const char *absolute(const struct option *o, char buf[SAMPLE_SIZE])
{
	char path[SAMPLE_SIZE + 8];

	if ((o->type == OPTION_PATH || (o->type == OPTION_CONTENT && !strchr(buf, '\n'))) &&
	    *buf != '/') {
		snprintf(path, sizeof(path), "/%s", buf);
		snprintf(buf, SAMPLE_SIZE, "%.*s", SAMPLE_SIZE - 1, path);
	} else if (!strcmp(buf, "file=a b")) {
		snprintf(buf, SAMPLE_SIZE, "file=/a b");
	}
	return buf;
}

static void try_sample(const struct option *o, unsigned i)
{
	const struct option_section *section = option_section_of(o);
	char buf[SAMPLE_SIZE], why[OPTION_WHY_SIZE], what[SAMPLE_SIZE + 64];
	struct vm_config config;

	sample(o, i, buf);
	if (option_is_name(o) && !*buf)
		return;		/* no object has an empty name */
	cr_assert_eq(config_init(&config), 0);
	if (section->list)
		cr_assert_not_null(config_add_named(&config, section, "x", 1));
	if (section->given)
		*(bool *)((char *)&config + section->given) = true;
	cr_assert_eq(option_set(o, object_of(&config, section), absolute(o, buf), why), 0);
	snprintf(what, sizeof(what), "%s.%s: '%s'", o->section, o->key, buf);
	for (unsigned form = 0; form < ARRAY_SIZE(forms); form++)
		round_trip(&config, form, what);
	config_fini(&config);
}

Test(round_trip, every_value_of_every_setting)
{
	for (unsigned k = 0; k < option_table_len; k++)
		for (unsigned i = 0; i < sample_count(&option_table[k]); i++)
			try_sample(&option_table[k], i);
}

/* Everything at once, and more than one of what can be repeated. */
Test(round_trip, a_vm_in_which_everything_is_set)
{
	struct vm_config config;

	cr_assert_eq(config_init(&config), 0);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < option_sections_len; i++) {
			const struct option_section *section = &option_sections[i];
			if (section->list)
				cr_assert_not_null(config_add_named(
					&config, section, round == 0 ? "z" : round == 1 ? "a$b: c" :
					"\xc3\xa4", round == 0 ? 1 : round == 1 ? 6 : 2));
			if (section->given)
				*(bool *)((char *)&config + section->given) = true;
		}
		for (unsigned k = 0; k < option_table_len; k++) {
			const struct option *o = &option_table[k];
			const struct option_section *section = option_section_of(o);
			char buf[SAMPLE_SIZE], why[OPTION_WHY_SIZE];
			void *object = section->list ? config_object(&config, section, round) :
						       (void *)&config;
			if (option_is_name(o))
				continue;
			sample(o, (round + 2) % sample_count(o), buf);
			cr_assert_eq(option_set(o, object, absolute(o, buf), why), 0, "%s", why);
		}
	}
	for (unsigned form = 0; form < ARRAY_SIZE(forms); form++)
		round_trip(&config, form, "everything");
	config_fini(&config);
}

Test(round_trip, the_defaults)
{
	struct vm_config config;

	cr_assert_eq(config_init(&config), 0);
	for (unsigned form = 0; form < ARRAY_SIZE(forms); form++)
		round_trip(&config, form, "defaults");
	config_fini(&config);
}

/* What a person gets who takes the '#' away in 'vireo config --all'. */
Test(round_trip, the_examples_have_no_key_that_does_not_exist)
{
	struct vm_config config, again;
	struct mistakes mistakes = { 0 };
	char *text, *line, path[] = "/tmp/vireo-round-trip-XXXXXX";
	size_t len;
	FILE *out = open_memstream(&text, &len), *file = fdopen(mkstemp(path), "w");

	cr_assert_eq(config_init(&config) + config_init(&again), 0);
	cr_assert_eq(config_write_yaml(out, &config, true), 0);
	fclose(out);
	/* One level of them: the absent values inside of an example have a second one. */
	for (char *p = text; (line = strsep(&p, "\n")) != NULL;) {
		bool is_remark = line[0] == '#' && line[1] == ' ' && line[2] != ' ';
		fprintf(file, "%s\n", line[0] == '#' && !is_remark ? line + 1 : line);
	}
	cr_assert_eq(fclose(file), 0);
	vm_file_read(&again, path, &mistakes);
	mistakes_print(&mistakes, stderr);
	cr_expect_eq(mistakes.n, 0);
	for (unsigned i = 0; i < option_sections_len; i++)
		if (option_sections[i].list)
			cr_expect_eq(config_count(&again, &option_sections[i]), 1, "%s",
				     option_sections[i].name);
	cr_expect(again.vsock.given && again.balloon.given);
	config_fini(&config);
	config_fini(&again);
	free(text);
	unlink(path);
}

#endif
