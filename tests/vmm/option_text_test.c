/* Every value of every row leads to text and back to itself. */
#include "vmm/option_text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vmm/samples.h"
#include "vmm/base/text.h"
#include "vmm/config.h"
#include "vmm/option.h"

#define FOR_EACH_ROW(o)                                                                            \
	for (const struct option *o = option_table; o < option_table + option_table_len; o++)

static void *object_of(struct vm_config *config, const struct option *o)
{
	const struct option_section *section = option_section_of(o);

	return section->list ? config_add(config, section) : config;
}

/* Write what 'from' has as text, read it into 'to'. */
static void copy_by_text(const struct option *o, const void *from, void *to)
{
	char why[OPTION_WHY_SIZE], *text;

	for (unsigned i = 0; i < option_count(o, from); i++) {
		cr_assert_eq(option_format(o, from, i, &text), 0);
		cr_expect_eq(option_set(o, to, text, why), 0, "%s.%s: '%s': %s", o->section, o->key,
			     text, why);
		free(text);
	}
}

Test(option_text, every_value_leads_back_to_itself)
{
	FOR_EACH_ROW (o) {
		for (unsigned i = 0; i < sample_count(o); i++) {
			struct vm_config config, other;
			char buf[SAMPLE_SIZE], why[OPTION_WHY_SIZE];

			cr_assert_eq(config_init(&config) + config_init(&other), 0);
			void *from = object_of(&config, o), *to = object_of(&other, o);
			cr_assert_eq(option_set(o, from, sample(o, i, buf), why), 0, "%s.%s: %s",
				     o->section, o->key, why);
			copy_by_text(o, from, to);
			cr_expect(option_equal(o, from, to), "%s.%s: '%s'", o->section, o->key,
				  buf);
			config_fini(&config);
			config_fini(&other);
		}
	}
}

/* Otherwise the test above would not see a value that got lost. */
Test(option_text, a_sample_of_every_row_differs_from_its_default)
{
	FOR_EACH_ROW (o) {
		struct vm_config config, other;
		char buf[SAMPLE_SIZE], why[OPTION_WHY_SIZE];
		bool differs = false;

		cr_assert_eq(config_init(&config) + config_init(&other), 0);
		void *changed = object_of(&config, o), *plain = object_of(&other, o);
		for (unsigned i = 0; i < sample_count(o); i++) {
			cr_assert_eq(option_set(o, changed, sample(o, i, buf), why), 0);
			differs |= !option_equal(o, changed, plain);
		}
		cr_expect(differs, "%s.%s", o->section, o->key);
		config_fini(&config);
		config_fini(&other);
	}
}

/* What stands in the table is what is written: nobody sees "1024M" where the help says "1G". */
Test(option_text, a_default_is_written_as_the_table_has_it)
{
	FOR_EACH_ROW (o) {
		struct vm_config config;
		char *text;

		cr_assert_eq(config_init(&config), 0);
		void *object = object_of(&config, o);
		if (o->initial) {
			cr_assert_eq(option_count(o, object), 1, "%s.%s", o->section, o->key);
			cr_assert_eq(option_format(o, object, 0, &text), 0);
			cr_expect_str_eq(text, o->initial, "%s.%s", o->section, o->key);
			free(text);
		} else {
			cr_expect_eq(option_count(o, object), 0, "%s.%s", o->section, o->key);
		}
		config_fini(&config);
	}
}

Test(option_text, durations_have_the_largest_unit_that_fits)
{
	static const char *const words[] = { "0", "1ms", "1500ms", "10s", "90s", "2m", "36h" };
	const struct option *o = option_find("vm", 2, "timeout", 7);
	struct vm_config config;
	char why[OPTION_WHY_SIZE], *text;

	cr_assert_eq(config_init(&config), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		cr_assert_eq(option_set(o, &config, words[i], why), 0);
		cr_assert_eq(option_format(o, &config, 0, &text), 0);
		cr_expect_str_eq(text, words[i]);
		free(text);
	}
	config_fini(&config);
}

/* A bit without a name has its number; all bits of all device types lead back. */
Test(option_text, every_feature_bit_leads_back_to_itself)
{
	FOR_EACH_ROW (o) {
		if (o->type != OPTION_FEATURES)
			continue;
		for (unsigned bit = 0; bit < FEATURES_BITS; bit++) {
			struct feature_wishes from = { 0 }, to = { 0 };
			struct option at = *o;
			char why[OPTION_WHY_SIZE], *text;

			if (!feature_info((enum feature_bit)bit, o->device))
				continue;
			at.offset = 0;
			features_add(bit % 2 ? &from.on : &from.off, bit);
			cr_assert_eq(option_count(&at, &from), 1);
			cr_assert_eq(option_format(&at, &from, 0, &text), 0);
			cr_expect_eq(option_set(&at, &to, text, why), 0, "%s: %s", text, why);
			cr_expect(option_equal(&at, &from, &to), "%s: %s", o->section, text);
			free(text);
		}
	}
}
